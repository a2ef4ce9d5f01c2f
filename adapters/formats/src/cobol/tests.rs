//! Tables: each case is also run in windows of every length, from each record on, and one record at a time.

mod framings;
mod generated;
mod layouts;
mod types;

use crate::driver::{check_format, check_format_fault, format_with};

const ASCII: &str =
    "kind = \"copybook\"\ncopybook = \"/etc/dray/R.cpy\"\nencoding = \"iso-8859-1\"\n";
const EBCDIC: &str = "kind = \"copybook\"\ncopybook = \"/etc/dray/R.cpy\"\n";

/// A file in ASCII, told by `settings`.
fn check(copybook: &str, settings: &str, bytes: &[u8], expected: &[&str]) {
    let format = format_with(&format!("{ASCII}{settings}"), copybook);
    check_format(
        &format.unwrap_or_else(|said| panic!("{said}")),
        bytes,
        expected,
    );
}

fn check_fault(copybook: &str, settings: &str, bytes: &[u8], words: &[&str]) {
    let format = format_with(&format!("{ASCII}{settings}"), copybook);
    check_format_fault(
        &format.unwrap_or_else(|said| panic!("{said}")),
        bytes,
        words,
    );
}

/// The format is refused, in these words.
fn check_refused(copybook: &str, settings: &str, words: &[&str]) {
    let said = format_with(&format!("{ASCII}{settings}"), copybook).expect_err(copybook);
    for word in words {
        assert!(said.contains(word), "\"{word}\" is missing in: {said}");
    }
}
