//! What the fuzzer began with, and what it found: each case must hold as it must for the fuzzer. See `fuzz/`.

#[path = "../../../fuzz/src/soap/mod.rs"]
mod soap;

use std::fs;
use std::path::PathBuf;

/// A case is a few kilobytes, so that a person can read it.
const CASE_BYTES_MAX: u64 = 64 * 1024;

#[test]
fn what_was_fuzzed_stays_as_it_must() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/cases");
    for target in soap::TARGETS {
        let cases = fs::read_dir(folder.join(target));
        let cases = cases.unwrap_or_else(|error| panic!("{target} has no cases: {error}"));
        let mut count = 0;
        for case in cases {
            let path = case.expect("a case").path();
            let input = fs::read(&path).expect("a case that can be read");
            assert!(
                input.len() as u64 <= CASE_BYTES_MAX,
                "{} is too long",
                path.display()
            );
            println!("{}", path.display());
            soap::check(target, &input);
            count += 1;
        }
        assert!(count > 0, "{target} has no cases");
    }
}
