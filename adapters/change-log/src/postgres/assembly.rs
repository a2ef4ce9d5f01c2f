//! Puts the log's messages together to batches. Pure: it is given messages, and knows neither the server nor the time.
//!
//! A transaction comes whole and after it was committed (protocol version 1), so its rows are handed out as they come: a batch may end within
//! it, and the position after that says how many of its rows there were. Where the source goes on there, the transaction comes again from its
//! beginning, and these are passed over.

use std::mem;
use std::sync::Arc;

use dray_adapter::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, IdScope, Report, Reported};
use pgwire_replication::Lsn;

use super::coming::{Coming, Tables};
use super::kinds::Kinds;
use super::message::{Message, Old, Relation, Tuple};
use super::place::Place;
use super::progress::Within;
use super::sight::Numbers;
use crate::again::{Join, Joined, Parts, Queue};
use crate::columns::TableConfig;
use crate::reader::Ready;
use crate::rows::{About, Op, Rows};
use crate::watch::Watch;

/// A transaction that is coming.
#[derive(Debug)]
struct Transaction {
    xid: u32,
    number: String,
    commit: Lsn,
    position: Arc<str>,
    committed_at: String,
    scope: IdScope,
    /// Row changes so far.
    rows: u64,
    /// As many were appended before.
    passed_over: u64,
    /// Whether something of it was handed out.
    is_told: bool,
}

/// What was told, and where it leads.
#[derive(Debug)]
pub(super) struct Assembly {
    flow: Arc<str>,
    tables: Tables,
    watch: Watch,
    rows: Rows,
    reports: Vec<Reported>,
    place: Place,
    transaction: Option<Transaction>,
    /// A table whose rows come once more.
    join: Option<Join<Numbers>>,
    records_max: usize,
}

impl Assembly {
    pub(super) fn new(
        flow: &str,
        tables: &[TableConfig],
        (kinds, watch): (Kinds, Watch),
        place: Place,
    ) -> Self {
        Self {
            flow: flow.into(),
            tables: Tables::new(tables, place.published.numbers(), kinds),
            watch,
            rows: Rows::default(),
            reports: Vec::new(),
            place,
            transaction: None,
            join: None,
            records_max: BATCH_RECORDS_MAX,
        }
    }

    /// Where it stands; `None` while a transaction is coming, of which a part may have been handed out: its place is further on.
    pub(super) fn place(&self) -> Option<&Place> {
        self.transaction.is_none().then_some(&self.place)
    }

    /// A transaction begins. `committed_at`: ISO 8601.
    ///
    /// # Errors
    /// A sentence: it is not the one that was appended in part.
    pub(super) fn begin(
        &mut self,
        commit: Lsn,
        xid: u32,
        committed_at: String,
    ) -> Result<(), String> {
        let passed_over = match self.place.within {
            None => 0,
            Some(within) if within.commit == commit => within.rows,
            Some(within) => {
                return Err(format!(
                    "the transaction whose commit stands at {} was appended in part, and the server goes on with another, at {commit}: a part of the log is missing",
                    within.commit
                ));
            }
        };
        let xid_bytes = xid.to_be_bytes();
        let commit_bytes = commit.as_u64().to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![
            self.flow.as_bytes(),
            b"postgres",
            self.place.system.as_bytes(),
            &commit_bytes,
            &xid_bytes,
        ];
        // A server that went back gives places and numbers a second time.
        if !self.place.fork.is_empty() {
            parts.push(self.place.fork.as_bytes());
        }
        let scope = IdScope::of(&parts);
        self.transaction = Some(Transaction {
            xid,
            number: xid.to_string(),
            commit,
            position: commit.to_string().into(),
            committed_at,
            scope,
            rows: 0,
            passed_over,
            is_told: passed_over > 0,
        });
        Ok(())
    }

    /// A table that a message describes by types whose names are not known: they are to be learnt before it is read.
    ///
    /// # Errors
    /// As of [`Self::message`].
    pub(super) fn undescribed(&self, bytes: &[u8]) -> Result<Option<Relation>, String> {
        match Message::is_relation(bytes) {
            true => self.tables.undescribed(Message::read(bytes)?),
            false => Ok(None),
        }
    }

    /// What is known of types.
    pub(super) fn kinds(&mut self) -> &mut Kinds {
        &mut self.tables.kinds
    }

