//! What is written into the ledger, and when: at the commit of a file's last batch, at its ack, and where it failed or
//! was there before.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use dray_adapter::{MarkState, SourceError};
use dray_edges::edge;

use crate::keep::Keeping;
use crate::ledger::{LEDGER, LINES_MAX};
use crate::ledger_line::{Ended, Line};
use crate::notice::{Notice, now_us};
use crate::position::{Finished, Goes};
use crate::source::FileDrop;
use crate::under_way::Moving;

impl FileDrop {
    /// What is told of a file stands in its line too.
    pub(crate) fn remember_reason(&mut self, notice: &Notice) {
        if let Some(keeping) = &mut self.keeping {
            let name = notice.file.name.clone();
            let reason = notice.reason.clone().unwrap_or_default();
            keeping.reasons.insert(name, reason);
        }
    }

    /// Notes a file whose last batch is appended.
    pub(crate) fn note_finished(&mut self, moving: &Moving) -> Result<(), SourceError> {
        let file = &moving.file;
        let said = self
            .keeping
            .as_ref()
            .and_then(|keeping| keeping.reasons.get(&file.name).cloned());
        match (file.goes, &moving.path) {
            // It is gone, and that is told: there is nothing to remember.
            (_, None) => {
                self.write(|keeping| match keeping.ledger.get(&file.name) {
                    Some(line) if line.content == file.content => {
                        keeping.ledger.take_out(&file.name)
                    }
                    _ => Ok(()),
                })?;
            }
            (Goes::Pending, Some(_)) => {
                edge!("file_drop.before_ledger");
                self.note(file, Ended::Appended, String::new())?;
                edge!("file_drop.after_ledger");
                if let Some(keeping) = &mut self.keeping {
                    keeping.unacked.push_back(file.name.clone());
                }
            }
            (Goes::Failed | Goes::FailedFromPending, Some(_)) => {
                self.note(file, Ended::Failed, said.unwrap_or_default())?;
            }
            (Goes::Repeated, Some(_)) => self.note(file, Ended::Repeated, String::new())?,
        }
        if let Some(keeping) = &mut self.keeping {
            keeping.reasons.remove(&file.name);
            keeping.again.remove(&file.name);
        }
        self.ready.forget(&file.name);
        Ok(())
    }

    /// A file that failed is read again, as was asked.
    pub(crate) fn forget_failed(&mut self, name: &OsStr) -> Result<(), SourceError> {
        self.write(|keeping| match keeping.ledger.get(name) {
            Some(line) if line.ended == Ended::Failed => {
                tracing::info!(file = ?name, "the file is read again, as was asked");
                keeping.ledger.take_out(name)
            }
            _ => Ok(()),
        })
    }

    /// Notes what is acked, from the oldest on.
    pub(crate) fn take_acks(&mut self) -> Result<(), SourceError> {
        loop {
            let Some(keeping) = &self.keeping else {
                return Ok(());
            };
            let Some(name) = keeping.unacked.front() else {
                return Ok(());
            };
            let name = name.clone();
            let line = keeping.ledger.get(&name);
            // Another file may have taken its name's line, and waits in its own place.
            if let Some(line) = line.filter(|line| line.ended == Ended::Appended) {
                if self.state(&line.content) != MarkState::Done {
                    return Ok(());
                }
                let line = Line {
                    ended: Ended::Acked,
                    ..line.clone()
                };
                self.write(|keeping| keeping.ledger.hint(&name, line))?;
            }
            if let Some(keeping) = &mut self.keeping {
                keeping.unacked.pop_front();
            }
        }
    }

    /// Whether the ledger takes another file; else a sentence, once.
    pub(crate) fn has_room(&mut self) -> Result<(), SourceError> {
        let Some(keeping) = &mut self.keeping else {
            return Ok(());
        };
        if keeping.ledger.len() < LINES_MAX {
            keeping.is_full = false;
            return Ok(());
        }
        if !keeping.is_full {
            keeping.is_full = true;
            self.tidy_ledger();
        }
        Err(self.retry(format!(
            "{} holds {LINES_MAX} files that were taken, as many as the ledger can hold; delete old ones, or move them out of the folder",
            self.config.folder.display()
        )))
    }

    pub(crate) fn tidy_ledger(&mut self) {
        let Some(keeping) = &mut self.keeping else {
            return;
        };
        let scan = keeping.scan;
        if let Err(error) = keeping.ledger.tidy(scan, now_s()) {
            tracing::warn!(%error, "the ledger can't be written anew; it is tried again");
        }
    }

    pub(crate) fn close_ledger(&mut self) {
        if let Some(keeping) = &mut self.keeping
            && let Err(error) = keeping.ledger.sync()
        {
            tracing::warn!(%error, "the ledger can't be synced: acks that are not noted cost a look after the next loss of the buffer");
        }
    }

    pub(crate) fn note(
        &mut self,
        file: &Finished,
        ended: Ended,
        reason: String,
    ) -> Result<(), SourceError> {
        let line = Line {
            ended,
            content: file.content,
            look: file.look,
            taken_s: now_s(),
            gone_s: 0,
            reason: reason.into(),
            number: 0,
            seen: 0,
        };
        self.write(|keeping| keeping.ledger.note(&file.name, line))
    }

    pub(crate) fn write(
        &mut self,
        write: impl FnOnce(&mut Keeping) -> io::Result<()>,
    ) -> Result<(), SourceError> {
        let Some(keeping) = &mut self.keeping else {
            return Ok(());
        };
        write(keeping).map_err(|error| {
            let own = self.own.as_deref().unwrap_or(Path::new(""));
            self.retry(format!(
                "{} can't be written: {error}; give the agent's data folder room and its user the right to write there",
                own.join(LEDGER).display()
            ))
        })
    }
}

fn now_s() -> u64 {
    u64::try_from(now_us() / 1_000_000).unwrap_or(0)
}
