//! What `preview` shows of a sample, word for word.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CONFIG: &str = r#"site = "north"
data_dir = "DIR/agent"
collector = "localhost:1"

[[flow]]
name = "shipments"
otherwise = "skip"
[flow.source]
kind = "file-drop"
folder = "DIR/out"
pattern = "SHP_*.txt"
[flow.source.format]
kind = "csv"
delimiter = "|"
[[flow.mapping]]
body = "shipment"
key = "SHIP_NO"
correlation_id = "ORDER_NO"
when = "rec.ST != 'X'"
occurred_at = { from = "TS", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
[flow.mapping.fields]
shipment_number = { from = "SHIP_NO", required = true }
carrier = { expr = "rec.CARRIER | upper" }
status = { from = "ST", lookup = { S = "SHIPPED" } }
"line.quantity" = { from = "QTY", implied_decimals = 3 }
"attributes.dock" = "DOCK"

[[flow]]
name = "other"
[flow.source]
kind = "file-drop"
folder = "DIR/other"
pattern = "OTHER_*.txt"
[flow.source.format]
kind = "csv"
[[flow.mapping]]
body = "generic"
record_type = "task"
key = "TASK"
all_columns = true
"#;

const SAMPLE: &str = "SHIP_NO|ORDER_NO|CARRIER|TS|ST|QTY|DOCK
SHP-1|SO-9|dhl|20261123081500|S|12000|D4
SHP-2|SO-9|dhl
SHP-3|SO-9|ups|20261123081500|X|1|D4
SHP-4|SO-9|ups|20261123081500|Q|1000|D4
SHP-5|SO-9|ups|20261123081500|S|1O00|D4
";

struct Sample {
    folder: tempfile::TempDir,
    config: PathBuf,
    file: PathBuf,
}

impl Sample {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("agent.toml");
        let text = CONFIG.replace("DIR", &folder.path().display().to_string());
        std::fs::write(&config, text).expect("a file");
        let file = folder.path().join(name);
        std::fs::write(&file, SAMPLE).expect("a file");
        Self {
            folder,
            config,
            file,
        }
    }

    fn preview(&self, arguments: &[&str]) -> Output {
        run(
            &self.config,
            [&["preview", self.file.to_str().expect("UTF-8")], arguments].concat(),
        )
    }
}

fn run(config: &Path, arguments: Vec<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dray-agent"));
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn events_and_broken_lines_are_shown_as_a_person_reads_them() {
    let sample = Sample::new("SHP_1.txt");
    let output = sample.preview(&[]);
    let shown = text(&output.stdout).replace(&sample.folder.path().display().to_string(), "DIR");
    let blocks: Vec<&str> = shown.split("\n\n").collect();
    assert_eq!(
        blocks[0],
        "DIR/SHP_1.txt as flow \"north/shipments\"",
        "{shown}\n{}",
        text(&output.stderr)
    );
    assert_eq!(
        blocks[1],
        "line 2  shipment  create  key SHP-1\n\
        \x20     correlation_id   SO-9\n\
        \x20     occurred_at      2026-11-23T07:15:00Z\n\
        \x20     shipment_number  SHP-1\n\
        \x20     carrier          DHL\n\
        \x20     status           SHIPPED\n\
        \x20     line.quantity    12.000\n\
        \x20     attributes.dock  D4",
        "{shown}"
    );
    for (block, words) in [
        (
            2,
            [
                "line 3  ✗ dead letter (decode): ",
                "3 columns",
                "      | SHP-2|SO-9|dhl",
            ],
        ),
        (
            3,
            ["line 5  ✗ dead letter (map): ", "\"Q\"", "      | SHP-4|"],
        ),
        (
            4,
            [
                "line 6  ✗ dead letter (map): ",
                "\"1O00\"",
                "      | SHP-5|",
            ],
        ),
    ] {
        for word in words {
            assert!(
                blocks[block].contains(word),
                "\"{word}\" is missing in:\n{}",
                blocks[block]
            );
        }
    }
    assert_eq!(
        blocks[5],
        "5 records → 1 event, 3 dead letters, 1 skipped. Nothing was moved or sent.\n"
    );
    assert!(sample.file.exists() && output.status.success());
    let mut left: Vec<_> = std::fs::read_dir(sample.folder.path())
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    left.sort();
    assert_eq!(left, ["SHP_1.txt", "agent.toml"], "nothing else was made");
}

#[test]
fn json_is_one_object_an_event() {
    let sample = Sample::new("SHP_1.txt");
    let shown = text(&sample.preview(&["--json", "--limit", "1"]).stdout);
    let events: Vec<serde_json::Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(events[0]["key"], "SHP-1");
    assert_eq!(events[0]["type"], "shipment");
    assert_eq!(
        events[0]["provenance"],
        serde_json::json!({"file": "SHP_1.txt", "line": 2})
    );
    assert_eq!(events[0]["data"]["line"]["quantity"], "12.000");
    assert!(events.len() < 4, "{shown}");
}

#[test]
fn the_flow_is_chosen_by_name_or_by_its_pattern() {
    let sample = Sample::new("sample.txt");
    let nobody = sample.preview(&[]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        text(&nobody.stderr).contains("choose one with --flow: shipments, other"),
        "{}",
        text(&nobody.stderr)
    );
    let wrong = text(&sample.preview(&["--flow", "shipmnts"]).stderr);
    assert!(
        wrong.contains("there is no flow \"shipmnts\"") && wrong.contains("shipments, other"),
        "{wrong}"
    );
    let shown = text(&sample.preview(&["--flow", "shipments"]).stdout);
    assert!(
        shown.contains("key SHP-1")
            && shown.contains("would not be taken")
            && shown.contains("SHP_*.txt"),
        "{shown}"
    );
}

#[test]
fn columns_that_the_sample_lacks_are_named() {
    let sample = Sample::new("SHP_1.txt");
    let config = std::fs::read_to_string(&sample.config)
        .expect("the file")
        .replace("\"DOCK\"", "\"DOC\"");
    std::fs::write(&sample.config, config).expect("the file");
    let shown = text(&sample.preview(&[]).stdout);
    assert!(
        shown.contains("no column DOC ") && shown.contains("DOCK"),
        "{shown}"
    );
}

#[test]
fn a_sample_that_is_not_there_is_named() {
    let sample = Sample::new("SHP_1.txt");
    std::fs::remove_file(&sample.file).expect("it was there");
    let output = sample.preview(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("SHP_1.txt"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_broken_configuration_ends_with_78() {
    let sample = Sample::new("SHP_1.txt");
    std::fs::write(&sample.config, "site = 1\n").expect("the file");
    let output = sample.preview(&[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("agent.toml:1:8: site: this is integer"),
        "{}",
        text(&output.stderr)
    );
}
