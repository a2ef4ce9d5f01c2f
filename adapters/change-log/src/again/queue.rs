//! Which tables are wanted again, and how far they are: a part of a place.

use serde::{Deserialize, Serialize};

/// Tables that wait in one flow: a person asks for them.
pub(crate) const ASKED_MAX: usize = 16;
/// Of tables that could not come the last ones are remembered.
const FAILED_MAX: usize = 4;
/// Letters that a place holds of a reason.
const WHY_LETTERS_MAX: usize = 400;

/// A table's key as its database sees it: the columns in its order, and of each the type with all that its values are ordered by.
pub(crate) type Key = Vec<(String, String)>;

/// The tables whose rows are to come again, the one at hand first. Part of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queue {
    /// Requests so far.
    pub(crate) taken: u64,
    /// Requests so far that some be taken back.
    #[serde(skip_serializing_if = "is_none", default)]
    pub(crate) cancelled: u64,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    loads: Vec<Again>,
    /// Those that could not be done, until they are asked for once more or taken back, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    failed: Vec<Failed>,
}

/// A table whose rows are to come again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Again {
    pub(crate) table: String,
    /// Among the flow's requests, from 1.
    pub(crate) number: u64,
    /// Microseconds since 1970: ids of its records are no other load's.
    pub(crate) asked_us: i64,
    /// The key that the values in `after` are of. Empty: no part is read, or an older agent read it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) key: Key,
    /// The key up to which its rows are appended: columns and values. Empty: none is.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) after: Vec<(String, String)>,
    /// Rows that are appended.
    pub(crate) rows: u64,
    /// Rows that got another key, of which the stream told a part alone: some may lack their large values.
    #[serde(skip_serializing_if = "is_none", default)]
    pub(crate) partial: u64,
    /// Why it does not go on; empty: it does.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    why: String,
}

/// A table whose rows did not all come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Failed {
    table: String,
    rows: u64,
    reason: String,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Again {
    /// It has this key now; whether it had another one, so that it begins anew: what is behind a key in one order is not behind it in another.
    pub(crate) fn settle_key(&mut self, key: &Key) -> bool {
        if self.key == *key {
            return false;
        }
        self.key.clone_from(key);
        let begun = !self.after.is_empty();
        self.after.clear();
        begun
    }

    /// It does not go on, or (empty) does; whether that is news.
    pub(crate) fn waits(&mut self, why: &str) -> bool {
        let why: String = why.chars().take(WHY_LETTERS_MAX).collect();
        let is_news = self.why != why;
        self.why = why;
        is_news
    }
}

