//! What a folder there holds, in the flow's order, and which of it is complete. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::time::Duration;

use crate::config::Order;
use crate::matcher::Matcher;
use crate::ready::Look;
use crate::scan::{OrderKey, order_key, takes};

use super::config::RemoteReady;
use super::names::unfit;

/// Files kept in mind of one listing, the first in order; later listings find the others.
const FILES_MAX: usize = 100_000;
/// Entries that are passed over and told of, at most.
const TOLD_MAX: usize = 100;
/// Letters of a name that is told of.
const NAME_MAX: usize = 255;

/// A file there, as it is listed. SFTP 3 tells whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Remote {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) mtime: u32,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Link,
    Other,
    /// The server does not say.
    Untold,
}

/// What a listing found.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: BTreeMap<OrderKey, Remote>,
    /// Whether there were more than are kept in mind.
    pub(crate) is_cut: bool,
    /// Entries that fit the pattern and are not taken, and why.
    pub(crate) passed_over: Vec<(String, &'static str)>,
}

impl Listing {
    fn tell(&mut self, name: &str, reason: &'static str) {
        if self.passed_over.len() < TOLD_MAX {
            let name = name.chars().take(NAME_MAX).collect();
            self.passed_over.push((name, reason));
        }
    }

    /// An entry of which the server tells too little.
    pub(crate) fn pass_over(&mut self, name: &str, kind: Kind, matcher: &Matcher) {
        if kind != Kind::Other && takes(matcher, name.as_ref()) {
            self.tell(name, "the server tells no size or no time of it");
        }
    }

    /// An entry was listed. `is_known`: it was picked up, and stays there.
    pub(crate) fn add(
        &mut self,
        remote: Remote,
        kind: Kind,
        (matcher, order): (&Matcher, Order),
        is_known: impl Fn(&Remote) -> bool,
    ) {
        let name: &OsStr = remote.name.as_ref();
        if kind == Kind::Other || !takes(matcher, name) {
            return;
        }
        let reason = match kind {
            Kind::Link => Some("a symbolic link is not followed; put the file itself there"),
            Kind::Untold => Some("the server does not tell whether it is a file"),
            _ => unfit(&remote.name),
        };
        if let Some(reason) = reason {
            return self.tell(&remote.name, reason);
        }
        if is_known(&remote) {
            return;
        }
        let look = Look {
            bytes: remote.bytes,
            modified_us: i64::from(remote.mtime) * 1_000_000,
            inode: 0,
            born_us: 0,
        };
        self.files.insert(order_key(order, name, look), remote);
        if self.files.len() > FILES_MAX {
            self.files.pop_last();
            self.is_cut = true;
        }
    }
}

/// Follows files until they stand still. `now`: time since any fixed moment.
#[derive(Debug)]
pub(crate) struct Stillness {
    when: RemoteReady,
    quiet: Duration,
    files: HashMap<String, (Remote, Duration)>,
}

impl Stillness {
    pub(crate) fn new(when: RemoteReady, quiet: Duration) -> Self {
        Self {
            when,
            quiet,
            files: HashMap::new(),
        }
    }

    /// How long until a file of the newest listing may be complete; `None` where it is.
    pub(crate) fn waits(&mut self, remote: &Remote, now: Duration) -> Option<Duration> {
        if self.when == RemoteReady::Rename {
            return None;
        }
        let (before, since) = self
            .files
            .entry(remote.name.clone())
            .or_insert_with(|| (remote.clone(), now));
        // Seen in this very listing: one look shows no standing still, however short the quiet time is.
        if before != remote || *since == now {
            *before = remote.clone();
            *since = now;
            return Some(self.quiet);
        }
        let stood = now.saturating_sub(*since);
        (stood < self.quiet).then(|| self.quiet - stood)
    }

    /// Forgets what is not listed any more.
    pub(crate) fn listed(&mut self, listing: &Listing) {
        if self.files.is_empty() {
            return;
        }
        let names: HashSet<&str> = listing.files.values().map(|file| &*file.name).collect();
        self.files.retain(|name, _| names.contains(&**name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(name: &str, bytes: u64, mtime: u32) -> Remote {
        Remote {
            name: name.to_owned(),
            bytes,
            mtime,
        }
    }

    #[test]
    fn a_listing_is_in_the_flows_order_and_tells_what_it_passes_over() {
        let glob = globset::Glob::new("*.txt").expect("a glob");
        let matcher = Matcher::new(&glob, None, None);
        for (order, expected) in [
            (Order::Name, ["s10.txt", "s9.txt"]),
            (Order::Number, ["s9.txt", "s10.txt"]),
            (Order::Mtime, ["s10.txt", "s9.txt"]),
        ] {
            let mut listing = Listing::default();
            for (name, mtime, kind) in [
                ("s9.txt", 20, Kind::File),
                ("s10.txt", 10, Kind::File),
                ("known.txt", 1, Kind::File),
                ("folder.txt", 1, Kind::Other),
                ("untold.txt", 1, Kind::Untold),
                ("link.txt", 1, Kind::Link),
                ("link.csv", 1, Kind::Link),
                ("x/../y.txt", 1, Kind::File),
                (".hidden.txt", 1, Kind::File),
            ] {
                listing.add(remote(name, 1, mtime), kind, (&matcher, order), |remote| {
                    remote.name == "known.txt"
                });
            }
            let names: Vec<&str> = listing.files.values().map(|file| &*file.name).collect();
            assert_eq!(names, expected, "{order:?}");
            let passed: Vec<&str> = listing
                .passed_over
                .iter()
                .map(|(name, _)| &**name)
                .collect();
            assert_eq!(passed, ["untold.txt", "link.txt", "x/../y.txt"]);
        }
    }

    #[test]
    fn a_file_is_complete_when_it_stood_still_from_one_listing_to_another() {
        let s = Duration::from_secs;
        let mut still = Stillness::new(RemoteReady::Quiet, s(2));
        assert_eq!(still.waits(&remote("a", 1, 1), s(10)), Some(s(2)));
        assert_eq!(still.waits(&remote("a", 1, 1), s(11)), Some(s(1)));
        assert_eq!(
            still.waits(&remote("a", 2, 1), s(12)),
            Some(s(2)),
            "it grew"
        );
        assert_eq!(
            still.waits(&remote("a", 2, 2), s(14)),
            Some(s(2)),
            "it was touched"
        );
        assert_eq!(still.waits(&remote("a", 2, 2), s(16)), None);
        still.listed(&Listing::default());
        assert_eq!(
            still.waits(&remote("a", 2, 2), s(17)),
            Some(s(2)),
            "it was gone"
        );
        let mut never = Stillness::new(RemoteReady::Quiet, s(0));
        assert!(
            never.waits(&remote("a", 1, 1), s(1)).is_some(),
            "one look is none"
        );
        assert_eq!(never.waits(&remote("a", 1, 1), s(2)), None);
        let mut renamed = Stillness::new(RemoteReady::Rename, s(2));
        assert_eq!(renamed.waits(&remote("a", 1, 1), s(0)), None);
    }
}
