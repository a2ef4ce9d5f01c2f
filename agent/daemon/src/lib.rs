//! The agent beside a legacy system.
//!
//! This crate joins the parts: it reads the configuration, gives each flow a thread
//! ([`pipeline`]: poll → map → blocks → append → commit → acked), runs the uplink, and answers the
//! commands. It promises that a configuration is checked whole before anything opens, that a flow
//! that stops stops no other, and that nothing is committed at a source before it is on stable
//! storage, nor acked before the collector has it on its own.
//!
//! It refuses to know formats, files, sled and the wire: those are the parts' business. [`suggest`] alone asks them what a file
//! may be.
//!
//! Limits: [`config::FLOWS_MAX`] flows; [`pipeline::IN_FLIGHT_MAX`] large or
//! [`pipeline::SMALL_IN_FLIGHT_MAX`] small batches a flow between poll and commit; [`metrics_server::CONNECTIONS_MAX`] readers of the metrics page at once.

pub mod admin;
pub mod advice;
pub mod again;
pub mod bell;
pub mod block_maker;
pub mod board;
pub mod check;
pub mod cli;
pub mod config;
pub mod config_error;
mod config_flows;
mod config_head;
mod config_parts;
pub mod enroll;
pub mod failure;
pub mod flow_state;
mod heap;
pub mod identity;
pub mod load_again;
pub mod logs;
pub mod metrics;
pub mod metrics_server;
mod out;
pub mod pipeline;
mod ports;
pub mod preview;
pub mod redrive;
pub mod registry;
pub mod render;
pub mod run;
pub mod soap_discover;
pub mod status;
pub mod suggest;
pub mod uplink;

/// What the [`registry`] speaks of.
pub use {dray_adapter, dray_formats};

/// The edges of all its crates: see dray-edges.
pub const EDGES: &[&[&str]] = &[
    dray_buffer::EDGES,
    dray_file_drop::EDGES,
    dray_soap::EDGES,
    dray_uplink::EDGES,
];
