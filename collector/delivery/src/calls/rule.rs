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

    /// Whether all its conditions hold.
    #[must_use]
    pub fn holds(&self, answer: &Answer<'_>) -> bool {
        let status = self.status.is_empty()
            || self
                .status
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&answer.status));
        status && self.when.iter().all(|condition| condition.holds(answer))
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

    fn holds(&self, answer: &Answer<'_>) -> bool {
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
        let rule = self.rules.iter().find(|rule| rule.holds(answer))?;
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
mod tests {
    use super::*;
    use http::HeaderMap;

    fn compiled(rule: &str) -> Result<Rule, String> {
        let config: RuleConfig = toml::from_str(rule).map_err(|error| error.to_string())?;
        Rule::compile(&config, &["ask", "create", "do", "find"])
    }

    #[test]
    fn a_rule_holds_where_all_its_conditions_do() {
        let body = br#"{"error":["UserWarning",["w1","Really?"]]}"#;
        for (rule, holds) in [
            ("outcome = \"done\"", true),
            ("status = [\"404\", \"2xx\"]\noutcome = \"done\"", true),
            ("status = [\"201-299\"]\noutcome = \"done\"", false),
            ("when = [{ at = \"/error\" }]\noutcome = \"rejected\"", true),
            (
                "when = [{ at = \"/error\", absent = true }]\noutcome = \"done\"",
                false,
            ),
            (
                "when = [{ at = \"/error/0\", equals = \"UserWarning\" }]\ngo = \"find\"",
                true,
            ),
            (
                "when = [{ at = \"text\", matches = \"Real+y\" }]\noutcome = \"rejected\"",
                true,
            ),
            (
                "when = [{ at = \"/error\" }, { at = \"/error/0\", equals = \"x\" }]\noutcome = \"done\"",
                false,
            ),
        ] {
            let headers = HeaderMap::new();
            let answer = Answer::new(200, &headers, body);
            let compiled = compiled(rule).expect(rule);
            assert_eq!(compiled.holds(&answer), holds, "{rule}");
        }
    }

    #[test]
    fn it_keeps_values_and_the_targets_own_words() {
        let headers = HeaderMap::new();
        let answer = Answer::new(
            200,
            &headers,
            br#"{"error":["UserWarning",["w1","Really?"]]}"#,
        );
        let rule = compiled(
            "outcome = \"confirm\"\ngo = \"find\"\nreason = \"/error/1/1\"\ncapture = { warning = \"/error/1/0\", none = \"/x\" }",
        )
        .expect("a rule");
        assert_eq!(rule.go, Some(3));
        assert_eq!(
            rule.captured(&answer).collect::<Vec<_>>(),
            [("warning".to_owned(), "w1".to_owned())]
        );
        assert_eq!(rule.reason(&answer), "the target answered 200 OK: Really?");
    }

    #[test]
    fn what_it_says_stands_before_the_targets_words_or_for_them() {
        let headers = HeaderMap::new();
        let answer = Answer::new(200, &headers, br#"{"result":[],"why":"gone"}"#);
        for (rule, expected) in [
            ("say = \"no such item\"", "no such item"),
            (
                "say = \"no such item\"\nreason = \"/why\"",
                "no such item: gone",
            ),
            ("say = \"no such item\"\nreason = \"/x\"", "no such item"),
        ] {
            let rule = compiled(&format!("outcome = \"rejected\"\n{rule}")).expect(rule);
            assert_eq!(rule.reason(&answer), expected);
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_in_a_sentence() {
        for (rule, said) in [
            ("status = [\"200\"]", "write what it means"),
            ("status = [\"20x\"]\noutcome = \"done\"", "status: \"20x\""),
            ("status = [\"9-5\"]\noutcome = \"done\"", "status: \"9-5\""),
            (
                "go = \"nowhere\"",
                "go: there is no call \"nowhere\"; there are \"ask\", \"create\", \"do\", \"find\"",
            ),
            ("outcome = \"accepted\"", "write go = \"CALL\""),
            (
                "outcome = \"accepted\"\nafter = \"5s\"",
                "write go = \"CALL\"",
            ),
            ("outcome = \"accepted\"\ngo = \"find\"", "after = \"30s\""),
            (
                "outcome = \"accepted\"\ngo = \"find\"\nafter = \"0s\"",
                "after = \"30s\"",
            ),
            ("outcome = \"confirm\"", "write outcome = \"rejected\""),
            ("go = \"find\"\noutcome = \"done\"", "only \"accepted\""),
            ("go = \"find\"\nafter = \"5s\"", "after: only"),
            ("outcome = \"great\"", "unknown variant"),
            ("outcome = \"done\"\nwhen = [{ at = \"x\" }]", "when.at: "),
            (
                "outcome = \"done\"\nwhen = [{ at = \"/x\", matches = \"(\" }]",
                "when.matches: ",
            ),
            (
                "outcome = \"done\"\nwhen = [{ at = \"/x\", equals = \"1\", absent = true }]",
                "write one of",
            ),
            ("outcome = \"done\"\ncapture = { a = \"b\" }", "capture.a: "),
            ("outcome = \"done\"\nkeep = { a = \"b\" }", "keep.a: "),
            (
                "outcome = \"rejected\"\nreference = { at = \"/item\" }",
                "reference: only with",
            ),
            (
                "outcome = \"missing_reference\"\nreference = { at = \"item\" }",
                "reference.at: ",
            ),
        ] {
            let wrong = compiled(rule).expect_err(rule);
            assert!(wrong.contains(said), "{rule}: {wrong}");
        }
    }
}
