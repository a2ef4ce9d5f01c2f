//! What a build for tests does at its edges.

use std::collections::HashMap;
use std::env;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Bytes, Plant};

const KILL_AT: &str = "DRAY_KILL_AT";
const PLANT: &str = "DRAY_PLANT";

const PLANTS: [(&str, Plant); 6] = [
    ("missing_fdatasync", Plant::MissingFdatasync),
    ("early_ack", Plant::EarlyAck),
    ("reused_sequence", Plant::ReusedSequence),
    ("lost_mark", Plant::LostMark),
    ("cursor_too_soon", Plant::CursorTooSoon),
    ("unsynced_folder", Plant::UnsyncedFolder),
];

const SIZES: [(&str, Bytes); 2] = [
    ("DRAY_GENERATION_BYTES", Bytes::Generation),
    ("DRAY_LOG_FILE_BYTES", Bytes::LogFile),
];

#[derive(Debug, Default)]
struct Armed {
    plant: Option<Plant>,
    sizes: Vec<(Bytes, u64)>,
}

/// Set once, before anything is opened.
static ARMED: OnceLock<Armed> = OnceLock::new();

/// Reads the environment and arms what it names. `edges`: the lists of all crates of the daemon. Call it
/// first of all.
///
/// # Errors
/// A sentence with all names, where one is not known.
pub fn arm(edges: &[&[&'static str]]) -> Result<(), String> {
    let said: HashMap<&str, String> = [KILL_AT, PLANT]
        .into_iter()
        .chain(SIZES.map(|(name, _)| name))
        .filter_map(|name| Some((name, env::var(name).ok()?)))
        .collect();
    let known: Vec<&'static str> = edges.concat();
    if let Some((edge, passing)) = said
        .get(KILL_AT)
        .map(|text| parse_kill(text, &known))
        .transpose()?
    {
        let passed = AtomicU64::new(0);
        fail::cfg_callback(edge, move || {
            if passed.fetch_add(1, Ordering::SeqCst) + 1 == passing {
                kill();
            }
        })?;
    }
    let plant = said.get(PLANT).map(|text| parse_plant(text)).transpose()?;
    let mut sizes = Vec::new();
    for (name, size) in SIZES {
        if let Some(text) = said.get(name) {
            let bytes = text.parse();
            sizes.push((
                size,
                bytes.map_err(|_| format!("{name}=\"{text}\" is no number of bytes"))?,
            ));
        }
    }
    let _ = ARMED.set(Armed { plant, sizes });
    Ok(())
}

/// Whether this bug is planted in this process.
#[must_use]
pub fn is_planted(plant: Plant) -> bool {
    ARMED.get().is_some_and(|armed| armed.plant == Some(plant))
}

/// The size that a test wants instead of this one.
#[must_use]
pub fn bytes(size: Bytes, default: u64) -> u64 {
    let found = ARMED
        .get()
        .and_then(|armed| armed.sizes.iter().find(|(of, _)| *of == size));
    found.map_or(default, |(_, bytes)| *bytes)
}

/// Passes an edge; see [`crate::edge!`].
pub fn pass(name: &'static str) {
    fail::fail_point!(name);
}

/// Whether a crate lists this edge.
#[must_use]
pub const fn is_listed(edges: &[&str], name: &str) -> bool {
    let mut index = 0;
    while index < edges.len() {
        if is_same(edges[index].as_bytes(), name.as_bytes()) {
            return true;
        }
        index += 1;
    }
    false
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// Nothing is flushed, put away or told: as if the power of this process were cut.
fn kill() {
    let own = rustix::process::getpid();
    let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

/// `name` or `name:n`: which edge, and at which passing.
fn parse_kill(text: &str, known: &[&'static str]) -> Result<(&'static str, u64), String> {
    let (name, passing) = text.split_once(':').unwrap_or((text, "1"));
    let edge = known.iter().find(|edge| **edge == name).ok_or_else(|| {
        format!(
            "{KILL_AT}=\"{text}\" names no edge of this daemon; its edges are: {}",
            known.join(", ")
        )
    })?;
    let passing = passing
        .parse()
        .ok()
        .filter(|passing| *passing > 0)
        .ok_or_else(|| {
            format!("{KILL_AT}=\"{text}\": after the colon stands the passing, from 1 on")
        })?;
    Ok((edge, passing))
}

fn parse_plant(text: &str) -> Result<Plant, String> {
    let found = PLANTS.iter().find(|(name, _)| *name == text);
    found.map(|(_, plant)| *plant).ok_or_else(|| {
        let names = PLANTS.map(|(name, _)| name);
        format!(
            "{PLANT}=\"{text}\" is no bug that can be planted; those are: {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_and_its_passing_are_read_and_unknown_names_are_told_all() {
        let known = ["a.before", "a.before_that"];
        let check = |text: &str, expected: Result<(&'static str, u64), &str>| match (
            parse_kill(text, &known),
            expected,
        ) {
            (Err(sentence), Err(part)) => assert!(sentence.contains(part), "{sentence}"),
            (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{text}"),
        };
        check("a.before", Ok(("a.before", 1)));
        check("a.before_that:12", Ok(("a.before_that", 12)));
        check("a.befor", Err("a.before, a.before_that"));
        check("a.before:0", Err("from 1 on"));
        check("a.before:x", Err("from 1 on"));
        assert_eq!(parse_plant("lost_mark"), Ok(Plant::LostMark));
        let unknown = parse_plant("nothing").expect_err("no such bug");
        assert!(unknown.contains("cursor_too_soon"), "{unknown}");
    }

    #[test]
    fn only_the_whole_name_is_listed() {
        let edges = &["a.b", "a.bc"];
        for (name, listed) in [
            ("a.b", true),
            ("a.bc", true),
            ("a.", false),
            ("a.bcd", false),
        ] {
            assert_eq!(is_listed(edges, name), listed, "{name}");
        }
    }
}
