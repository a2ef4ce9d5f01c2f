use dray_adapter::Value;

use super::super::super::page::Column;
use super::super::super::value::Kind;
use super::*;

fn config(text: &str) -> SqlConfig {
    let head = "kind = 'sql'\ndriver = 'sqlserver'\ntable = 'dbo.stock'\nmode = 'cdc'\ncapture = 'dbo_stock'\n";
    toml::from_str(&format!("{head}{text}")).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn lsn(number: u8) -> Lsn {
    Lsn::read(&format!("0x{number:020x}")).expect("a number")
}

/// Rows: LSN, seqval, operation, and a quantity.
fn page(rows: &[(u8, u8, u8, &str)], is_cut: bool) -> Page {
    let columns = [
        (LSN, Kind::Bytes),
        (SEQVAL, Kind::Bytes),
        (OPERATION, Kind::Integer),
        ("__$update_mask", Kind::Bytes),
        ("sku", Kind::Text),
        ("qty", Kind::Integer),
    ];
    let columns = columns.map(|(name, kind)| Column {
        name: name.into(),
        kind,
    });
    let mut page = Page::new(columns.to_vec());
    for (start, seqval, operation, quantity) in rows {
        page.text(&lsn(*start).text());
        page.text(&lsn(*seqval).text());
        page.text(&operation.to_string());
        page.null();
        page.text("A");
        match *quantity {
            "!" => page.lost(Some(20_000_000)),
            quantity => page.text(quantity),
        }
    }
    page.is_cut = is_cut;
    page
}

fn shown(made: &Made) -> Vec<String> {
    let record = |record: dray_adapter::RecordView<'_>| {
        let values = (0..record.len()).map(|at| match record.value(at) {
            Value::Null => "~".to_owned(),
            Value::Text(text) => text.trim_start_matches("0x000000000000000000").to_owned(),
            _ => "=".to_owned(),
        });
        values.collect::<Vec<_>>().join(" ")
    };
    made.records.iter().map(record).collect()
}

#[test]
fn an_update_is_one_record_of_two_rows() {
    let page = page(
        &[
            (7, 1, 2, "1"),
            (7, 2, 3, "1"),
            (7, 2, 4, "2"),
            (8, 1, 1, "2"),
            (8, 2, 4, "9"),
        ],
        false,
    );
    let columns = Columns::of(&config(""), &page, &[]).expect("its columns");
    let (changes, half) = columns.changes(&page, page.rows()).expect("changes");
    assert!(half.is_none());
    let (made, read) = columns.put(&changes, Some((lsn(7), 3)));
    assert_eq!(
        shown(&made),
        [
            "A 1 ~ ~ create 07 07:0x00000000000000000001 ~ 3",
            "A 2 A 1 update 07 07:0x00000000000000000002 ~ 4",
            "A 2 A 2 delete 08 08:0x00000000000000000001 ~ 0",
            "A 9 = = update 08 08:0x00000000000000000002 ~ 1",
        ]
    );
    assert_eq!(read, 2);
    let columns_of = made.records.get(0).expect("a record");
    assert_eq!(columns_of.shape().columns[2], "before.sku");
}

#[test]
fn a_page_that_is_cut_ends_before_its_last_change() {
    for (rows, expected) in [
        (&[(7, 1, 2, ""), (7, 2, 2, "")][..], 1),
        (&[(7, 1, 2, ""), (7, 2, 3, ""), (7, 2, 4, "")], 1),
        (&[(7, 1, 2, ""), (7, 2, 3, "")], 1),
        (&[(7, 1, 2, ""), (8, 1, 2, "")], 1),
        (&[(7, 1, 1, ""), (7, 1, 2, "")], 2),
        (&[(7, 1, 3, "")], 1),
    ] {
        let cut = page(rows, true);
        let columns = Columns::of(&config(""), &cut, &[]).expect("its columns");
        assert_eq!(columns.whole(&cut), Ok(expected), "{rows:?}");
        let whole = page(rows, false);
        assert_eq!(columns.whole(&whole), Ok(rows.len()), "{rows:?}");
    }
}

