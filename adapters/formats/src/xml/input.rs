//! From a file's bytes to text: its encoding, and what no XML may hold.

use crate::csv::Encoding;

/// Bytes in which an XML declaration ends.
const DECLARATION_BYTES_MAX: usize = 1_024;
/// Bytes that are made text at a time, where the file is not UTF-8.
const PIECE_BYTES: usize = 64 * 1024;
/// Text that waits for its tag to end, at most; the tag is refused before it is that long.
const TEXT_BYTES_MAX: usize = super::TAG_BYTES_MAX + 4 * PIECE_BYTES;
/// What windows-1252 leaves undefined.
const UNDEFINED_1252: [u8; 5] = [0x81, 0x8D, 0x8F, 0x90, 0x9D];

/// An encoding whose byte order is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    Utf16 { big: bool },
    Windows1252,
    Latin1,
}

/// A file's text, as far as it is there.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// Not taken yet.
    pub(crate) text: &'a str,
    /// Nothing follows.
    pub(crate) last: bool,
    /// What follows is no text: why.
    pub(crate) fault: Option<String>,
    /// Bytes before the text, or that became it, which are done with.
    pub(crate) taken: usize,
    /// Whether the text is the window's own.
    pub(crate) is_window: bool,
    /// What it was made of.
    pub(super) charset: Charset,
}

/// Makes text of windows.
#[derive(Debug)]
pub(crate) struct Input {
    configured: Option<Encoding>,
    charset: Option<Charset>,
    utf16: Option<encoding_rs::Decoder>,
    /// Text that was made of bytes and not taken yet; empty for UTF-8.
    text: String,
    fault: Option<String>,
    ended: bool,
}

impl Input {
    pub(crate) fn new(configured: Option<Encoding>) -> Self {
        Self {
            configured,
            charset: None,
            utf16: None,
            text: String::new(),
            fault: None,
            ended: false,
        }
    }

    /// The text that `window` begins with; `None` when more of it is needed to tell.
    pub(crate) fn view<'a>(
        &'a mut self,
        window: &'a [u8],
        end: bool,
    ) -> Result<Option<View<'a>>, String> {
        let mut taken = 0;
        let charset = match self.charset {
            Some(charset) => charset,
            None => {
                let Some((charset, mark)) = begin(self.configured, window, end)? else {
                    return Ok(None);
                };
                self.charset = Some(charset);
                taken = mark;
                charset
            }
        };
        let rest = &window[taken..];
        if charset == Charset::Utf8 {
            let (text, fault) = clean(rest, end);
            let last = end && fault.is_none() && text.len() == rest.len();
            return Ok(Some(View {
                text,
                last,
                fault,
                taken,
                is_window: true,
                charset,
            }));
        }
        // A decoder of UTF-16 that was told of the end must not be asked again, though its text may be.
        if self.fault.is_none() && !self.ended && self.text.len() < TEXT_BYTES_MAX {
            taken += self.decode(charset, rest, end);
        }
        self.ended |= end && taken == window.len();
        let (text, fault) = clean(self.text.as_bytes(), true);
        let fault = fault.or_else(|| self.fault.clone());
        Ok(Some(View {
            text,
            last: self.ended && fault.is_none(),
            fault,
            taken,
            is_window: false,
            charset,
        }))
    }

    /// So many bytes of the text are done, where it isn't the window's own.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.text.drain(..bytes.min(self.text.len()));
    }

    fn decode(&mut self, charset: Charset, rest: &[u8], end: bool) -> usize {
        let piece = &rest[..rest.len().min(PIECE_BYTES)];
        match charset {
            Charset::Utf8 => 0,
            Charset::Latin1 => {
                self.text.push_str(&encoding_rs::mem::decode_latin1(piece));
                piece.len()
            }
            Charset::Windows1252 => {
                let bad = piece.iter().position(|byte| UNDEFINED_1252.contains(byte));
                let good = &piece[..bad.unwrap_or(piece.len())];
                self.text.push_str(
                    &encoding_rs::WINDOWS_1252
                        .decode_without_bom_handling(good)
                        .0,
                );
                self.fault =
                    bad.map(|at| format!("byte 0x{:02X} means nothing in windows-1252", piece[at]));
                piece.len()
            }
            Charset::Utf16 { big } => {
                let encoding = if big {
                    encoding_rs::UTF_16BE
                } else {
                    encoding_rs::UTF_16LE
                };
                let decoder = self
                    .utf16
                    .get_or_insert_with(|| encoding.new_decoder_without_bom_handling());
                let room = decoder.max_utf8_buffer_length_without_replacement(piece.len());
                self.text.reserve(room.unwrap_or(4 * PIECE_BYTES));
                let last = end && piece.len() == rest.len();
                let (result, read) =
                    decoder.decode_to_string_without_replacement(piece, &mut self.text, last);
                if let encoding_rs::DecoderResult::Malformed(..) = result {
                    self.fault = Some(
                        "what follows is not UTF-16: a unit is cut, or half of a pair is missing"
                            .into(),
                    );
                }
                read
            }
        }
    }
}

impl Charset {
    /// Text as the file writes it in bytes; the other way round than it was read.
    pub(super) fn encode(self, text: &str, bytes: &mut Vec<u8>) {
        match self {
            Self::Utf16 { big } => text.encode_utf16().for_each(|unit| {
                bytes.extend_from_slice(&if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                });
            }),
            Self::Windows1252 => bytes.extend_from_slice(&encoding_rs::WINDOWS_1252.encode(text).0),
            Self::Latin1 => bytes.extend(text.chars().map(|letter| letter as u8)),
            Self::Utf8 => bytes.extend_from_slice(text.as_bytes()),
        }
    }
}

