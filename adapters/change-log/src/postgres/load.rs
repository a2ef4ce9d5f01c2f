//! The first load: the rows that tables have when the flow begins.
//!
//! A slot that lasts as long as the session gives a snapshot and the place in the log behind exactly what it sees. All rows of the snapshot are
//! read, then the log from that place on: nothing is missing between the two, and nothing comes twice.
//!
//! Rows are read in the order of their places in the table's file, as a backup would: no sort, no key needed. A position holds the last one's
//! place. When the agent goes on after an end, the snapshot is gone with its session; then rows are left out that a newer transaction wrote,
//! since the log tells of these. Three kinds come all the same, and may come twice: those with large values, which the log does not repeat when
//! another column changes; those whose writer's number was used before, four thousand million transactions ago; and all of a table
//! whose file was written anew meanwhile.

use std::str::Utf8Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dray_adapter::{BATCH_BYTES_MAX, IdScope};
use pgwire_replication::{Lsn, QueryRow, ReplicationClient};
use tracing::{info, warn};

use super::assembly::Ready;
use super::config::{PostgresConfig, TableConfig};
use super::message::{Cell, Column, Identity, Relation};
use super::place::{Load, LoadAt, Place};
use super::reader::{Talk, Told, now_us};
use super::session::{Names, Trouble, connect, query, text};
use super::snapshot::{Sight, Snapshot};
use super::sql;
use super::table::Table;
use crate::rows::{About, Op, Rows};

/// Rows that are asked for at once, at most.
const ROWS_MAX: usize = 2_000;
/// Of a table that has large values.
const LARGE_ROWS_MAX: usize = 64;
/// Rows of the first question, before their size is known.
const ROWS_FIRST: usize = 64;
/// Bytes that are asked for at once, about.
const ASKED_BYTES: usize = BATCH_BYTES_MAX / 2;
/// How long the transaction stays open while the flow is held up: what it sees keeps the server from cleaning up.
const HELD_UP_MAX: Duration = Duration::from_secs(60);
/// From so many bytes on, a row may have values that the log does not repeat.
const LARGE_ROW_BYTES: usize = 2_000;
/// A name's bytes.
const NAME_BYTES_MAX: usize = 63;

/// Reads what is there.
pub(super) struct Loader<'l> {
    flow: &'l str,
    config: &'l PostgresConfig,
    names: &'l Names,
    place: Place,
    talk: &'l Talk,
    rows: Rows,
    /// Rows that may come twice.
    doubtful: u64,
}

/// A transaction that reads.
struct Session {
    client: ReplicationClient,
    /// The load's snapshot, and the number of the next transaction; `None`: the transaction sees just that snapshot.
    later: Option<(Snapshot, u64)>,
}

