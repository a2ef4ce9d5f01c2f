//! Replays: events that are delivered once more because somebody asked and somebody else agreed.
//!
//! ```text
//! filter ─▶ plan: the log is walked, what is over and fits is picked (Survey), and counted
//!        ─▶ approval by somebody else: of the hash over the selection, its events' bytes and what was asked
//!        ─▶ run: pages of the selection (Pages), at a pace (Pace), among the lanes of the target's engine
//! ```
//! What passed by while its flow was off, in shadow or rolled back is picked, too: the target never got it, and the plan says so.
//! A replay sends the same events under the same ids. One of them is *overtaken* where the target got a later event of
//! its key that is not of the replay: sending it would put the target back. A plan leaves those out unless it was asked
//! for with `older`, and a run passes over what is overtaken since.
//!
//! Limits: a plan has at most [`EVENTS_MAX`] events and runs at [`RATE_MAX`] events a second at most; it can be approved for
//! [`EXPIRES_DEFAULT`] unless it says something else, and pins nothing: what the log drops meanwhile is reported as gone.

mod filter;
mod orders;
mod pace;
mod pages;
mod picked;
mod plan;
mod survey;
mod walk;

use std::time::Duration;

pub use filter::{Filter, Picker};
pub use orders::{Asked, approve, cancel, edit, pause, plan, resume};
pub use pace::Pace;
pub use picked::Picked;
pub use plan::{DIGITS_MIN, Newer, Plan, PlannedFlow, hash, why_not};

pub(crate) use orders::entry;
pub(crate) use pages::{Item, Pages, What};
pub(crate) use survey::{Ground, Question, exceptions_but, survey};

/// Events of a plan: their keys are known by 16 bytes each while it runs, 50 MB in all.
pub const EVENTS_MAX: u64 = 1_000_000;
/// Events a second unless a plan says something else: what an ERP bears beside its day's work.
pub const RATE_DEFAULT: u32 = 50;
/// Events a second at most.
pub const RATE_MAX: u32 = 10_000;
/// How long a plan can be approved.
pub const EXPIRES_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// The longest that a plan may ask for: the log that it was made from is about as old.
pub const EXPIRES_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Keys with newer documents that a plan names; the others are counted.
pub const NEWER_SHOWN_MAX: usize = 100;
/// Events refused one after the other before a replay pauses itself.
pub const REFUSED_MAX: u32 = 100;
/// An edited event's bytes, at most: it stands in its exception beside the original.
pub const EDITED_BYTES_MAX: usize = 1024 * 1024;
