//! A slow flow's blocks must not pin what all others are done with: generations of which little is held are put together to
//! one that holds just that.
//!
//! Numbers stay as they are, so nothing else learns of it. What is left out is acked; the first record of the new
//! generation says where each flow stood behind that. It takes the first one's name in one step; the others are removed
//! after that, and where a cut leaves one, opening knows it by its number.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use crate::api::{Sequence, StoredBlock};
use crate::folder;
use crate::generation::{self, Generation};
use crate::layout::{Compacted, Placed, Record, Standing};
use crate::ledger::Ledger;
use crate::mending;
use crate::shared::Slice;
use crate::unreadable::Unreadable;

/// What a generation takes on disk besides twice its payload: sled's segment, and some.
const GENERATION_BYTES: u64 = 12 * 1024 * 1024;

/// Generations that are put together at once, at most: appends wait meanwhile, and sled takes about 0.2 s to open and close each.
const RUN_MAX: usize = 8;

/// Generations that are put together: their first numbers, and the number behind them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) firsts: Vec<u64>,
    pub(crate) end: u64,
}

/// The run of sealed generations that gives most of the disk back; `None` where it would be less than half of what it
/// takes. `held_bytes_max`: payload of the new generation.
pub(crate) fn choose(
    slices: &BTreeMap<u64, Slice>,
    ledger: &Ledger,
    held_bytes_max: u64,
) -> Option<Run> {
    // Blocks before a new epoch's beginning stand on disk under numbers that they do not have any more.
    let begins = slices.iter().rfind(|(_, slice)| slice.begins_epoch);
    let from = begins.map_or(0, |(first, _)| first + 1);
    let ends = slices.keys().skip(1).copied();
    let all: Vec<(u64, u64, u64)> = slices
        .iter()
        .zip(ends)
        .filter(|((first, slice), _)| slice.sealed && **first >= from)
        .map(|((first, slice), end)| (*first, end, slice.bytes))
        .collect();
    let mut held: HashMap<u64, u64> = HashMap::new();
    for (number, bytes) in ledger.held() {
        let at = all.partition_point(|(first, ..)| *first <= number);
        if let Some((first, ..)) = at.checked_sub(1).and_then(|at| all.get(at)) {
            *held.entry(*first).or_default() += u64::from(bytes);
        }
    }
    let mut best: Option<(u64, RangeInclusive<usize>, u64)> = None;
    for start in 0..all.len() {
        let (mut on_disk, mut left) = (0, 0);
        for (index, (first, end, bytes)) in all.iter().enumerate().skip(start).take(RUN_MAX) {
            on_disk += bytes;
            left += held.get(first).copied().unwrap_or(0);
            if left > held_bytes_max {
                break;
            }
            let gain = on_disk.saturating_sub(2 * left + GENERATION_BYTES);
            if gain * 2 >= on_disk && best.as_ref().is_none_or(|(most, ..)| gain > *most) {
                best = Some((gain, start..=index, *end));
            }
        }
    }
    best.map(|(_, indexes, end)| Run {
        firsts: all[indexes].iter().map(|(first, ..)| *first).collect(),
        end,
    })
}

