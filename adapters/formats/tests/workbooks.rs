//! Workbooks that others wrote. Where the files are not there, which is so in a clone by itself, there is nothing to read.

use std::fs;
use std::path::PathBuf;

use dray_adapter::Value;
use dray_formats::{FileFault, Format, FormatConfig, Gather};

/// A file's rows, `cell|cell`, or why it can't be read; `None` where there are no corpora.
fn rows(toml: &str, name: &str) -> Option<Result<Vec<String>, String>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let folder = std::env::var_os("DRAY_CORPORA").map_or_else(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("there are no corpora to read");
        return None;
    }
    let path = folder.join("excel/calamine").join(name);
    let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let config: FormatConfig =
        toml::from_str(&format!("kind = \"xlsx\"\n{toml}")).expect("a format");
    let mut decoder = Format::new(&config, &|_| Err("no text is named".into()))
        .expect("a format")
        .decoder(0);
    let mut gather = Gather::default();
    if let Err(FileFault(said)) = decoder.decode(&file, true, &mut gather) {
        return Some(Err(said));
    }
    assert!(gather.rejects.is_empty(), "{:?}", gather.rejects);
    let rows = gather.records.iter().map(|record| {
        let cells = (0..record.len()).map(|index| match record.value(index) {
            Value::Text(text) => text.to_owned(),
            _ => "-".to_owned(),
        });
        cells.collect::<Vec<_>>().join("|")
    });
    Some(Ok(rows.collect()))
}

#[test]
fn workbooks_hold_what_they_show_or_are_refused_by_a_rule() {
    let named = "header = false\ncolumns = [\"A\", \"B\"]";
    let dates = ["2021-01-01|15", "2021-01-02|16", "255:10:10|17"];
    let four = "header = false\ncolumns = [\"A\", \"B\", \"C\", \"D\"]";
    for (name, toml, expected) in [
        ("date.xlsx", named, Ok(&dates[..])),
        ("date_1904.xlsx", named, Ok(&dates)),
        (
            "inventory-table.xlsx",
            "",
            Ok(&["1|Apple|50", "2|Banana|200", "3|Orange|60", "4|Pear|100"]),
        ),
        // Merged: A1 to B1, A2 to A4, B2 to D4.
        (
            "merge_cells.xlsx",
            four,
            Ok(&["Row Merge|-|Not Merged|-", "Column Merge|Chunk Merged|-|-"]),
        ),
        ("no-header.xlsx", named, Ok(&["a|0", "b|1"])),
        (
            "readings.xlsx",
            "sheet = \"Sheet1\"",
            Ok(&[
                "London|15|72|1013",
                "Paris|18.5|65|1009",
                "Berlin|12|80|1017",
            ]),
        ),
        ("date.xls", named, Err("old kind (.xls)")),
    ] {
        let Some(found) = rows(toml, name) else {
            return;
        };
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
            (Err(said), Err(words)) => assert!(said.contains(words), "{name}: {said}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
