//! One file's turn: what is there of it now is read.

use std::io;
use std::time::Instant;

use dray_adapter::Batch;
use dray_formats::Gather;

use super::known::Known;
use super::notice::{Change, Notice, bytes, origin, scope_of};
use super::place::Node;
use super::reading::{Opened, Reading, Step};
use super::source::{FileTail, First};
use crate::notice::now_us;
use crate::source::unreadable;

/// Scans that follow at once on one that was out of date already.
const RESCANS_MAX: u32 = 3;

impl FileTail {
    /// Goes on with a file's turn; a batch of it, if there is one.
    pub(super) fn turn(&mut self, node: Node, until: Instant) -> Option<Batch> {
        let Some(index) = self.files.find(node) else {
            self.end_turn();
            return None;
        };
        match self.step(index, until) {
            Ok(None) => self.scan_first(),
            Ok(Some(Step::More)) => {}
            Ok(Some(Step::Batch(gather, last))) => return Some(self.batch(index, gather, last)),
            Ok(Some(Step::Drained)) => self.drained(index),
            Ok(Some(Step::Replaced)) => self.replaced(index),
            Ok(Some(Step::Refused(reason))) => self.refused(index, &reason),
            Err(error) => {
                // A share that went away: the file is opened again by the next scan.
                let known = &mut self.files.all[index];
                known.reading = None;
                known.done = None;
                let name = known.name.clone();
                self.trouble(&name, unreadable(&error));
                self.end_turn();
            }
        }
        None
    }

    /// `None`: it is not the file that was meant.
    fn step(&mut self, index: usize, until: Instant) -> io::Result<Option<Step>> {
        if self.files.all[index].reading.is_none() {
            match self.open(index)? {
                None => return Ok(None),
                Some(Opened::Replaced) => return Ok(Some(Step::Replaced)),
                Some(Opened::Refused(reason)) => return Ok(Some(Step::Refused(reason))),
                Some(Opened::Open(reading)) => self.files.all[index].reading = Some(reading),
            }
        }
        let known = &mut self.files.all[index];
        if known.entry.is_refused {
            // It still is the one that can't be read.
            known.reading = None;
            return Ok(Some(Step::Drained));
        }
        let turn_end = known.turn_end();
        let Some(reading) = &mut known.reading else {
            return Ok(None);
        };
        if !self.is_turn_begun {
            match turn_end {
                Some(end) => reading.begin_turn_up_to(end),
                None => reading.begin_turn()?,
            }
            self.is_turn_begun = true;
        }
        let step = reading.step(until)?;
        if !matches!(step, Step::Replaced) {
            self.rescans = 0;
        }
        self.troubles.remove(&known.name);
        Ok(Some(step))
    }

    /// `None`: it was renamed since the scan.
    fn open(&mut self, index: usize) -> io::Result<Option<Opened>> {
        self.files.limit_open();
        let known = &self.files.all[index];
        let text = match self.open_file(&known.file, known.entry.node) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Reading::open(Box::new(text), &known.entry, known.skip_to, &self.format).map(Some)
    }

    fn end_turn(&mut self) {
        self.turns.pop_front();
        self.is_turn_begun = false;
    }

    fn batch(&mut self, index: usize, gather: Gather, last: bool) -> Batch {
        self.settle(index);
        if last {
            self.came_to_end(index);
        }
        let number = self.files.generations;
        let entry = &mut self.files.all[index].entry;
        let is_numbered = entry.scope.is_some();
        let scope = *entry
            .scope
            .get_or_insert_with(|| scope_of(&self.flow, &entry.name, number, first_bytes(&gather)));
        let origin = origin(scope, &entry.name);
        if !is_numbered {
            self.files.next_number();
        }
        self.files.touch(index);
        Batch {
            origin,
            records: gather.records,
            rejects: gather.rejects,
            marks: Vec::new(),
            position: self.files.position(),
            captured_us: now_us(),
            ends_unit: last,
            reports: Vec::new(),
        }
    }

    fn settle(&mut self, index: usize) {
        let known = &mut self.files.all[index];
        if let Some(reading) = &mut known.reading {
            reading.settle(&mut known.entry);
            // A file with the same names shares them, and nobody has to resolve them again.
            self.format.remember(reading.lines().decoder());
        }
    }

