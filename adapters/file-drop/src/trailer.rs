//! `[flow.source.trailer]`: a file is complete once its last line is the one that ends it. Pure.

use dray_formats::FormatConfig;
use dray_formats::csv::Encoding;
use dray_formats::packed::Compression;
use regex::bytes::Regex;

use crate::config::FileDropConfig;
use crate::control::expression;

/// Bytes of a file's end that are looked at: a longer last line never is the one.
pub(crate) const END_BYTES_MAX: u64 = 64 * 1024;

/// The last line's expression, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Trailer(Regex);

impl Trailer {
    /// # Errors
    /// A sentence.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        if !pattern.is_ascii() {
            return Err(format!(
                "\"{pattern}\" is matched with the file's bytes; use ASCII characters, and \".\" for others"
            ));
        }
        expression(pattern).map(Self)
    }

    /// Whether the last line that is not blank is the one; `end`: the file's last bytes, all of them where `is_whole`.
    pub(crate) fn ends(&self, end: &[u8], is_whole: bool) -> bool {
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        // DOS systems end files with 0x1A, some hosts fill blocks with zeros.
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x1A);
        let text = end.iter().rposition(|byte| !is_blank(byte));
        let text = text.map_or(&end[..0], |last| &end[..=last]);
        let line = match text.iter().rposition(is_break) {
            Some(before) => &text[before + 1..],
            None if is_whole => text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text),
            None => return false,
        };
        !line.is_empty() && self.0.is_match(line)
    }
}

/// Why the last line of such files can't be looked at.
pub(crate) fn no_last_line(config: &FileDropConfig) -> Option<String> {
    let own = "leave trailer out: the format checks its own end";
    if config.compression != Compression::None {
        return Some("a packed file ends with no line of text; leave trailer out: what is cut does not unpack, and is told".into());
    }
    let (format, encoding) = match &config.format {
        FormatConfig::Copybook(copybook) if copybook.encoding.is_ebcdic() => {
            return Some(format!(
                "a file in EBCDIC has no lines; {own} by its footer's record"
            ));
        }
        FormatConfig::Xlsx(_) => return Some(format!("a workbook has no lines; {own}")),
        FormatConfig::Csv(csv) => ("csv", csv.encoding),
        FormatConfig::Fixed(fixed) => ("fixed", fixed.encoding),
        FormatConfig::Idoc(idoc) => ("idoc", idoc.encoding.unwrap_or_default()),
        FormatConfig::Xml(xml) => ("xml", xml.encoding.unwrap_or_default()),
        _ => return None,
    };
    let is_wide = matches!(
        encoding,
        Encoding::Utf16
            | Encoding::Utf16Le
            | Encoding::Utf16Be
            | Encoding::Utf32
            | Encoding::Utf32Le
            | Encoding::Utf32Be
    );
    is_wide.then(|| {
        format!("a last line is found in encodings that contain ASCII, not in UTF-16 or UTF-32; leave trailer out, and have kind = \"{format}\" check its own trailer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_with_its_last_line_that_is_not_blank() {
        let trailer = Trailer::new("^TRL\\|").expect("an expression");
        let long = [b"TRL|".to_vec(), vec![b'x'; 70_000]].concat();
        for (end, is_whole, expected) in [
            (&b"A|1\nTRL|1\n"[..], true, true),
            (b"A|1\r\nTRL|1\r\n\r\n  \r\n", true, true),
            (b"A|1\rTRL|1\r", true, true),
            (b"A|1\nTRL|1\n\x1A", true, true),
            (b"TRL|1", true, true),
            (b"\xEF\xBB\xBFTRL|0", true, true),
            (b"TRL|1\nA|1\n", true, false),
            (b"A|TRL|1\n", true, false),
            (b"A|1\nTR", true, false),
            (b"", true, false),
            (b"\n\n", true, false),
            (b"TRL|1", false, false),
            (b"x\nTRL|1", false, true),
            (&long, false, false),
        ] {
            let shown = String::from_utf8_lossy(&end[..end.len().min(40)]).into_owned();
            assert_eq!(trailer.ends(end, is_whole), expected, "{shown:?}");
        }
    }
}
