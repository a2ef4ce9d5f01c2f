//! What becomes of a chunk of a table while the stream goes on. Pure: it is given rows and changes, and knows neither a database nor the time.
//!
//! Three phases: *resting*; a chunk is *flying*, as the database reads it; it is *held* until the stream has passed what it sees. What a
//! transaction changes that the chunk does not see is told on its rows; which transactions it sees is known only when it lands, so until
//! then changes of the table are kept.

use std::mem;

use dray_adapter::RecordView;

use super::chunk::Chunk;
use super::held::{Fate, Held};
use super::seen::Seen;
use super::{Again, Key};
use crate::schema::Described;

/// What is kept of the stream while a chunk is being read; then the stream waits for the chunk.
pub(crate) const FLIGHT_BYTES_MAX: usize = 1024 * 1024;
/// Transactions that are remembered meanwhile, of any table.
pub(crate) const FLIGHT_TRANSACTIONS_MAX: usize = 500_000;

/// What a chunk sees of the stream.
pub(crate) trait View {
    type Place;

    /// Whether it sees what this transaction of the stream did.
    fn has(&self, transaction: u64) -> bool;

    /// Whether all that it sees is told before this place of the stream.
    fn is_reached(&self, place: &Self::Place) -> bool;
}

/// Follows the stream, to know what chunks see of it.
pub(crate) trait Track {
    type Place;
    /// What a database says of what a question sees.
    type Sight;
    type View: View<Place = Self::Place>;

    /// What the database saw when a table was looked at: before any chunk of it.
    fn begin(&mut self, sight: &Self::Sight);

    /// A chunk is asked for now, at this place between two transactions.
    fn depart(&mut self, place: &Self::Place);

    /// So much was told since that the stream is to wait for the chunk.
    fn is_full(&self) -> bool;

    /// What a chunk sees. `None`: not all that was told before it was asked for, so it is of no use.
    fn settle(&mut self, sight: Self::Sight) -> Option<Self::View>;
}

/// What became of a question for a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It waits for its place.
    Held,
    /// It does not see all that was told before it was asked for.
    Unseen,
    /// The table has another key now: it is to be looked at again.
    OtherKey,
}

/// A chunk at the place where it is given.
#[derive(Debug)]
pub(crate) enum Landed {
    /// Its rows.
    Rows(Box<Chunk>, Vec<Fate>),
    /// The table was emptied: all that it has since the stream tells.
    Emptied,
    /// The table changed its shape, or its key can't be told: the chunk is to be read again.
    Spoilt,
}

#[derive(Debug)]
enum Phase<V> {
    Resting,
    Flying {
        seen: Vec<(u64, Seen)>,
        bytes: usize,
    },
    Held(Box<Held<V>>),
}

/// A table's rows on their way into the stream.
#[derive(Debug)]
pub(crate) struct Join<T: Track> {
    pub(crate) track: T,
    table: String,
    /// The request's: another one for the same table begins anew.
    number: u64,
    /// Its key.
    key: Key,
    phase: Phase<T::View>,
    partial: u64,
}

impl<T: Track> Join<T> {
    /// Of a request that nothing was read for yet.
    pub(crate) fn new(table: &str, number: u64, track: T) -> Self {
        Self {
            track,
            table: table.to_owned(),
            number,
            key: Key::new(),
            phase: Phase::Resting,
            partial: 0,
        }
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Whether it is this request's; one that was taken back and made again is another.
    pub(crate) fn is_of(&self, again: &Again) -> bool {
        self.table == again.table && self.number == again.number
    }

    /// Its key; empty: the database is not asked yet.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn set_key(&mut self, key: Key) {
        self.key = key;
    }

    pub(crate) fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Resting)
    }

    /// It waits for its place.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held(_))
    }

    /// Nothing is being read, and more was told since than is remembered: the table is to be looked at anew.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_resting() && self.track.is_full()
    }

    /// Whether more of the stream may be read before the chunk is there.
    pub(crate) fn has_room(&self) -> bool {
        match &self.phase {
            Phase::Flying { bytes, .. } => *bytes < FLIGHT_BYTES_MAX && !self.track.is_full(),
            _ => true,
        }
    }

    /// A chunk is asked for at this place.
    pub(crate) fn depart(&mut self, place: &T::Place) {
        self.track.depart(place);
        self.phase = Phase::Flying {
            seen: Vec::new(),
            bytes: 0,
        };
    }

    /// It is there, or is of no use.
    pub(crate) fn arrive(&mut self, chunk: Chunk, sight: T::Sight) -> Arrived {
        let phase = mem::replace(&mut self.phase, Phase::Resting);
        let (Phase::Flying { seen, .. }, Some(view)) = (phase, self.track.settle(sight)) else {
            return Arrived::Unseen;
        };
        if chunk.key != self.key {
            // What was seen meanwhile goes by the other key.
            self.key.clear();
            return Arrived::OtherKey;
        }
        let mut held = Held::new(chunk, view);
        for (transaction, seen) in seen {
            held.take(transaction, seen);
        }
        self.phase = Phase::Held(Box::new(held));
        Arrived::Held
    }

    /// It has waited for too long.
    pub(crate) fn give_up(&mut self) {
        self.phase = Phase::Resting;
    }

    /// The stream is at its end: a chunk that still waits for something will wait for ever, and is read again.
    pub(crate) fn is_at_end(&mut self, place: &T::Place) {
        if let Phase::Held(held) = &mut self.phase
            && !held.view.is_reached(place)
        {
            held.spoil();
        }
    }

    /// The chunk, if this place is where it is given: between two transactions.
    pub(crate) fn land(&mut self, place: &T::Place) -> Option<Landed> {
        let Phase::Held(held) = &self.phase else {
            return None;
        };
        if !held.is_spoilt && !held.view.is_reached(place) {
            return None;
        }
        match mem::replace(&mut self.phase, Phase::Resting) {
            Phase::Held(held) if held.is_spoilt => Some(Landed::Spoilt),
            Phase::Held(held) if held.is_emptied => Some(Landed::Emptied),
            Phase::Held(held) => {
                let Held { chunk, fates, .. } = *held;
                Some(Landed::Rows(Box::new(chunk), fates))
            }
            _ => None,
        }
    }

    /// Rows that got another key and were told in part, since this was last asked.
    pub(crate) fn partial(&mut self) -> u64 {
        mem::take(&mut self.partial)
    }

    /// The stream tells a change.
    pub(crate) fn see(&mut self, transaction: u64, record: &RecordView<'_>) {
        if record.shape().record_type != self.table || self.key.is_empty() {
            return;
        }
        let seen = Seen::of(record, &self.key);
        if let Seen::Partly { before, now, .. } = &seen
            && before != now
        {
            self.partial += 1;
        }
        self.take(transaction, seen);
    }

    /// The stream tells what rows of a table look like from here on.
    pub(crate) fn described(&mut self, transaction: u64, table: &str, columns: &[Described]) {
        if table == self.table {
            self.take(transaction, Seen::Shape(columns.to_vec()));
        }
    }

    /// What was seen of a transaction is not told: a chunk that went by it is read again.
    pub(crate) fn doubts(&mut self, transaction: u64) {
        self.take(transaction, Seen::Unknown);
    }

    fn take(&mut self, transaction: u64, change: Seen) {
        match &mut self.phase {
            Phase::Resting => {}
            Phase::Flying { seen, bytes } => {
                *bytes += change.bytes();
                seen.push((transaction, change));
            }
            Phase::Held(held) => held.take(transaction, change),
        }
    }
}

#[cfg(test)]
mod tests;
