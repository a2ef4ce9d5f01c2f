//! What commits need not wait for: the next generation is made before it is needed, and the one before is sealed behind it.
//!
//! Making one takes sled about 70 ms, most of it for 8 MiB of zeros, and sealing one about 40; a busy agent rolls every few seconds. Until a generation is sealed
//! it is neither dropped nor put together with others; opening seals one that a cut left without its summary.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::folder;
use crate::generation::{self, Generation};
use crate::layout::Placed;
use crate::opening;
use crate::shared::Shared;
use crate::sled_buffer::seal;
use crate::unreadable::DISK_ERROR;

/// The two threads beside the writer's.
pub(super) struct Aside {
    shared: Arc<Shared>,
    next: Option<JoinHandle<Result<Generation, String>>>,
    sealing: Option<Sealing>,
}

/// A generation that is full, and not known to be sealed.
struct Sealing {
    first: u64,
    placed: Arc<Vec<Placed>>,
    /// `None` once it came back.
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Aside {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            next: None,
            sealing: None,
        }
    }

    /// Makes the next generation, once, where there is room for `bytes` more.
    pub(super) fn prepare(&mut self, bytes: u64) {
        let options = &self.shared.options;
        if self.next.is_some()
            || self.shared.lock().bytes() + bytes > options.bytes_max
            || folder::free(&options.folder) < options.reserve_bytes + bytes
        {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let make = move || {
            let folder = &shared.options.folder;
            let made = std::panic::catch_unwind(AssertUnwindSafe(|| Generation::prepare(folder)));
            let made = made.unwrap_or_else(|_| Err(panicked()));
            if made.is_err() {
                Generation::remove_prepared(folder);
            }
            count_others(&shared);
            made
        };
        self.next = Builder::new().name("buffer-next".into()).spawn(make).ok();
    }

    /// The one that was made ahead.
    ///
    /// # Errors
    /// The disk itself failed: nothing is tried on it again.
    pub(super) fn take_next(&mut self) -> Result<Option<Generation>, String> {
        let made = self.next.take().map(JoinHandle::join);
        match made.map(|made| made.unwrap_or_else(|_| Err(panicked()))) {
            None => Ok(None),
            Some(Ok(made)) => Ok(Some(made)),
            Some(Err(reason)) if reason.contains(DISK_ERROR) => Err(reason),
            Some(Err(reason)) => {
                // The roll makes one, and tells what fails then.
                tracing::debug!(reason, "no generation could be made ahead");
                Ok(None)
            }
        }
    }

    /// Seals a full one after its database is closed; the one before it must be settled.
    pub(super) fn seal(&mut self, first: u64, placed: Vec<Placed>, full: Arc<Generation>) {
        let placed = Arc::new(placed);
        let (shared, records) = (Arc::clone(&self.shared), Arc::clone(&placed));
        let work = move || {
            let path = full.path().to_owned();
            // sled syncs when it is closed, and panics where it can't.
            let closed = std::panic::catch_unwind(AssertUnwindSafe(|| drop(full)));
            closed.map_err(|_| format!("{}: {}", path.display(), panicked()))?;
            seal_one(&shared, first, &records)
        };
        self.sealing = Some(Sealing {
            first,
            placed,
            thread: Builder::new().name("buffer-seal".into()).spawn(work).ok(),
        });
    }

    /// Whether a generation is not known to be sealed yet.
    pub(super) fn is_sealing(&self) -> bool {
        self.sealing.is_some()
    }

    /// Whether [`Self::settle`] needs to wait for nobody.
    pub(super) fn can_settle(&self) -> bool {
        let is_running = |thread: &JoinHandle<_>| !thread.is_finished();
        let sealing = self.sealing.as_ref();
        sealing.is_some_and(|sealing| !sealing.thread.as_ref().is_some_and(is_running))
    }

    /// Waits until the full one is sealed; after a failure, another call tries it again.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        let Some(sealing) = &mut self.sealing else {
            return Ok(());
        };
        match sealing.thread.take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(panicked())),
            None => seal_one(&self.shared, sealing.first, &sealing.placed),
        }?;
        self.sealing = None;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Whoever opens the folder next must be alone in it. A generation that is not sealed is sealed then.
        if let Some(thread) = self.sealing.take().and_then(|sealing| sealing.thread) {
            let _ = thread.join();
        }
        if let Some(next) = self.next.take() {
            drop(next.join());
            Generation::remove_prepared(&self.shared.options.folder);
        }
    }
}

fn panicked() -> String {
    "sled panicked; see the lines before".into()
}

/// Seals one, and lets go of it where all of it is acked already.
pub(super) fn seal_one(shared: &Shared, first: u64, placed: &[Placed]) -> Result<(), String> {
    let folder = &shared.options.folder;
    seal(folder, first, placed)?;
    let bytes = folder::allocated(&folder.join(generation::name(first)));
    if let Some(slice) = shared.lock().slices.get_mut(&first) {
        (slice.sealed, slice.bytes) = (true, bytes);
    }
    count_others(shared);
    shared.drop_acked();
    Ok(())
}

/// Counts what stands on the disk besides the generations.
pub(super) fn count_others(shared: &Shared) {
    let bytes = opening::other_bytes(&shared.options.folder);
    shared.lock().other_bytes = bytes;
}
