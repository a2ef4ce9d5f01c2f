use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

#[test]
fn marks_are_kept_apart_by_flow_and_forgotten_with_age() {
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    let mut marks = Marks::default();
    assert_ne!(hash("a", b"1"), hash("b", b"1"));
    assert_ne!(hash("ab", b"c"), hash("a", b"bc"));
    marks.add(&a, hash("a", b"1"), 5, 1_000, Some(5));
    marks.add(&b, hash("b", b"1"), 9, 1_000, Some(9));
    assert_eq!(marks.get(&a, &hash("a", b"1")), Some(5));
    let later = 1_100 + MARK_SECONDS;
    marks.add(&a, hash("a", b"0"), 5, later, Some(5));
    assert_eq!(marks.get(&a, &hash("a", b"1")), Some(5), "it is not acked");
    marks.add(&a, hash("a", b"2"), 6, later, Some(6));
    assert_eq!(marks.get(&a, &hash("a", b"1")), None);
    assert_eq!(marks.get(&b, &hash("b", b"1")), Some(9));
    marks.forget(5..7);
    assert_eq!(marks.get(&a, &hash("a", b"2")), None);
    assert_eq!(marks.get(&a, &hash("a", b"0")), Some(0), "it is acked");
    assert_eq!(marks.get(&b, &hash("b", b"1")), Some(9));
}

#[test]
fn the_first_marks_behind_a_number_are_forgotten() {
    let a: Arc<str> = "a".into();
    let mut marks = Marks::default();
    for (mark, through) in [(b"1", 5), (b"2", 8), (b"3", 8), (b"4", 9)] {
        marks.add(&a, hash("a", mark), through, 1_000, Some(1));
    }
    marks.forget_first("a", 6);
    let left = [b"1", b"2", b"3", b"4"].map(|mark| marks.get(&a, &hash("a", mark)));
    assert_eq!(left, [Some(5), None, None, Some(9)]);
    marks.forget_first("a", 10);
    marks.forget_first("b", 1);
    assert_eq!(marks.get(&a, &hash("a", b"4")), Some(9));
}

/// What a map knows of a mark: the newest block's number, and when it was told of first and last.
#[derive(Debug, Clone, Copy)]
struct Known {
    through: u64,
    since_s: u64,
    last_s: u64,
}

struct Life {
    marks: Marks,
    flow: Arc<str>,
    known: BTreeMap<u32, Known>,
    held: u64,
    now_s: u64,
}

impl Life {
    fn add(&mut self, name: u32, through: u64, held: Option<u64>) {
        let key = hash("f", &name.to_be_bytes());
        self.marks.add(&self.flow, key, through, self.now_s, held);
        let now_s = self.now_s;
        let known = self.known.entry(name).or_insert(Known {
            through,
            since_s: now_s,
            last_s: now_s,
        });
        (known.through, known.last_s) = (through, now_s);
    }

    fn forget(&mut self, is_gone: impl Fn(u64) -> bool) {
        self.known.retain(|_, known| !is_gone(known.through));
    }

    /// Nothing is forgotten that is young or not acked, and nothing is kept that is old and acked.
    fn look(&mut self, name: u32) {
        let seen = self.marks.get("f", &hash("f", &name.to_be_bytes()));
        let Some(known) = self.known.get(&name).copied() else {
            return assert_eq!(seen, None, "{name}");
        };
        let is_acked = known.through < self.held;
        match seen {
            Some(through) => assert!(
                through == known.through || (through == 0 && is_acked),
                "{name}: {through}, {known:?}"
            ),
            None => {
                let is_old = known.since_s + MARK_SECONDS < self.now_s;
                assert!(is_acked && is_old, "{name}: {known:?}");
                self.known.remove(&name);
            }
        }
        // Each mark that comes takes the old ones with it, and in a day one does.
        let is_very_old = known.last_s + MARK_SECONDS + 86_400 < self.now_s;
        assert!(!is_very_old || !is_acked || known.through == 0 || seen.is_none());
    }
}

