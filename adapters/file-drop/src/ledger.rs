//! What was taken from a folder that stays as it is.
//!
//! ```text
//! ledger    "dray ledger 1", then a line a file, parts with tabs between them:
//!   how it ended | SHA-256 hex | bytes | repeat | modified, µs | inode | born, µs | taken, s | left the folder, s | name | reason
//! ```
//! Times count from 1970; what is no printable ASCII in a name or reason stands as `%` and two hex digits. The
//! last line of a name counts, and `again` takes the name out. A line is synced before anything rests on it, except
//! that of an ack. A last line that a crash tore is passed over: its file is named by the buffer's position.
//!
//! Limits: [`LINES_MAX`] files; the lines of files that left the folder stay for [`GONE_DAYS`] days.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use crate::archive::sync;
use crate::ledger_line::{self, Ended, Line};
use crate::position::Content;

/// Files that a ledger holds: some 200 bytes of memory each. A fuller folder stops the flow, in words.
pub(crate) const LINES_MAX: usize = 250_000;
/// As long as the buffer remembers a mark.
pub(crate) const GONE_DAYS: u64 = 7;
/// The ledger's name in the source's own folder.
pub(crate) const LEDGER: &str = "ledger";
const HEAD: &str = "dray ledger 1";
/// Lines more than files at which it is written anew.
const SPARE_LINES: usize = 10_000;

/// The ledger of one flow.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    /// `None` until the first line, and after a write that failed: then everything is written anew.
    file: Option<File>,
    lines: HashMap<OsString, Line>,
    /// The beginnings of the hashes of what was sent, so that a new file need not be compared with all.
    sent: HashSet<u64>,
    /// Lines in the file.
    written: usize,
    next: u64,
}

impl Ledger {
    /// Reads the ledger in a source's own folder; makes the folder. The error is a sentence.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join(LEDGER);
        let failed = |error: io::Error| {
            format!(
                "{} can't be read: {error}; data_dir must belong to the agent's user",
                path.display()
            )
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut ledger = Self::read(&path)?;
        // A torn end is not gone on with: the next line would be torn too.
        ledger.rewrite().map_err(failed)?;
        Ok(ledger)
    }

