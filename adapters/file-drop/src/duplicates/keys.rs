//! Documents that are named by columns of their records.

use std::collections::HashSet;
use std::sync::Arc;

use dray_adapter::Shape;
use dray_formats::{BadRecord, FieldAt, GoodRecord, Sink};
use sha2::{Digest as _, Sha256};

use super::{KEYS_MAX, Key};

/// Shapes whose columns are remembered: a format has at most so many types of records, mostly one.
const SHAPES_MAX: usize = 64;
/// Characters of a name in a sentence.
const SHOWN_CHARS: usize = 80;

/// Finds the names.
#[derive(Debug, Clone)]
struct Finder {
    columns: Arc<[String]>,
    /// For each shape where the columns stand; `None` where it does not have all.
    shapes: Vec<(Arc<Shape>, Option<Vec<usize>>)>,
}

impl Finder {
    /// The parts of a record's name; `None` where it has none.
    fn parts<'a>(&mut self, record: &GoodRecord<'a>) -> Option<Vec<&'a str>> {
        let known = self
            .shapes
            .iter()
            .position(|(shape, _)| Arc::ptr_eq(shape, record.shape));
        let at = known.unwrap_or_else(|| {
            let place = |name: &String| record.shape.columns.iter().position(|one| one == name);
            let places = self.columns.iter().map(place).collect();
            if self.shapes.len() == SHAPES_MAX {
                self.shapes.clear();
            }
            self.shapes.push((Arc::clone(record.shape), places));
            self.shapes.len() - 1
        });
        let places = self.shapes[at].1.as_ref()?;
        let part = |place: &usize| {
            let field = record
                .fields
                .get(*place)
                .filter(|at| **at != FieldAt::NULL)?;
            let text = record.text.get(field.start as usize..field.end as usize)?;
            Some(text.trim()).filter(|text| !text.is_empty())
        };
        places.iter().map(part).collect()
    }
}

/// 128 bits of SHA-256 over the parts, each with its length.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    std::array::from_fn(|at| hash[at])
}

fn hash_of(parts: &[&str]) -> [u8; 16] {
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    hash(&parts)
}

/// The names of one file.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    finder: Finder,
    seen: HashSet<[u8; 16]>,
    list: Vec<Key>,
    unnamed: u64,
}

impl Keys {
    pub(crate) fn new(columns: &[String]) -> Self {
        Self {
            finder: Finder {
                columns: columns.into(),
                shapes: Vec::new(),
            },
            seen: HashSet::new(),
            list: Vec::new(),
            unnamed: 0,
        }
    }

    /// In the order in which they came, at most [`KEYS_MAX`].
    pub(crate) fn list(&self) -> &[Key] {
        &self.list
    }

    /// How many there are; where it is more than are watched, at least.
    pub(crate) fn in_all(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Records that have no name.
    pub(crate) fn unnamed(&self) -> u64 {
        self.unnamed
    }

    fn note(&mut self, record: &GoodRecord<'_>) {
        let Some(parts) = self.finder.parts(record) else {
            self.unnamed += 1;
            return;
        };
        let hash = hash_of(&parts);
        // One more than are watched shows that there are more.
        if self.seen.len() > KEYS_MAX || !self.seen.insert(hash) {
            return;
        }
        if self.list.len() < KEYS_MAX {
            let shown = parts.join(" ").chars().take(SHOWN_CHARS).collect();
            self.list.push(Key { hash, shown });
        }
    }
}

/// Collects names on the way to another sink.
pub(crate) struct Watching<'a, S> {
    pub(crate) keys: &'a mut Keys,
    pub(crate) sink: &'a mut S,
}

impl<S: Sink> Sink for Watching<'_, S> {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        self.sink.full()
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.keys.note(record);
        self.sink.record(record);
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.sink.reject(bad);
    }
}

/// Which records are left out of a file.
#[derive(Debug)]
pub(crate) struct Dropping {
    finder: Finder,
    hashes: HashSet<[u8; 16]>,
}

impl Dropping {
    pub(crate) fn new(keys: &Keys, hashes: HashSet<[u8; 16]>) -> Self {
        Self {
            finder: keys.finder.clone(),
            hashes,
        }
    }
}

/// Leaves records out on the way to another sink.
pub(crate) struct Without<'a, S> {
    pub(crate) dropping: &'a mut Dropping,
    pub(crate) sink: &'a mut S,
}

impl<S: Sink> Sink for Without<'_, S> {
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        self.sink.full()
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        let parts = self.dropping.finder.parts(record);
        let is_dropped = parts.is_some_and(|parts| self.dropping.hashes.contains(&hash_of(&parts)));
        if !is_dropped {
            self.sink.record(record);
        }
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.sink.reject(bad);
    }
}
