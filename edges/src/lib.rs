//! Edges: named points in the code between one durable step and the next, where tests kill a daemon.
//!
//! ```text
//! DRAY_KILL_AT=buffer.before_sync      SIGKILL at the first passing of that edge
//! DRAY_KILL_AT=buffer.before_sync:3    at the third
//! DRAY_PLANT=early_ack                 a bug that the harness must find: see [`Plant`]
//! DRAY_GENERATION_BYTES, DRAY_LOG_FILE_BYTES   small files, so that edges between files are passed
//! ```
//! This crate promises that a build without the feature `failpoints` has none of it: [`edge!`] expands to
//! nothing and [`is_planted`] is a constant. With the feature, an edge that its crate does not list
//! does not compile, and a daemon refuses a name that it does not know.
//!
//! It refuses to know what an edge is about: each crate has its own list, `EDGES`, and says it there.

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub use armed::{arm, bytes, is_listed, is_planted, pass};

/// Passes an edge: `edge!("buffer.before_sync");`. The crate that says it lists it in its `EDGES`.
#[cfg(feature = "failpoints")]
#[macro_export]
#[expect(
    clippy::crate_in_macro_def,
    reason = "the list is that of the crate that passes the edge"
)]
macro_rules! edge {
    ($name:literal) => {
        const { assert!($crate::is_listed(crate::EDGES, $name), $name) };
        $crate::pass($name);
    };
}

/// Passes an edge: `edge!("buffer.before_sync");`. The crate that says it lists it in its `EDGES`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! edge {
    ($name:literal) => {};
}

/// A bug that is planted to see that the harness finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Neither the buffer nor the store syncs what it writes.
    MissingFdatasync,
    /// The collector acks before its commit; the agent commits a source before its append.
    EarlyAck,
    /// After a restart the buffer numbers a block again that it had numbered.
    ReusedSequence,
    /// Marks are not written.
    LostMark,
    /// A target's cursor passes an event before the target has answered.
    CursorTooSoon,
    /// The folder of a new generation or log file is not synced. SQLite syncs the log's by itself when it makes a
    /// journal, so only the buffer's does harm.
    UnsyncedFolder,
}

/// A size that tests make small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// Of a generation of the buffer.
    Generation,
    /// Of a file of the log.
    LogFile,
}

/// Whether this bug is planted in this process: never, in this build.
#[cfg(not(feature = "failpoints"))]
#[must_use]
pub const fn is_planted(_: Plant) -> bool {
    false
}

/// The size that a test wants instead of this one: none, in this build.
#[cfg(not(feature = "failpoints"))]
#[must_use]
pub const fn bytes(_: Bytes, default: u64) -> u64 {
    default
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_planted_where_nobody_asked_for_it() {
        assert!(!is_planted(Plant::EarlyAck));
        assert_eq!(bytes(Bytes::LogFile, 7), 7);
    }
}
