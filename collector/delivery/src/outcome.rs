//! What a target's answer means.
//!
//! The defaults for HTTP, first match wins:
//!
//! | answer | outcome |
//! |---|---|
//! | 202 | accepted (taken as delivered: nothing polls yet) |
//! | other 2xx | done |
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

use jiff::Timestamp;

/// The longest wait that a `Retry-After` can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// How much of an answer's body goes into a reason.
pub const REASON_BYTES_MAX: usize = 1_000;

/// How a reason begins that quotes the target.
pub(crate) const ANSWERED: &str = "the target answered";

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All its events are delivered.
    Done,
    /// The same, but the target works on it later.
    Accepted,
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
    /// It does not want one of the events, or all.
    Rejected(String),
    /// Send less at once.
    TooLarge(String),
    /// Neither waiting nor another event helps: somebody must look.
    Misconfigured(String),
}

/// The parts of an answer that count.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// E.g. 200.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The body, or its beginning.
    pub body: &'a [u8],
}

impl Outcome {
    /// Reads an answer. `now`: what a `Retry-After` with a date is held against.
    #[must_use]
    pub fn of(answer: &Answer<'_>, now: Timestamp) -> Self {
        let status = answer.status;
        if status == 202 {
            return Self::Accepted;
        }
        if (200..300).contains(&status) {
            return Self::Done;
        }
        let reason = reason(answer);
        if matches!(status, 429 | 503)
            && let Some(wait) = answer.retry_after.and_then(|value| retry_after(value, now))
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

/// "answered 422 Unprocessable Entity: unknown item"; white space and control characters become one space.
fn reason(answer: &Answer<'_>) -> String {
    let status = http::StatusCode::from_u16(answer.status).ok();
    let words = status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("");
    let mut said = format!("{ANSWERED} {} {words}", answer.status)
        .trim_end()
        .to_owned();
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(REASON_BYTES_MAX)]);
    let mut parts = body
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|part| !part.is_empty());
    if let Some(first) = parts.next() {
        said.push_str(": ");
        said.push_str(first);
        for part in parts {
            said.push(' ');
            said.push_str(part);
        }
    }
    said
}

/// RFC 9110, 10.2.3: seconds, or an HTTP date. At most [`RETRY_AFTER_MAX`]; a date that has passed: none.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Done => "done",
            Outcome::Accepted => "accepted",
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
            (&[200, 201, 204, 299][..], "done"),
            (&[202], "accepted"),
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
                let answer = Answer {
                    status: *status,
                    retry_after: None,
                    body: b"",
                };
                assert_eq!(
                    name(&Outcome::of(&answer, Timestamp::UNIX_EPOCH)),
                    expected,
                    "{status}"
                );
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
            let outcome = Outcome::of(
                &Answer {
                    status,
                    retry_after: Some(value),
                    body: b"",
                },
                now,
            );
            let wait = match outcome {
                Outcome::Throttled(wait, _) => Some(wait.as_secs()),
                Outcome::Transient(_) => None,
                other => panic!("{value}: {other:?}"),
            };
            assert_eq!(wait, expected, "{status} {value:?}");
        }
    }

    #[test]
    fn the_reason_is_one_line_of_the_targets_words() {
        let mut body = b"{\"error\":\n\t\"unknown  item\"}\0".to_vec();
        let answer = Answer {
            status: 422,
            retry_after: None,
            body: &body,
        };
        assert_eq!(
            Outcome::of(&answer, Timestamp::UNIX_EPOCH),
            Outcome::Rejected(
                "the target answered 422 Unprocessable Entity: {\"error\": \"unknown item\"}"
                    .into()
            )
        );
        body = vec![b'x'; 60_000];
        let Outcome::Rejected(reason) = Outcome::of(
            &Answer {
                status: 422,
                retry_after: None,
                body: &body,
            },
            Timestamp::UNIX_EPOCH,
        ) else {
            panic!("a reject")
        };
        assert!(reason.len() < REASON_BYTES_MAX + 100);
    }
}