    /// Reads one, or an empty one where there is none. The error is a sentence.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let mut ledger = Self {
            path: path.to_owned(),
            file: None,
            lines: HashMap::new(),
            sent: HashSet::new(),
            written: 0,
            next: 0,
        };
        let failed = |error: io::Error| format!("{} can't be read: {error}", path.display());
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ledger),
            Err(error) => return Err(failed(error)),
        };
        let mut bad = 0_u64;
        for (number, text) in BufReader::new(file).split(b'\n').enumerate() {
            let text = text.map_err(failed)?;
            if number == 0 {
                if text != HEAD.as_bytes() {
                    return Err(format!(
                        "{} is no ledger that this version reads; start the agent's newer version again",
                        path.display()
                    ));
                }
                continue;
            }
            match ledger_line::parse(&text) {
                Some((name, Some(line))) => ledger.insert(name, line),
                Some((name, None)) => drop(ledger.lines.remove(&name)),
                None => bad += 1,
            }
        }
        // One is torn by a crash; of more, the disk is to blame.
        if bad > 1 {
            tracing::warn!(ledger = %path.display(), bad, "lines of the ledger can't be read: their files are looked at again");
        }
        Ok(ledger)
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn get(&self, name: &OsStr) -> Option<&Line> {
        self.lines.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &OsStr) -> Option<&mut Line> {
        self.lines.get_mut(name)
    }

    /// Names and lines, in the order in which the files were taken.
    pub(crate) fn in_order(&self) -> Vec<(&OsString, &Line)> {
        let mut lines: Vec<_> = self.lines.iter().collect();
        lines.sort_unstable_by_key(|(_, line)| line.number);
        lines
    }

    /// Whether a file with this content was sent.
    pub(crate) fn has_sent(&self, content: &Content) -> bool {
        let is_it = |line: &Line| line.ended.is_sent() && line.content == *content;
        self.sent.contains(&beginning(content)) && self.lines.values().any(is_it)
    }

    /// Writes a line; it lasts when this returns.
    pub(crate) fn note(&mut self, name: &OsStr, line: Line) -> io::Result<()> {
        self.write(&ledger_line::line(name, Some(&line)))?;
        self.insert(name.to_owned(), line);
        self.sync()
    }

    /// Writes a line that may be lost.
    pub(crate) fn hint(&mut self, name: &OsStr, line: Line) -> io::Result<()> {
        self.write(&ledger_line::line(name, Some(&line)))?;
        self.insert(name.to_owned(), line);
        Ok(())
    }

    /// Takes a name out, so that its file is read again; it lasts when this returns.
    pub(crate) fn take_out(&mut self, name: &OsStr) -> io::Result<()> {
        self.write(&ledger_line::line(name, None))?;
        self.lines.remove(name);
        self.sync()
    }

    /// Makes what was written last. A sync that failed is not tried again on the same file.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        match &self.file {
            None => Ok(()),
            Some(file) => file.sync_data().inspect_err(|_| self.file = None),
        }
    }

    /// Drops the lines of files that left the folder, by the number of the last scan that saw them; whether there
    /// may be more that could go. Where none of the files is there, the share may be away, and nobody left.
    pub(crate) fn tidy(&mut self, scan: u32, now_s: u64) -> io::Result<()> {
        let mut is_changed = self.written > 2 * self.lines.len() + SPARE_LINES;
        if self.lines.values().any(|line| line.seen == scan) {
            for line in self.lines.values_mut() {
                let is_gone = line.seen != scan;
                if is_gone != (line.gone_s != 0) {
                    line.gone_s = if is_gone { now_s.max(1) } else { 0 };
                    is_changed = true;
                }
            }
            let kept_s = GONE_DAYS * 24 * 3_600;
            let before = self.lines.len();
            self.lines
                .retain(|_, line| line.gone_s == 0 || now_s.saturating_sub(line.gone_s) < kept_s);
            is_changed |= self.lines.len() != before;
        }
        if is_changed { self.rewrite() } else { Ok(()) }
    }

    fn insert(&mut self, name: OsString, mut line: Line) {
        let before = self.lines.get(&name);
        line.number = match before {
            Some(before) if before.content == line.content && line.ended == Ended::Acked => {
                before.number
            }
            _ => self.next,
        };
        line.seen = before.map_or(0, |before| before.seen);
        self.next += 1;
        if line.ended.is_sent() {
            self.sent.insert(beginning(&line.content));
        }
        self.lines.insert(name, line);
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.file.is_none() {
            self.rewrite()?;
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        // One write: a line is whole, or torn by a crash and not understood.
        if let Err(error) = file.write_all(line.as_bytes()) {
            self.file = None;
            return Err(error);
        }
        self.written += 1;
        Ok(())
    }

    /// Writes what is known to a new file, which then takes the old one's place.
    fn rewrite(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut text = format!("{HEAD}\n");
        for (name, line) in self.in_order() {
            text.push_str(&ledger_line::line(name, Some(line)));
        }
        self.file = None;
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        sync(folder)?;
        // The folder's own name lasts too, or the ledger is lost with it.
        folder.parent().map_or(Ok(()), sync)?;
        self.file = Some(file);
        self.written = self.lines.len();
        self.sent = self
            .lines
            .values()
            .filter(|line| line.ended.is_sent())
            .map(|line| beginning(&line.content))
            .collect();
        Ok(())
    }
}

