//! OAuth 2 without a person (RFC 6749, 4.4; RFC 7523): what asks for a token, and what the answer says. Pure.

use std::time::Duration;

use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::hidden::Hidden;
use super::jwt::{self, Key};
use super::secret::Secret;
use super::worn::secrets_of;
use crate::answer::Answer;
use crate::config::{AssertionConfig, AssertionRole, OAuth2Config, SendSecret};
use crate::outcome::Outcome;

/// What a request for a token is made of: read anew for each.
pub(super) struct Client {
    pub(super) config: OAuth2Config,
    pub(super) secret: Option<Secret>,
    pub(super) key: Option<Key>,
}

/// A request for a token: always a POST to `token_url`.
pub(super) struct Request {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
    /// What of it nobody may read.
    pub(super) secrets: Vec<Vec<u8>>,
}

impl Client {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn read(config: OAuth2Config) -> Result<Self, String> {
        let file = &config.client_secret_file;
        let secret = (!file.as_os_str().is_empty())
            .then(|| Secret::read("auth.client_secret_file", file))
            .transpose()?;
        let key = config.assertion.as_ref();
        let key = key
            .map(|assertion| Key::read(&assertion.key_file, assertion.algorithm))
            .transpose()?;
        Ok(Self {
            config,
            secret,
            key,
        })
    }

    /// `nonce`: names the assertion, once.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn request(&self, now: Timestamp, nonce: &str) -> Result<Request, String> {
        let config = &self.config;
        let mut form: Vec<(&str, &str)> = Vec::new();
        let mut headers = vec![
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            ),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ];
        let signed = match (&config.assertion, &self.key) {
            (Some(assertion), Some(key)) => Some((
                assertion.role,
                self.assertion(assertion, key, now, nonce)
                    .ok_or("auth.assertion: the system has no randomness to sign with")?,
            )),
            _ => None,
        };
        match &signed {
            Some((AssertionRole::Grant, token)) => form.extend([
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", token.as_str()),
            ]),
            Some((AssertionRole::Client, token)) => form.extend([
                ("grant_type", "client_credentials"),
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ),
                ("client_assertion", token.as_str()),
                ("client_id", &config.client_id),
            ]),
            None => form.push(("grant_type", "client_credentials")),
        }
        let mut secrets: Vec<Vec<u8>> = self
            .secret
            .iter()
            .map(|secret| secret.0.clone().into())
            .collect();
        secrets.extend(signed.iter().map(|(_, token)| token.clone().into_bytes()));
        match (&self.secret, config.send) {
            (Some(secret), SendSecret::Body) => form.extend([
                ("client_id", config.client_id.as_str()),
                ("client_secret", &secret.0),
            ]),
            (Some(secret), SendSecret::Basic) => {
                let header = (AUTHORIZATION, basic(&config.client_id, secret)?);
                secrets.extend(secrets_of(&header));
                headers.push(header);
            }
            (None, _) => {}
        }
        if !config.scope.is_empty() {
            form.push(("scope", &config.scope));
        }
        form.extend(
            config
                .params
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        Ok(Request {
            headers,
            body,
            secrets,
        })
    }

    /// RFC 7523, 3.
    fn assertion(
        &self,
        config: &AssertionConfig,
        key: &Key,
        now: Timestamp,
        nonce: &str,
    ) -> Option<String> {
        let or = |said: &str, other: &str| Value::from(if said.is_empty() { other } else { said });
        let client = &self.config.client_id;
        let mut claims: Map<String, Value> = config
            .claims
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), serde_json::to_value(value).ok()?)))
            .collect();
        let seconds = now.as_second();
        claims.extend([
            ("iss".to_owned(), or(&config.issuer, client)),
            ("sub".to_owned(), or(&config.subject, client)),
            (
                "aud".to_owned(),
                or(&config.audience, &self.config.token_url),
            ),
            ("iat".to_owned(), seconds.into()),
            ("exp".to_owned(), (seconds + jwt::LIVES_SECONDS).into()),
            ("jti".to_owned(), nonce.into()),
        ]);
        let header = jwt::header(config.algorithm, &config.key_id, &config.thumbprint);
        key.token(&header, &claims.into())
    }

    /// What a token's answer says: the header for requests, and how long it lives.
    ///
    /// # Errors
    /// The outcome of a sign-in; what was `sent` does not stand in it.
    pub(super) fn take(
        answer: &Answer<'_>,
        sent: &Hidden,
        now: Timestamp,
    ) -> Result<(HeaderValue, Option<Duration>), Outcome> {
        if let Err(outcome) = super::good(Outcome::of(answer, now)) {
            return Err(super::map_reason(outcome, |said| sent.masked(said)));
        }
        let no = |reason: &str| Outcome::Auth(format!("sign-in: {reason}"));
        let json = answer
            .json()
            .ok_or_else(|| no("the token's answer is no JSON"))?;
        let token = json["access_token"]
            .as_str()
            .filter(|token| !token.trim().is_empty())
            .ok_or_else(|| no("the token's answer has no access_token"))?;
        // RFC 6749, 7.1: one of a kind that we don't know must not be used.
        let kind = json["token_type"].as_str().unwrap_or("Bearer");
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(no("the token is no bearer token"));
        }
        let lives = match &json["expires_in"] {
            // Entra's older endpoint writes it as a text.
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        // A life of no time says nothing: with it each request would sign in anew.
        let lives: Option<u64> = lives.filter(|seconds| *seconds > 0);
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| no("the token holds a character that no header may hold"))?;
        header.set_sensitive(true);
        Ok((
            header,
            lives.map(|seconds| Duration::from_secs(seconds.min(u64::from(u32::MAX)))),
        ))
    }
}

