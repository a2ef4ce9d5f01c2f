//! Which files may be begun and which wait for others, by the numbers that they have. Pure.

mod sentences;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use self::sentences::{came_before, named};
use crate::ready::Look;
use crate::sequence::{Again, Found, Missing, Number, State, Verdict, Watch, shown};

/// Numbers of one file that are watched; of more it is said that they are not.
pub(crate) const NUMBERS_MAX: usize = 1_000;

/// Watches over a flow's sequence.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    watch: Option<Watch>,
    pub(crate) state: State,
    /// Files that wait; as many as there are in the folder.
    waiting: HashMap<OsString, Waiting>,
    /// Their numbers.
    here: BTreeSet<Number>,
    to_tell: VecDeque<Told>,
    /// Whether a number was taken, so that others may go on.
    is_changed: bool,
}

/// A file that waits.
#[derive(Debug)]
struct Waiting {
    look: Look,
    found: Vec<Found>,
    since_us: i64,
    /// `None`: it waits for a file that waits too, or for a notice.
    hold: Option<Hold>,
    is_released: bool,
}

/// What a file waits for.
#[derive(Debug, Clone)]
struct Hold {
    missing: Missing,
    what: String,
    until_us: i64,
}

/// A missing range that is to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) missing: Missing,
    /// The file that showed it.
    pub(crate) file: OsString,
    pub(crate) sentence: String,
}

/// What becomes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It is begun; what its report says of its numbers.
    Go(String),
    /// It waits.
    Wait,
    /// It is set aside, and why.
    SetAside(String),
}

enum Weighed {
    Go(Vec<(Found, Verdict)>),
    Gap(Found, (u64, u64)),
    Hold(Found, Missing),
    Behind,
}

impl Keeper {
    pub(crate) fn new(watch: Option<Watch>) -> Self {
        Self {
            watch,
            ..Self::default()
        }
    }

    pub(crate) fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// Begins again where a position says; nobody waits.
    pub(crate) fn restart(&mut self, state: State) {
        *self = Self {
            state,
            ..Self::new(self.watch.take())
        };
    }

    /// Decides about a file that can be read. When it goes, its numbers count as come.
    pub(crate) fn admit(
        &mut self,
        name: &OsStr,
        look: Look,
        numbers: Result<Vec<Found>, String>,
        now_us: i64,
    ) -> Admitted {
        let mut found = match numbers {
            Ok(found) => found,
            Err(sentence) => return Admitted::Go(sentence),
        };
        let Some(watch) = &self.watch else {
            return Admitted::Go(String::new());
        };
        let unwatched = found.len().saturating_sub(NUMBERS_MAX);
        found.truncate(NUMBERS_MAX);
        let rules = watch.rules;
        match self.weigh(&found, now_us) {
            Weighed::Go(verdicts) => {
                let again = verdicts
                    .iter()
                    .find(|(_, verdict)| *verdict == Verdict::Again);
                if let (Some((found, _)), Again::SetAside) = (again, watch.again) {
                    let sentence = format!("{}, with other content", came_before(found));
                    self.forget(name);
                    return Admitted::SetAside(sentence);
                }
                let said = self.said(name, &verdicts, unwatched);
                self.take(&found);
                self.forget(name);
                Admitted::Go(said)
            }
            Weighed::Gap(one, range) => {
                // It may have waited for files that waited for others: the times do not add up.
                let before = self.waiting.get(name).filter(|one| one.look == look);
                let since_us = before.map_or(now_us, |waiting| waiting.since_us);
                let (new, forgotten) = self.state.miss(&rules, &one.number, range, since_us);
                let hold = new.last().map(|missing| self.hold(&one, *missing));
                for missing in new {
                    let sentence =
                        self.missing_sentence((name, now_us), &one, &missing, &forgotten);
                    let file = name.to_owned();
                    self.to_tell.push_back(Told {
                        missing,
                        file,
                        sentence,
                    });
                }
                // Begun when that is told, or found to wait.
                let in_vain =
                    hold.filter(|hold| rules.hold_us.is_some() && hold.until_us <= now_us);
                self.wait(name, (look, now_us), found, in_vain);
                self.is_changed = true;
                Admitted::Wait
            }
            Weighed::Hold(one, missing) => {
                let hold = self.hold(&one, missing);
                self.wait(name, (look, now_us), found, Some(hold));
                Admitted::Wait
            }
            Weighed::Behind => {
                self.wait(name, (look, now_us), found, None);
                Admitted::Wait
            }
        }
    }

    /// The numbers came, whatever becomes of the file.
    pub(crate) fn take(&mut self, found: &[Found]) {
        let Some(watch) = &self.watch else { return };
        for one in found.iter().take(NUMBERS_MAX) {
            self.state.take(&watch.rules, &one.number);
        }
        self.is_changed = true;
    }

    /// What came last did not come after all.
    pub(crate) fn undo(&mut self, before: State) {
        self.state = before;
        self.is_changed = true;
    }

