//! `[flow.source.sequence]`, and which numbers a file has.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use dray_formats::{Account, FormatConfig, IdentityKind};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::bytes::{Captures, Regex, RegexBuilder};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Number, Rules};

/// Digits of a number, at most.
const DIGITS_MAX: usize = 18;

/// ```toml
/// [flow.source.sequence]
/// pattern = 'SHP_(?<date>\d{8})_(\d{4})'
/// resets = "daily"
/// gap = "hold"
/// hold_max = "1h"
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceConfig {
    /// A regular expression on the file's name, with one group around the number; another one called `date` around a date of
    /// eight digits.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Where the number stands if not in the name.
    #[serde(default)]
    pub from: Option<Envelope>,
    /// The first number of a day, and after the last.
    #[serde(default = "one")]
    pub first: u64,
    /// The last number, after which the first follows.
    #[serde(default)]
    pub wrap_after: Option<u64>,
    /// When numbers begin anew.
    #[serde(default)]
    pub resets: Resets,
    /// Whose midnight a day ends at, where no date stands in the name: that of the time at which the file was last written.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// What is done about a missing number.
    #[serde(default)]
    pub gap: Gap,
    /// How long files behind a missing one wait for it.
    #[serde(default = "one_hour", with = "humantime_serde")]
    pub hold_max: Duration,
    /// What is done about a number that came before.
    #[serde(default)]
    pub again: Again,
}

/// Where a number stands if not in the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Envelope {
    /// ISA13, UNB's 0020, an IDoc's DOCNUM.
    Interchange,
}

/// When numbers begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resets {
    /// Not by the calendar.
    #[default]
    Never,
    /// Each day.
    Daily,
}

/// What is done about a missing number. It is told in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gap {
    /// Files behind it are sent.
    #[default]
    Pass,
    /// They wait.
    Hold,
}

/// What is done about a number that came before, with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Again {
    /// The file is sent, and its report says so.
    #[default]
    Flag,
    /// The file is set aside.
    SetAside,
}

fn one() -> u64 {
    1
}

fn utc() -> String {
    "UTC".into()
}

fn one_hour() -> Duration {
    Duration::from_secs(3_600)
}

/// The settings, compiled.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) rules: Rules,
    pub(crate) again: Again,
    name: Option<Regex>,
    zone: Option<TimeZone>,
}

/// A number of a file, and how it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) number: Number,
    /// Who numbers it; empty for a file's name.
    pub(crate) sender: String,
    /// How many digits it has there.
    pub(crate) width: usize,
}

impl SequenceConfig {
    /// What is wrong with it: the setting, and a sentence with the way out.
    pub(crate) fn faults(&self, format: &FormatConfig) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |setting: &str, sentence: String| faults.push((setting.into(), sentence));
        match (&self.pattern, self.from) {
            (Some(pattern), None) => {
                if let Err(sentence) = compiled(pattern, self.resets) {
                    fault("pattern", sentence);
                }
            }
            (None, Some(_)) if has_envelope(format) => {}
            (None, Some(_)) => fault(
                "from",
                "only X12, EDIFACT and IDocs have numbers in an envelope; write pattern = '..._(\\d{4})' for those in the file's name".into(),
            ),
            _ => fault(
                "pattern",
                "a sequence needs one of pattern = '..._(\\d{4})' (the file's name) and from = \"interchange\"".into(),
            ),
        }
        if let Some(last) = self.wrap_after.filter(|last| *last <= self.first) {
            let sentence =
                format!("it is the last number, so it is larger than first; {last} is not");
            fault("wrap_after", sentence);
        }
        if TimeZone::get(&self.time_zone).is_err() {
            let sentence = format!(
                "\"{}\" is no time zone; write for example \"America/Chicago\"",
                self.time_zone
            );
            fault("time_zone", sentence);
        }
        if self.resets == Resets::Daily && self.from.is_some() {
            fault(
                "resets",
                "numbers of interchanges and IDocs do not begin anew each day; leave it out".into(),
            );
        }
        faults
    }

    /// Compiles settings without [`Self::faults`].
    pub(crate) fn compile(&self) -> Result<Watch, String> {
        let name = self.pattern.as_deref();
        let name = name
            .map(|pattern| compiled(pattern, self.resets))
            .transpose()?;
        let zone = TimeZone::get(&self.time_zone).map_err(|error| error.to_string())?;
        let hold_us = i64::try_from(self.hold_max.as_micros()).unwrap_or(i64::MAX);
        Ok(Watch {
            rules: Rules {
                first: self.first,
                last: self.wrap_after,
                hold_us: (self.gap == Gap::Hold).then_some(hold_us),
            },
            again: self.again,
            name,
            zone: (self.resets == Resets::Daily).then_some(zone),
        })
    }
}

