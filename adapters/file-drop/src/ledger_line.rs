//! A line of the ledger as text. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::position::Content;
use crate::ready::Look;

/// Bytes of a reason that are kept.
const REASON_BYTES_MAX: usize = 500;

/// How a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// On this machine's disk.
    Appended,
    /// On the collector's disk.
    Acked,
    /// It could not be read whole.
    Failed,
    /// Its content was there before.
    Repeated,
}

const ENDS: [(&str, Ended); 4] = [
    ("appended", Ended::Appended),
    ("acked", Ended::Acked),
    ("failed", Ended::Failed),
    ("repeated", Ended::Repeated),
];
/// What takes a name out.
const AGAIN: &str = "again";

impl Ended {
    /// Whether its content was sent.
    pub(crate) fn is_sent(self) -> bool {
        self != Self::Failed
    }
}

/// What is known of a file that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) ended: Ended,
    pub(crate) content: Content,
    /// As it was when it was read.
    pub(crate) look: Look,
    /// Seconds since 1970.
    pub(crate) taken_s: u64,
    /// When it was found to have left the folder; 0 while it is there.
    pub(crate) gone_s: u64,
    /// Why it failed.
    pub(crate) reason: Box<str>,
    /// Its place among those that were taken. Not in the text.
    pub(crate) number: u64,
    /// The number of the scan that saw it last. Not in the text.
    pub(crate) seen: u32,
}

/// With a line's end. `None`: the name is taken out.
pub(crate) fn line(name: &OsStr, line: Option<&Line>) -> String {
    let name = escape(name.as_bytes());
    let Some(line) = line else {
        return format!("{AGAIN}\t{name}\n");
    };
    let ended = ENDS.iter().find(|(_, ended)| *ended == line.ended);
    let Line { content, look, .. } = line;
    format!(
        "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{name}\t{}\n",
        ended.map_or("", |(word, _)| word),
        hex::encode(content.sha256),
        content.bytes,
        content.repeat,
        look.modified_us,
        look.inode,
        look.born_us,
        line.taken_s,
        line.gone_s,
        escape(&line.reason.as_bytes()[..line.reason.len().min(REASON_BYTES_MAX)]),
    )
}

/// `None` for what is no whole line.
pub(crate) fn parse(text: &[u8]) -> Option<(OsString, Option<Line>)> {
    let mut parts = std::str::from_utf8(text).ok()?.split('\t');
    let word = parts.next()?;
    if word == AGAIN {
        let name = OsString::from_vec(unescape(parts.next()?)?);
        return parts.next().is_none().then_some((name, None));
    }
    let (_, ended) = ENDS.iter().find(|(known, _)| *known == word)?;
    let mut sha256 = [0; 32];
    hex::decode_to_slice(parts.next()?, &mut sha256).ok()?;
    let bytes = parts.next()?.parse().ok()?;
    let content = Content {
        sha256,
        bytes,
        repeat: parts.next()?.parse().ok()?,
    };
    let look = Look {
        bytes,
        modified_us: parts.next()?.parse().ok()?,
        inode: parts.next()?.parse().ok()?,
        born_us: parts.next()?.parse().ok()?,
    };
    let (taken_s, gone_s) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let name = OsString::from_vec(unescape(parts.next()?)?);
    let reason = String::from_utf8_lossy(&unescape(parts.next()?)?).into();
    let line = Line {
        ended: *ended,
        content,
        look,
        taken_s,
        gone_s,
        reason,
        number: 0,
        seen: 0,
    };
    parts.next().is_none().then_some((name, Some(line)))
}

/// An end that is cut off must not read as another name: the last byte of each text is a mark.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 1);
    for byte in bytes {
        match byte {
            b'%' | b'$' | ..=b' ' | 0x7F.. => out.push_str(&format!("%{byte:02x}")),
            plain => out.push(char::from(*plain)),
        }
    }
    out.push('$');
    out
}

pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.strip_suffix('$')?;
    while let Some((plain, coded)) = rest.split_once('%') {
        out.extend_from_slice(plain.as_bytes());
        let (hex, after) = coded.split_at_checked(2)?;
        out.push(u8::from_str_radix(hex, 16).ok()?);
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_a_torn_one_is_not() {
        for (name, reason) in [
            ("a.txt", ""),
            ("ü\t%\n$.txt", "line 3: \"x\" is no number"),
            ("", "$"),
        ] {
            let whole = Line {
                ended: Ended::Failed,
                content: Content {
                    sha256: [0xA7; 32],
                    bytes: 148,
                    repeat: 3,
                },
                look: Look {
                    bytes: 148,
                    modified_us: -5,
                    inode: 9,
                    born_us: 4,
                },
                taken_s: 1_700_000_000,
                gone_s: 7,
                reason: reason.into(),
                number: 0,
                seen: 0,
            };
            for written in [Some(whole), None] {
                let text = line(name.as_ref(), written.as_ref());
                let text = text.trim_end_matches('\n').as_bytes();
                assert_eq!(parse(text), Some((name.into(), written)));
                for cut in 0..text.len() {
                    assert_eq!(parse(&text[..cut]), None, "torn after {cut}");
                    let glued = [&text[..cut], text].concat();
                    assert!(cut == 0 || parse(&glued).is_none(), "torn after {cut}");
                }
            }
        }
        assert_eq!(parse(&[0; 80]), None);
    }
}
