//! Which ids are missing below the highest one that was read, and since when: a transaction that drew a low id may commit after one that drew
//! a higher one. Pure: its time is how long the agent has looked, which no clock can set back.
//!
//! An id that is missing is looked for until it comes, or until its transaction must have ended: it drew the id before the id was missed,
//! so after the longest transaction that the site has, counted from there, the id was rolled back or deleted.

mod written;

use serde::{Deserialize, Serialize};

use super::place::{FOUND_BYTES_MAX, GAPS_BYTES_MAX};

/// A range in a position, at most.
const GAP_BYTES_MAX: usize = 60;
/// Ranges that are looked for with one statement.
pub(super) const LOOK_MAX: usize = 200;

/// Missing ids, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap(
    pub(super) i64,
    pub(super) i64,
    /// When they were missed.
    u64,
);

/// What is read and what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The highest id that was read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) top: Option<i64>,
    /// What told that row from another one with its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) version: Option<String>,
    /// For how many milliseconds was looked, since the flow began.
    clock: u64,
    /// The highest id that was there when it was asked for, and when that was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    drawn: Option<(i64, u64)>,
    /// Ascending, and apart from each other.
    #[serde(skip_serializing_if = "Vec::is_empty", default, with = "written")]
    gaps: Vec<Gap>,
    /// What they take in a position.
    #[serde(skip)]
    gaps_bytes: usize,
    /// Rows that came after higher ones.
    #[serde(default)]
    pub(super) late: u64,
}

impl Ledger {
    /// So many milliseconds went by while the agent looked.
    pub(super) fn tick(&mut self, elapsed_ms: u64) {
        self.clock += elapsed_ms;
    }

    pub(super) fn clock_ms(&self) -> u64 {
        self.clock
    }

    /// The highest id that the table has now: what is missing below it was drawn by now.
    pub(super) fn drawn(&mut self, id: i64) {
        self.drawn = Some((id, self.clock));
    }

    /// Whether the highest id should be asked for: what is read next is not known to be old.
    pub(super) fn asks_for_drawn(&self) -> bool {
        match (self.top, self.drawn) {
            (_, None) => true,
            (top, Some((drawn, _))) => top.is_some_and(|top| top >= drawn),
        }
    }

    /// Nothing up to this id is wanted.
    pub(super) fn begin_behind(&mut self, id: i64) {
        self.top = Some(id);
    }

    /// Rows above the highest one, ascending. What is missing between them is remembered, but for what its transaction has had its time for.
    /// How many rows were taken: so many as there is room for.
    pub(super) fn read(
        &mut self,
        ids: impl Iterator<Item = i64>,
        transaction_max_ms: u64,
    ) -> usize {
        let mut taken = 0;
        for id in ids {
            let from = self.top.map_or(i64::MIN, |top| top.saturating_add(1));
            if from < id {
                if self.is_full() {
                    break;
                }
                self.miss(from, id - 1, transaction_max_ms);
            }
            self.top = Some(id);
            taken += 1;
        }
        taken
    }

