//! Which names are the flow's files, and which are of what speaks of them. Pure.

use std::ffi::{OsStr, OsString};

use globset::{Glob, GlobMatcher};

use crate::template::{Part, Template};

/// The flow's pattern, without the names that `done` and `lock` make: those are never files of the flow, also where the
/// pattern fits them.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    glob: GlobMatcher,
    /// Fits stems of such files; `None` where all may be one.
    stems: Option<GlobMatcher>,
    done: Option<Template>,
    lock: Option<Template>,
}

impl Matcher {
    pub(crate) fn new(glob: &Glob, done: Option<Template>, lock: Option<Template>) -> Self {
        let pattern = glob.glob();
        let stem = pattern.rfind('.').map_or(pattern, |dot| &pattern[..dot]);
        Self {
            glob: glob.compile_matcher(),
            stems: Glob::new(stem).ok().map(|glob| glob.compile_matcher()),
            done,
            lock,
        }
    }

    /// Whether a file of this name is the flow's.
    pub(crate) fn is_match(&self, name: &str) -> bool {
        self.glob.is_match(name) && !self.is_beside(OsStr::new(name))
    }

    /// Whether the pattern by itself fits a name.
    pub(crate) fn pattern_fits(&self, name: &str) -> bool {
        self.glob.is_match(name)
    }

    /// Whether this is the name of a done file or a lock.
    pub(crate) fn is_beside(&self, name: &OsStr) -> bool {
        self.is_done(name) || self.is_lock(name)
    }

    pub(crate) fn is_lock(&self, name: &OsStr) -> bool {
        fits(self.lock.as_ref(), name)
    }

    pub(crate) fn is_done(&self, name: &OsStr) -> bool {
        fits(self.done.as_ref(), name)
    }

    /// The name of the done file of this file.
    pub(crate) fn done_of(&self, file: &OsStr) -> Option<OsString> {
        self.done.as_ref().map(|done| done.of(file))
    }

    /// The name of the lock of this file.
    pub(crate) fn lock_of(&self, file: &OsStr) -> Option<OsString> {
        self.lock.as_ref().map(|lock| lock.of(file))
    }

    /// Whether anything beside a file has a say.
    pub(crate) fn has_beside(&self) -> bool {
        self.done.is_some() || self.lock.is_some()
    }

    /// The file that a done file or a lock names in full.
    pub(crate) fn file_of<'a>(&self, name: &'a OsStr) -> Option<&'a OsStr> {
        let full = |template: &&Template| template.part() == Some(Part::Name);
        let all = [&self.done, &self.lock].into_iter().flatten();
        all.filter(full).find_map(|template| template.part_of(name))
    }

    /// Whether a done file may be of a file for which `is_ours` holds: flows may share a folder.
    pub(crate) fn is_done_of(&self, name: &OsStr, is_ours: impl Fn(&OsStr) -> bool) -> bool {
        let Some((done, part)) = self
            .done
            .as_ref()
            .and_then(|done| Some((done, done.part_of(name)?)))
        else {
            return false;
        };
        match (done.part(), &self.stems) {
            (Some(Part::Name), _) => is_ours(part),
            (_, Some(stems)) => stems.is_match(&*part.to_string_lossy()),
            (_, None) => true,
        }
    }
}

fn fits(template: Option<&Template>, name: &OsStr) -> bool {
    template.is_some_and(|template| template.part_of(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(pattern: &str, done: &str, lock: &str) -> Matcher {
        let parse = |text: &str| Template::parse(text).ok();
        let glob = Glob::new(pattern).expect("a pattern");
        Matcher::new(&glob, parse(done), parse(lock))
    }

    #[test]
    fn what_speaks_of_a_file_is_never_one() {
        for (pattern, done, lock) in [
            ("*", "{name}.done", "{name}.lck"),
            ("*", "{stem}.done", "LOCK.lck"),
        ] {
            let matcher = matcher(pattern, done, lock);
            assert!(matcher.is_match("a.txt"));
            assert!(!matcher.is_match("a.done"));
            assert!(!matcher.is_match("LOCK.lck"));
            assert!(matcher.is_beside(OsStr::new("a.done")));
        }
    }

    #[test]
    fn a_done_file_is_known_for_this_flows_or_anothers() {
        for (pattern, done, name, expected) in [
            ("SHP_*.txt", "{name}.done", "SHP_1.txt.done", true),
            ("SHP_*.txt", "{name}.done", "ORD_1.txt.done", false),
            ("SHP_*.txt", "{stem}.ctl", "SHP_1.ctl", true),
            ("SHP_*.txt", "{stem}.ctl", "ORD_1.ctl", false),
            ("SHP_*", "{stem}.ctl", "SHP_1.ctl", true),
            ("*.{csv,txt}", "{stem}.ctl", "x.ctl", true),
            ("{a.txt,b.csv}", "{stem}.ctl", "x.ctl", true),
            ("SHP_*.txt", "{stem}.ctl", "SHP_1.txt", false),
        ] {
            let matcher = matcher(pattern, done, "");
            let is_ours = |name: &OsStr| matcher.is_match(&name.to_string_lossy());
            let is_done = matcher.is_done_of(OsStr::new(name), is_ours);
            assert_eq!(is_done, expected, "{pattern} {done} {name}");
        }
    }
}
