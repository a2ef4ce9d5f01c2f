//! A request as a file. It is written under another name, synced and renamed, so it is whole or not there.
//!
//! ```text
//! dray redrive 1
//! file NAME                                          a whole file; as many as there are
//! of SHA-256 BYTES REPEAT MTIME INODE BORN NAME NOW  or: the file whose records the next lines name, what it was called
//!                                                    when it was read, and what it is called now
//! record ORDINAL                                     by its place in the file; as many as there are
//! lines FIRST LAST                                   or: all records that begin there; one such line
//! ```
//! Parts have tabs between them; names stand as in the ledger. A request is at most [`BYTES_MAX`] long.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::archive::sync;
use crate::ledger_line::{escape, unescape};
use crate::notice::now_us;
use crate::position::Content;
use crate::ready::Look;

const HEAD: &str = "dray redrive 1";
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Records of one request that are named one by one.
pub(super) const ORDINALS_MAX: usize = 10_000;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Whole files, by their names where they are set aside.
    Files(Vec<OsString>),
    /// Records of a file that was read.
    Records(Records),
}

/// Records of a file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Records {
    /// As the file was called when it was read.
    pub(crate) name: OsString,
    /// As it is called where it stands now.
    pub(crate) now: OsString,
    pub(crate) content: Content,
    pub(crate) look: Look,
    pub(crate) which: Which,
}

/// Which records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// By their numbers among records and bad records. They keep their ids.
    Ordinals(BTreeSet<u64>),
    /// All that begin on one of these lines, both counted. Their ids are made of the first line.
    Lines(u64, u64),
}

impl Request {
    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        match self {
            Self::Files(files) => {
                for name in files {
                    text.push_str(&format!("file\t{}\n", escape(name.as_encoded_bytes())));
                }
            }
            Self::Records(Records {
                name,
                now,
                content,
                look,
                which,
            }) => {
                text.push_str(&format!(
                    "of\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
                    hex::encode(content.sha256),
                    content.bytes,
                    content.repeat,
                    look.modified_us,
                    look.inode,
                    look.born_us,
                    escape(name.as_encoded_bytes()),
                    escape(now.as_encoded_bytes())
                ));
                match which {
                    Which::Lines(first, last) => {
                        text.push_str(&format!("lines\t{first}\t{last}\n"));
                    }
                    Which::Ordinals(ordinals) => {
                        for ordinal in ordinals {
                            text.push_str(&format!("record\t{ordinal}\n"));
                        }
                    }
                }
            }
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let mut files = Vec::new();
        let mut records: Option<Records> = None;
        for line in lines {
            let parts: Vec<&str> = line.split('\t').collect();
            match (parts.as_slice(), &mut records) {
                (["file", name], None) => files.push(as_name(name)?),
                (
                    [
                        "of",
                        sha256,
                        bytes,
                        repeat,
                        modified,
                        inode,
                        born,
                        name,
                        now,
                    ],
                    None,
                ) => {
                    let mut hash = [0; 32];
                    hex::decode_to_slice(sha256, &mut hash).ok()?;
                    let bytes = bytes.parse().ok()?;
                    records = Some(Records {
                        name: as_name(name)?,
                        now: as_name(now)?,
                        content: Content {
                            sha256: hash,
                            bytes,
                            repeat: repeat.parse().ok()?,
                        },
                        look: Look {
                            bytes,
                            modified_us: modified.parse().ok()?,
                            inode: inode.parse().ok()?,
                            born_us: born.parse().ok()?,
                        },
                        which: Which::Ordinals(BTreeSet::new()),
                    });
                }
                (["record", ordinal], Some(records)) => match &mut records.which {
                    Which::Ordinals(ordinals) => drop(ordinals.insert(ordinal.parse().ok()?)),
                    Which::Lines(..) => return None,
                },
                (["lines", first, last], Some(records)) => {
                    records.which = Which::Lines(first.parse().ok()?, last.parse().ok()?);
                }
                _ => return None,
            }
        }
        Some(records.map_or(Self::Files(files), Self::Records))
    }

    /// Leaves the request for the source; it lasts when this returns.
    pub(super) fn write(&self, own: &Path) -> io::Result<PathBuf> {
        let folder = super::requests(own);
        make_as_neighbours(&folder)?;
        let name = format!("{:016x}-{:x}", now_us(), std::process::id());
        let new = folder.join(format!(".{name}"));
        let mut file = File::create(&new)?;
        file.write_all(self.text().as_bytes())?;
        // Whoever asks may be root, and the agent is not.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()?;
        let path = folder.join(name);
        fs::rename(new, &path)?;
        sync(&folder)?;
        Ok(path)
    }
}

/// The oldest requests that wait, at most so many.
pub(super) fn waiting(own: &Path, max: usize) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(super::requests(own)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths.truncate(max);
    Ok(paths)
}

/// `None` where it can't be understood.
pub(super) fn read(path: &Path) -> io::Result<Option<Request>> {
    let mut text = String::new();
    match File::open(path)?.take(BYTES_MAX).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        read => read.map(|_| Request::parse(&text)),
    }
}

/// The request is done with; it lasts when this returns.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), sync)
}

/// Makes a folder and those above it; they belong to whom the first that is there belongs to.
fn make_as_neighbours(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| !folder.is_dir())
        .collect();
    for folder in missing.into_iter().rev() {
        let parent = folder.parent().unwrap_or(Path::new("/"));
        let owner = fs::metadata(parent)?;
        DirBuilder::new().mode(0o700).create(folder)?;
        if rustix::process::geteuid().is_root() {
            chown(folder, Some(owner.uid()), Some(owner.gid()))?;
        }
        sync(parent)?;
    }
    Ok(())
}

fn as_name(text: &str) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt as _;
    unescape(text).map(OsString::from_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let content = Content {
            sha256: [7; 32],
            bytes: 148,
            repeat: 3,
        };
        let records = |which| {
            Request::Records(Records {
                name: "a.txt".into(),
                now: "a-07070707.txt".into(),
                content,
                look: Look {
                    bytes: 148,
                    modified_us: -5,
                    inode: 9,
                    born_us: 4,
                },
                which,
            })
        };
        for request in [
            Request::Files(vec!["a b.txt".into(), "ü\n".into()]),
            records(Which::Ordinals([5, 9].into())),
            records(Which::Lines(3, 9)),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let own = folder.path().join("sources/stock");
            let path = request.write(&own).expect("it is written");
            assert_eq!(
                waiting(&own, 9).expect("a list"),
                std::slice::from_ref(&path)
            );
            assert_eq!(read(&path).expect("it is there"), Some(request));
            remove(&path).expect("it goes");
            assert!(waiting(&own, 9).expect("a list").is_empty());
        }
        assert_eq!(Request::parse("dray redrive 2\nfile\ta$\n"), None);
        assert_eq!(Request::parse("dray redrive 1\nfile\ta\n"), None);
    }
}
