//! The files that are kept in mind, and what of them goes into a position.

use std::collections::BTreeSet;
use std::ffi::OsString;

use dray_adapter::Position;

use super::begin::Beginning;
use super::find::Found;
use super::place::{Entry, Node, Past, Place};
use super::reading::Reading;
use super::{ENTRIES_MAX, KNOWN_MAX, LIVE_MAX};

/// A file that stood still for so long before the scan may be taken off the position: what is written to it later has a later time.
const STILL_US: i64 = 50_000;

/// A file that is kept in mind.
pub(super) struct Known {
    pub(super) entry: Entry,
    /// What it is called now.
    pub(super) file: OsString,
    /// The same, as a person reads it.
    pub(super) name: String,
    /// As it was seen last.
    pub(super) look: Size,
    /// As it was when a turn read it to its end.
    pub(super) done: Option<Size>,
    pub(super) reading: Option<Box<Reading>>,
    /// Larger for what was read later.
    pub(super) touched: u64,
    pub(super) missing: Option<std::time::Instant>,
    /// Lines that begin before this are passed over; 0 once that is done.
    pub(super) skip_to: u64,
    /// It is to be told that what was passed over may be missing.
    pub(super) is_gap: bool,
    /// It was seen not to be the file that it was.
    pub(super) is_replaced: bool,
    pub(super) beginning: Beginning,
}

/// Size and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) bytes: u64,
    pub(super) modified_us: i64,
}

impl Known {
    pub(super) fn new(entry: Entry, found: &Found) -> Self {
        Self {
            entry,
            file: found.file.clone(),
            name: found.name.clone(),
            look: found.look,
            done: None,
            reading: None,
            touched: 0,
            missing: None,
            skip_to: 0,
            is_gap: false,
            is_replaced: false,
            beginning: Beginning::default(),
        }
    }

    /// From a position: it has to be found.
    pub(super) fn from_position(entry: Entry, touched: u64) -> Self {
        let found = Found {
            file: OsString::from(&entry.name),
            name: entry.name.clone(),
            node: entry.node,
            look: Size {
                bytes: entry.seen,
                modified_us: 0,
            },
        };
        Self {
            touched,
            ..Self::new(entry, &found)
        }
    }

    /// Whether nothing of it has gone into a position: it would be found again as a new file.
    pub(super) fn is_unread(&self) -> bool {
        let entry = &self.entry;
        self.skip_to > 0
            || (entry.offset == 0 && entry.scope.is_none() && !entry.is_again && !entry.is_refused)
    }

    /// Whether there may be something to read.
    pub(super) fn has_work(&self) -> bool {
        let is_ready = !self.is_at_beginning() || self.beginning.sure > 0;
        self.missing.is_none() && !self.is_replaced && is_ready && self.done != Some(self.look)
    }

    /// Whether its first bytes are next. Of those that are passed over nothing comes before.
    pub(super) fn is_at_beginning(&self) -> bool {
        self.entry.offset == 0 && !self.entry.is_refused && self.skip_to == 0
    }

    /// Where its next turn ends, unless at its end.
    pub(super) fn turn_end(&self) -> Option<u64> {
        match self.skip_to {
            0 => self.is_at_beginning().then_some(self.beginning.sure),
            skip_to => Some(skip_to),
        }
    }

