//! What opening a buffer's folder finds, and what it refuses: generations that don't join, and less than
//! the witness says.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::folder;
use crate::generation::{self, Generation};
use crate::layout::{self, Note, Placed, Record};
use crate::ledger::{Entry, Ledger};
use crate::marks::MARK_SECONDS;
use crate::shared::Slice;
use crate::sled_buffer::{MARKS, Options};
use crate::witness::{Said, Witness};

const WAY_OUT: &str =
    "Move the folder away to begin a new buffer: dropped files are read again from archive/pending";

/// What opening finds.
pub(crate) struct Opened {
    pub(crate) epoch: u64,
    pub(crate) ledger: Ledger,
    pub(crate) slices: BTreeMap<u64, Slice>,
    pub(crate) tail: Arc<Generation>,
    pub(crate) tail_first: u64,
    pub(crate) placed: Vec<Placed>,
}

/// Opens the newest generation and takes in what all of them hold.
pub(crate) fn open(options: &Options) -> Result<Opened, String> {
    let folder = &options.folder;
    let firsts =
        generations(folder).map_err(|error| format!("its folder can't be read: {error}"))?;
    make_ballast(options);
    let said = Witness::read(folder).map_err(|error| format!("its witness: {error}"))?;
    if firsts.is_empty() && said.is_some() {
        tracing::error!(folder = %folder.display(), "the buffer's generations are gone; a new epoch begins, and dropped files are read again from archive/pending");
        forget_marks(folder)?;
    }
    let mut ledger = Ledger::default();
    read_marks(folder, &mut ledger)?;
    let mut slices = BTreeMap::new();
    let (mut epoch, mut expected, mut tail) = (0, None, None);
    for (index, first) in firsts.iter().copied().enumerate() {
        let path = folder.join(generation::name(first));
        if expected.is_some_and(|expected| expected != first) {
            return Err(format!(
                "{} does not join the generation before it; what is between is missing. {WAY_OUT}",
                path.display()
            ));
        }
        let newest = index + 1 == firsts.len();
        let (placed, opened) =
            match generation::summary(&path).map_err(|reason| format!("{reason}. {WAY_OUT}"))? {
                Some(placed) => (placed, None),
                None => {
                    let opened = Generation::open(&path)?;
                    // After a kill the kernel may still hold what the disk does not: nobody is told of a
                    // block before it is on stable storage.
                    opened
                        .sync()
                        .map_err(|error| format!("{}: {error}", path.display()))?;
                    (opened.scan(first)?, Some(opened))
                }
            };
        let held = take_in(&placed, &mut ledger, &mut epoch)
            .map_err(|reason| format!("{}: {reason}", path.display()))?;
        let last = placed
            .last()
            .ok_or_else(|| format!("{} is empty", path.display()))?;
        expected = Some(last.number + last.values);
        let sealed = opened.is_none() || !newest;
        slices.insert(
            first,
            Slice {
                held,
                sealed,
                bytes: folder::allocated(&path),
            },
        );
        if newest {
            tail = opened.map(|opened| (first, opened, placed));
        }
    }
    if let Some(said) = said.filter(|said| said.epoch == epoch) {
        agree(said, &firsts, expected.unwrap_or(1))?;
    }
    if epoch == 0 {
        epoch = rand::random::<u64>() | 1;
    }
    let (tail_first, tail, placed) = match tail {
        Some(tail) => tail,
        // The newest was sealed and the next one not yet made, or there is none at all.
        None => {
            let first = expected.unwrap_or(1);
            let opening = Record::Opening {
                epoch,
                flows: ledger.standings(),
            };
            let made = Generation::create(folder, first, &opening)?;
            let bytes = folder::allocated(made.path());
            slices.insert(
                first,
                Slice {
                    bytes,
                    ..Slice::default()
                },
            );
            (
                first,
                made,
                vec![Placed {
                    number: first,
                    values: 1,
                    payload_bytes: 0,
                    record: opening,
                }],
            )
        }
    };
    Ok(Opened {
        epoch,
        ledger,
        slices,
        tail: Arc::new(tail),
        tail_first,
        placed,
    })
}

