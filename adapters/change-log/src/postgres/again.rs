//! Chunks of a table's rows, read beside the stream.
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
//! between the two would look empty. So it is also the same table, with the same key, for all of the snapshot.

use pgwire_replication::{Lsn, ReplicationClient};

use super::answer::{query, query_long, text};
use super::catalogue::{FoundTable, find, unsaid};
use super::config::PostgresConfig;
use super::kinds::Kinds;
use super::load::{LARGE_ROWS_MAX, cell};
use super::lsn::without_header;
use super::place::Place;
use super::session::{Names, connect, is_same};
use super::sight::Sight;
use super::snapshot::Snapshot;
use super::sql;
use crate::again::{Again, CHUNK_ROWS_MAX, Chunk, Chunks, Filling, Key, READ, Size};
use crate::reader::Trouble;

/// Reads chunks.
pub(super) struct Reader<'r> {
    config: &'r PostgresConfig,
    names: &'r Names,
    /// Of the server that is streamed from.
    begins: &'r Place,
    kinds: Kinds,
    client: Option<ReplicationClient>,
    size: Size,
}

/// A table that can be read.
struct Readable {
    key: Key,
    /// It has partitions: its rows are theirs.
    has_parts: bool,
    found: FoundTable,
}

impl Readable {
    fn has_large(&self) -> bool {
        self.found.parts.iter().any(|part| part.has_large)
    }
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
            size: Size::new(CHUNK_ROWS_MAX),
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
        for sql in [sql::BEGIN, sql::WAIT_LITTLE] {
            query(self.config, &mut client, sql).await?;
        }
        let locked = query(self.config, &mut client, &sql::lock([table].into_iter())).await;
        locked.map_err(|trouble| self.lasting(table, trouble))?;
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

    /// What does not pass by itself, as what it is: the table is gone, or may not be read any more.
    fn lasting(&self, table: &str, trouble: Trouble) -> Trouble {
        let Trouble::Passing(said) = trouble else {
            return trouble;
        };
        let has = |code: &str| said.contains(&format!("SQLSTATE {code}"));
        // undefined_table, invalid_schema_name; insufficient_privilege.
        Trouble::Person(match () {
            () if has("42P01") || has("3F000") => self.is_gone(table),
            () if has("42501") => {
                let way = way_out(&said, table, &self.config.user);
                format!("{said}; {way}, and ask again")
            }
            () => return Trouble::Passing(said),
        })
    }

    fn is_gone(&self, table: &str) -> String {
        format!("the database {} has no table {table}", self.config.database)
    }

    /// Its key, and its columns.
    async fn describe(
        &mut self,
        client: &mut ReplicationClient,
        table: &str,
    ) -> Result<Readable, Trouble> {
        let wanted = self.config.tables.iter().find(|known| known.name == table);
        let wanted = wanted
            .ok_or_else(|| Trouble::Person(format!("the flow does not read {table} any more")))?;
        let rows = query(self.config, client, &sql::row_key(table)).await?;
        let first = rows
            .first()
            .ok_or_else(|| Trouble::Person(self.is_gone(table)))?;
        let column = |row| Some((text(row, 1)?.to_owned(), text(row, 2)?.to_owned()));
        let key: Key = rows.iter().filter_map(column).collect();
        let has_parts = text(first, 0) == Some("p");
        if key.is_empty() {
            return Err(Trouble::Person(format!(
                "{table} has no key that its rows can be read by, one part after the other: let its owner give it a primary key that is not DEFERRABLE, or name a unique index by REPLICA IDENTITY"
            )));
        }
        let found = find(self.config, self.names, &mut self.kinds, client, wanted).await?;
        match key.iter().find(|(name, _)| !found.table.shows(name)) {
            None => Ok(Readable {
                key,
                has_parts,
                found,
            }),
            Some((hidden, _)) => Err(Trouble::Person(format!(
                "{hidden} is of the key of {table}, and columns, without or mask hide it: its rows can't be told apart, so they can't come again while the stream goes on"
            ))),
        }
    }

    /// That the log tells of all that the table holds, by the table's name.
    async fn is_whole(&self, client: &mut ReplicationClient, table: &str) -> Result<(), Trouble> {
        let publication = &self.names.publication;
        let rows = query(self.config, client, &sql::publishes(publication)).await?;
        if rows.first().map(|row| (text(row, 0), text(row, 1))) != Some((Some("t"), Some("f"))) {
            return Err(Trouble::Person(format!(
                "the publication {publication} leaves out rows, columns or kinds of changes: the table holds what the log does not tell of. Let its owner make it whole"
            )));
        }
        // A partition's rows are told by its own name or by that of the whole, as `publish_via_partition_root` says.
        let told = query(self.config, client, &sql::published(publication)).await?;
        match told.iter().any(|row| text(row, 0) == Some(table)) {
            true => Ok(()),
            false => Err(Trouble::Person(format!(
                "the publication {publication} does not tell of {table} by this name. If it lacks it, let its owner run: ALTER PUBLICATION {0} ADD TABLE {1}; \
                 if the table has partitions or is one, and publish_via_partition_root tells of the other: ALTER PUBLICATION {0} SET (publish_via_partition_root = true); \
                 or name in the flow those that are told",
                sql::name(publication),
                sql::table(table)
            ))),
        }
    }

