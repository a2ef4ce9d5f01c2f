//! When a file is complete. Pure: observations and `now` in, a verdict out.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::config::ReadyWhen;

/// What is seen of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) bytes: u64,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub(crate) modified_ns: i128,
    pub(crate) inode: u64,
}

/// Whether to take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ready,
    /// Look again after this time.
    Wait(Duration),
}

/// Follows the files that are not yet complete. `now`: time since any fixed moment.
#[derive(Debug)]
pub(crate) struct Ready {
    when: ReadyWhen,
    quiet: Duration,
    files: HashMap<OsString, Watched>,
    first_scan: bool,
}

#[derive(Debug)]
struct Watched {
    look: Look,
    since: Duration,
    closed: bool,
}

impl Ready {
    pub(crate) fn new(when: ReadyWhen, quiet: Duration) -> Self {
        Self {
            when,
            quiet,
            files: HashMap::new(),
            first_scan: true,
        }
    }

    /// The file was closed after writing, or renamed into the folder.
    pub(crate) fn closed(&mut self, name: &OsStr, look: Look, now: Duration) {
        self.files.insert(
            name.to_owned(),
            Watched {
                look,
                since: now,
                closed: true,
            },
        );
    }

    /// The file was looked at. `age`: how long ago it was modified, by its own time.
    ///
    /// Files of the first scan were there before us: what is old enough is complete at once. Later
    /// their own time proves nothing, as copies keep the original's.
    pub(crate) fn look(
        &mut self,
        name: &OsStr,
        look: Look,
        age: Duration,
        now: Duration,
    ) -> Verdict {
        let before = self.files.get(name).filter(|watched| watched.look == look);
        if let Some(watched) = before {
            let quiet_for = now.saturating_sub(watched.since);
            let closed = watched.closed && self.when == ReadyWhen::Close;
            return if closed || quiet_for >= self.quiet {
                Verdict::Ready
            } else {
                Verdict::Wait(self.quiet - quiet_for)
            };
        }
        let since = if self.first_scan {
            now.saturating_sub(age)
        } else {
            now
        };
        self.files.insert(
            name.to_owned(),
            Watched {
                look,
                since,
                closed: false,
            },
        );
        if (self.first_scan && age >= self.quiet) || self.quiet.is_zero() {
            return Verdict::Ready;
        }
        Verdict::Wait(self.quiet.saturating_sub(now.saturating_sub(since)))
    }

    /// A scan is over: what it did not see is forgotten.
    pub(crate) fn scanned(&mut self, seen: impl Fn(&OsStr) -> bool) {
        self.first_scan = false;
        self.files.retain(|name, _| seen(name));
    }

    /// The file was taken or moved.
    pub(crate) fn forget(&mut self, name: &OsStr) {
        self.files.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(2);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn bytes(bytes: u64) -> Look {
        Look {
            bytes,
            modified_ns: 0,
            inode: 1,
        }
    }

    fn started(when: ReadyWhen) -> Ready {
        let mut ready = Ready::new(when, QUIET);
        ready.scanned(|_| true);
        ready
    }

    #[test]
    fn a_closed_file_is_ready_at_once_and_a_growing_one_is_not() {
        let name = OsStr::new("a");
        let mut ready = started(ReadyWhen::Close);
        assert_eq!(
            ready.look(name, bytes(1), s(0), s(10)),
            Verdict::Wait(QUIET)
        );
        ready.closed(name, bytes(5), s(10));
        assert_eq!(ready.look(name, bytes(5), s(0), s(10)), Verdict::Ready);
        assert_eq!(
            ready.look(name, bytes(6), s(0), s(10)),
            Verdict::Wait(QUIET),
            "it was opened again"
        );
    }

    #[test]
    fn without_a_close_size_and_time_must_stand_still() {
        let name = OsStr::new("a");
        let mut ready = started(ReadyWhen::Close);
        assert_eq!(
            ready.look(name, bytes(1), s(999), s(10)),
            Verdict::Wait(QUIET),
            "a copy keeps an old time"
        );
        assert_eq!(
            ready.look(name, bytes(1), s(999), s(11)),
            Verdict::Wait(s(1))
        );
        assert_eq!(
            ready.look(name, bytes(2), s(999), s(12)),
            Verdict::Wait(QUIET),
            "it grew"
        );
        assert_eq!(ready.look(name, bytes(2), s(999), s(14)), Verdict::Ready);
        ready.forget(name);
        assert_eq!(
            ready.look(name, bytes(2), s(999), s(15)),
            Verdict::Wait(QUIET)
        );
    }

    #[test]
    fn quiet_time_ignores_the_close() {
        let name = OsStr::new("a");
        let mut ready = started(ReadyWhen::Quiet);
        ready.closed(name, bytes(5), s(10));
        assert_eq!(ready.look(name, bytes(5), s(0), s(11)), Verdict::Wait(s(1)));
        assert_eq!(ready.look(name, bytes(5), s(0), s(12)), Verdict::Ready);
    }

    #[test]
    fn what_was_there_before_us_is_ready_if_it_is_old() {
        let mut ready = Ready::new(ReadyWhen::Close, QUIET);
        assert_eq!(
            ready.look(OsStr::new("old"), bytes(1), s(60), s(10)),
            Verdict::Ready
        );
        assert_eq!(
            ready.look(OsStr::new("new"), bytes(1), s(1), s(10)),
            Verdict::Wait(s(1))
        );
    }
}
