//! What requests wear, so that a target knows who is calling; and the one place that knows what of it nobody may read.

use ::http::header::AUTHORIZATION;
use ::http::{HeaderName, HeaderValue, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dray_proto::EventId;
use http_body_util::Full;
use jiff::Timestamp;

use super::hidden::Hidden;
use super::login::Headers;
use super::{oauth1, webhook, wsse};

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::connectors) struct Worn {
    wears: Wears,
    hidden: Hidden,
}

/// How a request wears it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wears {
    Headers(Headers),
    OAuth1(oauth1::Keys),
    Hmac(webhook::Keys),
    Wsse(wsse::Token),
}

impl Worn {
    pub(super) fn new(wears: Wears) -> Self {
        let hidden = match &wears {
            Wears::Headers(headers) => Hidden::of(headers.iter().flat_map(secrets_of)),
            Wears::Wsse(token) => Hidden::of([&token.password]),
            // Secrets that sign are never sent.
            Wears::OAuth1(_) | Wears::Hmac(_) => Hidden::default(),
        };
        Self { wears, hidden }
    }

    /// Headers, and what they were made of.
    pub(super) fn made_of(headers: Headers, secrets: Vec<String>) -> Self {
        let of_headers = headers.iter().flat_map(secrets_of);
        let made_of = secrets.into_iter().map(String::into_bytes);
        let hidden = Hidden::of(of_headers.chain(made_of));
        Self {
            wears: Wears::Headers(headers),
            hidden,
        }
    }

    /// Puts it on a request about an event.
    pub(in crate::connectors) fn put(
        &self,
        request: &mut Request<Full<Bytes>>,
        body: &[u8],
        event: EventId,
    ) -> Option<()> {
        let seconds = Timestamp::now().as_second();
        match &self.wears {
            Wears::Headers(headers) => {
                for (name, value) in headers {
                    request.headers_mut().insert(name.clone(), value.clone());
                }
            }
            Wears::OAuth1(keys) => {
                let nonce = super::nonce();
                let header = keys.header(request.method(), request.uri(), &nonce, seconds)?;
                request.headers_mut().insert(AUTHORIZATION, header);
            }
            Wears::Hmac(keys) => {
                let headers = keys.headers(&event.to_string(), seconds, body)?;
                request.headers_mut().extend(headers);
            }
            // A request without an envelope, as a look-up by GET, has no place for it.
            Wears::Wsse(_) if body.is_empty() => {}
            Wears::Wsse(token) => {
                let created = Timestamp::from_second(seconds).ok()?.to_string();
                let envelope = token.put(body, &rand::random::<[u8; 16]>(), &created)?;
                *request.body_mut() = Full::new(Bytes::from(envelope));
            }
        }
        Some(())
    }

    /// What of it nobody may read.
    pub(in crate::connectors) fn hidden(&self) -> &Hidden {
        &self.hidden
    }

    #[cfg(test)]
    pub(super) fn wears(&self) -> &Wears {
        &self.wears
    }
}

/// What a header's value is but for its scheme; of a pair in base64 also what stands in it behind the name.
pub(super) fn secrets_of((_, value): &(HeaderName, HeaderValue)) -> Vec<Vec<u8>> {
    let value = value.as_bytes();
    let secret = match memchr::memchr(b' ', value) {
        Some(at) => &value[at + 1..],
        None => value,
    };
    let pair = STANDARD.decode(secret).ok();
    let behind_the_name = pair.and_then(|pair| {
        let at = memchr::memchr(b':', &pair)?;
        Some(pair[at + 1..].to_vec())
    });
    [Some(secret.to_vec()), behind_the_name]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(worn: &Worn, body: &str) -> String {
        let mut body = body.as_bytes().to_vec();
        worn.hidden().take_from(&mut body);
        String::from_utf8(body).expect("UTF-8")
    }

    fn header(text: &'static str) -> Worn {
        let value = HeaderValue::from_static(text);
        Worn::new(Wears::Headers(vec![(AUTHORIZATION, value)]))
    }

    #[test]
    fn an_answer_that_repeats_a_credential_loses_it() {
        let token = header("Bearer s3cr3t-t0k3n");
        let said = hidden(&token, "a Bearer s3cr3t-t0k3n, s3cr3t-t0k3n");
        assert_eq!(said, "a Bearer ***, ***");
        assert_eq!(hidden(&header("b"), "a b"), "a b");
        // dray:pass:phrase
        let basic = header("Basic ZHJheTpwYXNzOnBocmFzZQ==");
        let said = hidden(
            &basic,
            "no pass:phrase, pass%3Aphrase for ZHJheTpwYXNzOnBocmFzZQ==",
        );
        assert_eq!(said, "no ***, *** for ***");
    }

    #[test]
    fn what_a_sessions_headers_were_made_of_is_hidden_too() {
        let headers = vec![(AUTHORIZATION, HeaderValue::from_static("Session c2lk"))];
        let worn = Worn::made_of(headers, vec!["p&ssword".into(), "t0k3n-of-it".into()]);
        assert_eq!(hidden(&worn, "p&amp;ssword t0k3n-of-it"), "*** ***");
    }

    #[test]
    fn a_password_in_an_envelope_is_hidden_as_it_was_escaped() {
        let worn = Worn::new(Wears::Wsse(wsse::Token {
            user: "dray".into(),
            password: "p<ssword&".into(),
            sent_as: crate::config::PasswordAs::Text,
        }));
        assert_eq!(hidden(&worn, "<P>p&lt;ssword&amp;</P>"), "<P>***</P>");
    }
}
