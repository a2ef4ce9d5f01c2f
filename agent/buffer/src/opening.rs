//! What opening a buffer's folder finds, and what it refuses: generations that don't join, and less than
//! the witness says.

mod parts;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::api::{Loss, NewBlock};
use crate::folder;
use crate::generation::{self, Generation};
use crate::layout::{self, Note, Placed, Record, Renewal};
use crate::ledger::{Entry, Ledger};
use crate::marks::MARK_SECONDS;
use crate::mending;
use crate::shared::Slice;
use crate::sled_buffer::{BALLAST, MARKS, Options, seal};
use crate::witness::Witness;
use parts::{Part, begins_epoch, generations, parts};

/// What opening finds.
pub(crate) struct Opened {
    pub(crate) ledger: Ledger,
    pub(crate) slices: BTreeMap<u64, Slice>,
    pub(crate) tail: Arc<Generation>,
    pub(crate) tail_first: u64,
    pub(crate) placed: Vec<Placed>,
    /// What damage took from earlier epochs.
    pub(crate) losses: Vec<Loss>,
}

/// Takes in what all generations hold, and opens the newest one. What is missing or damaged is stood in for, and
/// what is left begins a new epoch.
pub(crate) fn open(options: &Options) -> Result<Opened, String> {
    let folder = &options.folder;
    let firsts =
        generations(folder).map_err(|error| format!("its folder can't be read: {error}"))?;
    mending::make_way(folder);
    make_ballast(options);
    let said = Witness::read(folder).map_err(|error| format!("its witness: {error}"))?;
    if firsts.is_empty() && said.is_some() {
        tracing::error!(folder = %folder.display(), "the buffer's generations are gone; a new epoch begins, and dropped files are read again from archive/pending");
        forget_marks(folder)?;
    }
    let mut parts = parts(folder, &firsts, said)?;
    let mut ledger = Ledger::default();
    read_marks(folder, &mut ledger, parts.first().map(|part| part.first))?;
    let mut reading = Reading::default();
    for (index, part) in parts.iter().enumerate() {
        let records = part.records(folder)?;
        take_in(&records, index == 0, &mut ledger, &mut reading)
            .map_err(|reason| format!("{}: {reason}", generation::name(part.first)))?;
    }
    ledger.end_reading();
    if reading.lost {
        ledger.lost_end();
    }
    let epoch = ledger.epoch;
    let unnamed = ledger.losses.iter_mut().filter(|loss| loss.epoch == 0);
    unnamed.for_each(|loss| loss.epoch = epoch);
    let ended = parts.pop_if(|part| part.tail.is_some());
    let damaged = reading.lost || !ledger.losses.is_empty();
    let (tail_first, tail, placed) = match ended {
        Some(Part {
            first,
            records: Some(placed),
            tail: Some(tail),
            ..
        }) if !damaged => (first, tail, placed),
        ended => {
            let first = ended.as_ref().or(parts.last()).map_or(1, |part| part.end);
            if let Some(part) = ended {
                let placed = part.records(folder)?;
                seal(folder, part.first, &placed)?;
                parts.push(Part::sealed(part.first, &placed));
            }
            let opening = if damaged {
                let mut blocks = Vec::new();
                for part in &parts {
                    blocks.extend(headers(&part.records(folder)?));
                }
                let epoch = rand::random::<u64>() | 1;
                let renewal = ledger.plan(epoch, blocks.into_iter())?;
                ledger.renew(&renewal);
                tell(&renewal);
                reading.losses.clone_from(&renewal.losses);
                Record::Renewal(renewal)
            } else {
                if ledger.epoch == 0 {
                    ledger.epoch = rand::random::<u64>() | 1;
                }
                Record::Opening {
                    epoch: ledger.epoch,
                    flows: ledger.standings(),
                }
            };
            let (tail, placed) = begin(folder, None, first, opening)?;
            (first, tail, vec![placed])
        }
    };
    let tail_part = (tail_first, begins_epoch(&placed));
    let renewed: HashSet<u64> = parts
        .iter()
        .map(|part| (part.first, part.begins_epoch))
        .chain([tail_part])
        .filter(|(_, begins)| *begins)
        .map(|(first, _)| first)
        .collect();
    let mut slices: BTreeMap<u64, Slice> = parts
        .iter()
        .map(|part| (part.first, true))
        .chain([(tail_first, false)])
        .map(|(first, sealed)| {
            let bytes = folder::allocated(&folder.join(generation::name(first)));
            let slice = Slice {
                sealed,
                bytes,
                begins_epoch: renewed.contains(&first),
                ..Slice::default()
            };
            (first, slice)
        })
        .collect();
    for number in ledger.numbers() {
        if let Some((_, slice)) = slices.range_mut(..=number).next_back() {
            slice.held += 1;
        }
    }
    Ok(Opened {
        ledger,
        slices,
        tail: Arc::new(tail),
        tail_first,
        placed,
        losses: reading.losses,
    })
}

