//! Runs a format over bytes that arrive in windows, as tests tell it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::Path;

use dray_adapter::{RecordView, Value};
use dray_formats::{FileFault, Format, FormatConfig, Gather, Sink, Tally, Window};

/// A format as it stands in a configuration.
pub(crate) fn format(toml: &str) -> Format {
    let config: FormatConfig = toml::from_str(toml).unwrap_or_else(|error| panic!("{error}"));
    let faults = config.faults();
    assert!(faults.is_empty(), "{toml}: {faults:?}");
    let read = |path: &Path| Err(format!("{} is not there", path.display()));
    Format::new(&config, &read).unwrap_or_else(|said| panic!("{toml}: {said}"))
}

/// The same, where it names a text.
pub(crate) fn format_with(toml: &str, text: &str) -> Result<Format, String> {
    let config: FormatConfig = toml::from_str(toml).unwrap_or_else(|error| panic!("{error}"));
    let faults = config.faults();
    assert!(faults.is_empty(), "{toml}: {faults:?}");
    Format::new(&config, &|_| Ok(text.to_owned()))
}

/// Runs a decoder over bytes that arrive `chunk` at a time; what is full is emptied by `emptied`.
pub(crate) fn run<S: Sink>(
    format: &Format,
    bytes: &[u8],
    chunk: usize,
    skip: u64,
    sink: &mut S,
    mut emptied: impl FnMut(&mut S),
) -> Result<u64, FileFault> {
    let mut decoder = format.decoder(skip);
    let mut window = Window::default();
    let mut rest = bytes;
    loop {
        let decoded = decoder.decode(window.bytes(), rest.is_empty(), sink)?;
        window.take(decoded.bytes);
        if decoded.done {
            assert!(rest.is_empty() && window.bytes().is_empty());
            return Ok(decoder.ordinal());
        }
        if sink.full() {
            emptied(sink);
        } else {
            let space = window.space();
            let count = space.len().min(chunk).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            window.filled(count);
            rest = &rest[count..];
        }
    }
}

/// A record as it is told: `3 D: SKU-1·12.50`; `·` stands between cells, `∅` for one that is not there.
pub(crate) fn shown(record: &RecordView<'_>) -> String {
    let cell = |index| match record.value(index) {
        Value::Text(text) => text.to_owned(),
        Value::Null => "∅".to_owned(),
        other => format!("{other:?}"),
    };
    let cells: Vec<String> = (0..record.len()).map(cell).collect();
    assert_eq!(
        cells.len(),
        record.shape().columns.len(),
        "a cell for each name"
    );
    let kind = &record.shape().record_type;
    let blank = if kind.is_empty() { "" } else { " " };
    format!("{}{blank}{kind}: {}", record.row().line, cells.join("·"))
}

/// Records, and `line! reason`, in the order of the file.
pub(crate) fn told(gather: &Gather) -> Vec<String> {
    let mut told = Vec::new();
    let mut rejects = gather.rejects.iter().peekable();
    for index in 0..=gather.records.len() {
        while let Some(reject) = rejects.next_if(|reject| reject.after == index) {
            told.push((
                reject.ordinal,
                format!("{}! {}", reject.line, reject.reason),
            ));
        }
        if let Some(record) = gather.records.get(index) {
            told.push((record.row().ordinal, shown(&record)));
        }
    }
    let first = told.first().map_or(0, |(ordinal, _)| *ordinal);
    assert!(
        (first..)
            .zip(&told)
            .all(|(expected, (ordinal, _))| expected == *ordinal),
        "ordinals: {told:?}"
    );
    told.into_iter().map(|(_, told)| told).collect()
}

/// What both passes make of a file, or its fault.
pub(crate) fn told_of(format: &Format, bytes: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let mut tally = Tally::new(u64::MAX);
    let counted = run(format, bytes, chunk, 0, &mut tally, |_| ());
    let mut gather = Gather::default();
    let gathered = run(format, bytes, chunk, 0, &mut gather, |_| {
        panic!("a case fits a batch")
    });
    assert_eq!(counted, gathered, "both passes agree");
    gathered.map_err(|FileFault(said)| said)?;
    assert_eq!(
        (tally.records, tally.rejects),
        (gather.records.len() as u64, gather.rejects.len() as u64),
        "both passes agree"
    );
    Ok(told(&gather))
}

/// Each expected text is a whole record, or the beginning `line! ` and then words of a reason.
pub(crate) fn check(toml: &str, bytes: &[u8], expected: &[&str]) {
    check_format(&format(toml), bytes, expected);
}

/// The same with a format that is compiled.
pub(crate) fn check_format(format: &Format, bytes: &[u8], expected: &[&str]) {
    for chunk in [usize::MAX, 1, 2, 3, 7] {
        let shown = format!(
            "{} in chunks of {chunk}",
            bytes[..bytes.len().min(200)].escape_ascii()
        );
        let told = told_of(format, bytes, chunk).unwrap_or_else(|said| panic!("{shown}: {said}"));
        assert_eq!(told.len(), expected.len(), "{shown}: {told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            let fits = match expected.split_once("! ") {
                Some((line, words)) => {
                    told.starts_with(&format!("{line}! ")) && told.contains(words)
                }
                None => told == expected,
            };
            assert!(fits, "{shown}: {told} should be {expected}");
        }
        for skip in 0..=expected.len() {
            let mut gather = Gather::default();
            run(format, bytes, chunk, skip as u64, &mut gather, |_| ()).expect("it was readable");
            assert_eq!(self::told(&gather), told[skip..], "{shown}, from {skip} on");
        }
        let mut parts = Vec::new();
        let mut gather = Gather::with_limits(1, usize::MAX);
        run(format, bytes, chunk, 0, &mut gather, |gather| {
            parts.extend(self::told(gather));
            *gather = Gather::with_limits(1, usize::MAX);
        })
        .expect("it was readable");
        parts.extend(self::told(&gather));
        assert_eq!(parts, told, "{shown}, one at a time");
    }
}

/// The file is refused, in these words, however it is cut into windows.
pub(crate) fn check_fault(toml: &str, bytes: &[u8], words: &[&str]) {
    check_format_fault(&format(toml), bytes, words);
}

/// The same with a format that is compiled.
pub(crate) fn check_format_fault(format: &Format, bytes: &[u8], words: &[&str]) {
    for chunk in [usize::MAX, 1, 2, 3, 7] {
        let said = told_of(format, bytes, chunk).expect_err("the file is refused");
        for word in words {
            assert!(said.contains(word), "\"{word}\" is missing in: {said}");
        }
    }
}

/// The configuration is refused: the setting, and these words.
pub(crate) fn check_config(toml: &str, setting: &str, words: &[&str]) {
    let faults = match toml::from_str::<FormatConfig>(toml) {
        Ok(config) => config.faults(),
        Err(error) => vec![(String::new(), error.to_string())],
    };
    let said = faults.iter().find(|(path, _)| path == setting);
    let said = said.unwrap_or_else(|| panic!("{toml}: {setting} is fine; {faults:?}"));
    for word in words {
        assert!(
            said.1.contains(word),
            "\"{word}\" is missing in: {}",
            said.1
        );
    }
}
