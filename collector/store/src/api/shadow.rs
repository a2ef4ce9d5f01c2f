//! What a target in shadow would have been sent, and how that compares.

use dray_proto::{FlowName, Offset};

/// Rows that a target's report keeps, at most: at some 8 KiB each, 80 MiB. Counts go on being exact beyond it.
pub const SHADOW_ROWS_MAX: u64 = 10_000;

/// Names of fields that are counted of a flow, at most: a document whose names are data would fill the disk with them.
pub const SHADOW_FIELDS_MAX: u64 = 1_000;
/// What fields of other names are counted as.
pub const SHADOW_FIELDS_REST: &str = "(other fields)";

/// An event that was rendered and compared, not sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShadowRow {
    /// Given by the store, ascending; 0 in a new one.
    pub id: u64,
    /// Its offset.
    pub offset: Offset,
    /// Its business key.
    pub key: String,
    /// A word, e.g. "same" or "differs": the store counts by it, and drops rows that say "same" before others.
    pub verdict: String,
    /// When: microseconds since 1970-01-01T00:00:00Z.
    pub at_us: i64,
    /// What would have been sent, cut.
    pub request: String,
    /// A text that the store keeps as it is.
    pub detail: String,
}

/// Rows of a step, of one target and flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShadowNote {
    /// The row.
    pub row: ShadowRow,
    /// What is counted besides the verdict: the fields that differ.
    pub counted: Vec<String>,
}

/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct ShadowQuery {
    /// Of this target.
    pub target: String,
    /// Of this flow; `None`: all.
    pub flow: Option<FlowName>,
    /// Those with one of these verdicts; empty: all.
    pub verdicts: Vec<String>,
    /// Only ids above this.
    pub after: u64,
    /// At most this many, ascending.
    pub limit: usize,
}

/// How often something was found since the report was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowCount {
    /// In this flow.
    pub flow: FlowName,
    /// A verdict, or with `is_field` a field that differs.
    pub what: String,
    /// See `what`.
    pub is_field: bool,
    /// How often.
    pub count: u64,
}