    /// Whether nothing that is missing can be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.gaps_bytes + 2 * GAP_BYTES_MAX > GAPS_BYTES_MAX
    }

    fn push(&mut self, gap: Gap) {
        let last = self.gaps.last();
        self.gaps_bytes += written::one(last, &gap).len() + 1;
        self.gaps.push(gap);
    }

    fn miss(&mut self, from: i64, to: i64, transaction_max_ms: u64) {
        let since = self.drawn.map_or(0, |(_, since)| since);
        let (old, new) = match self.drawn {
            Some((drawn, _)) if to <= drawn => (Some((from, to)), None),
            Some((drawn, _)) if from <= drawn => (Some((from, drawn)), Some((drawn + 1, to))),
            _ => (None, Some((from, to))),
        };
        if let Some((from, to)) = old
            && self.clock - since <= transaction_max_ms
        {
            self.push(Gap(from, to, since));
        }
        if let Some((from, to)) = new {
            self.push(Gap(from, to, self.clock));
        }
    }

    /// How many rows that were missing may be found at once: each may cut a range in two.
    pub(super) fn room_to_find(&self) -> usize {
        let left = FOUND_BYTES_MAX.saturating_sub(self.gaps_bytes);
        (left / GAP_BYTES_MAX).max(1)
    }

    /// Reckons that anew, where it was read from a position.
    pub(super) fn reckon(&mut self) {
        let gaps = std::mem::take(&mut self.gaps);
        self.gaps_bytes = 0;
        for gap in gaps {
            self.push(gap);
        }
    }

    /// Whether an id is one of those that are missing.
    pub(super) fn is_missing(&self, id: i64) -> bool {
        self.gaps.iter().any(|gap| (gap.0..=gap.1).contains(&id))
    }

    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// What was looked for at `clock_ms` and what of it was there, ascending. The rest of it is given up where its time is over; how many
    /// ids that were.
    pub(super) fn looked(
        &mut self,
        looked: &[Gap],
        found: &[i64],
        clock_ms: u64,
        transaction_max_ms: u64,
    ) -> u64 {
        let mut given_up = 0_u64;
        let mut kept = Vec::with_capacity(self.gaps.len() + found.len());
        for gap in &self.gaps {
            let at = looked.binary_search_by_key(&gap.0, |looked| looked.0);
            if at.is_err() {
                kept.push(*gap);
                continue;
            }
            let is_over = clock_ms.saturating_sub(gap.2) > transaction_max_ms;
            let mut from = gap.0;
            let here = found.partition_point(|id| *id < gap.0);
            let mut keep = |from: i64, to: i64| {
                if from > to {
                } else if is_over {
                    // The one below the first row has no end.
                    given_up += u64::from(from != i64::MIN) * to.abs_diff(from).saturating_add(1);
                } else {
                    kept.push(Gap(from, to, gap.2));
                }
            };
            for id in found[here..].iter().take_while(|id| **id <= gap.1) {
                if let Some(before) = id.checked_sub(1) {
                    keep(from, before);
                }
                from = id.saturating_add(1);
            }
            keep(from, gap.1);
        }
        self.gaps = kept;
        self.reckon();
        self.late += found.len() as u64;
        given_up
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// So long is the longest transaction of the database in these tests.
    const LONGEST_MS: u64 = 40;

    fn shown(ledger: &Ledger) -> String {
        let gaps = ledger.gaps().iter().map(|gap| match gap.0 {
            i64::MIN => format!("..{}", gap.1),
            _ => format!("{}..{}", gap.0, gap.1),
        });
        gaps.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_missing_is_looked_for_until_it_comes_or_its_time_is_over() {
        let mut ledger = Ledger::default();
        ledger.read([3, 4, 9].into_iter(), 100);
        assert_eq!(shown(&ledger), "..2 5..8");
        ledger.tick(50);
        ledger.read([12].into_iter(), 100);
        let all = ledger.gaps().to_vec();
        assert_eq!(ledger.looked(&all, &[2, 6, 11], ledger.clock_ms(), 100), 0);
        assert_eq!(shown(&ledger), "..1 5..5 7..8 10..10");
        ledger.tick(51);
        let all = ledger.gaps().to_vec();
        assert_eq!(
            ledger.looked(&all, &[7], ledger.clock_ms(), 100),
            2,
            "5 and 8"
        );
        assert_eq!(shown(&ledger), "10..10");
        assert_eq!(ledger.late, 4);
    }

    #[test]
    fn what_was_missing_long_ago_is_not_looked_for() {
        let mut ledger = Ledger::default();
        ledger.drawn(1_000);
        ledger.read([10, 20].into_iter(), 100);
        assert_eq!(shown(&ledger), "..9 11..19", "they may come still");
        ledger.tick(101);
        ledger.read([30, 1_010].into_iter(), 100);
        assert_eq!(shown(&ledger), "..9 11..19 1001..1009");
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let mut ledger = Ledger::default();
        let taken = ledger.read((0..100_000).map(|id| id * 1_000_003), 100);
        assert!((1_000..10_000).contains(&taken), "{taken}");
        assert!(ledger.is_full());
        assert_eq!(ledger.read([i64::MAX].into_iter(), 100), 0);
        let mut worst = Ledger::default();
        for step in 0..100_000_i64 {
            worst.tick(1_000_000_007);
            worst.read([i64::MIN / 2 + step * 90_000_000_000_000].into_iter(), 100);
        }
        for mut ledger in [ledger, worst] {
            let json = serde_json::to_string(&ledger).expect("JSON");
            assert!(json.len() < 26_000, "{} bytes of a position", json.len());
            let mut read: Ledger = serde_json::from_str(&json).expect("a ledger");
            read.reckon();
            assert_eq!(read, ledger);
            // Rows in the midst of all of them.
            let looked: Vec<_> = ledger.gaps().iter().copied().take(LOOK_MAX).collect();
            let midst = looked.iter().map(|gap| gap.0 / 2 + gap.1 / 2);
            let found: Vec<_> = midst.take(ledger.room_to_find()).collect();
            ledger.looked(&looked, &found, 0, 100);
            let json = serde_json::to_string(&ledger).expect("JSON");
            assert!(json.len() < 30_000, "{} bytes of a position", json.len());
        }
    }

    /// A table as others see it: when a row's id was drawn, and when it was committed, if it was.
    #[derive(Debug, Default)]
    struct Database {
        now: u64,
        rows: BTreeMap<i64, Option<u64>>,
    }

    impl Database {
        fn shows(&self, id: i64) -> bool {
            self.rows[&id].is_some_and(|committed| committed <= self.now)
        }

        fn between(&self, from: i64, to: i64) -> Vec<i64> {
            let rows = self.rows.range(from..=to).map(|(id, _)| *id);
            rows.filter(|id| self.shows(*id)).collect()
        }
    }

    /// One poll as the driver makes it: new rows in pages, then what is missing.
    fn poll(database: &Database, ledger: &mut Ledger, elapsed: u64, page: usize) -> Vec<i64> {
        ledger.tick(elapsed);
        if ledger.asks_for_drawn()
            && let Some(highest) = database.between(i64::MIN, i64::MAX).last()
        {
            ledger.drawn(*highest);
        }
        let from = ledger.top.map_or(i64::MIN, |top| top + 1);
        let mut found = database.between(from, i64::MAX);
        found.truncate(page);
        let looked: Vec<_> = ledger.gaps().iter().copied().take(LOOK_MAX).collect();
        ledger.read(found.iter().copied(), LONGEST_MS);
        let late: Vec<_> = looked
            .iter()
            .flat_map(|gap| database.between(gap.0, gap.1))
            .collect();
        ledger.looked(&looked, &late, ledger.clock_ms(), LONGEST_MS);
        found.extend(late);
        found
    }

    fn run(steps: &[(u64, u64, bool)], page: usize, restarts: bool) -> (usize, Vec<i64>, usize) {
        let mut database = Database::default();
        let mut ledger = Ledger::default();
        let mut read = Vec::new();
        let mut naive = Vec::new();
        let mut looked_at = 0;
        for (id, (pause, open_for, commits)) in (1..).zip(steps) {
            database.now += pause;
            let committed = commits.then_some(database.now + open_for.min(&LONGEST_MS));
            database.rows.insert(id, committed);
            if id % 3 == 0 {
                let above = naive.last().map_or(0, |last: &i64| last + 1);
                naive.extend(database.between(above, i64::MAX));
                let elapsed = database.now - looked_at;
                looked_at = database.now;
                read.extend(poll(&database, &mut ledger, elapsed, page));
            }
            if restarts && id % 7 == 0 {
                let json = serde_json::to_string(&ledger).expect("JSON");
                ledger = serde_json::from_str(&json).expect("a ledger");
                ledger.reckon();
            }
        }
        for _ in 0..steps.len() + 3 {
            database.now += LONGEST_MS;
            read.extend(poll(&database, &mut ledger, LONGEST_MS, page));
        }
        assert_eq!(ledger.gaps(), [], "all is found or given up");
        let committed = database.between(i64::MIN, i64::MAX);
        let missed = committed.iter().filter(|id| !naive.contains(id)).count();
        assert_eq!(
            read.len(),
            committed.len(),
            "rows of {committed:?}: {read:?}"
        );
        (missed, committed, read.len())
    }

    proptest! {
        #[test]
        fn every_committed_row_is_read_once_however_late_it_is(
            steps in prop::collection::vec((0_u64..15, 0_u64..=LONGEST_MS, prop::bool::weighted(0.9)), 1..200),
            page in 1_usize..30,
            restarts: bool,
        ) {
            run(&steps, page, restarts);
        }
    }

    #[test]
    fn whoever_asks_for_higher_ids_alone_misses_rows() {
        let steps: Vec<_> = (0..300_u64)
            .map(|n| (n % 5, n * 17 % LONGEST_MS, n % 20 != 0))
            .collect();
        let (missed, committed, read) = run(&steps, 25, true);
        assert!(missed > 20, "{missed} of {}", committed.len());
        assert_eq!(read, committed.len());
    }
}
