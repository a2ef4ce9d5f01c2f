//! `after = "keep"`: a folder in which nothing is renamed, made or locked. The ledger says what was taken.
//!
//! | where a file that is moved stands | what its line in the ledger says |
//! |---|---|
//! | in the folder | no line, or of another size, time or inode: it is new |
//! | `archive/pending` | appended |
//! | `archive` | acked |
//! | `archive/repeated` | repeated |
//! | `failed` | failed, and why |
//!
//! A crash between an append and its line is made up for at the next start: the position names the files
//! that were appended whole. Files whose line says appended and whose mark the buffer does not have are read again,
//! before any new file, in the order in which they were taken: the second copy is the share itself.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use dray_adapter::{MarkState, SourceError};

use crate::config::{After, Inodes};
use crate::ledger::{LEDGER, Ledger};
use crate::ledger_line::{Ended, Line};
use crate::notice::Notice;
use crate::position::{Content, Finished, Goes, Place};
use crate::ready::Look;
use crate::scan::look_of;
use crate::source::FileDrop;
use crate::start::Resume;

/// What a source whose folder stays as it is knows besides.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) ledger: Ledger,
    inodes: Inodes,
    /// Files that wait for the ack, oldest first.
    pub(crate) unacked: VecDeque<OsString>,
    /// Files that the buffer lost, and what they were sent as.
    pub(crate) again: HashMap<OsString, Content>,
    /// Why files failed of which it is told and that have no line yet.
    pub(crate) reasons: HashMap<OsString, String>,
    /// The number of the newest scan.
    pub(crate) scan: u32,
    pub(crate) is_full: bool,
}

impl Keeping {
    /// Whether the file was taken as it is now. `look`: by a scan, which sees all files that are there.
    pub(crate) fn saw(&mut self, name: &OsStr, look: Look) -> bool {
        let scan = self.scan;
        if let Some(line) = self.ledger.get_mut(name) {
            line.seen = scan;
        }
        self.is_taken(name, look)
    }

    pub(crate) fn is_taken(&self, name: &OsStr, look: Look) -> bool {
        let is_same = |line: &Line| match self.inodes {
            Inodes::Lasting => line.look == look,
            Inodes::Changing => line.look.is_unchanged(&look),
        };
        self.again.contains_key(name) || self.ledger.get(name).is_some_and(is_same)
    }

    pub(crate) fn begin_scan(&mut self) {
        self.scan += 1;
    }
}

impl FileDrop {
    /// Where this source keeps what is its own, below the agent's data folder.
    #[must_use]
    pub fn with_own_folder(mut self, own: PathBuf) -> Self {
        self.own = Some(own);
        self
    }

    pub(crate) fn keeps(&self) -> bool {
        self.config.after == After::Keep
    }

    /// The rest of the start, where nothing moves.
    pub(crate) fn start_keeping(&mut self, place: Place) -> Result<(), SourceError> {
        let Some(own) = &self.own else {
            let reason = "after = \"keep\" needs a folder for the ledger, and there is none".into();
            return Err(SourceError::Operator { reason });
        };
        let ledger = Ledger::open(own).map_err(|reason| self.retry(reason))?;
        self.keeping = Some(Keeping {
            ledger,
            inodes: self.config.inodes,
            unacked: VecDeque::new(),
            again: HashMap::new(),
            reasons: HashMap::new(),
            scan: 0,
            is_full: false,
        });
        self.ensure_watch();
        self.resume = place.at.map(Resume::after_second_copies);
        self.then = place.then;
        for file in self.appended(place.finished) {
            self.make_up_for(file)?;
        }
        self.finished.clear();
        self.find_lost();
        self.take_acks()?;
        self.take_first_copies()
    }

    /// Stops where files that were sent still stand in the folder: whoever moves what was read would send them again.
    pub(crate) fn refuse_ledger(&self) -> Result<(), SourceError> {
        let Some(path) = self.own.as_ref().map(|own| own.join(LEDGER)) else {
            return Ok(());
        };
        let ledger = Ledger::read(&path).map_err(|reason| SourceError::Operator { reason })?;
        let stands = |(name, line): &(&OsString, &Line)| {
            let metadata = fs::symlink_metadata(self.config.folder.join(name));
            line.ended.is_sent()
                && metadata.is_ok_and(|metadata| look_of(&metadata).is_unchanged(&line.look))
        };
        match ledger.in_order().into_iter().filter(stands).count() {
            0 => Ok(()),
            count => Err(SourceError::Operator {
                reason: format!(
                    "{count} files in {} were sent while after was \"keep\", and would be sent again. Set after = \"keep\" again; or move what was sent out of \
                     the folder, and restart the agent",
                    self.config.folder.display()
                ),
            }),
        }
    }

