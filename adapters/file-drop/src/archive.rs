//! Where files go, and under which name. Nothing is ever overwritten.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::matcher::Matcher;
use crate::scan::takes;

pub(crate) const ARCHIVE: &str = "archive";
pub(crate) const PENDING: &str = "archive/pending";
pub(crate) const REPEATED: &str = "archive/repeated";
pub(crate) const FAILED: &str = "failed";
/// What the agent keeps for itself. A folder, so that whoever counts files does not count it.
pub(crate) const OWN: &str = "archive/.dray";
/// Files pruned at once; the others follow at the next occasion.
const PRUNE_MAX: usize = 2_000;
/// Names tried for one file.
const NAMES_MAX: u32 = 10_000;
/// Bytes of a name that is made, at most: a file system takes 255, and a companion's name may be longer than its file's.
const NAME_BYTES_MAX: usize = 240;
/// Bytes of the beginning, and of the end, that are kept of a name that would become longer.
const KEPT_BYTES: usize = 80;
/// Bytes of what counts as a name's ending, with its dot.
const ENDING_BYTES_MAX: usize = 32;
/// Bytes of a try's number, with its hyphen.
const NUMBER_BYTES_MAX: usize = 5;

/// Makes a folder below `root`, and makes it last: what is moved into a folder is not on stable storage before the
/// folder's own name is.
pub(crate) fn make(root: &Path, folder: &str) -> io::Result<()> {
    let mut path = root.to_owned();
    for name in Path::new(folder) {
        let parent = path.clone();
        path.push(name);
        if path.is_dir() {
            continue;
        }
        match fs::create_dir(&path) {
            // Another flow of the same folder made it in this moment; whether it is synced yet, that flow alone knows.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made?,
        }
        sync(&parent)?;
    }
    Ok(())
}

/// Makes what an earlier run moved last: it may have died, or failed, between a move and its sync.
pub(crate) fn sync_all(root: &Path) -> io::Result<()> {
    for folder in [PENDING, REPEATED, FAILED, ARCHIVE, ""] {
        let folder = root.join(folder);
        if folder.is_dir() {
            sync(&folder)?;
        }
    }
    Ok(())
}

/// Moves a file into a folder below `root`, under its name or, where that is taken, one with the
/// beginning of its hash; returns where it is now. [`sync`] both folders afterwards.
pub(crate) fn move_to(
    file: &Path,
    root: &Path,
    folder: &str,
    sha256: &[u8; 32],
) -> io::Result<PathBuf> {
    let name = own_name(file.file_name().unwrap_or_default(), sha256);
    move_as(file, root, folder, &name, sha256)
}

/// The same, under another name.
pub(crate) fn move_as(
    file: &Path,
    root: &Path,
    folder: &str,
    name: &OsStr,
    sha256: &[u8; 32],
) -> io::Result<PathBuf> {
    let to = root.join(folder);
    let (mut number, mut made) = (0, false);
    while number < NAMES_MAX {
        let to = to.join(candidate(name, sha256, number));
        match rename_new(file, &to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            // Mostly the folder is there: nobody looks before each move.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !made => {
                make(root, folder)?;
                made = true;
            }
            result => return result.map(|()| to),
        }
    }
    Err(io::Error::other(format!(
        "{} holds {NAMES_MAX} files of this name and content",
        to.display()
    )))
}

/// The name of the `number`th try: `a.txt`, `a-0a1b2c3d.txt`, `a-0a1b2c3d-2.txt`. The ending stays, and of a long name
/// beginning and end, so that the flow's pattern still fits.
pub(crate) fn candidate(name: &OsStr, sha256: &[u8; 32], number: u32) -> OsString {
    let hash = hex::encode(&sha256[..4]);
    let added = match number {
        0 => return name.to_owned(),
        1 => format!("-{hash}"),
        _ => format!("-{hash}-{number}"),
    };
    let (stem, ending) = split(name);
    if name.len() + added.len() > NAME_BYTES_MAX {
        return joined(&without_middle(stem), &added, ending);
    }
    joined(stem, &added, ending)
}

/// A name's stem and ending; what is very long is no ending.
fn split(name: &OsStr) -> (&OsStr, Option<&OsStr>) {
    let path = Path::new(name);
    match (path.file_stem(), path.extension()) {
        (Some(stem), Some(ending)) if ending.len() < ENDING_BYTES_MAX => (stem, Some(ending)),
        _ => (name, None),
    }
}

