//! Chunks of a table's rows, read beside the stream, and what they see of it.
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

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use super::config::MySqlConfig;
use super::event::Begin;
use super::gtid::Gtids;
use super::load::{Reading, Snapshot, describe, key_of, put};
use super::place::Place;
use super::session::{self, answered, connect};
use super::sql;
use crate::again::{
    Again, CHUNK_ROWS_MAX, Chunk, Chunks, FLIGHT_TRANSACTIONS_MAX, Filling, Key, READ, Size, Track,
    View,
};
use crate::columns::TableConfig;
use crate::reader::Trouble;
use crate::rows::shape;

/// Of one domain the last transaction: server and number.
type Last = BTreeMap<u32, (u32, u64)>;

/// What the server says of what a question sees.
pub(super) struct Sight {
    at: Gtids,
    /// Domains that its log has: of another one, which the DBA had it forget, nothing is seen or comes any more.
    domains: BTreeSet<u32>,
}

/// What a chunk sees.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// As many transactions of the stream, which are told.
    Told(u64),
    /// All up to these, which the stream comes to.
    Ahead(Gtids),
}

impl View for Seen {
    type Place = Place;

    fn has(&self, transaction: u64) -> bool {
        match self {
            Self::Told(told) => transaction <= *told,
            // It is given where the stream has told just these.
            Self::Ahead(_) => true,
        }
    }

    fn is_reached(&self, place: &Place) -> bool {
        match self {
            Self::Told(_) => true,
            Self::Ahead(at) => place.at.covers(at),
        }
    }
}

/// Transactions in the order of the stream.
#[derive(Debug)]
pub(super) struct Order {
    /// So many were told before the chunk at hand was asked for, the last ones these.
    before: u64,
    at: Last,
    /// Told since: domain, server and number of each.
    since: Vec<(u32, (u32, u64))>,
    /// Whether a chunk is being read.
    is_away: bool,
}

impl Order {
    pub(super) fn new(told: u64) -> Self {
        Self {
            before: told,
            at: Last::new(),
            since: Vec::new(),
            is_away: false,
        }
    }

    /// The stream has told one.
    pub(super) fn told(&mut self, begin: &Begin) {
        if let Begin::Maria {
            domain,
            server,
            sequence,
            ..
        } = begin
        {
            match self.is_away {
                true => self.since.push((*domain, (*server, *sequence))),
                false => self.before += 1,
            }
        }
    }
}

impl Track for Order {
    type Place = Place;
    type Sight = Sight;
    type View = Seen;

    fn begin(&mut self, _: &Sight) {}

    fn depart(&mut self, place: &Place) {
        self.is_away = true;
        if let Gtids::Maria(last) = &place.at {
            self.at.clone_from(last);
        }
    }

    fn is_full(&self) -> bool {
        self.since.len() >= FLIGHT_TRANSACTIONS_MAX
    }

    fn settle(&mut self, sight: Sight) -> Option<Seen> {
        self.is_away = false;
        let (before, since) = (self.before, mem::take(&mut self.since));
        self.before += since.len() as u64;
        let Gtids::Maria(seen) = &sight.at else {
            return None;
        };
        let mut told = self.at.iter();
        let is_before = told.any(|(domain, (_, number))| match seen.get(domain) {
            Some((_, seen)) => seen < number,
            None => sight.domains.contains(domain),
        });
        if is_before {
            return None;
        }
        let others = seen
            .iter()
            .filter(|(domain, last)| self.at.get(domain) != Some(last));
        let mut told = others.map(|(domain, last)| {
            let at = since.iter().rposition(|one| *one == (*domain, *last));
            at.map(|at| at as u64 + 1)
        });
        // The last of them, if all are told.
        let told = told.try_fold(0, |most, told| told.map(|told| most.max(told)));
        Some(match told {
            Some(told) => Seen::Told(before + told),
            None => Seen::Ahead(sight.at),
        })
    }
}

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
                "there is no table {table} any more, or the user {} may not read it: let the DBA run GRANT SELECT ON {} TO the flow's user; and ask again",
                self.config.user,
                sql::table(table)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gtids(text: &str) -> Gtids {
        Gtids::read(text, true).expect("a list")
    }

    fn sight(text: &str) -> Sight {
        Sight {
            at: gtids(text),
            domains: [0, 7].into(),
        }
    }

    #[test]
    fn a_domain_that_the_log_has_forgotten_is_not_waited_for() {
        let settle = |domains: &[u32]| {
            let mut order = Order::new(10);
            order.depart(&Place::at(gtids("0-1-100,9-1-5")));
            order.settle(Sight {
                at: gtids("0-1-100"),
                domains: domains.iter().copied().collect(),
            })
        };
        // Its last transaction is in the log, and not visible yet.
        assert_eq!(settle(&[0, 9]), None);
        assert_eq!(settle(&[0]), Some(Seen::Told(10)));
    }

    #[test]
    fn a_chunk_is_given_where_the_stream_tells_just_what_it_sees() {
        let check = |seen: &str, expected: Option<Seen>| {
            let mut order = Order::new(10);
            order.depart(&Place::at(gtids("0-1-100,7-1-5")));
            for (domain, server, sequence) in [(0, 1, 101), (7, 1, 6), (0, 2, 102)] {
                order.told(&Begin::Maria {
                    domain,
                    server,
                    sequence,
                    stands_alone: false,
                    is_prepared: false,
                });
            }
            assert_eq!(order.settle(sight(seen)), expected, "{seen}");
        };
        check("0-1-100,7-1-5", Some(Seen::Told(10)));
        check("0-1-101,7-1-5", Some(Seen::Told(11)));
        check("0-1-101,7-1-6", Some(Seen::Told(12)));
        check("0-2-102,7-1-6", Some(Seen::Told(13)));
        for ahead in ["0-2-103,7-1-6", "0-2-102,7-1-6,8-1-1"] {
            check(ahead, Some(Seen::Ahead(gtids(ahead))));
        }
        // What was told before it was asked for is not visible yet.
        for before in ["0-1-99,7-1-5", "0-1-101,7-1-4", "0-1-100"] {
            check(before, None);
        }
    }
}
