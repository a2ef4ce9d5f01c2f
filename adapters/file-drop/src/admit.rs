//! A file that can be read and is new: whether it is begun now, waits for another, or is not sent.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use dray_adapter::{Batch, FileOutcome, FileReport, Mark, MarkState, Records, Reject, RejectStage};

use crate::duplicates::Outcome;
use crate::keeper::Admitted;
use crate::notice::{Notice, WHOLE_FILE, now_us, of_file};
use crate::position::{Goes, shown};
use crate::reading::Reading;
use crate::report::Facts;
use crate::sequence::Found;
use crate::source::{FileDrop, unreadable};
use crate::under_way::Work;

impl FileDrop {
    /// Begins a file unless it must wait, or is not to be sent.
    pub(crate) fn admit(&mut self, path: &Path, mut reading: Box<Reading>) {
        let name = path.file_name().unwrap_or_default();
        match self.note_documents(&mut reading) {
            Ok(Outcome::Sent | Outcome::Without(_)) => {}
            Ok(Outcome::Dropped) => {
                self.take_numbers(name, &reading.facts);
                let report = self.report(&reading.facts, FileOutcome::Duplicate, &reading.said);
                let file = reading.finished(Goes::Repeated);
                self.notices
                    .push_back(Notice::repeated(file, path.to_owned(), report));
                return;
            }
            Ok(Outcome::SetAside) => {
                let reason = std::mem::take(&mut reading.said);
                return self.refuse_file(path, &reading, &reason);
            }
            Err(error) => return self.trouble(path, unreadable(&error)),
        }
        let numbers = self.numbers(name, &reading.facts);
        let look = reading.facts.look;
        reading.numbers_before = Some(self.keeper.state.clone());
        match self.keeper.admit(name, look, numbers, now_us()) {
            Admitted::Wait => {}
            Admitted::SetAside(reason) => self.refuse_file(path, &reading, &reason),
            Admitted::Go(said) => {
                if !said.is_empty() {
                    tracing::warn!(file = %path.display(), reason = said, "of the file's place in its sequence");
                    let and = if reading.said.is_empty() { "" } else { "; " };
                    reading.said = format!("{said}{and}{}", reading.said);
                }
                self.work = Work::Reading(reading);
            }
        }
    }

    /// Notes which of a file's documents were there before, and has those left out that are not to be sent.
    pub(crate) fn note_documents(&self, reading: &mut Reading) -> io::Result<Outcome> {
        let is_known = |mark: &Mark| {
            let seen = self.seen.as_ref().map(|seen| seen.seen(mark));
            seen.is_some_and(|state| state != MarkState::New)
        };
        let weighed = self.duplicates.weigh(&reading.facts, is_known);
        if !weighed.said.is_empty() {
            tracing::warn!(file = %reading.path.display(), reason = weighed.said, "of the file's documents");
        }
        reading.facts.duplicates = weighed.known;
        reading.said = weighed.said;
        reading.remember = weighed.new;
        if let Outcome::Without(hashes) = &weighed.then {
            reading.leave_out(hashes.clone(), &self.format)?;
        }
        Ok(weighed.then)
    }

    /// A file that could be read is set aside whole.
    fn refuse_file(&mut self, path: &Path, reading: &Reading, reason: &str) {
        let reason = format!("{reason}. Nothing of it was sent");
        let report = self.report(&reading.facts, FileOutcome::SetAside, &reason);
        let file = reading.finished(Goes::Failed);
        let notice = Notice::set_aside(file, path.to_owned(), false, &reason, Vec::new());
        let notice = notice.acknowledged(reading.refusals.clone());
        self.notices.push_back(notice.closing(report));
    }

    /// A file of which nothing was handed out can't be read now. It comes again, and then its numbers did not come before.
    pub(crate) fn give_back(&mut self, reading: &mut Reading, reason: String) {
        if let Some(before) = reading.numbers_before.take() {
            self.keeper.undo(before);
        }
        self.trouble(&reading.path, reason);
    }

    /// What an event says of a file, where the flow wants it.
    pub(crate) fn report(
        &self,
        facts: &Facts,
        outcome: FileOutcome,
        reason: &str,
    ) -> Option<Box<FileReport>> {
        self.config.report.then(|| facts.report(outcome, reason))
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
            reports: Vec::new(),
        })
    }
}