/// RFC 6749, 2.3.1: both are encoded as in a form first.
fn basic(client: &str, Secret(secret): &Secret) -> Result<HeaderValue, String> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client), encoded(secret));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| "auth.client_secret_file: no header may hold it".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderMap;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn config(more: &str) -> OAuth2Config {
        toml::from_str(&format!(
            "token_url = \"https://id.example/token\"\nclient_id = \"dr ay\"\nscope = \"a b\"\n{more}"
        ))
        .expect("a table")
    }

    fn client(config: &OAuth2Config) -> Client {
        Client {
            config: config.clone(),
            secret: Some(Secret("p:w d!".into())),
            key: None,
        }
    }

    #[test]
    fn a_secret_goes_into_the_header_or_the_body() {
        let in_header = config("");
        let request = client(&in_header).request(NOW, "n").expect("a request");
        assert_eq!(request.body, "grant_type=client_credentials&scope=a+b");
        let expected = format!("Basic {}", STANDARD.encode("dr+ay:p%3Aw+d%21"));
        assert_eq!(request.headers[2].1, expected.as_str());
        let in_body = config("send = \"body\"\nparams = { resource = \"x/y\" }");
        let request = client(&in_body).request(NOW, "n").expect("a request");
        assert_eq!(
            request.body,
            "grant_type=client_credentials&client_id=dr+ay&client_secret=p%3Aw+d%21&scope=a+b&resource=x%2Fy"
        );
        assert_eq!(request.headers.len(), 2);
    }

    #[test]
    fn an_assertion_says_who_asks_or_is_the_grant() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        std::fs::write(&path, made.serialize_pem()).expect("a file");
        for (role, beginning) in [
            (
                "client",
                "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=",
            ),
            (
                "grant",
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=",
            ),
        ] {
            let config = config(&format!(
                "[assertion]\nuse = \"{role}\"\nkey_file = {path:?}\nalgorithm = \"ES256\"\nsubject = \"user\"\nclaims = {{ scope = [\"rest\"], exp = 1 }}"
            ));
            let client = Client::read(config).expect("its key");
            let request = client.request(NOW, "once").expect("a request");
            let token = request.body.strip_prefix(beginning);
            let token = token.unwrap_or_else(|| panic!("{role}: {}", request.body));
            let claims = token.split('.').nth(1).expect("three parts");
            let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
            let claims: Value =
                serde_json::from_slice(&engine.decode(claims).expect("base64")).expect("JSON");
            assert_eq!(
                claims,
                serde_json::json!({"iss": "dr ay", "sub": "user", "aud": "https://id.example/token", "iat": 0,
                    "exp": 300, "jti": "once", "scope": ["rest"]})
            );
        }
    }

    #[test]
    fn an_answer_has_a_bearer_token_and_says_how_long_it_lives() {
        let request = client(&config("")).request(NOW, "n").expect("a request");
        let (sent, headers) = (Hidden::of(request.secrets), HeaderMap::new());
        let take = |status, body: &str| {
            Client::take(&Answer::new(status, &headers, body.as_bytes()), &sent, NOW)
        };
        for (body, lives) in [
            (
                r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#,
                Some(3600),
            ),
            (
                r#"{"access_token":"t","token_type":"bearer","expires_in":"60"}"#,
                Some(60),
            ),
            (r#"{"access_token":"t"}"#, None),
            (r#"{"access_token":"t","expires_in":0}"#, None),
        ] {
            let (header, found) = take(200, body).expect(body);
            assert_eq!(
                (header, found),
                (
                    "Bearer t".parse().expect("a value"),
                    lives.map(Duration::from_secs)
                )
            );
        }
        for (status, body, said) in [
            (
                200,
                r#"{"access_token":"t","token_type":"mac"}"#,
                "no bearer token",
            ),
            (200, "{}", "no access_token"),
            (200, r#"{"access_token":" "}"#, "no access_token"),
            (200, "<html>", "no JSON"),
            (400, r#"{"error":"invalid_client"}"#, "invalid_client"),
            (401, "p:w d! is wrong", "*** is wrong"),
            // As the header had it, and as a form has it.
            (
                401,
                "ZHIrYXk6cCUzQXcrZCUyMQ== p%3Aw+d%21",
                "Unauthorized: *** ***",
            ),
        ] {
            match take(status, body) {
                Err(Outcome::Auth(reason)) => assert!(reason.contains(said), "{reason}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        assert!(matches!(take(503, ""), Err(Outcome::Transient(_))));
    }
}
