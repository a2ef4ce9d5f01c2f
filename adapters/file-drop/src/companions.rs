//! What lies beside a file and speaks of it, as it is seen in the folder.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use humantime_serde::re::humantime::format_duration;

use crate::control::{CONTROL_BYTES_MAX, Control, Said};
use crate::groups::{Group, Sight};
use crate::matcher::Matcher;
use crate::notice::now_us;
use crate::plain;
use crate::position::shown;
use crate::ready::{Look, Verdict};
use crate::scan::{look_of, takes};
use crate::signs::Late;
use crate::source::FileDrop;
use crate::trailer::END_BYTES_MAX;

/// The moment that times are counted from lies so long before the start that files from before it have a place too.
const BEFORE_START: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

impl FileDrop {
    /// Time since a fixed moment.
    fn now(&self) -> Duration {
        BEFORE_START + self.began.elapsed()
    }

    /// Whether a file, and what speaks of it, say that it is complete.
    pub(crate) fn judge(&mut self, name: &OsStr, look: Look) -> Verdict {
        let done = self.matcher.done_of(name).map(|done| {
            let file = self.metadata(&done).ok().filter(Metadata::is_file);
            (done, file.map(|metadata| sight(look_of(&metadata))))
        });
        let lock = self.matcher.lock_of(name).and_then(|lock| {
            let sight = match self.metadata(&lock) {
                Ok(metadata) => Some(sight(look_of(&metadata))),
                // A name that is too long for the file system is none.
                Err(error) if is_none(&error) => None,
                // Who can't be asked may be writing.
                Err(_) => Some(Sight {
                    look,
                    age: Duration::ZERO,
                }),
            };
            Some((lock, sight?))
        });
        let group = Group {
            name,
            file: sight(look),
            done,
            lock,
        };
        let now = self.now();
        self.groups.judge(&mut self.ready, &group, now)
    }

    fn metadata(&self, name: &OsStr) -> io::Result<Metadata> {
        fs::symlink_metadata(self.config.folder.join(name))
    }

    /// Asks again before a file is begun: it was found complete a while ago, and its writer may have taken the lock since.
    pub(crate) fn is_still_complete(&mut self, name: &OsStr) -> bool {
        if !self.matcher.has_beside() && self.trailer.is_none() {
            return true;
        }
        // One that is gone is told of by whoever opens it.
        let Ok(metadata) = self.metadata(name) else {
            return true;
        };
        let look = look_of(&metadata);
        let mut verdict = self.judge(name, look);
        if verdict == Verdict::Ready && !self.ends(name) {
            let now = self.now();
            self.groups.has_no_trailer(name, look, now);
            verdict = self.judge(name, look);
        }
        if verdict != Verdict::Ready {
            self.place_file(name, look, verdict);
        }
        verdict == Verdict::Ready
    }

    /// Whether the file has the last line that ends it. One that can't be read is told of by whoever reads it.
    fn ends(&self, name: &OsStr) -> bool {
        let Some(trailer) = &self.trailer else {
            return true;
        };
        end_of(&self.config.folder.join(name))
            .map_or(true, |(end, is_whole)| trailer.ends(&end, is_whole))
    }

    /// What the companion of a new file says of it; `None`: nothing that is asked.
    ///
    /// # Errors
    /// It can't be read, or is gone.
    pub(crate) fn said_of(&self, path: &Path) -> io::Result<Option<Said>> {
        // What was begun, or sent, was held to its companion then.
        if self.is_pending(path) || self.is_resumed(path) {
            return Ok(None);
        }
        said_beside(self.control.as_ref(), &self.matcher, path)
    }

    /// The file that is to be looked at when this name was heard of; `None`: all.
    pub(crate) fn concerned(&self, name: &OsStr) -> Option<OsString> {
        let file = self.matcher.file_of(name);
        let file = file.or_else(|| self.groups.claimed_by(name));
        match file {
            Some(file) => Some(file.to_owned()),
            None if self.matcher.is_lock(name) => None,
            None => Some(name.to_owned()),
        }
    }

    /// Says why a file is not taken.
    pub(crate) fn tell_late(&mut self, name: &OsStr, late: Late) {
        let patience = |time| format_duration(time).to_string();
        let done = shown(&self.matcher.done_of(name).unwrap_or_default());
        let sentence = match late {
            Late::NoDone => format!(
                "it lies there for {} and {done} does not come, so it is not taken. Files after it go on; make {done} if it is complete, or move it away",
                patience(self.groups.patience.done)
            ),
            Late::SharedDone => format!(
                "{done} speaks of another file too, so neither is taken; move one of them away, or write done.name with {{name}}"
            ),
            Late::NoTrailer => format!(
                "it has not changed for {}, and its last line does not fit trailer.pattern, so it is not taken. Files after it go on; have the rest of it written, or move it away",
                patience(self.groups.patience.trailer)
            ),
            Late::StaleLock => {
                let lock = self.matcher.lock_of(name).unwrap_or_default();
                let sentence = format!(
                    "this lock is older than {}. What it locks is not taken while it is there; delete it if nobody writes any more",
                    patience(self.groups.patience.lock)
                );
                return self.alarm(&lock, sentence);
            }
        };
        self.alarm(name, sentence);
    }

    /// Tells of companions whose file does not come.
    pub(crate) fn look_for_orphans(&mut self, beside: &[OsString]) {
        for name in beside {
            let is_ours = |file: &OsStr| takes(&self.matcher, file);
            if self.groups.claimed_by(name).is_some() || !self.matcher.is_done_of(name, is_ours) {
                continue;
            }
            let Ok(metadata) = self.metadata(name) else {
                continue;
            };
            let now = self.now();
            if self.groups.is_late_orphan(name, look_of(&metadata), now) {
                let sentence = format!(
                    "it says that a file is complete, and that file does not come for {}; drop it, or move this one away",
                    format_duration(self.groups.patience.done)
                );
                self.alarm(name, sentence);
            }
        }
    }
}

/// What the companion beside a file says of it.
pub(crate) fn said_beside(
    control: Option<&Control>,
    matcher: &Matcher,
    path: &Path,
) -> io::Result<Option<Said>> {
    let name = path.file_name().unwrap_or_default();
    let (Some(control), Some(done)) = (control, matcher.done_of(name)) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    plain::open(&path.with_file_name(&done))?
        .take(CONTROL_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(Some(control.read(&shown(&done), &bytes)))
}

/// The last bytes of a file, and whether they are all of it.
fn end_of(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let mut file = plain::open(path)?;
    let begin = file.metadata()?.len().saturating_sub(END_BYTES_MAX);
    file.seek(SeekFrom::Start(begin))?;
    let mut end = Vec::new();
    file.take(END_BYTES_MAX).read_to_end(&mut end)?;
    Ok((end, begin == 0))
}

fn sight(look: Look) -> Sight {
    let age_us = now_us().saturating_sub(look.modified_us);
    Sight {
        look,
        age: Duration::from_micros(u64::try_from(age_us).unwrap_or(0)),
    }
}

fn is_none(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename
    )
}
