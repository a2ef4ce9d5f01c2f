//! What is known of the files in `archive/pending`, so that a start need not read them all.
//!
//! ```text
//! archive/.dray/<8 bytes of SHA-256 of the flow's name, hex>.pending
//!   a line a file: SHA-256 hex, bytes, repeat, inode, change time in ns, modification time in µs
//! ```
//! A hint, never the truth, so it is not synced: a line that is missing, torn or of another file costs one
//! reading of the file. A line counts only for the very inode with the very change time, which nobody can
//! set: it tells the hash without reading, and the buffer tells whether that was appended.

use std::fs::{self, File, Metadata};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::archive::{OWN, make};
use crate::plain;
use crate::position::Content;
use crate::ready::Look;
use crate::scan::look_of;

/// At this length the file is begun anew: some 200,000 files, which a start then reads.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
/// At this length a start leaves out the lines of files that are gone.
const BYTES_TIDY: u64 = 256 * 1024;

/// Where and how a file stands: nothing was written to it, and it did not move, while this is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stands {
    inode: u64,
    changed_ns: i128,
    bytes: u64,
    modified_us: i64,
}

impl Stands {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self::seen(look_of(metadata), changed_ns(metadata))
    }

    pub(crate) fn seen(look: Look, changed_ns: i128) -> Self {
        Self {
            inode: look.inode,
            changed_ns,
            bytes: look.bytes,
            modified_us: look.modified_us,
        }
    }

    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }
}

/// When the file last moved or was written. It can't be set.
pub(crate) fn changed_ns(metadata: &Metadata) -> i128 {
    i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec())
}

/// The lines of one flow.
#[derive(Debug)]
pub(crate) struct Known {
    root: PathBuf,
    file: PathBuf,
}

impl Known {
    pub(crate) fn new(root: &Path, flow: &str) -> Self {
        let name = hex::encode(&Sha256::digest(flow)[..8]);
        Self {
            root: root.to_owned(),
            file: root.join(OWN).join(format!("{name}.pending")),
        }
    }

    /// Hands out what is known, the newest of a file last; whether the file of it has become long. Nothing, where it
    /// can't be read.
    pub(crate) fn read(&self, mut take: impl FnMut(Stands, Content)) -> bool {
        let Ok(file) = plain::open(&self.file) else {
            return false;
        };
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            if let Some((stands, content)) = parse(&line) {
                take(stands, content);
            }
        }
        bytes > BYTES_TIDY
    }

    /// Leaves out all but this.
    pub(crate) fn tidy(&self, known: impl Iterator<Item = (Stands, Content)>) {
        if let Err(error) = self.rewrite(known) {
            tracing::debug!(%error, "what is known of archive/pending can't be written");
        }
    }

    fn rewrite(&self, mut known: impl Iterator<Item = (Stands, Content)>) -> io::Result<()> {
        let new = self.file.with_extension("new");
        let mut file = BufWriter::new(File::create(&new)?);
        known
            .try_for_each(|(stands, content)| file.write_all(line(&stands, &content).as_bytes()))?;
        file.flush()?;
        fs::rename(new, &self.file)
    }

    /// This file came to `archive/pending`, or was read there.
    pub(crate) fn add(&self, path: &Path, content: &Content) {
        if let Err(error) = self.append(path, content) {
            tracing::debug!(%error, "what is known of archive/pending can't be written");
        }
    }

    fn append(&self, path: &Path, content: &Content) -> io::Result<()> {
        let stands = Stands::of(&fs::symlink_metadata(path)?);
        let open = || File::options().append(true).create(true).open(&self.file);
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&self.root, OWN).and_then(|()| open())
            }
            opened => opened,
        }?;
        if file.metadata()?.len() > BYTES_MAX {
            file.set_len(0)?;
        }
        // One write: a line is whole, or torn by a crash and not understood.
        file.write_all(line(&stands, content).as_bytes())
    }
}

fn line(stands: &Stands, content: &Content) -> String {
    format!(
        "{} {} {} {} {} {}\n",
        hex::encode(content.sha256),
        content.bytes,
        content.repeat,
        stands.inode,
        stands.changed_ns,
        stands.modified_us
    )
}

fn parse(line: &[u8]) -> Option<(Stands, Content)> {
    let mut parts = std::str::from_utf8(line).ok()?.split(' ');
    let mut sha256 = [0; 32];
    hex::decode_to_slice(parts.next()?, &mut sha256).ok()?;
    let bytes = parts.next()?.parse().ok()?;
    let content = Content {
        sha256,
        bytes,
        repeat: parts.next()?.parse().ok()?,
    };
    let stands = Stands {
        inode: parts.next()?.parse().ok()?,
        changed_ns: parts.next()?.parse().ok()?,
        bytes,
        modified_us: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some((stands, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_a_torn_one_is_not() {
        let content = Content {
            sha256: [0xA7; 32],
            bytes: 148,
            repeat: 3,
        };
        let stands = Stands {
            inode: 9,
            changed_ns: 1_700_000_000_123_456_789,
            bytes: 148,
            modified_us: -5,
        };
        let whole = line(&stands, &content);
        let whole = whole.trim_end().as_bytes();
        assert_eq!(parse(whole), Some((stands, content)));
        for cut in 0..whole.len() {
            let torn = [&whole[..cut], whole].concat();
            assert!(cut == 0 || parse(&torn).is_none(), "torn after {cut}");
        }
        assert_eq!(parse(&[0; 80]), None);
    }

    #[test]
    fn what_is_known_is_bounded_and_counts_for_the_very_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir(root.join("archive")).expect("a folder");
        let known = Known::new(root, "north/stock");
        let content = Content {
            sha256: [1; 32],
            bytes: 1,
            repeat: 0,
        };
        let path = root.join("a.txt");
        fs::write(&path, "a").expect("a file");
        known.add(&path, &content);
        let stands = || Stands::of(&fs::symlink_metadata(&path).expect("the file"));
        let known_now = || {
            let mut found = None;
            let is_long = known.read(|there, content| {
                if there == stands() {
                    found = Some(content);
                }
            });
            (found, is_long)
        };
        assert_eq!(known_now(), (Some(content), false));
        for _ in 0..BYTES_TIDY / 100 {
            known.add(&path, &content);
        }
        assert_eq!(known_now(), (Some(content), true));
        known.tidy(std::iter::once((stands(), content)));
        let bytes = fs::metadata(&known.file).expect("the file").len();
        assert!(bytes < 200, "one line is left: {bytes}");
        fs::write(&path, "b").expect("a file");
        fs::rename(&path, root.join("b.txt")).expect("a rename");
        fs::rename(root.join("b.txt"), &path).expect("a rename");
        assert_eq!(known_now(), (None, false));
    }
}
