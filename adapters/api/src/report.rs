//! What a source says besides records: how a file ended, what a table looks like, what is missing, and that it lives.

use crate::FileReport;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// How a whole file ended: behind its last record.
    File(FileReport),
    /// What a table looks like from here on: before the first record of that shape.
    Schema(SchemaReport),
    /// A part of the source is gone that was not read.
    Gap(GapReport),
    /// There was nothing to say, and the source is well.
    Heartbeat(Heartbeat),
}

/// A report with its place in a batch: it becomes an event in the same append as the records around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// How many of the batch's records stand before it. It comes behind rejects of the same place.
    pub after: usize,
    /// Its number among the reports of the unit, below 2^40: reading again gives the same.
    pub ordinal: u64,
    /// What is said.
    pub report: Report,
}

impl Reported {
    /// How a file ended, of which the batch has so many last records.
    #[must_use]
    pub fn of_file(after: usize, report: FileReport) -> Self {
        Self {
            after,
            ordinal: report.ordinal(),
            report: Report::File(report),
        }
    }

    /// Something that is said alone, in a unit of its own.
    #[must_use]
    pub fn alone(report: Report) -> Self {
        Self {
            after: 0,
            ordinal: 0,
            report,
        }
    }
}

/// What a table looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaReport {
    /// The kind of database, e.g. `postgres`.
    pub database: &'static str,
    /// With its schema: `public.stock`.
    pub table: String,
    /// Whether it was another before.
    pub seen: SchemaSeen,
    /// SHA-256 of what its columns are, as 64 hexadecimal digits: equal for equal columns.
    pub fingerprint: String,
    /// All of them, in the table's order, also those that the flow does not take.
    pub columns: Vec<SchemaColumn>,
    /// How it differs from what it was, as far as that is known.
    pub differences: Vec<SchemaDifference>,
}

/// When a table's shape is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaSeen {
    /// The flow has the first record of this table.
    First = 1,
    /// It is another than it was.
    Changed = 2,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaColumn {
    /// Its name.
    pub name: String,
    /// Its type as the database writes it, e.g. `numeric(12,3)`.
    pub kind: String,
    /// Its place among those that tell rows apart, from 1; 0: it is none of them.
    pub key: u32,
}

/// How two shapes of a table differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaDifference {
    /// What kind of difference.
    pub class: SchemaClass,
    /// The column's name, the old one where it may have another now; empty where it is no single one.
    pub column: String,
    /// For a person.
    pub sentence: String,
}

/// Kinds of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaClass {
    /// A column is new.
    Added = 1,
    /// A column is gone.
    Dropped = 2,
    /// A column has another type.
    Retyped = 3,
    /// A column may have another name: one is gone, and one of the same type stands in its place.
    Renamed = 4,
    /// Other columns tell rows apart.
    Key = 5,
}

/// A part of the source that nobody will send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapReport {
    /// The kind of database, e.g. `postgres`.
    pub database: &'static str,
    /// Why.
    pub reason: GapReason,
    /// The last place that was read, as the database writes it; empty: none.
    pub from: String,
    /// Where the flow goes on.
    pub to: String,
    /// For a person: what happened.
    pub sentence: String,
    /// What the flow does about it.
    pub course: GapCourse,
}

/// Why a part is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// What kept the log for the flow is gone.
    SlotGone = 1,
    /// What keeps the log for the flow was made anew, or another reader used it.
    SlotRemade = 2,
    /// The database dropped the log.
    LogDropped = 3,
    /// The database is another one than before.
    OtherServer = 4,
    /// The database lacks what was read before: it was restored to an earlier time, or one took over that did not have all.
    ServerWentBack = 5,
    /// The log told of a table in another way for a while, or does now: changes may not have been told.
    NotTold = 6,
}

/// What a flow does about a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCourse {
    /// It goes on behind it.
    WentOn = 1,
    /// All rows that the tables have now come again, and then what is written after.
    LoadsAgain = 2,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The kind of database, e.g. `postgres`.
    pub database: &'static str,
    /// Up to where the flow has read, as the database writes it.
    pub position: String,
    /// When the database last said something: microseconds since 1970-01-01T00:00:00Z.
    pub heard_us: i64,
    /// Where its log ends, likewise; empty: it can't be told.
    pub end: String,
    /// How many bytes of it are not read, where the end is told.
    pub behind_bytes: u64,
}
