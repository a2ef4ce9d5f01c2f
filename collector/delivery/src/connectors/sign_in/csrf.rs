//! A token against cross-site request forgery, as SAP's gateways want it: fetched by GET with `x-csrf-token: fetch`,
//! and sent with whatever changes something, together with the cookies that came with it. One that has ended is
//! answered with 403 and `x-csrf-token: Required`: nothing was done then.

use std::time::Instant;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;

use super::renewable::{Fetched, Got, Renewable};
use super::{SignIn, a_trace, good};
use crate::answer::A_PAGE;
use crate::config::CsrfConfig;
use crate::connectors::http::{Ask, Wire};
use crate::outcome::Outcome;

/// Asks for a token, carries it, and says that one is needed.
pub(in crate::connectors) const TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// A target's token.
#[derive(Debug)]
pub(in crate::connectors) struct Csrf {
    /// Relative to the target's, or empty.
    url: String,
    held: Renewable<HeaderValue>,
}

impl Csrf {
    pub(in crate::connectors) fn new(config: &CsrfConfig) -> Self {
        Self {
            url: config.url.clone(),
            held: Renewable::new(),
        }
    }

    /// The token for a request of this method, where it needs one.
    pub(in crate::connectors) async fn current(
        &self,
        method: &Method,
        wire: &Wire,
        sign_in: &SignIn,
    ) -> Result<Option<Got<HeaderValue>>, Outcome> {
        if !is_wanted(method) {
            return Ok(None);
        }
        let fetch = || self.fetch(wire, sign_in);
        self.held.current(Instant::now(), fetch).await.map(Some)
    }

    /// Another token, where the answer to a request that carried this one says that it has ended.
    pub(in crate::connectors) async fn renew(
        &self,
        carried: &Got<HeaderValue>,
        (status, headers): (u16, &HeaderMap),
        wire: &Wire,
        sign_in: &SignIn,
    ) -> Result<Option<Got<HeaderValue>>, Outcome> {
        if !is_refused(status, headers) {
            return Ok(None);
        }
        let fetch = || self.fetch(wire, sign_in);
        let renewed = self.held.renew(carried.ticket, Instant::now(), fetch);
        renewed.await.map(Some)
    }

    async fn fetch(&self, wire: &Wire, sign_in: &SignIn) -> Fetched<HeaderValue> {
        let mut ask = Ask::new(Method::GET, a_trace());
        if !self.url.is_empty() {
            let url = wire.resolve(&self.url);
            ask.url =
                Some(url.map_err(|reason| Outcome::Misconfigured(format!("csrf: {reason}")))?);
        }
        ask.headers.push((TOKEN, HeaderValue::from_static("fetch")));
        let worn = sign_in.current(wire).await?;
        let mut reply = wire.ask_as(&ask, &worn.value, None).await.map_err(unsent)?;
        if matches!(reply.status, 401 | 407)
            && let Some(worn) = sign_in.renew(wire, &worn).await?
        {
            reply = wire.ask_as(&ask, &worn.value, None).await.map_err(unsent)?;
        }
        if let Some(token) = token(&reply.headers) {
            return Ok((token, None));
        }
        let answer = reply.answer();
        good(Outcome::of(&answer, Timestamp::now()))?;
        if answer.is_page() {
            return Err(Outcome::Transient(format!(
                "csrf: {}",
                answer.reason(Some(A_PAGE))
            )));
        }
        Err(Outcome::Misconfigured(format!(
            "csrf: the target answered {} to a GET without an x-csrf-token; write where it gives one (csrf.url, mostly the service's root)",
            reply.status
        )))
    }
}

/// Whatever became of the fetch, nothing of the event was sent.
fn unsent(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown(reason) => Outcome::Transient(format!("csrf: {reason}")),
        other => other,
    }
}

/// Whether a request needs a token.
fn is_wanted(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether an answer says that the request's token has ended.
fn is_refused(status: u16, headers: &HeaderMap) -> bool {
    status == 403 && headers.get(TOKEN).is_some_and(says_required)
}

/// The token in the answer to a fetch.
fn token(headers: &HeaderMap) -> Option<HeaderValue> {
    let token = headers.get(TOKEN)?;
    if token.is_empty() || says_required(token) {
        return None;
    }
    let mut token = token.clone();
    token.set_sensitive(true);
    Some(token)
}

fn says_required(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(b"required")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_token_or_says_that_one_is_needed() {
        for (status, said, has_token, refused) in [
            (200, Some("tok-1"), true, false),
            (403, Some("Required"), false, true),
            (403, Some("required"), false, true),
            (403, None, false, false),
            (401, Some("Required"), false, false),
            (200, Some(""), false, false),
            (200, None, false, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(said) = said {
                headers.insert(TOKEN, HeaderValue::from_static(said));
            }
            assert_eq!(token(&headers).is_some(), has_token, "{status} {said:?}");
            assert_eq!(is_refused(status, &headers), refused, "{status} {said:?}");
        }
        assert!(is_wanted(&Method::PUT) && !is_wanted(&Method::GET));
    }
}
