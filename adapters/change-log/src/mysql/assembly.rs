//! Puts the log's events together to batches. Pure: it is given events, and knows neither the server nor the time.
//!
//! The log holds what is committed, but for what it says itself (`ROLLBACK`, XA), so rows are handed out as they come: a batch may end behind any
//! event of a transaction, and the position after that says how many of its events with rows there were. Where the source goes on there, the transaction comes again from its beginning, and these
//! are passed over.

mod statements;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dray_adapter::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Report, Reported};

use super::event::{Begin, Event};
use super::place::{Place, Within};
use super::sight::Order;
use super::table::{Known, Table};
use super::table_map::{self, Charsets, Column, TableMap};
use super::transaction::Transaction;
use crate::again::{Join, Joined, Parts, Queue};
use crate::columns::TableConfig;
use crate::reader::Ready;
use crate::rows::Rows;
use crate::schema::Described;
use crate::watch::Watch;

/// Tables that are remembered: each is described again before its rows.
const TABLES_MAX: usize = 10_000;

/// What an event led to.
#[derive(Debug)]
pub(super) enum Step {
    Nothing,
    /// To be appended now.
    Ready(Box<Ready<Place>>),
    /// A transaction ended that holds nothing for us.
    Passed,
    /// A table must be made known before its rows come.
    New(TableMap),
}

/// A table whose rows come.
#[derive(Debug)]
struct Coming {
    /// The event that described it.
    bytes: Vec<u8>,
    table: Table,
    columns: Vec<Described>,
    /// Whether a row came since it was described.
    is_met: bool,
}

/// What was told, and where it leads.
#[derive(Debug)]
pub(super) struct Assembly {
    flow: Arc<str>,
    wanted: BTreeMap<String, TableConfig>,
    charsets: Charsets,
    /// By their number; `None`: not wanted.
    tables: HashMap<u64, Option<Coming>>,
    watch: Watch,
    reports: Vec<Reported>,
    rows: Rows,
    place: Place,
    transaction: Option<Transaction>,
    /// Transactions so far.
    ended: u64,
    /// A table whose rows come once more.
    join: Option<Join<Order>>,
    records_max: usize,
}

impl Assembly {
    pub(super) fn new(
        flow: &str,
        tables: &[TableConfig],
        (charsets, watch): (Charsets, Watch),
        place: Place,
    ) -> Self {
        let by_name = tables
            .iter()
            .map(|table| (table.name.clone(), table.clone()));
        Self {
            flow: flow.into(),
            wanted: by_name.collect(),
            charsets,
            tables: HashMap::new(),
            watch,
            reports: Vec::new(),
            rows: Rows::default(),
            place,
            transaction: None,
            ended: 0,
            join: None,
            records_max: BATCH_RECORDS_MAX,
        }
    }

    /// Where it stands; `None` while a transaction is coming, of which a part may have been handed out: its place is further on.
    pub(super) fn place(&self) -> Option<&Place> {
        self.transaction.is_none().then_some(&self.place)
    }

    /// Behind what was handed out last.
    pub(super) fn newest(&self) -> &Place {
        &self.place
    }

    /// The next event. `committed_at`: ISO 8601.
    ///
    /// # Errors
    /// A sentence: it is not understood, or a part of the log is missing.
    pub(super) fn event(
        &mut self,
        event: Event<'_>,
        committed_at: impl FnOnce() -> String,
    ) -> Result<Step, String> {
        match event {
            Event::Begin(begin) => self.begin(begin, committed_at())?,
            Event::Table(bytes) => return self.table(bytes),
            Event::Rows(rows) => return self.put(&rows),
            Event::Statement { schema, text } => return self.statement(&schema, &text),
            Event::Commit => return self.commit(),
            // None of its rows was ours.
            Event::Prepared => return self.commit(),
            Event::Incident => {
                return Err("the server says that a part of its log is lost (incident event): what changed there is not known".into());
            }
            Event::Heartbeat => {
                if let (Some(join), None) = (&mut self.join, &self.transaction) {
                    join.is_at_end(&self.place);
                }
            }
            Event::Other => {}
        }
        Ok(Step::Nothing)
    }

    /// A table that was new is known now.
    ///
    /// # Errors
    /// A sentence: it does not have what is wanted.
    pub(super) fn know(&mut self, map: TableMap) -> Result<(), String> {
        let id = map.id;
        let bytes = map.bytes.clone();
        let wanted = self.wanted.get(&map.name).expect("only those are new");
        let columns = map.columns.iter().flatten();
        let columns: Vec<_> = columns.map(Column::described).collect();
        let table = Table::new(map, wanted.wanted())?;
        // It has another number since it was altered.
        self.tables.retain(|_, known| {
            let known = known.as_ref().map(|known| known.table.name());
            known != Some(table.name())
        });
        if let Some(join) = &mut self.join {
            join.described(self.ended + 1, table.name(), &columns);
        }
        let coming = Coming {
            bytes,
            table,
            columns,
            is_met: false,
        };
        self.tables.insert(id, Some(coming));
        Ok(())
    }