fn beginning(content: &Content) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = content.sha256;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ready::Look;

    const DAY_S: u64 = 24 * 3_600;

    fn line(ended: Ended, number: u64) -> Line {
        let mut sha256 = [0; 32];
        sha256[..8].copy_from_slice(&number.to_le_bytes());
        let content = Content {
            sha256,
            bytes: number,
            repeat: 0,
        };
        Line {
            ended,
            content,
            look: Look {
                bytes: number,
                modified_us: 1,
                inode: number,
                born_us: 3,
            },
            taken_s: 5,
            gone_s: 0,
            reason: "".into(),
            number: 0,
            seen: 0,
        }
    }

    fn names(ledger: &Ledger) -> Vec<String> {
        let lines = ledger.in_order().into_iter();
        lines
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn what_was_noted_is_read_again_in_its_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("sources/stock");
        let mut ledger = Ledger::open(&own).expect("a ledger");
        for (name, number) in [("c", 1), ("a", 2), ("b", 3), ("d", 4)] {
            let line = line(Ended::Appended, number);
            ledger.note(name.as_ref(), line).expect("a line");
        }
        ledger
            .hint("c".as_ref(), line(Ended::Acked, 1))
            .expect("a line");
        ledger.take_out("b".as_ref()).expect("a line");
        assert!(ledger.has_sent(&line(Ended::Acked, 2).content));
        drop(ledger);
        for _ in 0..2 {
            let ledger = Ledger::open(&own).expect("a ledger");
            assert_eq!(names(&ledger), ["c", "a", "d"]);
            let ended = |name: &str| ledger.get(name.as_ref()).expect("a line").ended;
            assert_eq!((ended("c"), ended("a")), (Ended::Acked, Ended::Appended));
            assert!(ledger.has_sent(&line(Ended::Acked, 1).content));
            assert!(!ledger.has_sent(&line(Ended::Acked, 3).content));
        }
        fs::write(own.join(LEDGER), "dray ledger 2\n").expect("a file");
        let said = Ledger::open(&own).expect_err("it is newer");
        assert!(said.contains("newer version"), "{said}");
    }

    #[test]
    fn lines_of_files_that_left_go_after_seven_days_and_none_while_the_share_is_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ledger = Ledger::open(folder.path()).expect("a ledger");
        for (name, number) in [("stays", 1), ("left", 2), ("back", 3)] {
            let line = line(Ended::Acked, number);
            ledger.note(name.as_ref(), line).expect("a line");
        }
        let mut scan = 0;
        let mut look = |ledger: &mut Ledger, seen: &[&str], now_s: u64| {
            scan += 1;
            for name in seen {
                if let Some(line) = ledger.get_mut(name.as_ref()) {
                    line.seen = scan;
                }
            }
            ledger.tidy(scan, now_s).expect("it is written");
            names(ledger)
        };
        let all = ["stays", "left", "back"];
        assert_eq!(look(&mut ledger, &[], 100 * DAY_S), all, "it is away");
        assert_eq!(look(&mut ledger, &["stays"], 100 * DAY_S), all);
        assert_eq!(look(&mut ledger, &["stays"], 106 * DAY_S), all);
        assert_eq!(look(&mut ledger, &["stays", "back"], 106 * DAY_S), all);
        drop(ledger);
        let mut ledger = Ledger::open(folder.path()).expect("a ledger");
        assert_eq!(
            look(&mut ledger, &["stays"], 107 * DAY_S),
            ["stays", "back"],
            "it is known since when, also after a restart"
        );
        assert_eq!(look(&mut ledger, &[], 999 * DAY_S), ["stays", "back"]);
    }

    #[test]
    fn after_a_write_that_failed_everything_is_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ledger = Ledger::open(folder.path()).expect("a ledger");
        ledger
            .note("a".as_ref(), line(Ended::Appended, 1))
            .expect("a line");
        ledger.file = Some(File::open(&ledger.path).expect("it, only to be read"));
        ledger
            .note("b".as_ref(), line(Ended::Appended, 2))
            .expect_err("it can't be written");
        ledger
            .note("b".as_ref(), line(Ended::Appended, 2))
            .expect("a line");
        let text = fs::read_to_string(&ledger.path).expect("the ledger");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
