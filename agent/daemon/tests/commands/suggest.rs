//! What `suggest` proposes, of own samples and, where they are there, of others: each proposal loads, and makes events of its file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dray_agent::config::Config;

/// What one call said.
#[derive(Debug)]
struct Said {
    flow: String,
    shown: String,
    code: Option<i32>,
}

fn suggest(file: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_dray-agent"))
        .arg("suggest")
        .arg(file)
        .args(arguments)
        .output()
        .expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Said {
        flow: text(&output.stdout),
        shown: text(&output.stderr),
        code: output.status.code(),
    }
}

/// A file of these bytes, in a folder of its own.
fn suggest_for(name: &str, bytes: &[u8], arguments: &[&str]) -> Said {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    fs::write(&file, bytes).expect("a file");
    let said = suggest(&file, arguments);
    let left = fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(left, 1, "nothing else was made");
    said
}

/// Behind the shipped example it is one flow more.
fn loads(said: &Said) {
    let shipped = include_str!("../../../../packaging/agent.toml");
    let shipped = shipped.replace("name = \"shipments\"", "name = \"shipped\"");
    let config = format!("{shipped}\n{}", said.flow);
    let loaded = Config::parse(Path::new("agent.toml"), &config);
    let loaded = loaded.unwrap_or_else(|error| panic!("{error}\n{}", said.flow));
    assert_eq!(loaded.flows.len(), 2);
}

/// How many events and dead letters the sample became.
fn counts(said: &Said) -> (u64, u64) {
    let line = said.shown.lines().find(|line| line.contains(" → "));
    let line = line.unwrap_or_else(|| panic!("nothing was shown: {said:#?}"));
    let numbers: Vec<u64> = line
        .split([' ', ','])
        .filter_map(|word| word.parse().ok())
        .collect();
    (numbers[1], numbers[2])
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/files")
}

