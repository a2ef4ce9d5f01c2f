//! What a target's answer means.
//!
//! HTTP's own words, where no rule of the target ([`crate::calls::rule`]) says something else:
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx | done; 202 too, unless a rule says what to poll ([`crate::calls`]) |
//! | 3xx | misconfigured: no redirect is followed, a body must not go where nobody named |
//! | 401, 407 | auth |
//! | 403, 404, 405 and 402, 406, 410, 411, 414, 415, 417, 426, 431, 451 | misconfigured: they speak of the request or the account, not of the event |
//! | 412, 428 | conflict: this connector has nothing to re-read, so it is handled as rejected |
//! | 413 | too large: a smaller batch; for one event, rejected |
//! | 429, 503 with `Retry-After` | throttled |
//! | 408, 421, 423, 425, 429, 5xx | transient |
//! | 400, 409, 422 and any other 4xx | rejected |
//! | 1xx or anything else | unknown |
//!
//! A reply that was lost after the request was sent is *unknown*: the same events are sent again under
//! the same ids. That their effect is seen once is the target's part: it upserts, or remembers ids.
//! *Poison*, an event that cannot be written as JSON, is no answer: see [`crate::body::Poison`].

use std::time::Duration;

use dray_store::Reference;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::calls::Later;

/// Why an event is an exception, for whoever sorts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The target refuses it.
    Rejected,
    /// The target holds something newer.
    Conflict,
    /// It cannot be written, or the target cannot understand it: the mapping is wrong.
    Poison,
    /// Alone it is larger than the target takes.
    TooLarge,
    /// The target took it, and did not finish in time.
    Unfinished,
    /// The target took others, and answered nothing good to this one for as long as its budget lasted.
    Unanswered,
    /// It breaks what the target demands, and was not sent.
    Invalid,
    /// What it names did not come in time.
    MissingReference,
}

impl std::fmt::Display for Class {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Poison => "poison",
            Self::TooLarge => "too_large",
            Self::Unfinished => "unfinished",
            Self::Unanswered => "unanswered",
            Self::Invalid => "invalid",
            Self::MissingReference => "missing_reference",
        })
    }
}

/// What an event names that the target has not got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// `None`: nobody said.
    pub reference: Option<Reference>,
    /// A sentence.
    pub reason: String,
    /// The target said so; else it was found before the event was sent.
    pub told: bool,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All its events are delivered.
    Done,
    /// The target took it and works on it: the conversation goes on later.
    Accepted(Later, String),
    /// Somebody must agree before the conversation goes on.
    Confirm(Later, String),
    /// The account must wait; uses no attempt.
    Throttled(Duration, String),
    /// Try again later.
    Transient(String),
    /// No connection could be made: nothing was sent.
    Unreachable(String),
    /// Sent, and no whole answer came.
    Unknown(String),
    /// The target holds something newer.
    Conflict(String),
    /// It does not know us.
    Auth(String),
    /// It lacks what one of the events names: that event waits.
    Missing(Missing),
    /// It does not want one of the events, or all.
    Rejected(String),
    /// The event cannot be understood: its mapping is wrong.
    Poison(String),
    /// Send less at once.
    TooLarge(String),
    /// Neither waiting nor another event helps: somebody must look.
    Misconfigured(String),
}

impl Outcome {
    /// Whether it is about the events sent, so that somebody may want to see what was said.
    #[must_use]
    pub fn concerns_events(&self) -> bool {
        matches!(
            self,
            Self::Rejected(_)
                | Self::Conflict(_)
                | Self::Missing(_)
                | Self::Poison(_)
                | Self::Confirm(..)
        )
    }

    /// The same, where it is no word about the events, with other words.
    #[must_use]
    pub fn said_as(self, say: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Throttled(wait, why) => Self::Throttled(wait, say(why)),
            Self::Transient(why) => Self::Transient(say(why)),
            Self::Unreachable(why) => Self::Unreachable(say(why)),
            Self::Unknown(why) => Self::Unknown(say(why)),
            Self::Auth(why) => Self::Auth(say(why)),
            Self::Misconfigured(why) => Self::Misconfigured(say(why)),
            about_events => about_events,
        }
    }

    /// Reads an answer. `now`: what a `Retry-After` with a date is held against.
    #[must_use]
    pub fn of(answer: &Answer<'_>, now: Timestamp) -> Self {
        let status = answer.status;
        if (200..300).contains(&status) {
            return Self::Done;
        }
        let reason = answer.reason(None);
        if matches!(status, 429 | 503)
            && let Some(wait) = answer.retry_after(now)
        {
            return Self::Throttled(wait, reason);
        }
        match status {
            300..=399 => Self::Misconfigured(reason),
            401 | 407 => Self::Auth(reason),
            402..=406 | 410 | 411 | 414 | 415 | 417 | 426 | 431 | 451 => {
                Self::Misconfigured(reason)
            }
            412 | 428 => Self::Conflict(reason),
            413 => Self::TooLarge(reason),
            408 | 421 | 423 | 425 | 429 | 500..=599 => Self::Transient(reason),
            400..=499 => Self::Rejected(reason),
            _ => Self::Unknown(reason),
        }
    }
}