/// What the new generation holds, from what the old ones do (all records in order, without payloads).
pub(crate) fn plan(run: &Run, records: &[Placed], ledger: &Ledger) -> Vec<Placed> {
    let first = run.firsts[0];
    let held: HashSet<u64> = ledger.held().map(|(number, _)| number).collect();
    let mut standings: BTreeMap<String, Standing> = BTreeMap::new();
    // Where the first held block of a flow stands.
    let mut settled: HashSet<String> = HashSet::new();
    let mut kept = Vec::new();
    for one in records {
        match &one.record {
            Record::Opening { flows, .. } | Record::Compacted(Compacted { flows, .. }) => {
                for standing in flows {
                    if !settled.contains(&standing.flow) {
                        standings.insert(standing.flow.clone(), standing.clone());
                    }
                }
            }
            Record::Block { flow, block } => {
                if held.contains(&one.number) {
                    if settled.insert(flow.clone()) {
                        let before = standings.get(flow).map(|before| before.position.clone());
                        let standing = Standing {
                            flow: flow.clone(),
                            next: block.first_sequence,
                            chain: block.chain,
                            position: before.unwrap_or_default(),
                        };
                        standings.insert(flow.clone(), standing);
                    }
                    kept.push(one.clone());
                } else {
                    let next = block.first_sequence.0 + u64::from(block.block.count);
                    let before = standings.get(flow).map(|before| before.position.clone());
                    let own = Some(block.block.position.clone());
                    let position = own.filter(|own| !own.is_empty()).or(before);
                    let standing = Standing {
                        flow: flow.clone(),
                        next: Sequence(next),
                        chain: block.chain_after,
                        position: position.unwrap_or_default(),
                    };
                    standings.insert(flow.clone(), standing);
                }
            }
            Record::Note(note) => {
                let mut one = one.clone();
                // A flow that has no block yet stands at its beginning; of one whose blocks are elsewhere nobody here knows the chain.
                if note.through == Sequence(0) {
                    standings.entry(note.flow.clone()).or_insert(Standing {
                        flow: note.flow.clone(),
                        next: Sequence(1),
                        chain: 0,
                        position: bytes::Bytes::new(),
                    });
                }
                let standing = standings.get_mut(&note.flow);
                let standing = standing.filter(|_| !settled.contains(&note.flow));
                if let (Some(standing), Record::Note(kept)) = (standing, &mut one.record) {
                    // The standing says it: this one may be older.
                    let said = std::mem::take(&mut kept.position);
                    if !said.is_empty() {
                        standing.position = said;
                    }
                }
                kept.push(one);
            }
            Record::Renewal(_) | Record::Lost => {}
        }
    }
    // Of a flow that is held from before these generations on, nothing is acked here. Once that is gone, its first block says where it stands.
    standings.retain(|flow, _| {
        ledger
            .oldest_held(flow)
            .is_none_or(|number| number >= first)
    });
    let compacted = Record::Compacted(Compacted {
        epoch: ledger.epoch,
        end: run.end,
        flows: standings.into_values().collect(),
    });
    let opening = Placed {
        number: first,
        values: 1,
        payload_bytes: 0,
        record: compacted,
    };
    std::iter::once(opening).chain(kept).collect()
}

/// What reads a block: `None` if it was acked meanwhile; the error says whose it is and what is wrong.
type Fetched = Result<Option<StoredBlock>, (u64, Unreadable)>;

/// Copies what is planned, and lets it take the first generation's name. The others are left to [`remove`].
pub(crate) fn copy(
    buffer: &Path,
    run: &Run,
    placed: &[Placed],
    fetch: impl Fn(u64) -> Fetched,
) -> Result<(), String> {
    let name = generation::name(run.firsts[0]);
    let hidden = buffer.join(format!("tmp-{name}"));
    let failed = |error: io::Error| format!("{name}: {error}");
    let _ = fs::remove_dir_all(&hidden);
    let written = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let target = Generation::make(&hidden).map_err(|why| why.reason().to_owned())?;
        for one in placed.iter().skip(1) {
            let mut record = one.record.clone();
            if let Record::Block { block, .. } = &mut record {
                let fetched = fetch(one.number).map_err(|(_, why)| why.reason().to_owned())?;
                *block = fetched.ok_or("its generation is gone")?;
            }
            target.put(one.number, &record)?;
        }
        target.sync().map_err(|error| error.to_string())
    }));
    written.unwrap_or_else(|_| Err("sled panicked".into()))?;
    generation::seal(&hidden, placed)?;
    folder::sync_tree(&hidden).map_err(failed)?;
    mending::exchange(&hidden, &buffer.join(&name)).map_err(failed)
}

/// Removes what the new generation took the place of.
pub(crate) fn remove(buffer: &Path, run: &Run) -> io::Result<()> {
    for first in &run.firsts[1..] {
        let gone = folder::put_away(buffer, &generation::name(*first))?;
        fs::remove_dir_all(gone)?;
    }
    fs::remove_dir_all(buffer.join(format!("tmp-{}", generation::name(run.firsts[0]))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Note;

    #[test]
    fn a_flow_of_which_only_a_note_is_left_is_not_named_as_nobody_knows_its_chain() {
        let note = |flow: &str, through| Placed {
            number: 9,
            values: 1,
            payload_bytes: 0,
            record: Record::Note(Note {
                flow: flow.to_owned(),
                through: Sequence(through),
                at_s: 1,
                position: bytes::Bytes::from_static(b"p"),
                marks: Vec::new(),
            }),
        };
        let run = Run {
            firsts: vec![8],
            end: 11,
        };
        let records = [note("acked", 3), note("young", 0)];
        let planned = plan(&run, &records, &Ledger::new(7));
        let Record::Compacted(Compacted { flows, .. }) = &planned[0].record else {
            panic!("{:?}", planned[0]);
        };
        let named: Vec<_> = flows
            .iter()
            .map(|standing| (&*standing.flow, standing.next.0, &*standing.position))
            .collect();
        assert_eq!(named, [("young", 1, &b"p"[..])]);
        let Record::Note(kept) = &planned[1].record else {
            panic!("{:?}", planned[1]);
        };
        assert_eq!(kept.position, "p", "the note itself still says it");
    }
}