    fn drained(&mut self, index: usize) {
        let offset = self.files.all[index].entry.offset;
        self.settle(index);
        if self.files.all[index].entry.offset > offset {
            self.files.touch(index);
        }
        self.came_to_end(index);
        self.passed_by(index);
    }

    /// The turn read what it was to read.
    fn came_to_end(&mut self, index: usize) {
        let known = &mut self.files.all[index];
        let is_short = known
            .reading
            .as_ref()
            .is_some_and(|one| one.is_turn_short());
        let is_begun = is_short && known.skip_to == 0;
        let is_part = is_begun && known.beginning.sure < known.look.bytes;
        known.done = (!is_part).then_some(known.look);
        if is_begun && known.entry.offset > 0 {
            // What follows its beginning is read by a turn of its own.
            self.is_turn_begun = false;
        } else {
            self.end_turn();
        }
    }

    /// What was to be passed over of a file is behind it.
    fn passed_by(&mut self, index: usize) {
        let known = &mut self.files.all[index];
        if known.skip_to == 0 || self.first == First::Passing {
            return;
        }
        if known.is_gap {
            let notice = gap(known);
            tracing::warn!(
                file = known.name,
                reason = notice.reason,
                "a file's place is not known any more"
            );
            self.notices.push_back(notice);
        } else {
            known.skip_to = 0;
        }
        // What follows is read by a turn of its own.
        known.done = None;
        self.next_scan = Instant::now();
    }

    /// Begins again at the next scan, which comes at once and looks for copies first.
    fn replaced(&mut self, index: usize) {
        self.files.all[index].is_replaced = true;
        self.scan_first();
    }

    /// The order may be another by now.
    fn scan_first(&mut self) {
        self.turns.clear();
        self.is_turn_begun = false;
        // Where a scan never sees what opening sees, scans come as often as ever.
        if self.rescans < RESCANS_MAX {
            self.rescans += 1;
            self.next_scan = Instant::now();
        } else {
            self.rescans = 0;
        }
    }

    fn refused(&mut self, index: usize, reason: &str) {
        self.end_turn();
        let known = &mut self.files.all[index];
        if let Some(reading) = &mut known.reading {
            let prefix = reading.prefix().to_vec();
            known.entry.prefix_bytes = prefix.len() as u16;
            known.entry.prefix = super::place::print(&prefix);
        }
        known.done = Some(known.look);
        let raw = known
            .reading
            .take()
            .map(|reading| reading.prefix().to_vec());
        let reason = format!(
            "{} can't be read: {reason}. Nothing more of it is sent until it is begun again",
            known.name
        );
        tracing::warn!(
            file = known.name,
            reason,
            "a file can't be read in this format"
        );
        self.notices.push_back(Notice {
            node: known.entry.node,
            change: Change::Refused,
            reason,
            raw: raw.unwrap_or_default(),
            raw_bytes: known.look.bytes,
            line: known.entry.line,
        });
    }
}

/// The first record or bad record, in bytes.
pub(super) fn first_bytes(gather: &Gather) -> &[u8] {
    match (gather.rejects.first(), gather.records.get(0)) {
        (Some(reject), _) if reject.after == 0 => &reject.raw,
        (_, Some(record)) => record.raw(),
        _ => b"",
    }
}

fn gap(known: &Known) -> Notice {
    let reason = format!(
        "{} grew while more than {} other files did, and how far it was read is not known any more: it is read on from byte {}, and lines before may be missing. Compare, and give the files that grow at once flows of their own",
        known.name,
        super::LIVE_MAX,
        known.entry.offset
    );
    Notice {
        node: known.entry.node,
        change: Change::Passed,
        reason,
        raw: Vec::new(),
        raw_bytes: known.entry.offset,
        line: known.entry.line,
    }
}

/// What is said where a file was begun again, or is gone, with bytes that were there and were not read.
pub(super) fn missing(known: &Known, what: &str) -> (String, Vec<u8>, u64) {
    let unread = known.entry.unread();
    let unfinished = known
        .reading
        .as_ref()
        .map(|reading| reading.unfinished().to_vec());
    let raw = unfinished.unwrap_or_default();
    let whole = if raw.len() as u64 == unread {
        "It was a line without its end"
    } else {
        "Lines may be missing: compare with what wrote it"
    };
    let reason = format!(
        "{} {what}, and {} from byte {} on had not been read. {whole}",
        known.name,
        bytes(unread),
        known.entry.offset
    );
    (reason, raw, unread)
}
