//! One file, read on as it grows. It knows bytes at places, not files.
//!
//! ```text
//! 0 ........ offset ............. taken ....... read .... size
//!   sent       a line too long      whole lines   part of
//!              that has not ended   decoded       a line
//! ```
//! What is read counts only if the file is still the one that it was: after the last read of a batch, and before the batch is
//! handed out, its first bytes and those before the batch are compared once more. A file that was truncated and written
//! anew between two reads is caught by that, whatever its size is now.

use std::fs::File;
use std::io;
use std::time::Instant;

use dray_formats::{Decoded, FileFault, Format, Gather, Sink as _, Window};

use super::lines::{Lines, Nowhere};
use super::place::{Entry, print};
use super::{PREFIX_BYTES, TAIL_BYTES};

/// Bytes at places.
pub(super) trait Text: Send {
    /// How many there are.
    fn size(&self) -> io::Result<u64>;

    /// Reads some at a place; 0 at the end.
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize>;
}

impl Text for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, out, at)
    }
}

/// A file that is followed.
pub(super) struct Reading {
    text: Box<dyn Text>,
    lines: Lines,
    window: Window,
    /// Bytes that the decoder took.
    taken: u64,
    /// The file's first bytes.
    prefix: Vec<u8>,
    /// The last bytes before `taken`.
    recent: Vec<u8>,
    /// The last bytes before the offset.
    before: Vec<u8>,
    /// The same when the batch at hand was begun, and the offset then.
    base: (Vec<u8>, u64),
    /// Lines that begin before are not handed out.
    skip_to: u64,
    /// The turn ends here, however much is behind it by then.
    target: u64,
    /// It ends there whatever is behind it already.
    is_turn_short: bool,
    gather: Gather,
    /// The decoder is not through with the window.
    holds_more: bool,
}

/// What opening came to.
pub(super) enum Opened {
    Open(Box<Reading>),
    /// It is not the file that it was.
    Replaced,
    /// Its beginning can't be read in this format.
    Refused(String),
}

/// What a step came to.
pub(super) enum Step {
    /// Time is up.
    More,
    /// A batch; whether it is the turn's last.
    Batch(Gather, bool),
    /// The turn is over, and there is nothing to hand out.
    Drained,
    /// It is not the file that it was; nothing of the batch at hand counts.
    Replaced,
    /// It can't be read in this format.
    Refused(String),
}

impl Reading {
    /// Goes on at the entry's place, if the file is the entry's. Lines that begin before `skip_to` are passed over.
    pub(super) fn open(
        text: Box<dyn Text>,
        entry: &Entry,
        skip_to: u64,
        format: &Format,
    ) -> io::Result<Opened> {
        let Some((prefix, before)) = matching(&*text, entry)? else {
            return Ok(Opened::Replaced);
        };
        let mut reading = Box::new(Self {
            text,
            lines: Lines::new(format),
            window: Window::default(),
            taken: 0,
            prefix,
            recent: before.clone(),
            base: (before.clone(), entry.offset),
            before,
            skip_to,
            target: 0,
            is_turn_short: false,
            gather: Gather::default(),
            holds_more: false,
        });
        Ok(match reading.find_place(entry)? {
            Ok(()) => Opened::Open(reading),
            Err(FileFault(reason)) => Opened::Refused(reason),
        })
    }

    /// Shows the decoder the file's beginning, then goes to the place.
    fn find_place(&mut self, entry: &Entry) -> io::Result<Result<(), FileFault>> {
        // A record was handed out, so the first one ends at the offset at the latest; to tell it, the decoder may want to see
        // what it saw then. Where there was none, the first one stands behind the offset.
        self.target = if entry.ordinal > 0 {
            self.text.size()?
        } else {
            entry.offset
        };
        while self.taken < entry.offset {
            let count = self.fill()?;
            let (bytes, has_learnt) = match self.lines.learn(self.window.bytes()) {
                Ok(learnt) => learnt,
                Err(fault) => return Ok(Err(fault)),
            };
            self.window.take(bytes);
            self.taken += bytes as u64;
            if has_learnt {
                self.window.clear();
                self.taken = entry.offset;
                self.lines.go_on_at(entry.ordinal, entry.line);
            } else if count == 0 {
                // What is left in the window is decoded with what follows.
                let tail = self.taken.min(TAIL_BYTES as u64);
                self.before.resize(tail as usize, 0);
                read_exact(&*self.text, &mut self.before, self.taken - tail)?;
                self.recent.clone_from(&self.before);
                self.base = (self.before.clone(), self.taken);
                break;
            }
        }
        Ok(Ok(()))
    }

    /// Begins a turn: what is there now is read, and no more.
    pub(super) fn begin_turn(&mut self) -> io::Result<()> {
        self.target = self.text.size()?;
        self.is_turn_short = false;
        Ok(())
    }

    /// Likewise, only up to a place.
    pub(super) fn begin_turn_up_to(&mut self, target: u64) {
        self.target = target;
        self.is_turn_short = true;
    }

    /// Whether the turn was begun up to a place.
    pub(super) fn is_turn_short(&self) -> bool {
        self.is_turn_short
    }

    /// Takes in the file's first bytes, if what was read of it begins with them, or they with it.
    pub(super) fn begins_with(&mut self, first: &[u8]) -> bool {
        let both = first.len().min(self.prefix.len());
        if self.prefix[..both] != first[..both] {
            return false;
        }
        self.prefix.extend_from_slice(&first[both..]);
        true
    }

    /// The end of what was read.
    fn read(&self) -> u64 {
        self.taken + self.window.bytes().len() as u64
    }

