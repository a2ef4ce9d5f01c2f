//! The first load: the rows that tables have when the flow begins.
//!
//! A transaction with a consistent snapshot sees what was committed up to a known place in the log. All rows are read in it, in the order of their
//! keys, then the log from that place on: nothing is missing between the two, and nothing comes twice.
//!
//! When the agent goes on after an end, the snapshot is gone with its session. Then another one is made, the log is read up to its place, and rows are
//! read on behind the last key. Of what was changed meanwhile behind that key the log has told before the row is read: such a row comes twice, as
//! a change and as `read`, and is the same both times. A table without a key is read from its beginning again.

use std::mem;
use std::sync::Arc;

use dray_adapter::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Report, Reported};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Column, Conn, Row, Value};
use tracing::{info, warn};

use super::answer;
use super::config::MySqlConfig;
use super::gtid::Gtids;
use super::kinds::Catalogued;
use super::place::{After, Load, Place};
use super::session::{self, SILENCE_MAX, answered, connect};
use super::sql;
use crate::again::Stands as _;
use crate::columns::{TableConfig, Taken};
use crate::reader::{HELD_UP_MAX, Ready, Talk, Told, Trouble, now_us};
use crate::rows::{About, Op, Rows, shape};
use crate::schema::Described;
use crate::watch::Watch;

/// Bytes of a batch, about: the next is read while it is appended.
const BYTES_MAX: usize = BATCH_BYTES_MAX / 2;

/// Seconds that a lock of all tables is waited for.
const LOCK_WAIT_S: u64 = 30;

/// A transaction that sees what was committed up to a place.
pub(super) struct Snapshot {
    pub(super) conn: Conn,
    pub(super) at: Gtids,
}

impl Snapshot {
    /// Takes one.
    pub(super) async fn take(config: &MySqlConfig, is_maria: bool) -> Result<Self, Trouble> {
        Self::take_over(config, connect(config).await?, is_maria).await
    }

    /// Takes one in a session.
    pub(super) async fn take_over(
        config: &MySqlConfig,
        mut conn: Conn,
        is_maria: bool,
    ) -> Result<Self, Trouble> {
        let conn_ref = &mut conn;
        let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        session::run(
            config,
            conn_ref,
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        )
        .await?;
        let at = if is_maria {
            session::run(config, conn_ref, begin).await?;
            let rows: Vec<(String, String)> =
                session::all(config, conn_ref, "SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
            let find = |wanted: &str| {
                let found = rows
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                found.map(|(_, value)| value.as_str())
            };
            let place = find("binlog_snapshot_file").zip(find("binlog_snapshot_position"));
            let (file, position) = place.filter(|(file, _)| !file.is_empty()).ok_or_else(|| {
                Trouble::Passing(
                    "the server does not say where in its log a snapshot stands".into(),
                )
            })?;
            let position: u64 = position.parse().unwrap_or_default();
            let sql = format!("SELECT BINLOG_GTID_POS({}, {position})", sql::text(file));
            let text: Option<String> = session::first(config, conn_ref, &sql).await?;
            let text = text.ok_or_else(|| {
                Trouble::Passing(format!(
                    "the server does not know the transactions up to {file}:{position}"
                ))
            })?;
            Gtids::read(&text, true).map_err(Trouble::Passing)?
        } else {
            // MySQL does not say where a snapshot stands: nobody may write for the moment in which it is taken. The lock waits for statements
            // that run, and everybody else for the lock: rather it is tried again.
            let wait = format!("SET SESSION lock_wait_timeout = {LOCK_WAIT_S}");
            session::run(config, conn_ref, &wait).await?;
            session::run(config, conn_ref, "FLUSH TABLES WITH READ LOCK").await?;
            session::run(config, conn_ref, begin).await?;
            let at = session::end(config, conn_ref, false).await?;
            session::run(config, conn_ref, "UNLOCK TABLES").await?;
            at
        };
        Ok(Self { conn, at })
    }
}

/// How a session ended.
pub(super) enum Ended {
    Done,
    /// The flow was held up; another snapshot is taken when there is room.
    HeldUp,
    /// Nobody listens any more.
    Alone,
}

/// Reads what is there.
pub(super) struct Loader<'l> {
    pub(super) flow: &'l str,
    pub(super) config: &'l MySqlConfig,
    pub(super) talk: &'l Talk<Place>,
    pub(super) place: Place,
    watch: &'l mut Watch,
    rows: Rows,
}

