//! The uplink against a collector that the tests command: real gRPC over real mutual TLS on loopback.

#![allow(clippy::unwrap_used)]

mod agent;
mod certificates;
mod collector;

mod beginning;
mod enrolling;
mod failing;
mod reconnecting;
mod refusing;
mod renewing;
mod sending;
mod turns;
