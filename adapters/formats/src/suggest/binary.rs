//! Files without lines: how long a record is.

use super::Suggestion;
use crate::RECORD_BYTES_MAX;

/// Records that may be so long are looked for.
const LENGTH_MAX: usize = 8_192;
/// Bytes that are compared for each length.
const COMPARED_BYTES: usize = 32 * 1024;

/// Text in EBCDIC, maybe with packed and binary fields.
pub(super) fn ebcdic(bytes: &[u8], whole_len: u64, reason: String) -> Suggestion {
    let told = Suggestion {
        encoding: Some("cp037"),
        ..Suggestion::of(Some("copybook"), 70, reason)
    };
    let told = told.and("Its records need the sender's copybook; ask for it, and for the code page (037, 273, 500, 1047 and 1140 look alike).");
    if let Some((count, longest)) = prefixed(bytes) {
        let reason = format!("Its first {count} records have their length before them (RDW).");
        return Suggestion {
            confidence: 90,
            is_prefixed: true,
            record_bytes: Some(longest),
            ..told
        }
        .and(reason);
    }
    let (length, confidence, how) = match (record_bytes(bytes, whole_len), alike(bytes, whole_len))
    {
        (Some(length), _) => (length, 70, "Bytes look alike"),
        // Packed numbers are like nothing: with a copybook its length decides.
        (None, Some((length, _))) => (length, 50, "Bytes look most alike, though little,"),
        (None, None) if whole_len <= LENGTH_MAX as u64 => (
            whole_len as usize,
            40,
            "No length fits but that of the whole file: bytes look alike",
        ),
        (None, None) => return told,
    };
    let reason = format!(
        "{how} every {length} bytes, and the file has {} times as many.",
        whole_len / length as u64
    );
    Suggestion {
        record_bytes: Some(length),
        confidence,
        ..told
    }
    .and(reason)
}

/// Bytes that are no text.
pub(super) fn unknown(bytes: &[u8], whole_len: u64) -> Suggestion {
    let told = Suggestion::nothing(
        "Its bytes are no text in any encoding that is known here, and it begins with no signature that is.",
    );
    match prefixed(bytes) {
        Some((count, _)) => told.and(format!(
            "Its first {count} records may have their length before them (RDW); with a copybook, try kind = \"copybook\"."
        )),
        None => match record_bytes(bytes, whole_len) {
            Some(length) => told.and(format!(
                "Bytes look alike every {length} bytes; with a copybook, try kind = \"copybook\"."
            )),
            None => told,
        },
    }
}

/// How many records have a descriptor word before them (two bytes of length, itself included, and two zeros), and the bytes of
/// the longest.
fn prefixed(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut at, mut count, mut longest) = (0, 0, 0);
    while let Some([high, low, 0, 0]) = bytes.get(at..at + 4) {
        let length = usize::from(*high) * 256 + usize::from(*low);
        if length <= 4 || length > RECORD_BYTES_MAX {
            return None;
        }
        (at, count) = (at + length, count + 1);
        longest = longest.max(length - 4);
    }
    (count >= 2 && at + 4 > bytes.len()).then_some((count, longest))
}

/// What a byte is like.
fn class(byte: u8) -> u8 {
    match byte {
        0x40 | b' ' => 1,
        0xF0..=0xF9 | b'0'..=b'9' => 2,
        0 => 3,
        0xC1..=0xE9 | b'A'..=b'Z' => 4,
        0x81..=0xA9 | b'a'..=b'z' => 5,
        _ => 6,
    }
}

/// The shortest length that the file is a multiple of and after which bytes look alike.
pub(super) fn record_bytes(bytes: &[u8], whole_len: u64) -> Option<usize> {
    let (length, score) = alike(bytes, whole_len)?;
    (score >= 700).then_some(length)
}

/// The shortest length that the file is a multiple of and after which bytes look about most alike: how many of a thousand do at best.
fn alike(bytes: &[u8], whole_len: u64) -> Option<(usize, usize)> {
    let classes: Vec<u8> = bytes
        .iter()
        .take(COMPARED_BYTES)
        .map(|b| class(*b))
        .collect();
    let most = LENGTH_MAX.min(classes.len() / 2);
    let alike = |length: usize| {
        let pairs = classes.iter().zip(&classes[length..]);
        let (same, all) = pairs.fold((0, 0), |(same, all), (one, other)| {
            (same + usize::from(one == other), all + 1)
        });
        1_000 * same / all
    };
    let lengths = (8..=most).filter(|length| whole_len.is_multiple_of(*length as u64));
    let scores: Vec<(usize, usize)> = lengths.map(|length| (length, alike(length))).collect();
    let best = scores.iter().map(|(_, score)| *score).max()?;
    let shortest = scores.iter().find(|(_, score)| score + 30 >= best)?;
    Some((shortest.0, best))
}
