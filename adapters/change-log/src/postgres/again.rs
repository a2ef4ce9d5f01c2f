//! Chunks of a table's rows, read beside the stream, and what they see of it.
//!
//! PostgreSQL makes a transaction visible a moment after its commit is in the log, and where it waits for a standby (`synchronous_commit`) that moment may be
//! long: the stream may have told of a transaction that a later question does not see. So a chunk goes by the numbers of transactions: its
//! snapshot names those that it does not see. Of what these changed, the chunk is stale, wherever their commits stand. A transaction that it does
//! not see and that was told before it was asked for makes it useless; so does one that was open when the stream was joined, as it is not known
//! whether it was told before that.
//!
//! All that a chunk sees has its commit before where the log ended just after its snapshot was taken: it is given when the stream has passed that.
//!
//! The table is named (`LOCK TABLE ... IN ACCESS SHARE MODE`, as every question does) before the snapshot is taken: what was emptied or written anew
//! between the two would look empty.

use std::collections::HashSet;

use pgwire_replication::{Lsn, ReplicationClient};

use super::answer::{query, query_long, text};
use super::catalogue::{FoundTable, find, unsaid};
use super::config::PostgresConfig;
use super::kinds::Kinds;
use super::load::{LARGE_ROWS_MAX, cell};
use super::place::Place;
use super::session::{Names, connect, is_same};
use super::snapshot::Snapshot;
use super::sql;
use crate::again::{
    Again, CHUNK_BYTES, CHUNK_ROWS_FIRST, CHUNK_ROWS_MAX, Chunk, Chunks, FLIGHT_TRANSACTIONS_MAX,
    Track, View,
};
use crate::reader::Trouble;
use crate::rows::{About, Op, Rows};

/// What a question sees.
pub(super) struct Sight {
    snapshot: Snapshot,
    /// Where the log ended just then.
    end: Lsn,
    /// Where a table is looked at: transactions that had written and were open.
    open: Vec<u32>,
}

/// What a chunk sees.
#[derive(Debug)]
pub(super) struct Seen {
    snapshot: Snapshot,
    end: Lsn,
}

impl View for Seen {
    type Place = Place;

    fn has(&self, transaction: u64) -> bool {
        self.snapshot.has(transaction as u32)
    }

    fn is_reached(&self, place: &Place) -> bool {
        place.end >= self.end
    }
}

/// Transactions by their numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Told before the chunk at hand was asked for, or perhaps, and not known to be seen.
    doubtful: HashSet<u32>,
    /// Told since.
    since: HashSet<u32>,
    /// What was seen last: what it has, all later ones have.
    seen: Option<Snapshot>,
}

impl Numbers {
    /// The stream has told one.
    pub(super) fn told(&mut self, transaction: u32) {
        let seen = self.seen.as_ref();
        if !seen.is_some_and(|seen| seen.has(transaction)) {
            self.since.insert(transaction);
        }
    }
}

impl Track for Numbers {
    type Place = Place;
    type Sight = Sight;
    type View = Seen;

    fn begin(&mut self, sight: &Sight) {
        self.doubtful.extend(&sight.open);
        self.seen = Some(sight.snapshot.clone());
    }

    fn depart(&mut self, _: &Place) {
        self.doubtful.extend(self.since.drain());
    }

    fn is_full(&self) -> bool {
        self.since.len() >= FLIGHT_TRANSACTIONS_MAX
    }

    fn settle(&mut self, sight: Sight) -> Option<Seen> {
        let Sight { snapshot, end, .. } = sight;
        // One that was open at the beginning and is told only now was not told before.
        self.doubtful
            .retain(|one| !snapshot.has(*one) && !self.since.contains(one));
        self.seen = Some(snapshot.clone());
        self.doubtful.is_empty().then_some(Seen { snapshot, end })
    }
}

/// Reads chunks.
pub(super) struct Reader<'r> {
    config: &'r PostgresConfig,
    names: &'r Names,
    /// Of the server that is streamed from.
    begins: &'r Place,
    kinds: Kinds,
    client: Option<ReplicationClient>,
    /// Rows of the next chunk.
    count: usize,
}

/// A table's key.
struct Key {
    columns: Vec<String>,
    /// It has partitions: its rows are theirs.
    has_parts: bool,
}

impl<'r> Reader<'r> {
    /// `begins`: where the stream began.
    pub(super) fn new(config: &'r PostgresConfig, names: &'r Names, begins: &'r Place) -> Self {
        Self {
            config,
            names,
            begins,
            kinds: Kinds::default(),
            client: None,
            count: CHUNK_ROWS_FIRST,
        }
    }

