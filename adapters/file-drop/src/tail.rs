//! Files that are appended to, as a source.
//!
//! This promises that each whole line is read once and in order, however often the source is killed; that a line without its
//! end waits until it has one; that a file which was renamed is read to its end before the one that took its name; and that
//! a file which was truncated or replaced begins again, told where bytes may be missing.
//!
//! It moves and deletes nothing, and keeps nothing but the position.
//!
//! **Which file it is** is told by inode and birth, and by content: the first bytes up to 1 KiB and the last 4 KiB before the
//! place must be what they were. The number of the device tells nothing: a share that is mounted again gets another.
//!
//! Limits: 16 files that grow at once (`LIVE_MAX`); more may lie in the folder, and are told by being older than those that
//! were read, but one of them that grows while the agent is down is read on at its end, told as a gap. 100,000 files in the
//! folder, of which 10,000 are kept in mind. A file's memory is a window of 128 KiB to 1.1 MiB. A poll works for about a
//! quarter of a second. Two files that share their first 1 KiB and 4 KiB before the place are one only where inode and birth
//! are the same too.

mod begin;
mod check;
mod config;
mod copies;
mod find;
mod known;
mod lines;
mod names;
mod new;
mod notice;
mod place;
mod preview;
mod reading;
mod source;
mod turn;

pub use config::{Begin, FileTailConfig};
pub use preview::preview;
pub use source::FileTail;

/// Of a file's first bytes, so many tell it.
const PREFIX_BYTES: usize = 1_024;
/// Of the bytes before the place, so many tell it.
const TAIL_BYTES: usize = 4_096;
/// Files that are open, and in each position: each append carries them all.
const LIVE_MAX: usize = 16;
/// Files in a position, at most: those beyond [`LIVE_MAX`] that can't be taken leave of yet.
const ENTRIES_MAX: usize = 32;
/// Files kept in mind while the source runs.
const KNOWN_MAX: usize = 10_000;
