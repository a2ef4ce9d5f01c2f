//! Puts the log's messages together to batches. Pure: it is given messages, and knows neither the server nor the time.
//!
//! A transaction comes whole and after it was committed (protocol version 1), so its rows are handed out as they come: a batch may end within
//! it, and the position after that says how many of its rows there were. Where the source goes on there, the transaction comes again from its
//! beginning, and these are passed over.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;

use dray_adapter::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, IdScope, Report, Reported};
use pgwire_replication::Lsn;

use super::again::Numbers;
use super::kinds::Kinds;
use super::message::{Message, Old, Relation, Tuple};
use super::place::{Place, Within};
use super::table::{Table, full_name};
use crate::again::{Join, Joined, Parts, Queue};
use crate::columns::TableConfig;
use crate::reader::Ready;
use crate::rows::{About, Op, Rows};
use crate::schema::Described;
use crate::watch::Watch;

/// A table whose rows come.
#[derive(Debug)]
struct Coming {
    name: String,
    table: Table,
    columns: Vec<Described>,
    /// Whether a row came since it was described.
    is_met: bool,
}

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
    wanted: BTreeMap<String, TableConfig>,
    /// By their number.
    tables: HashMap<u32, Coming>,
    /// Tables of the publication that are not wanted.
    unwanted: HashMap<u32, String>,
    kinds: Kinds,
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
        let by_name = tables
            .iter()
            .map(|table| (table.name.clone(), table.clone()));
        Self {
            flow: flow.into(),
            wanted: by_name.collect(),
            tables: HashMap::new(),
            unwanted: HashMap::new(),
            kinds,
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
        if !Message::is_relation(bytes) {
            return Ok(None);
        }
        Ok(match Message::read(bytes)? {
            Message::Relation(relation)
                if self.wanted.contains_key(&full_name(&relation))
                    && !self.kinds.unknown(&relation).is_empty() =>
            {
                Some(relation)
            }
            _ => None,
        })
    }

    /// What is known of types.
    pub(super) fn kinds(&mut self) -> &mut Kinds {
        &mut self.kinds
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
        let (oid, name) = (relation.oid, full_name(&relation));
        let Some(wanted) = self.wanted.get(&name) else {
            self.tables.remove(&oid);
            self.unwanted.insert(oid, name);
            return Ok(());
        };
        let coming = Coming {
            columns: self.kinds.describe(&relation),
            table: Table::new(relation, wanted.wanted())?,
            is_met: false,
            name,
        };
        if let (Some(join), Some(transaction)) = (&mut self.join, &self.transaction) {
            join.described(transaction.xid.into(), &coming.name, &coming.columns);
        }
        self.tables.insert(oid, coming);
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
        let Some(coming) = self.tables.get_mut(&relation) else {
            return match self.unwanted.contains_key(&relation) {
                true => Ok(()),
                false => Err(format!(
                    "a row is of table number {relation}, which was never described"
                )),
            };
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
mod tests {
    use super::*;
    use crate::shapes::Shapes;

    fn assembly(place: Place) -> Assembly {
        let table: TableConfig = toml::from_str("name = 'public.stock'").expect("a table");
        let watch = Watch::new("postgres", std::slice::from_ref(&table), Shapes::default());
        let mut kinds = Kinds::default();
        kinds.note(25, -1, "text");
        let mut assembly = Assembly::new("north/stock", &[table], (kinds, watch), place);
        assembly.records_max = 2;
        assembly
    }

    const STOCK: &[u8] = b"R\0\0\0\x07public\0stock\0d\0\x01\x01sku\0\0\0\0\x19\xff\xff\xff\xff";
    const OTHER: &[u8] = b"R\0\0\0\x08public\0other\0d\0\x01\x01sku\0\0\0\0\x19\xff\xff\xff\xff";

    fn insert(table: u8, sku: u8) -> Vec<u8> {
        [&b"I\0\0\0"[..], &[table], b"N\0\x01t\0\0\0\x01", &[sku]].concat()
    }

    fn shown(ready: Option<Ready<Place>>) -> String {
        let Some(ready) = ready else {
            return String::new();
        };
        let rows = ready.records.iter().map(|record| {
            format!(
                "{} {}",
                record.row().ordinal,
                String::from_utf8_lossy(record.raw())
            )
        });
        let within = ready.place.within.map_or(String::new(), |within| {
            format!(" within {}:{}", within.commit, within.rows)
        });
        let reports = ready.reports.iter().map(|reported| match &reported.report {
            Report::Schema(report) => {
                let said = report.differences.iter().map(|one| &*one.sentence);
                let said: Vec<_> = said.collect();
                format!(
                    "{:?}@{}:{}{}, ",
                    report.seen,
                    reported.after,
                    reported.ordinal,
                    said.join("; ")
                )
            }
            other => panic!("{other:?}"),
        });
        format!(
            "{}{}; {}{within}{}",
            reports.collect::<String>(),
            rows.collect::<Vec<_>>().join(", "),
            ready.place.end,
            if ready.ends { " ends" } else { "" }
        )
    }

    fn run(assembly: &mut Assembly, skus: &[u8]) -> Vec<String> {
        assembly
            .begin(Lsn(0x20), 731, "2026-11-27T08:15:00Z".into())
            .expect("it may begin");
        let mut told = Vec::new();
        for message in [STOCK, OTHER] {
            assert_eq!(assembly.message(message), Ok(()));
        }
        for sku in skus {
            assert_eq!(assembly.message(&insert(7, *sku)), Ok(()));
            assert_eq!(assembly.message(&insert(8, *sku)), Ok(()));
            told.push(shown(assembly.full()));
        }
        told.push(shown(assembly.commit(Lsn(0x28))));
        told.retain(|told| !told.is_empty());
        told
    }

    #[test]
    fn a_long_transaction_comes_in_parts_and_goes_on_where_it_was() {
        let start = Place::at("73", 1, "dray_stock", Lsn(0x10));
        let whole = run(&mut assembly(start.clone()), b"ABCDE");
        assert_eq!(
            whole,
            [
                "First@0:0, 0 A, 2 B; 0/10 within 0/20:4",
                "4 C, 6 D; 0/10 within 0/20:8",
                "8 E; 0/28 ends"
            ]
        );
        let mut within = start.clone();
        within.within = Some(Within {
            commit: Lsn(0x20),
            rows: 4,
        });
        let mut first = assembly(start.clone());
        run(&mut first, b"A");
        within.schemas = first.place().expect("it ended").schemas.clone();
        assert_eq!(run(&mut assembly(within.clone()), b"ABCDE"), whole[1..]);
        let told = assembly(within)
            .begin(Lsn(0x24), 732, String::new())
            .expect_err("another");
        assert!(told.contains("a part of the log is missing"), "{told}");
        // One of which nothing is wanted moves the place.
        let mut other = assembly(start);
        assert_eq!(run(&mut other, b""), [""; 0]);
        assert_eq!(other.place().expect("it is between two").end, Lsn(0x28));
    }

    #[test]
    fn a_silent_server_leads_on_between_transactions_alone() {
        let mut assembly = assembly(Place::at("73", 1, "dray_stock", Lsn(0x10)));
        assert!(assembly.looked_through(Lsn(0x18)) && !assembly.looked_through(Lsn(0x18)));
        assembly
            .begin(Lsn(0x20), 1, String::new())
            .expect("it may begin");
        assert!(!assembly.looked_through(Lsn(0x30)));
        // A part of it may be appended: the place before it would have that come twice.
        assert_eq!(assembly.place(), None);
        assembly.commit(Lsn(0x38));
        assert_eq!(assembly.place().expect("it ended").end, Lsn(0x38));
    }

    #[test]
    fn a_row_of_a_table_that_was_never_described_is_not_read() {
        let mut assembly = assembly(Place::at("73", 1, "dray_stock", Lsn(0x10)));
        assembly
            .begin(Lsn(0x20), 1, String::new())
            .expect("it may begin");
        let told = assembly.message(&insert(7, b'A')).expect_err("a row");
        assert!(told.contains("never described"), "{told}");
    }

    #[test]
    fn how_a_table_changes_is_told_before_its_first_row_and_not_again() {
        let lot = b"R\0\0\0\x07public\0stock\0d\0\x02\x01sku\0\0\0\0\x19\xff\xff\xff\xff\0lot\0\0\0\0\x19\xff\xff\xff\xff";
        let lot_of = |sku: u8| [&b"I\0\0\0\x07N\0\x02t\0\0\0\x01"[..], &[sku], b"n"].concat();
        let mut place = Place::at("73", 1, "dray_stock", Lsn(0x10));
        for expected in [
            "First@0:0, Changed@1:1column lot was added, 0 A, 1 B; 0/10 within 0/20:2",
            "2 C; 0/28 ends",
        ] {
            let mut assembly = assembly(place.clone());
            assembly
                .begin(Lsn(0x20), 1, String::new())
                .expect("it may begin");
            let mut told = Vec::new();
            for message in [
                STOCK.to_vec(),
                insert(7, b'A'),
                lot.to_vec(),
                lot_of(b'B'),
                lot.to_vec(),
                lot_of(b'C'),
            ] {
                assert_eq!(assembly.message(&message), Ok(()));
                if let Some(full) = assembly.full() {
                    place = full.place.clone();
                    told.push(shown(Some(full)));
                }
            }
            told.push(shown(assembly.commit(Lsn(0x28))));
            assert!(told.iter().any(|told| told == expected), "{told:?}");
        }
    }
}
