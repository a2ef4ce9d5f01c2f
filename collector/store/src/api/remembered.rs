//! What a target's engine remembers between events: what the target has got, who waits for what, and what answers told.

use std::collections::BTreeMap;

use dray_proto::{FlowName, Offset};

use super::StoreError;

/// References that a target may know, at most: 60 bytes each, 600 MB of disk.
pub const KNOWN_MAX: u64 = 10_000_000;
/// Values that a target may keep of its keys, at most; the ones written longest ago make room.
pub const KEPT_MAX: u64 = 5_000_000;

/// The setting that holds a target's [`Remember::alarm_after_us`].
#[must_use]
pub fn alarm_setting(target: &str) -> String {
    format!("alarm_after:{target}")
}

/// Something that events name, e.g. the item SKU-77.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// What kind of thing, in the engine's words, e.g. "item".
    pub of: String,
    /// Its name, e.g. "SKU-77".
    pub name: String,
}

/// An exception waits for a reference from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The exception's flow.
    pub flow: FlowName,
    /// The exception's offset.
    pub offset: Offset,
    /// For what; `None`: nobody said.
    pub reference: Option<Reference>,
    /// When it is tried again whatever comes, microseconds since 1970-01-01T00:00:00Z.
    pub due_us: i64,
    /// When somebody should look, the same.
    pub alarm_us: i64,
    /// It is due at once where the target knows the reference by the time that this is written.
    pub unless_known: bool,
}

/// A value that an answer held, kept for later events of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The key's flow.
    pub flow: FlowName,
    /// The key.
    pub key: String,
    /// What it is called; one of this name takes the place of the one before.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The part of a [`super::Step`] that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remember {
    /// Whose it is.
    pub target: String,
    /// The target has these from now on; what waits for one is due at once. Beyond `known_max` they are passed over.
    pub learn: Vec<Reference>,
    /// Other targets know these from now on, by what this one got; what waits there for one is due at once.
    pub teach: Vec<(String, Reference)>,
    /// What waits for one of these kinds is due at once: nobody asks for it any more.
    pub release: Vec<String>,
    /// How long after it began to wait somebody should look, microseconds: what waits already goes by this, too.
    pub alarm_after_us: Option<i64>,
    /// Exceptions of this target that wait: each was added or changed by this step.
    pub wait: Vec<Wait>,
    /// Values to keep.
    pub keep: Vec<Kept>,
    /// See [`KNOWN_MAX`].
    pub known_max: u64,
    /// See [`KEPT_MAX`].
    pub kept_max: u64,
}

impl Default for Remember {
    fn default() -> Self {
        Self {
            target: String::new(),
            learn: Vec::new(),
            teach: Vec::new(),
            release: Vec::new(),
            alarm_after_us: None,
            wait: Vec::new(),
            keep: Vec::new(),
            known_max: KNOWN_MAX,
            kept_max: KEPT_MAX,
        }
    }
}

impl Remember {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.learn.is_empty()
            && self.teach.is_empty()
            && self.release.is_empty()
            && self.alarm_after_us.is_none()
            && self.wait.is_empty()
            && self.keep.is_empty()
    }
}

/// A key whose exception waits, and may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueWait {
    /// The exception's id.
    pub id: u64,
    /// Its flow.
    pub flow: FlowName,
    /// Its key.
    pub key: String,
}

/// How a target's waits stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waits {
    /// How many there are.
    pub total: u64,
    /// How many wait longer than they should.
    pub overdue: u64,
    /// When the next one is due or should be looked at, microseconds since 1970-01-01T00:00:00Z.
    pub next_us: Option<i64>,
    /// What the first overdue one waits for, where that is known.
    pub oldest: Option<Reference>,
}

/// The part of a [`super::Store`] that remembers. What [`super::Store::step`] answered is found here; a target that is
/// detached is forgotten.
pub trait Remembers {
    /// Whether the target has each of these.
    ///
    /// # Errors
    /// [`StoreError`].
    fn knows(&self, target: &str, references: &[Reference]) -> Result<Vec<bool>, StoreError>;

    /// Exceptions that wait and are due at `now_us`, with an id above `after`, ascending, at most `limit`. One whose state was
    /// changed waits no longer.
    ///
    /// # Errors
    /// [`StoreError`].
    fn due_waits(
        &self,
        target: &str,
        now_us: i64,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DueWait>, StoreError>;

    /// How the target's waits stand at `now_us`; what is due by then is no longer next.
    ///
    /// # Errors
    /// [`StoreError`].
    fn waits(&self, target: &str, now_us: i64) -> Result<Waits, StoreError>;

    /// What is kept of a key, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn kept(
        &self,
        target: &str,
        flow: &FlowName,
        key: &str,
    ) -> Result<BTreeMap<String, String>, StoreError>;

    /// How many references the target knows, and how many values it keeps.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remembered(&self, target: &str) -> Result<(u64, u64), StoreError>;
}
