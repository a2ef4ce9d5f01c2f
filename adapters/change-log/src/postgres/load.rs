//! The first load: the rows that tables have when the flow begins.
//!
//! A slot that lasts as long as the session gives a snapshot and the place in the log behind exactly what it sees. All rows of the snapshot are
//! read, then the log from that place on: nothing is missing between the two, and nothing comes twice.
//!
//! Rows are read in the order of their places in the table's file, as a backup would: no sort, no key needed. A position holds the last one's
//! place, and the files that were there at the beginning. When the agent goes on after an end, the snapshot is gone with its session; then rows
//! are left out that a newer transaction wrote, since the log tells of these. Three kinds come all the same, and may come twice: those of a table
//! with large values, which the log does not repeat when another column changes; those whose writer's number was used before, four thousand
//! million transactions ago; and all of a table whose file was written anew meanwhile, as that may have given them a newer writer of which the log
//! says nothing.

use std::mem;
use std::str::Utf8Error;
use std::sync::Arc;

use bytes::Bytes;
use dray_adapter::{BATCH_BYTES_MAX, IdScope, Report, Reported};
use pgwire_replication::{QueryRow, ReplicationClient};
use tracing::{info, warn};

use super::answer::{query_long, text};
use super::catalogue::{FoundTable, Part, unsaid};
use super::config::PostgresConfig;
use super::kinds::Kinds;
use super::load_session::Session;
use super::message::Cell;
use super::place::Place;
use super::progress::Load;
use super::session::Names;
use super::snapshot::{Sight, Snapshot};
use super::sql;
use super::table::Table;
use crate::reader::{HELD_UP_MAX, Ready, Talk, Told, Trouble, now_us};
use crate::rows::{About, Op, Rows};
use crate::schema::Described;
use crate::watch::Watch;

/// Rows that are asked for at once, at most.
const ROWS_MAX: usize = 2_000;
/// Of a table that has large values.
pub(super) const LARGE_ROWS_MAX: usize = 32;
/// Rows of the first question, before their size is known; of a table with large values one.
const ROWS_FIRST: usize = 64;
/// Bytes that are asked for at once, about.
const ASKED_BYTES: usize = BATCH_BYTES_MAX / 2;
/// Rows of a page, and one more: pages of 32 KiB, the largest, have up to 1,169.
const ITEMS_MAX: u64 = 2_048;
/// Pages whose rows can be told apart by 40 bits.
const PAGES_MAX: u64 = 1 << 29;

/// Reads what is there.
pub(super) struct Loader<'l> {
    flow: &'l str,
    config: &'l PostgresConfig,
    names: &'l Names,
    place: Place,
    load: Load,
    talk: &'l Talk<Place>,
    kinds: &'l mut Kinds,
    watch: &'l mut Watch,
    rows: Rows,
    reports: Vec<Reported>,
}

/// A part that is being read.
struct Reading<'r> {
    table: &'r Table,
    columns: &'r [Described],
    part: &'r Part,
    later: Option<&'r (Snapshot, u64)>,
    /// Its file is another one than when the load began.
    is_anew: bool,
    /// Rows up to this number are appended.
    through: u64,
    position: Arc<str>,
    scope: IdScope,
}

/// How a session ended.
enum Ended {
    Done,
    HeldUp,
    /// Nobody listens any more.
    Alone,
}

impl<'l> Loader<'l> {
    pub(super) fn new(
        flow: &'l str,
        config: &'l PostgresConfig,
        names: &'l Names,
        place: Place,
        talk: &'l Talk<Place>,
        (kinds, watch): (&'l mut Kinds, &'l mut Watch),
    ) -> Self {
        Self {
            flow,
            config,
            names,
            load: place.load().cloned().unwrap_or_default(),
            place,
            talk,
            kinds,
            watch,
            rows: Rows::default(),
            reports: Vec::new(),
        }
    }

    /// Reads all that is left; where the log goes on. `None`: nobody listens any more.
    pub(super) async fn run(mut self) -> Result<Option<Place>, Trouble> {
        loop {
            let place = (&mut self.place, &mut self.load);
            let session = Session::begin(self.config, self.names, self.kinds, place).await?;
            match self.read(session).await? {
                Ended::Done => break,
                Ended::HeldUp => {}
                Ended::Alone => return Ok(None),
            }
        }
        if self.load.doubtful > 0 {
            warn!(
                rows = self.load.doubtful,
                "the first load was interrupted: so many rows may come twice, as read and as a change"
            );
        }
        self.place.set_load(None);
        let done = Told::Looked(Box::new(self.place.clone()), now_us());
        Ok(self.talk.tell(done).await.then_some(self.place))
    }