    fn is_read_whole(&self) -> bool {
        self.entry.is_refused || (self.done == Some(self.look) && self.entry.unread() == 0)
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Files {
    pub(super) all: Vec<Known>,
    pub(super) generations: u64,
    pub(super) past: Option<Past>,
    /// When the last scan began.
    pub(super) scanned_us: i64,
    touches: u64,
}

impl Files {
    pub(super) fn from_place(place: Place) -> Self {
        let entries = place.entries.into_iter().zip(1..);
        let all: Vec<Known> = entries
            .map(|(entry, touched)| Known::from_position(entry, touched))
            .collect();
        Self {
            touches: all.len() as u64,
            all,
            generations: place.generations,
            past: place.past,
            scanned_us: 0,
        }
    }

    pub(super) fn find(&self, node: Node) -> Option<usize> {
        self.all.iter().position(|known| known.entry.node == node)
    }

    pub(super) fn get(&mut self, node: Node) -> Option<&mut Known> {
        self.all.iter_mut().find(|known| known.entry.node == node)
    }

    /// It was read.
    pub(super) fn touch(&mut self, index: usize) {
        self.touches += 1;
        self.all[index].touched = self.touches;
    }

    /// The number of a generation, or of a notice, that begins.
    pub(super) fn next_number(&mut self) -> u64 {
        self.generations += 1;
        self.generations - 1
    }

    /// Whether a file that is not known was read to its end before, and since when nothing was written to it.
    pub(super) fn past_of(&self, node: Node) -> Option<&Past> {
        self.past.as_ref().filter(|past| node <= past.node)
    }

    /// Closes the file that was read longest ago, if too many are open.
    pub(super) fn limit_open(&mut self) {
        let open = self.all.iter_mut().filter(|known| known.reading.is_some());
        let mut open: Vec<&mut Known> = open.collect();
        if open.len() >= LIVE_MAX
            && let Some(oldest) = open.iter_mut().min_by_key(|known| known.touched)
        {
            oldest.reading = None;
        }
    }

    /// Forgets files of which the position has taken leave, if there are too many.
    pub(super) fn limit_known(&mut self) {
        while self.all.len() > KNOWN_MAX {
            let known = self.all.iter().enumerate();
            let leaving = known.filter(|(_, known)| !known.is_unread() && known.is_read_whole());
            let Some((oldest, _)) = leaving.min_by_key(|(_, known)| known.touched) else {
                return;
            };
            self.all.swap_remove(oldest);
        }
    }

    /// The position after all that was handed out. Beyond [`LIVE_MAX`] files it takes leave of those that were read to
    /// their end longest ago: they are told by being older than the last of them.
    pub(super) fn position(&mut self) -> Position {
        let mut order: Vec<usize> = (0..self.all.len())
            .filter(|&index| !self.all[index].is_unread())
            .collect();
        order.sort_by_key(|&index| self.all[index].touched);
        let mut kept = order.split_off(order.len().saturating_sub(LIVE_MAX));
        if !order.is_empty() {
            let stays = self.leave(order, ENTRIES_MAX - LIVE_MAX);
            kept.splice(0..0, stays);
        }
        let entries = kept.iter().map(|&index| self.all[index].entry.clone());
        Place {
            generations: self.generations,
            past: self.past,
            entries: entries.collect(),
        }
        .encode()
    }

    /// Takes leave of files; which of them must stay, at most `stay_max`.
    fn leave(&mut self, files: Vec<usize>, stay_max: usize) -> Vec<usize> {
        let unread: BTreeSet<Node> = self
            .all
            .iter()
            .filter(|known| known.is_unread())
            .map(|known| known.entry.node)
            .collect();
        let first_unread = unread.first();
        let may_leave = |known: &Known| {
            known.is_read_whole()
                && known.look.modified_us < self.scanned_us - STILL_US
                && first_unread.is_none_or(|first| known.entry.node < *first)
        };
        let (leaving, mut stay): (Vec<usize>, Vec<usize>) = files
            .into_iter()
            .partition(|&index| may_leave(&self.all[index]));
        let surplus = stay.len().saturating_sub(stay_max);
        for index in leaving.into_iter().chain(stay.drain(..surplus)) {
            let known = &self.all[index];
            let past = self.past.get_or_insert(Past {
                node: known.entry.node,
                modified_us: known.look.modified_us,
            });
            past.node = past.node.max(known.entry.node);
            past.modified_us = past.modified_us.max(known.look.modified_us);
        }
        stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(count: i64, born: impl Fn(i64) -> i64) -> Files {
        let mut files = Files {
            scanned_us: 1_000_000,
            ..Files::default()
        };
        for number in 0..count {
            let node = Node {
                born_us: born(number),
                inode: number as u64,
            };
            let look = Size {
                bytes: 1,
                modified_us: 100 + number,
            };
            let mut entry = Entry::new(node, number, format!("{number}.log"));
            (entry.offset, entry.seen) = (1, 1);
            let name = format!("{number}.log");
            let found = Found {
                file: OsString::from(&name),
                name,
                node,
                look,
            };
            let mut known = Known::new(entry, &found);
            known.done = Some(look);
            files.all.push(known);
            files.touch(number as usize);
        }
        files
    }

    fn kept(files: &mut Files) -> (Option<Past>, Vec<u64>) {
        let place = Place::decode(&files.position()).expect("our own position");
        let inodes = place.entries.iter().map(|entry| entry.node.inode);
        (place.past, inodes.collect())
    }

    #[test]
    fn the_files_read_last_stay_in_the_position_and_the_others_are_told_by_the_last_of_them() {
        let (past, inodes) = kept(&mut files(20, |number| 10 + number));
        assert_eq!(inodes, (4..20).collect::<Vec<_>>());
        let past = past.expect("some left");
        assert_eq!((past.node.inode, past.modified_us), (3, 103));
    }

    #[test]
    fn a_file_stays_while_one_that_is_older_or_its_own_end_is_not_read() {
        let mut some = files(20, |number| 10 + number);
        some.all[2].entry.seen = 2;
        let next = &mut some.all[1];
        next.entry = Entry::new(next.entry.node, 1, "new.log".into());
        let (past, inodes) = kept(&mut some);
        assert_eq!(inodes, [2, 3].into_iter().chain(4..20).collect::<Vec<_>>());
        assert_eq!(
            past.map(|past| past.node.inode),
            Some(0),
            "1 is found again as a new file"
        );
    }
}
