//! Finds documents in a window, and hands out their records.

use std::sync::Arc;

use dray_adapter::{REJECT_BYTES_MAX, Shape};

use super::cells::Cells;
use super::document::Document;
use super::plan::Plan;
use super::receipt::{Receipt, Rule, Verdict};
use super::{Characters, Found, Plans, Syntax, View, lines, text};
use crate::{Account, BadRecord, Decoded, FileFault, GoodRecord, Sink, sink};

/// Which characters a document has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charset {
    /// These.
    Known(Characters),
    /// It promises ASCII, and systems write UTF-8 or Windows' code page none the less.
    Ascii,
    /// A name that no standard explains; ASCII is fine.
    Private(String),
}

/// Decodes one file. See [`super::Edi::decoder`].
#[derive(Debug)]
pub struct Decoder<S> {
    plans: Arc<Plans>,
    syntax: S,
    /// The envelope's segments around the document at hand: bytes without what ends them.
    outer: Vec<Vec<u8>>,
    document: Document,
    /// Within a document.
    is_open: bool,
    /// The document is whole: its next loop to be handed out.
    handing: Option<usize>,
    /// What the document at hand says that it is, and its number.
    set: String,
    number: String,
    told_set: String,
    characters: Characters,
    cells: Cells,
    /// The line of the segment that is handed out next.
    segment_line: u64,
    receipt: Receipt,
    ordinal: u64,
    skip: u64,
    has_begun: bool,
}

impl<S: Syntax> Decoder<S> {
    pub(super) fn new(plans: Arc<Plans>, syntax: S, skip: u64) -> Self {
        Self {
            plans,
            syntax,
            outer: Vec::new(),
            document: Document::default(),
            is_open: false,
            handing: None,
            set: String::new(),
            number: String::new(),
            told_set: String::new(),
            characters: Characters::UTF_8,
            cells: Cells::default(),
            segment_line: 0,
            receipt: Receipt::default(),
            ordinal: 0,
            skip,
            has_begun: false,
        }
    }

