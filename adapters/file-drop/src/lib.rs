//! A watched folder as a source.
//!
//! This crate promises that a file is read once, whole, in order, and can be read on exactly where an
//! append ended; that it moves only when it is appended, and again only when it is acked; and that a
//! file that cannot be read is set aside with a sentence, never passed over.
//!
//! It refuses to know what the records mean, the buffer and the network.
//!
//! The polling scan is the truth; notify is the wake-up, and the only witness of a file being closed.
//! Limits: see [`source`].

mod archive;
mod config;
mod position;
mod reading;
mod ready;
pub mod source;
mod watch;

pub use config::{FileDropConfig, Finding, Order, ReadyWhen, Repeat};
pub use source::{FileDrop, preview};
