//! Copies that a rotation made: `cp app.log app.log.1`, then `app.log` is truncated.
//!
//! What was read of the file was read of its copy too, so the copy takes the file's place over, and what is left in it is
//! read to its end. While the file still is what it was, the copy may be in the making, and waits.

use std::fs::File;
use std::io;

use super::begin::Beginning;
use super::find::Found;
use super::known::Known;
use super::reading::{holds, matching, read_exact};
use super::source::FileTail;
use super::{PREFIX_BYTES, TAIL_BYTES};

/// What a file that is not known is.
pub(super) enum Copy {
    /// A file of its own.
    No,
    /// The copy of a file that still is what it was.
    Waits,
    /// The copy of this one, which is not what it was.
    Of(usize),
}

impl FileTail {
    pub(super) fn copy(&self, found: &Found) -> io::Result<Copy> {
        let mut text = None;
        for (index, known) in self.files.all.iter().enumerate() {
            let is_nothing = known.entry.offset == 0 && known.look.bytes == 0;
            if is_nothing || known.entry.is_refused || !self.may_be_of(&found.name, known) {
                continue;
            }
            let text = match &text {
                Some(text) => text,
                None => text.insert(self.open_file(&found.file, found.node)?),
            };
            let is_part = self.is_begun_by(text, text.metadata()?.len(), known)?;
            // In this order: a file that is truncated by now has a copy that was whole before.
            let is_on = known.entry.offset > 0 && matching(text, &known.entry)?.is_some();
            if is_on && !self.is_intact(known)? {
                return Ok(Copy::Of(index));
            }
            if is_on || is_part {
                return Ok(Copy::Waits);
            }
        }
        Ok(Copy::No)
    }

    /// By its name; the file may have been renamed since it was copied.
    pub(super) fn may_be_of(&self, name: &str, known: &Known) -> bool {
        let is_rotated_from = |base| self.names.is_rotated_from(name, base);
        is_rotated_from(&known.name) || is_rotated_from(&known.entry.name)
    }

    /// Whether all of this file stands at the beginning of that one.
    fn is_begun_by(&self, text: &File, size: u64, known: &Known) -> io::Result<bool> {
        if known.missing.is_some() {
            return Ok(false);
        }
        let whole = self.open_file(&known.file, known.entry.node)?;
        let part =
            |bytes: usize| vec![0; usize::try_from(size).map_or(bytes, |size| size.min(bytes))];
        let (mut first, mut last) = (part(PREFIX_BYTES), part(TAIL_BYTES));
        let at = size - last.len() as u64;
        Ok(read_exact(text, &mut first, 0)?
            && read_exact(text, &mut last, at)?
            && holds(&whole, &first, 0)?
            && holds(&whole, &last, at)?)
    }

    fn is_intact(&self, known: &Known) -> io::Result<bool> {
        if known.is_replaced || known.missing.is_some() {
            return Ok(false);
        }
        if let Some(reading) = &known.reading {
            return reading.is_same();
        }
        let text = self.open_file(&known.file, known.entry.node)?;
        Ok(matching(&text, &known.entry)?.is_some())
    }

    /// A file that nothing was read of comes after what was rotated from its name: it may be a new one, or the old one that
    /// was copied and truncated. What was seen of it then is in the copy.
    pub(super) fn come_after(&mut self, rotated: &str, since_us: i64) {
        let names = &self.names;
        for known in &mut self.files.all {
            let is_unread = known.entry.offset == 0;
            // One that is missing may have been renamed, and come before.
            let may_come = (is_unread || known.is_replaced) && known.missing.is_none();
            if !may_come || !names.is_rotated_from(rotated, &known.name) {
                continue;
            }
            known.entry.since_us = known.entry.since_us.max(since_us + 1);
            if is_unread {
                known.entry.seen = 0;
                known.beginning = Beginning::default();
            }
        }
    }
}
