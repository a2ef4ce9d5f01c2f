//! `[flow.source.done]`, `[flow.source.lock]`, `[flow.source.trailer]`: signs that a file is complete, besides its standing still.

use std::time::Duration;

use globset::Glob;
use serde::Deserialize;

use crate::archive::{ARCHIVE, FAILED};
use crate::config::{After, FileDropConfig};
use crate::control::Control;
use crate::matcher::Matcher;
use crate::scan::takes;
use crate::template::Template;
use crate::trailer::{Trailer, no_last_line};

/// A file is complete once another one, its companion, is there and complete too.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoneConfig {
    /// The companion's name: "{name}.done", or "{stem}.ctl" without the file's ending.
    pub name: String,
    /// How long one may be there without the other before it is told.
    #[serde(default = "one_hour", with = "humantime_serde")]
    pub alarm_after: Duration,
    /// A regular expression whose one group finds, in the companion's first 64 KiB, how many records the file has.
    pub records: Option<String>,
    /// Likewise the file's bytes.
    pub bytes: Option<String>,
    /// Likewise the file's SHA-256, in hex.
    pub sha256: Option<String>,
    /// Likewise the file's MD5, in hex.
    pub md5: Option<String>,
}

/// While a lock is there, the files that it locks are not taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockConfig {
    /// The lock's name: "{name}.lck" of one file, or a fixed one of all.
    pub name: String,
    /// From which age on a lock is told: its writer may be gone.
    #[serde(default = "one_hour", with = "humantime_serde")]
    pub stale_after: Duration,
}

/// A file is complete once its last line is the one that ends it, and it stands still.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrailerConfig {
    /// A regular expression that the last line fits which is not blank.
    pub pattern: String,
    /// How long a file may stand still without it before that is told.
    #[serde(default = "one_hour", with = "humantime_serde")]
    pub alarm_after: Duration,
}

fn one_hour() -> Duration {
    Duration::from_secs(3_600)
}

/// Why a file is not taken, though it has waited for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// Its companion does not come.
    NoDone,
    /// Another file has the same companion.
    SharedDone,
    /// Its lock stays.
    StaleLock,
    /// Its last line is another.
    NoTrailer,
}

/// How long each is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) done: Duration,
    pub(crate) lock: Duration,
    pub(crate) trailer: Duration,
}

impl Patience {
    pub(crate) fn of(config: &FileDropConfig) -> Self {
        let (done, lock, trailer) = (&config.done, &config.lock, &config.trailer);
        Self {
            done: done.as_ref().map_or_else(one_hour, |done| done.alarm_after),
            lock: lock.as_ref().map_or_else(one_hour, |lock| lock.stale_after),
            trailer: trailer
                .as_ref()
                .map_or_else(one_hour, |trailer| trailer.alarm_after),
        }
    }
}

/// What is wrong with the settings: the path and a sentence.
pub(crate) fn faults(config: &FileDropConfig) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut fault = |setting: &str, reason: String| faults.push((setting.to_owned(), reason));
    let names = [
        ("done.name", config.done.as_ref().map(|done| &done.name)),
        ("lock.name", config.lock.as_ref().map(|lock| &lock.name)),
    ];
    for (setting, name) in names {
        let Some(name) = name else { continue };
        match Template::parse(name) {
            Err(reason) => fault(setting, reason),
            Ok(template) if setting == "done.name" && template.part().is_none() => fault(
                setting,
                format!("\"{name}\" is the same for all files; write e.g. \"{{name}}.done\""),
            ),
            Ok(_) if config.after == After::Move && [ARCHIVE, FAILED].contains(&name.as_str()) => {
                fault(
                    setting,
                    format!(
                        "\"{name}\" is a folder that the agent makes there; give it another name"
                    ),
                )
            }
            Ok(template) => {
                if let Some(reason) = takes_files(config, name, &template) {
                    fault(setting, reason);
                }
            }
        }
    }
    if let [(_, Some(done)), (setting, Some(lock))] = names
        && done == lock
    {
        fault(
            setting,
            format!(
                "\"{lock}\" is the done file's name too: nothing would be read; give it one of its own"
            ),
        );
    }
    if let Some(Err((setting, reason))) = config.done.as_ref().map(Control::new) {
        fault(&format!("done.{setting}"), reason);
    }
    if let Some(trailer) = &config.trailer {
        if let Err(reason) = Trailer::new(&trailer.pattern) {
            fault("trailer.pattern", reason);
        }
        if let Some(reason) = no_last_line(config) {
            fault("trailer", reason);
        }
    }
    faults
}

/// Names that the pattern means, and the template too: then nothing would be read.
fn takes_files(config: &FileDropConfig, name: &str, template: &Template) -> Option<String> {
    let sample = sample(&config.pattern);
    let glob = Glob::new(&config.pattern).ok()?;
    let fits = Matcher::new(&glob, None, None).is_match(&sample)
        && template.part_of(sample.as_ref()).is_some();
    fits.then(|| {
        format!(
            "\"{name}\" fits the files themselves, e.g. \"{sample}\" of pattern \"{}\": nothing would be read; give it an ending of its own",
            config.pattern
        )
    })
}

/// A name that a plain pattern fits.
pub(crate) fn sample(pattern: &str) -> String {
    pattern.replace(['*', '?'], "1")
}

/// A pattern of names that are never taken.
pub(crate) fn takes_nothing(config: &FileDropConfig) -> Option<String> {
    if config.pattern.is_empty() {
        return Some("it is empty, and fits no file; write e.g. \"SHP_*.txt\"".into());
    }
    let matcher = Matcher::new(&Glob::new(&config.pattern).ok()?, None, None);
    let sample = sample(&config.pattern);
    (matcher.is_match(&sample) && !takes(&matcher, sample.as_ref())).then(|| {
        format!(
            "a file called \"{sample}\" is never taken: what begins with a dot, or ends with .tmp or .part, is still being written"
        )
    })
}
