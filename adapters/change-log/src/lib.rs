//! Sources that read what changed in a database: where it offers neither files nor services.
//!
//! Promises: what a transaction committed comes once and in order, however often the agent is killed; the database is told only of what is on
//! this machine's disk; a part of the log that is gone is never passed over in silence.
//!
//! Refuses to know protobuf, the buffer, the network beyond its databases, and any other adapter.
//!
//! Limits: a batch holds at most [`dray_adapter::BATCH_RECORDS_MAX`] rows or about [`dray_adapter::BATCH_BYTES_MAX`] bytes, and two wait to be
//! polled; 512 messages wait in the session. A first load asks for at most 2,000 rows at once, of a table with large values
//! for 32, and for about 1 MiB by the rows before.

mod again;
mod columns;
pub mod mysql;
mod policy;
pub mod postgres;
mod proof;
mod reader;
mod relay;
mod rows;
mod schema;
pub mod server;
mod shapes;
mod silence;
mod source;
pub mod table;
mod watch;
mod words;

pub use columns::{Mask, TableConfig};
pub use policy::{OnGap, OnSchemaChange};
