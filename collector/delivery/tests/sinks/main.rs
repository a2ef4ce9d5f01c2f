//! Targets of other kinds than HTTP, against the real thing: what arrives, and what stays exact whoever is killed.
#![allow(unreachable_pub)] // One binary.

#[path = "../engine/support/mod.rs"]
mod support;

mod exact;
mod files;
mod messages;
mod replays;
mod servers;
mod tables;
