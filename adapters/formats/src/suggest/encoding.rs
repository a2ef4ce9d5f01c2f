//! Which characters a file's bytes mean.

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The upper half of code page 850, which DOS used in Western Europe; its letters with accents are those of 437 too.
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

/// An encoding, and why.
pub(super) struct Guess {
    pub(super) name: &'static str,
    pub(super) is_ebcdic: bool,
    pub(super) reason: String,
}

/// By its mark, else by how often which bytes stand in it.
pub(super) fn guess(bytes: &[u8]) -> Guess {
    let told = |name, reason: &str| Guess {
        name,
        is_ebcdic: false,
        reason: reason.to_owned(),
    };
    if let Some((name, _)) = mark(bytes) {
        return told(
            name,
            &format!("It begins with the byte order mark of {name}."),
        );
    }
    if let Some(name) = by_nuls(bytes) {
        return told(
            name,
            &format!("Its NULs stand as those of {name} do; there is no byte order mark."),
        );
    }
    let share = |of: fn(u8) -> bool| bytes.iter().filter(|byte| of(**byte)).count();
    let (ebcdic, ascii) = (share(is_ebcdic), share(is_ascii_text));
    if ebcdic > ascii && ebcdic * 5 > bytes.len() * 2 {
        return Guess {
            name: "cp037",
            is_ebcdic: true,
            reason: format!(
                "{} % of its bytes are letters, digits and blanks of EBCDIC, {} % of ASCII.",
                100 * ebcdic / bytes.len(),
                100 * ascii / bytes.len()
            ),
        };
    }
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // The beginning may end within a character.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    if valid && bytes.is_ascii() {
        return told("utf-8", "All its bytes are ASCII, so it reads as UTF-8.");
    }
    if valid {
        return told(
            "utf-8",
            "It is valid UTF-8, which other encodings never are by chance.",
        );
    }
    eight_bits(bytes)
}

fn mark(bytes: &[u8]) -> Option<(&'static str, usize)> {
    match bytes {
        [0xEF, 0xBB, 0xBF, ..] => Some(("utf-8", 3)),
        [0xFF, 0xFE, 0, 0, ..] => Some(("utf-32le", 4)),
        [0, 0, 0xFE, 0xFF, ..] => Some(("utf-32be", 4)),
        [0xFF, 0xFE, ..] => Some(("utf-16le", 2)),
        [0xFE, 0xFF, ..] => Some(("utf-16be", 2)),
        _ => None,
    }
}

/// Text in Western scripts has a NUL in each second byte of UTF-16, and three in four of UTF-32.
fn by_nuls(bytes: &[u8]) -> Option<&'static str> {
    let mut nuls = [0_usize; 4];
    for (at, byte) in bytes.iter().enumerate() {
        nuls[at % 4] += usize::from(*byte == 0);
    }
    let quarter = bytes.len() / 4;
    let [a, b, c, d] = nuls.map(|count| quarter > 1 && count * 10 >= quarter * 8);
    let none = nuls.map(|count| count * 10 <= quarter);
    match (a, b, c, d) {
        (false, true, true, true) if none[0] => Some("utf-32le"),
        (true, true, true, false) if none[3] => Some("utf-32be"),
        (false, true, false, true) if none[0] && none[2] => Some("utf-16le"),
        (true, false, true, false) if none[1] && none[3] => Some("utf-16be"),
        _ => None,
    }
}

fn is_ebcdic(byte: u8) -> bool {
    matches!(byte, 0x40 | 0x4B | 0x60 | 0x61 | 0x6B | 0x81..=0x89 | 0x91..=0x99 | 0xA2..=0xA9
        | 0xC1..=0xC9 | 0xD1..=0xD9 | 0xE2..=0xE9 | 0xF0..=0xF9)
}

fn is_ascii_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t')
}

/// Windows and DOS keep letters with accents apart: from 0xC0 on, and from 0x80 to 0xA5. Only those beside other letters count.
fn eight_bits(bytes: &[u8]) -> Guess {
    let (mut windows, mut dos) = (0, 0);
    for at in 0..bytes.len() {
        let beside = [at.checked_sub(1), Some(at + 1)];
        let beside = beside.into_iter().flatten().filter_map(|at| bytes.get(at));
        let is_beside = beside.into_iter().any(u8::is_ascii_alphabetic);
        match bytes[at] {
            // á of Windows and ß of DOS.
            0xE1 => {}
            0xC0..=0xFF if is_beside => windows += 1,
            0x80..=0xA5 if is_beside && !matches!(bytes[at], 0x91..=0x97) => dos += 1,
            0xB3..=0xDA => dos += usize::from(!is_beside && bytes[at] != 0xB0),
            _ => {}
        }
    }
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let (name, count, of) = if dos > windows {
        ("cp850", dos, "DOS (437 and 850 have the same)")
    } else {
        ("windows-1252", windows, "Windows")
    };
    Guess {
        name,
        is_ebcdic: false,
        reason: format!(
            "It is not UTF-8; {count} of its {high} bytes beyond ASCII are letters with accents of {of}."
        ),
    }
}

/// The text; `None` where it is full of bytes that text does not have.
pub(super) fn text(name: &str, bytes: &[u8]) -> Option<String> {
    let bytes = &bytes[mark(bytes).map_or(0, |(_, length)| length)..];
    let text = match name {
        "utf-16le" => UTF_16LE.decode_without_bom_handling(bytes).0.into_owned(),
        "utf-16be" => UTF_16BE.decode_without_bom_handling(bytes).0.into_owned(),
        "utf-32le" => utf32(bytes, u32::from_le_bytes),
        "utf-32be" => utf32(bytes, u32::from_be_bytes),
        "windows-1252" => WINDOWS_1252
            .decode_without_bom_handling(bytes)
            .0
            .into_owned(),
        "cp850" => {
            let upper: Vec<char> = CP850.chars().collect();
            let of = |byte: &u8| match byte.checked_sub(128) {
                None => char::from(*byte),
                Some(at) => *upper.get(usize::from(at)).unwrap_or(&'?'),
            };
            bytes.iter().map(of).collect()
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    let odd = |c: &char| {
        c.is_control()
            && !matches!(
                c,
                '\n' | '\r' | '\t' | '\x0C' | '\x1A' | '\x1C'..='\x1F' | '\x01' | '\x07'
            )
    };
    let (count, all) = (text.chars().filter(odd).count(), text.chars().count());
    (count * 50 <= all).then_some(text)
}

fn utf32(bytes: &[u8], number: fn([u8; 4]) -> u32) -> String {
    let chars = bytes.as_chunks::<4>().0.iter();
    chars
        .map(|unit| char::from_u32(number(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