    fn begin(&mut self, begin: Begin, committed_at: String) -> Result<(), String> {
        if let Some(open) = &self.transaction {
            return Err(format!(
                "the transaction {} has no end in the log, and {begin} begins",
                open.gtid
            ));
        }
        if self.tables.len() > TABLES_MAX {
            self.tables.clear();
        }
        let transaction = Transaction::begin(&self.flow, &self.place, begin, committed_at)?;
        self.transaction = Some(transaction);
        Ok(())
    }

    fn table(&mut self, bytes: &[u8]) -> Result<Step, String> {
        let (id, name) = table_map::names(bytes)?;
        let known = self.tables.get(&id).and_then(Option::as_ref);
        if known.is_some_and(|known| known.bytes == bytes) {
            return Ok(Step::Nothing);
        }
        if !self.wanted.contains_key(&name) {
            self.tables.insert(id, None);
            return Ok(Step::Nothing);
        }
        Ok(Step::New(TableMap::read(bytes, &self.charsets)?))
    }

    fn put(&mut self, event: &super::event::Rows<'_>) -> Result<Step, String> {
        let Some(transaction) = &mut self.transaction else {
            return Err("a row stands outside of a transaction".into());
        };
        transaction.events += 1;
        if transaction.events <= transaction.passed_over {
            if let Some(Some(coming)) = self.tables.get(&event.table) {
                transaction.counted += coming.table.count(event)?;
            }
            return transaction.passes().map(|()| Step::Nothing);
        }
        match self.tables.get_mut(&event.table) {
            None => {
                return Err(format!(
                    "a row is of table number {}, which was never described",
                    event.table
                ));
            }
            Some(None) => return Ok(Step::Nothing),
            Some(Some(_)) if transaction.is_prepared => {
                return Err("a transaction with rows of the flow's tables was prepared (XA), and it is not known whether it will be committed: this version does not read such; \
                     let the application commit in one phase, or read its tables another way"
                    .into());
            }
            Some(Some(coming)) => {
                if !coming.is_met {
                    let Coming { table, columns, .. } = &*coming;
                    let met = self
                        .watch
                        .meet(&mut self.place.schemas, table.name(), columns)?;
                    self.reports.extend(met.map(|report| Reported {
                        after: self.rows.len(),
                        ordinal: transaction.rows,
                        report: Report::Schema(report),
                    }));
                    coming.is_met = true;
                }
                let table = &coming.table;
                let known = Known {
                    transaction: &transaction.gtid,
                    committed_at: &transaction.committed_at,
                };
                let before = self.rows.len();
                transaction.rows += table.put(&mut self.rows, event, known, transaction.rows)?;
                if let Some(join) = &mut self.join {
                    let put = self.rows.since(before);
                    put.for_each(|record| join.see(self.ended + 1, &record));
                }
            }
        }
        Ok(self.full())
    }

    /// What is to be appended now, though the transaction goes on.
    fn full(&mut self) -> Step {
        let is_full = self.rows.len() >= self.records_max || self.rows.bytes() >= BATCH_BYTES_MAX;
        match &mut self.transaction {
            Some(transaction) if is_full => {
                transaction.is_out = true;
                self.place.within = Some(Within {
                    gtid: transaction.gtid.to_string(),
                    events: transaction.events,
                    rows: transaction.rows,
                });
                let made = (&mut self.rows, &mut self.reports);
                let ready = transaction.ready(made, &self.place, false);
                Step::Ready(Box::new(ready))
            }
            _ => Step::Nothing,
        }
    }

    fn commit(&mut self) -> Result<Step, String> {
        let transaction = self.transaction.take();
        let transaction = transaction.ok_or("a commit stands outside of a transaction")?;
        self.place.at.add(&transaction.begin)?;
        self.ended += 1;
        if let Some(join) = &mut self.join {
            join.track.told(&transaction.begin);
        }
        let was_within = self.place.within.take().is_some();
        let is_news = self.rows.len() > 0 || !self.reports.is_empty();
        Ok(match is_news || was_within {
            true => {
                let made = (&mut self.rows, &mut self.reports);
                let ready = transaction.ready(made, &self.place, true);
                Step::Ready(Box::new(ready))
            }
            false => Step::Passed,
        })
    }
}

impl Joined for Assembly {
    type Place = Place;
    type Track = Order;

    fn queue(&self) -> &Queue {
        &self.place.again
    }

    fn between(&mut self) -> Option<Parts<'_, Place, Order>> {
        let is_between = self.transaction.is_none() && self.place.within.is_none();
        is_between.then_some(Parts {
            place: &mut self.place,
            watch: &mut self.watch,
            join: &mut self.join,
        })
    }

    fn join(&mut self) -> &mut Option<Join<Order>> {
        &mut self.join
    }

    fn track(&self) -> Order {
        Order::new(self.ended)
    }
}

#[cfg(test)]
mod tests;
