//! Records of a file that was read go out once more.
//!
//! Each batch has marks of its own, made of the request's name: the last one that of the whole request, each of named
//! records those of its records, each of a range of lines its number. So a crash at any moment leaves what is to be
//! sent, and nothing is sent twice for one request: what has its mark is passed over.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use dray_adapter::{Batch, IdScope, Mark, MarkState, Polled, SourceError};
use dray_formats::Gather;

use super::pass::{Pass, Picked, Step};
use super::request::{self, Records, Which};
use crate::archive::{ARCHIVE, PENDING};
use crate::notice::{now_us, origin};
use crate::position::shown;
use crate::source::FileDrop;
use crate::start::has_hash;
use crate::under_way::Work;

/// A request under way.
pub(crate) struct Redriving {
    request: OsString,
    path: PathBuf,
    records: Records,
    pass: Pass,
    gather: Gather,
    /// Of those that are handed out next.
    marks: Vec<Mark>,
    wanted: usize,
    count: u64,
    part: u64,
}

/// What a request's name and a part of it make.
pub(super) fn mark(request: &OsString, part: &str) -> Mark {
    let name = request.to_string_lossy();
    Mark(format!("redrive:{name}:{part}").into_bytes())
}

/// The mark of the whole.
pub(super) const WHOLE: &str = "whole";

impl FileDrop {
    pub(super) fn is_marked(&self, mark: &Mark) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|seen| seen.seen(mark) != MarkState::New)
    }

    /// Begins one; whether there was one.
    pub(crate) fn begin_redriving(&mut self) -> Result<bool, SourceError> {
        let Some((path, mut records)) = self.taking.waiting.pop_front() else {
            return Ok(false);
        };
        let request = path.file_name().unwrap_or_default().to_owned();
        let Some(file) = self.where_is(&records) else {
            tracing::warn!(
                file = shown(&records.name),
                "records of it were to be read again, and it stands neither in the folder nor in the archive as it was; the request is dropped"
            );
            request::remove(&path).map_err(|error| self.no_request(&path, &error))?;
            return Ok(true);
        };
        if let Which::Ordinals(ordinals) = &mut records.which {
            ordinals.retain(|ordinal| !self.is_marked(&mark(&request, &ordinal.to_string())));
        }
        let wanted = match &records.which {
            Which::Ordinals(ordinals) => ordinals.len(),
            Which::Lines(..) => 0,
        };
        let pass = Pass::begin(&file, &self.format)
            .map_err(|error| self.retry(format!("{} can't be read: {error}", file.display())))?;
        self.taking.begun.insert(request.clone());
        self.work = Work::Redriving(Box::new(Redriving {
            request,
            path: file,
            records,
            pass,
            gather: Gather::default(),
            marks: Vec::new(),
            wanted,
            count: 0,
            part: 0,
        }));
        Ok(true)
    }

    /// Where the file stands now: it may have moved on in the archive since the request was made.
    fn where_is(&self, records: &Records) -> Option<PathBuf> {
        let root = &self.config.folder;
        let names = [&records.now, &records.name];
        let folders = [root.join(ARCHIVE), root.join(PENDING), root.clone()];
        let paths = || {
            folders
                .iter()
                .flat_map(|folder| names.map(|name| folder.join(name)))
        };
        let look = |path: &PathBuf| {
            let metadata = std::fs::symlink_metadata(path).ok()?;
            metadata.is_file().then(|| crate::scan::look_of(&metadata))
        };
        let is_it = |path: &PathBuf| look(path) == Some(records.look);
        // A share that was mounted again has other inodes.
        let is_copy = |path: &PathBuf| {
            look(path).is_some_and(|look| look.bytes == records.content.bytes)
                && has_hash(path, &records.content.sha256)
        };
        paths().find(is_it).or_else(|| paths().find(is_copy))
    }

    /// Goes on with one.
    pub(crate) fn go_on_redriving(
        &mut self,
        mut redriving: Box<Redriving>,
        until: Instant,
    ) -> Result<Option<Polled>, SourceError> {
        let whole = match redriving.step(until) {
            Ok(Stepped::More) => {
                self.work = Work::Redriving(redriving);
                return Ok(None);
            }
            Ok(Stepped::Batch) => false,
            Ok(Stepped::Whole) => true,
            Err(error) => {
                let reason = format!("{} can't be read: {error}", redriving.path.display());
                self.taking.begun.remove(&redriving.request);
                return Err(self.retry(reason));
            }
        };
        let part = mark(&redriving.request, &format!("part {}", redriving.part));
        let Some(batch) = self.redriven(&mut redriving, whole, part) else {
            self.work = Work::Redriving(redriving);
            return Ok(None);
        };
        if !whole {
            self.work = Work::Redriving(redriving);
        }
        Ok(Some(Polled::Batch(Box::new(batch))))
    }

    /// `None` for a part that an earlier run appended.
    fn redriven(&self, redriving: &mut Redriving, whole: bool, part: Mark) -> Option<Batch> {
        let gather = std::mem::take(&mut redriving.gather);
        let records = &redriving.records;
        let mut origin = origin(&self.flow, &shown(&records.name), &records.content);
        let mut marks = std::mem::take(&mut redriving.marks);
        let mut gather = Some(gather);
        if let Which::Lines(first, _) = records.which {
            redriving.part += 1;
            let first = first.to_le_bytes();
            origin.scope = IdScope::of(&[&origin.scope.0, b"lines", &first]);
            if self.is_marked(&part) {
                gather = None;
            } else {
                marks.push(part);
            }
        }
        if gather.is_none() && !whole {
            return None;
        }
        let gather = gather.unwrap_or_default();
        if whole {
            marks.push(mark(&redriving.request, WHOLE));
            redriving.told(&gather);
        }
        Some(Batch {
            origin,
            records: gather.records,
            rejects: gather.rejects,
            marks,
            position: self.place(None),
            captured_us: now_us(),
            ends_unit: true,
            reports: Vec::new(),
        })
    }
}

