//! Runs a format over cases, whole and in windows of every length.

use dray_adapter::{RecordView, Value};

use crate::{FileFault, Format, FormatConfig, Gather, Sink, Tally, Window};

pub(crate) fn format(toml: &str) -> Format {
    let config: FormatConfig =
        toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    Format::new(&config, &|_| Err("no text is named".into()))
        .unwrap_or_else(|said| panic!("{toml}: {said}"))
}

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

/// `line: cell·cell`, or `line TYPE: cell·cell` where there are types, or `line! reason`, in the order of the file. No value is `-`.
pub(crate) fn told(gather: &Gather) -> Vec<String> {
    let cell = |record: &RecordView<'_>, index| match record.value(index) {
        Value::Text(text) => text.to_owned(),
        _ => "-".to_owned(),
    };
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
            let cells: Vec<String> = (0..record.len())
                .map(|index| cell(&record, index))
                .collect();
            let kind = match record.shape().record_type.as_str() {
                "" => String::new(),
                kind => format!(" {kind}"),
            };
            told.push((
                record.row().ordinal,
                format!("{}{kind}: {}", record.row().line, cells.join("·")),
            ));
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

/// Both passes over bytes that arrive `chunk` at a time.
pub(crate) fn told_of(format: &Format, bytes: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let mut gather = Gather::default();
    let gathered = run(format, bytes, chunk, 0, &mut gather, |_| {
        panic!("a case fits a batch")
    });
    let mut tally = Tally::new(u64::MAX);
    let tallied = run(format, bytes, chunk, 0, &mut tally, |_| ());
    assert_eq!(gathered, tallied, "both passes agree");
    assert_eq!(
        tally.records,
        gather.records.len() as u64,
        "both passes agree"
    );
    assert_eq!(
        tally.rejects,
        gather.rejects.len() as u64,
        "both passes agree"
    );
    gathered
        .map(|_| told(&gather))
        .map_err(|FileFault(said)| said)
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