/// What was answered for must be there.
fn agree(said: Said, firsts: &[u64], next: u64) -> Result<(), String> {
    let gone = |first: u64| Err(format!("{} is missing. {WAY_OUT}", generation::name(first)));
    match (firsts.first(), firsts.last()) {
        (Some(oldest), _) if *oldest > said.oldest => gone(said.oldest),
        (_, Some(newest)) if *newest < said.newest => gone(said.newest),
        (_, Some(newest)) if next < said.next => Err(format!(
            "{} is damaged: its numbers from {next} to {} are missing. {WAY_OUT}",
            generation::name(*newest),
            said.next - 1
        )),
        _ => Ok(()),
    }
}

/// Without their generations marks would say of files that they were sent.
fn forget_marks(folder: &Path) -> Result<(), String> {
    let marks = folder.join(MARKS);
    fs::remove_dir_all(&marks)
        .and_then(|()| fs::create_dir(&marks))
        .and_then(|()| folder::sync(folder))
        .map_err(|error| format!("{}: {error}", marks.display()))
}

/// The generations' first numbers, ascending; what a cut left half done is removed.
fn generations(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("tmp-") || name.starts_with(".gone-") {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?
            } else {
                fs::remove_file(entry.path())?
            }
        }
        firsts.extend(generation::parse_name(&name));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Takes a generation's records into the ledger; how many blocks it holds.
fn take_in(placed: &[Placed], ledger: &mut Ledger, epoch: &mut u64) -> Result<u64, String> {
    let mut held = 0;
    for one in placed {
        match &one.record {
            Record::Opening {
                epoch: found,
                flows,
            } => {
                if *epoch != 0 && epoch != found {
                    return Err("it belongs to another buffer: its epoch differs".into());
                }
                *epoch = *found;
                flows
                    .iter()
                    .try_for_each(|standing| ledger.stand(standing))?;
            }
            Record::Block { flow, block } => {
                let entry = Entry::new(one.number, block, one.payload_bytes);
                ledger.push(flow, entry, block.chain, block.chain_after)?;
                held += 1;
            }
            Record::Note(note) => ledger.note(
                &note.flow,
                &note.position,
                &note.marks,
                note.through,
                note.at_s,
            ),
        }
    }
    Ok(held)
}

/// Reads the marks of generations that are gone; files that are too old go.
fn read_marks(folder: &Path, ledger: &mut Ledger) -> Result<(), String> {
    let failed =
        |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let marks = folder.join(MARKS);
    let mut files: Vec<PathBuf> = fs::read_dir(&marks)
        .map_err(|error| failed(&marks, &error))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for path in files {
        let age = path
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("tmp-"));
        if hidden || age.is_some_and(|age| age.as_secs() > MARK_SECONDS) {
            fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| failed(&path, &error))?;
        let notes = layout::decode_summary(&bytes).map_err(|what| {
            failed(
                &path,
                &format!("{what}. Remove it to go on; dropped files that it remembers are then sent again if they come again"),
            )
        })?;
        for one in notes {
            if let Record::Note(Note {
                flow,
                marks,
                through,
                at_s,
                ..
            }) = one.record
            {
                ledger.remember(&flow, &marks, through, at_s);
            }
        }
    }
    Ok(())
}

/// Bytes on disk besides the generations.
pub(crate) fn other_bytes(folder: &Path) -> u64 {
    let ballast = fs::metadata(folder.join("ballast")).map_or(0, |found| found.blocks() * 512);
    ballast + folder::allocated(&folder.join(MARKS))
}

/// Space to give up later; made only where there is plenty.
fn make_ballast(options: &Options) {
    let path = options.folder.join("ballast");
    if options.ballast_bytes == 0
        || path.exists()
        || folder::free(&options.folder) < options.ballast_bytes * 2 + options.reserve_bytes
    {
        return;
    }
    let made = File::create(&path).and_then(|file| {
        rustix::fs::fallocate(
            &file,
            rustix::fs::FallocateFlags::empty(),
            0,
            options.ballast_bytes,
        )
        .map_err(io::Error::from)
    });
    if let Err(error) = made {
        tracing::debug!(%error, "no ballast could be set aside");
        let _ = fs::remove_file(path);
    }
}