    /// The ordinal of the next record or bad document.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// The interchanges and documents that were read so far.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// What the file says of itself so far.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::of_receipt(&self.receipt, self.syntax.checks())
    }

    /// Decodes what it can of `window`, which begins with what the call before left; `end`: nothing follows. Stops early when `sink` is
    /// full. Takes at least something of a window of [`crate::WINDOW_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`FileFault`] where an envelope does not hold, or the file is none of this syntax.
    pub fn decode<K: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut K,
    ) -> Result<Decoded, FileFault> {
        let mut bytes = 0;
        loop {
            let is_done = self.hand_out(sink);
            if !is_done || sink.full() {
                return Ok(Decoded { bytes, done: false });
            }
            let rest = &window[bytes..];
            match self.syntax.next(rest, end)? {
                Found::More(more) => {
                    if self.is_open {
                        self.document.push_bytes(&rest[..more]);
                    }
                    bytes += more;
                    let done = end && bytes == window.len();
                    if done {
                        self.finish()?;
                    }
                    return Ok(Decoded { bytes, done });
                }
                Found::Segment(length) => {
                    self.take(&rest[..length])?;
                    bytes += length;
                }
            }
        }
    }

    fn finish(&self) -> Result<(), FileFault> {
        self.syntax.finish().map_err(FileFault)?;
        if self.has_begun {
            return Ok(());
        }
        Err(FileFault(format!(
            "the file is empty: no interchange ({}) stands in it",
            S::OUTER[0]
        )))
    }

    /// Takes the segment at hand; `bytes` end with it.
    fn take(&mut self, bytes: &[u8]) -> Result<(), FileFault> {
        self.has_begun = true;
        self.syntax.check().map_err(FileFault)?;
        let (start, end) = self.syntax.place();
        if self.is_open {
            let segment = self.syntax.segment();
            self.document.push(&segment, bytes, start, end);
            if segment.tag() == S::END.as_bytes() {
                drop(segment);
                self.end_document();
            }
            return Ok(());
        }
        let segment = self.syntax.segment();
        let tag = segment.tag();
        if tag == S::BEGIN.as_bytes() {
            drop(segment);
            self.begin_document();
            let segment = self.syntax.segment();
            self.document.push(&segment, bytes, start, end);
            return Ok(());
        }
        if let Some(level) = S::OUTER.iter().position(|outer| outer.as_bytes() == tag) {
            // Where groups are left out, the interchange's stands alone.
            let spare = self.outer.get_mut(level).map(std::mem::take);
            self.outer.truncate(level);
            let mut kept = spare.unwrap_or_default();
            kept.clear();
            kept.extend_from_slice(&bytes[start..end]);
            self.outer.push(kept);
        }
        drop(segment);
        self.syntax.tell(&mut self.receipt);
        Ok(())
    }

    fn begin_document(&mut self) {
        self.is_open = true;
        let segment = self.syntax.segment();
        let set = segment.value(S::SET.0, S::SET.1).trim_ascii();
        self.number = text(segment.value(S::NUMBER, 0));
        if self.set.as_bytes() != set {
            self.set = text(set);
        }
        self.told_set = self.syntax.told_set();
        self.receipt.begin_document(&self.told_set);
        let plan = self.plans.of(&self.set);
        let is_known = plan.is_some();
        self.document.begin(plan);
        for (bytes, tag) in self.outer.iter().zip(S::OUTER) {
            self.document.push_outer(bytes, tag.as_bytes());
        }
        if !is_known && !self.plans.has_segments {
            let what = format!(
                "no loops are known for set {}: declare them under [[flow.source.format.set]], or write otherwise = \"segments\" for one record per segment",
                self.set
            );
            self.document.count = 1;
            self.document
                .find(S::BEGIN.as_bytes(), Rule::UnknownSet, what);
            self.document.count = 0;
        }
        self.cells.begin();
    }

    fn end_document(&mut self) {
        self.is_open = false;
        self.document.end();
        if self.document.finding.is_none() {
            self.choose_characters();
        }
        self.handing = Some(0);
        self.segment_line = self.document.line;
        let finding = &self.document.finding;
        let told = || Verdict {
            set: self.told_set.clone(),
            number: self.number.clone(),
            finding: finding.clone(),
        };
        self.receipt.push(told, finding.is_none());
    }

    /// Settles the document's characters, and checks that it is text in them.
    fn choose_characters(&mut self) {
        let own = &self.document.bytes;
        let charset = self.syntax.charset(self.plans.encoding);
        let (characters, private) = match charset {
            Charset::Known(characters) => (characters, None),
            _ if own.is_ascii() => (Characters::UTF_8, None),
            Charset::Ascii if std::str::from_utf8(own).is_ok() => (Characters::UTF_8, None),
            Charset::Ascii => (Characters::WINDOWS_1252, None),
            Charset::Private(name) => (Characters::UTF_8, Some(name)),
        };
        self.characters = characters;
        if private.is_none() && characters.wrong(own).is_none() {
            return;
        }
        for number in 0..self.document.segments.len() {
            let bytes = self.document.segment(number);
            if bytes.is_ascii() || S::is_binary(bytes) {
                continue;
            }
            let joined: Vec<u8> = bytes
                .iter()
                .copied()
                .filter(|byte| !matches!(byte, b'\r' | b'\n'))
                .collect();
            let what = match (&private, characters.wrong(&joined)) {
                (None, None) => continue,
                (Some(name), _) => format!(
                    "the interchange's characters are called {name}, and no standard says what that means; write encoding = \"iso-8859-1\", or what its sender writes"
                ),
                (None, Some(at)) => format!(
                    "byte {} (0x{:02X}) means nothing in {}; set encoding to what the sender writes",
                    at + 1,
                    joined[at],
                    characters.name()
                ),
            };
            let shown = (number + 1).saturating_sub(self.document.outer);
            self.syntax.again(bytes);
            let tag = text(self.syntax.segment().tag());
            let what = match shown {
                0 => format!("{tag} around it: {what}"),
                shown => format!("segment {shown} ({tag}): {what}"),
            };
            self.document.count = shown as u64;
            self.document.find(tag.as_bytes(), Rule::Text, what);
            return;
        }
    }

    /// Hands out what the document at hand makes, while there is room; whether that is all.
    fn hand_out<K: Sink>(&mut self, sink: &mut K) -> bool {
        let Some(mut next) = self.handing else {
            return true;
        };
        if self.document.finding.is_some() {
            if sink.full() {
                return false;
            }
            self.reject(sink);
            self.handing = None;
            return true;
        }
        match self.document.plan.clone() {
            Some(plan) => {
                while next < self.document.instances.len() {
                    let of = self.document.instances[next];
                    if let Some(record) = plan.loops[usize::from(of.loop_)].record {
                        if sink.full() {
                            self.handing = Some(next);
                            return false;
                        }
                        let shape = &plan.records[usize::from(record)].shape;
                        self.record(&plan, next as u32, shape, of.line, sink);
                    }
                    next += 1;
                }
            }
            None => {
                next = next.max(self.document.outer);
                while next < self.document.segments.len() {
                    if sink.full() {
                        self.handing = Some(next);
                        return false;
                    }
                    self.segment(next, sink);
                    next += 1;
                }
            }
        }
        self.handing = None;
        true
    }

    fn record<K: Sink>(
        &mut self,
        plan: &Arc<Plan>,
        instance: u32,
        shape: &Arc<Shape>,
        line: u32,
        sink: &mut K,
    ) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal < self.skip {
            return;
        }
        if K::FIELDS {
            self.cells.record(
                &self.document,
                plan,
                &mut self.syntax,
                self.characters,
                instance,
            );
        }
        self.push(ordinal, self.document.line + u64::from(line), shape, sink);
    }

    fn segment<K: Sink>(&mut self, index: usize, sink: &mut K) {
        let (ordinal, line) = (self.ordinal, self.segment_line);
        self.ordinal += 1;
        self.segment_line += lines(self.document.ended_segment(index));
        if ordinal < self.skip {
            return;
        }
        if K::FIELDS {
            self.cells.segment(
                &self.document,
                (&self.set, &self.number),
                &mut self.syntax,
                self.characters,
                index,
            );
        }
        let shape = Arc::clone(&self.plans.segment_shape);
        self.push(ordinal, line, &shape, sink);
    }

    fn push<K: Sink>(&mut self, ordinal: u64, line: u64, shape: &Arc<Shape>, sink: &mut K) {
        let cells = &self.cells;
        let (text, raw, fields) = if K::FIELDS {
            (
                cells.text.as_str(),
                Some(cells.raw.as_slice()),
                cells.fields.as_slice(),
            )
        } else {
            ("", None, [].as_slice())
        };
        sink.record(&GoodRecord {
            shape,
            ordinal,
            line,
            text,
            raw,
            fields,
        });
    }

    fn reject<K: Sink>(&mut self, sink: &mut K) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let Some(finding) = self
            .document
            .finding
            .as_ref()
            .filter(|_| ordinal >= self.skip)
        else {
            return;
        };
        let reason = format!("document {} ({}): {}", self.number, self.set, finding.what);
        let (line, raw) = (
            self.document.line,
            &self.document.bytes[self.document.begins..],
        );
        match self.document.long.take() {
            None => sink::reject(sink, ordinal, line, &reason, raw),
            Some((hash, bytes)) => sink.reject(&BadRecord {
                ordinal,
                line,
                reason: &reason,
                raw: &raw[..raw.len().min(REJECT_BYTES_MAX)],
                raw_bytes: bytes,
                raw_sha256: Some(sha2::Digest::finalize(hash).into()),
            }),
        }
    }
}
