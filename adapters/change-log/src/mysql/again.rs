//! Chunks of a table's rows, read beside the stream.
//!
//! MariaDB writes a transaction to its log first and makes it visible after that, so the stream may have told of one that a later question does
//! not see yet. But a transaction that begins `WITH CONSISTENT SNAPSHOT` sees just what stands in the log before a place that the server names,
//! and no lock is needed for it. So each chunk is read in such a one, and is given at exactly that place of the stream, or, where the stream was
//! further on when it arrived, behind it, without what was told since. One whose place is before where it was asked for is read again.
//!
//! An address may lead to another server from one connection to the next, and that one's place is none of this stream: so each session is asked which
//! server it is with.
//!
//! MySQL names such a place only under a lock on all tables: there it is refused.

use std::collections::BTreeSet;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use super::config::MySqlConfig;
use super::load::{Reading, Snapshot, describe, key_of, put};
use super::meaning;
use super::session::{self, answered, connect};
use super::sight::Sight;
use super::sql;
use crate::again::{Again, CHUNK_ROWS_MAX, Chunk, Chunks, Filling, Key, READ, Size};
use crate::columns::TableConfig;
use crate::reader::Trouble;
use crate::rows::shape;

/// Reads chunks.
pub(super) struct Reader<'r> {
    config: &'r MySqlConfig,
    is_maria: bool,
    /// That is streamed from.
    server: &'r str,
    conn: Option<Conn>,
    size: Size,
}

impl<'r> Reader<'r> {
    pub(super) fn new(config: &'r MySqlConfig, is_maria: bool, server: &'r str) -> Self {
        Self {
            config,
            is_maria,
            server,
            conn: None,
            size: Size::new(CHUNK_ROWS_MAX),
        }
    }

    async fn session(&mut self) -> Result<Conn, Trouble> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => {
                let mut conn = connect(self.config).await?;
                let server = session::identity(self.config, &mut conn).await?;
                if server != self.server {
                    return Err(Trouble::Passing(format!(
                        "{} leads to another server ({server}) than the one whose log is read ({}): its rows are of another place of the log; let host and port lead to one server alone",
                        session::server(self.config),
                        self.server
                    )));
                }
                // Whoever holds the table is not waited for; and a flow that is held up within a chunk does not hold it for long.
                let patience = "SET SESSION lock_wait_timeout = 5, idle_transaction_timeout = 60";
                session::run(self.config, &mut conn, patience).await?;
                Ok(conn)
            }
        }
    }

    fn wanted(&self, table: &str) -> Result<&'r TableConfig, Trouble> {
        let found = self.config.tables.iter().find(|known| known.name == table);
        found.ok_or_else(|| Trouble::Person(format!("the flow does not read {table} any more")))
    }

    /// That a table can be found: one that is gone does not come back by itself.
    async fn is_there(&self, conn: &mut Conn, table: &str) -> Result<(), Trouble> {
        match session::columns(self.config, conn, table).await?.is_empty() {
            false => Ok(()),
            true => Err(Trouble::Person(format!(
                "there is no table {table} any more, or the user {} may not read it: let the DBA run GRANT SELECT ON {} TO {}; and ask again",
                self.config.user,
                sql::table(table),
                session::account(self.config, conn).await?
            ))),
        }
    }

    async fn describe(
        &self,
        conn: &mut Conn,
        wanted: &TableConfig,
    ) -> Result<(Reading, Key), Trouble> {
        self.is_there(conn, &wanted.name).await?;
        let reading = describe(self.config, conn, wanted).await?;
        let kinds: Vec<(String, String)> =
            session::all(self.config, conn, &sql::key_kinds(&wanted.name)).await?;
        let kind = |(_, key): &(usize, sql::Key)| {
            let mut kinds = kinds.iter();
            kinds.find(|(name, _)| *name == key.name).cloned()
        };
        let key = reading.keys.iter().map(kind).collect::<Option<Key>>();
        match key.filter(|key| !key.is_empty()) {
            Some(key) => Ok((reading, key)),
            None => Err(Trouble::Person(format!(
                "{} has no primary key that its rows can be read by, one part after the other: it has none, or one of floating-point numbers, enumerations or parts of texts, or columns, without or mask hide it",
                wanted.name
            ))),
        }
    }
}

