//! The elements of an array within one JSON value.

use std::sync::Arc;

use super::KEY_BYTES_MAX;
use super::around::Around;
use super::cells::{Cells, Plan};
use super::config::JsonConfig;
use super::path::{self, Step};
use super::scan::{Event, Scan};
use crate::raw::Raw;
use crate::{Decoded, FieldAt, FileFault, GoodRecord, RECORD_BYTES_MAX, Sink};

/// A format, compiled. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Json {
    plan: Arc<Plan>,
    steps: Arc<[Step]>,
    record: Arc<str>,
}

impl Json {
    /// Compiles a format.
    ///
    /// # Errors
    /// The first of [`JsonConfig::faults`].
    pub fn new(config: &JsonConfig) -> Result<Self, String> {
        if let Some((_, sentence)) = config.faults().into_iter().next() {
            return Err(sentence);
        }
        Ok(Self {
            plan: Arc::new(Plan::new(&config.fields)?),
            steps: path::record(&config.record)?.into(),
            record: config.record.as_str().into(),
        })
    }

    /// The same, its records called so.
    #[must_use]
    pub fn of_type(mut self, record_type: &str) -> Self {
        self.plan = Arc::new(self.plan.of_type(record_type));
        self
    }

    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are counted and not handed out.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        Decoder {
            around: Around::new(&self.plan, &self.steps),
            json: self.clone(),
            scan: Scan::new(),
            begun: false,
            spot: Spot {
                line: 1,
                column: 1,
                counted: 0,
            },
            ordinal: 0,
            skip,
            on_path: 0,
            key: Vec::new(),
            held: None,
            raw: Raw::default(),
            cells: Cells::default(),
            text: String::new(),
            fields: Vec::new(),
        }
    }
}

/// Line and column, from 1.
#[derive(Debug, Clone, Copy)]
struct Spot {
    line: u64,
    column: u64,
    counted: usize,
}

impl Spot {
    fn go_to(&mut self, bytes: &[u8], at: usize) {
        let passed = &bytes[self.counted..at.max(self.counted)];
        let lines = memchr::memchr_iter(b'\n', passed).count() as u64;
        let from = memchr::memrchr(b'\n', passed).map_or(0, |last| last + 1);
        let letters = passed[from..]
            .iter()
            .filter(|byte| **byte & 0xC0 != 0x80)
            .count() as u64;
        self.column = if lines > 0 {
            1 + letters
        } else {
            self.column + letters
        };
        self.line += lines;
        self.counted = at.max(self.counted);
    }
}

/// A value whose bytes are wanted.
#[derive(Debug)]
struct Held {
    /// How many objects and arrays it is in.
    depth: usize,
    line: u64,
    /// Where in the window it begins, or goes on.
    from: usize,
    /// Of an object around records: which, and the paths' tree for it. `None`: a record.
    around: Option<(usize, u16)>,
}

/// Decodes one file. See [`Json::decoder`].
#[derive(Debug)]
pub struct Decoder {
    json: Json,
    scan: Scan,
    begun: bool,
    spot: Spot,
    ordinal: u64,
    skip: u64,
    /// How many of the open objects and arrays lead to records.
    on_path: usize,
    /// The last key, as written.
    key: Vec<u8>,
    held: Option<Held>,
    raw: Raw,
    around: Around,
    cells: Cells,
    text: String,
    fields: Vec<FieldAt>,
}

/// What a file begins with: how long a byte order mark is; `None` where more bytes are needed to tell.
pub(super) fn mark(bytes: &[u8], end: bool) -> Result<Option<usize>, String> {
    if bytes.len() < 4 && !end {
        return Ok(None);
    }
    if bytes.starts_with(b"\xFF\xFE")
        || bytes.starts_with(b"\xFE\xFF")
        || bytes.iter().take(4).any(|byte| *byte == 0)
    {
        return Err("line 1, column 1: the file is UTF-16 or UTF-32, and JSON between systems is UTF-8 (RFC 8259, section 8.1); let the system write that".into());
    }
    Ok(Some(if bytes.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    }))
}

