//! Finds what grew, what is new and what is gone: by what notify told, and by scans.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_adapter::SourceError;
use globset::Glob;

use super::begin::names;
use super::known::{Known, Size};
use super::notice::{Change, Notice};
use super::place::Node;
use super::source::{FileTail, First};
use super::turn::missing;
use crate::config::Order;
use crate::find::folder_away;
use crate::matcher::Matcher;
use crate::notice::now_us;
use crate::position::shown;
use crate::ready::Look;
use crate::scan::{Listed, list, look_of};
use crate::watch::Watch;

/// A scan takes at most one part in so many of the time.
const SCAN_SHARE: u32 = 20;
/// So many scans' time a file may be missing before it is given up: a share may take a moment to be mounted again, and what
/// wrote to a file that was renamed out of the folder may go on for a while.
const MISSING_SCANS: u32 = 10;
/// So many scans may follow each other at once while files begin; more of them come in their time.
const SCANS_MAX: u32 = 4;

/// A file of the folder.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) file: OsString,
    /// As a person reads it.
    pub(super) name: String,
    pub(super) node: Node,
    pub(super) look: Size,
}

impl Found {
    fn new(name: &OsStr, look: Look) -> Self {
        Self {
            file: name.to_owned(),
            name: shown(name),
            node: Node {
                born_us: look.born_us,
                inode: look.inode,
            },
            look: Size {
                bytes: look.bytes,
                modified_us: look.modified_us,
            },
        }
    }

    /// Files are taken in this order; where births are not told, the time of the last write stands for them.
    pub(super) fn since_us(&self) -> i64 {
        match self.node.born_us {
            0 => self.look.modified_us,
            born_us => born_us,
        }
    }
}

impl FileTail {
    pub(super) fn folder_away(&self, error: &io::Error) -> SourceError {
        self.retry(folder_away(&self.config.folder, error))
    }

    /// Watches the folder if it is not watched; without a watch the scan alone finds what grew.
    pub(super) fn ensure_watch(&mut self) {
        let Ok(metadata) = fs::metadata(&self.config.folder) else {
            self.watch = None;
            return;
        };
        let id = (metadata.dev(), metadata.ino());
        if self.watch.is_some() && self.watched == id {
            return;
        }
        let (Some(wake), Ok(all)) = (&self.wake, Glob::new("*")) else {
            return;
        };
        match Watch::start_for_writes(
            &self.config.folder,
            Matcher::new(&all, None, None),
            Arc::clone(wake),
        ) {
            Ok(watch) => {
                self.watch = Some(watch);
                self.watched = id;
            }
            Err(error) => {
                self.watch = None;
                tracing::debug!(%error, "the folder is not watched; it is scanned");
            }
        }
    }

