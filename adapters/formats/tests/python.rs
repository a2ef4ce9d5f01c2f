//! Python's csv module reads the same.

mod driver;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dray_adapter::Value;
use dray_formats::Gather;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Reads a JSON array of text, delimiter and quote a line, and answers its rows; null where the text is not well-formed.
const PYTHON: &str = r#"
import csv, io, json, sys
for line in sys.stdin:
    text, delimiter, quote = json.loads(line)
    how = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, **how))
        print(json.dumps([row for row in rows if row]))
    except csv.Error:
        print("null")
"#;

type Rows = Vec<Vec<String>>;

/// What Python makes of texts; `None` where it refuses one.
fn python(cases: &[(String, char, Option<char>)]) -> Vec<Option<Rows>> {
    let mut child = Command::new("python3")
        .args(["-X", "utf8", "-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("python3 is needed to compare with its csv module; install it (Debian: apt install python3): {error}"));
    let mut lines = String::new();
    for (text, delimiter, quote) in cases {
        let quote = quote.map(String::from).unwrap_or_default();
        let case = serde_json::json!([text, delimiter.to_string(), quote]);
        writeln!(lines, "{case}").expect("memory");
    }
    let mut stdin = child.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("python3 ends");
    writer.join().expect("a writer").expect("python3 reads all");
    let answers = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<Option<Rows>> = answers
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(answers.len(), cases.len(), "python3 answers each case");
    answers
}

/// Our records, and how many bad ones there are.
fn ours(text: &str, delimiter: char, quote: Option<char>, columns: usize) -> (Rows, usize) {
    let names: Vec<String> = (0..columns).map(|column| format!("C{column}")).collect();
    let quote = quote.map(String::from).unwrap_or_default();
    let toml = format!(
        "kind = \"csv\"\nheader = false\ndelimiter = {:?}\nquote = {quote:?}\ncolumns = {names:?}",
        delimiter.to_string()
    );
    let mut gather = Gather::default();
    driver::run(
        &driver::format(&toml),
        text.as_bytes(),
        61,
        0,
        &mut gather,
        |_| panic!("a case fits a batch"),
    )
    .expect("records");
    let rows = gather.records.iter().map(|record| {
        let cell = |index| match record.value(index) {
            Value::Text(text) => text.to_owned(),
            other => panic!("{other:?}"),
        };
        (0..record.len()).map(cell).collect()
    });
    (rows.collect(), gather.rejects.len())
}

#[test]
fn generated_files_are_the_same_to_python() {
    let mut runner = TestRunner::deterministic();
    let cell = "[a-zü€ 0-9.]{0,6}|[a|\"\n ;']{0,5}|(\r\n|[a\"|]){0,3}";
    let rows = prop::collection::vec(prop::collection::vec((cell, any::<bool>()), 3), 0..8);
    let case = (
        rows,
        prop::sample::select(vec!['|', ';', ',', '\t']),
        prop::sample::select(vec!['"', '\'']),
        any::<bool>(),
    );
    let cases: Vec<(String, char, Option<char>)> = (0..500)
        .map(|_| {
            let tree = case.new_tree(&mut runner).expect("a case");
            let (rows, delimiter, quote, crlf) = tree.current();
            let written = |(cell, always): &(String, bool)| {
                let must = cell.contains([delimiter, quote, '\n', '\r']);
                if *always || must {
                    format!(
                        "{quote}{}{quote}",
                        cell.replace(quote, &format!("{quote}{quote}"))
                    )
                } else {
                    cell.clone()
                }
            };
            let line = |row: &Vec<(String, bool)>| {
                let cells: Vec<String> = row.iter().map(written).collect();
                cells.join(&delimiter.to_string()) + if crlf { "\r\n" } else { "\n" }
            };
            (rows.iter().map(line).collect(), delimiter, Some(quote))
        })
        .collect();
    for ((text, delimiter, quote), rows) in cases.iter().zip(python(&cases)) {
        let found = ours(text, *delimiter, *quote, 3);
        assert_eq!(Some(found.0), rows, "{text:?}");
        assert_eq!(found.1, 0, "{text:?}");
    }
}

/// Where Python takes a text as it is, and each row has two cells, so do we; where it refuses one, we tell of a bad record.
#[test]
fn damaged_files_are_bad_where_python_says_so() {
    let mut runner = TestRunner::deterministic();
    let text = "(a|b|\"|\"\"|,|,|\n|\r\n){0,14}";
    let cases: Vec<(String, char, Option<char>)> = (0..3_000)
        .map(|_| {
            (
                text.new_tree(&mut runner).expect("a case").current(),
                ',',
                Some('"'),
            )
        })
        .collect();
    let (mut same, mut bad) = (0, 0);
    for ((text, ..), rows) in cases.iter().zip(python(&cases)) {
        let (found, rejects) = ours(text, ',', Some('"'), 2);
        match rows.filter(|rows| rows.iter().all(|row| row.len() == 2)) {
            Some(rows) => {
                assert_eq!((found, rejects), (rows, 0), "{text:?}");
                same += 1;
            }
            None => {
                assert!(rejects > 0, "{text:?}");
                bad += 1;
            }
        }
    }
    assert!(same > 100 && bad > 1_000, "{same} good, {bad} bad");
}

#[test]
fn files_of_the_corpora_are_the_same_to_python() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let corpora = std::env::var_os("DRAY_CORPORA").map_or_else(beside, PathBuf::from);
    if !corpora.is_dir() {
        println!("there are no corpora to read");
        return;
    }
    let mut cases = Vec::new();
    for (folder, delimiter, quote) in [
        ("csv-spectrum", ',', Some('"')),
        ("omniparser", '|', None),
        ("omniparser", ',', Some('"')),
    ] {
        let folder = corpora.join("csv").join(folder);
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let is_other = delimiter == ',' && entry.file_name() == "1_single_row.input.csv";
            if entry.path().extension().is_some_and(|kind| kind == "csv") && !is_other {
                let text = std::fs::read_to_string(entry.path()).expect("UTF-8");
                cases.push((text, delimiter, quote));
            }
        }
    }
    assert!(cases.len() >= 15, "{}", cases.len());
    for ((text, delimiter, quote), rows) in cases.iter().zip(python(&cases)) {
        let rows = rows.expect("a good file");
        let columns = rows[0].len();
        let (found, rejects) = ours(text, *delimiter, *quote, columns);
        let good: Rows = rows
            .iter()
            .filter(|row| row.len() == columns)
            .cloned()
            .collect();
        assert_eq!(
            (found, rejects),
            (good.clone(), rows.len() - good.len()),
            "{text}"
        );
    }
}
