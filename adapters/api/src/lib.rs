//! The contract between a source and the agent.
//!
//! A [`Source`] finds records and says where it stands; the agent makes them events, stores them,
//! and says when. This crate promises that an adapter which passes [`conformance`] can be killed at
//! any moment without losing or doubling a record.
//!
//! It refuses to know protobuf, the buffer, the network and any other adapter.
//!
//! Limits: a batch holds at most [`BATCH_RECORDS_MAX`] records or about [`BATCH_BYTES_MAX`] bytes.

mod calls;
pub mod conformance;
mod file_report;
mod kept_log;
mod known_shape;
mod load_request;
mod records;
mod report;
pub mod secret;
mod source;

pub use calls::{CallCount, CallOutcome, Calls, LastCall, REASON_CHARS_MAX};
pub use file_report::{CHECKS_MAX, FileCheck, FileChecks, FileOutcome, FileReport, IDENTITIES_MAX};
pub use kept_log::{Kept, KeptLog};
pub use known_shape::KnownShape;
pub use load_request::LoadRequest;
pub use records::{OPERATION_COLUMN, RawAt, RecordView, Records, Row, Shape, Span, Value};
pub use report::{
    GapCourse, GapReason, GapReport, Heartbeat, Report, Reported, SchemaClass, SchemaColumn,
    SchemaDifference, SchemaReport, SchemaSeen,
};
pub use source::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batch, IdScope, Mark, MarkState, Origin, Polled, Position,
    REJECT_BYTES_MAX, Reject, RejectStage, Seen, Source, SourceError,
};
