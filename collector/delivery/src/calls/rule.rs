//! Ordered rules: what an answer means where the status code lies.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use serde::Deserialize;

use super::Later;
use super::lacking::{Lacking, MissingConfig};
use crate::answer::{Answer, Place};
use crate::outcome::{Missing, Outcome};

/// Rules of a call or a target, at most.
pub const RULES_MAX: usize = 100;
/// How long a throttled account waits where neither the answer nor the rule says.
const THROTTLED: Duration = Duration::from_secs(1);

/// One rule as it is written. The first whose conditions all hold says what the answer means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// "200", "4xx", "500-599"; none: any.
    #[serde(default)]
    pub status: Vec<String>,
    /// What else must hold.
    #[serde(default)]
    pub when: Vec<ConditionConfig>,
    /// What the answer means. With `go`: "accepted" waits before that call, "confirm" asks somebody before it.
    #[serde(default)]
    pub outcome: Option<Name>,
    /// The call that follows.
    #[serde(default)]
    pub go: Option<String>,
    /// How long to wait before it.
    #[serde(default, with = "humantime_serde")]
    pub after: Option<Duration>,
    /// Values for the calls that follow, as `got.NAME`.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
    /// Values to keep on disk for the key's later events too, as `kept.NAME`.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
    /// With `outcome = "missing_reference"`: what is missing.
    #[serde(default)]
    pub reference: Option<MissingConfig>,
    /// Where the target's own words stand; none: the body's beginning.
    #[serde(default)]
    pub reason: Option<String>,
    /// What it means in words, where the target has none.
    #[serde(default)]
    pub say: Option<String>,
}

impl RuleConfig {
    /// What nothing follows would be taken for delivered, or refused without a word to anybody.
    fn check_what_follows(&self) -> Result<(), String> {
        match (self.outcome, &self.go) {
            (Some(Name::Accepted), None) => Err("outcome: what is \"accepted\" is asked about later: write go = \"CALL\", the call that asks, and after = \"30s\"; where nothing can be asked, write outcome = \"done\"".into()),
            (Some(Name::Accepted), Some(_)) if self.after.is_none_or(|after| after.is_zero()) => {
                Err("after: write how long the target is left to work before it is asked, e.g. after = \"30s\"".into())
            }
            (Some(Name::Confirm), None) => Err("outcome: what somebody has to \"confirm\" goes on with a call: write go = \"CALL\"; where nothing follows, write outcome = \"rejected\"".into()),
            _ => Ok(()),
        }
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionConfig {
    /// Where: see [`Place`].
    pub at: String,
    /// The value is this.
    #[serde(default)]
    pub equals: Option<String>,
    /// The value holds a match of this regular expression.
    #[serde(default)]
    pub matches: Option<String>,
    /// There is no value.
    #[serde(default)]
    pub absent: bool,
}

/// What an answer can mean: DESIGN's outcomes by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// Delivered.
    Done,
    /// Taken; the target works on it.
    Accepted,
    /// The account waits.
    Throttled,
    /// Try again later.
    Transient,
    /// It may or may not have had its effect.
    Unknown,
    /// The target holds something newer.
    Conflict,
    /// It does not know us.
    Auth,
    /// Somebody must agree.
    Confirm,
    /// It lacks what the event names: the event waits for that.
    MissingReference,
    /// It refuses the event.
    Rejected,
    /// The event cannot be understood: its mapping is wrong.
    Poison,
    /// Send less at once.
    TooLarge,
    /// Neither waiting nor another event helps.
    Misconfigured,
}

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    status: Vec<(u16, u16)>,
    when: Vec<Condition>,
    /// See [`RuleConfig`].
    pub outcome: Option<Name>,
    /// The number of the call that follows.
    pub go: Option<usize>,
    /// How long to wait before it.
    pub after: Duration,
    capture: Vec<(String, Place)>,
    keep: Vec<(String, Place)>,
    reference: Option<Lacking>,
    reason: Option<Place>,
    say: Option<String>,
}

#[derive(Debug)]
struct Condition {
    at: Place,
    is: Is,
}

#[derive(Debug)]
enum Is {
    There,
    Absent,
    Equal(String),
    Like(Regex),
}

