//! When a file is complete. Pure: observations and `now` in, a verdict out.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::config::ReadyWhen;
use crate::signs::Late;

/// How much longer than the quiet time a file that is seen to be written waits for its close. Some
/// writers are never seen to close: their machine went away, or a link was made.
const CLOSE_WAIT_FACTOR: u32 = 30;
/// The least that such a file waits.
const CLOSE_WAIT_MIN: Duration = Duration::from_secs(60);

/// So many files have room, always.
const FILES_FEW: usize = 1_000;

/// What is seen of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) bytes: u64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(crate) modified_us: i64,
    pub(crate) inode: u64,
    /// When the file was made, likewise; 0 where the file system does not tell. A new file may get the
    /// inode of one that was deleted.
    pub(crate) born_us: i64,
}

impl Look {
    /// Whether both are looks at one file, changed or not.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.inode, self.born_us) == (other.inode, other.born_us)
    }

    /// Whether size and time are the same, be it one file or a copy.
    pub(crate) fn is_unchanged(&self, other: &Self) -> bool {
        (self.bytes, self.modified_us) == (other.bytes, other.modified_us)
    }
}

/// What notify told of a file, last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Witnessed {
    /// It was made or written.
    Written,
    /// It was closed after writing, or renamed into the folder.
    Closed,
}

/// Whether to take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ready,
    /// Look again after this time.
    Wait(Duration),
    /// It has waited for too long: this is told, and those after it go on.
    Late(Late),
}

impl Verdict {
    /// What both come to: a file is taken when nothing speaks against it.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Late(why), _) | (_, Self::Late(why)) => Self::Late(why),
            (Self::Wait(one), Self::Wait(two)) => Self::Wait(one.max(two)),
            (Self::Wait(time), Self::Ready) | (Self::Ready, Self::Wait(time)) => Self::Wait(time),
            (Self::Ready, Self::Ready) => Self::Ready,
        }
    }
}

/// Follows the files that are not yet complete. `now`: time since any fixed moment.
#[derive(Debug)]
pub(crate) struct Ready {
    when: ReadyWhen,
    quiet: Duration,
    files: HashMap<OsString, Watched>,
    first_scan: bool,
}

#[derive(Debug, Default)]
struct Watched {
    look: Option<Look>,
    since: Duration,
    witnessed: Option<Witnessed>,
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

    /// notify told of a file; look at it afterwards.
    pub(crate) fn witnessed(&mut self, name: &OsStr, witnessed: Witnessed) {
        let watched = self.files.entry(name.to_owned()).or_default();
        watched.witnessed = Some(witnessed);
        // What was seen before a close says nothing about the file after it.
        watched.look = None;
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
        if self.when == ReadyWhen::Rename {
            return Verdict::Ready;
        }
        let watched = self.files.entry(name.to_owned()).or_default();
        match watched.look {
            Some(before) if before == look => {}
            None => {
                // Who is seen to write sets whatever time.
                let is_written = watched.witnessed == Some(Witnessed::Written);
                watched.since = if self.first_scan && !is_written {
                    now.saturating_sub(age)
                } else {
                    now
                };
                watched.look = Some(look);
                if self.first_scan && age >= self.quiet && !is_written {
                    return Verdict::Ready;
                }
            }
            Some(_) => {
                watched.since = now;
                watched.look = Some(look);
                // Whoever changed it has yet to close it, or can't be seen.
                watched.witnessed = watched
                    .witnessed
                    .filter(|witnessed| *witnessed == Witnessed::Written);
            }
        }
        let wait = match (self.when, watched.witnessed) {
            (ReadyWhen::Close, Some(Witnessed::Closed)) => Duration::ZERO,
            (ReadyWhen::Close, Some(Witnessed::Written)) => {
                (self.quiet * CLOSE_WAIT_FACTOR).max(CLOSE_WAIT_MIN)
            }
            _ => self.quiet,
        };
        match wait.saturating_sub(now.saturating_sub(watched.since)) {
            Duration::ZERO => Verdict::Ready,
            left => Verdict::Wait(left),
        }
    }

    /// A scan is over: what it did not see is forgotten.
    pub(crate) fn scanned(&mut self, seen: impl Fn(&OsStr) -> bool) {
        self.first_scan = false;
        self.files.retain(|name, _| seen(name));
        self.shrink();
    }

    /// The file was taken or moved.
    pub(crate) fn forget(&mut self, name: &OsStr) {
        self.files.remove(name);
        self.shrink();
    }

