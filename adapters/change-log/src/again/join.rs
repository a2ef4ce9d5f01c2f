//! What becomes of a chunk of a table while the stream goes on. Pure: it is given rows and changes, and knows neither a database nor the time.
//!
//! Three phases: *resting*; a chunk is *flying*, as the database reads it; it is *held* until the stream has passed what it sees. What a
//! transaction changes that the chunk does not see is told on its rows; which transactions it sees is known only when it lands, so until
//! then changes of the table are kept.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use dray_adapter::{RecordView, Records, Shape, Value};

use crate::rows::{ABOUT, Op};
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

/// Rows of a table that follow each other in the order of its key, as one moment sees them.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The table's columns at that moment.
    pub(crate) columns: Vec<Described>,
    /// The rows, as those of the stream but for what is said of the change.
    pub(crate) records: Records,
    /// The key of the last row: columns, and values as the database compares them.
    pub(crate) last: Vec<(String, String)>,
    /// No row comes behind it.
    pub(crate) is_last: bool,
}

/// What becomes of a chunk's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes as it was read.
    Comes,
    /// The stream has told it whole, or that it is gone.
    Gone,
    /// It comes as the stream has made it: its cells.
    Now(Vec<Option<Box<str>>>),
}

/// A chunk at the place where it is given.
#[derive(Debug)]
pub(crate) enum Landed {
    /// Its rows.
    Rows(Chunk, Vec<Fate>),
    /// The table was emptied: all that it has since the stream tells.
    Emptied,
    /// The table changed its shape, or its key can't be told: the chunk is to be read again.
    Spoilt,
}

/// A cell of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Unchanged,
    Now(Option<Box<str>>),
}

/// A change of the table.
#[derive(Debug)]
enum Seen {
    /// These keys are told whole, or gone.
    Told(Vec<String>),
    /// A row is told in part.
    Partly {
        before: String,
        now: String,
        cells: Vec<Said>,
        shape: Arc<Shape>,
    },
    Emptied,
    /// Rows of this shape follow.
    Shape(Vec<Described>),
    /// Of some row.
    Unknown,
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

#[derive(Debug)]
struct Held<V> {
    view: V,
    chunk: Chunk,
    by_key: HashMap<String, usize>,
    fates: Vec<Fate>,
    is_emptied: bool,
    is_spoilt: bool,
}

/// A table's rows on their way into the stream.
#[derive(Debug)]
pub(crate) struct Join<T: Track> {
    pub(crate) track: T,
    table: String,
    /// The columns of its key.
    key: Vec<String>,
    phase: Phase<T::View>,
    partial: u64,
}

impl<T: Track> Join<T> {
    pub(crate) fn new(table: &str, track: T) -> Self {
        Self {
            track,
            table: table.to_owned(),
            key: Vec::new(),
            phase: Phase::Resting,
            partial: 0,
        }
    }