impl Rule {
    /// Compiles one. `calls`: the names of the calls, sorted.
    ///
    /// # Errors
    /// A sentence.
    pub fn compile(config: &RuleConfig, calls: &[&str]) -> Result<Self, String> {
        let number = |name: &String| super::number_of(name, calls);
        let go = config
            .go
            .as_ref()
            .map(number)
            .transpose()
            .map_err(|reason| format!("go: {reason}"))?;
        if config.outcome.is_none() && go.is_none() {
            return Err("write what it means: outcome, go, or both".into());
        }
        if go.is_some() && !matches!(config.outcome, None | Some(Name::Accepted | Name::Confirm)) {
            return Err("go: only \"accepted\" and \"confirm\" are followed by a call".into());
        }
        if config.after.is_some() && config.outcome.is_none() {
            return Err("after: only what is \"accepted\" or \"throttled\" waits".into());
        }
        config.check_what_follows()?;
        if config.reference.is_some() && config.outcome != Some(Name::MissingReference) {
            return Err("reference: only with outcome = \"missing_reference\"".into());
        }
        Ok(Self {
            status: config
                .status
                .iter()
                .map(|text| range(text))
                .collect::<Result<_, _>>()?,
            when: config
                .when
                .iter()
                .map(Condition::compile)
                .collect::<Result<_, _>>()?,
            outcome: config.outcome,
            go,
            after: config.after.unwrap_or_default(),
            capture: places("capture", &config.capture)?,
            keep: places("keep", &config.keep)?,
            reference: config
                .reference
                .as_ref()
                .map(Lacking::compile)
                .transpose()
                .map_err(|reason| format!("reference.{reason}"))?,
            reason: config
                .reason
                .as_deref()
                .map(Place::parse)
                .transpose()
                .map_err(|reason| format!("reason: {reason}"))?,
            say: config.say.clone(),
        })
    }

    /// The first of some rules whose conditions all hold.
    ///
    /// # Errors
    /// The outcome where that cannot be told: something is to be absent, and the answer ends before that is seen.
    pub fn first<'r>(
        rules: impl IntoIterator<Item = &'r Rule>,
        answer: &Answer<'_>,
    ) -> Result<Option<&'r Rule>, Outcome> {
        for rule in rules {
            match rule.holds(answer) {
                Some(false) => {}
                Some(true) => return Ok(Some(rule)),
                None => {
                    let said = "it is longer than what is read of it, or broke off, before all was there that a rule asks for";
                    return Err(Outcome::Unknown(answer.reason(Some(said))));
                }
            }
        }
        Ok(None)
    }

    /// Whether all its conditions hold; `None`: it cannot be told.
    fn holds(&self, answer: &Answer<'_>) -> Option<bool> {
        let status = self.status.is_empty()
            || self
                .status
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&answer.status));
        if !status || self.when.iter().any(|one| !one.may_hold(answer)) {
            return Some(false);
        }
        let is_told = |one: &Condition| !(one.wants_none() && answer.ends_before(&one.at));
        self.when.iter().all(is_told).then_some(true)
    }

    /// What it takes out of the answer; what isn't there is left out.
    pub fn captured<'a>(
        &'a self,
        answer: &'a Answer<'_>,
    ) -> impl Iterator<Item = (String, String)> + 'a {
        self.capture
            .iter()
            .filter_map(|(name, place)| Some((name.clone(), answer.value(place)?)))
    }

    /// The same of what is kept for good.
    pub fn kept<'a>(
        &'a self,
        answer: &'a Answer<'_>,
    ) -> impl Iterator<Item = (String, String)> + 'a {
        self.keep
            .iter()
            .filter_map(|(name, place)| Some((name.clone(), answer.value(place)?)))
    }

    /// The outcome that the rule names. `later`: where it goes on, for one that is followed by a call.
    #[must_use]
    pub fn end(
        &self,
        name: Name,
        later: Option<Later>,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> Outcome {
        let reason = self.reason(answer);
        match (name, later) {
            (Name::Accepted, Some(later)) => Outcome::Accepted(later, reason),
            (Name::Confirm, Some(later)) => Outcome::Confirm(later, reason),
            (Name::Done | Name::Accepted, _) => Outcome::Done,
            (Name::Confirm | Name::Rejected, _) => Outcome::Rejected(reason),
            (Name::Throttled, _) => {
                let said = answer.retry_after(now);
                let ruled = (!self.after.is_zero()).then_some(self.after);
                Outcome::Throttled(said.or(ruled).unwrap_or(THROTTLED), reason)
            }
            (Name::MissingReference, _) => Outcome::Missing(Missing {
                reference: self
                    .reference
                    .as_ref()
                    .and_then(|lacking| lacking.found(answer)),
                reason,
                told: true,
            }),
            (Name::Transient, _) => Outcome::Transient(reason),
            (Name::Unknown, _) => Outcome::Unknown(reason),
            (Name::Conflict, _) => Outcome::Conflict(reason),
            (Name::Auth, _) => Outcome::Auth(reason),
            (Name::Poison, _) => Outcome::Poison(reason),
            (Name::TooLarge, _) => Outcome::TooLarge(reason),
            (Name::Misconfigured, _) => Outcome::Misconfigured(reason),
        }
    }

    /// The sentence for a person.
    #[must_use]
    pub fn reason(&self, answer: &Answer<'_>) -> String {
        let words = self.reason.as_ref().and_then(|place| answer.value(place));
        match &self.say {
            None => answer.reason(words.as_deref()),
            Some(say) => words.map_or_else(|| say.clone(), |words| format!("{say}: {words}")),
        }
    }
}

