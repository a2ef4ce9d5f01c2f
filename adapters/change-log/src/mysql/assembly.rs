//! Puts the log's events together to batches. Pure: it is given events, and knows neither the server nor the time.
//!
//! The log holds what is committed, so rows are handed out as they come: a batch may end behind any event of a transaction, and the position after that
//! says how many of its events with rows there were. Where the source goes on there, the transaction comes again from its beginning, and these
//! are passed over.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dray_adapter::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, IdScope};

use super::event::{Begin, Event, STATEMENTS};
use super::place::{Place, Within};
use super::statement::Statement;
use super::table::{Known, Table};
use super::table_map::{self, Charsets, TableMap};
use crate::columns::TableConfig;
use crate::reader::Ready;
use crate::rows::Rows;

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

/// A transaction that is coming.
#[derive(Debug)]
struct Transaction {
    begin: Begin,
    gtid: Arc<str>,
    committed_at: String,
    scope: IdScope,
    /// A statement alone: no commit comes behind it.
    stands_alone: bool,
    /// Events with rows so far, and as many were appended before.
    events: u64,
    passed_over: u64,
    /// Rows of ours so far.
    rows: u64,
}

/// What was told, and where it leads.
#[derive(Debug)]
pub(super) struct Assembly {
    flow: Arc<str>,
    wanted: BTreeMap<String, TableConfig>,
    charsets: Charsets,
    /// By their number; `None`: not wanted.
    tables: HashMap<u64, Option<Table>>,
    /// The event that described each one that is wanted, and its number: it comes again before each statement.
    described: HashMap<u64, Vec<u8>>,
    rows: Rows,
    place: Place,
    transaction: Option<Transaction>,
    records_max: usize,
}