    async fn ask(
        &self,
        client: &mut ReplicationClient,
        sql: &str,
    ) -> Result<Vec<QueryRow>, Trouble> {
        query_long(self.config, client, sql).await
    }

    async fn read(&mut self, session: Session) -> Result<Ended, Trouble> {
        let Session {
            mut client,
            seen,
            later,
            tables,
        } = session;
        while let Some((oid, file)) = self.load.parts.get(self.load.done).copied() {
            let all = tables
                .iter()
                .flat_map(|found| found.parts.iter().map(move |part| (found, part)));
            let found = all.into_iter().find(|(_, part)| part.oid == oid);
            let Some((FoundTable { table, columns, .. }, part)) = found else {
                warn!(
                    table = oid,
                    "it is gone, or is not named any more: what was not yet read of it is left out"
                );
                self.stand_at(None);
                continue;
            };
            let is_anew = part.file != file;
            if is_anew {
                warn!(
                    table = part.name,
                    "its file was written anew since the first load began: all its rows are read"
                );
                self.load.after = None;
            }
            let after = self.load.after.as_deref().map(ordinal);
            let through = after.unwrap_or(Some(0));
            let through = through.ok_or_else(|| unsaid("where it stood"))?;
            let session = match &later {
                None => "",
                Some(_) => &*seen,
            };
            let reading = Reading {
                table,
                columns,
                part,
                later: later.as_ref(),
                is_anew,
                through,
                position: self.place.end.to_string().into(),
                // Places are used again; but no place twice for what one transaction sees.
                scope: self.scope(session, oid, part.file),
            };
            match self.read_part(&mut client, &reading).await? {
                Ended::Done => {}
                ended => return Ok(ended),
            }
        }
        Ok(Ended::Done)
    }

    fn scope(&self, session: &str, oid: u32, file: u64) -> IdScope {
        let (oid, file) = (oid.to_be_bytes(), file.to_be_bytes());
        let mut parts: Vec<&[u8]> = vec![
            self.flow.as_bytes(),
            b"postgres load",
            self.place.system.as_bytes(),
            self.load.snapshot.as_bytes(),
            session.as_bytes(),
            &oid,
            &file,
        ];
        // A server that went back gives numbers of transactions a second time.
        if !self.place.fork.is_empty() {
            parts.push(self.place.fork.as_bytes());
        }
        IdScope::of(&parts)
    }

    async fn read_part(
        &mut self,
        client: &mut ReplicationClient,
        reading: &Reading<'_>,
    ) -> Result<Ended, Trouble> {
        let Reading { table, part, .. } = reading;
        // A row may have moved to before where it was not yet read.
        let from = self.load.after.as_deref().filter(|_| !part.has_large);
        let declare = sql::declare(&part.name, table.taken(), from);
        self.ask(client, &declare).await?;
        let (most, mut count) = match part.has_large {
            true => (LARGE_ROWS_MAX, 1),
            false => (ROWS_MAX, ROWS_FIRST),
        };
        let (mut total, mut is_met) = (0_u64, false);
        loop {
            let rows = self.ask(client, &sql::fetch(count)).await?;
            let is_last = rows.len() < count;
            let mut bytes = 0;
            for row in &rows {
                bytes += self.put(reading, row, &mut is_met)?;
            }
            total += rows.len() as u64;
            if let Some(row) = rows.last() {
                let place = text(row, 0).unwrap_or_default();
                if ordinal(place).is_some_and(|number| number > reading.through) {
                    self.stand_at(Some(place.to_owned()));
                }
                let fitting = ASKED_BYTES / (bytes / rows.len()).max(1);
                count = fitting.clamp(1, most.min(2 * count));
            }
            if is_last {
                self.stand_at(None);
            }
            if self.rows.len() > 0 {
                let ready = Ready {
                    records: self.rows.take(),
                    rejects: Vec::new(),
                    reports: mem::take(&mut self.reports),
                    scope: reading.scope,
                    change_position: Arc::clone(&reading.position),
                    place: self.place.clone(),
                    ends: is_last,
                };
                let is_held_up = !self.talk.has_room_within(HELD_UP_MAX).await;
                if is_held_up {
                    // Another one is begun when there is room; rows are left out then that this one would have seen as they were.
                    let _ = self.ask(client, "ROLLBACK").await;
                }
                if !self.talk.tell(Told::Ready(Box::new(ready), now_us())).await {
                    return Ok(Ended::Alone);
                }
                if is_held_up {
                    return Ok(Ended::HeldUp);
                }
            }
            if is_last {
                break;
            }
        }
        info!(table = part.name, rows = total, "what it holds is read");
        self.ask(client, sql::CLOSE).await?;
        Ok(Ended::Done)
    }