impl Reader<'_> {
    /// Domains that the server's log has.
    async fn domains(&self, conn: &mut Conn) -> Result<BTreeSet<u32>, Trouble> {
        let sql = "SELECT @@GLOBAL.gtid_binlog_state";
        let text: String = session::first(self.config, conn, sql).await?;
        let parts = text.split(',').map(str::trim);
        let domains = parts.filter_map(|part| part.split('-').next()?.parse().ok());
        Ok(domains.collect())
    }

    /// The rows behind a key. They are put as they come: what the chunk does not take is read off, and not kept.
    async fn rows(
        &mut self,
        conn: &mut Conn,
        wanted: &TableConfig,
        (table, key): (Reading, Key),
        again: &Again,
    ) -> Result<Chunk, Trouble> {
        let keys: Vec<_> = table.keys.iter().map(|(_, key)| key.clone()).collect();
        let after = again.after.iter().map(|(_, value)| value.clone());
        let after: Vec<_> = after.collect();
        let after = (!after.is_empty()).then_some(&*after);
        let columns = table.taken.iter().map(|column| &*column.name);
        let rows = sql::rows(&wanted.name, columns, &keys, after);
        let sql = format!("{rows} LIMIT {}", self.size.rows());
        let shape = shape(&wanted.name, &table.taken);
        let (mut filling, mut last, mut is_all) = (Filling::default(), None, true);
        let asked = conn.exec_iter(sql, ());
        let mut result = answered(self.config, session::LONG_ANSWER_MAX, asked).await?;
        loop {
            let row = answered(self.config, session::SILENCE_MAX, result.next()).await?;
            let Some(row) = row else {
                break;
            };
            if filling.is_full() {
                is_all = false;
                continue;
            }
            let before = filling.rows.bytes();
            put(&mut filling.rows, wanted, &table.taken, &row)?;
            filling.rows.end(&shape, &READ);
            filling.took(filling.rows.bytes() - before);
            last = key_of(&row, &table.keys);
        }
        drop(result);
        let chunk = filling.end(&mut self.size, is_all, (table.columns, key), last);
        chunk.map_err(|what| Trouble::Person(format!("{}: {what}", wanted.name)))
    }
}

impl Chunks for Reader<'_> {
    type Sight = Sight;

    const UNSEEN: &'static str = "a transaction stands in the log and can't be seen by others yet, as while a semi-synchronous replica is waited for: it waits for that";

    fn another(&self) -> Self {
        Reader::new(self.config, self.is_maria, self.server)
    }

    async fn look(&mut self, table: &str) -> Result<(Key, Sight), Trouble> {
        if !self.is_maria {
            return Err(Trouble::Person(
                "MySQL says only under a lock on all tables where in its log a question stands, and an agent takes none: give the table to a flow of its own, which begins with all its rows".into(),
            ));
        }
        let wanted = self.wanted(table)?;
        let mut conn = self.session().await?;
        self.is_there(&mut conn, table).await?;
        let engines: Vec<(String, String)> =
            session::all(self.config, &mut conn, &sql::engine(table)).await?;
        if let Some((engine, _)) = engines.first().filter(|(_, knows)| knows != "YES") {
            return Err(Trouble::Person(format!(
                "{table} is kept by {engine}, which knows no transactions, so that its rows can't be read as they were at one place of the log: let the DBA run ALTER TABLE {} ENGINE = InnoDB;",
                sql::table(table)
            )));
        }
        let (_, key) = self.describe(&mut conn, wanted).await?;
        let at = session::end(self.config, &mut conn, true).await?;
        let domains = self.domains(&mut conn).await?;
        self.conn = Some(conn);
        // Of the table before it may have been narrower.
        self.size = Size::new(CHUNK_ROWS_MAX);
        Ok((key, Sight { at, domains }))
    }

    async fn read(&mut self, again: &Again) -> Result<(Chunk, Sight), Trouble> {
        let read = self.chunk(again).await;
        match read {
            Ok(read) => Ok(read),
            Err(trouble) => Err(self.lasting(trouble).await),
        }
    }
}

impl Reader<'_> {
    /// What does not pass by itself, as what it is: the table may not be read any more.
    async fn lasting(&self, trouble: Trouble) -> Trouble {
        match meaning::with_account(self.config, trouble).await {
            Trouble::Passing(said) if meaning::is_refusal(&said) => {
                Trouble::Person(format!("{said} and ask again"))
            }
            other => other,
        }
    }

    async fn chunk(&mut self, again: &Again) -> Result<(Chunk, Sight), Trouble> {
        let wanted = self.wanted(&again.table)?;
        let conn = self.session().await?;
        let Snapshot { mut conn, at } = Snapshot::take_over(self.config, conn, true).await?;
        if let Err(trouble) = session::run(self.config, &mut conn, &sql::touch(&wanted.name)).await
        {
            self.is_there(&mut conn, &wanted.name).await?;
            return Err(trouble);
        }
        let (table, key) = self.describe(&mut conn, wanted).await?;
        let chunk = match key == again.key {
            true => self.rows(&mut conn, wanted, (table, key), again).await?,
            false => Chunk::of_another_key(key),
        };
        session::run(self.config, &mut conn, "COMMIT").await?;
        let domains = self.domains(&mut conn).await?;
        self.conn = Some(conn);
        Ok((chunk, Sight { at, domains }))
    }
}
