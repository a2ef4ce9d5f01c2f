//! What lies in the folder, and in which order it is taken.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use dray_edges::edge;

use crate::config::Order;
use crate::matcher::Matcher;
use crate::ready::Look;

/// Files kept in mind at once, the first in order; later scans find the others.
pub(crate) const FILES_MAX: usize = 100_000;

/// Symbolic links that are told of, at most.
const LINKS_MAX: usize = 100;

/// Where a file stands in the order in which files are taken.
pub(crate) type OrderKey = (i128, OsString);

/// Whether a file of this name is taken at all.
pub(crate) fn takes(matcher: &Matcher, name: &OsStr) -> bool {
    let text = name.to_string_lossy();
    !text.starts_with('.')
        && !text.ends_with(".tmp")
        && !text.ends_with(".part")
        && matcher.is_match(&text)
}

/// What a scan saw.
pub(crate) struct Listed {
    /// The files that are taken, by their place in the order.
    pub(crate) files: BTreeMap<OrderKey, Look>,
    /// Symbolic links, pipes and the like of fitting names, which are not: who made them may expect it.
    pub(crate) links: Vec<OsString>,
    /// Done files and locks, at most as many as files.
    pub(crate) beside: Vec<OsString>,
}

/// Looks through the folder. Folders in it are passed over, and files of which `is_taken` says that nothing is to be
/// done about them: it is asked of each file that is there.
pub(crate) fn list(
    folder: &Path,
    matcher: &Matcher,
    order: Order,
    is_taken: &mut dyn FnMut(&OsStr, Look) -> bool,
) -> io::Result<Listed> {
    let mut files = BTreeMap::new();
    let (mut links, mut beside) = (Vec::new(), Vec::new());
    let mut entries = fs::read_dir(folder)?.peekable();
    // A folder's names come many at a time, and by the time they are looked at they may be others'.
    let _ = entries.peek();
    edge!("file_drop.before_looks");
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if !takes(matcher, &name) {
            if matcher.is_beside(&name) && beside.len() < FILES_MAX {
                beside.push(name);
            }
            continue;
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // Gone since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_file() {
            let look = look_of(&metadata);
            if is_taken(&name, look) {
                continue;
            }
            files.insert(order_key(order, &name, look), look);
            if files.len() > FILES_MAX {
                files.pop_last();
            }
        } else if !metadata.is_dir() && links.len() < LINKS_MAX {
            links.push(name);
        }
    }
    Ok(Listed {
        files,
        links,
        beside,
    })
}

pub(crate) fn look_of(metadata: &Metadata) -> Look {
    let born = metadata
        .created()
        .ok()
        .and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    Look {
        bytes: metadata.len(),
        modified_us: metadata.mtime().saturating_mul(1_000_000) + metadata.mtime_nsec() / 1_000,
        inode: metadata.ino(),
        born_us: born.map_or(0, |born| i64::try_from(born.as_micros()).unwrap_or(0)),
    }
}

pub(crate) fn order_key(order: Order, name: &OsStr, look: Look) -> OrderKey {
    (order_number(order, name, look), name.to_owned())
}

/// What files are ordered by before their names.
pub(crate) fn order_number(order: Order, name: &OsStr, look: Look) -> i128 {
    match order {
        Order::Name => 0,
        Order::Mtime => i128::from(look.modified_us),
        Order::Number => first_number(&name.to_string_lossy()),
    }
}

/// The first run of digits in a name; names without one come last.
fn first_number(name: &str) -> i128 {
    let digits = name
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_names() {
        for (name, expected) in [
            ("SHP_0007.txt", 7),
            ("x12y9", 12),
            ("none", i128::MAX),
            (&"9".repeat(80), i128::MAX),
        ] {
            assert_eq!(first_number(name), expected, "{name}");
        }
    }
}
