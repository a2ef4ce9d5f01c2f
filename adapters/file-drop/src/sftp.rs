//! Pickup from an SFTP server: files of a folder there land in the drop folder here, each once.
//!
//! ```text
//! there: SHP_1.txt -> here: .dray-FLOW-KEY.part   asked for piece by piece, hashed on the way
//!                           size and time there stand as they were; the part and its name are synced
//!                           a line in archive/.dray/sftp-FLOW, synced: what it is, and which part holds it
//!                           SHP_1.txt             renamed, never over another; the folder is synced
//! there: deleted, moved away, or kept
//! ```
//! This module promises that a file goes there only when it is on stable storage here under its name, that the files of
//! one listing land in the flow's order, and that a file is not landed twice however often either side dies: a line of the
//! journal whose part is still there has not landed, one whose part is gone has. What came back after a death
//! is downloaded again, compared by its hash, and dropped where it is what had landed.
//!
//! It refuses to know what is in the files, and what becomes of them once they have landed.
//!
//! Limits: one connection, 64 reads of 32 KiB under way; 100,000 files of a listing are kept in mind, and 100,000
//! names in the journal; 512 MiB of the disk stay free.

mod check;
mod config;
mod journal;
mod land;
mod listing;
mod login;
mod names;
mod pickup;
mod put_away;
mod reads;
mod session;
mod thread;

use std::sync::Arc;

use dray_adapter::SourceError;

use crate::source::FileDrop;

pub use config::{Afterwards, RemoteReady, SftpConfig};

pub(crate) use check::check;
pub(crate) use thread::Pickup;

impl FileDrop {
    /// Begins the pickup, if there is one: once everything of an earlier life is in its place.
    pub(crate) fn begin_pickup(&mut self) -> Result<(), SourceError> {
        let (Some(sftp), Some(wake)) = (&self.config.sftp, &self.wake) else {
            return Ok(());
        };
        let pickup = Pickup::start(&self.flow, &self.config, sftp, Arc::clone(wake));
        self.pickup = Some(pickup.map_err(|reason| self.retry(reason))?);
        Ok(())
    }
}

/// Why a round of the pickup ended early. Each is a sentence with the way out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server or the line is away: tried again soon.
    Away(String),
    /// The server is not the one, or does not let us in: tried again seldom, as servers lock accounts.
    Refused(String),
    /// Something on this machine.
    Here(String),
}

impl Failure {
    pub(crate) fn sentence(&self) -> &str {
        match self {
            Self::Away(sentence) | Self::Refused(sentence) | Self::Here(sentence) => sentence,
        }
    }
}
