//! A file that can be read and is new: whether it is begun now, waits for another, or is not sent.

use std::ffi::OsStr;
use std::path::Path;

use dray_adapter::{Batch, FileOutcome, Records, Reject, RejectStage};

use crate::keeper::Admitted;
use crate::notice::{Notice, WHOLE_FILE, now_us, of_file};
use crate::position::{Goes, shown};
use crate::reading::Reading;
use crate::report::Facts;
use crate::sequence::Found;
use crate::source::{FileDrop, Work};

impl FileDrop {
    /// Begins a file unless it must wait.
    pub(crate) fn admit(&mut self, path: &Path, mut reading: Box<Reading>) {
        let name = path.file_name().unwrap_or_default();
        let numbers = self.numbers(name, &reading.facts);
        let look = reading.facts.look;
        match self.keeper.admit(name, look, numbers, now_us()) {
            Admitted::Wait => {}
            Admitted::SetAside(reason) => {
                let reason = format!("{reason}. Nothing of it was sent");
                let report = self.report(&reading.facts, FileOutcome::SetAside, &reason);
                let file = reading.finished(Goes::Failed);
                self.notices.push_back(
                    Notice::set_aside(file, path.to_owned(), false, &reason, Vec::new())
                        .closing(report),
                );
            }
            Admitted::Go(said) => {
                if !said.is_empty() {
                    tracing::warn!(file = %path.display(), reason = said, "of the file's place in its sequence");
                }
                reading.said = said;
                self.work = Work::Reading(reading);
            }
        }
    }

    /// A file that was sent before and is read again: its numbers came.
    pub(crate) fn take_numbers(&mut self, name: &OsStr, facts: &Facts) {
        if let Ok(found) = self.numbers(name, facts) {
            self.keeper.take(&found);
        }
    }

    fn numbers(&self, name: &OsStr, facts: &Facts) -> Result<Vec<Found>, String> {
        match self.keeper.watch() {
            Some(watch) => watch.numbers(name, facts.look.modified_us, &facts.account),
            None => Ok(Vec::new()),
        }
    }

    /// What is to be told of missing numbers, as a dead letter.
    pub(crate) fn tell_missing(&mut self) -> Option<Batch> {
        let told = self.keeper.tell()?;
        let (name, missing) = (shown(&told.file), told.missing);
        tracing::warn!(file = name, reason = told.sentence, "files are missing");
        let parts = [missing.sender, missing.from, missing.to].map(u64::to_le_bytes);
        let (day, since) = (missing.day.to_le_bytes(), missing.since_us.to_le_bytes());
        let flow = self.flow.as_bytes();
        let identity = [
            flow, b"missing", &parts[0], &parts[1], &parts[2], &day, &since,
        ];
        Some(Batch {
            origin: of_file(&name, &identity),
            records: Records::default(),
            rejects: vec![Reject {
                after: 0,
                ordinal: WHOLE_FILE,
                line: 0,
                stage: RejectStage::Sequence,
                reason: told.sentence,
                raw: Vec::new(),
                raw_bytes: 0,
                raw_sha256: None,
            }],
            marks: Vec::new(),
            position: self.stands(),
            captured_us: now_us(),
            ends_unit: true,
            report: None,
        })
    }
}