fn joined(stem: &OsStr, added: &str, ending: Option<&OsStr>) -> OsString {
    let mut name = stem.to_owned();
    name.push(added);
    if let Some(ending) = ending {
        name.push(".");
        name.push(ending);
    }
    name
}

/// The beginning and the end of a long stem.
fn without_middle(stem: &OsStr) -> OsString {
    let stem = stem.to_string_lossy();
    let begin = stem.floor_char_boundary(KEPT_BYTES);
    let end = stem.ceil_char_boundary(stem.len().saturating_sub(KEPT_BYTES).max(begin));
    format!("{}{}", &stem[..begin], &stem[end..]).into()
}

/// What is left of a name where [`candidate`] may have left its middle out.
fn short(name: &OsStr) -> Option<OsString> {
    // The shortest that is ever added.
    let is_long = name.len() + "-0a1b2c3d".len() > NAME_BYTES_MAX - NUMBER_BYTES_MAX;
    let (stem, ending) = split(name);
    is_long.then(|| joined(&without_middle(stem), "", ending))
}

/// The names under which a file may lie that had this one.
pub(crate) fn called(name: &OsStr) -> impl Iterator<Item = OsString> {
    [Some(name.to_owned()), short(name)].into_iter().flatten()
}

/// The name that a file with this hash had when it was dropped.
pub(crate) fn own_name(name: &OsStr, sha256: &[u8; 32]) -> OsString {
    match original(name) {
        // A date may look like a hash.
        Some((own, hash)) if hash == hex::encode(&sha256[..4]) => own,
        _ => name.to_owned(),
    }
}

/// The name that a file had if [`candidate`] changed it, and the hash that was added.
pub(crate) fn original(name: &OsStr) -> Option<(OsString, &str)> {
    let path = Path::new(name);
    // What was made before long endings counted for none stands there too.
    let before = (path.file_stem().unwrap_or_default(), path.extension());
    original_of(split(name)).or_else(|| original_of(before))
}

fn original_of<'n>((stem, ending): (&'n OsStr, Option<&OsStr>)) -> Option<(OsString, &'n str)> {
    let stem = stem.to_str()?;
    let is_hash = |text: &str| {
        text.len() == 8
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let (before, last) = stem.rsplit_once('-')?;
    let (before, hash) = if is_hash(last) {
        (before, last)
    } else {
        last.parse::<u32>().ok()?;
        before.rsplit_once('-').filter(|(_, hash)| is_hash(hash))?
    };
    Some((joined(before.as_ref(), "", ending), hash))
}

/// Whether a file in the archive may come from a flow with this pattern: flows may share a folder.
pub(crate) fn is_ours(matcher: &Matcher, name: &OsStr) -> bool {
    takes(matcher, name) || original(name).is_some_and(|(own, _)| takes(matcher, &own))
}

/// Whether a done file in the archive may be of such a file.
pub(crate) fn is_done_of_ours(matcher: &Matcher, name: &OsStr) -> bool {
    matcher.is_done_of(name, |file| is_ours(matcher, file))
}

/// Renames, unless there is something of that name.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems don't know the flag. Only this agent writes there, so looking
        // first is enough.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        result => Ok(result?),
    }
}

