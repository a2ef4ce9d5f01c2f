//! Damaged generations: what can be read of one is put in its place, the rest is put aside.
//!
//! ```text
//! buffer/quarantine/g-<first number>-<n>/   as it was found
//! ```
//! A mended generation is sealed. Its summary says which numbers can't be read ([`Record::Lost`]), so that the generations
//! join. Its marks are forgotten: files that it remembered are read again if they are there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crate::folder;
use crate::generation::{self, Generation};
use crate::layout::{Placed, Record};
use crate::sled_buffer::{BALLAST, MARKS};
use crate::unreadable::Unreadable;

pub(crate) const QUARANTINE: &str = "quarantine";
/// How long sled may take to open a generation or to read what is left of one. Opening 64 MiB takes 0.1 s.
const SLED_MAX: Duration = Duration::from_secs(60);

/// What opening a buffer takes on disk: a segment of its newest generation, one of the one before if that is not sealed, and perhaps a new
/// one.
const OPEN_BYTES: u64 = 24 * 1024 * 1024;
/// What opening or mending a generation takes on disk, generously.
const MEND_BYTES: u64 = 64 * 1024 * 1024;

/// Runs what calls sled in a thread of its own: a panic or a hang of sled becomes a sentence.
pub(crate) fn guarded<T: Send + 'static>(
    what: &Path,
    work: impl FnOnce() -> Result<T, Unreadable> + Send + 'static,
) -> Result<T, Unreadable> {
    let (sender, answer) = mpsc::channel();
    let thread = std::thread::Builder::new().name("sled".into());
    let started = thread.spawn(move || {
        let done = std::panic::catch_unwind(AssertUnwindSafe(work));
        // Nobody waits any more if it took too long.
        let _ = sender.send(done.unwrap_or_else(|_| Err("sled panicked".into())));
    });
    started?;
    let silent = || Unreadable::Failed(format!("sled does not come back after {SLED_MAX:?}"));
    answer
        .recv_timeout(SLED_MAX)
        .unwrap_or_else(|_| Err(silent()))
        .map_err(|why| why.at(what.display()))
}

/// Why a buffer can't be opened in this folder for now: rights, descriptors, a full disk. What was set aside for that is given
/// up.
#[must_use]
pub fn hindrance_in(folder: &Path) -> Option<String> {
    let _ = fs::remove_file(folder.join(BALLAST));
    hindrance_to_write(folder, OPEN_BYTES)
}

/// Opening a buffer takes room: what was set aside for that is given up where there is little.
pub(crate) fn make_way(folder: &Path) {
    if folder::free(folder) < OPEN_BYTES {
        let _ = fs::remove_file(folder.join(BALLAST));
    }
}

/// Why a generation can't be opened or mended for now, though it may be whole: rights, descriptors, a full disk.
pub(crate) fn hindrance(path: &Path) -> Option<String> {
    let file = path.join("db");
    let opened = OpenOptions::new().read(true).write(true).open(&file);
    match opened {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Some(format!("{}: {error}", file.display()))
        }
        _ => hindrance_to_write(path.parent().unwrap_or(path), MEND_BYTES),
    }
}

/// Why no file of so many bytes can be made in this folder for now.
pub(crate) fn hindrance_to_write(folder: &Path, bytes: u64) -> Option<String> {
    let free = folder::free(folder);
    if free < bytes {
        return Some(folder::lacks_room(folder, free, bytes));
    }
    let trial = folder.join("tmp-trial");
    let made = File::create(&trial).and_then(|_| fs::remove_file(&trial));
    match made {
        // Somebody else tries it, too.
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => None,
        made => made
            .err()
            .map(|error| format!("{}: {error}", trial.display())),
    }
}

