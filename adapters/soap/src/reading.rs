//! Reads a call's records, in parts where they are many.

use std::io;

use dray_adapter::{BATCH_BYTES_MAX, IdScope};
use dray_formats::{Decoder, FileFault, Format, Gather, Tally};

use crate::content::{Content, Part};

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

/// Counts the records without keeping them: how many, and how many bad ones with what the first of them is.
pub(crate) fn count(format: &Format, content: &mut Content, bad_max: u64) -> Result<Tally, Fault> {
    let mut decoder = format.decoder(0);
    let mut tally = Tally::new(bad_max);
    content.read::<Fault>(&mut |window, end| {
        let decoded = decoder.decode(window, end, &mut tally)?;
        Ok((decoded.bytes, decoded.done || tally.is_too_bad()))
    })?;
    content.rewind()?;
    Ok(tally)
}

/// A call whose records are handed out in parts.
#[derive(Debug)]
pub(crate) struct Reading {
    content: Content,
    decoder: Decoder,
    part: Part,
    records_max: usize,
    pub(crate) scope: IdScope,
}

impl Reading {
    /// `records_max`: of a batch.
    pub(crate) fn new(
        format: &Format,
        content: Content,
        scope: IdScope,
        records_max: usize,
    ) -> Self {
        Self {
            content,
            decoder: format.decoder(0),
            part: Part::default(),
            records_max,
            scope,
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
            if done || dray_formats::Sink::full(&gather) {
                return Ok((gather, done));
            }
        }
    }
}
