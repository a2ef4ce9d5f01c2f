//! Where lines end: with LF or CRLF, or all with CR.

use super::Charset;

/// Bytes without an LF after which a file with a CR is taken for one whose lines end with CR.
const CR_FILE_BYTES: usize = 64 * 1024;

/// A line in the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) start: usize,
    /// Where its text ends.
    pub(crate) end: usize,
    /// Where the next begins.
    pub(crate) next: usize,
}

/// What is known of all whole lines of a window.
#[derive(Debug, Default)]
pub(crate) struct Survey<'w> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// They are text without a NUL.
    pub(crate) text: Option<&'w str>,
}

/// Looks at all whole lines of a window at once, from `at` on: mostly they are clean, and then each line is only split.
pub(crate) fn survey(charset: Charset, terminator: u8, window: &[u8], at: usize) -> Survey<'_> {
    let rest = &window[at..];
    let end = match charset.width() {
        1 => memchr::memrchr(terminator, rest).map(|last| last + 1),
        _ => None,
    };
    let Some(end) = end else {
        return Survey {
            start: at,
            end: window.len(),
            text: None,
        };
    };
    let lines = &rest[..end];
    let is_text = charset == Charset::Utf8 || lines.is_ascii();
    let text = std::str::from_utf8(lines)
        .ok()
        .filter(|_| is_text && memchr::memchr(0, lines).is_none());
    Survey {
        start: at,
        end: at + end,
        text,
    }
}

/// What ends a line, once enough of the file is there to tell: LF, unless there is none for long and there are CRs.
pub(crate) fn terminator(charset: Charset, rest: &[u8], end: bool) -> Option<u8> {
    // Only ever the same bytes are looked at, however many are there already.
    let head = &rest[..rest.len().min(CR_FILE_BYTES)];
    let holds = |line_end| charset.find(line_end, head, 0).is_some();
    if holds(b'\n') {
        Some(b'\n')
    } else if end || rest.len() >= CR_FILE_BYTES {
        Some(if holds(b'\r') { b'\r' } else { b'\n' })
    } else {
        None
    }
}

/// The line that begins at `start`, whose first bytes up to `from` hold no line end; `None` where its end is not in
/// the window. A line without an end stands only at the file's end.
pub(crate) fn line(
    charset: Charset,
    terminator: u8,
    rest: &[u8],
    start: usize,
    from: usize,
    end: bool,
) -> Option<Line> {
    let Some(found) = charset.find(terminator, rest, from) else {
        return (end && start < rest.len()).then_some(()).map(|()| Line {
            start,
            end: without_cr(charset, rest, start, rest.len()),
            next: rest.len(),
        });
    };
    Some(Line {
        start,
        end: without_cr(charset, rest, start, found),
        next: found + charset.width(),
    })
}

fn without_cr(charset: Charset, rest: &[u8], start: usize, end: usize) -> usize {
    if charset.ends_with(&rest[start..end], b'\r') {
        end - charset.width()
    } else {
        end
    }
}
