//! How much of its log a database keeps for a flow: seen by the source, shown by the agent.
//!
//! What is kept fills the database's disk, or is dropped at a limit and is then a gap, so it is worth knowing before either. It matters most while
//! the flow stands: the source looks for as long as somebody holds the figure, whether it is read or not.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of the log that are there for the flow.
    pub bytes: u64,
    /// Bytes that may still be written before they are dropped; `None`: there is no limit.
    pub left_bytes: Option<u64>,
    /// What is worrying about that, in words; empty: nothing.
    pub worry: &'static str,
}

/// The newest figure of one flow.
#[derive(Debug, Default)]
pub struct KeptLog(Mutex<Option<Kept>>);

impl KeptLog {
    /// `None`: it can't be told now.
    pub fn set(&self, kept: Option<Kept>) {
        *self.lock() = kept;
    }

    /// As it was set last.
    #[must_use]
    pub fn get(&self) -> Option<Kept> {
        *self.lock()
    }

    /// A poisoned lock is used on: what it holds is whole.
    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