#[test]
fn an_update_whose_halves_stand_in_two_pages_is_joined() {
    let before = page(&[(7, 1, 3, "1")], true);
    let after = page(&[(7, 1, 4, "2")], false);
    let columns = Columns::of(&config(""), &before, &[]).expect("its columns");
    let (changes, half) = columns.changes(&before, 1).expect("a half");
    assert!(changes.is_empty());
    let joined = columns.joined(half.expect("a half"), &after);
    let joined = joined.expect("an update");
    let (made, _) = columns.put(&[joined], None);
    assert_eq!(
        shown(&made),
        ["A 2 A 1 update 07 07:0x00000000000000000001 ~ 0"]
    );
    assert_eq!(joined.key.operation, AFTER);
}

#[test]
fn rows_that_are_not_as_the_server_orders_them_are_told() {
    for (rows, expected) in [
        (
            &[(7, 1, 2, "1"), (7, 1, 2, "1")][..],
            "two changes stand at 0x00000000000000000007",
        ),
        (&[(7, 1, 3, "1")], "has no row as it is now"),
        (&[(7, 1, 3, "1"), (7, 2, 4, "1")], "has no row as it is now"),
        (&[(7, 1, 5, "1")], "the operation 5"),
    ] {
        let page = page(rows, false);
        let columns = Columns::of(&config(""), &page, &[]).expect("its columns");
        let told = columns.changes(&page, rows.len()).err().unwrap_or_default();
        assert!(told.contains(expected), "{rows:?}: {told}");
    }
}

#[test]
fn a_change_of_which_a_cell_is_cut_is_a_dead_letter() {
    let page = page(
        &[
            (7, 1, 2, "!"),
            (7, 2, 3, "!"),
            (7, 2, 4, "2"),
            (7, 3, 2, "3"),
        ],
        false,
    );
    let columns = Columns::of(&config(""), &page, &[]).expect("its columns");
    let (changes, _) = columns.changes(&page, 4).expect("changes");
    let (made, read) = columns.put(&changes, None);
    assert_eq!((made.records.len(), made.rejects.len(), read), (1, 2, 3));
    assert!(made.rejects[0].reason.contains("20000000 bytes"));
    assert_ne!(made.rejects[0].ordinal, made.rejects[1].ordinal);
    let hidden = Columns::of(&config("without = ['qty']"), &page, &[]).expect("its columns");
    assert_eq!(hidden.put(&changes, None).0.records.len(), 3);
}

#[test]
fn computed_columns_are_left_out_or_their_names_refused() {
    let page = page(&[(7, 1, 2, "1")], false);
    let computed = ["qty".to_owned()];
    let columns = Columns::of(&config("without = ['qty']"), &page, &computed);
    let columns = columns.expect("its columns");
    let (changes, _) = columns.changes(&page, 1).expect("changes");
    let (made, _) = columns.put(&changes, None);
    assert_eq!(
        shown(&made),
        ["A ~ create 07 07:0x00000000000000000001 ~ 0"]
    );
    let told = Columns::of(&config("columns = ['sku', 'qty']"), &page, &computed);
    let told = told.err().unwrap_or_default();
    assert!(
        told.contains("columns names qty, which is computed"),
        "{told}"
    );
}

#[test]
fn the_number_of_the_operation_stands_in_the_position_where_it_is_known() {
    let columns = [
        (LSN, Kind::Bytes),
        (SEQVAL, Kind::Bytes),
        (OPERATION, Kind::Integer),
        ("sku", Kind::Text),
        (COMMAND, Kind::Integer),
    ];
    let columns = columns.map(|(name, kind)| Column {
        name: name.into(),
        kind,
    });
    let mut page = Page::new(columns.to_vec());
    for (seqval, operation, sku, command) in
        [(2, "1", "A", "4"), (2, "2", "B", "5"), (1, "2", "C", "")]
    {
        page.text(&lsn(7).text());
        page.text(&lsn(seqval).text());
        page.text(operation);
        page.text(sku);
        match command {
            // Captured before the server had it.
            "" => page.null(),
            command => page.text(command),
        }
    }
    let columns = Columns::of(&config(""), &page, &[]).expect("its columns");
    let (changes, _) = columns.changes(&page, 3).expect("changes");
    assert_eq!(
        changes
            .iter()
            .map(|one| one.key.command)
            .collect::<Vec<_>>(),
        [Some(4), Some(5), None]
    );
    let (made, _) = columns.put(&changes, None);
    assert_eq!(
        shown(&made),
        [
            "A A delete 07 07:0000000004:0x00000000000000000002 ~ 0",
            "B ~ create 07 07:0000000005:0x00000000000000000002 ~ 1",
            "C ~ create 07 07:0x00000000000000000001 ~ 2",
        ]
    );
}
