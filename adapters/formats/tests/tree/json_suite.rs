//! The files of JSONTestSuite: `y_` are JSON, `n_` are not, `i_` are for a reader to decide.

use std::fs;

use dray_formats::Format;

use crate::{corpora, format, told};

/// What we make of those that a reader may decide: a bad record where the grammar holds, and the text does not; else the file is set aside.
const OURS: [(&str, &str); 22] = [
    ("i_number_double_huge_neg_exp.json", "read as written"),
    ("i_number_huge_exp.json", "read as written"),
    ("i_number_neg_int_huge_exp.json", "read as written"),
    ("i_number_pos_double_huge_exp.json", "read as written"),
    ("i_number_real_neg_overflow.json", "read as written"),
    ("i_number_real_pos_overflow.json", "read as written"),
    ("i_number_real_underflow.json", "read as written"),
    ("i_number_too_big_neg_int.json", "read as written"),
    ("i_number_too_big_pos_int.json", "read as written"),
    ("i_number_very_big_negative_int.json", "read as written"),
    (
        "i_object_key_lone_2nd_surrogate.json",
        "is half of a character",
    ),
    (
        "i_string_1st_surrogate_but_2nd_missing.json",
        "is half of a character",
    ),
    (
        "i_string_1st_valid_surrogate_2nd_invalid.json",
        "is half of a character",
    ),
    ("i_string_incomplete_surrogate", "is half of a character"),
    (
        "i_string_incomplete_surrogates_escape_valid.json",
        "is half of a character",
    ),
    (
        "i_string_invalid_lonely_surrogate.json",
        "is half of a character",
    ),
    ("i_string_invalid_surrogate.json", "is half of a character"),
    (
        "i_string_inverted_surrogates_U+1D11E.json",
        "is half of a character",
    ),
    (
        "i_string_lone_second_surrogate.json",
        "is half of a character",
    ),
    ("i_structure_500_nested_arrays.json", "more than 256 deep"),
    ("i_structure_UTF-8_BOM_empty_object.json", "read as written"),
    ("i_string_", "is not UTF-8"),
];

fn all() -> Vec<(String, Vec<u8>)> {
    let Some(corpora) = corpora() else {
        return Vec::new();
    };
    let mut files: Vec<_> = fs::read_dir(corpora.join("json/JSONTestSuite"))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let file = |path: &std::path::PathBuf| {
        (
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned(),
            fs::read(path).expect("readable"),
        )
    };
    files
        .iter()
        .map(file)
        .filter(|(name, _)| name.ends_with(".json"))
        .collect()
}

/// What was said against it.
fn said(format: &Format, file: &[u8]) -> Option<String> {
    let whole = told(format, file, usize::MAX);
    assert_eq!(whole, told(format, file, 1));
    match whole {
        Err(said) => Some(said),
        Ok(told) => told.into_iter().find(|told| {
            told.split_once(": ")
                .is_none_or(|(line, _)| line.contains('!'))
        }),
    }
}

#[test]
fn what_is_json_is_read_and_what_is_not_is_refused() {
    let of = format("kind = \"json\"\n[fields]\nA = \"\"");
    for (name, file) in all() {
        let found = said(&of, &file);
        match name.as_bytes()[0] {
            b'y' if name.contains("duplicated_key") => assert!(
                found.expect("a bad record").contains("stands twice"),
                "{name}"
            ),
            b'y' => assert_eq!(found, None, "{name}"),
            b'n' => assert!(found.is_some(), "{name}"),
            _ => {
                let (_, ours) = OURS
                    .iter()
                    .find(|(begins, _)| name.starts_with(begins))
                    .unwrap_or_else(|| panic!("{name} is not listed: {found:?}"));
                let found = found.as_deref().unwrap_or("read as written");
                assert!(
                    found.contains(ours) || found.contains("UTF-16"),
                    "{name}: {found}"
                );
            }
        }
    }
}

#[test]
fn a_line_is_read_or_refused_like_a_file() {
    let (whole, lines) = (
        format("kind = \"json\"\n[fields]\nA = \"\""),
        format("kind = \"json-lines\"\n[fields]\nA = \"\""),
    );
    for (name, file) in all()
        .into_iter()
        .filter(|(_, file)| !file.contains(&b'\n') && !file.is_empty())
    {
        let (one, other) = (said(&whole, &file), said(&lines, &file));
        assert!(
            one.is_some() == other.is_some()
                || name == "n_single_space.json"
                || name.contains("UTF8_BOM_no_data"),
            "{name}: {one:?} and {other:?}"
        );
    }
}