    /// Whether a file waits, and for how long at the most; not if it changed.
    pub(crate) fn waits(&mut self, name: &OsStr, look: Look, now_us: i64) -> Option<Duration> {
        let waiting = self.waiting.get(name)?;
        if waiting.look != look {
            self.forget(name);
            return None;
        }
        if waiting.is_released {
            return None;
        }
        let until_us = waiting.hold.as_ref().map(|hold| hold.until_us);
        Some(until_us.map_or(Duration::MAX, |until_us| left(until_us, now_us)))
    }

    /// Files that need not wait any more.
    pub(crate) fn release(&mut self, now_us: i64) -> Vec<OsString> {
        let is_over = |waiting: &Waiting| {
            let hold = waiting.hold.as_ref().filter(|_| !waiting.is_released);
            hold.is_some_and(|hold| hold.until_us <= now_us)
        };
        let is_due = self.is_changed || self.waiting.values().any(is_over);
        if !self.to_tell.is_empty() || !is_due {
            return Vec::new();
        }
        self.is_changed = false;
        let held = self.waiting.iter().filter(|(_, one)| !one.is_released);
        let weighed: Vec<(OsString, Weighed)> = held
            .map(|(name, waiting)| (name.clone(), self.weigh(&waiting.found, now_us)))
            .collect();
        let mut free = Vec::new();
        for (name, weighed) in weighed {
            let hold = match &weighed {
                Weighed::Hold(one, missing) => Some(self.hold(one, *missing)),
                _ => None,
            };
            let is_free = matches!(weighed, Weighed::Go(_) | Weighed::Gap(..));
            if let Some(waiting) = self.waiting.get_mut(&name) {
                waiting.is_released = is_free;
                waiting.hold = hold.or(waiting.hold.take());
            }
            free.extend(is_free.then_some(name));
        }
        free
    }

    /// Only these files are still there.
    pub(crate) fn scanned(&mut self, is_there: impl Fn(&OsStr) -> bool) {
        let gone = self.waiting.keys().filter(|name| !is_there(name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.forget(&name);
        }
    }

    /// The next missing range to tell of.
    pub(crate) fn tell(&mut self) -> Option<Told> {
        let told = self.to_tell.pop_front()?;
        self.is_changed = true;
        Some(told)
    }

    /// How long until a file has waited long enough.
    pub(crate) fn soonest(&self, now_us: i64) -> Duration {
        let held = self.waiting.values().filter(|one| !one.is_released);
        let until = held.filter_map(|one| Some(one.hold.as_ref()?.until_us));
        until
            .min()
            .map_or(Duration::MAX, |until_us| left(until_us, now_us))
    }

    fn hold(&self, one: &Found, missing: Missing) -> Hold {
        let hold_us = self.watch.as_ref().and_then(|watch| watch.rules.hold_us);
        Hold {
            missing,
            what: named(&one.sender, &shown(missing.from, missing.to, one.width)),
            until_us: missing.since_us.saturating_add(hold_us.unwrap_or(0)),
        }
    }

    fn weigh(&self, found: &[Found], now_us: i64) -> Weighed {
        let Some(watch) = &self.watch else {
            return Weighed::Go(Vec::new());
        };
        // A file has one number mostly.
        let mut later: Option<State> = None;
        let mut verdicts = Vec::new();
        for (at, one) in found.iter().enumerate() {
            let state = later.as_ref().unwrap_or(&self.state);
            let verdict = state.look(&watch.rules, &one.number, &self.here, now_us);
            match verdict {
                Verdict::Gap { from, to } => return Weighed::Gap(one.clone(), (from, to)),
                Verdict::Hold(missing) => return Weighed::Hold(one.clone(), missing),
                Verdict::Behind => return Weighed::Behind,
                _ => verdicts.push((one.clone(), verdict)),
            }
            if at + 1 < found.len() {
                let state = later.get_or_insert_with(|| self.state.clone());
                state.take(&watch.rules, &one.number);
            }
        }
        Weighed::Go(verdicts)
    }

    fn wait(
        &mut self,
        name: &OsStr,
        (look, now_us): (Look, i64),
        found: Vec<Found>,
        hold: Option<Hold>,
    ) {
        // What it was held for is remembered over a release, for who asks what it waited for; and since when.
        let before = self.waiting.remove(name);
        let same = before.as_ref().filter(|one| one.look == look);
        let since_us = same.map_or(now_us, |waiting| waiting.since_us);
        let hold = hold.or(before.and_then(|waiting| waiting.hold));
        self.here.extend(found.iter().map(|one| one.number));
        let waiting = Waiting {
            look,
            found,
            since_us,
            hold,
            is_released: false,
        };
        self.waiting.insert(name.to_owned(), waiting);
    }

    fn forget(&mut self, name: &OsStr) {
        if let Some(waiting) = self.waiting.remove(name) {
            for one in waiting.found {
                self.here.remove(&one.number);
            }
            self.is_changed = true;
        }
    }
}

fn left(until_us: i64, now_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(until_us.saturating_sub(now_us)).unwrap_or(0))
}