#[test]
fn random_lives_of_marks_are_as_a_map_says() {
    for seed in 0..24 {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut life = Life {
            marks: Marks::default(),
            flow: "f".into(),
            known: BTreeMap::new(),
            held: 1,
            now_s: 1,
        };
        // In half of the lives numbers soon go past what 32 bits hold.
        let hashes = match seed % 2 {
            0 => Hashes::default(),
            _ => Hashes {
                pieces: [vec![[0; 16]; PIECE - 200]].into(),
                first: (1 << 32) - 200,
                next: (1 << 32) - 200,
            },
        };
        let of_flow = OfFlow {
            hashes,
            ..OfFlow::default()
        };
        life.marks.flows.insert("f".into(), of_flow);
        // In a third of the lives no time passes, so that all that comes again stays.
        let step_s = 300 * u64::from(seed % 3 != 0);
        let names = if step_s == 0 { 300 } else { 3_000 };
        let mut newest = 1;
        for _ in 0..12_000 {
            life.now_s += step_s;
            newest += u64::from(dice.random_range(0..3_u32) == 0);
            life.held = life.held.max(dice.random_range(life.held..=newest));
            let (held, name) = (life.held, dice.random_range(0..names));
            match dice.random_range(0..1_000_u32) {
                0 => {
                    life.add(name, 0, Some(held));
                    let lost = held..held + (newest - held) / 2 + 1;
                    life.marks.forget(lost.clone());
                    life.forget(|through| lost.contains(&through));
                }
                1 => {
                    life.add(name, 0, Some(held));
                    life.marks.forget_first("f", held);
                    let numbers = life.known.values().map(|known| known.through);
                    let first = numbers.filter(|number| *number >= held).min();
                    life.forget(|through| Some(through) == first);
                }
                2..20 => {
                    // Nothing is held: all is acked.
                    life.held = newest + 1;
                    newest += 1;
                    life.add(name, 0, None);
                }
                20..600 => life.add(name, newest, Some(held)),
                _ => {}
            }
            life.look(name);
        }
        (0..names).for_each(|name| life.look(name));
    }
}

#[test]
fn beyond_the_limit_the_oldest_are_forgotten_and_who_came_again_is_not_old() {
    let flow: Arc<str> = "f".into();
    let mut marks = Marks {
        max: 100,
        ..Marks::default()
    };
    let key = |number: u64| hash("f", &number.to_be_bytes());
    for number in 0..100 {
        marks.add(&flow, key(number), number + 1, 1_000, Some(1));
    }
    marks.add(&flow, key(0), 101, 1_000, Some(1));
    for number in 100..150 {
        marks.add(&flow, key(number), number + 2, 1_000, Some(1));
    }
    let left: Vec<u64> = (0..150)
        .filter(|number| marks.get("f", &key(*number)).is_some())
        .collect();
    assert_eq!(left, std::iter::once(0).chain(51..150).collect::<Vec<_>>());
    assert_eq!(marks.flows["f"].forgotten, 49, "the first was told of");
}

#[test]
fn what_ages_leaves_nothing_behind() {
    let flow: Arc<str> = "f".into();
    let mut marks = Marks::default();
    let add = |marks: &mut Marks, number: u64, at_s: u64| {
        let key = hash("f", &number.to_be_bytes());
        marks.add(&flow, key, number + 1, at_s, Some(number + 1));
    };
    for number in 0..50_000 {
        add(&mut marks, number, number);
    }
    // Every mark comes again, and again.
    for again in 1..4 {
        for number in 0..50_000_u64 {
            let key = hash("f", &number.to_be_bytes());
            marks.add(&flow, key, 50_000 * again + number, 50_000, None);
        }
    }
    let of_flow = &marks.flows["f"];
    assert_eq!(of_flow.index.len(), 50_000);
    assert!(of_flow.hashes.len() <= 2 * 50_000 + REPEATED_MAX);
    let late = 50_000 + 120 + MARK_SECONDS;
    add(&mut marks, 1_000_000, late);
    let of_flow = &marks.flows["f"];
    assert_eq!((of_flow.index.len(), of_flow.hashes.len()), (1, 1));
    assert!(of_flow.hashes.pieces.len() <= 2 && of_flow.acked.len() <= 1);
}

#[test]
fn a_week_of_calls_takes_a_few_megabytes() {
    let flow: Arc<str> = "f".into();
    let mut marks = Marks::default();
    let count: u64 = 500_000;
    for number in 0..count {
        let key = hash("f", &number.to_be_bytes());
        marks.add(&flow, key, number + 1, number, Some(number + 1));
    }
    let of_flow = &marks.flows["f"];
    let bytes = of_flow.hashes.pieces.len() * PIECE * size_of::<MarkHash>()
        + of_flow.index.allocation_size()
        + (of_flow.acked.capacity() + of_flow.waiting.capacity()) * size_of::<Run>();
    assert!(bytes < 15 << 20, "{bytes}");
    // One a second; a minute's have one time.
    assert!(of_flow.acked.len() as u64 <= count / 60 + 2);
}