impl Assembly {
    pub(super) fn new(
        flow: &str,
        tables: &[TableConfig],
        charsets: Charsets,
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
            described: HashMap::new(),
            rows: Rows::default(),
            place,
            transaction: None,
            records_max: BATCH_RECORDS_MAX,
        }
    }

    /// Where it stands; `None` while a transaction is coming, of which a part may have been handed out: its place is further on.
    pub(super) fn place(&self) -> Option<&Place> {
        self.transaction.is_none().then_some(&self.place)
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
            Event::Prepared => {
                return Err("a transaction was prepared (XA), of which it is not known whether it will be committed: this version does not read such; \
                     let the application commit in one phase, or read its tables another way"
                    .into());
            }
            Event::Incident => {
                return Err("the server says that a part of its log is lost (incident event): what changed there is not known".into());
            }
            Event::Heartbeat | Event::Other => {}
        }
        Ok(Step::Nothing)
    }

    /// A table that was new is known now.
    ///
    /// # Errors
    /// A sentence: it does not have what is wanted.
    pub(super) fn know(&mut self, map: TableMap) -> Result<(), String> {
        let id = map.id;
        let wanted = self.wanted.get(&map.name).expect("only those are new");
        let table = Table::new(map, wanted.wanted())?;
        // It has another number since it was altered.
        self.tables.retain(|_, known| {
            known
                .as_ref()
                .is_none_or(|known| known.name() != table.name())
        });
        self.tables.insert(id, Some(table));
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
            self.described.clear();
        }
        let gtid = begin.to_string();
        let (passed_over, rows) = match &self.place.within {
            None => (0, 0),
            Some(within) if within.gtid == gtid => (within.events, within.rows),
            Some(within) => {
                return Err(format!(
                    "the transaction {} was appended in part, and the server goes on with another, {gtid}: a part of the log is missing",
                    within.gtid
                ));
            }
        };
        let stands_alone = match &begin {
            Begin::Maria { stands_alone, .. } => *stands_alone,
            // A statement tells.
            _ => true,
        };
        self.transaction = Some(Transaction {
            begin,
            scope: IdScope::of(&[self.flow.as_bytes(), b"mysql", gtid.as_bytes()]),
            gtid: gtid.into(),
            committed_at,
            stands_alone,
            events: 0,
            passed_over,
            rows,
        });
        Ok(())
    }

    fn table(&mut self, bytes: &[u8]) -> Result<Step, String> {
        let (id, name) = table_map::names(bytes)?;
        if self.described.get(&id).is_some_and(|known| known == bytes) {
            return Ok(Step::Nothing);
        }
        if !self.wanted.contains_key(&name) {
            self.described.remove(&id);
            self.tables.insert(id, None);
            return Ok(Step::Nothing);
        }
        let map = TableMap::read(bytes, &self.charsets)?;
        self.described.insert(id, bytes.to_vec());
        Ok(Step::New(map))
    }

    fn put(&mut self, event: &super::event::Rows<'_>) -> Result<Step, String> {
        let Some(transaction) = &mut self.transaction else {
            return Err("a row stands outside of a transaction".into());
        };
        transaction.events += 1;
        if transaction.events <= transaction.passed_over {
            return Ok(Step::Nothing);
        }
        match self.tables.get(&event.table) {
            None => {
                return Err(format!(
                    "a row is of table number {}, which was never described",
                    event.table
                ));
            }
            Some(None) => return Ok(Step::Nothing),
            Some(Some(table)) => {
                let known = Known {
                    transaction: &transaction.gtid,
                    committed_at: &transaction.committed_at,
                };
                transaction.rows += table.put(&mut self.rows, event, known, transaction.rows)?;
            }
        }
        Ok(self.full())
    }

    fn statement(&mut self, schema: &str, text: &str) -> Result<Step, String> {
        let Some(transaction) = &mut self.transaction else {
            return Err("a statement stands outside of a transaction".into());
        };
        match Statement::of(text) {
            Statement::Begin => {
                transaction.stands_alone = false;
                return Ok(Step::Nothing);
            }
            Statement::Commit => return self.commit(),
            Statement::Rollback if transaction.rows == 0 => return self.commit(),
            Statement::Rollback => {
                return Err(format!(
                    "the transaction {} was rolled back, and the log holds rows of it that a table without transactions keeps: what is true of them is not known",
                    transaction.gtid
                ));
            }
            Statement::Rows => return Err(STATEMENTS.into()),
            Statement::Truncate(named, table) => {
                let name = format!("{}.{table}", named.as_deref().unwrap_or(schema));
                self.truncated(&name);
            }
            Statement::Other => {}
        }
        let is_over = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.stands_alone);
        match is_over {
            true => self.commit(),
            false => Ok(Step::Nothing),
        }
    }

    fn truncated(&mut self, name: &str) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        if !self.wanted.contains_key(name) {
            return;
        }
        transaction.events += 1;
        if transaction.events <= transaction.passed_over {
            return;
        }
        let known = Known {
            transaction: &transaction.gtid,
            committed_at: &transaction.committed_at,
        };
        let tables = self.tables.values().flatten();
        match tables.into_iter().find(|table| table.name() == name) {
            Some(table) => table.put_truncated(&mut self.rows, known, transaction.rows),
            // No row of it came yet: its columns are not known, and say nothing here.
            None => Table::unknown(name).put_truncated(&mut self.rows, known, transaction.rows),
        }
        transaction.rows += 1;
    }

    /// What is to be appended now, though the transaction goes on.
    fn full(&mut self) -> Step {
        let is_full = self.rows.len() >= self.records_max || self.rows.bytes() >= BATCH_BYTES_MAX;
        match &self.transaction {
            Some(transaction) if is_full => {
                self.place.within = Some(Within {
                    gtid: transaction.gtid.to_string(),
                    events: transaction.events,
                    rows: transaction.rows,
                });
                let ready = ready(&mut self.rows, transaction, &self.place, false);
                Step::Ready(Box::new(ready))
            }
            _ => Step::Nothing,
        }
    }

    fn commit(&mut self) -> Result<Step, String> {
        let transaction = self.transaction.take();
        let transaction = transaction.ok_or("a commit stands outside of a transaction")?;
        self.place.at.add(&transaction.begin)?;
        let was_within = self.place.within.take().is_some();
        Ok(match self.rows.len() > 0 || was_within {
            true => {
                let ready = ready(&mut self.rows, &transaction, &self.place, true);
                Step::Ready(Box::new(ready))
            }
            false => Step::Passed,
        })
    }
}

fn ready(rows: &mut Rows, transaction: &Transaction, place: &Place, ends: bool) -> Ready<Place> {
    Ready {
        records: rows.take(),
        rejects: Vec::new(),
        scope: transaction.scope,
        change_position: Arc::clone(&transaction.gtid),
        place: place.clone(),
        ends,
    }
}
