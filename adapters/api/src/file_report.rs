//! How a whole file ended, as its source says it.

/// Checks of a file that a report names, at most; more are counted.
pub const CHECKS_MAX: usize = 64;
/// Names of a file's content in a report, at most; more are counted.
pub const IDENTITIES_MAX: usize = 64;

/// How a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOutcome {
    /// All its records were sent.
    Sent = 1,
    /// It was set aside, nothing of it was sent.
    SetAside = 2,
    /// The same content was there before.
    Repeated = 3,
    /// Its first records were sent, the others could not be.
    CutShort = 4,
    /// What it holds was there before in another file.
    Duplicate = 5,
}

/// A figure that a file says of itself, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCheck {
    /// Where it stands, e.g. `SE01 of 0001`.
    pub name: String,
    /// What the file says.
    pub expected: String,
    /// What there is.
    pub found: String,
}

/// The checks that were made of a file: the first [`CHECKS_MAX`], and how many in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChecks {
    /// In the file's order.
    pub first: Vec<FileCheck>,
    /// These and those that are not named.
    pub made: u64,
}

impl FileChecks {
    /// One more. `check` is called only where it is kept: a file may have a million.
    #[inline]
    pub fn note(&mut self, check: impl FnOnce() -> FileCheck) {
        self.made += 1;
        if self.first.len() < CHECKS_MAX {
            self.first.push(check());
        }
    }

    /// Those of another part of the file, which comes behind.
    pub fn extend(&mut self, other: &Self) {
        let room = CHECKS_MAX - self.first.len();
        self.first.extend(other.first.iter().take(room).cloned());
        self.made += other.made;
    }
}

/// The number that stands for a whole file, beyond every record's: there are 40 bits for it in an event's id.
const WHOLE_FILE: u64 = (1 << 40) - 1;

/// What is said of a file once it is through: it becomes an event in the same append as its last records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// How it ended.
    pub outcome: FileOutcome,
    /// A sentence for a person; may be empty where it was sent.
    pub reason: String,
    /// Of its bytes as they were dropped.
    pub sha256: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// Records that were read.
    pub records: u64,
    /// What could not be read as records.
    pub bad_records: u64,
    /// What it says of itself.
    pub checks: FileChecks,
    /// What names its content, e.g. `interchange`; at most [`IDENTITIES_MAX`].
    pub identities: Vec<(String, String)>,
    /// How many names there are in all.
    pub identities_in_all: u64,
    /// How many of its watched documents were there before.
    pub duplicates: u64,
    /// When it was last written, in microseconds since 1970-01-01T00:00:00Z.
    pub modified_us: i64,
    /// When it was read, likewise.
    pub read_us: i64,
    /// How long the check before anything was sent took.
    pub checked_us: u64,
}

impl FileReport {
    /// Its number in the file. An outcome takes its own: a file that was set aside and is sent later has two reports.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        WHOLE_FILE - self.outcome as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_beyond_the_limit_are_counted_and_not_made_up() {
        let check = || FileCheck {
            name: "SE01".into(),
            expected: "3".into(),
            found: "3".into(),
        };
        let mut checks = FileChecks::default();
        for _ in 0..CHECKS_MAX {
            checks.note(check);
        }
        checks.note(|| panic!("it is not kept"));
        let mut both = checks.clone();
        both.extend(&checks);
        assert_eq!((both.first.len(), both.made), (CHECKS_MAX, 130));
    }
}