    /// Writes the line that a crash prevented, if the file is still what the position says.
    fn make_up_for(&mut self, file: Finished) -> Result<(), SourceError> {
        let is_unknown = self.state(&file.content) == MarkState::New;
        let metadata = fs::symlink_metadata(self.config.folder.join(&file.name));
        let stands = metadata.is_ok_and(|metadata| look_of(&metadata).is_unchanged(&file.look));
        let Some(keeping) = &self.keeping else {
            return Ok(());
        };
        let line = keeping.ledger.get(&file.name);
        let is_noted = line.is_some_and(|line| line.content == file.content);
        let (ended, reason) = match file.goes {
            // Another file may have its name by now, with a line of its own.
            _ if is_noted || (line.is_some() && !stands) => return Ok(()),
            Goes::Pending if is_unknown => return Ok(()),
            Goes::Pending => (Ended::Appended, ""),
            Goes::Repeated => (Ended::Repeated, ""),
            Goes::Failed | Goes::FailedFromPending => (Ended::Failed, "its dead letter says why"),
        };
        tracing::info!(file = ?file.name, "the file was appended before the restart; it is noted now");
        if stands {
            let path = self.config.folder.join(&file.name);
            let mut acknowledgements = self.acknowledge_again(&file, &path)?;
            self.acknowledge(&file, &mut acknowledgements)?;
        }
        self.note(&file, ended, reason.to_owned())
    }

    /// Sorts what was appended: it waits for its ack, or the buffer lost it.
    fn find_lost(&mut self) {
        let Some(keeping) = &self.keeping else {
            return;
        };
        let (mut unacked, mut lost) = (VecDeque::new(), Vec::new());
        for (name, line) in keeping.ledger.in_order() {
            if line.ended == Ended::Appended {
                match self.state(&line.content) {
                    MarkState::New => lost.push((name.clone(), line.clone())),
                    MarkState::Pending | MarkState::Done => unacked.push_back(name.clone()),
                }
            }
        }
        self.second_copies.clear();
        let mut again = HashMap::new();
        let root = self.config.folder.clone();
        for (name, line) in lost {
            let path = root.join(&name);
            let there = fs::symlink_metadata(&path).map(|metadata| look_of(&metadata));
            if there.is_ok_and(|look| look.is_unchanged(&line.look)) {
                tracing::info!(file = %path.display(), "the buffer does not know this file: it is read again");
                self.second_copies.push_back(path);
                again.insert(name, line.content);
            } else {
                self.lost_for_good(name, &line);
            }
        }
        if let Some(keeping) = &mut self.keeping {
            (keeping.unacked, keeping.again) = (unacked, again);
        }
    }

    fn lost_for_good(&mut self, name: OsString, line: &Line) {
        let file = Finished {
            name,
            content: line.content,
            look: line.look,
            goes: Goes::Pending,
        };
        let reason = "it was appended to a buffer that is lost, and stands in the folder no more as it was then. If the collector did not get \
                      it before, drop it again";
        self.notices.push_back(Notice::gone(file, reason));
    }

    /// The number that a file which the buffer lost was sent under.
    pub(crate) fn sent_before(&self, path: &Path, content: &Content) -> Option<u64> {
        let sent = self.keeping.as_ref()?.again.get(path.file_name()?)?;
        sent.is_copy_of(content).then_some(sent.repeat)
    }

    pub(crate) fn is_read_again(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let keeping = self.keeping.as_ref();
        keeping.is_some_and(|keeping| keeping.again.contains_key(name))
    }

    /// Whether the file stands in the ledger as it is, and is not to be read again.
    pub(crate) fn is_noted(&self, path: &Path, look: Look) -> bool {
        let name = path.file_name().unwrap_or_default();
        let keeping = self.keeping.as_ref();
        !self.is_read_again(path) && keeping.is_some_and(|keeping| keeping.is_taken(name, look))
    }

    /// A file that the buffer lost vanished before it was read again.
    pub(crate) fn lost_and_gone(&mut self, path: &Path) {
        let name = path.file_name().unwrap_or_default();
        let Some(keeping) = &mut self.keeping else {
            return;
        };
        if keeping.again.remove(name).is_some()
            && let Some(line) = keeping.ledger.get(name).cloned()
        {
            self.lost_for_good(name.to_owned(), &line);
        }
    }

