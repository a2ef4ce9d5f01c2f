//! Files that are not known: new ones, copies of known ones, and those that were read to their end long ago.

use std::io;

use super::copies::Copy;
use super::find::Found;
use super::known::{Files, Known};
use super::place::Entry;
use super::source::{FileTail, First};
use super::{ENTRIES_MAX, KNOWN_MAX};
use crate::source::unreadable;

impl FileTail {
    /// Takes up files that are not known.
    pub(super) fn take_new(&mut self, new: Vec<Found>) {
        let names: Vec<String> = new.iter().map(|found| found.name.clone()).collect();
        let knows = |files: &Files, name: &str| {
            files.all.iter().any(|known| known.name == name) || names.iter().any(|one| one == name)
        };
        let mut taken = Vec::new();
        for found in new {
            let Some((skip_to, is_gap)) = self.passed(&found) else {
                continue;
            };
            let copy = match self.copy(&found) {
                Ok(copy) => copy,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.trouble(&found.name, unreadable(&error));
                    continue;
                }
            };
            self.resting.remove(&found.node);
            let since_us = found.since_us();
            match copy {
                Copy::Waits => {}
                Copy::Of(index) => self.inherit(index, found, since_us),
                // Those that come later in the order are taken up by later scans.
                Copy::No if self.files.all.len() >= KNOWN_MAX => {}
                // Nothing would tell later which of them were read.
                Copy::No if found.node.born_us == 0 && self.files.all.len() >= ENTRIES_MAX => {
                    let reason = format!(
                        "its file system tells no births, so a flow can keep no more than {ENTRIES_MAX} files apart; give it a flow of its own by a narrower pattern"
                    );
                    self.trouble(&found.name, reason);
                }
                Copy::No => {
                    let name = self
                        .names
                        .first_name(&found.name, |name| knows(&self.files, name));
                    let entry = Entry::new(found.node, since_us, name);
                    let mut known = Known::new(entry, &found);
                    (known.skip_to, known.is_gap) = (skip_to, is_gap);
                    self.files.all.push(known);
                    taken.push((found, since_us));
                }
            }
        }
        for (found, since_us) in taken {
            self.come_after(&found.name, since_us);
        }
    }

    /// How much of a file that is not known is passed over, and whether that may be a gap; `None`: all of it is known.
    fn passed(&mut self, found: &Found) -> Option<(u64, bool)> {
        if self.first == First::Unseen {
            return Some((found.look.bytes, false));
        }
        let Some(past) = self.files.past_of(found.node) else {
            return Some((0, false));
        };
        match self.resting.get(&found.node) {
            Some(&bytes) if found.look.bytes == bytes => None,
            Some(&bytes) if found.look.bytes > bytes => Some((bytes, false)),
            Some(_) => Some((0, false)),
            None if found.look.modified_us <= past.modified_us => {
                self.resting.insert(found.node, found.look.bytes);
                None
            }
            None => Some((found.look.bytes, true)),
        }
    }

    /// A copy takes the place of the file that it was made of.
    fn inherit(&mut self, index: usize, found: Found, since_us: i64) {
        let known = &mut self.files.all[index];
        let entry = Entry {
            node: found.node,
            since_us,
            is_again: true,
            ..known.entry.clone()
        };
        known.entry = fresh(known);
        known.begin();
        tracing::info!(
            file = known.name,
            copy = found.name,
            "a file was copied and begun again; what is left in the copy is read first"
        );
        let touched = known.touched;
        self.files.all.push(Known {
            touched,
            ..Known::new(entry, &found)
        });
    }
}

/// A new generation of a file: younger than what was made before the last write to it.
pub(super) fn fresh(known: &Known) -> Entry {
    let since_us = known.entry.since_us.max(known.look.modified_us);
    Entry {
        is_again: true,
        ..Entry::new(known.entry.node, since_us, known.entry.name.clone())
    }
}
