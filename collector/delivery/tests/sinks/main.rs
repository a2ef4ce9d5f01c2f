//! Targets of other kinds than HTTP, against the real thing: what arrives, and what stays exact whoever is killed.

#[path = "../engine/support/mod.rs"]
mod support;

mod exact;
mod servers;
mod tables;
