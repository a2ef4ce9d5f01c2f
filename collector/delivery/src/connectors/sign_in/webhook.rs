//! Standard Webhooks, version 1 of the signature: a receiver that shares a secret knows who sent a request, and when.
//! Pure: the time comes in.
//!
//! `webhook-id` is the event's id, the same at each try; `webhook-signature` has a signature for each secret, so that
//! a receiver may change to a new one at any time.

use ::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::secret::Secret;

/// What signs requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connectors) struct Keys(Vec<Vec<u8>>);

impl Keys {
    /// Of the files' contents.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn read(secrets: &[Secret]) -> Result<Self, String> {
        let key = |Secret(secret): &Secret| {
            let secret = secret.trim();
            let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
            STANDARD.decode(encoded).ok().filter(|key| !key.is_empty())
        };
        let keys = secrets.iter().map(key).collect::<Option<_>>();
        keys.map(Self).ok_or_else(|| {
            "auth.secret_files: a secret is \"whsec_\" and base64; make one with (printf whsec_; openssl rand -base64 32)".into()
        })
    }

    /// The three headers. `seconds`: since 1970.
    pub(super) fn headers(
        &self,
        id: &str,
        seconds: i64,
        body: &[u8],
    ) -> Option<[(HeaderName, HeaderValue); 3]> {
        let mut signed = format!("{id}.{seconds}.").into_bytes();
        signed.extend_from_slice(body);
        let signature = |key: &Vec<u8>| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
        };
        let signatures: Vec<_> = self.0.iter().map(signature).collect();
        let header = |name, value: String| {
            Some((
                HeaderName::from_static(name),
                HeaderValue::try_from(value).ok()?,
            ))
        };
        Some([
            header("webhook-id", id.to_owned())?,
            header("webhook-timestamp", seconds.to_string())?,
            header("webhook-signature", signatures.join(" "))?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> Result<Keys, String> {
        let secrets: Vec<_> = secrets
            .iter()
            .map(|text| Secret((*text).to_owned()))
            .collect();
        Keys::read(&secrets)
    }

    /// The example of the specification's own libraries.
    #[test]
    fn the_known_signature_comes_out_and_a_second_secret_signs_too() {
        let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let known = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let headers = keys(&[old])
            .expect("a key")
            .headers(id, 1_614_265_330, body);
        assert_eq!(headers.expect("headers")[2].1, known);
        let both = keys(&["whsec_bmV3", old]).expect("keys");
        let headers = both.headers(id, 1_614_265_330, body).expect("headers");
        let said = headers[2].1.to_str().expect("text");
        assert_eq!(said.split(' ').count(), 2);
        assert!(said.ends_with(known), "{said}");
        assert_eq!(
            (&headers[0].1, &headers[1].1),
            (&id.parse().expect("a value"), &1_614_265_330.into())
        );
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for wrong in ["whsec_", "whsec_a!", "plain text"] {
            assert!(
                keys(&[wrong]).expect_err(wrong).contains("whsec_"),
                "{wrong}"
            );
        }
    }
}
