//! No file of the corpora is passed over: each is named by the test that says what stands in it, or why it is refused.

use super::{corpora, files};

/// The tests that name files.
const TESTS: [&str; 6] = [
    include_str!("csv.rs"),
    include_str!("fixed.rs"),
    include_str!("cobrix.rs"),
    include_str!("edi.rs"),
    include_str!("../tree/corpora.rs"),
    include_str!("../workbooks.rs"),
];

/// What its test reads without naming it: all of JSONTestSuite (`tree/json_suite.rs`), and what cobrix says of layouts, which we don't
/// make.
fn is_read_by_its_folder(path: &str) -> bool {
    path.starts_with("json/JSONTestSuite/")
        || path.ends_with("_schema.json")
        || path.ends_with("_layout.txt")
}

#[test]
fn each_file_of_the_corpora_is_named_by_a_test() {
    let Some(corpora) = corpora() else { return };
    let mut named = 0;
    for folder in [
        "x12", "edifact", "csv", "fixed", "ebcdic", "idoc", "xml", "json", "excel",
    ] {
        for file in files(&corpora.join(folder)) {
            let path = format!("{folder}/{file}");
            if is_read_by_its_folder(&path) {
                continue;
            }
            let name = file.rsplit('/').next().unwrap_or(&file);
            // csv-spectrum's are named without what they end with.
            let stem = name.split('.').next().unwrap_or(name);
            let is_named = |test: &&str| match path.starts_with("csv/csv-spectrum/") {
                true => test.contains(&format!("\"{stem}\"")) || test.contains(&format!("{stem}.")),
                false => test.contains(&format!("{name}\"")),
            };
            assert!(TESTS.iter().any(is_named), "{path} is read by no test");
            named += 1;
        }
    }
    assert_eq!(named, 34 + 23 + 26 + 10 + 15 + 2 + 3 + 3 + 7);
}