    /// Notes how far the part at hand is read; `None`: all of it.
    fn stand_at(&mut self, after: Option<String>) {
        if after.is_none() {
            self.load.done += 1;
        }
        self.load.after = after;
        self.place.set_load(Some(self.load.clone()));
    }

    /// Puts a row, unless the log tells of it or it was read before; its bytes. `is_met`: whether there was one of this part before.
    fn put(
        &mut self,
        reading: &Reading<'_>,
        row: &QueryRow,
        is_met: &mut bool,
    ) -> Result<usize, Trouble> {
        let Reading { table, part, .. } = reading;
        let wrong = |what: &str| Trouble::Person(format!("{}: {what}", part.name));
        let place = text(row, 0).and_then(ordinal);
        let place = place.ok_or_else(|| {
            wrong("a row's place can't be told; tables of more than 4 TiB can't be loaded: first_load = false leaves that out")
        })?;
        let cells = row[2..].iter().map(cell).collect::<Result<Vec<_>, _>>();
        let cells = cells.map_err(|_| {
            wrong("a value is no UTF-8, as its database does not say what its texts are (SQL_ASCII); leave its column out by `without`")
        })?;
        let bytes = row[2..].iter().flatten().map(|value| value.len()).sum();
        let sight = match reading.later {
            None => Sight::Seen,
            Some((snapshot, now)) => {
                let writer = text(row, 1).and_then(|number| number.parse().ok());
                snapshot.sight(writer.ok_or_else(|| wrong("a row has no writer"))?, *now)
            }
        };
        let comes = match sight {
            Sight::Seen => place > reading.through,
            Sight::Later => reading.is_anew || part.has_large,
            Sight::Either => place > reading.through || part.has_large,
        };
        if !comes {
            return Ok(bytes);
        }
        if !*is_met {
            self.meet(reading, place)?;
            *is_met = true;
        }
        self.load.doubtful += u64::from(sight != Sight::Seen || reading.is_anew);
        let about = About {
            op: Op::Read,
            transaction: "",
            position: &reading.position,
            committed_at: "",
            ordinal: place,
        };
        table.put_row(&mut self.rows, &cells, &about);
        Ok(bytes)
    }

    /// A row of a table comes: its shape is told before it if that was not done.
    fn meet(&mut self, reading: &Reading<'_>, ordinal: u64) -> Result<(), Trouble> {
        let name = &reading.table.shape.record_type;
        let met = self
            .watch
            .meet(&mut self.place.schemas, name, reading.columns);
        let met = met.map_err(Trouble::Person)?;
        self.reports.extend(met.map(|report| Reported {
            after: self.rows.len(),
            ordinal,
            report: Report::Schema(report),
        }));
        Ok(())
    }
}

/// A row's place, `(812,33)`, as a number of 40 bits, which an id has room for: equal for no two rows of a file of up to 4 TiB. `None` beyond
/// that.
fn ordinal(place: &str) -> Option<u64> {
    let (page, item) = place
        .strip_prefix('(')?
        .strip_suffix(')')?
        .split_once(',')?;
    let (page, item): (u64, u64) = (page.parse().ok()?, item.parse().ok()?);
    (page < PAGES_MAX && item < ITEMS_MAX).then_some(page * ITEMS_MAX + item)
}

pub(super) fn cell(value: &Option<Bytes>) -> Result<Cell<'_>, Utf8Error> {
    match value {
        None => Ok(Cell::Null),
        Some(bytes) => str::from_utf8(bytes).map(Cell::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_one_number() {
        assert_eq!(ordinal("(0,1)"), Some(1));
        assert_eq!(ordinal("(812,33)"), Some(812 * 2_048 + 33));
        assert_eq!(ordinal("(536870911,2047)"), Some((1 << 40) - 1));
        for text in ["", "1,2", "(1;2)", "(1,2", "(536870912,1)", "(1,2048)"] {
            assert_eq!(ordinal(text), None, "{text}");
        }
    }
}
