//! What must hold of each decoder, whatever bytes come.
//!
//! A case is a file and, behind it, [`TAIL_BYTES`] that choose: which of the target's configurations, where the file is cut into windows
//! (two bytes), and from which ordinal on it is read. Written as digits they keep a case readable: `…0000` is the first
//! configuration, from the first record on.

mod cut;
mod formats;
mod made;

use std::cell::RefCell;
use std::collections::HashMap;

use dray_formats::edi::{Acknowledged, acknowledgements};
use dray_formats::packed::Packed;
use dray_formats::suggest::{COLUMNS_MAX, suggest};
use dray_formats::{FileFault, Tally};

/// The targets, each with its folder of cases.
pub(crate) const TARGETS: [&str; 16] = [
    "copybook",
    "copybook-text",
    "csv",
    "edifact",
    "encodings",
    "fixed",
    "gzip",
    "idoc-flat",
    "idoc-xml",
    "json",
    "json-lines",
    "suggest",
    "x12",
    "xlsx",
    "xml",
    "zip",
];

/// The bytes at a case's end that are no part of its file.
const TAIL_BYTES: usize = 4;

/// What a case's last bytes choose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    format: usize,
    cuts: u16,
    skip: u64,
}

impl Choice {
    fn of([format, cut, cuts, skip]: [u8; TAIL_BYTES]) -> Self {
        let digit = |byte: u8| byte.wrapping_sub(b'0');
        Self {
            format: usize::from(digit(format)),
            cuts: u16::from_le_bytes([cut, cuts]),
            skip: u64::from(digit(skip)),
        }
    }
}

/// Checks a case.
///
/// # Panics
/// Where something does not hold.
pub(crate) fn check(target: &str, input: &[u8]) {
    let Some((file, tail)) = input.split_last_chunk::<TAIL_BYTES>() else {
        return;
    };
    let choice = Choice::of(*tail);
    match target {
        "suggest" => check_suggestion(file, choice),
        "copybook-text" => check_copybook(file, choice),
        "gzip" if choice.format >= 2 => hold(target, &made::gzip(file, choice.cuts), choice),
        "zip" if choice.format >= 2 => hold(target, &made::zip(file), choice),
        "xlsx" => hold(target, &made::zip(file), choice),
        "x12" => check_edi(Acknowledged::By997, target, file, choice),
        "edifact" => check_edi(Acknowledged::ByContrl, target, file, choice),
        _ => hold(target, file, choice),
    }
}

fn hold(target: &str, file: &[u8], choice: Choice) {
    with_formats(target, |of| {
        cut::hold(of, file, choice);
    });
}

/// What is answered can be read by ourselves, whoever sent what.
fn check_edi(by: Acknowledged, target: &str, file: &[u8], choice: Choice) {
    with_formats(target, |of| {
        let Some((receipt, is_taken)) = cut::hold(of, file, choice) else {
            return;
        };
        let fault = (!is_taken).then(|| FileFault("it is refused".into()));
        for one in acknowledgements(by, &receipt, ("20261126", "0930"), fault.as_ref()) {
            let (mut decoder, mut tally) = (of[0].decoder(0), Tally::new(u64::MAX));
            let decoded = decoder.decode(&one.bytes, true, &mut tally);
            let shown = || String::from_utf8_lossy(&one.bytes).into_owned();
            assert!(
                decoded.is_ok_and(|decoded| decoded.done),
                "we can't read it: {}",
                shown()
            );
            let told = decoder.receipt().unwrap_or_default();
            assert!(
                acknowledgements(by, &told, ("20261126", "0930"), None).is_empty(),
                "it would be answered: {}",
                shown()
            );
        }
    });
}

/// Compiled once: that takes longer than most cases.
fn with_formats<T>(target: &str, check: impl FnOnce(&[Packed]) -> T) -> T {
    thread_local! {
        static COMPILED: RefCell<HashMap<String, Vec<Packed>>> = RefCell::new(HashMap::new());
    }
    COMPILED.with_borrow_mut(|compiled| {
        if !compiled.contains_key(target) {
            compiled.insert(target.to_owned(), formats::of(target));
        }
        check(&compiled[target])
    })
}

/// A copybook, and behind a NUL byte records of it.
fn check_copybook(file: &[u8], choice: Choice) {
    let at = file.iter().position(|byte| *byte == 0);
    let (text, records) = file.split_at(at.unwrap_or(file.len()));
    let text = String::from_utf8_lossy(text);
    if let Some(format) = formats::copybook(&text, choice.format) {
        cut::hold(&[format], records.get(1..).unwrap_or(&[]), choice);
    }
}

fn check_suggestion(file: &[u8], choice: Choice) {
    let names = ["a.txt", "b.csv", "c.xml", "d.edi", "e.json", "f.dat.gz", ""];
    let name = names[choice.format % names.len()];
    // What is looked at may be the beginning of more.
    let length = file.len() as u64 + choice.skip * 1_000;
    let found = suggest(name, file, length);
    assert_eq!(found, suggest(name, file, length), "it is always the same");
    assert!(found.confidence <= 100 && found.columns.len() <= COLUMNS_MAX);
    assert!(
        found.reasons.iter().all(|reason| !reason.is_empty()) && !found.reasons.is_empty(),
        "it says why"
    );
}
