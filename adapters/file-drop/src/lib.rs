//! A watched folder as a source: of files that are dropped, below, and of files that grow, in [`tail`].
//!
//! ```text
//! FOLDER/                 files that are not yet appended
//!   archive/pending/      appended: on this machine's disk
//!   archive/              acked: on the collector's disk; pruned by age
//!   archive/repeated/     the same content was there before
//!   archive/.dray/        the agent's own notes
//!   failed/               could not be read whole; nothing more of it is sent
//! ```
//! A companion that says that a file is complete goes where its file goes.
//!
//! With `after = "keep"` nothing in the folder is touched; the source's own folder, below the agent's data folder, has
//!
//! ```text
//! OWN/ledger              what was taken: see ledger.rs
//! OWN/halves              files that were given up in their middle: see halves.rs
//! OWN/redrive/            requests to read something again: see redrive.rs
//! ```
//! the last two in either case.
//!
//! This crate promises that a file is read once, whole, in order, and can be read on exactly where an
//! append ended; that it moves only when it is appended, and again only when it is acked; and that a
//! file that cannot be read is set aside with a sentence, never passed over.
//!
//! A crash between an append and the move that follows is made up for at the next start: the position names
//! the files that were appended whole. Files in `archive/pending` whose content the buffer does not know
//! are read again, before any new file: they are the second copy for the day that the agent's disk is lost.
//!
//! X12 and EDIFACT files are acknowledged to another folder, if that is wanted: when they are appended, and before they move.
//!
//! The polling scan is the truth; notify is the wake-up, and the only witness of a file being closed.
//! A file may also come from an SFTP server: see `sftp.rs`, the one part that knows a network.
//! It refuses to know what the records mean, and the buffer.
//!
//! Limits: a poll works for about a quarter of a second before it returns; 100,000 files are kept in
//! mind at once (more are found by later scans); a file's memory is a window of 128 KiB to 1.1 MiB and
//! one batch.

mod acknowledge;
mod admit;
mod alarms;
mod archive;
mod check;
mod check_signs;
mod companions;
mod config;
mod control;
mod decide;
mod duplicates;
mod edges;
mod find;
mod first_pass;
mod follow;
mod groups;
mod halves;
mod keep;
mod keeper;
mod known;
mod ledger;
mod ledger_line;
mod matcher;
mod moves;
mod notice;
mod noting;
mod owners;
mod plain;
mod position;
mod preview;
mod propose;
mod reading;
mod ready;
mod redrive;
mod report;
mod scan;
mod second_copy;
mod sequence;
mod sftp;
mod signs;
mod source;
mod start;
pub mod tail;
mod template;
mod trailer;
mod under_way;
mod watch;

pub use acknowledge::AcknowledgeConfig;
pub use config::{After, FileDropConfig, Finding, Inodes, Order, ReadyWhen, Repeat};
pub use duplicates::{By, DuplicatesConfig, Named, Then};
pub use edges::EDGES;
pub use preview::preview;
pub use propose::{FOLDER, Proposal, propose};
pub use redrive::{Redrivable, Wanted};
pub use sequence::{Again, Envelope, Gap, Resets, SequenceConfig};
pub use sftp::{Afterwards, RemoteReady, SftpConfig};
pub use signs::{DoneConfig, LockConfig, TrailerConfig};
pub use source::FileDrop;
