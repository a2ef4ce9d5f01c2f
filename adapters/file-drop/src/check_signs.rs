//! `check`: what the signs that a file is complete come to in this folder, now.

use std::ffi::OsString;
use std::fs;

use crate::config::{FileDropConfig, Finding, ReadyWhen};
use crate::matcher::Matcher;
use crate::scan::takes;
use crate::signs::sample;

/// In words, by an example: a name is easier to judge than a template.
pub(crate) fn signs(config: &FileDropConfig) -> Vec<Finding> {
    let Ok(matcher) = config.matcher() else {
        return Vec::new();
    };
    let names: Vec<OsString> = fs::read_dir(&config.folder)
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    let mut findings = Vec::new();
    if config.ready == ReadyWhen::Rename {
        findings.push(Finding::Fine(format!(
            "whatever is called \"{}\" is taken at once: its writers must write it elsewhere and rename it",
            config.pattern
        )));
    }
    findings.extend(done(config, &matcher, &names));
    findings.extend(lock(config, &matcher, &names));
    if let Some(trailer) = &config.trailer {
        findings.push(Finding::Fine(format!(
            "a file is taken once it stands still and its last line fits '{}'",
            trailer.pattern
        )));
    }
    findings
}

fn done(config: &FileDropConfig, matcher: &Matcher, names: &[OsString]) -> Option<Finding> {
    let settings = config.done.as_ref()?;
    let file = sample(&config.pattern);
    let done = matcher.done_of(file.as_ref())?;
    let done = done.to_string_lossy();
    let files = names.iter().filter(|name| takes(matcher, name));
    let (count, with_done) = files.fold((0, 0), |(count, with_done), name| {
        let has_done = matcher
            .done_of(name)
            .is_some_and(|done| names.contains(&done));
        (count + 1, with_done + usize::from(has_done))
    });
    let fits = if matcher.pattern_fits(&done) {
        "; the pattern fits that name too, but it is never read itself"
    } else {
        ""
    };
    let values = [
        ("records", &settings.records),
        ("bytes", &settings.bytes),
        ("sha256", &settings.sha256),
        ("md5", &settings.md5),
    ];
    let asked: Vec<&str> = values
        .into_iter()
        .filter_map(|(value, asked)| asked.is_some().then_some(value))
        .collect();
    let asked = if asked.is_empty() {
        String::new()
    } else {
        format!(", and held to what that says ({})", asked.join(", "))
    };
    Some(Finding::Fine(format!(
        "a file \"{file}\" is taken once \"{done}\" is there{asked}{fits}; of {count} files now there, {with_done} have theirs"
    )))
}

fn lock(config: &FileDropConfig, matcher: &Matcher, names: &[OsString]) -> Option<Finding> {
    config.lock.as_ref()?;
    let there = names.iter().find(|name| matcher.is_lock(name));
    let lock = matcher.lock_of(sample(&config.pattern).as_ref())?;
    Some(match there {
        Some(lock) => Finding::Warning(format!(
            "\"{}\" is there now: what it locks is not taken until it is gone",
            lock.to_string_lossy()
        )),
        None => Finding::Fine(format!(
            "nothing is locked; \"{}\" would lock \"{}\"",
            lock.to_string_lossy(),
            sample(&config.pattern)
        )),
    })
}
