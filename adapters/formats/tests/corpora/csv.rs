//! Delimited files: csv-spectrum to the character, and a few of omniparser.

use dray_adapter::Value;
use dray_formats::Gather;

use super::corpus;
use super::driver::{check, format, run};

/// The records of a file with a header, as JSON objects in their order.
fn objects(toml: &str, bytes: &[u8], chunk: usize) -> Vec<serde_json::Value> {
    let mut gather = Gather::default();
    run(&format(toml), bytes, chunk, 0, &mut gather, |_| ()).expect("records");
    assert!(gather.rejects.is_empty(), "{:?}", gather.rejects);
    let object = |record: dray_adapter::RecordView<'_>| {
        let names = record.shape().columns.iter().enumerate();
        let cells = names.map(|(index, name)| match record.value(index) {
            Value::Text(text) => (name.clone(), text.into()),
            other => panic!("{other:?}"),
        });
        serde_json::Value::Object(cells.collect())
    };
    gather.records.iter().map(object).collect()
}

#[test]
fn csv_spectrum_decodes_to_its_json_to_the_character() {
    for name in [
        "comma_in_quotes",
        "empty",
        "empty_crlf",
        "escaped_quotes",
        "json",
        "newlines",
        "newlines_crlf",
        "quotes_and_newlines",
        "simple",
        "simple_crlf",
        "utf8",
    ] {
        let Some(csv) = corpus(&format!("csv/csv-spectrum/{name}.csv")) else {
            return;
        };
        let json = corpus(&format!("csv/csv-spectrum/{name}.json")).expect("beside the other");
        let expected: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("JSON");
        // In the corpora all files end their lines with LF; those called so had CRLF, of which their JSON still tells.
        let csv = if name.ends_with("_crlf") {
            let text = String::from_utf8(csv).expect("UTF-8");
            text.replace("\r\n", "\n")
                .replace('\n', "\r\n")
                .into_bytes()
        } else {
            csv
        };
        for chunk in [1, 2, 3, 7, 1_000] {
            assert_eq!(objects("kind = \"csv\"", &csv, chunk), expected, "{name}");
        }
    }
}

/// Its JSON is of another record: it has another telephone number, and no county. So only what both have is compared.
#[test]
fn the_coordinates_of_csv_spectrum_keep_their_quotes() {
    let Some(csv) = corpus("csv/csv-spectrum/location_coordinates.csv") else {
        return;
    };
    let json = corpus("csv/csv-spectrum/location_coordinates.json").expect("beside the other");
    let expected: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let found = objects("kind = \"csv\"", &csv, 5);
    assert_eq!(found.len(), 1);
    for name in ["Location Coordinates", "Cities"] {
        assert_eq!(found[0][name], expected[name]);
    }
    assert_eq!(
        (&found[0]["Contact Phone Number"], &found[0]["Counties"]),
        (&"2095257564".into(), &"Stanislaus".into())
    );
}

/// "N/A" is no record, and neither is the line whose quote never closes: unless the system knows no quotes.
#[test]
fn a_weather_file_with_a_bad_line_and_a_bad_quote() {
    let Some(bytes) = corpus("csv/omniparser/1_single_row.input.csv") else {
        return;
    };
    let first = "2: 2019/01/31T12:34:56-0800·10.5·30.2·N·33·note 1·37.7749·122.4194·12/4/6";
    let last = "5: 2030/11/22T20:18:00-0500·15.5·17·X·180·note 3·39.0997·94.5786·10/3/4";
    let toml = "kind = \"csv\"\ndelimiter = \"|\"\n";
    check(
        toml,
        &bytes,
        &[
            first,
            "3! 1 column, 9 are expected",
            "4! never closes",
            last,
        ],
    );
    let quoted =
        "4: 2020/07/31T01:23:45-0500·39·95·SE·8·\" note with bad quotes·32.7767·96.7970·9/5/6";
    check(
        &format!("{toml}quote = \"\""),
        &bytes,
        &[first, "3! 1 column", quoted, last],
    );
    check(
        &format!("{toml}quote = \"\"\ncomment = \"N/A\""),
        &bytes,
        &[first, quoted, last],
    );
}

/// Two lines make a record there; nothing in them says so. Each is one to us, blanks and all.
#[test]
fn a_file_without_a_header() {
    let Some(bytes) = corpus("csv/omniparser/2_fixed_multi_row.input.csv") else {
        return;
    };
    check(
        "kind = \"csv\"\nheader = false\ncolumns = [\"A\", \"B\", \"C\", \"D\"]",
        &bytes,
        &[
            "1: 1· 2· 3· 4",
            "2: A· B· C· D",
            "3: 5· 6· 7· 8",
            "4: W· X· Y· Z",
        ],
    );
}