impl Outcome {
    /// Reads the answer of a webhook's receiver. Standard Webhooks: whatever is no 2xx is tried again, and 410 ends the
    /// subscription: the target pauses. 400, 413 and 422 speak of the event; a redirect is not followed, and 401 is a
    /// signature that is not taken.
    #[must_use]
    pub fn of_webhook(answer: &Answer<'_>, now: Timestamp) -> Self {
        match answer.status {
            410 => Self::Misconfigured(format!(
                "the receiver wants no more events ({})",
                answer.reason(None)
            )),
            402..=409 | 411 | 412 | 414..=421 | 423..=499 => match Self::of(answer, now) {
                throttled @ Self::Throttled(..) => throttled,
                _ => Self::Transient(answer.reason(None)),
            },
            _ => Self::of(answer, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use http::header::RETRY_AFTER;

    fn name(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Done => "done",
            Outcome::Accepted(..) => "accepted",
            Outcome::Confirm(..) => "confirm",
            Outcome::Missing(_) => "missing",
            Outcome::Poison(_) => "poison",
            Outcome::Throttled(..) => "throttled",
            Outcome::Transient(_) => "transient",
            Outcome::Unreachable(_) => "unreachable",
            Outcome::Unknown(_) => "unknown",
            Outcome::Conflict(_) => "conflict",
            Outcome::Auth(_) => "auth",
            Outcome::Rejected(_) => "rejected",
            Outcome::TooLarge(_) => "too large",
            Outcome::Misconfigured(_) => "misconfigured",
        }
    }

    #[test]
    fn each_status_has_one_outcome() {
        for (statuses, expected) in [
            (&[200, 201, 202, 204, 299][..], "done"),
            (&[301, 302, 307, 308], "misconfigured"),
            (&[401, 407], "auth"),
            (&[403, 404, 405, 410, 415], "misconfigured"),
            (&[412, 428], "conflict"),
            (&[413], "too large"),
            (&[408, 423, 425, 429, 500, 502, 503, 504, 599], "transient"),
            (&[400, 409, 422, 418, 424, 499], "rejected"),
            (&[100, 199, 600, 999], "unknown"),
        ] {
            for status in statuses {
                let headers = HeaderMap::new();
                let answer = Answer::new(*status, &headers, b"");
                assert_eq!(
                    name(&Outcome::of(&answer, Timestamp::UNIX_EPOCH)),
                    expected,
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn a_webhooks_receiver_is_asked_again_unless_it_is_gone_or_the_event_is_bad() {
        for (statuses, expected) in [
            (&[200, 204][..], "done"),
            (&[302, 410], "misconfigured"),
            (&[401], "auth"),
            (&[403, 404, 405, 409, 412, 418, 429, 500, 503], "transient"),
            (&[400, 422], "rejected"),
            (&[413], "too large"),
        ] {
            for status in statuses {
                let headers = HeaderMap::new();
                let answer = Answer::new(*status, &headers, b"");
                let outcome = Outcome::of_webhook(&answer, Timestamp::UNIX_EPOCH);
                assert_eq!(name(&outcome), expected, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().expect("a time");
        for (status, value, expected) in [
            (429, "7", Some(7)),
            (503, " 0 ", Some(0)),
            (503, "999999999", Some(3600)),
            (503, "Mon, 23 Nov 2026 08:00:30 GMT", Some(30)),
            (503, "Mon, 23 Nov 2026 07:00:00 GMT", Some(0)),
            (503, "soon", None),
            (429, "-1", None),
            (500, "7", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().expect("a value"));
            let outcome = Outcome::of(&Answer::new(status, &headers, b""), now);
            let wait = match outcome {
                Outcome::Throttled(wait, _) => Some(wait.as_secs()),
                Outcome::Transient(_) => None,
                other => panic!("{value}: {other:?}"),
            };
            assert_eq!(wait, expected, "{status} {value:?}");
        }
    }
}