/// The longest beginning that is text, and why it isn't longer; nothing where only the end of a character is missing.
fn clean(bytes: &[u8], end: bool) -> (&str, Option<String>) {
    let (text, mut fault) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let at = error.valid_up_to();
            let text = std::str::from_utf8(&bytes[..at]).expect("it is valid up to there");
            let is_cut = error.error_len().is_none() && !end;
            let what = || {
                format!(
                    "byte 0x{:02X} is not UTF-8; if the system writes another encoding without saying so, write e.g. encoding = \"windows-1252\"",
                    bytes[at]
                )
            };
            (text, (!is_cut).then(what))
        }
    };
    let Some(at) = no_character(text) else {
        return (text, fault);
    };
    let letter = text[at..].chars().next().unwrap_or('\0');
    fault = Some(format!(
        "character U+{:04X} may not stand in XML",
        letter as u32
    ));
    (&text[..at], fault)
}

/// Where something first stands that XML doesn't allow, even escaped.
fn no_character(text: &str) -> Option<usize> {
    let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    let bytes = text.as_bytes();
    // Without a branch: whole blocks are looked at at once.
    let mut control = None;
    if bytes
        .iter()
        .fold(false, |found, byte| found | is_control(*byte))
    {
        control = bytes.iter().position(|byte| is_control(*byte));
    }
    let outside = if text.is_ascii() {
        None
    } else {
        text.find(['\u{FFFE}', '\u{FFFF}'])
    };
    match (control, outside) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The encoding, and how long the byte order mark is; `None` when too little is there to tell.
fn begin(
    configured: Option<Encoding>,
    bytes: &[u8],
    end: bool,
) -> Result<Option<(Charset, usize)>, String> {
    if bytes.len() < 4 && !end {
        return Ok(None);
    }
    let (mark, length) = match bytes {
        [0xEF, 0xBB, 0xBF, ..] => (Some(Charset::Utf8), 3),
        [0xFF, 0xFE, ..] => (Some(Charset::Utf16 { big: false }), 2),
        [0xFE, 0xFF, ..] => (Some(Charset::Utf16 { big: true }), 2),
        _ => (None, 0),
    };
    if let Some(configured) = configured {
        return with_configured(configured, mark, length).map(Some);
    }
    match (mark, bytes) {
        (Some(charset @ Charset::Utf16 { .. }), _) => return Ok(Some((charset, length))),
        (None, [b'<', 0, ..]) => return Ok(Some((Charset::Utf16 { big: false }, 0))),
        (None, [0, b'<', ..]) => return Ok(Some((Charset::Utf16 { big: true }, 0))),
        _ => {}
    }
    let Some(declared) = declared(&bytes[length..], end) else {
        return Ok(None);
    };
    let charset = match declared {
        None => Charset::Utf8,
        Some(name) => named(&name, mark.is_some())?,
    };
    Ok(Some((charset, length)))
}

fn with_configured(
    configured: Encoding,
    mark: Option<Charset>,
    length: usize,
) -> Result<(Charset, usize), String> {
    let charset = match (configured, mark) {
        (Encoding::Utf16, Some(marked @ Charset::Utf16 { .. })) => marked,
        (Encoding::Utf16 | Encoding::Utf16Le, _) => Charset::Utf16 { big: false },
        (Encoding::Utf16Be, _) => Charset::Utf16 { big: true },
        (Encoding::Utf8, _) => Charset::Utf8,
        (Encoding::Windows1252, _) => Charset::Windows1252,
        (Encoding::Iso88591, _) => Charset::Latin1,
        (other, _) => {
            return Err(format!(
                "XML is not read in encoding = \"{}\"; leave encoding out to follow the file's declaration",
                other.name()
            ));
        }
    };
    match mark {
        Some(marked) if marked != charset => Err(format!(
            "the file's byte order mark is not that of encoding = \"{}\"; leave encoding out to follow the mark",
            configured.name()
        )),
        _ => Ok((charset, length)),
    }
}

/// What the XML declaration says of the encoding. Outer `None`: more bytes are needed.
fn declared(bytes: &[u8], end: bool) -> Option<Option<String>> {
    let begins = b"<?xml";
    let same = bytes.len().min(begins.len());
    if bytes[..same] != begins[..same] {
        return Some(None);
    }
    let head = &bytes[..bytes.len().min(DECLARATION_BYTES_MAX)];
    let Some(close) = memchr::memmem::find(head, b"?>") else {
        let whole = end || head.len() == DECLARATION_BYTES_MAX;
        return whole.then_some(None);
    };
    let text = String::from_utf8_lossy(&head[begins.len()..close]);
    let found = super::attributes::Attributes::new(&text)
        .flatten()
        .find(|(name, _)| *name == "encoding");
    Some(found.map(|(_, value)| value.to_owned()))
}

fn named(name: &str, marked: bool) -> Result<Charset, String> {
    let charset = match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => Charset::Utf8,
        "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" => Charset::Latin1,
        "windows-1252" | "cp1252" => Charset::Windows1252,
        "utf-16" | "utf-16le" | "utf-16be" | "ucs-2" => {
            return Err(format!(
                "line 1: the file says encoding=\"{name}\", but it is written in single bytes; if that is UTF-8, write encoding = \"utf-8\""
            ));
        }
        _ => {
            return Err(format!(
                "line 1: the file says encoding=\"{name}\", which is not read; it may be UTF-8, UTF-16, ISO-8859-1 or windows-1252, and encoding = \"...\" says so where the file doesn't"
            ));
        }
    };
    if marked && charset != Charset::Utf8 {
        return Err(format!(
            "line 1: the file says encoding=\"{name}\", but begins with the byte order mark of UTF-8; write encoding = \"utf-8\" to follow the mark"
        ));
    }
    Ok(charset)
}
