mod world;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use dray_adapter::{Records, Shape, Value};

use super::*;
use crate::again::held::HELD_BYTES_MAX;
use crate::again::queue::Queue;
use crate::columns::Taken;
use crate::rows::{About, Op, Rows, shape};

/// Numbers of transactions that are not seen, and how many the log has.
struct Sight(HashSet<u64>, usize);

#[derive(Debug)]
struct Sees(HashSet<u64>, usize);

impl View for Sees {
    type Place = usize;

    fn has(&self, transaction: u64) -> bool {
        !self.0.contains(&transaction) && transaction <= self.1 as u64
    }

    fn is_reached(&self, place: &usize) -> bool {
        *place >= self.1
    }
}

/// Transactions are told in the order of their numbers, from 1.
#[derive(Default)]
struct Told {
    at: usize,
    is_full: bool,
}

impl Track for Told {
    type Place = usize;
    type Sight = Sight;
    type View = Sees;

    fn begin(&mut self, _: &Sight) {}

    fn depart(&mut self, place: &usize) {
        self.at = *place;
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    fn settle(&mut self, sight: Sight) -> Option<Sees> {
        let is_unseen = sight.0.iter().any(|one| *one <= self.at as u64);
        (!is_unseen).then_some(Sees(sight.0, sight.1))
    }
}

/// A change of a row: its key before, and what it is then: key, number of the transaction, large value (`None`: not told).
#[derive(Debug, Clone)]
enum Change {
    Create(u8, u64, u64),
    Update(u8, u8, u64, Option<u64>),
    Delete(u8, u64),
    Truncate,
}

type Table = BTreeMap<String, (u64, u64)>;

fn name(key: u8) -> String {
    format!("K{key:02}")
}

fn apply(table: &mut Table, change: &Change) {
    match change {
        Change::Create(key, number, large) => {
            table.insert(name(*key), (*number, *large));
        }
        Change::Update(before, now, number, large) => {
            let (_, had) = table.remove(&name(*before)).expect("it is there");
            table.insert(name(*now), (*number, large.unwrap_or(had)));
        }
        Change::Delete(key, _) => {
            table.remove(&name(*key));
        }
        Change::Truncate => table.clear(),
    }
}

fn key() -> Key {
    vec![("sku".into(), "text".into())]
}

fn columns() -> Vec<Taken> {
    let names = ["number", "sku", "large"].into_iter().enumerate();
    let taken = names.map(|(at, name)| Taken {
        at,
        name: name.into(),
        mask: None,
    });
    taken.collect()
}

fn put(rows: &mut Rows, text: Option<&str>) {
    match text {
        Some("=") => rows.unchanged(),
        text => rows.value(|out| {
            out.push_str(text.unwrap_or_default());
            text.is_some()
        }),
    }
}

fn record(
    rows: &mut Rows,
    shape: &Arc<Shape>,
    op: Op,
    now: [Option<&str>; 3],
    before: Option<&str>,
) {
    for text in now {
        put(rows, text);
    }
    for text in [Some("="), before, Some("=")] {
        put(rows, text);
    }
    let about = About {
        op,
        transaction: "",
        position: "",
        committed_at: "",
        ordinal: 0,
    };
    rows.end(shape, &about);
}

fn records(shape: &Arc<Shape>, changes: &[Change]) -> Records {
    let mut rows = Rows::default();
    for change in changes {
        match change {
            Change::Create(key, number, large) => {
                let (number, large) = (number.to_string(), large.to_string());
                let now = [Some(&*number), Some(&*name(*key)), Some(&*large)]
                    .map(|text| text.map(str::to_owned));
                let now = now.each_ref().map(|text| text.as_deref());
                record(&mut rows, shape, Op::Create, now, None);
            }
            Change::Update(before, key, number, large) => {
                let (number, key) = (number.to_string(), name(*key));
                let large = large.map_or_else(|| "=".to_owned(), |large| large.to_string());
                let now = [Some(&*number), Some(&*key), Some(&*large)];
                record(&mut rows, shape, Op::Update, now, Some(&name(*before)));
            }
            Change::Delete(key, _) => {
                let key = name(*key);
                record(
                    &mut rows,
                    shape,
                    Op::Delete,
                    [Some("="), Some(&key), Some("=")],
                    Some(&key),
                );
            }
            Change::Truncate => record(&mut rows, shape, Op::Truncate, [None; 3], None),
        }
    }
    rows.take()
}

fn of(changes: &[Change], chunk: &[(u8, u64)]) -> (Join<Told>, Records) {
    let shape = shape("public.stock", &columns());
    let mut join = Join::new("public.stock", 1, Told::default());
    join.set_key(key());
    join.depart(&1);
    let mut rows = Rows::default();
    for (key, number) in chunk {
        let (key, number) = (name(*key), number.to_string());
        record(
            &mut rows,
            &shape,
            Op::Read,
            [Some(&*number), Some(&*key), Some("7")],
            None,
        );
    }
    let chunk = Chunk {
        records: rows.take(),
        key: key(),
        ..Chunk::default()
    };
    assert_eq!(join.arrive(chunk, Sight(HashSet::new(), 2)), Arrived::Held);
    (join, records(&shape, changes))
}

#[test]
fn a_chunk_waits_for_its_place_and_lacks_what_was_told_since() {
    let changes = [
        Change::Update(1, 1, 3, None),
        Change::Update(2, 9, 3, Some(3)),
        Change::Delete(3, 3),
    ];
    let (mut join, records) = of(&changes, &[(1, 1), (2, 1), (3, 1), (4, 1)]);
    // It sees the second transaction, and not the third.
    for (number, record) in [
        (2, records.get(2)),
        (3, records.get(0)),
        (3, records.get(1)),
        (3, records.get(2)),
    ] {
        assert!(join.land(&1).is_none(), "the stream is not there yet");
        join.see(number, &record.expect("a change"));
    }
    let Some(Landed::Rows(_, fates)) = join.land(&2) else {
        panic!("it is given");
    };
    let now = ["3", "K01", "7"].map(|text| Some(text.into()));
    assert_eq!(
        fates,
        [Fate::Now(now.into()), Fate::Gone, Fate::Gone, Fate::Comes]
    );
    assert!(join.is_resting());
}

#[test]
fn another_shape_an_emptied_table_and_a_key_that_is_not_told_are_seen() {
    let described = |kind: &str| {
        vec![Described {
            name: "sku".into(),
            kind: kind.into(),
            is_key: true,
        }]
    };
    let (mut join, _) = of(&[], &[(1, 1)]);
    join.described(2, "public.stock", &described("text"));
    join.described(3, "public.other", &described("text"));
    assert!(matches!(join.land(&2), Some(Landed::Rows(..))));
    let (mut join, _) = of(&[], &[(1, 1)]);
    join.described(3, "public.stock", &described("text"));
    assert!(matches!(join.land(&1), Some(Landed::Spoilt)));
    let (mut join, records) = of(&[Change::Truncate], &[(1, 1)]);
    join.see(3, &records.get(0).expect("a change"));
    assert!(matches!(join.land(&2), Some(Landed::Emptied)));
    let (mut join, _) = of(&[], &[(1, 1)]);
    join.is_at_end(&1);
    assert!(matches!(join.land(&1), Some(Landed::Spoilt)));
    let (mut join, _) = of(&[], &[(1, 1)]);
    let mut rows = Rows::default();
    let shape = shape("public.stock", &columns());
    record(&mut rows, &shape, Op::Delete, [Some("="); 3], Some("="));
    join.see(3, &rows.take().get(0).expect("a change"));
    assert!(matches!(join.land(&1), Some(Landed::Spoilt)));
}

#[test]
fn the_stream_waits_where_much_is_told_while_a_chunk_is_read() {
    let shape = shape("public.stock", &columns());
    let mut join = Join::new("public.stock", 1, Told::default());
    join.set_key(key());
    join.depart(&0);
    let changes = records(&shape, &[Change::Create(1, 1, 1)]);
    let mut count = 0;
    while join.has_room() {
        join.see(1, &changes.get(0).expect("a change"));
        count += 1;
    }
    assert!((5_000..10_000).contains(&count), "{count} changes");
    join.give_up();
    assert!(join.has_room() && join.is_resting());
}

#[test]
fn a_chunk_of_another_key_is_of_no_use_and_the_table_is_looked_at_again() {
    for kind in ["text COLLATE C", "bigint"] {
        let mut join = Join::new("public.stock", 1, Told::default());
        join.set_key(key());
        join.depart(&1);
        let chunk = Chunk::of_another_key(vec![("sku".into(), kind.into())]);
        let arrived = join.arrive(chunk, Sight(HashSet::new(), 1));
        assert_eq!(arrived, Arrived::OtherKey, "{kind}");
        assert!(join.is_resting() && join.key().is_empty(), "{kind}");
        assert!(join.land(&1).is_none(), "{kind}");
    }
}

#[test]
fn a_chunk_that_the_stream_makes_too_large_is_read_again() {
    let (mut join, _) = of(&[], &[(1, 1), (2, 1)]);
    let shape = shape("public.stock", &columns());
    let mut change = |key: u8, bytes: usize| {
        let (key, large) = (name(key), "x".repeat(bytes));
        let mut rows = Rows::default();
        let now = [Some("="), Some(&*key), Some(&*large)];
        record(&mut rows, &shape, Op::Update, now, Some(&key));
        join.see(3, &rows.take().get(0).expect("a change"));
        match &join.phase {
            Phase::Held(held) => held.is_spoilt,
            other => panic!("{other:?}"),
        }
    };
    // What replaces another value does not add to it.
    for _ in 0..3 {
        assert!(!change(1, HELD_BYTES_MAX - 1_000));
    }
    assert!(change(2, 2_000));
    assert!(matches!(join.land(&2), Some(Landed::Spoilt)));
}

#[test]
fn a_table_is_looked_at_anew_where_more_is_told_between_two_chunks_than_is_remembered() {
    let mut join = Join::new("public.stock", 1, Told::default());
    join.set_key(key());
    assert!(!join.is_lost());
    join.track.is_full = true;
    assert!(join.is_lost());
    join.depart(&0);
    assert!(!join.is_lost() && !join.has_room(), "the stream waits");
}

#[test]
fn a_table_that_is_asked_for_anew_begins_anew() {
    let mut queue = Queue::default();
    queue.add("public.stock", 7).expect("room");
    let first = queue.first().cloned().expect("it stands");
    let join = Join::new(&first.table, first.number, Told::default());
    assert!(join.is_of(&first));
    queue.cancel("public.stock");
    queue.add("public.stock", 8).expect("room");
    let again = queue.first().expect("it stands");
    assert!(!join.is_of(again), "what was read for the other is not its");
}
