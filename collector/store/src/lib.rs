//! The collector's memory: a log of blocks per flow, cursors of those who read it, exceptions, and
//! who may write.
//!
//! This crate promises that what [`Store::append`] answered is on stable storage, that a flow's
//! offsets have no gaps, that an exact repeat changes nothing, and that a healthy event costs no row
//! of its own. Every key leads with the flow or the target.
//!
//! It refuses to know targets, certificates and gRPC. What is inside a block it looks at only after a flow's change of
//! epoch, to leave out what the log has already.
//!
//! Limits: see the constants in [`api`].

mod admission;
pub mod api;
pub mod conformance;
mod edges;
mod recent;
mod returning;
pub mod sqlite;

pub use api::*;
pub use edges::EDGES;
pub use returning::{IDS_MAX, WATCH};
pub use sqlite::{Options, SqliteStore, consumers_in};
