//! Calls that ask: a service is asked on a schedule for what is new.
//!
//! ```text
//! the flow's thread   Plan ─▶ Asker                                     Page ─▶ Sieve ─▶ batch, marks, position
//! a thread of its own         └▶ Service ─▶ Client ─▶ multipart ─▶ Answer ──┘
//! ```
//! A cycle is all pages from one watermark on. Each answer is read whole before a record of it is handed out: an empty Body, a page of HTML
//! or a broken connection changes nothing. The watermark moves with the append of the last page's last batch, as it travels in that batch's
//! position. `Plan` is what is asked for next, and knows no clock and no socket.
//!
//! With a key, a record whose cells were handed out before is dropped: so requests may overlap, and pages may repeat a record. What is
//! remembered are marks, which live 7 days or 2,000,000 a source. A record that says again what it said within that time, and something
//! else in between, is dropped too: let a time or a version be one of its columns. Without a key nothing is dropped.
//!
//! Limits: an answer has [`config::PollLimitsConfig::message_bytes_max`] bytes, packed and unpacked, of which 64 KiB are kept in memory and the rest
//! in a file without a name; a cycle has [`config::PagesConfig::pages_max`] pages; a batch has 10,000 records.

mod answer;
mod asker;
mod check;
mod client;
pub mod config;
mod course;
mod emptiness;
mod failure;
pub(crate) mod faults;
#[cfg(test)]
mod faults_tests;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod message;
mod page;
mod place;
mod plan;
#[cfg(test)]
mod plan_tests;
mod preview;
mod saved;
mod secrets;
mod service;
mod sieve;
mod source;
mod survey;
#[cfg(test)]
mod tests;
mod tls;
mod watermark;

pub use config::SoapPollConfig;
pub use source::Poller;