    /// A message within a transaction.
    ///
    /// # Errors
    /// A sentence: it is not understood, and nothing after it can be; or the flow is to stop before it.
    pub(super) fn message(&mut self, bytes: &[u8]) -> Result<(), String> {
        match Message::read(bytes)? {
            Message::Relation(relation) => self.relation(relation)?,
            Message::Insert { relation, new } => {
                self.change(relation, Op::Create, Some(new), None)?
            }
            Message::Update { relation, old, new } => {
                self.change(relation, Op::Update, Some(new), old)?
            }
            Message::Delete { relation, old } => {
                self.change(relation, Op::Delete, None, Some(old))?
            }
            Message::Truncate { relations } => {
                for relation in relations {
                    self.change(relation, Op::Truncate, None, None)?;
                }
            }
            Message::Other => {}
        }
        Ok(())
    }

    /// What is to be appended now, though the transaction goes on.
    pub(super) fn full(&mut self) -> Option<Ready<Place>> {
        let is_full = self.rows.len() >= self.records_max || self.rows.bytes() >= BATCH_BYTES_MAX;
        is_full.then(|| self.ready(false)).flatten()
    }

    /// The transaction is whole; `end`: where its commit record ends. `None`: nothing of it is wanted.
    pub(super) fn commit(&mut self, end: Lsn) -> Option<Ready<Place>> {
        let is_told = self.transaction.as_ref().is_some_and(|one| one.is_told);
        self.place.within = None;
        self.place.move_to(end, is_told || self.rows.len() > 0);
        let ready = self.ready(true);
        if let (Some(join), Some(transaction)) = (&mut self.join, self.transaction.take()) {
            join.track.told(transaction.xid);
        }
        self.transaction = None;
        ready
    }

    /// The server has looked through its log up to here, and nothing of it is for us. Whether that is news.
    pub(super) fn looked_through(&mut self, end: Lsn) -> bool {
        let is_news =
            self.transaction.is_none() && end > self.place.end && self.place.within.is_none();
        if is_news {
            self.place.move_to(end, false);
        }
        is_news
    }

    fn relation(&mut self, relation: Relation) -> Result<(), String> {
        let Some(coming) = self.tables.describe(relation)? else {
            return Ok(());
        };
        if let (Some(join), Some(transaction)) = (&mut self.join, &self.transaction) {
            join.described(transaction.xid.into(), &coming.name, &coming.columns);
        }
        Ok(())
    }

    fn change(
        &mut self,
        relation: u32,
        op: Op,
        new: Option<Tuple<'_>>,
        old: Option<Old<'_>>,
    ) -> Result<(), String> {
        let Some(transaction) = &mut self.transaction else {
            return Err("a row stands outside of a transaction".into());
        };
        let ordinal = transaction.rows;
        transaction.rows += 1;
        if ordinal < transaction.passed_over {
            return Ok(());
        }
        let Some(coming) = self.tables.of(relation)? else {
            return Ok(());
        };
        if !coming.is_met {
            let Coming { name, columns, .. } = &*coming;
            let met = self.watch.meet(&mut self.place.schemas, name, columns)?;
            self.reports.extend(met.map(|report| Reported {
                after: self.rows.len(),
                ordinal,
                report: Report::Schema(report),
            }));
            coming.is_met = true;
        }
        let about = About {
            op,
            transaction: &transaction.number,
            position: &transaction.position,
            committed_at: &transaction.committed_at,
            ordinal,
        };
        let before = self.rows.len();
        coming.table.put(&mut self.rows, new, old, &about)?;
        if let Some(join) = &mut self.join {
            let put = self.rows.since(before);
            put.for_each(|record| join.see(transaction.xid.into(), &record));
        }
        Ok(())
    }

    fn ready(&mut self, ends: bool) -> Option<Ready<Place>> {
        let transaction = self.transaction.as_mut()?;
        if self.rows.len() == 0 {
            return None;
        }
        transaction.is_told = true;
        let mut place = self.place.clone();
        if !ends {
            place.within = Some(Within {
                commit: transaction.commit,
                rows: transaction.rows,
            });
        }
        Some(Ready {
            records: self.rows.take(),
            rejects: Vec::new(),
            reports: mem::take(&mut self.reports),
            scope: transaction.scope,
            change_position: Arc::clone(&transaction.position),
            place,
            ends,
        })
    }
}

impl Joined for Assembly {
    type Place = Place;
    type Track = Numbers;

    fn queue(&self) -> &Queue {
        &self.place.again
    }

    fn between(&mut self) -> Option<Parts<'_, Place, Numbers>> {
        let is_between = self.transaction.is_none() && self.place.within.is_none();
        is_between.then_some(Parts {
            place: &mut self.place,
            watch: &mut self.watch,
            join: &mut self.join,
        })
    }

    fn join(&mut self) -> &mut Option<Join<Numbers>> {
        &mut self.join
    }

    fn track(&self) -> Numbers {
        Numbers::default()
    }
}

#[cfg(test)]
mod tests;