/// A table that is read.
pub(super) struct Reading {
    pub(super) columns: Vec<Described>,
    pub(super) taken: Vec<Taken>,
    /// Of the columns that are read, those of the key; empty: it can't be gone on behind a row.
    pub(super) keys: Vec<(usize, sql::Key)>,
}

impl<'l> Loader<'l> {
    pub(super) fn new(
        flow: &'l str,
        config: &'l MySqlConfig,
        talk: &'l Talk<Place>,
        place: Place,
        watch: &'l mut Watch,
    ) -> Self {
        Self {
            watch,
            flow,
            config,
            talk,
            place,
            rows: Rows::default(),
        }
    }

    fn load(&self) -> Load {
        self.place.load.clone().unwrap_or_default()
    }

    /// Reads all that is left, in a snapshot that stands where the place does.
    pub(super) async fn read(&mut self, snapshot: Snapshot) -> Result<Ended, Trouble> {
        let Snapshot { mut conn, .. } = snapshot;
        for wanted in &self.config.tables {
            session::run(self.config, &mut conn, &sql::touch(&wanted.name)).await?;
        }
        for wanted in &self.config.tables {
            if self.load().done.contains(&wanted.name) {
                continue;
            }
            match self.read_table(&mut conn, wanted).await? {
                Ended::Done => {}
                Ended::HeldUp => return Ok(Ended::HeldUp),
                Ended::Alone => return Ok(Ended::Alone),
            }
        }
        Ok(Ended::Done)
    }

