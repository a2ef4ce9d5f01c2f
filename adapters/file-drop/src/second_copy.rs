//! Files in `archive/pending`: the second copy for the day that the buffer is lost.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use dray_adapter::{MarkState, SourceError};

use crate::archive::{self, PENDING};
use crate::config::Repeat;
use crate::decide::repeat_from;
use crate::first_pass::BadFile;
use crate::known::{Stands, changed_ns};
use crate::notice::Notice;
use crate::position::{Content, Finished, Goes};
use crate::reading::Reading;
use crate::ready::Look;
use crate::scan::{look_of, order_number, takes};
use crate::source::{FileDrop, unreadable};
use crate::start::is_it;
use crate::under_way::{Held, Waiting, Work};

/// One of them. There may be hundreds of thousands.
struct Found {
    changed_ns: i128,
    number: i128,
    name: OsString,
    look: Look,
    content: Option<Content>,
}

impl Found {
    fn stands(&self) -> Stands {
        Stands::seen(self.look, self.changed_ns)
    }

    /// Renaming sets a file's change time, so that is when it came. Many come within one tick of some kernels' clocks: they
    /// came in the flow's order.
    fn came(&self) -> (i128, i128, &OsStr) {
        (self.changed_ns, self.number, &self.name)
    }
}

impl FileDrop {
    /// Finds the files that an earlier run left there, in the order in which they came. Those that the buffer
    /// knows wait for their ack. Those that it may not know are to be looked at, and before any new file is
    /// begun: whatever is in `archive/pending` was appended once, so it came before everything that is still
    /// in the drop folder. That holds whether the buffer is new, is new and goes on where the collector says
    /// that the flow stood, or is damaged and lost some marks and not others; none of these can be told
    /// apart here, and each file's own mark needs no such telling.
    ///
    /// It is cheap where there are many: [`Known`](crate::known::Known) tells the hash of a file that was not
    /// touched since, so that only what the buffer does not know is opened at all.
    pub(crate) fn find_second_copies(&mut self) -> io::Result<()> {
        // What the position names as appended was moved just now; where the buffer has no mark of it, it is a
        // second copy like the others.
        let mut moved = std::mem::take(&mut self.pending);
        moved.retain(|moved| self.state(&moved.content) != MarkState::New);
        self.pending = moved;
        let (mut files, mut by_inode) = (Vec::new(), HashMap::new());
        for entry in fs::read_dir(self.config.folder.join(PENDING))? {
            let entry = entry?;
            let name = entry.file_name();
            let metadata = entry.metadata()?;
            let ours = metadata.is_file() && archive::is_ours(&self.matcher, &name);
            if !ours {
                continue;
            }
            let look = look_of(&metadata);
            by_inode.insert(look.inode, files.len());
            files.push(Found {
                changed_ns: changed_ns(&metadata),
                number: order_number(self.config.order, &name, look),
                name,
                look,
                content: None,
            });
        }
        let is_long = self.known.read(|stands, content| {
            let at = by_inode.get(&stands.inode());
            if let Some(found) = at.map(|at| &mut files[*at])
                && found.stands() == stands
            {
                found.content = Some(content);
            }
        });
        drop(by_inode);
        if is_long {
            let known = files.iter();
            self.known
                .tidy(known.filter_map(|found| Some((found.stands(), found.content?))));
        }
        files.sort_by(|one, other| one.came().cmp(&other.came()));
        self.second_copies.clear();
        let moved = self.pending.iter().map(|moved| moved.name.to_os_string());
        let moved: HashSet<OsString> = moved.collect();
        for Found {
            name,
            look,
            content,
            ..
        } in files
        {
            if moved.contains(&name) {
                continue;
            }
            match content {
                Some(content) if self.state(&content) != MarkState::New => {
                    let own = archive::own_name(&name, &content.sha256);
                    if takes(&self.matcher, &own) {
                        self.pending_before
                            .push_back(Waiting::new(&name, content, look));
                    }
                }
                _ => self.second_copies.push_back(self.pending_path(&name)),
            }
        }
        Ok(())
    }