    /// A file whose size and time are those of its line, and its inode is not: the share was mounted again, or
    /// copied. Whether it is known by its content; then nothing is said.
    pub(crate) fn recognises(
        &mut self,
        path: &Path,
        content: &Content,
        look: Look,
    ) -> Result<bool, SourceError> {
        let name = path.file_name().unwrap_or_default();
        let Some(keeping) = self.keeping.as_ref() else {
            return Ok(false);
        };
        let is_it = |line: &&Line| {
            line.look.is_unchanged(&look)
                && line.look != look
                && line.content.is_copy_of(content)
                && !keeping.again.contains_key(name)
        };
        let Some(line) = keeping.ledger.get(name).filter(is_it) else {
            return Ok(false);
        };
        let line = Line {
            look,
            ..line.clone()
        };
        let number = line.number;
        self.ready.forget(name);
        self.write(|keeping| {
            keeping.ledger.hint(name, line)?;
            // It keeps its place among those that wait for the ack.
            if let Some(line) = keeping.ledger.get_mut(name) {
                line.number = number;
            }
            Ok(())
        })?;
        Ok(true)
    }

    /// Whether a file with this content was sent, as far as the ledger goes.
    pub(crate) fn has_sent(&self, content: &Content) -> bool {
        let keeping = self.keeping.as_ref();
        keeping.is_some_and(|keeping| keeping.ledger.has_sent(content))
    }

    /// Where a file that was being read may be.
    pub(crate) fn folders_of_half_read(&self) -> Vec<PathBuf> {
        let root = self.config.folder.clone();
        let pending = root.join(crate::archive::PENDING);
        if self.keeps() {
            vec![root]
        } else {
            vec![root, pending]
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use dray_adapter::{Mark, Polled, Seen, Source as _};

    use super::*;

    struct Done;

    impl Seen for Done {
        fn seen(&self, _: &Mark) -> MarkState {
            MarkState::Done
        }
    }

    /// Bytes that this thread read, ever.
    fn bytes_read() -> u64 {
        let io = fs::read_to_string("/proc/thread-self/io").expect("Linux tells");
        let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
        line.and_then(|bytes| bytes.parse().ok()).expect("a number")
    }

    #[test]
    fn a_hundred_thousand_kept_files_are_scanned_and_none_is_opened() {
        const FILES: u64 = 100_000;
        let folder = tempfile::tempdir().expect("a folder");
        let (root, own) = (folder.path().join("drops"), folder.path().join("own"));
        fs::create_dir(&root).expect("a folder");
        let mut ledger = Ledger::open(&own).expect("a ledger");
        for number in 0..FILES {
            let path = root.join(format!("SHP_{number:06}.txt"));
            fs::write(&path, "A,B\n1,2\n").expect("a file");
            let look = look_of(&fs::symlink_metadata(&path).expect("the file"));
            let mut sha256 = [0; 32];
            sha256[..8].copy_from_slice(&number.to_le_bytes());
            let line = Line {
                ended: Ended::Acked,
                content: Content {
                    sha256,
                    bytes: look.bytes,
                    repeat: 0,
                },
                look,
                taken_s: 1,
                gone_s: 0,
                reason: "".into(),
                number: 0,
                seen: 0,
            };
            let name = path.file_name().expect("a name");
            ledger.hint(name, line).expect("a line");
        }
        let ledger_bytes = fs::metadata(own.join(LEDGER)).expect("the ledger").len();
        drop(ledger);
        let config = format!(
            "kind = \"file-drop\"\nfolder = \"{}\"\nafter = \"keep\"\nformat.kind = \"csv\"",
            root.display()
        );
        let config = toml::from_str(&config).expect("a configuration");
        let source = FileDrop::new("north/stock", config).expect("a source");
        let mut source = source.with_own_folder(own);
        let (began, before) = (Instant::now(), bytes_read());
        source
            .open(None, Arc::new(Done), Arc::new(|| ()))
            .expect("it opens");
        let opened = began.elapsed();
        assert!(matches!(source.poll(), Ok(Polled::Idle(_))));
        let scanned = began.elapsed() - opened;
        println!("{FILES} files: opened in {opened:?}, scanned in {scanned:?}");
        // The ledger, and what the system tells of this thread.
        let read = bytes_read() - before;
        assert!(read < ledger_bytes + 64 * 1024, "{read} bytes were read");
    }
}
