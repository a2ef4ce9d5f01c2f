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
