//! Where the parts are.

use std::ops::Range;

use memchr::memmem::Finder;

use super::{Fault, HEADERS_BYTES_MAX, PADDING_BYTES_MAX, PARTS_MAX};
use crate::content::Content;

/// A part's place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PartAt {
    /// Its `Content-ID`, without brackets.
    pub(super) id: Option<String>,
    /// How its bytes are written.
    pub(super) encoding: Encoding,
    /// Its bytes.
    pub(super) bytes: Range<u64>,
}

/// `Content-Transfer-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Encoding {
    /// As they are.
    #[default]
    Binary,
    /// In Base64 already.
    Base64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The first delimiter, with text before it that says nothing.
    Preamble,
    /// What stands behind a delimiter: the end, or a line's.
    Delimiter,
    Headers,
    Body,
    /// What follows the last delimiter says nothing.
    Epilogue,
}

struct Layout {
    delimiter: Vec<u8>,
    state: State,
    /// Bytes before the window.
    at: u64,
    parts: Vec<PartAt>,
}

/// Finds the parts of a content.
pub(super) fn parts(content: &mut Content, boundary: &str) -> Result<Vec<PartAt>, Fault> {
    let mut layout = Layout {
        delimiter: format!("\r\n--{boundary}").into_bytes(),
        state: State::Preamble,
        at: 0,
        parts: Vec::new(),
    };
    content.read::<Fault>(&mut |window, end| {
        let mut taken = 0;
        loop {
            let (more, waits) = layout.step(&window[taken..]).map_err(Fault::Wrong)?;
            taken += more;
            layout.at += more as u64;
            if !waits {
                continue;
            }
            let is_over = layout.state == State::Epilogue;
            if end && !is_over {
                return Err(Fault::Wrong(
                    "the last part is not closed: the answer was cut off".into(),
                ));
            }
            return Ok((taken, is_over));
        }
    })?;
    content.rewind()?;
    Ok(layout.parts)
}

impl Layout {
    /// How many bytes are done, and whether more are needed for the next.
    fn step(&mut self, window: &[u8]) -> Result<(usize, bool), String> {
        match self.state {
            State::Preamble => Ok(self.preamble(window)),
            State::Delimiter => self.delimiter(window),
            State::Headers => self.headers(window),
            State::Body => Ok(self.body(window)),
            State::Epilogue => Ok((0, true)),
        }
    }

    /// The first delimiter may stand at the very beginning, without a line's end before it.
    fn preamble(&mut self, window: &[u8]) -> (usize, bool) {
        let bare = &self.delimiter[2..];
        if self.at == 0 && window.len() < bare.len() {
            return (0, true);
        }
        if self.at == 0 && window.starts_with(bare) {
            self.state = State::Delimiter;
            return (bare.len(), false);
        }
        match Finder::new(&self.delimiter).find(window) {
            Some(found) => {
                self.state = State::Delimiter;
                (found + self.delimiter.len(), false)
            }
            None => (self.all_but_a_delimiter(window), true),
        }
    }

    /// What may not be the beginning of a delimiter.
    fn all_but_a_delimiter(&self, window: &[u8]) -> usize {
        (window.len() + 1).saturating_sub(self.delimiter.len())
    }

    fn delimiter(&mut self, window: &[u8]) -> Result<(usize, bool), String> {
        if window.starts_with(b"--") {
            self.state = State::Epilogue;
            return Ok((2, true));
        }
        let blank = window
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        if blank > PADDING_BYTES_MAX {
            return Err(format!(
                "more than {PADDING_BYTES_MAX} blanks stand behind a delimiter"
            ));
        }
        let behind = &window[blank..];
        if behind.len() < 2 {
            return Ok((0, true));
        }
        if !behind.starts_with(b"\r\n") {
            return Err("something else stands behind a delimiter than a line's end".into());
        }
        if self.parts.len() == PARTS_MAX {
            return Err(format!("there are more than {PARTS_MAX} parts"));
        }
        self.state = State::Headers;
        // The line's end is the headers' too, where there are none.
        Ok((blank, false))
    }

    /// Headers, from the line's end before them to the empty line behind them.
    fn headers(&mut self, window: &[u8]) -> Result<(usize, bool), String> {
        const END: &[u8] = b"\r\n\r\n";
        let longest = &window[..window.len().min(HEADERS_BYTES_MAX + END.len())];
        let Some(end) = Finder::new(END).find(longest) else {
            if longest.len() == HEADERS_BYTES_MAX + END.len() {
                return Err(format!(
                    "the headers of a part are longer than {HEADERS_BYTES_MAX} bytes"
                ));
            }
            return Ok((0, true));
        };
        let mut part = part(&String::from_utf8_lossy(&window[..end]))?;
        let bytes = self.at + end as u64 + 4;
        part.bytes = bytes..bytes;
        self.parts.push(part);
        self.state = State::Body;
        // An empty body's delimiter begins with the empty line's end.
        Ok((end + 2, false))
    }

    fn body(&mut self, window: &[u8]) -> (usize, bool) {
        let Some(found) = Finder::new(&self.delimiter).find(window) else {
            return (self.all_but_a_delimiter(window), true);
        };
        if let Some(part) = self.parts.last_mut() {
            part.bytes.end = part.bytes.start.max(self.at + found as u64);
        }
        self.state = State::Delimiter;
        (found + self.delimiter.len(), false)
    }
}

fn part(headers: &str) -> Result<PartAt, String> {
    let mut part = PartAt::default();
    let headers = headers.lines().filter_map(|line| line.split_once(':'));
    for (name, value) in headers {
        match name.trim().to_ascii_lowercase().as_str() {
            "content-id" => part.id = Some(super::bare(value).to_owned()),
            "content-transfer-encoding" => {
                part.encoding = match value.trim().to_ascii_lowercase().as_str() {
                    "" | "binary" | "8bit" | "7bit" => Encoding::Binary,
                    "base64" => Encoding::Base64,
                    other => {
                        return Err(format!("a part is encoded as {other}, which is not read"));
                    }
                };
            }
            _ => {}
        }
    }
    Ok(part)
}
