//! The transaction in which the rows of a first load are read.

use pgwire_replication::{Lsn, QueryRow, ReplicationClient};

use super::answer::{query_long, text};
use super::catalogue::{FoundTable, find, unsaid};
use super::config::PostgresConfig;
use super::kinds::Kinds;
use super::lsn::without_header;
use super::place::Place;
use super::progress::Load;
use super::session::{Names, connect, is_same};
use super::snapshot::Snapshot;
use super::sql;
use crate::reader::Trouble;

/// Tables and partitions of one load: a position names them all.
const PARTS_MAX: usize = 1_000;

/// A transaction that reads.
pub(super) struct Session {
    pub(super) client: ReplicationClient,
    /// What it sees, as the server says it.
    pub(super) seen: String,
    /// The load's snapshot, and the number of the next transaction; `None`: the transaction sees just that snapshot.
    pub(super) later: Option<(Snapshot, u64)>,
    pub(super) tables: Vec<FoundTable>,
}

impl Session {
    /// Begins the first one of a load, or another one that goes on with it: then `place` and `load` say so.
    pub(super) async fn begin(
        config: &PostgresConfig,
        names: &Names,
        kinds: &mut Kinds,
        (place, load): (&mut Place, &mut Load),
    ) -> Result<Self, Trouble> {
        let mut client = connect(config, names, Lsn::ZERO).await?;
        is_same(config, &mut client, place).await?;
        query_long(config, &mut client, sql::BEGIN).await?;
        let is_first = load.snapshot.is_empty();
        if is_first {
            // One of a session that ended may be there for a while.
            let slot = format!("dray_load_{:016x}", rand::random::<u64>());
            let rows = query_long(config, &mut client, &sql::make_load_slot(&slot)).await?;
            let end = one(&rows, 1).and_then(|at| Lsn::parse(at).ok());
            place.end = end.ok_or_else(|| unsaid("where a snapshot stands"))?;
        }
        let rows = query_long(config, &mut client, sql::SIGHT).await?;
        let seen = one(&rows, 0).ok_or_else(|| unsaid("what a transaction sees"))?;
        let seen = seen.to_owned();
        if !is_first {
            let end = one(&rows, 1).and_then(|at| Lsn::parse(at).ok());
            let end = end.ok_or_else(|| unsaid("where its log ends"))?;
            // Rows that were changed since are left out, as the log tells of them: a server without that would leave them out altogether. It is where
            // the log is written, not where it is on disk: what is committed asynchronously is seen before it is there.
            let page = one(&rows, 2).and_then(|page| page.parse().ok());
            place.sees(without_header(end, page.unwrap_or(0)));
        }
        let later = match is_first {
            true => None,
            false => {
                let first = Snapshot::read(&load.snapshot).map_err(Trouble::Person)?;
                let now = Snapshot::read(&seen).map_err(Trouble::Passing)?;
                Some((first, now.xmax))
            }
        };
        for sql in [sql::PATIENCE, sql::IN_ORDER] {
            query_long(config, &mut client, sql).await?;
        }
        let tables = config.tables.iter().map(|table| &*table.name);
        query_long(config, &mut client, &sql::lock(tables)).await?;
        let mut tables = Vec::new();
        for wanted in &config.tables {
            tables.push(find(config, names, kinds, &mut client, wanted).await?);
        }
        if is_first {
            let parts = tables.iter().flat_map(|found| &found.parts);
            load.parts = parts.map(|part| (part.oid, part.file)).collect();
            if load.parts.len() > PARTS_MAX {
                return Err(Trouble::Person(format!(
                    "the tables have {} partitions, and a first load takes {PARTS_MAX} at most: make several flows, or write first_load = false",
                    load.parts.len()
                )));
            }
            seen.clone_into(&mut load.snapshot);
        }
        Ok(Self {
            client,
            seen,
            later,
            tables,
        })
    }
}

fn one(rows: &[QueryRow], at: usize) -> Option<&str> {
    text(rows.first()?, at)
}