    async fn begin(&mut self, table: &str) -> Result<(ReplicationClient, Sight), Trouble> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => {
                let mut client = connect(self.config, self.names, Lsn::ZERO).await?;
                is_same(self.config, &mut client, self.begins).await?;
                client
            }
        };
        for sql in [
            sql::BEGIN,
            sql::WAIT_LITTLE,
            &sql::lock([table].into_iter()),
        ] {
            query(self.config, &mut client, sql).await?;
        }
        let rows = query(self.config, &mut client, sql::SIGHT).await?;
        if rows.first().is_some_and(|row| text(row, 1).is_none()) {
            return Err(Trouble::Passing(format!(
                "the server {}:{} is a standby, which shows transactions before it says that it has them: a table's rows can come again from the primary server alone",
                self.config.host, self.config.port
            )));
        }
        let sight = rows.first().and_then(|row| {
            let end = Lsn::parse(text(row, 1)?).ok()?;
            let page: u64 = text(row, 2)?.parse().ok()?;
            Some(Sight {
                snapshot: Snapshot::read(text(row, 0)?).ok()?,
                end: without_header(end, page),
                open: Vec::new(),
            })
        });
        Ok((client, sight.ok_or_else(|| unsaid("what a question sees"))?))
    }

    /// Its key, and its columns.
    async fn describe(
        &mut self,
        client: &mut ReplicationClient,
        table: &str,
    ) -> Result<(Key, FoundTable), Trouble> {
        let wanted = self.config.tables.iter().find(|known| known.name == table);
        let wanted = wanted
            .ok_or_else(|| Trouble::Person(format!("the flow does not read {table} any more")))?;
        let rows = query(self.config, client, &sql::row_key(table)).await?;
        let first = rows.first().ok_or_else(|| {
            Trouble::Person(format!(
                "the database {} has no table {table}",
                self.config.database
            ))
        })?;
        let key = Key {
            columns: rows
                .iter()
                .filter_map(|row| text(row, 1).map(str::to_owned))
                .collect(),
            has_parts: text(first, 0) == Some("p"),
        };
        if key.columns.is_empty() {
            return Err(Trouble::Person(format!(
                "{table} has no key that its rows can be read by, one part after the other: let its owner give it a primary key that is not DEFERRABLE, or name a unique index by REPLICA IDENTITY"
            )));
        }
        let found = find(self.config, self.names, &mut self.kinds, client, wanted).await?;
        match key.columns.iter().find(|name| !found.table.shows(name)) {
            None => Ok((key, found)),
            Some(hidden) => Err(Trouble::Person(format!(
                "{hidden} is of the key of {table}, and columns, without or mask hide it: its rows can't be told apart, so they can't come again while the stream goes on"
            ))),
        }
    }

    async fn look_in(
        &mut self,
        table: &str,
    ) -> Result<(ReplicationClient, Sight, Key, FoundTable), Trouble> {
        let (mut client, sight) = self.begin(table).await?;
        let (key, found) = self.describe(&mut client, table).await?;
        Ok((client, sight, key, found))
    }

    /// That the log tells of all that the table holds.
    async fn is_whole(&self, client: &mut ReplicationClient) -> Result<(), Trouble> {
        let publication = &self.names.publication;
        let rows = query(self.config, client, &sql::publishes(publication)).await?;
        match rows.first().map(|row| (text(row, 0), text(row, 1))) {
            Some((Some("t"), Some("f"))) => Ok(()),
            _ => Err(Trouble::Person(format!(
                "the publication {publication} leaves out rows, columns or kinds of changes: the table holds what the log does not tell of. Let its owner make it whole"
            ))),
        }
    }
}

