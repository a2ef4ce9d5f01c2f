//! What went wrong with a request, whose fault it is, and what to do. Pure.

use std::time::Duration;

use dray_adapter::CallOutcome;

use crate::envelope::{Blame, ReadFault};

/// Characters of an answer that are shown where it is not one.
const GIST_CHARS_MAX: usize = 200;
/// Bytes of an answer that are looked at for them.
pub(super) const GIST_BYTES_MAX: usize = 2_000;
/// The longest wait that a service may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(15 * 60);

/// What becomes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The service refuses the request: asking again as before changes nothing, and a person is needed.
    Refused,
    /// The service, or the way to it, is not there for now.
    Away,
    /// What came is not the answer that is configured.
    Answer,
    /// This machine.
    Here,
}

impl Cause {
    /// What is counted.
    pub(super) fn outcome(self) -> CallOutcome {
        match self {
            Self::Refused => CallOutcome::Refused,
            Self::Away => CallOutcome::Away,
            Self::Answer => CallOutcome::Unreadable,
            Self::Here => CallOutcome::Failed,
        }
    }
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    /// For a person, with the way out.
    pub(super) reason: String,
    /// When the service wants to be asked again.
    pub(super) after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(cause: Cause, reason: impl Into<String>) -> Self {
        Self {
            cause,
            reason: reason.into(),
            after: None,
        }
    }

    /// Of an HTTP `Retry-After` in seconds.
    pub(super) fn retry_after(mut self, header: Option<&str>) -> Self {
        let seconds = header.and_then(|text| text.trim().parse().ok());
        self.after = seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
        self
    }
}

/// A fault that was answered.
pub(super) fn of_fault(fault: &ReadFault, hidden: &[String]) -> Failure {
    let code = match fault.subcode.as_str() {
        "" => fault.code.clone(),
        subcode => format!("{}, {subcode}", fault.code),
    };
    let code = masked(&code, hidden);
    let text = gist(fault.text.as_bytes(), hidden);
    let said = format!("the service answers the fault {code}: \"{text}\"");
    match fault.blame() {
        Blame::Receiver => Failure::new(
            Cause::Away,
            format!("{said}; if it lasts, ask who runs the service"),
        ),
        Blame::Sender => {
            let hint = match fault.code.as_str() {
                "MustUnderstand" => {
                    "it does not know a header of the request; leave username_token or addressing out if it wants none"
                }
                "VersionMismatch" => "write the other version in soap",
                _ => {
                    "the request is wrong for this service; look at the request's template, action and who asks (username_token, basic)"
                }
            };
            Failure::new(Cause::Refused, format!("{said}; {hint}"))
        }
    }
}

/// An HTTP status whose answer is no fault that can be read. `None`: it is one of success.
pub(super) fn of_status(status: u16, location: Option<&str>, gist: &str) -> Option<Failure> {
    let said = format!("the service answers HTTP {status}: \"{gist}\"");
    let (cause, hint) = match status {
        200..=299 => return None,
        300..=399 => {
            let elsewhere = location.unwrap_or("another address");
            let reason = format!(
                "the service redirects to {elsewhere} (HTTP {status}), which is not followed; if that is where it is now, write it as url"
            );
            return Some(Failure::new(Cause::Refused, reason));
        }
        401 | 403 => (
            Cause::Refused,
            "it does not know who asks; look at basic, bearer, username_token and tls.certificate",
        ),
        407 => (
            Cause::Refused,
            "a proxy stands between that wants a password; ask for a way without it",
        ),
        404 | 405 | 410 => (
            Cause::Refused,
            "nothing is there that can be asked; look at url",
        ),
        415 => (
            Cause::Refused,
            "it does not take this content; look at soap and action",
        ),
        408 | 425 | 429 | 500.. => (Cause::Away, "if it lasts, ask who runs the service"),
        _ => (
            Cause::Refused,
            "look at url, soap, action and the request's template",
        ),
    };
    Some(Failure::new(cause, format!("{said}; {hint}")))
}

