//! What becomes of files whose documents were there before.

use std::time::Duration;

use dray_formats::{Account, FormatConfig};

use super::*;
use crate::position::Content;
use crate::ready::Look;

fn config(settings: &str) -> DuplicatesConfig {
    toml::from_str(settings).expect(settings)
}

fn facts(kind: IdentityKind, numbers: &[&str]) -> Facts {
    let identity = |number: &&str| Identity {
        kind,
        parties: "S>R".into(),
        number: (*number).into(),
    };
    let content = Content {
        sha256: [0; 32],
        bytes: 0,
        repeat: 0,
    };
    let look = Look {
        bytes: 0,
        modified_us: 0,
        inode: 0,
        born_us: 0,
    };
    Facts {
        account: Account {
            identities: numbers.iter().map(identity).collect(),
            identities_in_all: numbers.len() as u64,
            ..Account::default()
        },
        checked: Duration::ZERO,
        ..Facts::of_gone(content, look, 0)
    }
}

/// A file with these numbers comes after one with those.
fn check(then: &str, before: &[&str], numbers: &[&str], expected: &Outcome, words: &str) {
    let config = config(&format!("by = \"interchange\"\nthen = \"{then}\""));
    let mut duplicates = Duplicates::new(Some(config));
    let first = duplicates.weigh(&facts(IdentityKind::Interchange, before), |_| false);
    assert_eq!((&first.then, first.known), (&Outcome::Sent, 0));
    let marks = duplicates.marks(&first.new);
    assert_eq!(marks.len(), before.len());
    let second = facts(IdentityKind::Interchange, numbers);
    let recent = duplicates.weigh(&second, |_| false);
    assert_eq!(&recent.then, expected, "{then} {numbers:?}");
    assert!(recent.said.contains(words), "{}", recent.said);
    assert_eq!(recent.said.is_empty(), words.is_empty(), "{}", recent.said);
    // The same when the marks are appended and this source is another.
    let again = Duplicates::new(duplicates.config.clone());
    let appended = again.weigh(&second, |mark| marks.contains(mark));
    assert_eq!(appended, recent);
}

#[test]
fn what_was_there_before_is_dropped_flagged_or_passed() {
    check("flag", &["7"], &["8"], &Outcome::Sent, "");
    check(
        "flag",
        &["7"],
        &["7"],
        &Outcome::Sent,
        "its interchanges were there before: S>R 7; it is sent",
    );
    check("pass", &["7"], &["7"], &Outcome::Sent, "");
    check(
        "drop",
        &["7", "8"],
        &["7", "8"],
        &Outcome::Dropped,
        "S>R 7, S>R 8; it is not sent",
    );
    check("drop", &["7"], &["8"], &Outcome::Sent, "");
    check(
        "drop",
        &["7"],
        &["7", "8"],
        &Outcome::SetAside,
        "1 of its 2 interchanges were there before: S>R 7; write by",
    );
    let many: Vec<String> = (0..9).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check("flag", &many, &many, &Outcome::Sent, "S>R 4 and 4 more");
}

#[test]
fn marks_that_are_not_appended_yet_are_bounded() {
    let mut duplicates = Duplicates::new(Some(config("by = \"documents\"")));
    for number in 0..100 {
        let number = number.to_string();
        let weighed = duplicates.weigh(&facts(IdentityKind::Document, &[&number]), |_| false);
        assert_eq!(duplicates.marks(&weighed.new)[0].0.len(), 25);
    }
    assert_eq!(duplicates.recent.len(), FILES_MAX);
}

#[test]
fn a_file_with_more_documents_than_are_watched_says_so() {
    let numbers: Vec<String> = (0..KEYS_MAX + 5).map(|number| number.to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let duplicates = Duplicates::new(Some(config("by = \"documents\"\nthen = \"drop\"")));
    let facts = facts(IdentityKind::Document, &numbers);
    let weighed = duplicates.weigh(&facts, |_| true);
    assert_eq!(
        weighed.then,
        Outcome::SetAside,
        "what is not watched may be new"
    );
    assert!(
        weighed.said.contains("only 10000 of its 10005 documents"),
        "{}",
        weighed.said
    );
}

#[test]
fn settings_that_cannot_be_are_refused_in_words() {
    let csv: FormatConfig = toml::from_str("kind = \"csv\"").expect("a format");
    let x12: FormatConfig = toml::from_str("kind = \"x12\"").expect("a format");
    for (settings, format, words) in [
        ("by = \"interchange\"", &csv, "only X12 and EDIFACT"),
        ("by = \"documents\"", &x12, "only IDocs"),
        ("by = []", &csv, "one to 16 columns"),
    ] {
        let faults = config(settings).faults(format);
        assert_eq!(faults.len(), 1, "{settings}");
        assert!(
            faults[0].0 == "by" && faults[0].1.contains(words),
            "{faults:?}"
        );
    }
    assert_eq!(config("by = [\"A\"]").faults(&csv), []);
    assert_eq!(config("by = \"interchange\"").faults(&x12), []);
    let said = toml::from_str::<DuplicatesConfig>("by = \"documnts\"").expect_err("it is none");
    assert!(said.to_string().contains("a list of columns"), "{said}");
}

#[test]
fn the_example_of_the_documentation_is_good() {
    let page = include_str!("../../../../docs/files.md");
    let (_, rest) = page
        .split_once("[flow.source.duplicates]\n")
        .expect("an example");
    let example = rest.split("```").next().expect("it ends");
    let csv: FormatConfig = toml::from_str("kind = \"csv\"").expect("a format");
    assert_eq!(config(example).faults(&csv), []);
}
