//! The end of a generation and the beginning of the next.

use std::path::Path;
use std::sync::Arc;

use dray_edges::edge;

use super::aside::{self, seal_one};
use super::{DRAINED_BYTES, RECORDS_BYTES_MAX, Writer};
use crate::folder;
use crate::generation::{self, Generation};
use crate::layout::{self, Placed, Record};
use crate::opening;
use crate::shared::Slice;
use crate::sled_buffer::MARKS;

impl Writer {
    /// Counts the tail's bytes on disk again.
    pub(super) fn measure(&mut self) {
        self.measured = (self.tail_bytes, 0);
        self.on_disk = folder::allocated(self.tail.path());
        let mut state = self.shared.lock();
        state.slices.entry(self.tail_first).or_default().bytes = self.on_disk;
    }

    /// Whether the tail is full, or so many eighths of it are.
    pub(super) fn is_full(&self, eighths: u64) -> bool {
        self.tail_bytes * 8 >= self.shared.options.generation_bytes * eighths
            || self.placed_bytes * 8 >= RECORDS_BYTES_MAX * eighths
    }

    pub(super) fn roll_if_due(&mut self) -> Result<(), String> {
        let drained = self.on_disk >= DRAINED_BYTES && self.shared.lock().ledger.is_drained();
        if !self.is_full(8) && !drained {
            return Ok(());
        }
        self.roll()?;
        self.shared.compact();
        Ok(())
    }

    /// Begins the next generation; the full one is sealed behind it.
    pub(super) fn roll(&mut self) -> Result<(), String> {
        self.aside.settle()?;
        let state = self.shared.lock();
        let opening = Record::Opening {
            epoch: state.ledger.epoch,
            flows: state.ledger.standings(),
        };
        drop(state);
        let first = self.tail_first;
        let (full, placed) = self.begin(opening)?;
        self.aside.seal(first, placed, full);
        Ok(())
    }

    /// Learns what became of the full generation, if that is known.
    pub(super) fn settle_if_done(&mut self) -> Result<(), String> {
        if self.aside.can_settle() {
            self.patiently(|writer| writer.aside.settle())?;
        }
        Ok(())
    }

    /// Seals all that is full and the tail.
    pub(super) fn seal_all(&mut self) -> Result<(), String> {
        self.aside.settle()?;
        seal_one(&self.shared, self.tail_first, &self.placed)
    }

    /// Begins a generation with this record, and gives back the one before it with its records.
    pub(super) fn begin(
        &mut self,
        opening: Record,
    ) -> Result<(Arc<Generation>, Vec<Placed>), String> {
        let first = self.next_number;
        let folder = &self.shared.options.folder;
        let epoch = match &opening {
            Record::Renewal(renewal) => renewal.epoch,
            _ => self.shared.lock().ledger.epoch,
        };
        let prepared = self.aside.take_next()?;
        let (made, placed) = opening::begin(folder, prepared, first, opening)?;
        let made = Arc::new(made);
        edge!("buffer.before_announcing");
        self.announce(epoch, first)?;
        let mut open = self.shared.open.lock().expect("nobody panics holding it");
        let slice = Slice {
            begins_epoch: matches!(placed.record, Record::Renewal(_)),
            ..Slice::default()
        };
        self.shared.lock().slices.insert(first, slice);
        open.roll(first, Arc::clone(&made));
        drop(open);
        let full = std::mem::replace(&mut self.tail, made);
        self.tail_first = first;
        (self.tail_bytes, self.placed_bytes) = (0, 0);
        self.measured = (0, 0);
        self.next_number = first + placed.values;
        let records = std::mem::replace(&mut self.placed, vec![placed]);
        self.measure();
        aside::count_others(&self.shared);
        Ok((full, records))
    }

    /// The witness learns of a new generation.
    fn announce(&self, epoch: u64, newest: u64) -> Result<(), String> {
        let mut witness = self
            .shared
            .witness
            .lock()
            .expect("nobody panics holding it");
        let oldest = witness.said.oldest;
        witness.said.epoch = epoch;
        witness
            .generations(oldest, newest)
            .map_err(|error| format!("its witness can't be written: {error}"))
    }
}

/// Writes the marks of a generation that is being sealed to a file that outlives it.
pub(crate) fn write_marks(parent: &Path, first: u64, placed: &[Placed]) -> Result<(), String> {
    let has_marks =
        |one: &&Placed| matches!(&one.record, Record::Note(note) if !note.marks.is_empty());
    let notes: Vec<&Placed> = placed.iter().filter(has_marks).collect();
    if notes.is_empty() {
        return Ok(());
    }
    let marks = parent.join(MARKS);
    folder::write_whole(
        &marks,
        &generation::name(first).replace("g-", "m-"),
        |out| layout::write_summary(out, &notes),
    )
    .map_err(|error| format!("{}: {error}", marks.display()))
}