impl Queue {
    /// Nothing was ever asked for.
    pub(crate) fn is_unused(&self) -> bool {
        *self == Self::default()
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

    /// Whether something is said of this table.
    pub(crate) fn names(&self, table: &str) -> bool {
        let mut failed = self.failed.iter();
        self.of(table).is_some() || failed.any(|failed| failed.table == table)
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
        self.failed.retain(|failed| failed.table != table);
        self.loads.push(Again {
            table: table.to_owned(),
            number: self.taken,
            asked_us,
            ..Again::default()
        });
        Ok(())
    }

    /// A table is taken back; `None`: it was not among them.
    pub(crate) fn cancel(&mut self, table: &str) -> Option<Again> {
        self.cancelled += 1;
        self.failed.retain(|failed| failed.table != table);
        let at = self.loads.iter().position(|load| load.table == table)?;
        Some(self.loads.remove(at))
    }

    /// The table at hand is done.
    pub(crate) fn end(&mut self) -> Option<Again> {
        (!self.loads.is_empty()).then(|| self.loads.remove(0))
    }

    /// The table at hand can't be done.
    pub(crate) fn fail(&mut self, reason: &str) -> Option<Again> {
        let ended = self.end()?;
        if self.failed.len() >= FAILED_MAX {
            self.failed.remove(0);
        }
        self.failed.push(Failed {
            table: ended.table.clone(),
            rows: ended.rows,
            reason: reason.chars().take(WHY_LETTERS_MAX).collect(),
        });
        Some(ended)
    }

    /// The table at hand lets another one go first; whether one waits.
    pub(crate) fn turn(&mut self) -> bool {
        let waits = self.loads.len() > 1;
        if waits {
            self.loads.rotate_left(1);
        }
        waits
    }

    /// All are done by other means.
    pub(crate) fn clear(&mut self) {
        self.loads.clear();
    }

    /// What is being done, and what could not be, in a sentence.
    pub(crate) fn doing(&self) -> Option<String> {
        let failed = self.failed.iter().map(|failed| {
            format!(
                "{} did not come again as a whole ({} rows came): {}",
                failed.table, failed.rows, failed.reason
            )
        });
        let said: Vec<_> = self.loading().into_iter().chain(failed).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    fn loading(&self) -> Option<String> {
        let first = self.first()?;
        let waiting = match self.loads.len() - 1 {
            0 => String::new(),
            1 => "; another table waits".to_owned(),
            more => format!("; {more} other tables wait"),
        };
        let why = match &*first.why {
            "" => String::new(),
            why => format!(", and waits: {why}"),
        };
        Some(format!(
            "{} is loaded again: {} rows so far{why}{waiting}",
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

    fn of(tables: &[&str]) -> Queue {
        let mut queue = Queue::default();
        for table in tables {
            queue.add(table, 7).expect("it is taken");
        }
        queue
    }

    #[test]
    fn a_table_whose_key_is_another_one_begins_anew() {
        let mut queue = of(&["public.stock"]);
        let first = queue.first_mut().expect("the first");
        let key = |kind: &str| vec![("sku".to_owned(), kind.to_owned())];
        assert!(!first.settle_key(&key("text")), "no part of it is read");
        (first.after, first.rows) = (vec![("sku".into(), "A".into())], 3);
        assert!(!first.settle_key(&key("text")) && !first.after.is_empty());
        for other in ["text COLLATE C", "bigint"] {
            first.after = vec![("sku".into(), "A".into())];
            assert!(first.settle_key(&key(other)), "{other}");
            assert!(first.after.is_empty(), "{other}");
        }
        assert_eq!(first.rows, 3, "numbers go on: ids are made of them");
        // As an older agent left it, which did not note the key.
        first.key.clear();
        first.after = vec![("sku".into(), "A".into())];
        assert!(first.settle_key(&key("bigint")) && first.after.is_empty());
    }

    #[test]
    fn what_can_not_be_done_makes_room_and_is_said_until_it_is_asked_for_again_or_taken_back() {
        let mut queue = of(&["public.stock", "public.lot"]);
        let first = queue.first_mut().expect("the first");
        assert!(first.waits("it is locked") && !first.waits("it is locked"));
        let doing = |queue: &Queue| queue.doing().unwrap_or_default();
        let expected = "public.stock is loaded again: 0 rows so far, and waits: it is locked; another table waits";
        assert_eq!(doing(&queue), expected);
        assert!(queue.turn());
        assert!(doing(&queue).starts_with("public.lot is loaded again: 0 rows so far;"));
        assert!(queue.turn());
        queue.fail("it is gone").expect("it was the first");
        let expected = "public.lot is loaded again: 0 rows so far; public.stock did not come again as a whole (0 rows came): it is gone";
        assert_eq!(doing(&queue), expected);
        assert!(!queue.turn(), "nobody else waits");
        let json = serde_json::to_string(&queue).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Queue>(&json).ok(),
            Some(queue.clone())
        );
        let mut asked = queue.clone();
        asked.add("public.stock", 8).expect("it is taken");
        assert!(!doing(&asked).contains("gone"));
        assert!(queue.names("public.stock") && queue.names("public.lot"));
        assert!(queue.cancel("public.stock").is_none());
        assert!(queue.cancel("public.lot").is_some());
        assert!(
            queue.cancel("public.lot").is_none(),
            "once more is no fault"
        );
        assert_eq!((doing(&queue), queue.cancelled), (String::new(), 3));
        assert!(!queue.is_unused() && !queue.has_any());
    }

    #[test]
    fn the_last_tables_that_could_not_come_are_remembered() {
        let mut queue = Queue::default();
        for number in 0..2 * FAILED_MAX {
            queue.add(&format!("t{number}"), 7).expect("room");
            queue.fail("it is gone").expect("it was the first");
        }
        let doing = queue.doing().expect("they are said");
        assert_eq!(doing.matches("gone").count(), FAILED_MAX);
        assert!(doing.starts_with("t4 did not come again"), "{doing}");
    }

    #[test]
    fn a_reason_is_kept_up_to_its_limit() {
        let mut queue = of(&["public.stock"]);
        let first = queue.first_mut().expect("the first");
        first.waits(&"ß".repeat(10_000));
        assert_eq!(first.why.chars().count(), WHY_LETTERS_MAX);
    }
}