/// What an answer says at its beginning, for a person: without tags and without secrets.
pub(super) fn gist(bytes: &[u8], hidden: &[String]) -> String {
    let beginning = &bytes[..bytes.len().min(GIST_BYTES_MAX)];
    let text = masked(&String::from_utf8_lossy(beginning), hidden);
    let plain = without_tags(&text);
    let plain = if plain.is_empty() { &text } else { &plain };
    let printed = plain.chars().map(|letter| match letter {
        letter if letter.is_control() => ' ',
        '"' => '\'',
        letter => letter,
    });
    let printed: String = printed.collect();
    let words: Vec<&str> = printed.split_whitespace().collect();
    words.join(" ").chars().take(GIST_CHARS_MAX).collect()
}

/// What a service says, without the secrets that it says again.
pub(super) fn masked(text: &str, hidden: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in hidden.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "***");
    }
    text
}

fn without_tags(text: &str) -> String {
    let mut plain = String::new();
    let mut in_tag = false;
    for letter in text.chars() {
        match letter {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                plain.push(' ');
            }
            letter if !in_tag => plain.push(letter),
            _ => {}
        }
    }
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_whose_its_code_says() {
        for (code, subcode, expected, hint) in [
            ("Client", "", Cause::Refused, "template"),
            ("Client.BadLimit", "", Cause::Refused, "template"),
            ("Sender", "BadLimit", Cause::Refused, "Sender, BadLimit"),
            (
                "MustUnderstand",
                "",
                Cause::Refused,
                "a header of the request",
            ),
            ("VersionMismatch", "", Cause::Refused, "the other version"),
            ("Server", "", Cause::Away, "who runs the service"),
            ("Receiver", "", Cause::Away, "who runs the service"),
            ("Whatever", "", Cause::Away, "who runs the service"),
        ] {
            let fault = ReadFault {
                code: code.into(),
                subcode: subcode.into(),
                text: "PageSize is 1 to 1000".into(),
            };
            let failure = of_fault(&fault, &[]);
            assert_eq!(failure.cause, expected, "{code}");
            assert!(
                failure.reason.contains(hint) && failure.reason.contains("PageSize is 1 to"),
                "{}",
                failure.reason
            );
        }
    }

    #[test]
    fn a_status_without_a_fault_is_told_by_its_number() {
        for (status, expected) in [
            (200, None),
            (202, None),
            (302, Some(Cause::Refused)),
            (400, Some(Cause::Refused)),
            (401, Some(Cause::Refused)),
            (404, Some(Cause::Refused)),
            (408, Some(Cause::Away)),
            (425, Some(Cause::Away)),
            (429, Some(Cause::Away)),
            (500, Some(Cause::Away)),
            (503, Some(Cause::Away)),
        ] {
            let failure = of_status(status, Some("https://b/"), "x");
            assert_eq!(failure.map(|failure| failure.cause), expected, "{status}");
        }
        let moved = of_status(301, Some("https://b/"), "")
            .expect("a failure")
            .reason;
        assert!(
            moved.contains("redirects to https://b/") && moved.contains("url"),
            "{moved}"
        );
    }

    #[test]
    fn a_gist_is_short_plain_and_without_secrets() {
        let hidden = ["s3cret".to_owned(), String::new()];
        for (text, expected) in [
            (
                "<html>\n<h1>502 Bad Gateway</h1> <p>nginx",
                "502 Bad Gateway nginx",
            ),
            (
                "password s3cret is \"wrong\"\u{7}",
                "password *** is 'wrong'",
            ),
            ("<a b='c'/>", "<a b='c'/>"),
            ("", ""),
        ] {
            assert_eq!(gist(text.as_bytes(), &hidden), expected);
        }
        assert_eq!(gist("ü".repeat(5000).as_bytes(), &[]).chars().count(), 200);
    }

    #[test]
    fn a_service_may_say_when_to_come_again_within_bounds() {
        let failure = || Failure::new(Cause::Away, "x");
        assert_eq!(
            failure().retry_after(Some("7")).after,
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            failure().retry_after(Some("999999")).after,
            Some(RETRY_AFTER_MAX)
        );
        assert_eq!(failure().retry_after(Some("soon")).after, None);
    }
}
