//! A file together with what speaks of it: its companion and its lock. Pure: observations and `now` in, a verdict out.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::ready::{Look, Ready, Verdict};
use crate::signs::{Late, Patience};

/// A file as it is seen now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) look: Look,
    /// How long ago it was modified, by its own time.
    pub(crate) age: Duration,
}

/// What is asked about.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a OsStr,
    pub(crate) file: Sight,
    /// Its companion's name, and the companion if it is there; `None`: none is asked for.
    pub(crate) done: Option<(OsString, Option<Sight>)>,
    /// The lock's name, if it is locked.
    pub(crate) lock: Option<(OsString, Sight)>,
}

/// Remembers since when something stands as it stands.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) patience: Patience,
    clocks: HashMap<(Clock, OsString), Stood>,
    /// Which file each companion speaks of.
    claims: HashMap<OsString, Claim>,
    round: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Clock {
    /// Of a file, while its companion is not there.
    NoDone,
    /// Of a companion, while its file is not there.
    Orphan,
    /// Of a lock.
    Lock,
    /// Of a file without the last line that ends it.
    NoTrailer,
}

#[derive(Debug)]
struct Stood {
    look: Look,
    since: Duration,
    /// The scan in which it was seen last.
    round: u64,
}

#[derive(Debug)]
struct Claim {
    by: OsString,
    is_shared: bool,
}

impl Groups {
    pub(crate) fn new(patience: Patience) -> Self {
        Self {
            patience,
            clocks: HashMap::new(),
            claims: HashMap::new(),
            round: 0,
        }
    }

    /// Whether to take the file: not while it is locked, lacks its companion, or one of both is not complete.
    pub(crate) fn judge(&mut self, ready: &mut Ready, group: &Group<'_>, now: Duration) -> Verdict {
        let mut verdict = ready.look(group.name, group.file.look, group.file.age, now);
        if let Some((done, sight)) = &group.done {
            verdict = verdict.and(match sight {
                _ if !self.claim(done, group.name) => Verdict::Late(Late::SharedDone),
                Some(sight) => ready.look(done, sight.look, sight.age, now),
                None => {
                    let stood = self.stood(Clock::NoDone, group.name, group.file.look, now);
                    late(Late::NoDone, self.patience.done, stood)
                }
            });
        }
        if let Some((lock, sight)) = &group.lock {
            // It may be older than we are.
            let stood = self.stood(Clock::Lock, lock, sight.look, now);
            let age = stood.max(sight.age);
            verdict = verdict.and(late(Late::StaleLock, self.patience.lock, age));
        }
        if let Some(stood) = self.stood_without_trailer(group, now) {
            verdict = verdict.and(late(Late::NoTrailer, self.patience.trailer, stood));
        }
        verdict
    }

    /// The file was looked into and does not end with its trailer: it waits until it changes.
    pub(crate) fn has_no_trailer(&mut self, name: &OsStr, look: Look, now: Duration) {
        self.stood(Clock::NoTrailer, name, look, now);
    }

    /// How long it has stood so; `None` where it changed since, or was not looked into.
    fn stood_without_trailer(&mut self, group: &Group<'_>, now: Duration) -> Option<Duration> {
        let look = group.file.look;
        let key = (Clock::NoTrailer, group.name.to_owned());
        let is_same = self.clocks.get(&key)?.look == look;
        is_same.then(|| self.stood(Clock::NoTrailer, group.name, look, now))
    }

    /// The companion speaks of this file; `false` if it speaks of another one too, so of neither for sure.
    pub(crate) fn claim(&mut self, done: &OsStr, file: &OsStr) -> bool {
        let claim = self.claims.entry(done.to_owned()).or_insert_with(|| Claim {
            by: file.to_owned(),
            is_shared: false,
        });
        claim.is_shared |= claim.by != file;
        !claim.is_shared
    }

    /// The file that a companion speaks of, as far as it is known.
    pub(crate) fn claimed_by(&self, done: &OsStr) -> Option<&OsStr> {
        self.claims.get(done).map(|claim| &*claim.by)
    }

    /// A companion is there that speaks of no file; whether that has lasted.
    pub(crate) fn is_late_orphan(&mut self, done: &OsStr, look: Look, now: Duration) -> bool {
        self.stood(Clock::Orphan, done, look, now) >= self.patience.done
    }

    /// A scan begins: whose the companions are is found anew.
    pub(crate) fn scan(&mut self) {
        self.claims.clear();
    }

    /// A scan is over: what it did not see is forgotten.
    pub(crate) fn scanned(&mut self) {
        let round = self.round;
        self.clocks.retain(|_, stood| stood.round == round);
        self.round += 1;
    }

    /// How long it has been so, and has looked so.
    fn stood(&mut self, clock: Clock, name: &OsStr, look: Look, now: Duration) -> Duration {
        let round = self.round;
        let new = || Stood {
            look,
            since: now,
            round,
        };
        let stood = self
            .clocks
            .entry((clock, name.to_owned()))
            .or_insert_with(new);
        if stood.look != look {
            *stood = new();
        }
        stood.round = round;
        now.saturating_sub(stood.since)
    }
}