impl Chunks for Reader<'_> {
    type Sight = Sight;

    fn another(&self) -> Self {
        Reader::new(self.config, self.names, self.begins)
    }

    async fn look(&mut self, table: &str) -> Result<(Vec<String>, Sight), Trouble> {
        let (mut client, mut sight, key, found) = self.look_in(table).await?;
        let open = query(self.config, &mut client, sql::OPEN).await?;
        let open = open.iter().map(|row| text(row, 0)?.parse().ok());
        let open: Option<_> = open.collect();
        sight.open = open.ok_or_else(|| unsaid("which transactions are open"))?;
        self.is_whole(&mut client).await?;
        self.count = match found.parts.iter().any(|part| part.has_large) {
            true => 1,
            false => CHUNK_ROWS_FIRST,
        };
        query(self.config, &mut client, sql::END).await?;
        self.client = Some(client);
        Ok((key.columns, sight))
    }

    async fn read(&mut self, again: &Again) -> Result<(Chunk, Sight), Trouble> {
        let (mut client, sight, key, found) = self.look_in(&again.table).await?;
        // A key that is another one now says nothing: the table is read from its beginning.
        let names = again.after.iter().map(|(name, _)| name);
        let after: Vec<_> = match names.eq(&key.columns) {
            true => again.after.iter().map(|(_, value)| &**value).collect(),
            false => Vec::new(),
        };
        let columns = found.table.taken();
        let sql = sql::rows_behind(
            &again.table,
            columns,
            &key.columns,
            &after,
            key.has_parts,
            self.count,
        );
        let rows = query_long(self.config, &mut client, &sql).await?;
        query(self.config, &mut client, sql::END).await?;
        self.client = Some(client);
        let wrong = |what: &str| Trouble::Person(format!("{}: {what}", again.table));
        let (mut put, mut bytes, mut taken) = (Rows::default(), 0, 0);
        for row in &rows {
            // What is above is read again: an append has an end.
            if bytes >= CHUNK_BYTES {
                break;
            }
            taken += 1;
            let cells = row.iter().map(cell).collect::<Result<Vec<_>, _>>();
            let cells = cells.map_err(|_| {
                wrong("a value is no UTF-8, as its database does not say what its texts are (SQL_ASCII); leave its column out by `without`")
            })?;
            bytes += row.iter().flatten().map(|value| value.len()).sum::<usize>();
            found.table.put_row(&mut put, &cells, &READ);
        }
        let last = rows[..taken].last().map(|row| {
            let value = |name: &String| {
                let at = found
                    .table
                    .relation
                    .columns
                    .iter()
                    .position(|column| column.name == *name)?;
                Some((name.clone(), text(row, at)?.to_owned()))
            };
            key.columns.iter().map(value).collect::<Option<Vec<_>>>()
        });
        let last = last.map_or(Some(Vec::new()), |last| last);
        let is_last = rows.len() < self.count && taken == rows.len();
        let most = match found.parts.iter().any(|part| part.has_large) {
            true => LARGE_ROWS_MAX,
            false => CHUNK_ROWS_MAX,
        };
        let fitting = CHUNK_BYTES / (bytes / taken.max(1)).max(1);
        self.count = fitting.clamp(1, most.min(2 * self.count));
        let chunk = Chunk {
            columns: found.columns,
            records: put.take(),
            last: last.ok_or_else(|| wrong("a row has no key"))?,
            is_last,
        };
        Ok((chunk, sight))
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

/// Where the log ends, as the stream says it: at the beginning of a page the server names the place behind the page's header (24 bytes, of a
/// file's first page 40), where nothing is written yet.
fn without_header(end: Lsn, page: u64) -> Lsn {
    match end.as_u64().checked_rem(page) {
        Some(header @ (24 | 40)) => Lsn(end.as_u64() - header),
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(text: &str) -> Sight {
        Sight {
            snapshot: Snapshot::read(text).expect("a snapshot"),
            end: Lsn(0x30),
            open: Vec::new(),
        }
    }

    #[test]
    fn a_chunk_that_does_not_see_what_was_told_before_it_is_of_no_use() {
        let place = Place::at("73", 1, "dray_stock", Lsn(0x10));
        let mut numbers = Numbers::default();
        // Two are open, and perhaps told; a snapshot names only those before the last one that has ended.
        let open = vec![100, 110];
        numbers.begin(&Sight {
            open,
            ..sight("100:110:100")
        });
        numbers.depart(&place);
        assert!(numbers.settle(sight("100:110:100")).is_none());
        numbers.depart(&place);
        assert!(numbers.settle(sight("100:111:100")).is_none());
        numbers.depart(&place);
        // One ends and is told while the chunk is read, which does not see it.
        numbers.told(100);
        let seen = numbers.settle(sight("100:112:100")).expect("it is of use");
        assert!(!seen.has(100) && seen.has(110) && !seen.has(112));
        assert!(!seen.is_reached(&place));
        // It is told before the next, which must see it.
        numbers.depart(&place);
        assert!(numbers.settle(sight("100:113:100")).is_none());
        numbers.depart(&place);
        assert!(numbers.settle(sight("113:113:")).is_some());
        assert!(numbers.doubtful.is_empty(), "nothing is kept");
    }

    #[test]
    fn the_end_of_a_page_is_where_the_stream_says_it_is() {
        for (end, expected) in [
            (8_192 + 24, 8_192),
            (40, 0),
            (8_192 + 48, 8_192 + 48),
            (100, 100),
        ] {
            assert_eq!(without_header(Lsn(end), 8_192), Lsn(expected));
        }
    }
}