enum Stepped {
    More,
    Batch,
    /// The last one.
    Whole,
}

impl Redriving {
    fn step(&mut self, until: Instant) -> io::Result<Stepped> {
        let mut picked = Picked {
            gather: &mut self.gather,
            which: &mut self.records.which,
            count: &mut self.count,
        };
        let step = self.pass.step(&mut picked, until)?;
        let stepped = match step {
            Step::More => return Ok(Stepped::More),
            Step::Full => match &self.records.which {
                Which::Ordinals(left) if left.is_empty() => Stepped::Whole,
                _ => Stepped::Batch,
            },
            Step::End => Stepped::Whole,
            Step::Fault(reason) => {
                tracing::warn!(
                    file = %self.path.display(), reason,
                    "records of it were to be read again, and it can't be read any more; what stands before that place goes out"
                );
                Stepped::Whole
            }
        };
        if !self.pass.is_unchanged()? {
            return Err(io::Error::other("it changes while it is read"));
        }
        if let Which::Ordinals(_) = self.records.which {
            let records = self
                .gather
                .records
                .iter()
                .map(|record| record.row().ordinal);
            let rejects = self.gather.rejects.iter().map(|reject| reject.ordinal);
            self.marks = records
                .chain(rejects)
                .map(|ordinal| mark(&self.request, &ordinal.to_string()))
                .collect();
        }
        Ok(stepped)
    }

    fn told(&self, last: &Gather) {
        let file = self.path.display();
        match &self.records.which {
            Which::Ordinals(left) if !left.is_empty() => tracing::warn!(
                file = %file, wanted = self.wanted, missing = left.len(),
                "records were read again; the others are not in the file any more as it is read now"
            ),
            Which::Lines(..) if self.count == 0 => {
                tracing::warn!(file = %file, "lines were to be read again, and no record begins there");
            }
            _ => tracing::info!(
                file = %file, failed_again = last.rejects.len(),
                "records were read again"
            ),
        }
    }
}
