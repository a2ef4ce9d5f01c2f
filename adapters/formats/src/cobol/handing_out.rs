//! What becomes of a record that is found.

use super::compiled::Compiled;
use super::decoder::Decoder;
use super::layout::Cells;
use crate::sink;
use crate::typed::{self, Verdict};
use crate::{FileFault, GoodRecord, Sink};

/// A record of which each occurrence is a record, of which not all are handed out.
#[derive(Debug)]
pub(super) struct Held {
    kind: usize,
    next: usize,
    bytes: Vec<u8>,
}

impl Decoder {
    /// Takes a record that is read, and fine by itself.
    pub(super) fn hand_out<S: Sink>(
        &mut self,
        copybook: &Compiled,
        kind: usize,
        bytes: &[u8],
        offset: u64,
        sink: &mut S,
    ) -> Result<(), FileFault> {
        let types = &copybook.types;
        let keep = S::FIELDS && types.rules.types[kind].is_inherited();
        let cells = typed::Cells {
            text: &self.cells.text,
            fields: &self.cells.fields,
        };
        let verdict = self.tracker.take(kind, self.place, cells, keep)?;
        match verdict {
            Verdict::Silent => {}
            Verdict::Bad(reason) => {
                let reason = self.placed(&reason, offset);
                self.hand_out_bad(&reason, bytes, sink);
            }
            Verdict::Record if types.types[kind].layout.each.is_none() => {
                self.hand_out_one(copybook, kind, bytes, sink);
            }
            Verdict::Record => {
                let next = self.hand_out_each(copybook, kind, 0, bytes, sink);
                if next < self.cells.each.len() {
                    let bytes = bytes.to_vec();
                    self.held = Some(Held { kind, next, bytes });
                    return Ok(());
                }
            }
        }
        self.place += 1;
        Ok(())
    }

    /// Goes on with a record's occurrences.
    pub(super) fn go_on<S: Sink>(&mut self, copybook: &Compiled, mut held: Held, sink: &mut S) {
        let layout = &copybook.types.types[held.kind].layout;
        // It was read before, so it can be.
        let _ = layout.read(&held.bytes, &copybook.reader, &mut self.cells);
        held.next = self.hand_out_each(copybook, held.kind, held.next, &held.bytes, sink);
        if held.next < self.cells.each.len() {
            self.held = Some(held);
        } else {
            self.place += 1;
        }
    }

    /// Hands out a record's occurrences from `next` on; which is the next one.
    fn hand_out_each<S: Sink>(
        &mut self,
        copybook: &Compiled,
        kind: usize,
        mut next: usize,
        bytes: &[u8],
        sink: &mut S,
    ) -> usize {
        let layout = &copybook.types.types[kind].layout;
        while next < self.cells.each.len() && !sink.full() {
            if S::FIELDS && self.ordinal >= self.skip {
                layout.read_each(next, bytes, &copybook.reader, &mut self.cells);
            }
            let (start, end) = self.cells.each[next];
            let own = bytes.get(start as usize..end as usize);
            self.hand_out_one(copybook, kind, own.unwrap_or_default(), sink);
            next += 1;
        }
        next
    }

    #[inline]
    fn hand_out_one<S: Sink>(
        &mut self,
        copybook: &Compiled,
        kind: usize,
        raw: &[u8],
        sink: &mut S,
    ) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal < self.skip {
            return;
        }
        let own = self.cells.fields.len();
        if S::FIELDS && self.tracker.inherits(kind) {
            let Cells { text, fields, .. } = &mut self.cells;
            self.tracker.inherit(kind, text, fields);
        }
        sink.record(&GoodRecord {
            shape: &copybook.types.rules.types[kind].shape,
            ordinal,
            line: if self.is_lines { self.place } else { 0 },
            text: &self.cells.text,
            raw: Some(raw),
            fields: if S::FIELDS { &self.cells.fields } else { &[] },
        });
        self.cells.fields.truncate(own);
    }

    /// Hands out a bad record that is not known to the figures yet.
    #[cold]
    pub(super) fn reject<S: Sink>(
        &mut self,
        kind: Option<usize>,
        reason: &str,
        raw: &[u8],
        offset: u64,
        sink: &mut S,
    ) -> Result<(), FileFault> {
        self.tracker.bad(kind, self.place, reason, None)?;
        let reason = self.placed(reason, offset);
        self.hand_out_bad(&reason, raw, sink);
        self.place += 1;
        Ok(())
    }

    /// A reason with its place, where a line does not say that.
    fn placed(&self, reason: &str, offset: u64) -> String {
        if self.is_lines {
            reason.to_owned()
        } else {
            format!(
                "record {} (byte {} of the file): {reason}",
                self.place,
                offset + 1
            )
        }
    }

    pub(super) fn hand_out_bad<S: Sink>(&mut self, reason: &str, raw: &[u8], sink: &mut S) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal >= self.skip {
            let line = if self.is_lines { self.place } else { 0 };
            sink::reject(sink, ordinal, line, reason, raw);
        }
    }
}
