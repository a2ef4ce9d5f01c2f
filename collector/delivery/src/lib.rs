//! From the log to a target, in order per key.
//!
//! One engine per target reads the log through a cursor of its own, so a target that is down delays
//! nobody else. This crate promises that a target gets the events of a flow's business key one after
//! the other and in the flow's order, that the next one leaves only when the outcome of the one before
//! is on stable storage, and that an event that cannot be delivered becomes an exception with its
//! bytes and the reason. An event may arrive twice (a reply was lost, the collector was killed): always
//! with the same id, so a target that upserts or remembers ids sees its effect once.
//!
//! It refuses to know how the log is kept, who wrote it, and what an ERP means by its answers beyond
//! HTTP's own words ([`outcome`]).
//!
//! Limits: a target's window holds at most [`window::BYTES_MAX`] of decoded blocks and
//! [`window::EVENTS_MAX`] events, and of what all targets may hold its [`share`]; a request at most [`config::BATCH_MAX`] events; an answer is read up
//! to [`connectors::http::ANSWER_BYTES_MAX`]; a target may have [`dray_store::EXCEPTIONS_MAX`] exceptions
//! before it pauses; [`config::BreakerConfig`]
//! says when it is only tried now and then.

pub mod account;
pub mod actions;
pub mod answer;
pub mod body;
pub mod budget;
pub mod calls;
pub mod catalogue;
pub mod config;
pub mod connectors;
pub mod cursor;
pub mod demands;
pub mod detail;
mod edges;
pub mod edit;
pub mod engine;
pub mod field;
pub mod gate;
pub mod lanes;
pub mod mask;
pub mod outcome;
pub mod phase;
pub mod policy;
pub mod presets;
pub mod references;
pub mod replay;
pub mod seldom;
pub mod select;
pub mod shadow;
pub mod share;
pub mod status;
mod target;
pub mod template;
pub mod window;

mod batch;
mod columns;
mod json;
mod reader;
mod vet;

pub use account::Accounts;
pub use catalogue::{Catalogue, FlowConfig, Phase};
pub use config::{AccountConfig, TargetConfig};
pub use edges::EDGES;
pub use status::{FlowMetrics, Latency, Metrics, State};
pub use target::{Target, TargetHandle};

/// What the store calls a target's cursors.
#[must_use]
pub fn consumer(target: &str) -> String {
    format!("target:{target}")
}

/// The target whose cursors the store calls so.
#[must_use]
pub fn target_of(consumer: &str) -> Option<&str> {
    consumer.strip_prefix("target:")
}
