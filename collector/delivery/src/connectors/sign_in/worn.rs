//! What requests wear, so that a target knows who is calling; and how it is taken out of what the target says.

use ::http::header::AUTHORIZATION;
use ::http::{HeaderName, HeaderValue, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dray_proto::EventId;
use http_body_util::Full;
use jiff::Timestamp;
use memchr::memmem;

use super::login::Headers;
use super::{oauth1, webhook, wsse};

/// What a request wears.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::connectors) enum Worn {
    Headers(Headers),
    OAuth1(oauth1::Keys),
    Hmac(webhook::Keys),
    Wsse(wsse::Token),
}

impl Worn {
    /// Puts it on a request about an event.
    pub(in crate::connectors) fn put(
        &self,
        request: &mut Request<Full<Bytes>>,
        body: &[u8],
        event: EventId,
    ) -> Option<()> {
        let seconds = Timestamp::now().as_second();
        match self {
            Self::Headers(headers) => {
                for (name, value) in headers {
                    request.headers_mut().insert(name.clone(), value.clone());
                }
            }
            Self::OAuth1(keys) => {
                let nonce = super::nonce();
                let header = keys.header(request.method(), request.uri(), &nonce, seconds)?;
                request.headers_mut().insert(AUTHORIZATION, header);
            }
            Self::Hmac(keys) => {
                let headers = keys.headers(&event.to_string(), seconds, body)?;
                request.headers_mut().extend(headers);
            }
            // A request without an envelope, as a look-up by GET, has no place for it.
            Self::Wsse(_) if body.is_empty() => {}
            Self::Wsse(token) => {
                let created = Timestamp::from_second(seconds).ok()?.to_string();
                let envelope = token.put(body, &rand::random::<[u8; 16]>(), &created)?;
                *request.body_mut() = Full::new(Bytes::from(envelope));
            }
        }
        Some(())
    }
}

/// Shorter credentials are not looked for in answers: they stand in any text.
const HIDDEN_BYTES_MIN: usize = 8;

impl Worn {
    /// Takes what the request wore out of its answer, where the target repeats it: an answer gets into logs, errors and
    /// dead letters.
    pub(in crate::connectors) fn hide(&self, body: &mut Vec<u8>) {
        let secrets: Vec<Vec<u8>> = match self {
            Self::Headers(headers) => headers.iter().flat_map(secrets_of).collect(),
            Self::Wsse(token) => vec![token.password.as_bytes().to_vec()],
            // Secrets that sign are never sent.
            Self::OAuth1(_) | Self::Hmac(_) => Vec::new(),
        };
        for secret in secrets {
            if secret.len() >= HIDDEN_BYTES_MIN
                && let Some(hidden) = without(body, &secret)
            {
                *body = hidden;
            }
        }
    }
}

/// What a header's value is but for its scheme; of `Basic` also the password in it.
fn secrets_of((_, value): &(HeaderName, HeaderValue)) -> Vec<Vec<u8>> {
    let value = value.as_bytes();
    let (scheme, secret) = match memchr::memchr(b' ', value) {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (&value[..0], value),
    };
    let pair = scheme.eq_ignore_ascii_case(b"basic");
    let pair = pair.then(|| STANDARD.decode(secret).ok()).flatten();
    let password = pair.and_then(|pair| {
        let at = memchr::memchr(b':', &pair)?;
        Some(pair[at + 1..].to_vec())
    });
    [Some(secret.to_vec()), password]
        .into_iter()
        .flatten()
        .collect()
}

/// A body without a secret; `None` where it isn't in it. In one pass: an answer may be made of nothing else.
fn without(body: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let (mut made, mut from) = (Vec::new(), 0);
    for at in memmem::find_iter(body, secret) {
        made.extend_from_slice(&body[from..at]);
        made.extend_from_slice(b"***");
        from = at + secret.len();
    }
    made.extend_from_slice(&body[from..]);
    (from > 0).then_some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_a_credential_loses_it() {
        let worn = |text: &'static str| {
            Worn::Headers(vec![(AUTHORIZATION, HeaderValue::from_static(text))])
        };
        let mut body = b"a Bearer s3cr3t-t0k3n, s3cr3t-t0k3n".to_vec();
        worn("Bearer s3cr3t-t0k3n").hide(&mut body);
        assert_eq!(body, b"a Bearer ***, ***");
        let mut body = b"a b".to_vec();
        worn("b").hide(&mut body);
        assert_eq!(body, b"a b");
        // dray:pass:phrase
        let mut body = b"no pass:phrase for ZHJheTpwYXNzOnBocmFzZQ==".to_vec();
        worn("Basic ZHJheTpwYXNzOnBocmFzZQ==").hide(&mut body);
        assert_eq!(body, b"no *** for ***");
    }
}