    /// The rows behind a key.
    async fn rows(
        &mut self,
        client: &mut ReplicationClient,
        table: Readable,
        again: &Again,
    ) -> Result<Chunk, Trouble> {
        let has_large = table.has_large();
        let Readable {
            key,
            has_parts,
            found,
        } = table;
        let names: Vec<_> = key.iter().map(|(name, _)| name.clone()).collect();
        let after: Vec<_> = again.after.iter().map(|(_, value)| &**value).collect();
        if has_large {
            // They may have come since it was looked at.
            self.size.is_at_most(LARGE_ROWS_MAX);
        }
        let sql = sql::rows_behind(
            &again.table,
            found.table.taken(),
            &names,
            &after,
            has_parts,
            self.size.rows(),
        );
        let rows = query_long(self.config, client, &sql).await;
        let rows = rows.map_err(|trouble| self.lasting(&again.table, trouble))?;
        let wrong = |what: &str| Trouble::Person(format!("{}: {what}", again.table));
        let (mut filling, mut taken) = (Filling::default(), None);
        for (at, row) in rows.iter().enumerate() {
            if filling.is_full() {
                break;
            }
            let cells = row.iter().map(cell).collect::<Result<Vec<_>, _>>();
            let cells = cells.map_err(|_| {
                wrong("a value is no UTF-8, as its database does not say what its texts are (SQL_ASCII); leave its column out by `without`")
            })?;
            found.table.put_row(&mut filling.rows, &cells, &READ);
            filling.took(row.iter().flatten().map(|value| value.len()).sum());
            taken = Some(at);
        }
        let last = taken.and_then(|at| {
            let value = |name: &String| {
                let mut columns = found.table.relation.columns.iter();
                let column = columns.position(|column| column.name == *name)?;
                Some((name.clone(), text(&rows[at], column)?.to_owned()))
            };
            names.iter().map(value).collect::<Option<Vec<_>>>()
        });
        let is_all = taken.map_or(0, |at| at + 1) == rows.len();
        let chunk = filling.end(&mut self.size, is_all, (found.columns, key), last);
        chunk.map_err(|what| wrong(&what))
    }
}

impl Chunks for Reader<'_> {
    type Sight = Sight;

    const UNSEEN: &'static str = "transactions are open that have written, and perhaps were told already: it waits for their end";

    fn another(&self) -> Self {
        Reader::new(self.config, self.names, self.begins)
    }

    async fn look(&mut self, table: &str) -> Result<(Key, Sight), Trouble> {
        let (mut client, mut sight) = self.begin(table).await?;
        let readable = self.describe(&mut client, table).await?;
        let open = query(self.config, &mut client, sql::OPEN).await?;
        let open = open.iter().map(|row| text(row, 0)?.parse().ok());
        let open: Option<_> = open.collect();
        sight.open = open.ok_or_else(|| unsaid("which transactions are open"))?;
        self.is_whole(&mut client, table).await?;
        self.size = match readable.has_large() {
            true => Size::of_large(LARGE_ROWS_MAX),
            false => Size::new(CHUNK_ROWS_MAX),
        };
        query(self.config, &mut client, sql::END).await?;
        self.client = Some(client);
        Ok((readable.key, sight))
    }

    async fn read(&mut self, again: &Again) -> Result<(Chunk, Sight), Trouble> {
        let (mut client, sight) = self.begin(&again.table).await?;
        let readable = self.describe(&mut client, &again.table).await?;
        let chunk = match readable.key == again.key {
            true => self.rows(&mut client, readable, again).await?,
            false => Chunk::of_another_key(readable.key),
        };
        query(self.config, &mut client, sql::END).await?;
        self.client = Some(client);
        Ok((chunk, sight))
    }
}

/// What lets a role read a table, by what the server said (42501, insufficient_privilege).
fn way_out(said: &str, table: &str, user: &str) -> String {
    let user = sql::name(user);
    if said.contains("row-level security") {
        return format!(
            "its rows are hidden by a policy: let a superuser run: ALTER ROLE {user} BYPASSRLS;"
        );
    }
    if said.contains("permission denied for schema") {
        let schema = table.split('.').next().unwrap_or(table);
        return format!(
            "let the schema's owner run: GRANT USAGE ON SCHEMA {} TO {user};",
            sql::name(schema)
        );
    }
    format!(
        "let the owner of {table} run: GRANT SELECT ON {} TO {user};",
        sql::table(table)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_role_lacks_is_named_with_what_grants_it() {
        for (said, expected) in [
            (
                "permission denied for table stock",
                "GRANT SELECT ON \"wms\".\"stock\" TO \"dray\";",
            ),
            (
                "permission denied for schema wms",
                "GRANT USAGE ON SCHEMA \"wms\" TO \"dray\";",
            ),
            (
                "query would be affected by row-level security policy for table \"stock\"",
                "ALTER ROLE \"dray\" BYPASSRLS;",
            ),
        ] {
            let way = way_out(said, "wms.stock", "dray");
            assert!(way.ends_with(expected), "{way}");
        }
    }
}