    /// Works until a batch is full, the turn is over, or until `until`.
    pub(super) fn step(&mut self, until: Instant) -> io::Result<Step> {
        loop {
            let is_at_end = !self.holds_more && self.fill()? == 0;
            let decoded = match self.decode() {
                Ok(decoded) => decoded,
                Err(_) if !self.is_same()? => return Ok(Step::Replaced),
                Err(FileFault(reason)) => return Ok(Step::Refused(reason)),
            };
            self.take(decoded.bytes);
            self.holds_more = self.gather.full();
            if self.holds_more || (is_at_end && decoded.bytes == 0) {
                if !self.is_same()? {
                    return Ok(Step::Replaced);
                }
                return Ok(self.hand_out());
            }
            if Instant::now() >= until {
                return Ok(Step::More);
            }
        }
    }

    fn hand_out(&mut self) -> Step {
        if self.gather.is_empty() {
            return Step::Drained;
        }
        let gather = std::mem::take(&mut self.gather);
        Step::Batch(gather, !self.holds_more)
    }

    /// Reads more of the turn's bytes; how many.
    fn fill(&mut self) -> io::Result<usize> {
        let at = self.read();
        let left = usize::try_from(self.target.saturating_sub(at)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(0);
        }
        let space = self.window.space();
        let wanted = space.len().min(left);
        let count = self.text.read_at(&mut space[..wanted], at)?;
        let known = self.prefix.len();
        if known < PREFIX_BYTES && at <= known as u64 {
            let from = known - at as usize;
            let to = count.min(from + PREFIX_BYTES - known);
            self.prefix
                .extend_from_slice(space.get(from..to).unwrap_or_default());
        }
        self.window.filled(count);
        Ok(count)
    }

    fn decode(&mut self) -> Result<Decoded, FileFault> {
        let window = self.window.bytes();
        if self.taken < self.skip_to {
            let left = usize::try_from(self.skip_to - self.taken).unwrap_or(usize::MAX);
            let passed = self
                .lines
                .decode(&window[..left.min(window.len())], &mut Nowhere)?;
            if passed.bytes > 0 || window.len() < left {
                return Ok(passed);
            }
            // A line that goes past the place is whole when it ends.
            self.skip_to = 0;
        }
        self.lines.decode(window, &mut self.gather)
    }

    /// The decoder took so many bytes.
    fn take(&mut self, count: usize) {
        let held = usize::try_from(self.lines.held_bytes()).unwrap_or(usize::MAX);
        let bytes = &self.window.bytes()[..count];
        if held < count || held == 0 {
            let (before, behind) = bytes.split_at(count - held);
            push(&mut self.recent, before);
            self.before.clone_from(&self.recent);
            push(&mut self.recent, behind);
        } else {
            push(&mut self.recent, bytes);
        }
        self.window.take(count);
        self.taken += count as u64;
    }

    /// Whether the file is the one that it was when the batch at hand was begun.
    pub(super) fn is_same(&self) -> io::Result<bool> {
        let (before, offset) = &self.base;
        Ok(self.text.size()? >= self.read()
            && holds(&*self.text, &self.prefix, 0)?
            && holds(&*self.text, before, offset - before.len() as u64)?)
    }

    /// Writes down where it stands: after a batch, or a turn without one.
    pub(super) fn settle(&mut self, entry: &mut Entry) {
        let offset = self.taken - self.lines.held_bytes();
        self.base = (self.before.clone(), offset);
        entry.prefix_bytes = self.prefix.len() as u16;
        entry.prefix = print(&self.prefix);
        entry.offset = offset;
        entry.seen = self.target.max(self.read());
        entry.tail = print(&self.before);
        entry.ordinal = self.lines.ordinal();
        entry.line = self.lines.line();
    }

    /// The file's first bytes, as far as they were read.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The beginning of a line that has not ended, where it is not too long.
    pub(super) fn unfinished(&self) -> &[u8] {
        if self.lines.held_bytes() > 0 {
            return b"";
        }
        self.window.bytes()
    }

    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Fewer records in a batch, for a person who looks at them.
    pub(super) fn limit(&mut self, records_max: usize) {
        self.gather = Gather::with_limits(records_max, usize::MAX);
    }
}

/// The last bytes stay.
fn push(recent: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    let surplus = (recent.len() + bytes.len()).saturating_sub(TAIL_BYTES);
    recent.drain(..surplus);
    recent.extend_from_slice(bytes);
}

/// The first bytes and those before the offset, if they are the entry's.
pub(super) fn matching(text: &dyn Text, entry: &Entry) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    if text.size()? < entry.offset {
        return Ok(None);
    }
    let mut prefix = vec![0; usize::from(entry.prefix_bytes)];
    let tail_bytes = entry.offset.min(TAIL_BYTES as u64);
    let mut tail = vec![0; tail_bytes as usize];
    let is_same = read_exact(text, &mut prefix, 0)?
        && print(&prefix) == entry.prefix
        && read_exact(text, &mut tail, entry.offset - tail_bytes)?
        && print(&tail) == entry.tail;
    Ok(is_same.then_some((prefix, tail)))
}

/// Whether these bytes stand at a place.
pub(super) fn holds(text: &dyn Text, bytes: &[u8], at: u64) -> io::Result<bool> {
    let mut there = vec![0; bytes.len()];
    Ok(read_exact(text, &mut there, at)? && there == bytes)
}

/// Whether there are so many bytes at a place.
pub(super) fn read_exact(text: &dyn Text, out: &mut [u8], at: u64) -> io::Result<bool> {
    let mut have = 0;
    while have < out.len() {
        match text.read_at(&mut out[have..], at + have as u64)? {
            0 => return Ok(false),
            count => have += count,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
