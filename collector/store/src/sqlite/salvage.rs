//! A damaged log file: what can be read of it goes to a new one, and the old one to `quarantine/`.
//!
//! Nothing is guessed: a row counts only with its sum. What is missing is a hole in the offsets, which every reader is
//! told of. Where the flow's own row is gone, its standing is that of its newest block that can be read, and its position that of the newest that has one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dray_proto::{FlowName, Offset, Sequence};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::log_file::{self, rows};
use crate::admission::position_after;
use crate::api::{Held, LogBlock};

/// No block's row is smaller: bounds how many row numbers are asked for where nobody knows the newest.
const ROW_BYTES_MIN: u64 = 64;

/// Makes file `number` anew; false where nothing of it can be read, and it is gone from the log. `before`: what the
/// files before it say; while the store runs: what it knows.
pub(super) fn salvage(
    folder: &Path,
    number: u64,
    id: u64,
    before: &HashMap<FlowName, Held>,
    reason: &str,
) -> Result<bool, String> {
    let path = log_file::path(folder, number);
    tracing::error!(file = %path.display(), reason, "a log file is damaged; what can be read of it is kept, and the file goes to quarantine/");
    let mending = path.with_extension("mending");
    remove(&mending).map_err(|error| error.to_string())?;
    let blocks = match copy(&path, &mending, id, before) {
        Ok(blocks) => blocks,
        // It says nothing of the file: that stays, and another start tries again.
        Err(error) if log_file::is_passing(&error) => return Err(error.to_string()),
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "nothing of it can be read");
            0
        }
    };
    let taken = if blocks == 0 {
        remove(&mending).and_then(|()| set_aside(folder, &path, Keep::Nothing))
    } else {
        File::open(&mending)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&mending, path.with_extension("mended")))
            .and_then(|()| sync(folder))
            .and_then(|()| finish(folder, number))
    };
    taken.map_err(|error| error.to_string())?;
    tracing::warn!(file = %path.display(), blocks, "kept of a damaged log file; the offsets that it lacks are told to all who read them");
    Ok(blocks > 0)
}

/// Lets a mended file take its place, also where a crash came in between.
pub(super) fn finish(folder: &Path, number: u64) -> io::Result<()> {
    let path = log_file::path(folder, number);
    let mended = path.with_extension("mended");
    if !mended.exists() {
        return Ok(());
    }
    set_aside(folder, &path, Keep::Database)?;
    fs::rename(&mended, &path)?;
    sync(folder)
}

/// Copies what is whole; how many blocks.
fn copy(
    from: &Path,
    to: &Path,
    id: u64,
    before: &HashMap<FlowName, Held>,
) -> rusqlite::Result<u64> {
    let source = Connection::open_with_flags(
        from,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let standings = rows::standings(&source).unwrap_or_default();
    let mut flows: Vec<(Option<i64>, FlowName)> = standings
        .iter()
        .map(|(standing, _)| (Some(standing.id), standing.flow.clone()))
        .collect();
    // Rows of a flow whose own row is gone are found by their sums.
    let lost = before
        .keys()
        .filter(|flow| !standings.iter().any(|(known, _)| known.flow == **flow));
    flows.extend(lost.map(|flow| (None, flow.clone())));

    let mut target = log_file::connect(
        to,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )?;
    let transaction = target.transaction()?;
    log_file::begin(&transaction, id)?;
    for (_, flow) in &flows {
        // Its number first; what it says is written below.
        rows::put_head(&transaction, flow, Offset(0), &Held::default())?;
    }
    let mut spans: HashMap<usize, Span> = HashMap::new();
    let mut blocks = 0;
    let mut get = source.prepare(
        "SELECT first_offset, epoch, first_sequence, header, payload, sum, flow FROM block WHERE id = ?1",
    )?;
    for row in 1..=newest_row(&source, from) {
        let found = get
            .query_row([row as i64], |row| whole(row, &flows))
            .optional();
        let Ok(Some(Some((flow, stored)))) = found else {
            continue;
        };
        let Some(header) = &stored.block.header else {
            continue;
        };
        let name = &flows[flow].1;
        let number = rows::flow_id(&transaction, name)?.unwrap_or_default();
        let place = (number, name);
        let put = rows::put_block(
            &transaction,
            place,
            stored.first_offset,
            header,
            &stored.block.payload,
        );
        match put {
            // A damaged tree shows one row in two places.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                continue;
            }
            put => put?,
        }
        spans
            .entry(flow)
            .or_insert_with(|| Span::new(&stored))
            .add(stored);
        blocks += 1;
    }
    for (index, (_, flow)) in flows.iter().enumerate() {
        let known = standings
            .iter()
            .find(|(standing, is_whole)| *is_whole && standing.flow == *flow);
        let head = match (known, spans.get(&index), before.get(flow)) {
            (Some((standing, _)), ..) => Some((standing.opened_at, standing.held.clone())),
            (None, Some(span), before) => Some(span.standing(before)),
            (None, None, Some(before)) => Some((before.newest_offset, before.clone())),
            (None, None, None) => None,
        };
        match head {
            Some((opened_at, held)) => rows::put_head(&transaction, flow, opened_at, &held)?,
            None => drop(transaction.execute("DELETE FROM flow WHERE name = ?1", [flow.as_str()])?),
        }
    }
    transaction.commit()?;
    target.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(blocks)
}