impl Decoder {
    /// Decodes what it can of `window`: see [`crate::Decoder::decode`].
    ///
    /// # Errors
    /// [`FileFault`] where the file is no JSON, is cut, has something else where the path of the records leads, or a value behind records that need it.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let mut at = 0;
        self.spot.counted = 0;
        if !self.begun {
            let Some(mark) = mark(window, end).map_err(FileFault)? else {
                return Ok(Decoded {
                    bytes: 0,
                    done: false,
                });
            };
            self.begun = true;
            (at, self.spot.counted) = (mark, mark);
        }
        let mut stalled = false;
        while !stalled && !sink.full() {
            match self.scan.next(&window[at..], end) {
                Ok(None) => stalled = true,
                Ok(Some((Event::Passed, length))) => at += length,
                Ok(Some((event, length))) => {
                    let handled = self.event(event, window, at, at + length, sink);
                    handled.map_err(|(place, what)| self.fault(window, place, &what))?;
                    at += length;
                }
                Err(wrong) => return Err(self.fault(window, at + wrong.at, &wrong.what)),
            }
        }
        if let Some(held) = &mut self.held {
            self.raw.push(&window[held.from..at]);
            held.from = 0;
        }
        self.spot.go_to(window, at);
        Ok(Decoded {
            bytes: at,
            done: stalled && end,
        })
    }

    /// The ordinal of the next record or bad record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    fn fault(&mut self, window: &[u8], at: usize, what: &str) -> FileFault {
        self.spot.go_to(window, at);
        FileFault(format!(
            "line {}, column {}: {what}",
            self.spot.line, self.spot.column
        ))
    }

    fn event<S: Sink>(
        &mut self,
        event: Event,
        window: &[u8],
        start: usize,
        end: usize,
        sink: &mut S,
    ) -> Result<(), (usize, String)> {
        let depth = self.scan.depth();
        let (begins, ends) = match event {
            Event::Begin(kind) => (Some((kind, depth - 1)), false),
            Event::Scalar => (Some((window[start], depth)), true),
            Event::Text {
                key: false,
                first,
                last,
            } => (first.then_some((b'"', depth)), last),
            Event::End => (None, true),
            Event::Text {
                key: true, first, ..
            } => {
                self.take_key(first, &window[start..end]);
                return Ok(());
            }
            Event::Passed => return Ok(()),
        };
        if self.held.is_none()
            && let Some((kind, depth)) = begins
            && depth == self.on_path
        {
            self.begin(kind, depth, window, start)
                .map_err(|what| (start, what))?;
        }
        if !ends {
            return Ok(());
        }
        if let Some(held) = self.held.take_if(|held| held.depth == depth) {
            return self
                .end(&held, window, end, sink)
                .map_err(|what| (end, what));
        }
        if event == Event::End && depth < self.on_path {
            self.on_path = depth;
            return self.check_entered(depth).map_err(|what| (start, what));
        }
        Ok(())
    }

    fn take_key(&mut self, first: bool, part: &[u8]) {
        if self.held.is_some() || self.scan.depth() != self.on_path {
            return;
        }
        if first {
            self.key.clear();
        }
        let room = KEY_BYTES_MAX + 3 - self.key.len().min(KEY_BYTES_MAX + 3);
        self.key.extend_from_slice(&part[..part.len().min(room)]);
    }

    /// The last key; nothing where no path could name it.
    fn key(&self) -> Option<String> {
        let written = self.key.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let mut key = String::new();
        super::cells::unescape(std::str::from_utf8(written).ok()?, &mut key).ok()?;
        Some(key)
    }

    /// A value begins that may be a record, lead to some, or be one of an object around them.
    fn begin(&mut self, kind: u8, depth: usize, window: &[u8], start: usize) -> Result<(), String> {
        let steps = Arc::clone(&self.json.steps);
        if depth == steps.len() + 1 {
            self.hold(depth, window, start, None);
            return Ok(());
        }
        if let Some(Step::Key(wanted)) = depth.checked_sub(1).map(|step| &steps[step]) {
            let Some(key) = self.key() else { return Ok(()) };
            if key != *wanted {
                if let Some(node) = self.around.wants(&self.json.plan, depth - 1, &key)? {
                    self.hold(depth, window, start, Some((depth - 1, node)));
                }
                return Ok(());
            }
            self.around.enter(depth - 1, wanted)?;
        }
        let is_null = kind == b'n';
        match steps.get(depth) {
            _ if is_null => {}
            None if kind == b'[' => self.on_path += 1,
            None => self.hold(depth, window, start, None),
            Some(Step::Key(_)) if kind == b'{' => {
                self.on_path += 1;
                self.around.open(depth);
            }
            Some(Step::Each) if kind == b'[' => self.on_path += 1,
            Some(step) => return Err(self.mismatch(step, depth)),
        }
        Ok(())
    }

    fn mismatch(&self, step: &Step, depth: usize) -> String {
        let so_far: Vec<&str> = self.json.record.split('/').take(depth + 1).collect();
        let so_far = so_far.join("/");
        let record = &self.json.record;
        match step {
            Step::Each => {
                format!("record = \"{record}\", but what stands at \"{so_far}\" is no array")
            }
            Step::Key(key) => format!(
                "record = \"{record}\", but what stands at \"{so_far}\" is no object with a member \"{key}\"; for each element of an array write *"
            ),
        }
    }

    /// Up to the first `*`, all that the path names must be there: else this is another kind of file, not one without records.
    fn check_entered(&self, depth: usize) -> Result<(), String> {
        let is_one = self
            .json
            .steps
            .iter()
            .take(depth + 1)
            .all(|step| *step != Step::Each);
        match self.json.steps.get(depth) {
            Some(Step::Key(key)) if is_one && !self.around.is_entered(depth) => Err(format!(
                "record = \"{}\", but this object ends without a member \"{key}\"",
                self.json.record
            )),
            _ => Ok(()),
        }
    }

    fn hold(&mut self, depth: usize, window: &[u8], start: usize, around: Option<(usize, u16)>) {
        self.raw.clear();
        self.spot.go_to(window, start);
        if around.is_none() {
            self.around.has_records();
        }
        self.held = Some(Held {
            depth,
            line: self.spot.line,
            from: start,
            around,
        });
    }

    /// What was held is whole.
    fn end<S: Sink>(
        &mut self,
        held: &Held,
        window: &[u8],
        end: usize,
        sink: &mut S,
    ) -> Result<(), String> {
        let part = &window[held.from..end];
        let whole = self.raw.length() == 0 && part.len() <= RECORD_BYTES_MAX;
        if !whole {
            self.raw.push(part);
        }
        let bytes = if whole { part } else { self.raw.bytes() };
        if let Some((object, node)) = held.around {
            let bytes = if self.raw.is_too_long() {
                None
            } else {
                Some(bytes)
            };
            return self
                .around
                .take(&self.json.plan, &mut self.cells, object, node, bytes);
        }
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal < self.skip {
            return Ok(());
        }
        if self.raw.is_too_long() {
            let reason = format!(
                "the record is {} bytes long, at most {RECORD_BYTES_MAX} are possible",
                self.raw.length()
            );
            self.raw.reject(sink, ordinal, held.line, &reason);
            return Ok(());
        }
        let text = std::str::from_utf8(bytes).expect("the grammar was held");
        if let Err(reason) = self.cells.find(&self.json.plan, text) {
            crate::sink::reject(sink, ordinal, held.line, &reason, bytes);
            return Ok(());
        }
        let mut record = GoodRecord {
            shape: &self.json.plan.shape,
            ordinal,
            line: held.line,
            text,
            raw: None,
            fields: &[],
        };
        if S::FIELDS {
            self.fields.clear();
            self.text.clear();
            if self.cells.resolved.is_empty() && self.around.is_none() {
                self.cells.fields(&mut self.text, &mut self.fields);
            } else {
                self.text.push_str(text);
                self.cells.fields(&mut self.text, &mut self.fields);
                self.around
                    .fields(&self.json.plan, &mut self.text, &mut self.fields);
                (record.text, record.raw) = (&self.text, Some(bytes));
            }
            record.fields = &self.fields;
        }
        sink.record(&record);
        Ok(())
    }
}
