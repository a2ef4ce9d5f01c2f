//! What a call holds, whether it may be taken, and what the operator is told of it where it may not.

use dray_formats::{Gather, Tally};

use super::source::BadRecords;
use crate::measure;

/// What a caller is told whose call holds no record.
pub(crate) const EMPTY: &str = "it holds no record";
/// What he is told where the key is not there.
pub(crate) const KEYLESS: &str =
    "its key is missing or empty: by it, a repeated call is told from a new one";
/// The same of a webhook, whose id may stand in a header.
pub(crate) const IDLESS: &str = "its id is missing: by it, a repeated call is told from a new one";
/// What is told to who calls another path.
pub(crate) const ELSEWHERE: &str = "nothing is at this path";
/// Characters of a path that are shown, at most.
const PATH_CHARS_MAX: usize = 100;

/// Where a call's records are looked for, and what tells it from others: the settings as the operator wrote them. In single
/// quotes, as what stands in double ones is not logged.
#[derive(Debug)]
pub(crate) struct Places {
    /// `record = 'w:Movement'`.
    pub(crate) record: String,
    /// `key = 'w:BatchNo'`.
    pub(crate) id: String,
}

impl Places {
    /// A refusal for the operator: with the setting that decided, which the caller can't change and need not know.
    pub(crate) fn told(&self, reason: &str) -> String {
        match reason {
            EMPTY => format!(
                "{reason}: nothing stands at {}; look at the names in it, or write may_be_empty = true",
                self.record
            ),
            KEYLESS | IDLESS => format!("{reason}; it is looked for at {}", self.id),
            _ => measure::for_the_operator(reason).unwrap_or_else(|| reason.to_owned()),
        }
    }
}

/// For the operator: which path was called, and which one is configured.
pub(crate) fn elsewhere(called: &str, configured: &str) -> String {
    let called: String = called.chars().take(PATH_CHARS_MAX).collect();
    format!(
        "{ELSEWHERE}: {} was called, and path = '{configured}' is configured",
        called.escape_debug()
    )
}

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
        is_empty.then(|| EMPTY.into())
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