fn has_envelope(format: &FormatConfig) -> bool {
    matches!(
        format,
        FormatConfig::X12(_) | FormatConfig::Edifact(_) | FormatConfig::Idoc(_)
    )
}

/// Classes are those of ASCII: names are bytes.
fn compiled(pattern: &str, resets: Resets) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(1024 * 1024)
        .build();
    let regex = regex.map_err(|error| format!("'{pattern}' is no regular expression: {error}"))?;
    let has_date = regex.capture_names().flatten().any(|name| name == "date");
    let groups = regex.captures_len() - 1 - usize::from(has_date);
    if groups != 1 {
        return Err(format!(
            "'{pattern}' has {groups} groups for the number, it needs one: put it in ( ), others in (?: ), and a date in (?<date>\\d{{8}})"
        ));
    }
    if has_date && resets == Resets::Never {
        return Err(format!(
            "'{pattern}' has a date, which only counts with resets = \"daily\""
        ));
    }
    Ok(regex)
}

impl Watch {
    /// The numbers of a file. What is no number is told in a sentence.
    pub(crate) fn numbers(
        &self,
        name: &OsStr,
        modified_us: i64,
        account: &Account,
    ) -> Result<Vec<Found>, String> {
        match &self.name {
            Some(regex) => Ok(vec![self.of_name(regex, name, modified_us)?]),
            None => of_envelopes(account),
        }
    }

    fn of_name(&self, regex: &Regex, name: &OsStr, modified_us: i64) -> Result<Found, String> {
        let captures = regex.captures(name.as_bytes()).ok_or(
            "the name does not fit the pattern of the sequence, so that it is not watched",
        )?;
        let date = captures.name("date");
        let own = captures
            .iter()
            .skip(1)
            .flatten()
            .find(|group| date.is_none_or(|date| date.range() != group.range()));
        let digits = own.map_or(&b""[..], |group| group.as_bytes());
        let value = number(&String::from_utf8_lossy(digits))?;
        let day = match &self.zone {
            Some(zone) => day(&captures, zone, modified_us)?,
            None => 0,
        };
        Ok(Found {
            number: Number {
                sender: 0,
                day,
                value,
            },
            sender: String::new(),
            width: digits.len(),
        })
    }
}

/// The day that a file belongs to, e.g. 20261126.
fn day(captures: &Captures<'_>, zone: &TimeZone, modified_us: i64) -> Result<u32, String> {
    if let Some(date) = captures.name("date") {
        let text = String::from_utf8_lossy(date.as_bytes());
        let date = jiff::fmt::strtime::parse("%Y%m%d", text.as_bytes())
            .and_then(|parsed| parsed.to_date())
            .map_err(|_| {
                format!("{text} in its name is no date, so that its number is not watched")
            })?;
        return Ok(of_date(date));
    }
    let time = Timestamp::from_microsecond(modified_us).unwrap_or_default();
    Ok(of_date(zone.to_datetime(time).date()))
}

fn of_date(date: jiff::civil::Date) -> u32 {
    let number = i64::from(date.year()) * 10_000 + i64::from(date.month()) * 100;
    u32::try_from(number + i64::from(date.day())).unwrap_or(0)
}

fn of_envelopes(account: &Account) -> Result<Vec<Found>, String> {
    let found = account.identities.iter().map(|one| {
        let is_interchange = one.kind == IdentityKind::Interchange;
        let hash = Sha256::digest(one.parties.as_bytes());
        let sender = u64::from_le_bytes(std::array::from_fn(|at| hash[at]));
        Ok(Found {
            number: Number {
                sender: if is_interchange { sender } else { 0 },
                day: 0,
                value: number(&one.number)?,
            },
            sender: one.parties.clone(),
            width: one.number.len(),
        })
    });
    found.collect()
}

fn number(text: &str) -> Result<u64, String> {
    let is_number = !text.is_empty()
        && text.len() <= DIGITS_MAX
        && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| format!("\"{text}\" is no number, so that it is not watched"))
}

/// A range as it is written: `0007`, or `0007 to 0009`.
pub(crate) fn shown(from: u64, to: u64, width: usize) -> String {
    if from == to {
        return format!("{from:0width$}");
    }
    format!("{from:0width$} to {to:0width$}")
}