/// Where a table's rows are.
struct Part {
    name: String,
    file: u64,
    has_large: bool,
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
        talk: &'l Talk,
    ) -> Self {
        Self {
            flow,
            config,
            names,
            place,
            talk,
            rows: Rows::default(),
            doubtful: 0,
        }
    }

    /// Reads all that is left; where the log goes on. `None`: nobody listens any more.
    pub(super) async fn run(mut self) -> Result<Option<Place>, Trouble> {
        loop {
            let mut session = self.begin().await?;
            match self.read(&mut session).await? {
                Ended::Done => break,
                Ended::HeldUp => {}
                Ended::Alone => return Ok(None),
            }
        }
        if self.doubtful > 0 {
            warn!(
                rows = self.doubtful,
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
        query(self.config, client, sql).await
    }

    async fn begin(&mut self) -> Result<Session, Trouble> {
        let mut client = connect(self.config, self.names, Lsn::ZERO).await?;
        self.ask(&mut client, sql::BEGIN).await?;
        let mut load = self.place.load().cloned().unwrap_or_default();
        let is_first = load.snapshot.is_empty();
        if is_first {
            let mut slot = format!("load_{}", self.names.slot);
            slot.truncate(NAME_BYTES_MAX);
            let rows = self.ask(&mut client, &sql::make_load_slot(&slot)).await?;
            let end = one(&rows, 1).and_then(|at| Lsn::parse(at).ok());
            self.place.end = end.ok_or_else(|| unsaid("where a snapshot stands"))?;
        }
        let rows = self.ask(&mut client, sql::SNAPSHOT).await?;
        let seen = one(&rows, 0).ok_or_else(|| unsaid("what a transaction sees"))?;
        let later = match is_first {
            true => {
                seen.clone_into(&mut load.snapshot);
                None
            }
            false => {
                let first = Snapshot::read(&load.snapshot).map_err(Trouble::Person)?;
                let now = Snapshot::read(seen).map_err(Trouble::Passing)?;
                Some((first, now.xmax))
            }
        };
        self.place.set_load(Some(load));
        self.ask(&mut client, sql::IN_ORDER).await?;
        let tables = self.config.tables.iter().map(|table| &*table.name);
        self.ask(&mut client, &sql::lock(tables)).await?;
        Ok(Session { client, later })
    }

    async fn read(&mut self, session: &mut Session) -> Result<Ended, Trouble> {
        for wanted in &self.config.tables {
            let (table, parts) = self.describe(&mut session.client, wanted).await?;
            for part in parts {
                let is_done = |load: &Load| load.done.contains(&part.name);
                if self.place.load().is_some_and(is_done) {
                    continue;
                }
                match self.read_part(session, &table, &part).await? {
                    Ended::Done => {}
                    ended => return Ok(ended),
                }
            }
        }
        Ok(Ended::Done)
    }

    async fn read_part(
        &mut self,
        session: &mut Session,
        table: &Table,
        part: &Part,
    ) -> Result<Ended, Trouble> {
        let load = self.place.load().cloned().unwrap_or_default();
        let at = load.at.filter(|at| at.part == part.name);
        let is_anew = at.as_ref().is_some_and(|at| at.file != part.file);
        if is_anew {
            warn!(
                table = part.name,
                "its file was written anew while it was read: all its rows are read again"
            );
        }
        let after = at.filter(|_| !is_anew).map(|at| at.after);
        let columns = table.relation.columns.iter().map(|column| &*column.name);
        let declare = sql::declare(&part.name, columns, after.as_deref());
        self.ask(&mut session.client, &declare).await?;
        let scope = IdScope::of(&[
            self.flow.as_bytes(),
            b"postgres load",
            self.place.system.as_bytes(),
            load.snapshot.as_bytes(),
            part.name.as_bytes(),
        ]);
        let position: Arc<str> = self.place.end.to_string().into();
        let most = if part.has_large {
            LARGE_ROWS_MAX
        } else {
            ROWS_MAX
        };
        let (mut count, mut total) = (ROWS_FIRST, 0_u64);
        loop {
            let rows = self.ask(&mut session.client, &sql::fetch(count)).await?;
            let is_last = rows.len() < count;
            let mut bytes = 0;
            for row in &rows {
                bytes += self.put(table, row, session.later.as_ref(), is_anew, &position)?;
            }
            total += rows.len() as u64;
            if let Some(row) = rows.last() {
                let after = text(row, 0).unwrap_or_default().to_owned();
                self.stand_at(part, Some(after));
                count = (ASKED_BYTES / (bytes / rows.len()).max(1)).clamp(1, most);
            }
            if is_last {
                self.stand_at(part, None);
            }
            if self.rows.len() > 0 {
                let ready = Ready {
                    records: self.rows.take(),
                    scope,
                    change_position: Arc::clone(&position),
                    place: self.place.clone(),
                    ends: is_last,
                };
                let is_held_up = !self.talk.has_room_within(HELD_UP_MAX).await;
                if is_held_up {
                    // Another one is begun when there is room; rows are left out then that this one would have seen as they were.
                    let _ = self.ask(&mut session.client, "ROLLBACK").await;
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
        self.ask(&mut session.client, sql::CLOSE).await?;
        Ok(Ended::Done)
    }

    /// Notes how far a part is read; `None`: all of it.
    fn stand_at(&mut self, part: &Part, after: Option<String>) {
        let mut load = self.place.load().cloned().unwrap_or_default();
        load.at = after.map(|after| LoadAt {
            part: part.name.clone(),
            file: part.file,
            after,
        });
        if load.at.is_none() {
            load.done.push(part.name.clone());
        }
        self.place.set_load(Some(load));
    }

    /// Puts a row, unless the log tells of it; its bytes.
    fn put(
        &mut self,
        table: &Table,
        row: &QueryRow,
        later: Option<&(Snapshot, u64)>,
        is_anew: bool,
        position: &str,
    ) -> Result<usize, Trouble> {
        let wrong = |what: &str| Trouble::Person(format!("{}: {what}", table.shape.record_type));
        let place = text(row, 0).and_then(ordinal);
        let place = place.ok_or_else(|| wrong("a row has no place"))?;
        let cells = row[2..].iter().map(cell).collect::<Result<Vec<_>, _>>();
        let cells = cells.map_err(|_| wrong("a value is no UTF-8"))?;
        let bytes = row[2..].iter().flatten().map(|value| value.len()).sum();
        if let Some((snapshot, now)) = later {
            let writer = text(row, 1).and_then(|number| number.parse().ok());
            let writer = writer.ok_or_else(|| wrong("a row has no writer"))?;
            let sight = snapshot.sight(writer, *now);
            if sight == Sight::Later && !is_anew && bytes < LARGE_ROW_BYTES {
                return Ok(bytes);
            }
            self.doubtful += u64::from(sight != Sight::Seen || is_anew);
        }
        let about = About {
            op: Op::Read,
            transaction: "",
            position,
            committed_at: "",
            ordinal: place,
        };
        table.put_row(&mut self.rows, &cells, &about);
        Ok(bytes)
    }

    async fn describe(
        &self,
        client: &mut ReplicationClient,
        wanted: &TableConfig,
    ) -> Result<(Table, Vec<Part>), Trouble> {
        let rows = self.ask(client, &sql::columns(&wanted.name)).await?;
        let relation = relation(&wanted.name, &rows);
        let relation = relation.ok_or_else(|| unsaid(&format!("what {} is", wanted.name)))?;
        let table = Table::new(relation, wanted.wanted()).map_err(Trouble::Person)?;
        let rows = self.ask(client, &sql::parts(&wanted.name)).await?;
        if rows.is_empty() {
            return Err(Trouble::Person(format!(
                "{} is no table whose rows can be read; is it a view? Name the tables that it shows",
                wanted.name
            )));
        }
        let part = |row: &QueryRow| {
            let number = |at| text(row, at)?.parse::<u64>().ok();
            let (seen, is) = (number(1)?, number(2)?);
            let part = Part {
                name: text(row, 0)?.to_owned(),
                file: is,
                has_large: text(row, 3)? == "t",
            };
            Some((part, seen == is))
        };
        let parts: Option<Vec<_>> = rows.iter().map(part).collect();
        let parts = parts.ok_or_else(|| unsaid(&format!("where {} is", wanted.name)))?;
        if let Some((part, _)) = parts.iter().find(|(_, is_the_same)| !is_the_same) {
            // A snapshot from before sees nothing of the new file.
            return Err(Trouble::Passing(format!(
                "{} was written anew just when it was to be read",
                part.name
            )));
        }
        Ok((table, parts.into_iter().map(|(part, _)| part).collect()))
    }
}

/// What the catalogue says of a table, as a message of the log would.
fn relation(table: &str, rows: &[QueryRow]) -> Option<Relation> {
    let (schema, name) = table.split_once('.')?;
    let first = rows.first()?;
    let column = |row: &QueryRow| {
        Some(Column {
            name: text(row, 2)?.to_owned(),
            type_oid: text(row, 3)?.parse().ok()?,
            modifier: text(row, 4)?.parse().ok()?,
            is_key: text(row, 5)? == "t",
        })
    };
    Some(Relation {
        oid: text(first, 0)?.parse().ok()?,
        schema: schema.to_owned(),
        name: name.to_owned(),
        identity: match text(first, 1)? {
            "f" => Identity::Full,
            "i" => Identity::Index,
            "n" => Identity::Nothing,
            _ => Identity::Default,
        },
        columns: rows.iter().map(column).collect::<Option<_>>()?,
    })
}

/// A row's place, `(812,33)`, as a number: equal for no two rows of a file.
fn ordinal(place: &str) -> Option<u64> {
    let (page, item) = place
        .strip_prefix('(')?
        .strip_suffix(')')?
        .split_once(',')?;
    let (page, item): (u64, u64) = (page.parse().ok()?, item.parse().ok()?);
    Some((page << 16) | item)
}

fn cell(value: &Option<Bytes>) -> Result<Cell<'_>, Utf8Error> {
    match value {
        None => Ok(Cell::Null),
        Some(bytes) => str::from_utf8(bytes).map(Cell::Text),
    }
}

fn one(rows: &[QueryRow], at: usize) -> Option<&str> {
    text(rows.first()?, at)
}

fn unsaid(what: &str) -> Trouble {
    Trouble::Passing(format!("the server did not say {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_one_number() {
        assert_eq!(ordinal("(0,1)"), Some(1));
        assert_eq!(ordinal("(812,33)"), Some((812 << 16) | 33));
        assert_eq!(
            ordinal("(4294967294,65535)"),
            Some((4_294_967_294 << 16) | 65_535)
        );
        for text in ["", "1,2", "(1;2)", "(1,2"] {
            assert_eq!(ordinal(text), None, "{text}");
        }
    }
}
