//! One table's rows once more, joined to a running stream. Of no particular database.
//!
//! Nothing is written, locked or kept open for it. The table is read chunk by chunk in the order of its key, beside the stream. A chunk is what one
//! moment of the database sees; it is kept in memory until the stream has passed all that this moment sees. Of what was committed later and was told
//! by then, the chunk's rows are stale: they are left out, as the stream has told them whole, or made what they are now, where it has told a
//! part. What is left is given as `read` at that place of the stream. So every row comes, and no reader ever sees an older state of a key after a
//! newer one.
//!
//! | file | what it does |
//! |---|---|
//! | `again.rs` | which tables are wanted, and how far they are: a part of a place |
//! | `join.rs` | what becomes of a chunk while the stream goes on. Pure |
//! | `given.rs` | what is left of it, as records. Pure |
//! | `pump.rs` | when what is asked of the database |
//!
//! Limits: [`ASKED_MAX`] tables wait; a chunk has at most [`CHUNK_ROWS_MAX`] rows or about [`CHUNK_BYTES`] bytes; while it is being read, at most
//! [`join::FLIGHT_BYTES_MAX`] bytes of what the stream tells are kept, and then the stream waits.

mod given;
mod join;
mod pump;

use dray_adapter::BATCH_BYTES_MAX;
use serde::{Deserialize, Serialize};

pub(crate) use join::{Chunk, FLIGHT_TRANSACTIONS_MAX, Join, Track, View};
pub(crate) use pump::{Chunks, Joined, Parts, Pump, Stands};

/// Tables that wait in one flow: a person asks for them.
pub(crate) const ASKED_MAX: usize = 16;
/// Rows of a chunk.
pub(crate) const CHUNK_ROWS_MAX: usize = 10_000;
/// Bytes of a chunk, about.
pub(crate) const CHUNK_BYTES: usize = BATCH_BYTES_MAX / 2;
/// Rows of the first chunk, before their size is known.
pub(crate) const CHUNK_ROWS_FIRST: usize = 64;

/// The tables whose rows are to come again, the one at hand first. Part of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queue {
    /// Requests so far.
    pub(crate) taken: u64,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    loads: Vec<Again>,
}

/// A table whose rows are to come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Again {
    pub(crate) table: String,
    /// Among the flow's requests, from 1.
    pub(crate) number: u64,
    /// Microseconds since 1970: ids of its records are no other load's.
    pub(crate) asked_us: i64,
    /// The key up to which its rows are appended: columns and values. Empty: none is.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) after: Vec<(String, String)>,
    /// Rows that are appended.
    pub(crate) rows: u64,
    /// Rows that got another key, of which the stream told a part alone: some may lack their large values.
    #[serde(skip_serializing_if = "is_none", default)]
    pub(crate) partial: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Queue {
    /// Nothing was ever asked for.
    pub(crate) fn is_unused(&self) -> bool {
        self.taken == 0
    }

    /// Whether something is to be done.
    pub(crate) fn has_any(&self) -> bool {
        !self.loads.is_empty()
    }

    /// The table at hand.
    pub(crate) fn first(&self) -> Option<&Again> {
        self.loads.first()
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut Again> {
        self.loads.first_mut()
    }

    /// This table's.
    pub(crate) fn of(&self, table: &str) -> Option<&Again> {
        self.loads.iter().find(|load| load.table == table)
    }

    /// One more table.
    ///
    /// # Errors
    /// A sentence: it is among them, or they are too many.
    pub(crate) fn add(&mut self, table: &str, asked_us: i64) -> Result<(), String> {
        if self.of(table).is_some() {
            return Err(stands_already(table));
        }
        if self.loads.len() >= ASKED_MAX {
            return Err(format!(
                "{ASKED_MAX} tables wait already: ask again when one is done"
            ));
        }
        self.taken += 1;
        self.loads.push(Again {
            table: table.to_owned(),
            number: self.taken,
            asked_us,
            after: Vec::new(),
            rows: 0,
            partial: 0,
        });
        Ok(())
    }

    /// The table at hand is done.
    pub(crate) fn end(&mut self) -> Option<Again> {
        (!self.loads.is_empty()).then(|| self.loads.remove(0))
    }

    /// All are done by other means.
    pub(crate) fn clear(&mut self) {
        self.loads.clear();
    }

    /// What is being done, in a sentence.
    pub(crate) fn doing(&self) -> Option<String> {
        let first = self.first()?;
        let waiting = match self.loads.len() - 1 {
            0 => String::new(),
            1 => "; another table waits".to_owned(),
            more => format!("; {more} other tables wait"),
        };
        Some(format!(
            "{} is loaded again: {} rows so far{waiting}",
            first.table, first.rows
        ))
    }
}

/// Why a table can't be asked for twice.
pub(crate) fn stands_already(table: &str) -> String {
    format!("{table} is asked for already: \"dray-agent status\" shows how far it is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_wait_for_each_other_and_none_stands_twice() {
        let mut queue = Queue::default();
        assert_eq!(
            serde_json::to_string(&queue).expect("JSON"),
            r#"{"taken":0}"#
        );
        for table in ["public.stock", "public.lot"] {
            queue.add(table, 7).expect("it is taken");
        }
        let told = queue.add("public.lot", 8).expect_err("twice");
        assert!(told.contains("asked for already"), "{told}");
        let first = queue.first_mut().expect("the first");
        (first.after, first.rows) = (vec![("sku".into(), "A".into())], 3);
        assert_eq!(
            queue.doing().as_deref(),
            Some("public.stock is loaded again: 3 rows so far; another table waits")
        );
        let json = serde_json::to_string(&queue).expect("JSON");
        assert_eq!(
            json,
            r#"{"taken":2,"loads":[{"table":"public.stock","number":1,"asked_us":7,"after":[["sku","A"]],"rows":3},{"table":"public.lot","number":2,"asked_us":7,"rows":0}]}"#
        );
        assert_eq!(
            serde_json::from_str::<Queue>(&json).expect("a queue"),
            queue
        );
        queue.end();
        assert_eq!(queue.first().map(|load| load.number), Some(2));
        queue.end();
        assert!(!queue.has_any() && queue.taken == 2 && queue.doing().is_none());
        queue.add("public.lot", 9).expect("once more");
        assert_eq!(queue.of("public.lot").map(|load| load.number), Some(3));
        for number in 1..ASKED_MAX {
            queue.add(&format!("public.t{number}"), 9).expect("room");
        }
        let told = queue.add("public.more", 9).expect_err("too many");
        assert!(told.contains("wait already"), "{told}");
    }
}