    /// After a crowd, its room is given back.
    fn shrink(&mut self) {
        let files = self.files.len().max(FILES_FEW);
        if files * 4 < self.files.capacity() {
            self.files.shrink_to(files * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(2);
    const OLD: Duration = Duration::from_secs(999);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn bytes(bytes: u64) -> Look {
        Look {
            bytes,
            modified_us: 0,
            inode: 1,
            born_us: 0,
        }
    }

    fn started(when: ReadyWhen) -> Ready {
        let mut ready = Ready::new(when, QUIET);
        ready.scanned(|_| true);
        ready
    }

    #[test]
    fn a_crowds_room_is_given_back_when_it_is_gone() {
        let mut ready = started(ReadyWhen::Close);
        let names: Vec<OsString> = (0..20_000).map(|n| n.to_string().into()).collect();
        for name in &names {
            ready.witnessed(name, Witnessed::Written);
        }
        for name in &names[..19_000] {
            ready.forget(name);
        }
        assert_eq!(ready.files.len(), 1_000);
        assert!(ready.files.capacity() < 5_000);
    }

    #[test]
    fn a_closed_file_is_ready_at_once_and_a_growing_one_is_not() {
        let name = OsStr::new("a");
        let mut ready = started(ReadyWhen::Close);
        assert_eq!(
            ready.look(name, bytes(1), s(0), s(10)),
            Verdict::Wait(QUIET)
        );
        ready.witnessed(name, Witnessed::Closed);
        assert_eq!(ready.look(name, bytes(5), s(0), s(10)), Verdict::Ready);
        assert_eq!(
            ready.look(name, bytes(6), s(0), s(10)),
            Verdict::Wait(QUIET),
            "it was opened again"
        );
    }

    #[test]
    fn a_file_that_is_seen_to_be_written_waits_for_its_close() {
        let name = OsStr::new("a");
        let mut ready = started(ReadyWhen::Close);
        ready.witnessed(name, Witnessed::Written);
        assert_eq!(
            ready.look(name, bytes(1), OLD, s(10)),
            Verdict::Wait(CLOSE_WAIT_MIN)
        );
        assert_eq!(
            ready.look(name, bytes(1), OLD, s(20)),
            Verdict::Wait(s(50)),
            "a pause is no end"
        );
        ready.witnessed(name, Witnessed::Closed);
        assert_eq!(ready.look(name, bytes(2), OLD, s(20)), Verdict::Ready);
        ready.witnessed(name, Witnessed::Written);
        assert_eq!(
            ready.look(name, bytes(2), OLD, s(21)),
            Verdict::Wait(CLOSE_WAIT_MIN),
            "opened again"
        );
        assert_eq!(
            ready.look(name, bytes(2), OLD, s(81)),
            Verdict::Ready,
            "nobody closes it any more"
        );
    }

    #[test]
    fn without_a_close_size_and_time_must_stand_still() {
        let name = OsStr::new("a");
        let mut ready = started(ReadyWhen::Close);
        assert_eq!(
            ready.look(name, bytes(1), OLD, s(10)),
            Verdict::Wait(QUIET),
            "a copy keeps an old time"
        );
        assert_eq!(ready.look(name, bytes(1), OLD, s(11)), Verdict::Wait(s(1)));
        assert_eq!(
            ready.look(name, bytes(2), OLD, s(12)),
            Verdict::Wait(QUIET),
            "it grew"
        );
        assert_eq!(ready.look(name, bytes(2), OLD, s(14)), Verdict::Ready);
        ready.forget(name);
        assert_eq!(ready.look(name, bytes(2), OLD, s(15)), Verdict::Wait(QUIET));
    }

    #[test]
    fn quiet_time_ignores_the_close() {
        let name = OsStr::new("a");
        let mut ready = started(ReadyWhen::Quiet);
        ready.witnessed(name, Witnessed::Closed);
        assert_eq!(
            ready.look(name, bytes(5), s(0), s(10)),
            Verdict::Wait(QUIET)
        );
        assert_eq!(ready.look(name, bytes(5), s(0), s(11)), Verdict::Wait(s(1)));
        assert_eq!(ready.look(name, bytes(5), s(0), s(12)), Verdict::Ready);
    }

    #[test]
    fn with_rename_whatever_has_the_name_is_complete() {
        let name = OsStr::new("a");
        let mut ready = Ready::new(ReadyWhen::Rename, QUIET);
        for _ in 0..2 {
            assert_eq!(ready.look(name, bytes(1), s(0), s(10)), Verdict::Ready);
            ready.witnessed(name, Witnessed::Written);
            assert_eq!(ready.look(name, bytes(2), s(0), s(10)), Verdict::Ready);
            ready.scanned(|_| true);
        }
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
        ready.witnessed(OsStr::new("open"), Witnessed::Written);
        assert_eq!(
            ready.look(OsStr::new("open"), bytes(1), OLD, OLD * 2),
            Verdict::Wait(CLOSE_WAIT_MIN)
        );
        assert_eq!(
            ready.look(OsStr::new("future"), bytes(1), s(0), s(10)),
            Verdict::Wait(QUIET)
        );
    }
}
