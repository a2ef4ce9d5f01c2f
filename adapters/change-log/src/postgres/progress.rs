//! How far something is appended that takes several batches: a first load, or a transaction.

use pgwire_replication::Lsn;
use serde::{Deserialize, Serialize};

use super::lsn::written;

/// A first load that is going on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Load {
    /// What the server said of the snapshot that holds exactly what was committed before the place's end; empty: it is not begun.
    pub(super) snapshot: String,
    /// The tables, or partitions, that are read: their numbers, and those of their files when it began.
    pub(super) parts: Vec<(u32, u64)>,
    /// Of so many all rows are appended.
    pub(super) done: usize,
    /// Of the next one, those up to this place in its file, as the server writes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) after: Option<String>,
    /// Rows that may come twice.
    #[serde(default)]
    pub(super) doubtful: u64,
}

/// A transaction of which a part is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Within {
    /// Where its commit stands, which tells it from every other.
    #[serde(with = "written")]
    pub(super) commit: Lsn,
    /// How many of its row changes are appended.
    pub(super) rows: u64,
}
