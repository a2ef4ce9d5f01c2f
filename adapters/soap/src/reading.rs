//! Reads a call's records, in parts where they are many.

use std::io;

use bytesize::ByteSize;
use dray_adapter::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, IdScope, Origin, Position};
use dray_formats::{Decoder, FileFault, Format, Gather, Sink as _, Tally};

use crate::content::{Content, Part};
use crate::measure::{Measure, too_much};

/// What stops a reading.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The call is wrong.
    Call(String),
    /// Its file can't be read.
    Disk(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<FileFault> for Fault {
    fn from(FileFault(reason): FileFault) -> Self {
        Self::Call(reason)
    }
}

/// Counts the records without keeping them: how many, and how many bad ones with what the first of them is. `most`: bytes of all records
/// together.
pub(crate) fn count(
    format: &Format,
    content: &mut Content,
    bad_max: u64,
    most: ByteSize,
) -> Result<Tally, Fault> {
    let mut decoder = format.decoder(0);
    let mut measure = Measure::new(bad_max, most.as_u64());
    content.read::<Fault>(&mut |window, end| {
        let decoded = decoder.decode(window, end, &mut measure)?;
        Ok((decoded.bytes, decoded.done || measure.full()))
    })?;
    content.rewind()?;
    measure.tally().ok_or_else(|| Fault::Call(too_much(most)))
}

/// All records of a call that is in memory and makes one batch, so that it is decoded once; `None` where it is not such a one.
pub(crate) fn at_once(
    format: &Format,
    content: &Content,
    records_max: usize,
) -> Result<Option<Gather>, Fault> {
    let Content::Memory(bytes) = content else {
        return Ok(None);
    };
    let mut decoder = format.decoder(0);
    let mut gather = Gather::with_limits(records_max, BATCH_BYTES_MAX);
    let mut taken = 0;
    loop {
        let decoded = decoder.decode(&bytes[taken..], true, &mut gather)?;
        if decoded.done {
            return Ok(Some(gather));
        }
        if gather.full() {
            return Ok(None);
        }
        taken += decoded.bytes;
    }
}

/// A call whose records are handed out in parts.
#[derive(Debug)]
pub(crate) struct Reading {
    content: Content,
    decoder: Decoder,
    part: Part,
    records_max: usize,
}

impl Reading {
    /// `records_max`: of a batch.
    pub(crate) fn new(format: &Format, content: Content, records_max: usize) -> Self {
        Self {
            content,
            decoder: format.decoder(0),
            part: Part::default(),
            records_max,
        }
    }

    /// The next batch's worth, and whether it is the last.
    pub(crate) fn next(&mut self) -> Result<(Gather, bool), Fault> {
        let mut gather = Gather::with_limits(self.records_max, BATCH_BYTES_MAX);
        let decoder = &mut self.decoder;
        loop {
            let done = self
                .part
                .next::<Fault>(&mut self.content, &mut |window, end| {
                    let decoded = decoder.decode(window, end, &mut gather)?;
                    Ok((decoded.bytes, decoded.done))
                })?;
            if done || gather.full() {
                return Ok((gather, done));
            }
        }
    }
}

/// A sample's first records, at least `records_max` of them if there are, as a source would hand them out.
pub(crate) fn sample(
    format: &Format,
    content: Content,
    flow: &str,
    message_id: &str,
    records_max: usize,
) -> Result<Vec<Batch>, Fault> {
    let scope = IdScope::of(&[flow.as_bytes(), b"preview"]);
    let mut reading = Reading::new(format, content, BATCH_RECORDS_MAX);
    let (mut batches, mut records, mut ends_unit) = (Vec::new(), 0, false);
    while !ends_unit && records < records_max {
        let (gather, last) = reading.next()?;
        ends_unit = last;
        records += gather.records.len();
        batches.push(Batch {
            origin: Origin {
                scope,
                file: "".into(),
                message_id: message_id.into(),
                change_position: "".into(),
            },
            records: gather.records,
            rejects: gather.rejects,
            marks: Vec::new(),
            position: Position::default(),
            captured_us: jiff::Timestamp::now().as_microsecond(),
            ends_unit,
            reports: Vec::new(),
        });
    }
    Ok(batches)
}
