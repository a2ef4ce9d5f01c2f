//! What [`driver`] does, over windows of every length up to 23.

use crate::driver;
pub(crate) use crate::driver::{format, run};
use crate::{Format, FormatConfig, Gather};

/// What is wrong with a format's configuration holds all words.
pub(crate) fn check_config(toml: &str, words: &[&str]) {
    let said = match toml::from_str::<FormatConfig>(toml) {
        Err(error) => error.to_string(),
        Ok(config) => config
            .faults()
            .iter()
            .map(|(setting, what)| format!("{setting}: {what}\n"))
            .collect(),
    };
    assert_eq!(said.is_empty(), words.is_empty(), "{toml}: {said}");
    for word in words {
        assert!(
            said.contains(word),
            "{toml}: \"{word}\" is missing in: {said}"
        );
    }
}

/// As [`driver::told`], but no value is `-`.
pub(crate) fn told(gather: &Gather) -> Vec<String> {
    let told = driver::told(gather).into_iter();
    told.map(|told| told.replace('∅', "-")).collect()
}

/// Both passes over bytes that arrive `chunk` at a time.
pub(crate) fn told_of(format: &Format, bytes: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let told = driver::told_of(format, bytes, chunk)?.into_iter();
    Ok(told.map(|told| told.replace('∅', "-")).collect())
}

/// Each expected text is a whole record, or the beginning `line! ` and then words of a reason.
pub(crate) fn check(format: &Format, bytes: &[u8], expected: &[&str]) {
    for chunk in [usize::MAX].into_iter().chain(1..24) {
        let shown = || {
            format!(
                "{} in chunks of {chunk}",
                bytes[..bytes.len().min(400)].escape_ascii()
            )
        };
        let told =
            told_of(format, bytes, chunk).unwrap_or_else(|said| panic!("{}: {said}", shown()));
        assert_eq!(told.len(), expected.len(), "{}: {told:#?}", shown());
        for (told, expected) in told.iter().zip(expected) {
            let fits = match expected.split_once("! ") {
                Some((line, words)) => {
                    told.starts_with(&format!("{line}! ")) && told.contains(words)
                }
                None => told == expected,
            };
            assert!(fits, "{}: {told} should be {expected}", shown());
        }
    }
    let whole = told_of(format, bytes, usize::MAX).expect("it was readable");
    for skip in 0..=expected.len() {
        let mut gather = Gather::default();
        run(format, bytes, 7, skip as u64, &mut gather, |_| ()).expect("it was readable");
        assert_eq!(told(&gather), whole[skip..], "from {skip} on");
    }
    let mut one_by_one = Vec::new();
    let mut gather = Gather::with_limits(1, usize::MAX);
    let emptied = |gather: &mut Gather| {
        one_by_one.extend(told(&std::mem::replace(
            gather,
            Gather::with_limits(1, usize::MAX),
        )))
    };
    run(format, bytes, 11, 0, &mut gather, emptied).expect("it was readable");
    one_by_one.extend(told(&gather));
    assert_eq!(one_by_one, whole, "one at a time");
}

/// The whole file is refused, in these words.
pub(crate) fn check_fault(format: &Format, bytes: &[u8], words: &[&str]) {
    let whole = told_of(format, bytes, usize::MAX).expect_err(&bytes.escape_ascii().to_string());
    for word in words {
        assert!(
            whole.contains(word),
            "{}: \"{word}\" is missing in: {whole}",
            bytes.escape_ascii()
        );
    }
    for chunk in 1..24 {
        let said = told_of(format, bytes, chunk);
        assert_eq!(
            said,
            Err(whole.clone()),
            "{} in chunks of {chunk}",
            bytes.escape_ascii()
        );
    }
}

/// The bytes of records and bad records, in their order.
pub(crate) fn raw_of(format: &Format, bytes: &[u8], chunk: usize) -> Vec<Vec<u8>> {
    let mut gather = Gather::default();
    run(format, bytes, chunk, 0, &mut gather, |_| ()).expect("it is readable");
    let mut raw = Vec::new();
    let mut rejects = gather.rejects.iter().peekable();
    for index in 0..=gather.records.len() {
        while let Some(reject) = rejects.next_if(|reject| reject.after == index) {
            raw.push(reject.raw.clone());
        }
        raw.extend(
            gather
                .records
                .get(index)
                .map(|record| record.raw().to_vec()),
        );
    }
    raw
}
