//! Which file comes next, and what becomes of one that the first pass is through with.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use dray_adapter::{FileOutcome, MarkState, SourceError};

use crate::archive::FAILED;
use crate::config::{After, Repeat};
use crate::first_pass::{BadFile, Checked, FirstPass};
use crate::notice::{Notice, now_us};
use crate::plain;
use crate::position::{Content, Finished, Goes, shown};
use crate::reading::Reading;
use crate::ready::Look;
use crate::sftp::Pickup;
use crate::source::{FileDrop, changing, unreadable};
use crate::under_way::Work;

impl FileDrop {
    /// Decides what becomes of a file that the first pass is through with.
    pub(crate) fn take_checked(
        &mut self,
        path: &Path,
        checked: Checked,
    ) -> Result<(), SourceError> {
        self.troubles.remove(path.file_name().unwrap_or_default());
        if self.is_resumed(path) {
            return self.take_resumed(path, checked);
        }
        if !matches!(checked, Checked::Changing) {
            self.held = None;
        }
        match checked {
            Checked::Changing => self.trouble(path, changing()),
            Checked::Good(reading) if self.is_pending(path) => {
                return self.take_second_copy(path, Ok(reading));
            }
            Checked::Bad(bad) if self.is_pending(path) => {
                return self.take_second_copy(path, Err(bad));
            }
            Checked::Good(mut reading) => {
                let look = reading.finished(Goes::Pending).look;
                if let Some(repeat) = self.sent_before(path, &reading.content) {
                    reading.content.repeat = repeat;
                    self.read_again(path, reading);
                    return Ok(());
                }
                // What it was is lost; what it is now is a file of its own.
                self.lost_and_gone(path);
                if self.recognises(path, &reading.content, look)? {
                    return Ok(());
                }
                if let Some((repeat, next)) = self.given_up_at(&reading.content) {
                    reading.content.repeat = repeat;
                    self.read_on(path, reading, next);
                    return Ok(());
                }
                match self.repeat_of(reading.content, look) {
                    Some(repeat) => {
                        reading.content.repeat = repeat;
                        self.admit(path, reading);
                    }
                    None => self.note_repeat(path, &reading.facts),
                }
            }
            Checked::Bad(bad) => {
                if !self.recognises(path, &bad.content, bad.look)? {
                    self.set_aside(*bad);
                }
            }
        }
        Ok(())
    }

    /// A file that the buffer lost.
    fn read_again(&mut self, path: &Path, mut reading: Box<Reading>) {
        // It was acknowledged before it was noted.
        reading.acknowledgements.clear();
        self.take_numbers(path.file_name().unwrap_or_default(), &reading.facts);
        match self.note_documents(&mut reading) {
            Ok(_) => self.work = Work::Reading(reading),
            Err(error) => self.trouble(path, unreadable(&error)),
        }
    }

    /// A file that was given up in its middle is there again.
    fn read_on(&mut self, path: &Path, mut reading: Box<Reading>, next: u64) {
        tracing::info!(file = %path.display(), next, "the file was read in part before: it is read on");
        let went_on = self
            .note_documents(&mut reading)
            .and_then(|_| reading.go_on_at(next, &self.format));
        match went_on {
            Ok(()) => self.work = Work::Reading(reading),
            Err(error) => self.trouble(path, unreadable(&error)),
        }
    }

    pub(crate) fn set_aside(&mut self, bad: BadFile) {
        let pending = self.is_pending(&bad.path);
        let name = bad.path.file_name().unwrap_or_default().to_owned();
        let flow = self.flow.rsplit('/').next().unwrap_or_default();
        let way_out = match self.config.after {
            After::Move => format!(
                "drop it again, or mend it in {FAILED}/ and run \"dray-agent redrive {flow} {}\"",
                shown(&name)
            ),
            After::Keep => "let it be written anew".into(),
        };
        let reason = format!(
            "{}. Nothing of it was sent; mend it and {way_out}",
            bad.reason
        );
        let file = Finished {
            name,
            content: bad.content,
            look: bad.look,
            goes: Goes::Failed,
        };
        let report = self.report(&bad.facts, FileOutcome::SetAside, &reason);
        let notice = Notice::set_aside(file, bad.path, pending, &reason, bad.first_bytes);
        self.notices
            .push_back(notice.closing(report).acknowledged(bad.acknowledgements));
    }

    /// The number that the content is sent under; `None` if it was there before and is not to be sent.
    fn repeat_of(&self, mut content: Content, look: Look) -> Option<u64> {
        let known = |content: &Content| {
            self.state(content) != MarkState::New
                || self.has_sent(content)
                || self
                    .finished
                    .iter()
                    .any(|moving| moving.file.content == *content)
        };
        match self.config.repeat {
            Repeat::Report => (!known(&content)).then_some(0),
            Repeat::Send => {
                content.repeat = repeat_from(look);
                while known(&content) {
                    content.repeat += 1;
                }
                Some(content.repeat)
            }
        }
    }

    /// Begins the first pass over a file.
    pub(crate) fn check(&mut self, path: &Path) {
        let said = match self.said_of(path) {
            Ok(said) => said,
            Err(error) => {
                return self.trouble(path, format!("its companion can't be read: {error}"));
            }
        };
        let begin = |file| FirstPass::begin(path, file, &self.format, self.config.bad_lines_max);
        match plain::open(path).and_then(begin) {
            // It was noted after a scan saw it.
            Ok(pass) if self.is_noted(path, pass.look()) => {}
            Ok(pass) => {
                let pass = pass
                    .held_to(said)
                    .watching(self.duplicates.keys())
                    .acknowledging(self.acknowledges(path));
                self.work = Work::Checking(Box::new(pass));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(file = %path.display(), "a file vanished before it was read; nothing of it was sent");
                self.ready.forget(path.file_name().unwrap_or_default());
                self.held = None;
                self.lost_and_gone(path);
            }
            Err(error) => self.trouble(path, unreadable(&error)),
        }
    }

    /// Finds the next file and begins it; otherwise how long there is nothing to do.
    pub(crate) fn begin_next(&mut self) -> Result<Option<Duration>, SourceError> {
        let wait = self.find()?;
        if let Some(held) = self
            .held
            .as_ref()
            .filter(|held| Instant::now() < held.until)
        {
            return Err(self.retry(held.reason.clone()));
        }
        if self.begin_second_copy() {
            return Ok(None);
        }
        if self.resume.is_some() {
            return self.begin_resumed();
        }
        if self.begin_redriving()? {
            return Ok(None);
        }
        if !self.queue.is_empty() {
            self.has_room()?;
        }
        self.sort_in_released();
        if let Some(path) = self.next_in_order() {
            self.check(&path);
            return Ok(None);
        }
        self.prune();
        let wait = wait.min(self.put_repeats());
        let pickup = || self.pickup.as_ref().and_then(Pickup::trouble);
        if let Some(mut reason) = self.keeper.sentence() {
            // What is missing may lie on a server that is away.
            if let Some(other) = pickup() {
                reason = format!("{reason}. {other}");
            }
            let soonest = self.keeper.soonest(now_us());
            let after = wait.min(soonest.max(Duration::from_millis(1)));
            return Err(SourceError::Retry { reason, after });
        }
        match self.what_waits().or_else(pickup) {
            Some(reason) => Err(SourceError::Retry {
                reason,
                after: wait,
            }),
            None => Ok(Some(wait)),
        }
    }
}

/// With `repeat = "send"`: a file keeps its time when it moves, so it keeps its number.
pub(crate) fn repeat_from(look: Look) -> u64 {
    u64::try_from(look.modified_us).unwrap_or(0).max(1)
}
