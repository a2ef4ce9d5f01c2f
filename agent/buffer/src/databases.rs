//! Which generations' databases are open: each costs megabytes of memory, so few are, and none that nobody reads.

use std::sync::Arc;

use crate::generation::Generation;

/// Sealed generations that are open for reading, at most.
const SEALED_MAX: usize = 2;

/// Open databases; the longest unused first.
#[derive(Default)]
pub(crate) struct Databases {
    open: Vec<Database>,
    /// The newest generation's. The writer has it open, and a second opening would wait for its lock.
    newest: u64,
}

struct Database {
    first: u64,
    generation: Arc<Generation>,
    /// Whether it was read from since the last roll.
    read: bool,
}

impl Databases {
    /// With the newest generation's.
    pub(crate) fn of(first: u64, generation: Arc<Generation>) -> Self {
        let mut databases = Self::default();
        databases.roll(first, generation);
        databases
    }

    /// The one of the generation that begins with `first`, to be read from.
    pub(crate) fn read(&mut self, first: u64) -> Option<Arc<Generation>> {
        let at = self.open.iter().position(|known| known.first == first)?;
        let mut found = self.open.remove(at);
        found.read = true;
        let generation = Arc::clone(&found.generation);
        self.open.push(found);
        Some(generation)
    }

    /// Keeps one that was opened to be read from; the longest unused one may be closed for it.
    pub(crate) fn keep(&mut self, first: u64, generation: Arc<Generation>) {
        self.push(first, generation, true);
        while self.open.len() > SEALED_MAX + 1 {
            let oldest = self
                .open
                .iter()
                .position(|known| known.first != self.newest);
            self.open.remove(oldest.unwrap_or(0));
        }
    }

    /// A new generation is the newest: sealed ones that nobody read from since the last roll are closed.
    pub(crate) fn roll(&mut self, first: u64, generation: Arc<Generation>) {
        self.newest = first;
        self.open
            .retain_mut(|known| std::mem::take(&mut known.read));
        self.push(first, generation, false);
    }

    /// Closes one, unless somebody reads from it right now: then it closes when that is done.
    pub(crate) fn close(&mut self, first: u64) {
        self.open.retain(|known| known.first != first);
    }

    fn push(&mut self, first: u64, generation: Arc<Generation>, read: bool) {
        self.open.push(Database {
            first,
            generation,
            read,
        });
    }
}
