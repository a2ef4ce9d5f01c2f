//! What a call holds, and whether it may be taken.

use dray_formats::{Gather, Tally};

use super::source::BadRecords;

/// What a call holds.
pub(super) struct Found {
    pub(super) records: u64,
    pub(super) rejects: u64,
    first_bad: Option<String>,
}

impl Found {
    pub(super) fn of(gather: &Gather) -> Self {
        let bad = gather.rejects.first();
        Self {
            records: gather.records.len() as u64,
            rejects: gather.rejects.len() as u64,
            first_bad: bad.map(|bad| format!("line {}: {}", bad.line, bad.reason)),
        }
    }

    /// Why the call can't be taken.
    pub(super) fn wrong(&self, bad_max: u64, may_be_empty: bool) -> Option<String> {
        if self.rejects > bad_max {
            return self.first_bad.clone();
        }
        let is_empty = self.records + self.rejects == 0 && !may_be_empty;
        is_empty.then(|| "it holds no record: nothing stands at the configured path".into())
    }
}

impl BadRecords {
    /// Bad records with which a call is taken.
    pub(super) fn allowed(self) -> u64 {
        match self {
            Self::Refuse => 0,
            Self::DeadLetter => u64::MAX,
        }
    }
}

impl From<Tally> for Found {
    fn from(tally: Tally) -> Self {
        Self {
            records: tally.records,
            rejects: tally.rejects,
            first_bad: tally.first_bad,
        }
    }
}