    /// Finds files to look at; how long until the next scan.
    pub(super) fn find(&mut self) -> Result<Duration, SourceError> {
        let heard = self.watch.as_ref().map(Watch::take).unwrap_or_default();
        let mut needs_scan = heard.scan;
        for name in heard.files.keys() {
            if self.names.takes(&name.to_string_lossy()) && !self.grew(name) {
                needs_scan = true;
            }
        }
        let now = Instant::now();
        if needs_scan || now >= self.next_scan {
            let mut scans = 1;
            while self.scan()? && scans < SCANS_MAX {
                scans += 1;
            }
            self.next_scan = now + self.config.scan_every.max(now.elapsed() * SCAN_SHARE);
        }
        self.sort_turns();
        Ok(self
            .next_scan
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1)))
    }

    /// Takes in that something happened to a file; false where only a scan tells what.
    fn grew(&mut self, name: &OsStr) -> bool {
        let Ok(metadata) = fs::symlink_metadata(self.config.folder.join(name)) else {
            return false;
        };
        if !metadata.is_file() {
            return true;
        }
        let found = Found::new(name, look_of(&metadata));
        let Some(known) = self.files.get(found.node) else {
            return false;
        };
        // One that was not begun has to come after all that were, and after its copies.
        if known.name != found.name || known.is_unread() || known.is_at_beginning() {
            return false;
        }
        known.look = found.look;
        if known.has_work() {
            self.turns.push_back(found.node);
        }
        true
    }

    fn sort_turns(&mut self) {
        let files = &self.files;
        let key = |node: &Node| {
            let since = files
                .find(*node)
                .map(|index| files.all[index].entry.since_us);
            (since, *node)
        };
        let mut turns: Vec<_> = self.turns.iter().map(|node| (key(node), *node)).collect();
        turns.sort();
        turns.dedup();
        self.turns = turns.into_iter().map(|(_, node)| node).collect();
    }

    /// Whether another one is to follow at once.
    fn scan(&mut self) -> Result<bool, SourceError> {
        self.files.scanned_us = now_us();
        let waiting = self.waiting();
        let found = self.list()?;
        // Thousands of names are held only if somebody waits for them.
        let names = waiting.contains(&true).then(|| names(&found));
        self.ensure_watch();
        let mut new = Vec::new();
        let mut is_here = vec![false; self.files.all.len()];
        let known = self.files.all.iter().enumerate();
        let known: HashMap<Node, usize> = known
            .map(|(index, known)| (known.entry.node, index))
            .collect();
        for found in found {
            match known.get(&found.node).copied() {
                Some(index) => {
                    is_here[index] = true;
                    let known = &mut self.files.all[index];
                    (known.file, known.name) = (found.file, found.name);
                    known.look = found.look;
                    known.missing = None;
                    known.entry.is_missed = false;
                    known.is_replaced |= found.look.bytes < known.entry.offset;
                }
                None => new.push(found),
            }
        }
        let now = Instant::now();
        for (known, is_here) in self.files.all.iter_mut().zip(&is_here) {
            if !is_here {
                known.missing.get_or_insert(now);
            }
        }
        let nodes: HashSet<Node> = new.iter().map(|found| found.node).collect();
        self.resting.retain(|node, _| nodes.contains(node));
        self.take_new(new);
        if let Some(names) = names {
            let clear = self.clear(&waiting, &names)?;
            self.begin_again(&clear);
        }
        self.take_leave(now, is_here.contains(&true));
        self.files.limit_known();
        let is_waiting = self.look_at_beginnings();
        self.take_turns();
        if self.first == First::Unseen {
            self.first = First::Passing;
        }
        // What is to be said of a file comes before anything else of it.
        Ok(is_waiting && self.notices.is_empty())
    }

    pub(super) fn list(&mut self) -> Result<Vec<Found>, SourceError> {
        let Ok(all) = Glob::new("*") else {
            return Ok(Vec::new());
        };
        let listed = list(
            &self.config.folder,
            &Matcher::new(&all, None, None),
            Order::Name,
            &mut |_, _| false,
        );
        let Listed { files, links, .. } = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.watch = None;
                return Err(self.folder_away(&error));
            }
        };
        let links = links
            .into_iter()
            .filter(|name| self.names.takes(&shown(name)));
        let links: Vec<_> = links.collect();
        for name in links.iter().filter(|name| !self.links.contains(name)) {
            tracing::warn!(file = %self.config.folder.join(name).display(), "a symbolic link is not followed; name the folder that the file is in");
        }
        self.links = links;
        let files = files
            .into_iter()
            .map(|((_, name), look)| Found::new(&name, look));
        let mut found: Vec<Found> = files
            .filter(|found| self.names.takes(&found.name))
            .collect();
        found.sort_by_key(|found| (found.since_us(), found.node));
        self.troubles
            .retain(|name, _| found.iter().any(|found| found.name == *name));
        Ok(found)
    }

    /// Files that are missing for long are given up, where the folder is there.
    fn take_leave(&mut self, now: Instant, is_mounted: bool) {
        let patience = self.config.scan_every * MISSING_SCANS;
        let mut gone = Vec::new();
        for known in &mut self.files.all {
            let is_long = known.missing.is_some_and(|since| now - since >= patience);
            if !is_long || (known.entry.is_missed && !is_mounted) {
                continue;
            }
            let change = if is_mounted {
                Change::Gone
            } else {
                Change::Missed
            };
            if known.entry.unread() > 0 && !known.entry.is_missed {
                let (reason, raw, raw_bytes) = missing(known, "is gone");
                tracing::warn!(file = known.name, reason, "a file is gone");
                self.notices.push_back(Notice {
                    node: known.entry.node,
                    change,
                    reason,
                    raw,
                    raw_bytes,
                    line: known.entry.line,
                });
            } else if is_mounted {
                gone.push(known.entry.node);
            } else {
                known.entry.is_missed = true;
            }
            known.reading = None;
        }
        self.files
            .all
            .retain(|known| !gone.contains(&known.entry.node));
    }

    /// Who is looked at now. Before a file is begun, all others are: what was written to them before is older.
    fn take_turns(&mut self) {
        let is_begun = |known: &&Known| known.has_work() && known.is_unread();
        let is_any_begun = self.files.all.iter().any(|known| is_begun(&known));
        for known in &self.files.all {
            let is_gone = known.missing.is_some();
            let is_open = known.reading.is_some() && !known.is_replaced;
            if known.has_work() || (is_open && (is_gone || is_any_begun)) {
                self.turns.push_back(known.entry.node);
            }
        }
    }
}