    async fn read_table(
        &mut self,
        conn: &mut Conn,
        wanted: &TableConfig,
    ) -> Result<Ended, Trouble> {
        let table = describe(self.config, conn, wanted).await?;
        if table.keys.is_empty() {
            warn!(
                table = wanted.name,
                "it has no primary key that can be gone on behind: after an interruption all its rows are read again"
            );
        }
        let load = self.load();
        let keys: Vec<_> = table.keys.iter().map(|(_, key)| key.clone()).collect();
        // A key that is another one now says nothing: the table is read from its beginning.
        let after = load.after.filter(|after| {
            let names = after.key.iter().map(|(name, _)| name);
            after.table == wanted.name && names.eq(keys.iter().map(|key| &key.name))
        });
        let after = after.filter(|_| !keys.is_empty()).map(|after| {
            let values = after.key.into_iter().map(|(_, value)| value);
            values.collect::<Vec<_>>()
        });
        let columns = table.taken.iter().map(|column| &*column.name);
        let sql = sql::rows(&wanted.name, columns, &keys, after.as_deref());
        let shape = shape(&wanted.name, &table.taken);
        let position: Arc<str> = self.place.at.to_string().into();
        let after_text = after.as_deref().unwrap_or_default().join("\0");
        let unit: [&[u8]; 4] = [
            b"load",
            position.as_bytes(),
            wanted.name.as_bytes(),
            after_text.as_bytes(),
        ];
        let scope = self.place.scope(self.flow, &unit);
        let (config, id, mut ordinal) = (self.config, conn.id(), 0);
        let mut result = answered(config, SILENCE_MAX, conn.exec_iter(sql, ())).await?;
        let (mut last, mut reports): (Option<Row>, _) = (None, Vec::new());
        loop {
            let row = answered(config, SILENCE_MAX, result.next()).await?;
            let is_last = row.is_none();
            if let Some(row) = row {
                if ordinal == 0 {
                    let met =
                        self.watch
                            .meet(&mut self.place.schemas, &wanted.name, &table.columns);
                    reports.extend(met.map_err(Trouble::Person)?.map(|report| Reported {
                        after: self.rows.len(),
                        ordinal,
                        report: Report::Schema(report),
                    }));
                }
                put(&mut self.rows, wanted, &table.taken, &row)?;
                let about = About {
                    op: Op::Read,
                    transaction: "",
                    position: &position,
                    committed_at: "",
                    ordinal,
                };
                self.rows.end(&shape, &about);
                ordinal += 1;
                last = Some(row);
            }
            let is_full = self.rows.len() >= BATCH_RECORDS_MAX || self.rows.bytes() >= BYTES_MAX;
            if !is_full && !is_last {
                continue;
            }
            let after = last.as_ref().and_then(|row| key_of(row, &table.keys));
            self.stand_at(&wanted.name, after, is_last);
            if self.rows.len() > 0 {
                let ready = Ready {
                    records: self.rows.take(),
                    rejects: Vec::new(),
                    reports: mem::take(&mut reports),
                    scope,
                    change_position: Arc::clone(&position),
                    place: self.place.clone(),
                    ends: is_last,
                };
                let is_held_up = !self.talk.has_room_within(HELD_UP_MAX).await;
                if is_held_up {
                    // Now, and not once there is room: the transaction stands open. Left alone, the library would read all that is left of
                    // the table in it.
                    let mut other = connect(self.config).await?;
                    let kill = format!("KILL CONNECTION {id}");
                    session::run(self.config, &mut other, &kill).await?;
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
        info!(table = wanted.name, rows = ordinal, "what it holds is read");
        Ok(Ended::Done)
    }

    /// Notes how far the table at hand is read.
    fn stand_at(&mut self, table: &str, after: Option<Vec<(String, String)>>, is_last: bool) {
        let mut done = self.load().done;
        if is_last {
            done.push(table.to_owned());
        }
        let after = after.filter(|_| !is_last).map(|key| After {
            table: table.to_owned(),
            key,
        });
        self.place.load = Some(Load {
            begun: true,
            done,
            after,
        });
    }
}

/// What is read of a table.
pub(super) async fn describe(
    config: &MySqlConfig,
    conn: &mut Conn,
    wanted: &TableConfig,
) -> Result<Reading, Trouble> {
    let columns = session::columns(config, conn, &wanted.name).await?;
    if columns.is_empty() {
        return Err(Trouble::Passing(format!(
            "there is no table {}, or the user {} may not read it: let the DBA run GRANT SELECT ON {} TO the flow's user",
            wanted.name,
            config.user,
            sql::table(&wanted.name)
        )));
    }
    let names: Vec<_> = columns.iter().map(|column| &*column.name).collect();
    let taken = wanted.wanted().of(&wanted.name, &names);
    let taken = taken.map_err(Trouble::Person)?;
    let key: Vec<String> = session::all(config, conn, &sql::key(&wanted.name)).await?;
    let key = key.into_iter().map(|name| {
        let at = taken
            .iter()
            .position(|column| column.name == name && column.mask.is_none())?;
        let known = columns.iter().find(|column| column.name == name)?;
        let kind = sql::KeyKind::of(&known.data_type)?;
        Some((at, sql::Key { name, kind }))
    });
    let keys: Option<Vec<_>> = key.collect();
    let keys = keys.unwrap_or_default();
    let columns = columns.iter().map(Catalogued::described).collect();
    Ok(Reading {
        columns,
        taken,
        keys,
    })
}

/// Puts a row's values, but for what is known of it.
pub(super) fn put(
    rows: &mut Rows,
    wanted: &TableConfig,
    taken: &[Taken],
    row: &Row,
) -> Result<(), Trouble> {
    let columns = row.columns_ref();
    for (at, column) in taken.iter().enumerate() {
        let value = row.as_ref(at).unwrap_or(&Value::NULL);
        if *value == Value::NULL {
            rows.null();
            continue;
        }
        let mut put = Ok(());
        rows.value(|out| match column.mask {
            None => {
                put = answer::put(out, &columns[at], value);
                true
            }
            Some(mask) => {
                let mut hidden = String::new();
                put = answer::put(&mut hidden, &columns[at], value);
                mask.put(out, &hidden)
            }
        });
        put.map_err(|what| {
            Trouble::Person(format!(
                "{}: a value of {} {what}; leave the column out by `without`",
                wanted.name, column.name
            ))
        })?;
    }
    for _ in taken {
        rows.null();
    }
    Ok(())
}

/// A row's key: names and texts.
pub(super) fn key_of(row: &Row, keys: &[(usize, sql::Key)]) -> Option<Vec<(String, String)>> {
    let columns: &[Column] = row.columns_ref();
    let texts = keys.iter().map(|(at, key)| {
        let mut text = String::new();
        answer::put(&mut text, columns.get(*at)?, row.as_ref(*at)?).ok()?;
        Some((key.name.clone(), text))
    });
    let texts: Option<Vec<_>> = texts.collect();
    texts.filter(|texts| !texts.is_empty())
}
