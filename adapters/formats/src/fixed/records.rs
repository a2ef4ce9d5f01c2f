//! One record: its type, its cells, and what stands above it.

use std::sync::Arc;

use super::decoder::{Compiled, Decoder};
use super::layout::Columns;
use super::{Long, Short};
use crate::sink;
use crate::text::{self, Charset};
use crate::typed::{Cells, Otherwise, Verdict};
use crate::{FileFault, GoodRecord, Sink};

impl Decoder {
    /// Takes a record that may not be text.
    pub(super) fn bytes<S: Sink>(
        &mut self,
        charset: Charset,
        raw: &[u8],
        sink: &mut S,
    ) -> Result<(), FileFault> {
        let decoded = charset.decode(raw);
        let nul = |text: &str| memchr::memchr(0, text.as_bytes()).map(text::a_nul);
        match decoded {
            Err(reason) => self.reject(None, &reason, None, raw, sink)?,
            Ok(text) => match nul(&text) {
                Some(reason) => self.reject(None, &reason, None, raw, sink)?,
                None => self.record(&text, (text.as_bytes() != raw).then_some(raw), sink)?,
            },
        }
        self.place += 1;
        Ok(())
    }

    /// Takes a record's text.
    pub(super) fn record<S: Sink>(
        &mut self,
        line: &str,
        raw: Option<&[u8]>,
        sink: &mut S,
    ) -> Result<(), FileFault> {
        let fixed = Arc::clone(&self.fixed);
        let mut starts = std::mem::take(&mut self.starts);
        let columns = Columns::new(line, &mut starts);
        let taken = self.typed(&fixed, columns, raw, sink);
        self.starts = starts;
        taken
    }

    fn typed<S: Sink>(
        &mut self,
        fixed: &Compiled,
        line: Columns<'_>,
        raw: Option<&[u8]>,
        sink: &mut S,
    ) -> Result<(), FileFault> {
        let bytes = raw.unwrap_or(line.text.as_bytes());
        let Some(kind) = fixed.layouts.iter().position(|layout| layout.fits(line)) else {
            if fixed.otherwise == Otherwise::Skip {
                return Ok(());
            }
            let reason = "the line is of none of the types; if such lines are of no use, write otherwise = \"skip\"";
            return self.reject(None, reason, None, bytes, sink);
        };
        let one = &fixed.rules.types[kind];
        if one.skip {
            return Ok(());
        }
        if let Some(reason) = fixed.length_fault(kind, line) {
            return self.reject(Some(kind), &reason, None, bytes, sink);
        }
        self.fields.clear();
        self.numbers.clear();
        let keep = S::FIELDS && one.is_inherited();
        let all = keep || (S::FIELDS && one.emit && self.ordinal >= self.skip);
        let misfit = fixed.layouts[kind].read(line, all, &mut self.fields, &mut self.numbers);
        self.text.clear();
        if !self.numbers.is_empty() {
            self.text.push_str(line.text);
            self.text.push_str(&self.numbers);
        }
        let joined = std::mem::take(&mut self.text);
        let fields = std::mem::take(&mut self.fields);
        let cells = Cells {
            text: if joined.is_empty() {
                line.text
            } else {
                &joined
            },
            fields: &fields,
        };
        let verdict = match &misfit {
            Some(misfit) => {
                let cells = (!misfit.spoils).then_some(cells);
                self.reject(Some(kind), &misfit.reason, cells, bytes, sink)
                    .map(|()| Verdict::Silent)
            }
            None => self.tracker.take(kind, self.place, cells, keep),
        };
        (self.text, self.fields) = (joined, fields);
        match verdict? {
            Verdict::Silent => Ok(()),
            Verdict::Bad(reason) => {
                self.hand_out_bad(&reason, bytes, sink);
                Ok(())
            }
            Verdict::Record => {
                self.hand_out(kind, line.text, bytes, sink);
                Ok(())
            }
        }
    }

    fn hand_out<S: Sink>(&mut self, kind: usize, line: &str, bytes: &[u8], sink: &mut S) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal < self.skip {
            return;
        }
        if S::FIELDS && self.tracker.inherits(kind) {
            if self.text.is_empty() {
                self.text.push_str(line);
            }
            self.tracker.inherit(kind, &mut self.text, &mut self.fields);
        }
        let text = if self.text.is_empty() {
            line
        } else {
            &self.text
        };
        sink.record(&GoodRecord {
            shape: &self.fixed.rules.types[kind].shape,
            ordinal,
            line: self.line_number(),
            text,
            raw: (text.as_bytes() != bytes).then_some(bytes),
            fields: if S::FIELDS { &self.fields } else { &[] },
        });
    }

    /// Hands out a bad record that is not known to the figures yet.
    pub(super) fn reject<S: Sink>(
        &mut self,
        kind: Option<usize>,
        reason: &str,
        cells: Option<Cells<'_>>,
        raw: &[u8],
        sink: &mut S,
    ) -> Result<(), FileFault> {
        self.tracker.bad(kind, self.place, reason, cells)?;
        self.hand_out_bad(reason, raw, sink);
        Ok(())
    }

    fn hand_out_bad<S: Sink>(&mut self, reason: &str, raw: &[u8], sink: &mut S) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        if ordinal < self.skip {
            return;
        }
        if self.fixed.record_bytes.is_some() {
            let reason = format!("record {}: {reason}", self.place);
            sink::reject(sink, ordinal, 0, &reason, raw);
        } else {
            sink::reject(sink, ordinal, self.place, reason, raw);
        }
    }

    /// 0 where there are no lines.
    fn line_number(&self) -> u64 {
        if self.fixed.record_bytes.is_some() {
            0
        } else {
            self.place
        }
    }
}

impl Compiled {
    /// Why a line is too short or too long for its type.
    fn length_fault(&self, kind: usize, line: Columns<'_>) -> Option<String> {
        let (width, name) = (self.layouts[kind].width, self.rules.types[kind].name());
        let count = line.count();
        if count == width {
            return None;
        }
        let of = if name.is_empty() {
            String::new()
        } else {
            format!(" of {name}")
        };
        if count < width {
            return (self.short == Short::Reject).then(|| {
                format!("the line has {count} characters, and the layout{of} has {width}; if blanks at the end may be missing, write short = \"pad\"")
            });
        }
        let is_blank = || line.from(width).bytes().all(|byte| byte == b' ');
        (self.long == Long::Reject && !is_blank()).then(|| {
            format!("the line has {count} characters, and the layout{of} ends at {width}; if what follows is of no use, write long = \"ignore\"")
        })
    }
}