/// Makes what was moved into or out of a folder last.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Deletes files that came to the archive more than `days` ago; how many, and whether there are more.
/// Renaming sets a file's change time, so that is when it came.
pub(crate) fn prune(root: &Path, matcher: &Matcher, days: u32) -> io::Result<(usize, bool)> {
    let keep = Duration::from_secs(u64::from(days) * 24 * 3_600);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut pruned = 0;
    for entry in fs::read_dir(root.join(ARCHIVE))? {
        let entry = entry?;
        let name = entry.file_name();
        let is_file = name.as_bytes().first() != Some(&b'.') && is_ours(matcher, &name);
        if !is_file && !is_done_of_ours(matcher, &name) {
            continue;
        }
        let metadata = entry.metadata()?;
        let came = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or(0));
        if metadata.is_file() && now.saturating_sub(came) >= keep {
            if pruned == PRUNE_MAX {
                return Ok((pruned, true));
            }
            fs::remove_file(entry.path())?;
            pruned += 1;
        }
    }
    Ok((pruned, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_flows_of_one_new_folder_make_its_archive_at_once() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a folder");
            let start = std::sync::Barrier::new(8);
            std::thread::scope(|flows| {
                let made: Vec<_> = (0..8)
                    .map(|_| {
                        flows.spawn(|| {
                            start.wait();
                            make(folder.path(), PENDING)
                        })
                    })
                    .collect();
                for flow in made {
                    flow.join().expect("no panic").expect("it is made");
                }
            });
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(ARCHIVE), "a file").expect("room");
        assert!(make(folder.path(), PENDING).is_err());
    }

    #[test]
    fn a_name_that_is_taken_is_made_another_and_known_again() {
        let hash = [0xAB; 32];
        for (name, number, expected) in [
            ("a.txt", 0, "a.txt"),
            ("a.txt", 1, "a-abababab.txt"),
            ("a.txt", 2, "a-abababab-2.txt"),
            ("a", 1, "a-abababab"),
            ("a.b.txt", 12, "a.b-abababab-12.txt"),
        ] {
            let made = candidate(OsStr::new(name), &hash, number);
            assert_eq!(made, expected);
            assert_eq!(own_name(&made, &hash), name);
            assert_eq!(original(&made).is_some(), number > 0);
        }
        assert_eq!(
            own_name(OsStr::new("stock-20261123.txt"), &hash),
            "stock-20261123.txt"
        );
        for name in ["a.txt", "a-b.txt", "a-2.txt", "a-ABABABAB.txt", "-"] {
            assert_eq!(original(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn a_long_name_keeps_what_its_pattern_looks_at() {
        let hash = [0xAB; 32];
        let long = |letter: &str, count: usize| letter.repeat(count);
        for name in [
            format!("SHP_{}_OUT.txt", long("x", 240)),
            format!("SHP_{}_OUT.txt", long("ä", 119)),
            format!("SHP_{}_OUT.txt", long("€", 70)),
            format!("SHP_.{}_OUT.txt", long("y", 220)),
        ] {
            let glob = globset::Glob::new("SHP_*_OUT.txt").expect("a pattern");
            let matcher = Matcher::new(&glob, None, None);
            for number in [1, 2, 9_999] {
                let made = candidate(OsStr::new(&name), &hash, number);
                assert!(made.len() <= NAME_BYTES_MAX, "{made:?}");
                assert!(is_ours(&matcher, &made), "{made:?}");
                let again = candidate(&own_name(&made, &hash), &hash, number);
                assert_eq!(again, made, "once it is short, it stays as it is");
            }
        }
        // No ending is that long, be the name long or not.
        for name in [
            format!("a.{}", long("b", 250)),
            format!("PROD.{}", long("c", 40)),
            format!("PROD.{}", long("d", 30)),
        ] {
            let glob = globset::Glob::new(&format!("{}*", &name[..20])).expect("a pattern");
            let matcher = Matcher::new(&glob, None, None);
            let made = candidate(OsStr::new(&name), &hash, 1);
            assert!(
                made.len() <= NAME_BYTES_MAX && is_ours(&matcher, &made),
                "{made:?}"
            );
            let own = own_name(&made, &hash);
            assert!(called(OsStr::new(&name)).any(|name| name == own), "{own:?}");
        }
        // As an earlier version made it.
        let made = OsStr::new("PROD-abababab.WMS_STOCK_SNAPSHOT_SITE_001_CURRENT");
        assert_eq!(
            own_name(made, &hash),
            "PROD.WMS_STOCK_SNAPSHOT_SITE_001_CURRENT"
        );
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for content in ["1", "2", "3"] {
            let file = root.join("a.txt");
            fs::write(&file, content).expect("a file");
            move_to(&file, root, "there", &[0x11; 32]).expect("a move");
        }
        for (name, content) in [
            ("a.txt", "1"),
            ("a-11111111.txt", "2"),
            ("a-11111111-2.txt", "3"),
        ] {
            assert_eq!(
                fs::read_to_string(root.join("there").join(name)).expect("the file"),
                content
            );
        }
        let again = root.join("there/a-11111111.txt");
        let back = move_to(&again, root, "elsewhere", &[0x11; 32]).expect("a move");
        assert_eq!(
            back.file_name(),
            Some(OsStr::new("a.txt")),
            "it gets its own name back"
        );
    }
}
