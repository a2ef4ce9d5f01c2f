//! What must hold of SOAP calls, webhooks, answers and descriptions, whatever bytes come.
//!
//! A case is what its target says and, behind it, [`TAIL_BYTES`] that choose, as in the cases of decoders: which of the target's
//! configurations, and at which places the bytes are cut (two bytes). The last is the target's.

mod call;
mod envelope;
mod multipart;
mod poll;
mod webhook;
mod wsdl;

use std::path::Path;

use dray_soap::fuzzing::Cuts;
use tempfile::TempDir;

/// The targets, each with its folder of cases.
pub(crate) const TARGETS: [&str; 6] = [
    "multipart",
    "soap-call",
    "soap-envelope",
    "soap-poll",
    "webhook",
    "wsdl",
];

/// The bytes at a case's end that are no part of what it says.
const TAIL_BYTES: usize = 4;

/// What stands in all files of secrets. Nobody is told.
const SECRET: &str = "open-sesame-7731";

/// What a case's last bytes choose.
#[derive(Debug, Clone, Copy)]
struct Choice {
    variant: usize,
    cuts: u16,
    other: u8,
}

impl Choice {
    fn of([variant, cut, cuts, other]: [u8; TAIL_BYTES]) -> Self {
        Self {
            variant: usize::from(variant.wrapping_sub(b'0')),
            cuts: u16::from_le_bytes([cut, cuts]),
            other: other.wrapping_sub(b'0'),
        }
    }

    fn cuts(self) -> Cuts {
        Cuts::new(Some(self.cuts))
    }
}

/// Checks a case.
///
/// # Panics
/// Where something does not hold.
pub(crate) fn check(target: &str, input: &[u8]) {
    let Some((case, tail)) = input.split_last_chunk::<TAIL_BYTES>() else {
        return;
    };
    let choice = Choice::of(*tail);
    match target {
        "multipart" => multipart::check(case, choice),
        "soap-call" => call::check(case, choice),
        "soap-envelope" => envelope::check(case, choice),
        "soap-poll" => poll::check(case, choice),
        "webhook" => webhook::check(case, choice),
        "wsdl" => wsdl::check(case, choice),
        other => panic!("there is no target {other}"),
    }
}

/// A folder with the files that configurations name.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

/// A configuration whose files are in this folder.
fn configured<C: serde::de::DeserializeOwned>(text: &str, folder: &Path) -> C {
    let text = text.replace("FOLDER", &folder.display().to_string());
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The first line, and what follows it.
fn first_line(case: &[u8]) -> (String, &[u8]) {
    let end = case.iter().position(|byte| *byte == b'\n');
    let (line, rest) = case.split_at(end.unwrap_or(case.len()));
    let line = String::from_utf8_lossy(line).trim_end().to_owned();
    (line, rest.get(1..).unwrap_or_default())
}

/// A request's head, as HTTP has it, and its body.
struct Request<'c> {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: &'c [u8],
}

impl<'c> Request<'c> {
    fn read(case: &'c [u8]) -> Self {
        let (line, mut rest) = first_line(case);
        let (method, target) = line.split_once(' ').unwrap_or((&line, ""));
        let mut headers = Vec::new();
        loop {
            let (line, behind) = first_line(rest);
            rest = behind;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: rest,
        }
    }

    fn header(&self, wanted: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let headers = self.headers.iter();
        headers
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

/// What no answer may hold, but where the caller said it himself.
fn says_nothing_of_the_inside(said: &str, case: &[u8], folder: &Path) {
    let case = String::from_utf8_lossy(case);
    let folder = folder.display().to_string();
    for inside in [SECRET, folder.as_str(), ".rs:", "os error", "panicked"] {
        assert!(
            !said.contains(inside) || case.contains(inside),
            "\"{inside}\" is told: {said}"
        );
    }
}
