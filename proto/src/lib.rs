//! The words that cross process boundaries: events, blocks, the uplink, the feed and the commands.
//!
//! This crate promises that the bytes it writes today are read for ever (a golden test holds them),
//! and that names and numbers of the bodies stand in one place, `event.proto`: [`schema`] is made
//! from it at build time, and mapping and delivery resolve names through it.
//!
//! It refuses to know disks, sockets, clocks and configuration.
//!
//! Limits: a block holds at most [`block::EVENTS_MAX`] events and closes at
//! [`block::EVENT_BYTES_CLOSE`] bytes before compression; one event is at most
//! [`block::EVENT_BYTES_MAX`]; a decoded block at most [`block::DECODED_BYTES_MAX`].

pub mod block;
pub mod decimal;
pub mod event;
mod id;
mod numbers;
pub mod protocol;
pub mod schema;
pub mod shown;
pub mod token;
pub mod wire;

pub use id::EventId;
pub use numbers::{FlowName, Offset, Sequence, is_name};

/// The generated types; `proto/dray/v1/*.proto` documents them.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod v1 {
    tonic::include_proto!("dray.v1");
}
