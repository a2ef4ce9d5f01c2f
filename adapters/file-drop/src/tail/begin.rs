//! Beginnings: a file's first lines are read once it is known what comes before them.
//!
//! A rotation copies a file, truncates it, and the file goes on. Whoever lists the folder before there is a copy, and looks
//! at the file after it was truncated, sees the new lines and not the copy with the old ones. So nothing of a beginning is
//! read, and no place is forgotten, before the folder was listed after the beginning was seen, and nothing was renamed
//! meanwhile that may be such a copy. That takes one or two scans, which follow at once:
//!
//! ```text
//! a file is not what it was       its place is kept: its copy goes on there
//! listed: the copy is found, or   it begins again; so many bytes are there, and these are the first of them
//!         there is none
//! listed: more copies, or none    copies are read, then those bytes, if they still are there
//! ```

use std::collections::HashSet;
use std::io;

use dray_adapter::SourceError;

use super::PREFIX_BYTES;
use super::find::Found;
use super::known::{Known, Size};
use super::new::fresh;
use super::notice::{Change, Notice};
use super::place::{Node, print};
use super::reading::read_exact;
use super::source::FileTail;
use super::turn::missing;
use crate::source::unreadable;

/// What is known of a file's first bytes while none of them was sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beginning {
    /// What the scan saw that looked at them last.
    look: Option<Size>,
    /// So many were there then.
    seen: u64,
    /// Of so many it is known what comes before them.
    pub(super) sure: u64,
}

impl Known {
    /// Whether the folder has to be listed before more of it can be done.
    fn waits(&self) -> bool {
        let is_unsure = self.is_at_beginning() && self.beginning.seen > self.beginning.sure;
        self.missing.is_none() && (self.is_replaced || is_unsure)
    }

    /// Whether its first bytes are to be looked at.
    fn is_unseen(&self) -> bool {
        let is_here = self.missing.is_none() && !self.is_replaced && self.look.bytes > 0;
        is_here && self.is_at_beginning() && self.beginning.look != Some(self.look)
    }

    /// Takes in what its first bytes are; it may be that they are others.
    fn saw(&mut self, first: &[u8], bytes: u64) {
        let entry = &mut self.entry;
        let known = first.get(..usize::from(entry.prefix_bytes));
        let is_same = known.is_some_and(|known| print(known) == entry.prefix)
            && (self.reading.as_mut()).is_none_or(|reading| reading.begins_with(first));
        if !is_same {
            self.is_replaced = true;
            return;
        }
        (entry.prefix_bytes, entry.prefix) = (first.len() as u16, print(first));
        self.beginning.look = Some(self.look);
        self.beginning.seen = bytes;
    }

    /// What was known of it counts no longer.
    pub(super) fn begin(&mut self) {
        self.reading = None;
        self.done = None;
        (self.skip_to, self.is_gap) = (0, false);
        self.is_replaced = false;
        self.beginning = Beginning::default();
    }
}

impl FileTail {
    /// Which files wait for the folder to be listed.
    pub(super) fn waiting(&self) -> Vec<bool> {
        self.files.all.iter().map(Known::waits).collect()
    }

    /// Which of those that waited for this listing wait no longer: those for which another one is like it, now that what was
    /// found by its names was looked at.
    pub(super) fn clear(
        &mut self,
        waiting: &[bool],
        names_before: &HashSet<(String, Node)>,
    ) -> Result<Vec<bool>, SourceError> {
        let after = names(&self.list()?);
        let moved: Vec<&String> =
            (names_before.symmetric_difference(&after).map(|one| &one.0)).collect();
        let all = self.files.all.iter().zip(waiting);
        let is_clear = |(known, waits): (&Known, &bool)| {
            *waits && !moved.iter().any(|name| self.may_be_of(name, known))
        };
        let clear: Vec<bool> = all.map(is_clear).collect();
        for (known, _) in self.files.all.iter_mut().zip(&clear).filter(|one| *one.1) {
            known.beginning.sure = known.beginning.seen;
        }
        Ok(clear)
    }

    /// Files that are not what they were are read from their beginning, if the folder was listed since that was seen.
    pub(super) fn begin_again(&mut self, clear: &[bool]) {
        let mut begun = Vec::new();
        for (known, _) in self.files.all.iter_mut().zip(clear).filter(|one| *one.1) {
            if !known.is_replaced || known.missing.is_some() {
                continue;
            }
            let entry = fresh(known);
            begun.push((known.name.clone(), entry.since_us));
            if known.entry.unread() > 0 {
                let (reason, raw, raw_bytes) = missing(known, "was begun again");
                tracing::warn!(file = known.name, reason, "a file was begun again");
                self.notices.push_back(Notice {
                    node: entry.node,
                    reason,
                    raw,
                    raw_bytes,
                    line: known.entry.line,
                    change: Change::Again(entry),
                });
            } else {
                tracing::info!(file = known.name, "a file was begun again");
                known.entry = entry;
            }
            known.begin();
        }
        for (name, since_us) in begun {
            self.come_after(&name, since_us);
        }
    }

    /// A beginning waits as long as one that comes before it.
    fn hold_back(&mut self) {
        let all = &self.files.all;
        let waiting: Vec<&Known> = all.iter().filter(|known| known.waits()).collect();
        let is_held = |known: &Known| {
            let before = |other: &&Known| {
                (other.entry.since_us, other.entry.node) < (known.entry.since_us, known.entry.node)
                    && self.may_be_of(&other.name, known)
            };
            known.is_at_beginning() && known.beginning.sure > 0 && waiting.iter().any(before)
        };
        let held: Vec<bool> = all.iter().map(is_held).collect();
        for (known, _) in self.files.all.iter_mut().zip(held).filter(|one| one.1) {
            known.beginning.sure = 0;
        }
    }

    /// Looks at the first bytes of files of which nothing was sent; whether some wait for the folder to be listed again.
    pub(super) fn look_at_beginnings(&mut self) -> bool {
        for index in 0..self.files.all.len() {
            let known = &self.files.all[index];
            if !known.is_unseen() {
                continue;
            }
            match self.first_bytes(known) {
                Ok((first, bytes)) => self.files.all[index].saw(&first, bytes),
                // It was renamed or truncated since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let name = known.name.clone();
                    self.trouble(&name, unreadable(&error));
                }
            }
        }
        self.hold_back();
        self.files.all.iter().any(Known::waits)
    }

    /// At most [`PREFIX_BYTES`], and how many there are.
    fn first_bytes(&self, known: &Known) -> io::Result<(Vec<u8>, u64)> {
        let text = self.open_file(&known.file, known.entry.node)?;
        let bytes = text.metadata()?.len();
        let count = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut first = vec![0; count.min(PREFIX_BYTES)];
        if read_exact(&text, &mut first, 0)? {
            Ok((first, bytes))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

/// Which name is which file's.
pub(super) fn names(found: &[Found]) -> HashSet<(String, Node)> {
    let names = found.iter().map(|found| (found.name.clone(), found.node));
    names.collect()
}