/// Begins a generation with this record: the one that was prepared for it, or one that is made now.
pub(crate) fn begin(
    folder: &Path,
    prepared: Option<Generation>,
    first: u64,
    opening: Record,
) -> Result<(Generation, Placed), String> {
    // Somebody may have deleted it since.
    let prepared = prepared.filter(|prepared| !prepared.is_deleted());
    let prepared = prepared.map_or_else(|| Generation::prepare(folder), Ok)?;
    let (made, written) = prepared.begin(folder, first, &opening)?;
    let placed = Placed {
        number: first,
        values: written.numbers,
        payload_bytes: 0,
        record: opening,
    };
    Ok((made, placed))
}

/// Says what a new epoch is for.
pub(crate) fn tell(renewal: &Renewal) {
    let epoch = format!("{:016x}", renewal.epoch);
    for loss in &renewal.losses {
        tracing::error!(%loss, "the disk lost them; whether the collector had them, its log says");
    }
    tracing::warn!(epoch, "a new epoch begins");
}

/// The blocks of a generation, without payloads.
pub(crate) fn headers(placed: &[Placed]) -> impl Iterator<Item = (String, u64, NewBlock)> + '_ {
    placed.iter().filter_map(|one| match &one.record {
        Record::Block { flow, block } => Some((flow.clone(), one.number, block.block.clone())),
        _ => None,
    })
}

/// Without their generations marks would say of files that they were sent.
fn forget_marks(folder: &Path) -> Result<(), String> {
    let marks = folder.join(MARKS);
    fs::remove_dir_all(&marks)
        .and_then(|()| fs::create_dir(&marks))
        .and_then(|()| folder::sync(folder))
        .map_err(|error| format!("{}: {error}", marks.display()))
}

/// What goes from one generation to the next while they are read.
#[derive(Default)]
struct Reading {
    losses: Vec<Loss>,
    /// Numbers before this can't be read, and no generation after them has said yet where the flows stood.
    lost: bool,
    /// The oldest ones were put together while flows were held from before them: these are not named. What came before is gone by now,
    /// so it is acked, and such a flow stands where it is first met.
    held_before: bool,
}

/// Takes a generation's records into the ledger.
fn take_in(
    records: &[Placed],
    oldest: bool,
    ledger: &mut Ledger,
    reading: &mut Reading,
) -> Result<(), String> {
    for one in records {
        match &one.record {
            Record::Opening { epoch, flows } => {
                if ledger.epoch != 0 && ledger.epoch != *epoch {
                    return Err("it belongs to another buffer: its epoch differs".into());
                }
                ledger.epoch = *epoch;
                for standing in flows {
                    let begins = reading.held_before && ledger.knows_nothing_of(&standing.flow);
                    ledger.stand(standing, begins || (oldest && !reading.lost))?;
                }
                (reading.lost, reading.held_before) = (false, false);
            }
            Record::Compacted(compacted) => {
                ledger.epoch = compacted.epoch;
                compacted
                    .flows
                    .iter()
                    .for_each(|standing| ledger.settle(standing));
                reading.held_before |= oldest && !reading.lost;
                reading.lost = false;
            }
            Record::Renewal(renewal) => {
                ledger.believe();
                ledger.renew(renewal);
                reading.losses.clone_from(&renewal.losses);
                (reading.lost, reading.held_before) = (false, false);
            }
            Record::Block { flow, block } => {
                if ledger.epoch != block.epoch {
                    ledger.enter(block.epoch);
                }
                let entry = Entry::new(one.number, block, one.payload_bytes);
                if reading.held_before && ledger.knows_nothing_of(flow) {
                    ledger.begin(flow, &entry);
                }
                ledger.find(flow, entry)?;
            }
            Record::Note(note) => ledger.note(&note.flow, &note.position, &note.marks, note.at_s),
            Record::Lost => {
                ledger.tear();
                (reading.lost, reading.held_before) = (true, false);
            }
        }
    }
    Ok(())
}

/// Reads the marks of generations that are gone, which are those before `oldest`; files that are too old go.
fn read_marks(folder: &Path, ledger: &mut Ledger, oldest: Option<u64>) -> Result<(), String> {
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
        // Those of generations that are there stand in their summaries, too.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if oldest.is_none_or(|oldest| *name >= *generation::marks_name(oldest)) {
            break;
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
                flow, marks, at_s, ..
            }) = one.record
            {
                ledger.remember(&flow, &marks, at_s);
            }
        }
    }
    Ok(())
}

/// Bytes on disk besides the generations that have a name.
pub(crate) fn other_bytes(folder: &Path) -> u64 {
    let ballast = fs::metadata(folder.join(BALLAST)).map_or(0, |found| found.blocks() * 512);
    ballast + folder::allocated(&folder.join(MARKS)) + Generation::prepared_bytes(folder)
}

/// Space to give up later; made only where there is plenty.
fn make_ballast(options: &Options) {
    let path = options.folder.join(BALLAST);
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