/// A row, and whose it is.
fn whole(
    row: &rusqlite::Row<'_>,
    flows: &[(Option<i64>, FlowName)],
) -> rusqlite::Result<Option<(usize, LogBlock)>> {
    let id: i64 = row.get(6)?;
    let said = flows.iter().position(|(of, _)| *of == Some(id));
    let others = (0..flows.len()).filter(|index| Some(*index) != said);
    for index in said.into_iter().chain(others) {
        if let Some(block) = rows::whole_block(row, &flows[index].1)? {
            return Ok(Some((index, block)));
        }
    }
    Ok(None)
}

/// What was read of a flow.
struct Span {
    first: Offset,
    newest: LogBlock,
    /// Of the newest block that says it, and where that stands.
    position: (Offset, Bytes),
}

impl Span {
    fn new(block: &LogBlock) -> Self {
        Self {
            first: block.first_offset,
            newest: block.clone(),
            position: (Offset(0), Bytes::new()),
        }
    }

    fn add(&mut self, block: LogBlock) {
        self.first = self.first.min(block.first_offset);
        let header = block.block.header.as_ref();
        let said = header.map(|header| header.position.clone());
        if let Some(said) = said.filter(|said| !said.is_empty())
            && block.first_offset >= self.position.0
        {
            self.position = (block.first_offset, said);
        }
        if block.first_offset >= self.newest.first_offset {
            self.newest = block;
        }
    }

    /// Where the flow stood before and after what was read of it.
    fn standing(&self, before: Option<&Held>) -> (Offset, Held) {
        let header = self.newest.block.header.clone().unwrap_or_default();
        let count = u64::from(header.count);
        let opened_at = before.map_or(Offset(self.first.0 - 1), |before| before.newest_offset);
        let held = Held {
            epoch: header.epoch,
            next_sequence: Sequence(header.first_sequence + count),
            chain: header.chain_after,
            position: position_after(
                before
                    .map(|before| before.position.clone())
                    .unwrap_or_default(),
                &self.position.1,
            ),
            newest_offset: Offset(self.newest.first_offset.0 + count - 1),
            oldest_offset: Offset(1),
            last_captured_us: header.last_captured_us,
            agent: before
                .map(|before| before.agent.clone())
                .unwrap_or_default(),
            epoch_since_us: before.map_or(0, |before| before.epoch_since_us),
        };
        (opened_at.min(Offset(self.first.0 - 1)), held)
    }
}

fn newest_row(connection: &Connection, path: &Path) -> u64 {
    let asked = connection.query_row("SELECT max(id) FROM block", [], |row| {
        row.get::<_, Option<i64>>(0)
    });
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let bound = (bytes(path) + bytes(&beside(path, "-wal"))) / ROW_BYTES_MIN;
    match asked {
        Ok(newest) => (newest.unwrap_or(0).max(0) as u64).min(bound),
        Err(_) => bound,
    }
}

/// What stays where it was.
#[derive(PartialEq, Eq)]
enum Keep {
    Nothing,
    /// The database, until another takes its place in one step: a crash must not leave a gap in the files' numbers.
    Database,
}

/// Moves a file, and what SQLite keeps beside it, to `quarantine/`: a WAL must never be found beside another database.
fn set_aside(folder: &Path, path: &Path, keep: Keep) -> io::Result<()> {
    let quarantine = folder.join("quarantine");
    fs::create_dir_all(&quarantine)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let place = |n: u32, end: &str| quarantine.join(format!("{name}.{n}{end}"));
    let n = (1..u32::MAX).find(|n| !place(*n, "").exists()).unwrap_or(0);
    if path.exists() {
        fs::hard_link(path, place(n, ""))?;
    }
    for end in ["-wal", "-shm"] {
        let from = beside(path, end);
        if from.exists() {
            fs::rename(from, place(n, end))?;
        }
    }
    sync(&quarantine)?;
    if keep == Keep::Nothing && path.exists() {
        fs::remove_file(path)?;
    }
    sync(folder)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn remove(path: &Path) -> io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        match fs::remove_file(beside(path, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::blocks;

    #[test]
    fn where_a_salvaged_flow_stands_says_the_newest_block_that_says_it() {
        let mut rows = blocks(7, 1, 0, &[3, 4, 5]);
        rows[2].header.as_mut().expect("it has one").position = Bytes::new();
        let rows: Vec<LogBlock> = [1, 4, 8]
            .into_iter()
            .zip(rows)
            .map(|(first, block)| LogBlock {
                first_offset: Offset(first),
                block,
            })
            .collect();
        // Rows come in the order of the damaged file.
        let mut span = Span::new(&rows[1]);
        for at in [1, 2, 0] {
            span.add(rows[at].clone());
        }
        let (opened_at, held) = span.standing(None);
        assert_eq!((opened_at, held.newest_offset), (Offset(0), Offset(12)));
        assert_eq!(held.position, "p4");
        let mut silent = Span::new(&rows[2]);
        silent.add(rows[2].clone());
        let (_, after) = silent.standing(Some(&held));
        assert_eq!(after.position, "p4", "it stands where it stood");
    }
}