    /// Another table.
    pub(crate) fn turn_to(&mut self, table: &str) {
        table.clone_into(&mut self.table);
        self.key.clear();
        self.phase = Phase::Resting;
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// The columns of its key; empty: the database is not asked yet.
    pub(crate) fn key(&self) -> &[String] {
        &self.key
    }

    pub(crate) fn set_key(&mut self, key: Vec<String>) {
        self.key = key;
    }

    pub(crate) fn is_resting(&self) -> bool {
        matches!(self.phase, Phase::Resting)
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

    /// It is there, or is of no use: whether it is held.
    pub(crate) fn arrive(&mut self, chunk: Chunk, sight: T::Sight) -> bool {
        let phase = mem::replace(&mut self.phase, Phase::Resting);
        let (Phase::Flying { seen, .. }, Some(view)) = (phase, self.track.settle(sight)) else {
            return false;
        };
        let mut held = Held::new(chunk, &self.key, view);
        for (transaction, seen) in seen {
            held.take(transaction, seen);
        }
        self.phase = Phase::Held(Box::new(held));
        true
    }

    /// The stream is at its end: a chunk that still waits for something will wait for ever, and is read again.
    pub(crate) fn is_at_end(&mut self, place: &T::Place) {
        if let Phase::Held(held) = &mut self.phase {
            held.is_spoilt |= !held.view.is_reached(place);
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
                Some(Landed::Rows(chunk, fates))
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

impl<V: View> Held<V> {
    fn new(chunk: Chunk, key: &[String], view: V) -> Self {
        let keys = chunk.records.iter().enumerate();
        let by_key = keys.filter_map(|(at, record)| Some((key_of(&record, key, 0)?, at)));
        Self {
            by_key: by_key.collect(),
            fates: vec![Fate::Comes; chunk.records.len()],
            chunk,
            view,
            is_emptied: false,
            is_spoilt: false,
        }
    }

    fn take(&mut self, transaction: u64, seen: Seen) {
        if self.view.has(transaction) {
            return;
        }
        match seen {
            Seen::Told(keys) => keys.iter().for_each(|key| self.drop_row(key)),
            Seen::Emptied => self.is_emptied = true,
            Seen::Unknown => self.is_spoilt = true,
            Seen::Shape(columns) => self.is_spoilt |= columns != self.chunk.columns,
            Seen::Partly {
                before,
                now,
                cells,
                shape,
            } => {
                let row = self.by_key.remove(&before);
                self.drop_row(&now);
                if let Some(at) = row {
                    self.by_key.insert(now, at);
                    self.change(at, &cells, &shape);
                }
            }
        }
    }

    fn drop_row(&mut self, key: &str) {
        if let Some(at) = self.by_key.remove(key) {
            self.fates[at] = Fate::Gone;
        }
    }

    fn change(&mut self, at: usize, cells: &[Said], shape: &Shape) {
        let Some(record) = self.chunk.records.get(at) else {
            return;
        };
        if record.shape().columns != shape.columns {
            self.is_spoilt = true;
            return;
        }
        let read = |at| match record.value(at) {
            Value::Text(text) => Some(text.into()),
            _ => None,
        };
        let now = match mem::replace(&mut self.fates[at], Fate::Gone) {
            Fate::Now(now) => now,
            _ => (0..cells.len()).map(read).collect(),
        };
        let now = now.into_iter().zip(cells);
        let now = now.map(|(before, said)| match said {
            Said::Unchanged => before,
            Said::Now(value) => value.clone(),
        });
        self.fates[at] = Fate::Now(now.collect());
    }
}

impl Seen {
    fn of(record: &RecordView<'_>, key: &[String]) -> Self {
        let width = width(record.shape());
        let is = |op: Op| record.value(2 * width) == Value::Text(op.word());
        if is(Op::Truncate) {
            return Self::Emptied;
        }
        let (before, now) = (key_of(record, key, width), key_of(record, key, 0));
        let keys = match () {
            () if is(Op::Create) => now.map(|now| vec![now]),
            () if is(Op::Delete) => before.map(|before| vec![before]),
            () => before.zip(now).map(|(before, now)| vec![before, now]),
        };
        let Some(mut keys) = keys else {
            return Self::Unknown;
        };
        let is_partly = is(Op::Update) && (0..width).any(|at| record.value(at) == Value::Unchanged);
        match (is_partly, keys.pop(), keys.pop()) {
            (true, Some(now), Some(before)) => Self::Partly {
                before,
                now,
                cells: (0..width).map(|at| said(record.value(at))).collect(),
                shape: Arc::clone(record.shape()),
            },
            (_, now, before) => Self::Told(now.into_iter().chain(before).collect()),
        }
    }

    /// What it takes in memory, about.
    fn bytes(&self) -> usize {
        let texts = match self {
            Self::Told(keys) => keys.iter().map(String::len).sum(),
            Self::Partly {
                before, now, cells, ..
            } => {
                let cells = cells.iter().map(|cell| match cell {
                    Said::Now(Some(text)) => 24 + text.len(),
                    _ => 24,
                });
                before.len() + now.len() + cells.sum::<usize>()
            }
            Self::Shape(columns) => columns.len() * 128,
            Self::Emptied | Self::Unknown => 0,
        };
        texts + 128
    }
}

fn said(value: Value<'_>) -> Said {
    match value {
        Value::Unchanged => Said::Unchanged,
        Value::Text(text) => Said::Now(Some(text.into())),
        _ => Said::Now(None),
    }
}

/// Columns of the table in a record: it has each as it is and as it was.
pub(super) fn width(shape: &Shape) -> usize {
    shape.columns.len().saturating_sub(ABOUT.len()) / 2
}

/// A row's key as one text; `None` where a part of it is not told. `from`: where its cells begin.
fn key_of(record: &RecordView<'_>, key: &[String], from: usize) -> Option<String> {
    let mut text = String::new();
    let columns = &record.shape().columns;
    for name in key {
        let at = columns[..width(record.shape())]
            .iter()
            .position(|column| column == name)?;
        let Value::Text(value) = record.value(from + at) else {
            return None;
        };
        // No two keys are one text.
        text.push_str(&value.len().to_string());
        text.push(':');
        text.push_str(value);
    }
    Some(text)
}

#[cfg(test)]
mod tests;
