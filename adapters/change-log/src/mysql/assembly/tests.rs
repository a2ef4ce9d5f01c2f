//! Transactions of a made-up log.

use dray_adapter::Value;

use super::super::event::{Change, Data, Rows as RowsEvent};
use super::super::gtid::Gtids;
use super::*;
use crate::reader::Place as _;
use crate::shapes::Shapes;

/// The table `wms.stock` with the columns `sku varchar(10)` and `n int`, or another of the same columns.
fn table(id: u8, name: &str) -> Vec<u8> {
    let mut event = vec![id, 0, 0, 0, 0, 0, 1, 0];
    for part in ["wms", name] {
        event.push(part.len() as u8);
        event.extend_from_slice(part.as_bytes());
        event.push(0);
    }
    // Two columns, their types, what is said of them, and that both may be NULL.
    event.extend_from_slice(&[2, 15, 3, 2, 40, 0, 3]);
    // Signs; the default character set, number 45; the names; the key.
    event.extend_from_slice(&[
        1, 1, 0, 2, 1, 45, 4, 6, 3, b's', b'k', b'u', 1, b'n', 8, 1, 0,
    ]);
    event
}

/// Rows of `sku` and `n`.
fn rows(rows: &[(&str, u8)]) -> Vec<u8> {
    let row = |(sku, n): &(&str, u8)| {
        let head = [0, sku.len() as u8];
        [&head, sku.as_bytes(), &[*n, 0, 0, 0]].concat()
    };
    rows.iter().flat_map(row).collect()
}

fn written(table: u64, data: &[u8]) -> Event<'_> {
    Event::Rows(RowsEvent {
        change: Change::Write,
        table,
        columns: 2,
        present: &[3],
        present_after: &[3],
        data: Data::Plain(data),
    })
}

fn begin(sequence: u64, stands_alone: bool) -> Event<'static> {
    Event::Begin(Begin::Maria {
        domain: 0,
        server: 1,
        sequence,
        stands_alone,
        is_prepared: false,
    })
}

fn statement(text: &str) -> Event<'static> {
    Event::Statement {
        schema: "wms".into(),
        text: text.into(),
    }
}

fn assembly(place: Place) -> Assembly {
    let wanted: TableConfig = toml::from_str("name = 'wms.stock'").expect("a table");
    let charsets = [(45, super::super::charset::Charset::Utf8)].into();
    let watch = Watch::new("mysql", std::slice::from_ref(&wanted), Shapes::default());
    Assembly::new("north/stock", &[wanted], (charsets, watch), place)
}

fn start() -> Place {
    Place::at(Gtids::read("0-1-6", true).expect("a list"))
}

/// Gives it an event; what it hands out: rows, whether the transaction ends, and the place.
fn give(assembly: &mut Assembly, event: Event<'_>) -> Option<(Vec<String>, bool, Place)> {
    match assembly
        .event(event, || "then".into())
        .expect("it is understood")
    {
        Step::Nothing | Step::Passed => None,
        Step::New(map) => {
            assembly.know(map).expect("it has what is wanted");
            None
        }
        Step::Ready(ready) => {
            let shown = ready.records.iter().map(|record| {
                let value = |at| match record.value(at) {
                    Value::Text(text) => text.to_owned(),
                    other => format!("{other:?}"),
                };
                let ordinal = record.len() - 1;
                format!("{} {} {} {}", value(4), value(0), value(1), value(ordinal))
            });
            Some((shown.collect(), ready.ends, ready.place))
        }
    }
}

#[test]
fn a_transaction_is_its_rows_and_what_is_not_wanted_passes() {
    let mut assembly = assembly(start());
    let (stock, other) = (table(9, "stock"), table(8, "other"));
    let data = rows(&[("A", 1), ("B", 2)]);
    let mut all = vec![begin(7, false), Event::Table(&other), written(8, &data)];
    all.extend([Event::Table(&stock), written(9, &data)]);
    for event in all {
        assert!(give(&mut assembly, event).is_none());
        assert!(assembly.place().is_none(), "a transaction is coming");
    }
    let (rows, ends, place) = give(&mut assembly, Event::Commit).expect("it is whole");
    assert_eq!(rows, ["create A 1 0", "create B 2 1"]);
    assert!(ends && place.within.is_none());
    assert_eq!(place.at.to_string(), "0-1-7");
    // A table that is made, and a transaction of others: nothing but a place.
    for event in [
        begin(8, true),
        statement("CREATE TABLE a (b int)"),
        begin(9, false),
        Event::Table(&other),
        written(8, &data),
        Event::Commit,
    ] {
        assert!(give(&mut assembly, event).is_none());
    }
    let at = assembly.place().expect("nothing is coming").at.to_string();
    assert_eq!(at, "0-1-9");
    give(&mut assembly, begin(10, true));
    let truncated = give(&mut assembly, statement("TRUNCATE stock")).expect("it is whole");
    assert_eq!(truncated.0, ["truncate Null Null 0"]);
}