/// The lines of a text stand in it, in their order.
fn check(shown: &str, expected: &[&str]) {
    let mut rest = shown;
    for line in expected {
        let at = rest
            .find(line)
            .unwrap_or_else(|| panic!("\"{line}\" is missing, or out of order, in:\n{shown}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn each_sample_of_the_documentation_gets_a_flow_that_makes_events_of_it() {
    for (name, kind, events) in [
        ("SHP_0007.txt", "csv", 3),
        ("ORR_0007.txt", "csv", 6),
        ("COUNT_0007.dat", "fixed", 4),
        ("STOCK.dat", "copybook", 3),
        ("940_0007.edi", "x12", 3),
        ("DESADV_0007.edi", "edifact", 4),
        ("DELVRY_0007.idoc", "idoc", 2),
        ("DELVRY_0007.xml", "idoc", 2),
        ("shipments.xml", "xml", 2),
        ("orders.json", "json", 2),
        ("moves.jsonl", "json-lines", 2),
        ("stock.xlsx", "xlsx", 2),
        ("items.csv.gz", "csv", 2),
    ] {
        let said = suggest(&samples().join(name), &["--limit", "1000"]);
        assert_eq!(said.code, Some(0), "{name}: {said:#?}");
        assert!(
            said.flow.contains(&format!("kind = \"{kind}\"")),
            "{name}: {}",
            said.flow
        );
        loads(&said);
        assert_eq!(counts(&said), (events, 0), "{name}: {said:#?}");
    }
    let all = fs::read_dir(samples()).expect("the samples").flatten();
    let names: Vec<String> = all
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let files = names
        .iter()
        .filter(|name| !name.starts_with('.') && !name.ends_with(".cpy"));
    assert_eq!(files.count(), 13, "each sample is tried here: {names:?}");
}

#[test]
fn evident_columns_become_a_canonical_body() {
    let shipments = "SHIP_NO|ORDER_NO|SKU|QTY|SHIPPED|DUE\n\
        S1|O1|A|1,50|20261123081500|03/04/2026\nS2|O1|B|2|20261123081600|05/04/2026\nS3|O2|A|3|20261123081700|06/04/2026\n";
    let said = suggest_for("SHP_20261123_0007.txt", shipments.as_bytes(), &[]);
    assert_eq!(said.code, Some(0), "{said:#?}");
    check(
        &said.flow,
        &[
            "# Proposed for SHP_20261123_0007.txt: kind = \"csv\". ",
            "# - 100 % of 4 rows have 6 cells when cut at \"|\".",
            "# To look at before it runs:",
            "write the zone of the system's clock",
            "name = \"shp\"",
            "folder = \"/srv/legacy/out\"",
            "pattern = \"SHP_*.txt\"",
            "[flow.source.format]\nkind = \"csv\"\ndelimiter = \"|\"\nheader = true\n",
            "[[flow.mapping]]\nbody = \"shipment\"\nkey = \"SHIP_NO\"\noperation = \"create\"\n[flow.mapping.fields]\n",
            "shipment_number = { from = \"SHIP_NO\", required = true }\n",
            "order_number = \"ORDER_NO\"\n",
            "shipped_at = { from = \"SHIPPED\", format = \"%Y%m%d%H%M%S\", zone = \"UTC\" }\n",
            "\"line.item_number\" = \"SKU\"\n",
            "\"line.quantity\" = { from = \"QTY\", decimal_comma = true }\n",
            "\"attributes.due\" = \"DUE\"\n",
        ],
    );
    check(
        &said.shown,
        &[
            "shipment  create  key S1",
            "line.quantity     1.50",
            "3 records → 3 events, 0 dead letters",
        ],
    );
    let levels = suggest_for(
        "stock.csv",
        b"item;wh;on hand;note\nA-1;N;5;x\nA-2;N;7;\nA-1;S;9;y\n",
        &[],
    );
    check(
        &levels.flow,
        &[
            "body = \"inventory_level\"",
            "key = { expr = \"rec.wh ~ '/' ~ rec.item\" }",
            "operation = \"snapshot\"",
            "on_hand = \"on hand\"",
        ],
    );
    assert_eq!(counts(&levels), (3, 0), "{levels:#?}");
}

#[test]
fn a_header_is_one_where_a_value_below_it_is_the_same_word() {
    let said = suggest_for(
        "CNT_0001.csv",
        b"WH;LOC;ART_NO;QTY\nWH;STO;A-100;12\nWH;STO;A-101;250\nWH;STO;A-102;7\n",
        &[],
    );
    check(
        &said.flow,
        &["The first line names the columns", "\"ART_NO\""],
    );
    assert_eq!(counts(&said), (3, 0), "{said:#?}");
}

#[test]
fn a_file_of_just_as_many_records_as_are_shown_does_not_go_on() {
    let rows = |count: usize| -> String {
        let rows = (0..count).map(|row| format!("T{row},4\n"));
        "TASK,AISLE\n".to_owned() + &rows.collect::<String>()
    };
    for (count, goes_on) in [(4, false), (5, false), (6, true)] {
        let said = suggest_for("tasks.csv", rows(count).as_bytes(), &["--limit", "5"]);
        let says_so = said.shown.contains("The file goes on");
        assert_eq!(says_so, goes_on, "{count}: {}", said.shown);
    }
}

#[test]
fn other_columns_keep_their_names() {
    let said = suggest_for("tasks.csv", b"TASK,AISLE\nT1,4\nT2,4\nT3,5\n", &[]);
    check(
        &said.flow,
        &[
            "The key, TASK, is different in each record",
            "body = \"generic\"\nkey = \"TASK\"\nall_columns = true\n",
        ],
    );
    check(&said.shown, &["generic  create  key T1", "fields.AISLE"]);
    // A column that is not everywhere is no key without a word.
    let holes = suggest_for("holes.csv", b"A,B\n,4\n4,\n3,5\n", &[]);
    check(
        &holes.flow,
        &["No column is filled in each record", "default = \"-\""],
    );
    assert_eq!(counts(&holes), (3, 0), "{holes:#?}");
}

#[test]
fn names_and_texts_that_mean_something_in_toml_are_only_text() {
    let said = suggest_for(
        "a\"]\n[flow]x=1 #.csv",
        b"\"he said \"\"hi\"\"\",b\\c,=[x]\n1,2,3\n2,3,4\n",
        &[],
    );
    assert_eq!(said.code, Some(0), "{said:#?}");
    loads(&said);
    assert_eq!(counts(&said), (2, 0), "{said:#?}");
}

#[test]
fn a_mainframes_file_is_read_with_its_copybook_or_as_one_text() {
    let (file, copybook) = (samples().join("STOCK.dat"), samples().join("STOCK.cpy"));
    let without = suggest(&file, &[]);
    check(
        &without.flow,
        &[
            "every 26 bytes, and the file has 3 times as many",
            "There must be a copybook, the sender's.",
            "#            05  ALL-OF-IT  PIC X(26).",
            "copybook = \"/etc/dray/STOCK.cpy\"",
        ],
    );
    let with = suggest(&file, &["--copybook", copybook.to_str().expect("UTF-8")]);
    assert!(!with.flow.contains("There must be"), "{}", with.flow);
    check(
        &with.shown,
        &[
            "inventory_level  snapshot  key NTH/SKU-77",
            "on_hand           12500.00",
            "3 records → 3 events, 0 dead letters",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_told_says_what_was_tried() {
    for (bytes, words) in [
        (&b"%PDF-1.7 ..."[..], "a picture of data"),
        (b"", "is empty"),
        (
            b"\x01\x02\x03\x04\x05\x06\x0B\x0E",
            "no text in any encoding",
        ),
    ] {
        let said = suggest_for("x", bytes, &[]);
        assert_eq!((said.code, said.flow.as_str()), (Some(1), ""));
        check(
            &said.shown,
            &[
                "is none of the formats that are read",
                words,
                "Tried were: gzip and zip",
            ],
        );
    }
    let gone = suggest(Path::new("/nowhere/x.csv"), &[]);
    assert!(
        gone.code == Some(1) && gone.shown.contains("/nowhere/x.csv can't be read"),
        "{gone:#?}"
    );
}

#[test]
fn a_file_that_would_be_set_aside_gets_its_flow_and_the_reason() {
    let broken = String::from_utf8(fs::read(samples().join("940_0007.edi")).expect("a sample"))
        .expect("UTF-8");
    let said = suggest_for("x.edi", broken.replace("SE*10", "SE*11").as_bytes(), &[]);
    assert_eq!(said.code, Some(1));
    check(&said.flow, &["kind = \"x12\""]);
    check(
        &said.shown,
        &[
            "nothing can be shown yet",
            "would be set aside whole",
            "SE01 counts 11 segments",
        ],
    );
    loads(&said);
}

/// JSONTestSuite is about what is JSON, and not about files that systems drop.
#[test]
fn files_of_others_get_a_flow_that_loads() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let corpora = std::env::var_os("DRAY_CORPORA").map_or_else(beside, PathBuf::from);
    if !corpora.is_dir() {
        println!("there are no corpora to read");
        return;
    }
    let mut seen = (0, 0, 0);
    let mut folders = [
        "x12", "edifact", "csv", "fixed", "idoc", "xml", "json", "excel", "ebcdic",
    ]
    .map(|name| corpora.join(name))
    .to_vec();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder)
            .expect("a folder")
            .flatten()
            .map(|entry| entry.path())
        {
            if path.is_dir() {
                folders.extend((!path.ends_with("JSONTestSuite")).then_some(path));
                continue;
            }
            let said = suggest(&path, &["--limit", "1000"]);
            assert!(
                matches!(said.code, Some(0 | 1)),
                "{}: {said:#?}",
                path.display()
            );
            if said.flow.is_empty() {
                assert!(
                    said.shown.contains("is none of the formats"),
                    "{}: {said:#?}",
                    path.display()
                );
                seen.2 += 1;
                continue;
            }
            loads(&said);
            match said.code {
                Some(0) => {
                    let (events, dead) = counts(&said);
                    // A sheet of merged cells names no columns.
                    assert!(
                        events > 0 || path.ends_with("merge_cells.xlsx"),
                        "{}: {dead} dead letters, {said:#?}",
                        path.display()
                    );
                    seen.0 += 1;
                }
                _ => {
                    assert!(
                        said.shown.contains("would be set aside whole"),
                        "{}: {said:#?}",
                        path.display()
                    );
                    seen.1 += 1;
                }
            }
        }
    }
    assert_eq!(seen, (109, 28, 1), "read, refused by a rule, not told");
}