fn places(
    setting: &str,
    written: &BTreeMap<String, String>,
) -> Result<Vec<(String, Place)>, String> {
    let places = written.iter().map(|(name, at)| {
        let place = Place::parse(at).map_err(|reason| format!("{setting}.{name}: {reason}"))?;
        Ok((name.clone(), place))
    });
    places.collect()
}

impl Condition {
    fn compile(config: &ConditionConfig) -> Result<Self, String> {
        let at = Place::parse(&config.at).map_err(|reason| format!("when.at: {reason}"))?;
        let is = match (&config.equals, &config.matches, config.absent) {
            (None, None, false) => Is::There,
            (None, None, true) => Is::Absent,
            (Some(text), None, false) => Is::Equal(text.clone()),
            (None, Some(pattern), false) => {
                Is::Like(Regex::new(pattern).map_err(|error| format!("when.matches: {error}"))?)
            }
            _ => return Err("when: write one of equals, matches and absent, or none".into()),
        };
        Ok(Self { at, is })
    }

    fn wants_none(&self) -> bool {
        matches!(self.is, Is::Absent)
    }

    /// Whether what came of the answer is as it wants it.
    fn may_hold(&self, answer: &Answer<'_>) -> bool {
        let value = answer.value(&self.at);
        match &self.is {
            Is::There => value.is_some(),
            Is::Absent => value.is_none(),
            Is::Equal(text) => value.is_some_and(|value| value == *text),
            Is::Like(pattern) => value.is_some_and(|value| pattern.is_match(&value)),
        }
    }
}

/// The rules of a target whose deliveries are one request each, before HTTP's own words.
#[derive(Debug)]
pub struct Ruling {
    rules: Vec<Rule>,
    /// What an answer means by itself.
    plain: fn(&Answer<'_>, Timestamp) -> Outcome,
}

impl Ruling {
    /// Compiles them.
    ///
    /// # Errors
    /// A sentence.
    pub fn compile(rules: &[RuleConfig]) -> Result<Self, String> {
        Ok(Self {
            rules: super::compile_rules(rules, &[])?,
            plain: Outcome::of,
        })
    }

    /// The same for signed webhooks: see [`Outcome::of_webhook`].
    ///
    /// # Errors
    /// A sentence.
    pub fn of_webhooks(rules: &[RuleConfig]) -> Result<Self, String> {
        Ok(Self {
            plain: Outcome::of_webhook,
            ..Self::compile(rules)?
        })
    }

    /// What an answer means, and what is kept of it.
    #[must_use]
    pub fn outcome(
        &self,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> (Outcome, BTreeMap<String, String>) {
        let ruled = self.ruled(answer, now);
        ruled.unwrap_or_else(|| ((self.plain)(answer, now), BTreeMap::new()))
    }

    /// The same, where a rule holds.
    #[must_use]
    pub fn ruled(
        &self,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> Option<(Outcome, BTreeMap<String, String>)> {
        let rule = match Rule::first(&self.rules, answer) {
            Ok(rule) => rule?,
            Err(outcome) => return Some((outcome, BTreeMap::new())),
        };
        let outcome = rule.end(rule.outcome?, None, answer, now);
        Some((outcome, rule.kept(answer).collect()))
    }
}

/// "404", "4xx", "500-599".
fn range(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| {
        let number: u16 = text.parse().ok()?;
        (100..=999).contains(&number).then_some(number)
    };
    let found = if let Some(hundred) = text.strip_suffix("xx") {
        number(&format!("{hundred}00")).map(|from| (from, from + 99))
    } else if let Some((from, to)) = text.split_once('-') {
        number(from).zip(number(to)).filter(|(from, to)| from <= to)
    } else {
        number(text).map(|number| (number, number))
    };
    found.ok_or_else(|| format!("status: {text:?} is none of \"404\", \"4xx\" and \"500-599\""))
}

#[cfg(test)]
mod tests;
