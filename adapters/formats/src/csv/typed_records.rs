//! Records whose type stands in a column.

use std::sync::Arc;

use super::decoder::Decoder;
use super::types::Types;
use super::{Ragged, reasons};
use crate::sink;
use crate::typed::{Cells, Otherwise, Tracker, Verdict};
use crate::{FieldAt, FileFault, GoodRecord, Sink};

impl Decoder {
    /// The columns are known: types can be compiled.
    pub(super) fn begin_types(&mut self, names: &[String]) -> Result<(), FileFault> {
        let known = self.csv.types.as_ref();
        self.types = match known.filter(|types| types.common == names) {
            Some(types) => Some(Arc::clone(types)),
            None => Types::new(&self.csv.config, names)
                .map_err(|said| {
                    FileFault(format!("with the header on line {}, {said}", self.line))
                })?
                .map(Arc::new),
        };
        let types = self.types.as_ref();
        self.tracker = types.map(|types| Tracker::new(&types.rules, "line"));
        Ok(())
    }

    /// The file ends: what it says of itself must hold.
    pub(super) fn finish(&mut self) -> Result<(), FileFault> {
        if let Some(tracker) = &mut self.tracker {
            return tracker.finish();
        }
        let required = self.csv.config.record.iter().find(|record| record.required);
        required.map_or(Ok(()), |record| {
            Err(FileFault(format!(
                "the file is empty, and has no {} record, which is required",
                record.name
            )))
        })
    }

    /// Hands out a record whose cells are found, or why it is a bad one.
    pub(super) fn typed<S: Sink>(
        &mut self,
        types: &Types,
        lines: u64,
        bad: Option<String>,
        raw: &[u8],
        sink: &mut S,
    ) -> Result<(), FileFault> {
        if let Some(reason) = bad {
            return self.bad(None, &reason, raw, sink);
        }
        let cell = self.fields.get(types.column);
        let cell = cell.map(|at| &self.text[at.start as usize..at.end as usize]);
        let Some(kind) = cell.and_then(|cell| types.find(cell)) else {
            if self.csv.config.otherwise == Otherwise::Skip {
                return Ok(());
            }
            let reason = reasons::unknown_type(cell, types.column, &types.known());
            return self.bad(None, &reason, raw, sink);
        };
        let one = &types.rules.types[kind];
        if one.skip {
            return Ok(());
        }
        if lines == 1 && self.csv.config.ragged == Ragged::Pad {
            self.pad(one.own);
        }
        if self.fields.len() != one.own {
            if lines > 1 {
                return self.bad(None, &reasons::never_closed(), raw, sink);
            }
            let reason = reasons::wrong_columns(self.fields.len(), one.own);
            let reason = format!("{reason} in a record of type {}", one.name());
            return self.bad(Some(kind), &reason, raw, sink);
        }
        let cells = Cells {
            text: &self.text,
            fields: &self.fields,
        };
        let tracker = self.tracker.as_mut().expect("made with the types");
        match tracker.take(kind, self.line, cells, S::FIELDS)? {
            Verdict::Silent => {}
            Verdict::Bad(reason) => self.hand_out_bad(&reason, raw, sink),
            Verdict::Record => self.hand_out_typed(types, kind, raw, sink),
        }
        Ok(())
    }

    /// Cells that a record lacks are not there.
    pub(super) fn pad(&mut self, columns: usize) {
        if self.fields.len() < columns {
            self.fields.resize(columns, FieldAt::NULL);
        }
    }

    fn hand_out_typed<S: Sink>(&mut self, types: &Types, kind: usize, raw: &[u8], sink: &mut S) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal < self.skip {
            return;
        }
        if S::FIELDS
            && let Some(tracker) = &self.tracker
        {
            tracker.inherit(kind, &mut self.text, &mut self.fields);
        }
        sink.record(&GoodRecord {
            shape: &types.rules.types[kind].shape,
            ordinal,
            line: self.line,
            text: &self.text,
            raw: (self.text.as_bytes() != raw).then_some(raw),
            fields: if S::FIELDS { &self.fields } else { &[] },
        });
    }

    fn bad<S: Sink>(
        &mut self,
        kind: Option<usize>,
        reason: &str,
        raw: &[u8],
        sink: &mut S,
    ) -> Result<(), FileFault> {
        if let Some(tracker) = &mut self.tracker {
            tracker.bad(kind, self.line, reason, None)?;
        }
        self.hand_out_bad(reason, raw, sink);
        Ok(())
    }

    fn hand_out_bad<S: Sink>(&mut self, reason: &str, raw: &[u8], sink: &mut S) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal >= self.skip {
            sink::reject(sink, ordinal, self.line, reason, raw);
        }
    }
}
