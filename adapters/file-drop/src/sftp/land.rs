//! How a part becomes a file of the drop folder, once and for good.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use dray_edges::edge;
use sha2::{Digest as _, Sha256};

use crate::archive::{self, ARCHIVE, FAILED, PENDING, REPEATED, called, own_name};
use crate::plain;
use crate::start::has_hash;

use super::journal::{Entry, Journal, State};
use super::listing::Remote;

/// Bytes of the disk that stay free: the buffer may be on it, and takes none of the last 64 MiB or so.
const FREE_BYTES_MIN: u64 = 512 * 1024 * 1024;
/// Bytes read at once of a part that is gone on with.
const READ_BYTES: usize = 128 * 1024;

/// The drop folder, as the pickup sees it.
#[derive(Debug)]
pub(crate) struct Landing {
    pub(crate) root: PathBuf,
    /// What tells flows of one folder apart in the names of parts.
    flow: String,
    /// Changes when the machine starts: after a power cut a part may hold anything.
    boot: String,
}

/// A part that is being written.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    file: File,
    hash: Sha256,
}

impl Part {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}

impl Landing {
    pub(crate) fn new(root: &Path, flow: &str) -> Self {
        Self {
            root: root.to_owned(),
            flow: flow.to_owned(),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
        }
    }

    /// The part of this file: hidden, and no scan takes what ends like it.
    fn part_of(&self, remote: &Remote) -> String {
        let key = format!(
            "{}\n{}\n{}\n{}",
            self.boot, remote.bytes, remote.mtime, remote.name
        );
        let key = Sha256::digest(key.as_bytes());
        format!(".dray-{}-{}.part", self.flow, hex::encode(&key[..8]))
    }

    fn is_part(&self, name: &str) -> bool {
        name.starts_with(&format!(".dray-{}-", self.flow)) && name.ends_with(".part")
    }

    /// Opens the part of a file; one that broke off is gone on with.
    pub(crate) async fn part(&self, remote: &Remote) -> io::Result<Part> {
        let name = self.part_of(remote);
        let path = self.root.join(&name);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .custom_flags(plain::flags())
            .open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other(format!(
                "{name} is no plain file; move it away"
            )));
        }
        if metadata.len() > remote.bytes {
            file.set_len(0)?;
        }
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            bytes += read as u64;
            // It may be long, and the connection is to stay alive.
            tokio::task::yield_now().await;
        }
        Ok(Part {
            name,
            bytes,
            file,
            hash,
        })
    }

    /// A part that is of no use.
    pub(crate) fn drop_part(&self, name: &str) {
        // It may be gone; what stays is swept at the next start.
        let _ = fs::remove_file(self.root.join(name));
    }

    /// Removes parts that belong to none of these files, nor to the journal.
    pub(crate) fn sweep<'a>(
        &self,
        files: impl Iterator<Item = &'a Remote>,
        journal: &Journal,
    ) -> io::Result<()> {
        let mut useless: Vec<String> = fs::read_dir(&self.root)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| self.is_part(name))
            .collect();
        if useless.is_empty() {
            return Ok(());
        }
        for remote in files {
            let used = self.part_of(remote);
            useless.retain(|name| *name != used);
        }
        for entry in journal.landing() {
            useless.retain(|name| State::Landing(name.clone()) != entry.state);
        }
        for name in useless {
            tracing::info!(
                file = name,
                "a part of a file that is not there any more is removed"
            );
            self.drop_part(&name);
        }
        Ok(())
    }

    /// Whether so many more bytes may be written; else what is free.
    pub(crate) fn has_room(&self, bytes: u64) -> io::Result<Result<(), u64>> {
        let system = rustix::fs::statvfs(&self.root)?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        Ok(match free >= bytes.saturating_add(FREE_BYTES_MIN) {
            true => Ok(()),
            false => Err(free),
        })
    }

    /// Whether a file of this name waits to be read; an error where something lies there that nobody reads.
    pub(crate) fn is_taken(&self, name: &str) -> io::Result<bool> {
        match fs::symlink_metadata(self.root.join(name)) {
            Ok(metadata) if metadata.is_file() => Ok(true),
            Ok(_) => Err(io::Error::other(
                "a folder or a link has that name there; move it away",
            )),
            Err(_) => Ok(false),
        }
    }

    /// The part is whole: it lands. The file there may go when this returns.
    pub(crate) fn land(
        &self,
        part: Part,
        remote: &Remote,
        journal: &mut Journal,
    ) -> io::Result<()> {
        let sha256 = part.sha256();
        part.file
            .set_modified(UNIX_EPOCH + Duration::from_secs(remote.mtime.into()))?;
        // A part whose sync failed may hold anything, whatever a second sync says.
        part.file
            .sync_all()
            .inspect_err(|_| self.drop_part(&part.name))?;
        // The part's own name as well: the journal says that a part that is gone has landed.
        archive::sync(&self.root)?;
        edge!("file_drop.sftp_before_journal");
        let entry = Entry {
            remote: remote.clone(),
            sha256,
            state: State::Landing(part.name),
        };
        journal.begin(entry.clone())?;
        edge!("file_drop.sftp_before_landing");
        self.finish(&entry, journal)
    }

    /// The last steps, also of an earlier life.
    fn finish(&self, entry: &Entry, journal: &mut Journal) -> io::Result<()> {
        let State::Landing(part) = &entry.state else {
            return Ok(());
        };
        let name = &entry.remote.name;
        archive::rename_new(&self.root.join(part), &self.root.join(name))?;
        edge!("file_drop.sftp_before_landing_sync");
        archive::sync(&self.root)?;
        journal.landed(name)
    }

    /// Ends what an earlier life began: a part that the journal names lands; one that is gone has landed, or was
    /// taken away by somebody, which the folders tell.
    pub(crate) fn recover(&self, journal: &mut Journal) -> io::Result<()> {
        for entry in journal.landing() {
            let State::Landing(part) = &entry.state else {
                continue;
            };
            if fs::symlink_metadata(self.root.join(part)).is_ok() {
                tracing::info!(
                    file = entry.remote.name,
                    "it was whole before the restart; it lands now"
                );
                self.finish(&entry, journal)?;
            } else if self.has_landed(&entry)? {
                archive::sync(&self.root)?;
                journal.landed(&entry.remote.name)?;
            } else {
                tracing::warn!(
                    file = entry.remote.name,
                    part,
                    "somebody removed the part before it landed; it is downloaded again"
                );
                journal.forget(&entry.remote.name)?;
            }
        }
        Ok(())
    }

    /// Whether the file lies in one of the folders that it may have come to since.
    fn has_landed(&self, entry: &Entry) -> io::Result<bool> {
        let name = OsStr::new(&entry.remote.name);
        for folder in ["", PENDING, ARCHIVE, FAILED, REPEATED] {
            let entries = match fs::read_dir(self.root.join(folder)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for found in entries {
                let found = found?;
                let own = own_name(&found.file_name(), &entry.sha256);
                if called(name).any(|name| name == own)
                    && found
                        .metadata()
                        .is_ok_and(|file| file.len() == entry.remote.bytes)
                    && has_hash(&found.path(), &entry.sha256)
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