#[test]
fn a_transaction_that_was_appended_in_part_goes_on_behind_that_part() {
    let stock = table(9, "stock");
    let parts = [
        rows(&[("A", 1), ("B", 2)]),
        rows(&[("C", 3)]),
        rows(&[("D", 4)]),
    ];
    let mut first = assembly(start());
    first.records_max = 2;
    give(&mut first, begin(7, false));
    give(&mut first, Event::Table(&stock));
    let (_, ends, place) = give(&mut first, written(9, &parts[0])).expect("it is full");
    assert!(!ends);
    let read = Place::read(&place.position()).expect("a place");
    let mut second = assembly(read.clone());
    give(&mut second, begin(7, false));
    give(&mut second, Event::Table(&stock));
    for part in &parts {
        assert!(give(&mut second, written(9, part)).is_none());
    }
    let (rows, ends, place) = give(&mut second, Event::Commit).expect("it is whole");
    assert_eq!(rows, ["create C 3 2", "create D 4 3"]);
    assert!(ends && place.within.is_none());

    // A server that cuts it elsewhere.
    let mut elsewhere = assembly(read.clone());
    give(&mut elsewhere, begin(7, false));
    give(&mut elsewhere, Event::Table(&stock));
    let less = &parts[1];
    let told = elsewhere.event(written(9, less), String::new);
    let told = told.expect_err("it has other rows");
    assert!(
        told.contains("2 rows of 1 events, and the server has 1 rows"),
        "{told}"
    );

    let mut other = assembly(read);
    let told = other
        .event(begin(8, false), String::new)
        .expect_err("it is another");
    assert!(told.contains("a part of the log is missing"), "{told}");
}

#[test]
fn what_is_not_understood_stops_it() {
    let stock = table(9, "stock");
    let data = rows(&[("A", 1)]);
    for (events, expected) in [
        (vec![written(9, &data)], "outside of a transaction"),
        (vec![begin(7, false), written(9, &data)], "never described"),
        (vec![begin(7, false), begin(8, false)], "has no end"),
        (
            vec![begin(7, false), statement("UPDATE stock SET n = 1")],
            "binlog_format",
        ),
        (
            vec![
                begin(7, false),
                statement("XA START X'31',X'',1"),
                Event::Table(&stock),
                written(9, &data),
            ],
            "(XA)",
        ),
        (vec![Event::Incident], "is lost"),
        (
            vec![
                begin(7, false),
                Event::Table(&stock),
                written(9, &data[..4]),
            ],
            "ends within a value",
        ),
        (
            vec![
                begin(7, false),
                Event::Table(&stock),
                written(9, &data),
                statement("ROLLBACK TO a"),
            ],
            "to a savepoint",
        ),
    ] {
        let mut assembly = assembly(start());
        let mut told = None;
        for event in events {
            match assembly.event(event, String::new) {
                Ok(Step::New(map)) => assembly.know(map).expect("it is wanted"),
                Ok(_) => {}
                Err(said) => told = Some(said),
            }
        }
        let told = told.expect(expected);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_table_whose_number_comes_again_is_known() {
    let mut assembly = assembly(start());
    give(&mut assembly, begin(7, false));
    for (id, rows_of) in [(9, "A"), (10, "B"), (9, "C")] {
        give(&mut assembly, Event::Table(&table(id, "stock")));
        let data = rows(&[(rows_of, 1)]);
        assert!(give(&mut assembly, written(u64::from(id), &data)).is_none());
    }
    let (all, ..) = give(&mut assembly, Event::Commit).expect("it is whole");
    assert_eq!(all, ["create A 1 0", "create B 1 1", "create C 1 2"]);
}

#[test]
fn what_is_rolled_back_whole_passes() {
    let stock = table(9, "stock");
    let data = rows(&[("A", 1)]);
    let mut assembly = assembly(start());
    for event in [begin(7, false), Event::Table(&stock), written(9, &data)] {
        give(&mut assembly, event);
    }
    // The table was met, and that is said.
    let (rows, ..) = give(&mut assembly, statement("ROLLBACK")).expect("its shape is told");
    assert!(rows.is_empty());
    for event in [begin(8, false), written(9, &data)] {
        give(&mut assembly, event);
    }
    let (rows, _, place) = give(&mut assembly, Event::Commit).expect("it is whole");
    assert_eq!(
        (&*rows[0], place.at.to_string().as_str()),
        ("create A 1 0", "0-1-8")
    );
}

#[test]
fn numbers_that_begin_again_behind_a_gap_give_other_ids() {
    let stock = table(9, "stock");
    let data = rows(&[("A", 1)]);
    let scope = |place: Place| {
        let mut assembly = assembly(place);
        for event in [begin(7, false), Event::Table(&stock), written(9, &data)] {
            give(&mut assembly, event);
        }
        match assembly.event(Event::Commit, String::new) {
            Ok(Step::Ready(ready)) => ready.scope,
            other => panic!("{other:?}"),
        }
    };
    let behind = Place { gaps: 1, ..start() };
    assert_ne!(scope(start()), scope(behind));
}