/// Puts a sealed generation in the place of a damaged or missing one: what is readable of the numbers from `first` to
/// `end`.
pub(crate) fn mend(buffer: &Path, first: u64, end: u64) -> Result<Vec<Placed>, String> {
    let name = generation::name(first);
    let path = buffer.join(&name);
    if !path.exists() {
        // Somebody deleted it while the buffer was open.
        return stand_in(buffer, first, end);
    }
    let hidden = buffer.join(format!("tmp-{name}"));
    let failed = |error: io::Error| format!("{} can't be mended: {error}", path.display());
    remove(&hidden).map_err(failed)?;
    let (from, to) = (path.clone(), hidden.clone());
    let copied = guarded(&path, move || copy_readable(&from, &to, first, end));
    let placed = match copied {
        Ok(placed) => placed,
        Err(why) => {
            let hindrance = hindrance(&path);
            if hindrance.is_some() || (!matches!(why, Unreadable::Damaged(_)) && !why.is_of_disk())
            {
                // Another try may find all of it.
                return Err(hindrance.unwrap_or_else(|| why.reason().to_owned()));
            }
            let reason = why.reason();
            tracing::error!(reason, "nothing of it can be read");
            remove(&hidden).map_err(failed)?;
            fs::create_dir(&hidden).map_err(failed)?;
            vec![lost(first, end)]
        }
    };
    generation::seal(&hidden, &placed)?;
    folder::sync_tree(&hidden).map_err(failed)?;
    // Each step can be done again: what is damaged keeps its name until it stands in quarantine under another one.
    forget_marks(buffer, first).map_err(failed)?;
    let aside = into_quarantine(buffer, &hidden, &name).map_err(failed)?;
    exchange(&aside, &path).map_err(failed)?;
    folder::sync(aside.parent().unwrap_or(buffer)).map_err(failed)?;
    tracing::error!(generation = name, aside = %aside.display(), "a damaged part of the buffer was put aside; a new epoch begins with what is left");
    Ok(placed)
}

/// Stands in for generations that are missing: numbers from `first` to `end`.
pub(crate) fn stand_in(buffer: &Path, first: u64, end: u64) -> Result<Vec<Placed>, String> {
    let name = generation::name(first);
    let failed = |error: io::Error| format!("{name} can't be stood in for: {error}");
    let hidden = buffer.join(format!("tmp-{name}"));
    let placed = vec![lost(first, end)];
    remove(&hidden).map_err(failed)?;
    fs::create_dir(&hidden).map_err(failed)?;
    generation::seal(&hidden, &placed)?;
    fs::rename(&hidden, buffer.join(&name)).map_err(failed)?;
    folder::sync(buffer).map_err(failed)?;
    forget_marks(buffer, first).map_err(failed)?;
    tracing::error!(
        generation = name,
        "a part of the buffer is missing; a new epoch begins with what is left"
    );
    Ok(placed)
}

/// Numbers that can't be read.
pub(crate) fn lost(first: u64, end: u64) -> Placed {
    Placed {
        number: first,
        values: end - first,
        payload_bytes: 0,
        record: Record::Lost,
    }
}

/// Copies every record that can be read, under its number.
fn copy_readable(from: &Path, to: &Path, first: u64, end: u64) -> Result<Vec<Placed>, Unreadable> {
    let damaged = Generation::open(from)?;
    let end = end.max(damaged.end()?.unwrap_or(first));
    let copy =
        Generation::make(to).map_err(|why| Unreadable::Unwritten(why.reason().to_owned()))?;
    let mut placed: Vec<Placed> = Vec::new();
    let mut number = first;
    while number < end {
        let Some((mut record, values)) = damaged.readable(number) else {
            match placed.last_mut() {
                Some(last) if matches!(last.record, Record::Lost) => last.values += 1,
                _ => placed.push(lost(number, number + 1)),
            }
            number += 1;
            continue;
        };
        if let Record::Note(note) = &mut record {
            note.marks.clear();
        }
        let mut payload_bytes = 0;
        copy.put(number, &record).map_err(Unreadable::Unwritten)?;
        if let Record::Block { block, .. } = &mut record {
            payload_bytes = std::mem::take(&mut block.block.payload).len() as u32;
        }
        placed.push(Placed {
            number,
            values,
            payload_bytes,
            record,
        });
        number += values;
    }
    copy.sync()
        .map_err(|error| Unreadable::Unwritten(error.to_string()).at(to.display()))?;
    Ok(placed)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Swaps two folders' names: a cut leaves one or the other.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?;
    folder::sync(one.parent().unwrap_or(one))
}

/// Moves the mended copy to where the damaged one is to go: to exchange the two is one step then.
fn into_quarantine(buffer: &Path, copy: &Path, name: &str) -> io::Result<PathBuf> {
    let quarantine = buffer.join(QUARANTINE);
    fs::create_dir_all(&quarantine)?;
    let free = (1..)
        .map(|n| quarantine.join(format!("{name}-{n}")))
        .find(|path| !path.exists());
    let aside = free.unwrap_or_else(|| quarantine.join(name));
    fs::rename(copy, &aside)?;
    folder::sync(&quarantine)?;
    folder::sync(buffer)?;
    Ok(aside)
}

fn forget_marks(buffer: &Path, first: u64) -> io::Result<()> {
    let marks = buffer.join(MARKS);
    match fs::remove_file(marks.join(generation::marks_name(first))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    folder::sync(&marks)
}
