//! Hands out an answer's records in batches.

use std::io;

use dray_adapter::{Batch, IdScope, Mark, Origin, Position};
use dray_formats::{Decoder, Format, Gather};

use super::plan::Turn;
use super::sieve::Sieve;
use crate::content::{Content, Part, Step};
use crate::reading::Fault;

/// An answer that was checked whole, and is being handed out.
pub(super) struct Page {
    content: Content,
    decoder: Decoder,
    part: Part,
    pub(super) turn: Turn,
    scope: IdScope,
    /// When it was read: microseconds since 1970.
    read_us: i64,
}

impl Page {
    pub(super) fn new(
        format: &Format,
        content: Content,
        turn: Turn,
        scope: IdScope,
        read_us: i64,
    ) -> Self {
        Self {
            content,
            decoder: format.decoder(turn.skip),
            part: Part::default(),
            turn,
            scope,
            read_us,
        }
    }

    /// Fills a sieve until it is full, `enough` says so, or the page ends; whether it ended.
    pub(super) fn fill(
        &mut self,
        sieve: &mut Sieve<'_>,
        enough: &dyn Fn() -> bool,
    ) -> Result<bool, String> {
        let decoder = &mut self.decoder;
        loop {
            let done = self
                .part
                .next::<Fault>(&mut self.content, &mut |window, end| {
                    let decoded = decoder.decode(window, end, sieve)?;
                    Ok((decoded.bytes, decoded.done))
                });
            let done = done.map_err(sentence)?;
            if done || dray_formats::Sink::full(sieve) || enough() {
                return Ok(done);
            }
        }
    }

    /// What was gathered of it.
    pub(super) fn batch(
        &self,
        gather: Gather,
        marks: Vec<Mark>,
        position: Position,
        ends_unit: bool,
    ) -> Batch {
        Batch {
            origin: Origin {
                scope: self.scope,
                file: "".into(),
                message_id: "".into(),
                change_position: "".into(),
            },
            records: gather.records,
            rejects: gather.rejects,
            marks,
            position,
            captured_us: self.read_us,
            ends_unit,
            reports: Vec::new(),
        }
    }
}

/// What stops a reading, for a person.
pub(super) fn sentence(fault: Fault) -> String {
    match fault {
        Fault::Call(reason) => reason,
        Fault::Disk(error) => disk(&error),
    }
}

/// A file of the spool can't be written or read.
pub(super) fn disk(error: &io::Error) -> String {
    format!(
        "the answer can't be kept while it is read: {error}; look at the disk of the agent's data folder"
    )
}

/// Reads a content from front to end, and back to its beginning.
pub(super) fn read_whole(content: &mut Content, step: &mut Step<'_, Fault>) -> Result<(), Fault> {
    content.read(step)?;
    content.rewind()?;
    Ok(())
}
