//! Lines that are no records: before the header, comments, footers.

use super::FOOTER_BYTES_MAX;
use super::decoder::Decoder;
use crate::FileFault;
use crate::text::{Charset, Line, lines};

impl Decoder {
    /// Whether the line at hand is passed over; `None` where more of the file must be seen to tell.
    pub(super) fn is_edge(
        &mut self,
        charset: Charset,
        rest: &[u8],
        line: Line,
        end: bool,
    ) -> Option<bool> {
        if self.skip_lines > 0 {
            self.skip_lines -= 1;
            return Some(true);
        }
        if is_empty(rest, line) || self.is_comment(charset, rest, line) {
            return Some(true);
        }
        if self.csv.config.footer_rows == 0 || self.shape.is_none() {
            return Some(false);
        }
        self.is_footer(charset, rest, line, end)
    }

    fn is_comment(&self, charset: Charset, rest: &[u8], line: Line) -> bool {
        let comment = &self.csv.config.comment;
        if comment.is_empty() {
            return false;
        }
        let line = &rest[line.start..line.end];
        if charset == Charset::Utf8 {
            return line.starts_with(comment.as_bytes());
        }
        let text = charset.decode(line);
        text.is_ok_and(|text| text.starts_with(comment.as_str()))
    }

    /// Whether less than `footer_rows` lines follow.
    fn is_footer(&self, charset: Charset, rest: &[u8], line: Line, end: bool) -> Option<bool> {
        let terminator = self.terminator.unwrap_or(b'\n');
        let (mut at, mut follow) = (line.next, 0);
        while at < rest.len() || !end {
            let Some(next) = lines::line(charset, terminator, rest, at, at, end) else {
                let is_far = rest.len() - line.next > FOOTER_BYTES_MAX;
                return is_far.then_some(false);
            };
            let is_last = end && next.next == rest.len();
            let is_dos_end = is_last && rest[next.start..] == [0x1A];
            let counts = next.start < next.end && !is_dos_end;
            follow += usize::from(counts && !self.is_comment(charset, rest, next));
            if follow == self.csv.config.footer_rows || next.next - line.next > FOOTER_BYTES_MAX {
                return Some(false);
            }
            at = next.next;
        }
        Some(true)
    }

    /// Whether the record whose cells were found is a footer; and that nothing else stands behind one.
    pub(super) fn is_told_footer(&mut self, good: bool) -> Result<bool, FileFault> {
        let footer = &self.csv.config.footer.0;
        if footer.is_empty() {
            return Ok(false);
        }
        let cell = self.fields.first().filter(|_| good);
        let cell = cell.map(|at| self.text[at.start as usize..at.end as usize].trim());
        if cell.is_some_and(|cell| footer.iter().any(|text| text == cell)) {
            self.footed = Some(self.line);
            return Ok(true);
        }
        self.footed.map_or(Ok(false), |footed| {
            Err(FileFault(format!(
                "line {}: a record stands behind the footer of line {footed}; if that is none, change footer",
                self.line
            )))
        })
    }
}

/// A line without an end stands only at the file's end, however its bytes arrive.
fn is_empty(rest: &[u8], line: Line) -> bool {
    line.start == line.end || rest[line.start..] == [0x1A]
}