    /// Begins to look at the next one, unless the file that was being read comes before it; whether it did.
    pub(crate) fn begin_second_copy(&mut self) -> bool {
        let first = self.second_copies.front();
        let resume_first = |path: &Path| {
            let resume = self.resume.as_ref();
            resume.is_some_and(|resume| resume.is_next || is_it(path, &resume.at.file))
        };
        if first.is_none_or(|path| resume_first(path)) {
            return false;
        }
        if let Some(path) = self.second_copies.pop_front() {
            self.check(&path);
        }
        true
    }

    /// One that can't be read now, or the file that was being read. Nothing may pass it, so it is said why the flow waits.
    pub(crate) fn hold(&mut self, path: &Path, reason: &str) {
        let reason = format!(
            "{}: {reason}. Newer files wait for it, as it may not have been sent; if it is not to be sent, move it away",
            path.display()
        );
        if self.held.as_ref().is_none_or(|held| held.reason != reason) {
            tracing::warn!(reason, "a file can't be taken now; it is tried again");
        }
        self.held = Some(Held {
            reason,
            until: Instant::now() + self.config.scan_every,
        });
        if !self.is_resumed(path) {
            self.second_copies.push_front(path.to_owned());
        }
    }

    /// Decides by its content what becomes of one.
    pub(crate) fn take_second_copy(
        &mut self,
        path: &Path,
        checked: Result<Box<Reading>, Box<BadFile>>,
    ) -> Result<(), SourceError> {
        let mut file = match &checked {
            Ok(reading) => reading.finished(Goes::Pending),
            Err(bad) => Finished {
                name: path.file_name().unwrap_or_default().to_owned(),
                content: bad.content,
                look: bad.look,
                goes: Goes::Pending,
            },
        };
        let own = archive::own_name(&file.name, &file.content.sha256);
        if !takes(&self.matcher, &own) {
            return Ok(());
        }
        file.content.repeat = self.repeat_of_copy(file.content, file.look);
        match (self.state(&file.content), checked) {
            (MarkState::Pending | MarkState::Done, _) => {
                self.known.add(path, &file.content);
                let name = path.file_name().unwrap_or_default();
                self.pending_before
                    .push_back(Waiting::new(name, file.content, file.look));
                return self.release();
            }
            (MarkState::New, _) if !self.is_new_buffer && changed_here(path) => {
                let reason = "it changed after it was appended and moved to archive/pending. What it was then was sent, \
                              what it is now was not; compare, and drop what is missing as a new file";
                self.notices.push_back(Notice::set_aside(
                    file,
                    path.to_owned(),
                    true,
                    reason,
                    Vec::new(),
                ));
            }
            (MarkState::New, Ok(mut reading)) => {
                tracing::info!(file = %path.display(), "the buffer does not know this file: it is read again");
                reading.content = file.content;
                self.take_numbers(&own, &reading.facts);
                if let Err(error) = self.note_documents(&mut reading) {
                    self.hold(path, &unreadable(&error));
                    return Ok(());
                }
                self.work = Work::Reading(reading);
            }
            (MarkState::New, Err(bad)) => self.set_aside(*bad),
        }
        Ok(())
    }

    /// The number that the file was, or would have been, sent under.
    fn repeat_of_copy(&self, mut content: Content, look: Look) -> u64 {
        if self.config.repeat == Repeat::Report {
            return 0;
        }
        let waiting = [&self.pending, &self.pending_before];
        content.repeat = repeat_from(look);
        while waiting
            .iter()
            .any(|files| files.iter().any(|waiting| waiting.content == content))
            || self
                .finished
                .iter()
                .any(|moving| moving.file.content == content)
        {
            content.repeat += 1;
        }
        content.repeat
    }
}

/// Whether a file was written after it came here: writing sets both its times, renaming only one.
fn changed_here(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        (metadata.mtime(), metadata.mtime_nsec()) >= (metadata.ctime(), metadata.ctime_nsec())
    })
}
