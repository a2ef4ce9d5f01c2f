use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::columns::Taken;
use crate::rows::{About, Rows, shape};

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
struct Told(usize);

impl Track for Told {
    type Place = usize;
    type Sight = Sight;
    type View = Sees;

    fn begin(&mut self, _: &Sight) {}

    fn depart(&mut self, place: &usize) {
        self.0 = *place;
    }

    fn is_full(&self) -> bool {
        false
    }

    fn settle(&mut self, sight: Sight) -> Option<Sees> {
        let is_unseen = sight.0.iter().any(|one| *one <= self.0 as u64);
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

/// A database, its log, a stream of it, and who hears that.
struct World {
    shape: Arc<Shape>,
    log: Vec<Vec<Change>>,
    unseen: HashSet<u64>,
    /// All that is committed.
    table: Table,
    told: usize,
    join: Join<Told>,
    after: String,
    count: usize,
    snapped: Option<(Chunk, Sight)>,
    is_done: bool,
    /// What a consumer has that began with nothing when the table was asked for: `None`: it was not told the large value.
    heard: BTreeMap<String, (u64, Option<u64>)>,
    /// The newest transaction of each key that it heard of.
    newest: BTreeMap<String, u64>,
    partial: u64,
}

impl World {
    fn new(count: usize) -> Self {
        let mut join = Join::new("public.stock", Told::default());
        join.set_key(vec!["sku".into()]);
        let mut world = Self {
            shape: shape("public.stock", &columns()),
            log: Vec::new(),
            unseen: HashSet::new(),
            table: Table::new(),
            told: 0,
            join,
            after: String::new(),
            count,
            snapped: None,
            is_done: false,
            heard: BTreeMap::new(),
            newest: BTreeMap::new(),
            partial: 0,
        };
        let rows: Vec<_> = (0..20).map(|key| Change::Create(key * 2, 1, 1)).collect();
        world.commit(rows);
        world.unseen.clear();
        world.told = 1;
        world
    }

    fn commit(&mut self, changes: Vec<Change>) {
        for change in &changes {
            apply(&mut self.table, change);
        }
        self.log.push(changes);
        self.unseen.insert(self.log.len() as u64);
    }

    /// Whether a transaction that nobody sees yet holds it: then nobody else can change it.
    fn is_held(&self, key: u8) -> bool {
        self.unseen.iter().any(|one| {
            self.log[*one as usize - 1]
                .iter()
                .any(|change| match change {
                    Change::Create(held, ..) | Change::Delete(held, _) => *held == key,
                    Change::Update(before, now, ..) => *before == key || *now == key,
                    Change::Truncate => true,
                })
        })
    }

    fn write(&mut self, kind: u8, key: u8, other: u8) {
        let number = self.log.len() as u64 + 1;
        let (key, other) = (key % 40, other % 40);
        let has = |world: &Self, key: u8| world.table.contains_key(&name(key));
        if self.is_held(key) || self.is_held(other) {
            return;
        }
        let change = match (kind % 8, has(self, key)) {
            (7, _) if other == 0 && self.unseen.is_empty() => Change::Truncate,
            (_, false) => Change::Create(key, number, number),
            (0, true) => Change::Delete(key, number),
            (1 | 2, true) if !has(self, other) => Change::Update(key, other, number, Some(number)),
            (3, true) if !has(self, other) => Change::Update(key, other, number, None),
            (4, true) => Change::Update(key, key, number, Some(number)),
            _ => Change::Update(key, key, number, None),
        };
        let mut changes = vec![change];
        // Some change what they made once more, in part.
        if let (Change::Create(key, ..), 6..) = (&changes[0], kind % 8) {
            changes.push(Change::Update(*key, *key, number, None));
        }
        self.commit(changes);
    }

    fn hear(&mut self, key: String, number: u64, large: Option<u64>, is_gone: bool) {
        let newest = self.newest.entry(key.clone()).or_default();
        assert!(
            *newest <= number,
            "{key} goes back from {newest} to {number}"
        );
        *newest = number;
        if is_gone {
            self.heard.remove(&key);
        } else {
            let known = self.heard.get(&key).and_then(|(_, large)| *large);
            self.heard.insert(key, (number, large.or(known)));
        }
    }

    fn tell(&mut self) {
        let Some(changes) = self.log.get(self.told).cloned() else {
            return;
        };
        if !self.join.has_room() {
            return;
        }
        let number = self.told as u64 + 1;
        for record in records(&self.shape, &changes).iter() {
            self.join.see(number, &record);
        }
        for change in changes {
            match change {
                Change::Create(key, number, large) => {
                    self.hear(name(key), number, Some(large), false)
                }
                Change::Delete(key, number) => self.hear(name(key), number, None, true),
                Change::Truncate => {
                    self.heard.clear();
                    self.newest.values_mut().for_each(|newest| *newest = number);
                }
                Change::Update(before, now, number, large) => {
                    let known = self.heard.get(&name(before)).and_then(|(_, large)| *large);
                    if before != now {
                        self.hear(name(before), number, None, true);
                    }
                    self.hear(name(now), number, large.or(known), false);
                }
            }
        }
        self.told += 1;
        self.land();
    }

    /// Asks for a chunk, takes what is seen now, or lets it arrive.
    fn read(&mut self) {
        if self.is_done {
            return;
        }
        if let Some((chunk, sight)) = self.snapped.take() {
            self.join.arrive(chunk, sight);
            return self.land();
        }
        if !matches!(self.join.phase, Phase::Flying { .. }) {
            if self.join.is_resting() {
                self.join.depart(&self.told);
            }
            return;
        }
        let mut seen = Table::new();
        for (number, changes) in (1..).zip(&self.log) {
            if !self.unseen.contains(&number) {
                changes.iter().for_each(|change| apply(&mut seen, change));
            }
        }
        let behind = seen.iter().filter(|(key, _)| **key > self.after);
        let rows: Vec<_> = behind.take(self.count).collect();
        let mut put = Rows::default();
        for (key, (number, large)) in &rows {
            let (number, large) = (number.to_string(), large.to_string());
            let now = [Some(&*number), Some(&***key), Some(&*large)];
            record(&mut put, &self.shape, Op::Read, now, None);
        }
        let chunk = Chunk {
            columns: Vec::new(),
            is_last: rows.len() < self.count,
            last: rows
                .last()
                .map_or(Vec::new(), |(key, _)| vec![("sku".into(), (*key).clone())]),
            records: put.take(),
        };
        self.snapped = Some((chunk, Sight(self.unseen.clone(), self.log.len())));
    }

    fn land(&mut self) {
        let landed = self.join.land(&self.told);
        self.partial += self.join.partial();
        match landed {
            None | Some(Landed::Spoilt) => {}
            Some(Landed::Emptied) => self.is_done = true,
            Some(Landed::Rows(chunk, fates)) => {
                for (record, fate) in chunk.records.iter().zip(fates) {
                    let cells: Vec<_> = match fate {
                        Fate::Gone => continue,
                        Fate::Now(cells) => cells
                            .iter()
                            .map(|cell| cell.as_deref().expect("a value").to_owned())
                            .collect(),
                        Fate::Comes => (0..3)
                            .map(|at| match record.value(at) {
                                Value::Text(text) => text.to_owned(),
                                other => panic!("{other:?}"),
                            })
                            .collect(),
                    };
                    let number = |at: usize| cells[at].parse().expect("a number");
                    self.hear(cells[1].clone(), number(0), Some(number(2)), false);
                }
                if let Some((_, key)) = chunk.last.into_iter().next() {
                    self.after = key;
                }
                self.is_done = chunk.is_last;
            }
        }
    }

    fn finish(&mut self) {
        for _ in 0..1_000 {
            self.unseen.clear();
            self.read();
            self.tell();
        }
        assert!(self.is_done, "it ends when nothing is in its way");
        assert_eq!(self.told, self.log.len());
        let heard: Vec<_> = self.heard.keys().collect();
        assert_eq!(heard, self.table.keys().collect::<Vec<_>>());
        for (key, (number, large)) in &self.table {
            let (heard, heard_large) = self.heard[key];
            assert_eq!(heard, *number, "{key}");
            // What moved in part may lack it, and is counted.
            if self.partial == 0 {
                assert_eq!(heard_large, Some(*large), "{key}");
            } else if let Some(heard) = heard_large {
                assert_eq!(heard, *large, "{key}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn who_begins_with_nothing_has_the_table_in_the_end_and_no_key_goes_back(
        count in 1_usize..12,
        steps in prop::collection::vec((0_u8..12, any::<u8>(), any::<u8>(), any::<u8>()), 0..300)
    ) {
        let mut world = World::new(count);
        for (step, kind, key, other) in steps {
            match step {
                0..5 => world.write(kind, key, other),
                5..8 => world.tell(),
                8..10 => world.read(),
                _ => {
                    // One becomes visible.
                    let one = world.unseen.iter().min().copied();
                    let any = world.unseen.iter().nth(key as usize % 3).copied().or(one);
                    any.map(|any| world.unseen.remove(&any));
                }
            }
        }
        world.finish();
    }
}

fn of(changes: &[Change], chunk: &[(u8, u64)]) -> (Join<Told>, Records) {
    let shape = shape("public.stock", &columns());
    let mut join = Join::new("public.stock", Told::default());
    join.set_key(vec!["sku".into()]);
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
        ..Chunk::default()
    };
    assert!(join.arrive(chunk, Sight(HashSet::new(), 2)));
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
    let mut join = Join::new("public.stock", Told::default());
    join.set_key(vec!["sku".into()]);
    join.depart(&0);
    let changes = records(&shape, &[Change::Create(1, 1, 1)]);
    let mut count = 0;
    while join.has_room() {
        join.see(1, &changes.get(0).expect("a change"));
        count += 1;
    }
    assert!((5_000..10_000).contains(&count), "{count} changes");
    join.turn_to("public.stock");
    assert!(join.has_room() && join.is_resting());
}
