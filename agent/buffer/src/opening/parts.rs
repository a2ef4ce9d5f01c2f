//! The generations of a folder, each read or mended, and joined.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::Path;

use super::headers;
use crate::folder;
use crate::generation::{self, Generation};
use crate::layout::{Placed, Record};
use crate::mending;
use crate::sled_buffer::seal;
use crate::unreadable::Unreadable;
use crate::witness::Said;

/// A generation as it was found, or mended.
pub(super) struct Part {
    pub(super) first: u64,
    /// The number after its last one.
    pub(super) end: u64,
    pub(super) begins_epoch: bool,
    /// The epoch that it ends with.
    epoch: Option<u64>,
    is_compacted: bool,
    has_blocks: bool,
    /// Where there is no summary to read them from again: many generations' are more than memory should hold.
    pub(super) records: Option<Vec<Placed>>,
    /// Open if it isn't sealed.
    pub(super) tail: Option<Generation>,
}

impl Part {
    /// One with a summary.
    pub(super) fn sealed(first: u64, placed: &[Placed]) -> Self {
        let end = |one: &Placed| match &one.record {
            Record::Compacted(compacted) => compacted.end,
            _ => one.number + one.values,
        };
        let opening = placed.first().map(|one| &one.record);
        Self {
            first,
            end: placed.iter().map(end).max().unwrap_or(first),
            begins_epoch: begins_epoch(placed),
            epoch: epoch_of(placed),
            is_compacted: matches!(opening, Some(Record::Compacted(_))),
            has_blocks: headers(placed).next().is_some(),
            records: None,
            tail: None,
        }
    }

    fn unsealed(first: u64, placed: Vec<Placed>, tail: Generation) -> Self {
        let part = Self::sealed(first, &placed);
        Self {
            records: Some(placed),
            tail: Some(tail),
            ..part
        }
    }

    /// Its last numbers can't be read.
    fn lose_end(&mut self, end: u64) {
        if let Some(records) = &mut self.records {
            records.push(mending::lost(self.end, end));
            self.end = end;
        }
    }

    /// What it holds, without payloads.
    pub(super) fn records(&self, folder: &Path) -> Result<Cow<'_, [Placed]>, String> {
        if let Some(records) = &self.records {
            return Ok(Cow::Borrowed(records));
        }
        let name = generation::name(self.first);
        let found = generation::summary(&folder.join(&name));
        let found = found.map_err(|why| why.reason().to_owned())?;
        found
            .map(Cow::Owned)
            .ok_or_else(|| format!("{name}: its summary is gone"))
    }
}

/// Whether a new epoch begins with these records.
pub(super) fn begins_epoch(placed: &[Placed]) -> bool {
    let is_renewal = |one: &Placed| matches!(one.record, Record::Renewal(_));
    placed.iter().any(is_renewal)
}

/// All generations, ascending and joined. `said`: what the witness knows of them.
pub(super) fn parts(
    folder: &Path,
    firsts: &[u64],
    said: Option<Said>,
) -> Result<Vec<Part>, String> {
    let mut parts: Vec<Part> = Vec::new();
    for (index, first) in firsts.iter().copied().enumerate() {
        let expected = parts.last().map_or(first, |part| part.end);
        if first > expected {
            parts.push(Part::sealed(
                expected,
                &mending::stand_in(folder, expected, first)?,
            ));
        }
        if first < expected && parts.last().is_some_and(|part| part.is_compacted) {
            // Its blocks stand in the one before it, which took its place; a cut came before it was removed.
            let gone = folder::put_away(folder, &generation::name(first));
            gone.and_then(fs::remove_dir_all)
                .map_err(|error| error.to_string())?;
            continue;
        }
        if first < expected {
            return Err(format!(
                "{} begins before the generation before it ends; these are parts of two buffers. Move the folder away to begin a \
                 new one: dropped files are read again from archive/pending",
                generation::name(first)
            ));
        }
        let next = firsts.get(index + 1).copied();
        parts.push(load(folder, first, next, said)?);
    }
    // A witness of another epoch is that of another buffer, or older than this one.
    let epoch = parts.iter().rev().find_map(|part| part.epoch);
    let Some(said) = said.filter(|said| epoch == Some(said.epoch)) else {
        return Ok(parts);
    };
    let oldest = parts.first().map_or(said.oldest, |part| part.first);
    if said.oldest < oldest {
        let placed = mending::stand_in(folder, said.oldest, oldest)?;
        parts.insert(0, Part::sealed(said.oldest, &placed));
    }
    let end = parts.last().map_or(said.next, |part| part.end);
    if end < said.next {
        match parts.last_mut() {
            Some(part) if part.tail.is_some() => part.lose_end(said.next),
            _ => {
                let placed = mending::stand_in(folder, end, said.next)?;
                parts.push(Part::sealed(end, &placed));
            }
        }
    }
    Ok(parts)
}

/// One generation's records. One that can't be read is mended. `next`: where the one after it begins.
fn load(folder: &Path, first: u64, next: Option<u64>, said: Option<Said>) -> Result<Part, String> {
    let path = folder.join(generation::name(first));
    let mend = |why: Unreadable| {
        if let Some(hindrance) = mending::hindrance(&path) {
            // It may be whole: nothing is put aside, and the next start tries again.
            return Err(hindrance);
        }
        let reason = match why {
            Unreadable::Failed(reason) | Unreadable::Unwritten(reason) => return Err(reason),
            Unreadable::Damaged(reason) => reason,
        };
        tracing::error!(reason, "a part of the buffer is damaged");
        let end = next.or(said.map(|said| said.next)).unwrap_or(first);
        mending::mend(folder, first, end.max(first + 1)).map(|placed| Part::sealed(first, &placed))
    };
    let summed = generation::summary(&path);
    match summed.map(|placed| placed.map(|placed| Part::sealed(first, &placed))) {
        Ok(Some(part)) if path.join("db").is_file() || !part.has_blocks => Ok(part),
        Ok(Some(_)) => mend(format!("{}: its database is missing", path.display()).into()),
        Err(why) => mend(why),
        Ok(None) => {
            let of = path.clone();
            let scanned = mending::guarded(&path, move || {
                let opened = Generation::open(&of)?;
                // After a kill the kernel may still hold what the disk does not: nobody is told of a
                // block before it is on stable storage.
                opened.sync()?;
                let placed = opened.scan(first)?;
                if placed.is_empty() {
                    return Err("it is empty".into());
                }
                Ok((opened, placed))
            });
            match scanned {
                Ok((opened, placed)) if next.is_none() => Ok(Part::unsealed(first, placed, opened)),
                // Another was begun already, and a cut came before this one was sealed.
                Ok((_, placed)) => {
                    seal(folder, first, &placed)?;
                    Ok(Part::sealed(first, &placed))
                }
                Err(why) => mend(why),
            }
        }
    }
}

/// The epoch that a generation ends with.
fn epoch_of(placed: &[Placed]) -> Option<u64> {
    placed.iter().rev().find_map(|one| match &one.record {
        Record::Opening { epoch, .. } => Some(*epoch),
        Record::Renewal(renewal) => Some(renewal.epoch),
        Record::Compacted(compacted) => Some(compacted.epoch),
        _ => None,
    })
}

/// The generations' first numbers, ascending; what a cut left half done is removed.
pub(super) fn generations(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("tmp-") || name.starts_with(".gone-") {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?
            } else {
                fs::remove_file(entry.path())?
            }
        }
        firsts.extend(generation::parse_name(&name));
    }
    firsts.sort_unstable();
    Ok(firsts)
}
