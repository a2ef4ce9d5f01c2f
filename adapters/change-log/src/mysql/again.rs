//! Chunks of a table's rows, read beside the stream, and what they see of it.
//!
//! MariaDB writes a transaction to its log first and makes it visible after that, so the stream may have told of one that a later question does
//! not see yet. But a transaction that begins `WITH CONSISTENT SNAPSHOT` sees just what stands in the log before a place that the server names,
//! and no lock is needed for it. So each chunk is read in such a one, and is given at exactly that place of the stream, or, where the stream was
//! further on when it arrived, behind it, without what was told since. One whose place is before where it was asked for is read again.
//!
//! MySQL names such a place only under a lock on all tables: there it is refused.

use std::collections::BTreeMap;
use std::mem;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row};

use super::config::MySqlConfig;
use super::event::Begin;
use super::gtid::Gtids;
use super::load::{Reading, Snapshot, describe, key_of, put};
use super::place::Place;
use super::session::{self, answered, connect};
use super::sql;
use crate::again::{
    Again, CHUNK_BYTES, CHUNK_ROWS_FIRST, CHUNK_ROWS_MAX, Chunk, Chunks, FLIGHT_TRANSACTIONS_MAX,
    Track, View,
};
use crate::columns::TableConfig;
use crate::reader::Trouble;
use crate::rows::{About, Op, Rows, shape};

/// Of one domain the last transaction: server and number.
type Last = BTreeMap<u32, (u32, u64)>;

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
    type Sight = Gtids;
    type View = Seen;

    fn begin(&mut self, _: &Gtids) {}

    fn depart(&mut self, place: &Place) {
        self.is_away = true;
        if let Gtids::Maria(last) = &place.at {
            self.at.clone_from(last);
        }
    }

    fn is_full(&self) -> bool {
        self.since.len() >= FLIGHT_TRANSACTIONS_MAX
    }

    fn settle(&mut self, sight: Gtids) -> Option<Seen> {
        self.is_away = false;
        let (before, since) = (self.before, mem::take(&mut self.since));
        self.before += since.len() as u64;
        let Gtids::Maria(seen) = &sight else {
            return None;
        };
        let is_before = self
            .at
            .iter()
            .any(|(domain, (_, number))| seen.get(domain).is_none_or(|(_, seen)| seen < number));
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
            None => Seen::Ahead(sight),
        })
    }
}

/// Reads chunks.
pub(super) struct Reader<'r> {
    config: &'r MySqlConfig,
    is_maria: bool,
    conn: Option<Conn>,
    /// Rows of the next chunk.
    count: usize,
}

impl<'r> Reader<'r> {
    pub(super) fn new(config: &'r MySqlConfig, is_maria: bool) -> Self {
        Self {
            config,
            is_maria,
            conn: None,
            count: CHUNK_ROWS_FIRST,
        }
    }

    async fn session(&mut self) -> Result<Conn, Trouble> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => {
                let mut conn = connect(self.config).await?;
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

    async fn describe(&self, conn: &mut Conn, wanted: &TableConfig) -> Result<Reading, Trouble> {
        let reading = describe(self.config, conn, wanted).await?;
        match reading.keys.is_empty() {
            false => Ok(reading),
            true => Err(Trouble::Person(format!(
                "{} has no primary key that its rows can be read by, one part after the other: it has none, or one of floating-point numbers, enumerations or parts of texts, or columns, without or mask hide it",
                wanted.name
            ))),
        }
    }
}

impl Chunks for Reader<'_> {
    type Sight = Gtids;

    fn another(&self) -> Self {
        Reader::new(self.config, self.is_maria)
    }

    async fn look(&mut self, table: &str) -> Result<(Vec<String>, Gtids), Trouble> {
        if !self.is_maria {
            return Err(Trouble::Person(
                "MySQL says only under a lock on all tables where in its log a question stands, and an agent takes none: give the table to a flow of its own, which begins with all its rows".into(),
            ));
        }
        let wanted = self.wanted(table)?;
        let mut conn = self.session().await?;
        let engines: Vec<(String, String)> =
            session::all(self.config, &mut conn, &sql::engine(table)).await?;
        if let Some((engine, _)) = engines.first().filter(|(_, knows)| knows != "YES") {
            return Err(Trouble::Person(format!(
                "{table} is kept by {engine}, which knows no transactions, so that its rows can't be read as they were at one place of the log: let the DBA run ALTER TABLE {} ENGINE = InnoDB;",
                sql::table(table)
            )));
        }
        let reading = self.describe(&mut conn, wanted).await?;
        let end = session::end(self.config, &mut conn, true).await?;
        self.conn = Some(conn);
        // Of the table before it may have been narrower.
        self.count = CHUNK_ROWS_FIRST;
        let key = reading.keys.into_iter().map(|(_, key)| key.name);
        Ok((key.collect(), end))
    }

    async fn read(&mut self, again: &Again) -> Result<(Chunk, Gtids), Trouble> {
        let wanted = self.wanted(&again.table)?;
        let conn = self.session().await?;
        let Snapshot { mut conn, at } = Snapshot::take_over(self.config, conn, true).await?;
        session::run(self.config, &mut conn, &sql::touch(&wanted.name)).await?;
        let table = self.describe(&mut conn, wanted).await?;
        let keys: Vec<_> = table.keys.iter().map(|(_, key)| key.clone()).collect();
        // A key that is another one now says nothing: the table is read from its beginning.
        let names = again.after.iter().map(|(name, _)| name);
        let after = names.eq(keys.iter().map(|key| &key.name)).then(|| {
            let values = again.after.iter().map(|(_, value)| value.clone());
            values.collect::<Vec<_>>()
        });
        let columns = table.taken.iter().map(|column| &*column.name);
        let rows = sql::rows(&wanted.name, columns, &keys, after.as_deref());
        let sql = format!("{rows} LIMIT {}", self.count);
        let asked = conn.exec::<Row, _, _>(sql, ());
        let rows = answered(self.config, session::LONG_ANSWER_MAX, asked).await?;
        session::run(self.config, &mut conn, "COMMIT").await?;
        self.conn = Some(conn);
        let shape = shape(&wanted.name, &table.taken);
        let mut all = Rows::default();
        let mut taken = 0;
        for row in &rows {
            // What is above is read again: an append has an end.
            if all.bytes() >= CHUNK_BYTES {
                break;
            }
            put(&mut all, wanted, &table.taken, row)?;
            all.end(&shape, &READ);
            taken += 1;
        }
        let is_last = rows.len() < self.count && taken == rows.len();
        let last = rows[..taken].last().map(|row| key_of(row, &table.keys));
        let last = last.map_or(Some(Vec::new()), |last| last);
        let fitting = CHUNK_BYTES / (all.bytes() / taken.max(1)).max(1);
        self.count = fitting.clamp(1, CHUNK_ROWS_MAX.min(2 * self.count));
        let chunk = Chunk {
            columns: table.columns,
            records: all.take(),
            last: last
                .ok_or_else(|| Trouble::Person(format!("{}: a row has no key", wanted.name)))?,
            is_last,
        };
        Ok((chunk, at))
    }
}

/// What is known of a row before its place is.
const READ: About<'_> = About {
    op: Op::Read,
    transaction: "",
    position: "",
    committed_at: "",
    ordinal: 0,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn gtids(text: &str) -> Gtids {
        Gtids::read(text, true).expect("a list")
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
            assert_eq!(order.settle(gtids(seen)), expected, "{seen}");
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
