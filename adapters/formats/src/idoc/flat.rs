//! IDocs as lines of fixed places.

use std::collections::HashMap;

use super::hold::Hold;
use super::layouts::CONTROL;
use super::plan::Meaning;
use super::{CONTROL_LENGTH, DEPTH_MAX, HEAD_LENGTH, LINE_BYTES_MAX, SEGMENT_LENGTH};
use crate::csv::Encoding;
use crate::text::encoding::{self, Charset};
use crate::{Decoded, FileFault, Sink};

/// Names of segments that are remembered with what they mean.
const NAMES_MAX: usize = 1_000;

/// An open segment.
#[derive(Debug)]
struct Open {
    number: u32,
    level: u32,
    layout: Option<u16>,
}

#[derive(Debug)]
pub(super) struct Flat {
    encoding: Encoding,
    charset: Option<Charset>,
    line: u64,
    document: String,
    number: u32,
    open: Vec<Open>,
    names: HashMap<String, Meaning>,
}

impl Flat {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            charset: None,
            line: 1,
            document: String::new(),
            number: 0,
            open: Vec::new(),
            names: HashMap::new(),
        }
    }

    pub(super) fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        hold: &mut Hold,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let mut at = 0;
        let charset = match self.charset {
            Some(charset) => charset,
            None => {
                let (charset, mark) = encoding::begin(self.encoding, window)?;
                (self.charset, at) = (Some(charset), mark);
                charset
            }
        };
        while !sink.full() {
            let rest = &window[at..];
            let found = charset.find(b'\n', rest, 0);
            let (length, next) = match found {
                Some(length) => (length, length + charset.width()),
                None if end => (rest.len(), rest.len()),
                None => (0, 0),
            };
            if length > LINE_BYTES_MAX || (found.is_none() && rest.len() > LINE_BYTES_MAX) {
                return Err(self.fault(&format!("the line is longer than {LINE_BYTES_MAX} bytes; a flat IDoc has one segment a line")));
            }
            if next == 0 {
                if end {
                    hold.finish();
                    let done = hold.hand_out(sink);
                    return Ok(Decoded { bytes: at, done });
                }
                break;
            }
            if !self.line(charset, &rest[..length], &rest[..next], hold, sink)? {
                break;
            }
            at += next;
        }
        Ok(Decoded {
            bytes: at,
            done: false,
        })
    }

    fn fault(&self, what: &str) -> FileFault {
        FileFault(format!("line {}: {what}", self.line))
    }

    /// A line; whether it could be taken: not while the IDoc before is not all handed out.
    fn line<S: Sink>(
        &mut self,
        charset: Charset,
        bytes: &[u8],
        whole: &[u8],
        hold: &mut Hold,
        sink: &mut S,
    ) -> Result<bool, FileFault> {
        let bytes = if charset.ends_with(bytes, b'\r') {
            &bytes[..bytes.len() - charset.width()]
        } else {
            bytes
        };
        let text = charset.decode(bytes);
        let shown = text
            .as_deref()
            .unwrap_or("")
            .trim_end_matches([' ', '\u{1a}']);
        if shown.starts_with("EDI_DC40") {
            hold.finish();
            if !hold.hand_out(sink) || sink.full() {
                return Ok(false);
            }
            hold.begin(self.line);
            hold.raw.push(whole);
            self.control(shown, hold);
        } else if !hold.is_open() {
            self.outside(&text, shown)?;
        } else {
            let start = hold.raw.length();
            hold.raw.push(whole);
            match &text {
                Err(what) => hold.refuse(self.line, what),
                Ok(_) if shown.is_empty() || hold.is_bad() => {}
                Ok(_) => {
                    let held = hold.last_held();
                    if let Err(what) = self.segment(shown, hold)? {
                        hold.refuse(self.line, &what);
                    } else if hold.last_held() != held {
                        hold.place(
                            hold.last_held().unwrap_or(0),
                            start,
                            start + bytes.len() as u64,
                        );
                    }
                }
            }
        }
        self.line += 1;
        Ok(true)
    }

    /// Before the first control record nothing may stand.
    fn outside(
        &self,
        text: &Result<std::borrow::Cow<'_, str>, String>,
        shown: &str,
    ) -> Result<(), FileFault> {
        if let Err(what) = text {
            return Err(self.fault(what));
        }
        if shown.is_empty() {
            return Ok(());
        }
        if shown.starts_with("EDI_DC") {
            return Err(self.fault(
                "a control record of release 3 (EDI_DC) stands here; let the port write EDI_DC40",
            ));
        }
        let begins: String = shown.chars().take(30).collect();
        Err(self.fault(&format!(
            "\"{begins}\" stands before any control record; an IDoc begins with EDI_DC40"
        )))
    }

    fn control(&mut self, line: &str, hold: &mut Hold) {
        self.number = 0;
        self.open.clear();
        hold.block();
        hold.push_text(line);
        let start: usize = CONTROL
            .iter()
            .take_while(|(name, _)| *name != "DOCNUM")
            .map(|(_, width)| width)
            .sum();
        self.document.clear();
        self.document.push_str(part(line, start, start + 16).trim());
        hold.document(&self.document);
        if line.chars().count() > CONTROL_LENGTH {
            hold.refuse(
                self.line,
                &format!("the control record has more than {CONTROL_LENGTH} characters"),
            );
        } else if self.document.is_empty() {
            hold.refuse(self.line, "the control record has no DOCNUM");
        }
    }

    /// A data record: what is wrong with it makes the IDoc a bad one.
    fn segment(&mut self, line: &str, hold: &mut Hold) -> Result<Result<(), String>, FileFault> {
        let name = part(line, 0, 30).trim_end();
        let meaning = self.meaning(name, hold);
        let layout = match meaning {
            Meaning::Known(layout) => Some(layout),
            Meaning::Ignored => None,
            Meaning::Unknown => {
                return Ok(Err(format!(
                    "segment {name} is not known: write a [[segment]] for it, or ignore = [\"{name}\"]"
                )));
            }
        };
        if line.len() > HEAD_LENGTH + SEGMENT_LENGTH
            && line.chars().count() > HEAD_LENGTH + SEGMENT_LENGTH
        {
            return Ok(Err(format!(
                "segment {name} has more than {} characters",
                HEAD_LENGTH + SEGMENT_LENGTH
            )));
        }
        if let Err(what) = self.nest(line, name, layout, hold) {
            return Ok(Err(what));
        }
        let Some(layout) = layout else {
            return Ok(Ok(()));
        };
        let known = &hold.plan.layouts[layout as usize];
        if known.record.is_none() && !known.carried {
            return Ok(Ok(()));
        }
        if !known.has_widths {
            return Err(self.fault(&format!("segment {name} is configured without the widths of its fields, which only XML can do without")));
        }
        hold.block();
        hold.push_text(part(line, HEAD_LENGTH, usize::MAX));
        hold.segment(layout, self.line, self.open.len() - 1);
        Ok(Ok(()))
    }

    fn meaning(&mut self, name: &str, hold: &Hold) -> Meaning {
        if let Some(meaning) = self.names.get(name) {
            return *meaning;
        }
        let meaning = hold.plan.meaning(name);
        if self.names.len() < NAMES_MAX {
            self.names.insert(name.to_owned(), meaning);
        }
        meaning
    }

    /// Opens a segment below the one that it says: by PSGNUM, else by HLEVEL, else as it is configured.
    fn nest(
        &mut self,
        line: &str,
        name: &str,
        layout: Option<u16>,
        hold: &mut Hold,
    ) -> Result<(), String> {
        let document = part(line, 33, 49).trim();
        if !document.is_empty() && document != self.document {
            return Err(format!(
                "segment {name} has DOCNUM {document}, and its control record {}",
                self.document
            ));
        }
        let number = |from, to, field| {
            let text = part(line, from, to).trim();
            let number = if text.is_empty() {
                Some(0)
            } else {
                text.parse::<u32>().ok()
            };
            number.ok_or_else(|| format!("segment {name}: {field} \"{text}\" is no number"))
        };
        let (segment, parent, level) = (
            number(49, 55, "SEGNUM")?,
            number(55, 61, "PSGNUM")?,
            number(61, 63, "HLEVEL")?,
        );
        self.number += 1;
        if segment > 0 && segment != self.number {
            return Err(format!(
                "segment {name} has SEGNUM {segment}, and {} is expected: a segment is missing, or stands elsewhere",
                self.number
            ));
        }
        let depth = if parent > 0 {
            let above = self.open.iter().rposition(|open| open.number == parent);
            1 + above.ok_or_else(|| {
                format!("segment {name} stands below segment {parent} (PSGNUM), which is not open")
            })?
        } else if level > 1 {
            self.open
                .iter()
                .position(|open| open.level >= level)
                .unwrap_or(self.open.len())
        } else {
            let parent = layout.and_then(|layout| hold.plan.layouts[layout as usize].parent);
            parent
                .and_then(|parent| {
                    self.open
                        .iter()
                        .rposition(|open| open.layout == Some(parent))
                })
                .map_or(0, |above| above + 1)
        };
        if depth >= DEPTH_MAX {
            return Err(format!(
                "segments stand in one another more than {DEPTH_MAX} deep"
            ));
        }
        self.open.truncate(depth);
        hold.leave(depth);
        self.open.push(Open {
            number: self.number,
            level,
            layout,
        });
        Ok(())
    }
}

/// Characters `from` to `to` of a line, as far as it has them.
fn part(line: &str, from: usize, to: usize) -> &str {
    if line.is_ascii() {
        return &line[from.min(line.len())..to.min(line.len())];
    }
    let place = |letters: usize| {
        line.char_indices()
            .nth(letters)
            .map_or(line.len(), |(at, _)| at)
    };
    &line[place(from)..place(to)]
}
