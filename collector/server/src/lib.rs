//! The collector: one log, many readers.
//!
//! This crate promises that an agent's ack leaves only after the store's stable write, that an agent
//! writes only the flows of its own site, that a revoked agent is cut off within five seconds, and
//! that every refusal is a sentence with the way out.
//!
//! It refuses to know what is inside a block on its way in, how the log is kept (dray-store), and how
//! targets are reached (dray-delivery).
//!
//! Limits: 16,384 connections, 64 of them in their handshake; 96 MiB of blocks that the store has not
//! answered, of all agents together; 16 appends in flight and 1,000 flows an agent; 256 readers.

pub mod cli;
pub mod commands;
pub mod config;
pub mod identity;
pub mod logs;

mod admin;
mod audit;
mod check;
mod core;
mod dead_letters;
mod enrol;
mod failure;
mod feed;
mod fullness;
mod gaps;
mod incoming;
mod ingest;
mod json;
mod local;
mod metrics;
mod metrics_page;
mod refusal;
mod renew;
mod run;
mod seats;
mod sites;
mod targets;
mod tls;

pub use config::Config;
pub use core::{Stop, Stopping};
pub use failure::Failure;
pub use run::{Running, run};

/// The edges of all its crates: see dray-edges.
pub const EDGES: &[&[&str]] = &[dray_store::EDGES, dray_delivery::EDGES];