fn late(why: Late, patience: Duration, stood: Duration) -> Verdict {
    match patience.saturating_sub(stood) {
        Duration::ZERO => Verdict::Late(why),
        left => Verdict::Wait(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ReadyWhen;

    const HOUR: Duration = Duration::from_secs(3_600);
    const QUIET: Duration = Duration::from_secs(2);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn sight(inode: u64, age: u64) -> Sight {
        let look = Look {
            bytes: inode,
            modified_us: 0,
            inode,
            born_us: 0,
        };
        Sight { look, age: s(age) }
    }

    struct Told {
        ready: Ready,
        groups: Groups,
    }

    impl Told {
        fn new(when: ReadyWhen) -> Self {
            let mut ready = Ready::new(when, QUIET);
            ready.scanned(|_| true);
            let patience = Patience {
                done: HOUR,
                lock: HOUR,
                trailer: HOUR,
            };
            Self {
                ready,
                groups: Groups::new(patience),
            }
        }

        fn judge(&mut self, done: Option<Option<Sight>>, lock: Option<Sight>, now: u64) -> Verdict {
            let group = Group {
                name: OsStr::new("a.txt"),
                file: sight(1, 0),
                done: done.map(|sight| ("a.txt.done".into(), sight)),
                lock: lock.map(|sight| ("a.txt.lck".into(), sight)),
            };
            self.groups.judge(&mut self.ready, &group, s(now))
        }
    }

    #[test]
    fn a_file_waits_for_its_companion_and_the_companion_must_be_complete_too() {
        let mut told = Told::new(ReadyWhen::Quiet);
        assert_eq!(told.judge(Some(None), None, 10), Verdict::Wait(HOUR));
        assert_eq!(
            told.judge(Some(None), None, 70),
            Verdict::Wait(HOUR - s(60))
        );
        let done = Some(Some(sight(2, 0)));
        assert_eq!(told.judge(done, None, 100), Verdict::Wait(QUIET));
        assert_eq!(told.judge(done, None, 101), Verdict::Wait(s(1)));
        assert_eq!(told.judge(done, None, 102), Verdict::Ready);
    }

    #[test]
    fn a_companion_does_not_make_a_growing_file_complete() {
        let mut told = Told::new(ReadyWhen::Quiet);
        let group = |bytes| Group {
            name: OsStr::new("a.txt"),
            file: sight(bytes, 0),
            done: Some(("a.txt.done".into(), Some(sight(2, 0)))),
            lock: None,
        };
        let mut judge = |bytes, now| {
            told.groups
                .judge(&mut told.ready, &group(bytes), Duration::from_secs(now))
        };
        assert_eq!(judge(5, 10), Verdict::Wait(QUIET));
        assert_eq!(judge(6, 12), Verdict::Wait(QUIET), "it grew");
        assert_eq!(judge(6, 14), Verdict::Ready);
    }

    #[test]
    fn what_waits_for_too_long_is_late_and_a_change_begins_the_time_anew() {
        let mut told = Told::new(ReadyWhen::Rename);
        assert_eq!(told.judge(Some(None), None, 0), Verdict::Wait(HOUR));
        assert_eq!(
            told.judge(Some(None), None, 3_600),
            Verdict::Late(Late::NoDone)
        );
        let done = Some(Some(sight(2, 0)));
        assert_eq!(told.judge(done, None, 3_601), Verdict::Ready);
        let lock = |inode| Some(sight(inode, 0));
        assert_eq!(told.judge(done, lock(3), 4_000), Verdict::Wait(HOUR));
        assert_eq!(
            told.judge(done, lock(3), 7_600),
            Verdict::Late(Late::StaleLock)
        );
        assert_eq!(
            told.judge(done, lock(4), 7_601),
            Verdict::Wait(HOUR),
            "another one"
        );
        let old = Some(sight(4, 4_000));
        assert_eq!(
            told.judge(done, old, 7_602),
            Verdict::Late(Late::StaleLock),
            "it is older than we are"
        );
        assert_eq!(told.judge(done, None, 7_603), Verdict::Ready);
    }

    #[test]
    fn a_file_without_its_trailer_waits_until_it_changes_and_is_late_after_its_time() {
        let mut told = Told::new(ReadyWhen::Rename);
        assert_eq!(told.judge(None, None, 0), Verdict::Ready);
        let look = sight(1, 0).look;
        told.groups
            .has_no_trailer(OsStr::new("a.txt"), look, Duration::ZERO);
        told.groups.scanned();
        assert_eq!(told.judge(None, None, 1), Verdict::Wait(HOUR - s(1)));
        told.groups.scanned();
        assert_eq!(
            told.judge(None, None, 3_600),
            Verdict::Late(Late::NoTrailer)
        );
        let group = Group {
            name: OsStr::new("a.txt"),
            file: sight(2, 0),
            done: None,
            lock: None,
        };
        let verdict = told.groups.judge(&mut told.ready, &group, s(3_601));
        assert_eq!(verdict, Verdict::Ready, "it is looked into again");
    }

    #[test]
    fn a_companion_of_two_files_speaks_of_neither() {
        let mut told = Told::new(ReadyWhen::Rename);
        let done = Some(Some(sight(2, 0)));
        told.groups.scan();
        assert_eq!(told.judge(done, None, 0), Verdict::Ready);
        assert!(
            !told
                .groups
                .claim(OsStr::new("a.txt.done"), OsStr::new("a.csv"))
        );
        assert_eq!(told.judge(done, None, 1), Verdict::Late(Late::SharedDone));
        told.groups.scan();
        assert_eq!(told.judge(done, None, 2), Verdict::Ready, "the other went");
    }

    #[test]
    fn a_companion_without_a_file_is_late_after_its_time_and_forgotten_when_it_goes() {
        let mut groups = Told::new(ReadyWhen::Close).groups;
        let (name, look) = (OsStr::new("a.txt.done"), sight(2, 0).look);
        assert!(!groups.is_late_orphan(name, look, s(10)));
        groups.scanned();
        assert!(!groups.is_late_orphan(name, look, s(3_609)));
        groups.scanned();
        assert!(groups.is_late_orphan(name, look, s(3_610)));
        groups.scanned();
        groups.scanned();
        assert!(
            !groups.is_late_orphan(name, look, s(3_611)),
            "it was away for a scan"
        );
    }
}
