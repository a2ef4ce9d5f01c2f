//! Tables: what documents become, with the bytes cut into windows of many lengths.

use dray_adapter::{RecordView, Value};

use crate::{FileFault, Format, FormatConfig, Gather, Sink, Tally, Window};

pub(crate) fn format(toml: &str) -> Format {
    let config: FormatConfig = toml::from_str(toml).expect("a format");
    assert_eq!(config.faults(), [], "{toml}");
    Format::new(&config).expect("a good format")
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

/// A record: `line type NAME=cell NAME=cell`, without cells that are not there.
pub(crate) fn shown(record: &RecordView<'_>) -> String {
    let shape = record.shape();
    let mut told = format!("{} {}", record.row().line, shape.record_type);
    for (index, name) in shape.columns.iter().enumerate() {
        if let Value::Text(text) = record.value(index) {
            told += &format!(" {name}={text}");
        }
    }
    told
}

/// Records and `line! reason`, in the file's order.
pub(crate) fn told(gather: &Gather) -> Vec<(u64, String)> {
    let records = gather
        .records
        .iter()
        .map(|record| (record.row().ordinal, shown(&record)));
    let rejects = gather.rejects.iter().map(|reject| {
        let told = format!("{}! {}", reject.line, reject.reason);
        (reject.ordinal, told)
    });
    let mut all: Vec<(u64, String)> = records.chain(rejects).collect();
    all.sort_unstable_by_key(|(ordinal, _)| *ordinal);
    all
}

pub(crate) fn told_of(format: &Format, bytes: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let mut gather = Gather::default();
    let gathered = run(format, bytes, chunk, 0, &mut gather, |_| {
        panic!("a case fits a batch")
    });
    let mut tally = Tally::new(u64::MAX);
    let tallied = run(format, bytes, chunk, 0, &mut tally, |_| ());
    assert_eq!(gathered, tallied, "both passes agree");
    assert_eq!(tally.records, gather.records.len() as u64);
    assert_eq!(tally.rejects, gather.rejects.len() as u64);
    gathered.map_err(|fault| fault.0)?;
    let told = told(&gather);
    assert!(
        (0..)
            .zip(&told)
            .all(|(expected, (ordinal, _))| expected == *ordinal)
    );
    // Batches of one record, and each beginning in the middle, are parts of the same.
    let mut single = Gather::with_limits(1, usize::MAX);
    let mut parts = Vec::new();
    run(format, bytes, chunk, 0, &mut single, |full| {
        parts.extend(self::told(full));
        *full = Gather::with_limits(1, usize::MAX);
    })
    .expect("as before");
    parts.extend(self::told(&single));
    assert_eq!(parts, told, "in batches of one");
    for skip in 0..=told.len().min(4) {
        let mut rest = Gather::default();
        run(format, bytes, chunk, skip as u64, &mut rest, |_| ()).expect("as before");
        assert_eq!(self::told(&rest), told[skip..], "from {skip} on");
    }
    Ok(told.into_iter().map(|(_, told)| told).collect())
}

/// Each expected text is a whole record, or the beginning `line! ` and then words of a reason.
pub(crate) fn check(toml: &str, bytes: &[u8], expected: &[&str]) {
    let format = format(toml);
    for chunk in [usize::MAX, 1, 2, 3, 7, 100] {
        let told = told_of(&format, bytes, chunk).unwrap_or_else(|said| panic!("{said}"));
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            let fits = match expected.split_once("! ") {
                Some((line, words)) => {
                    told.starts_with(&format!("{line}! ")) && told.contains(words)
                }
                None => told == expected,
            };
            assert!(
                fits,
                "in windows of {chunk}:\n{told}\nshould be\n{expected}"
            );
        }
    }
}

/// The whole file is refused with these words.
pub(crate) fn refused(toml: &str, bytes: &[u8], words: &str) {
    let format = format(toml);
    for chunk in [usize::MAX, 1, 7] {
        let said = told_of(&format, bytes, chunk).expect_err("it is broken");
        assert!(said.contains(words), "{said}");
    }
}

/// What is said of a configuration: `path: sentence`, first fault only.
pub(crate) fn fault(toml: &str, words: &[&str]) {
    let said = match toml::from_str::<FormatConfig>(toml) {
        Ok(config) => config
            .faults()
            .first()
            .map_or_else(|| "(fine)".into(), |(path, said)| format!("{path}: {said}")),
        Err(error) => error.to_string(),
    };
    for word in words {
        assert!(
            said.contains(word),
            "{toml}: \"{word}\" is missing in: {said}"
        );
    }
}
