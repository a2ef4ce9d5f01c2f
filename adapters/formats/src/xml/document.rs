//! Drives a reader of elements over windows.

use super::elements::{Elements, Event};
use super::input::{Charset, Input};
use super::names;
use crate::raw::Raw;
use crate::{Decoded, FileFault, Sink};

/// Takes the elements of a file.
pub(crate) trait Handler {
    /// The next event; an error sets the file aside.
    fn event<S: Sink>(
        &mut self,
        event: &Event<'_>,
        elements: &Elements,
        at: &mut At<'_>,
        sink: &mut S,
    ) -> Result<(), String>;

    /// The text at hand goes away: what is needed of it is kept now.
    fn pause(&mut self, at: &At<'_>);
}

/// Where an event stands.
#[derive(Debug)]
pub(crate) struct At<'a> {
    text: &'a str,
    charset: Charset,
    /// The event's first byte in the text at hand.
    pub(crate) start: usize,
    /// One past its last.
    pub(crate) end: usize,
    line: u64,
    counted: usize,
}

impl At<'_> {
    /// The event as the document writes it.
    pub(crate) fn written(&self) -> &str {
        &self.text[self.start..self.end]
    }

    /// The line on which the event begins.
    pub(crate) fn line(&mut self) -> u64 {
        let counted = self.counted.max(self.start);
        self.line +=
            memchr::memchr_iter(b'\n', &self.text.as_bytes()[self.counted..counted]).count() as u64;
        self.counted = counted;
        self.line
    }

    /// Adds the file's bytes from one place of the text to another.
    pub(crate) fn keep(&self, from: usize, to: usize, raw: &mut Raw, bytes: &mut Vec<u8>) {
        let text = &self.text[from..to];
        if self.charset == Charset::Utf8 {
            raw.push(text.as_bytes());
        } else {
            bytes.clear();
            self.charset.encode(text, bytes);
            raw.push(bytes);
        }
    }

    /// The file's bytes from `from` to the event's end, where they are the text's.
    pub(crate) fn bytes(&self, from: usize) -> Option<&[u8]> {
        (self.charset == Charset::Utf8).then(|| &self.text.as_bytes()[from..self.end])
    }
}

/// A file being read.
#[derive(Debug)]
pub(crate) struct Document {
    input: Input,
    elements: Elements,
    /// Of the text's beginning.
    line: u64,
}

impl Document {
    pub(crate) fn new(input: Input, elements: Elements) -> Self {
        Self {
            input,
            elements,
            line: 1,
        }
    }

    /// As [`crate::Decoder::decode`].
    pub(crate) fn decode<S: Sink, H: Handler>(
        &mut self,
        window: &[u8],
        end: bool,
        handler: &mut H,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let mut taken = 0;
        loop {
            let Some(view) = self.input.view(&window[taken..], end).map_err(FileFault)? else {
                return Ok(Decoded {
                    bytes: taken,
                    done: false,
                });
            };
            taken += view.taken;
            let mut at = At {
                text: view.text,
                charset: view.charset,
                start: 0,
                end: 0,
                line: self.line,
                counted: 0,
            };
            let mut stalled = false;
            while !stalled && !sink.full() {
                at.start = at.end;
                let found = self.elements.next(&view.text[at.end..], view.last);
                let handled = found.and_then(|found| {
                    let Some((event, bytes)) = found else {
                        return Ok(false);
                    };
                    at.end += bytes;
                    handler
                        .event(&event, &self.elements, &mut at, sink)
                        .map(|()| true)
                });
                stalled = !handled.map_err(|what| fault(&mut at, &what))?;
            }
            if stalled && let Some(what) = &view.fault {
                at.start = view.text.len();
                return Err(fault(&mut at, what));
            }
            at.start = at.end;
            handler.pause(&at);
            self.line = at.line();
            let (is_window, last, moved) = (view.is_window, view.last, view.taken + at.end > 0);
            let done = at.end;
            if is_window {
                taken += done;
            } else {
                self.input.take(done);
            }
            if !stalled || is_window || last || !moved {
                return Ok(Decoded {
                    bytes: taken,
                    done: stalled && last,
                });
            }
        }
    }
}

/// With the line of the first letter: where a text is cut, and how much white space a piece of it begins with, is nobody's concern.
fn fault(at: &mut At<'_>, what: &str) -> FileFault {
    let rest = &at.text.as_bytes()[at.start..];
    let space = rest.iter().take_while(|byte| names::is_space(**byte));
    at.start += space.count();
    FileFault(format!("line {}: {what}", at.line()))
}
