//! What is said of numbers, for a person.

use std::ffi::OsStr;
use std::time::Duration;

use super::Keeper;
use crate::sequence::{Found, Missing, Verdict, shown};

/// Sentences of one file's numbers in its report.
const SAID_MAX: usize = 8;

impl Keeper {
    /// Why files wait, for a person.
    pub(crate) fn sentence(&self) -> Option<String> {
        let held = self.waiting.iter();
        let held = held.filter_map(|(name, waiting)| Some((name, waiting.hold.as_ref()?)));
        let (name, hold) = held.min_by_key(|(name, _)| *name)?;
        let name = name.to_string_lossy();
        let others = match self.waiting.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let until = jiff::Timestamp::from_microsecond(hold.until_us).map_or_else(
            |_| "it comes".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        );
        let what = &hold.what;
        Some(format!(
            "{what} is missing: {name}{others} wait for it until {until}; drop it, or set gap = \"pass\""
        ))
    }

    /// What a file's report says of its numbers.
    pub(super) fn said(
        &self,
        name: &OsStr,
        verdicts: &[(Found, Verdict)],
        unwatched: usize,
    ) -> String {
        let mut said = Vec::new();
        let waiting = self.waiting.get(name);
        if let Some(hold) = waiting.and_then(|waiting| waiting.hold.as_ref())
            && self
                .state
                .missing()
                .iter()
                .any(|one| one.overlaps(&hold.missing))
        {
            let what = &hold.what;
            said.push(format!("it waited for {what}, which did not come in time"));
        }
        for (one, verdict) in verdicts {
            let number = named(
                &one.sender,
                &shown(one.number.value, one.number.value, one.width),
            );
            match verdict {
                Verdict::Late => said.push(format!("{number} was missing, and came late")),
                Verdict::Again => said.push(format!("{}, with other content", came_before(one))),
                Verdict::Outside => said.push(format!(
                    "{number} is not between first and wrap_after, so that it is not watched"
                )),
                _ => {}
            }
        }
        let more = said.len().saturating_sub(SAID_MAX);
        said.truncate(SAID_MAX);
        if more > 0 {
            said.push(format!("and {more} more of its numbers"));
        }
        if unwatched > 0 {
            said.push(format!("{unwatched} of its numbers are not watched"));
        }
        said.join("; ")
    }

    pub(super) fn missing_sentence(
        &self,
        (name, now_us): (&OsStr, i64),
        one: &Found,
        missing: &Missing,
        forgotten: &[Missing],
    ) -> String {
        let what = named(&one.sender, &shown(missing.from, missing.to, one.width));
        let name = name.to_string_lossy();
        let hold_us = self.watch.as_ref().and_then(|watch| watch.rules.hold_us);
        let then = match hold_us {
            Some(hold) if missing.since_us.saturating_add(hold) <= now_us => {
                "it waited for others as long as it may, and is sent".into()
            }
            Some(hold) => {
                let hold = Duration::from_micros(u64::try_from(hold).unwrap_or(0));
                let hold = humantime_serde::re::humantime::format_duration(hold);
                format!("it and those behind it wait for at most {hold}")
            }
            None => "it is sent, and what is missing when it comes".into(),
        };
        let forgotten = match forgotten {
            [] => String::new(),
            [first, ..] => format!(
                ". From now on {} is not expected any more: too much is missing",
                shown(first.from, first.to, one.width)
            ),
        };
        let day = match missing.day {
            0 => String::new(),
            day => format!(" of {day}"),
        };
        format!("{what}{day} is missing before {name}: {then}. Ask the sender for it{forgotten}")
    }
}

pub(super) fn came_before(one: &Found) -> String {
    let value = one.number.value;
    format!(
        "{} came before",
        named(&one.sender, &shown(value, value, one.width))
    )
}

pub(super) fn named(sender: &str, number: &str) -> String {
    if sender.is_empty() {
        return number.to_owned();
    }
    format!("{number} of {sender}")
}
