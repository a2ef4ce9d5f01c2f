//! How a target is told who is calling: `[target.auth]` and `[target.csrf]`.
//!
//! Secrets stand in files, so that they can change while dray runs: they are read again whenever the target no longer
//! knows us, and at each sign-in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::header::HeaderName;
use serde::Deserialize;

use super::check::check_url;
use crate::calls::rule::RuleConfig;
use crate::connectors::sign_in;

/// `[target.auth]`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer` with the file's content.
    Bearer {
        /// The token, white space around it is dropped.
        token_file: PathBuf,
    },
    /// `Authorization: Basic`.
    Basic {
        /// The user's name, without a colon.
        user: String,
        /// The password; a line break at its end is dropped.
        password_file: PathBuf,
    },
    /// A call that signs in; what it answers goes on each request.
    Session(Box<SessionConfig>),
    /// OAuth 2 without a person: client credentials or a signed assertion.
    OAuth2(Box<OAuth2Config>),
    /// OAuth 1: each request is signed (RFC 5849, HMAC-SHA256). NetSuite calls it token-based authentication.
    OAuth1(Box<OAuth1Config>),
    /// Standard Webhooks: each request is signed, so that its receiver knows whose it is.
    Hmac(HmacConfig),
    /// SOAP: a UsernameToken in the envelope's header (WS-Security).
    Wsse(WsseConfig),
}

/// `kind = "session"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionConfig {
    /// Templates know it as `user`.
    pub user: String,
    /// Templates know its content as `password`; a line break at its end is dropped.
    pub password_file: PathBuf,
    /// The call.
    pub login: LoginConfig,
    /// Templates of the headers that each request then has; none: cookies are enough.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How long a session lives; a new one is begun before. None: until the target no longer knows it.
    #[serde(default, with = "humantime_serde")]
    pub lifetime: Option<Duration>,
}

/// The call that signs in: as in `[target.calls]`, but what templates see is `user`, `password`, `vars` and, in the
/// headers of the requests after it, `got`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// GET, POST, ...
    #[serde(default = "post")]
    pub method: String,
    /// A template; relative to the target's `url`.
    pub url: String,
    /// Templates by header.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A template.
    #[serde(default)]
    pub body: String,
    /// What to keep of the answer. All of it must be there, or nobody is signed in.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
    /// What answers mean where the status lies.
    #[serde(default)]
    pub rule: Vec<RuleConfig>,
}

fn post() -> String {
    "POST".into()
}

/// `kind = "oauth2"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2Config {
    /// Where tokens are given out; may be another host than the target's.
    pub token_url: String,
    /// As the authorization server knows us.
    #[serde(default)]
    pub client_id: String,
    /// The client's secret; empty: none.
    #[serde(default)]
    pub client_secret_file: PathBuf,
    /// How the secret is sent.
    #[serde(default)]
    pub send: SendSecret,
    /// A signed assertion, instead of a secret or as the grant itself.
    #[serde(default)]
    pub assertion: Option<AssertionConfig>,
    /// What is asked for, parted by spaces.
    #[serde(default)]
    pub scope: String,
    /// More parameters of the token's request, e.g. `resource` or `audience`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// RFC 6749, 2.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendSecret {
    /// `Authorization: Basic`.
    #[default]
    Basic,
    /// As `client_secret` in the body.
    Body,
}

/// `[target.auth.assertion]`: a JWT that we sign (RFC 7523).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionConfig {
    /// What it is for.
    #[serde(default, rename = "use")]
    pub role: AssertionRole,
    /// The private key, PEM (PKCS #8).
    pub key_file: PathBuf,
    /// How it is signed.
    pub algorithm: Algorithm,
    /// The header's `kid`; empty: none.
    #[serde(default)]
    pub key_id: String,
    /// The header's `x5t`, as Entra wants it; empty: none.
    #[serde(default)]
    pub thumbprint: String,
    /// `iss`; empty: the client's id.
    #[serde(default)]
    pub issuer: String,
    /// `sub`; empty: the client's id.
    #[serde(default)]
    pub subject: String,
    /// `aud`; empty: the token's url.
    #[serde(default)]
    pub audience: String,
    /// More claims, e.g. NetSuite's `scope`.
    #[serde(default)]
    pub claims: toml::Table,
}

/// What an assertion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssertionRole {
    /// It says who the client is (RFC 7523, 2.2).
    #[default]
    Client,
    /// It is what a token is given for (RFC 7523, 2.1).
    Grant,
}

/// RFC 7518, 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5.
    RS256,
    /// RSA, PSS.
    PS256,
    /// ECDSA on P-256.
    ES256,
}

/// `kind = "oauth1"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth1Config {
    /// The integration's key.
    pub consumer_key: String,
    /// Its secret.
    pub consumer_secret_file: PathBuf,
    /// The token's id.
    pub token: String,
    /// Its secret.
    pub token_secret_file: PathBuf,
    /// NetSuite: the account's id, e.g. `1234567_SB1`; empty: none.
    #[serde(default)]
    pub realm: String,
}

/// `kind = "hmac"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacConfig {
    /// The secret, `whsec_` and base64; two while a new one replaces an old one: requests are signed with both.
    pub secret_files: Vec<PathBuf>,
}

/// `kind = "wsse"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WsseConfig {
    /// The user's name.
    pub user: String,
    /// The password; a line break at its end is dropped.
    pub password_file: PathBuf,
    /// How the password is sent.
    #[serde(default)]
    pub password: PasswordAs,
}

/// UsernameToken Profile 1.1.1, 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PasswordAs {
    /// As it is; only over https.
    #[default]
    Text,
    /// As a digest of it, a nonce and the time.
    Digest,
}

/// `[target.csrf]`: requests that change something carry a token that is fetched first, and cookies (SAP).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsrfConfig {
    /// Where the token is fetched by GET; relative to the target's `url`, and that itself where it is empty.
    #[serde(default)]
    pub url: String,
}

impl Auth {
    /// The files that it reads, by setting.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &PathBuf)> {
        match self {
            Self::None => Vec::new(),
            Self::Bearer { token_file } => vec![("auth.token_file", token_file)],
            Self::Basic { password_file, .. } => vec![("auth.password_file", password_file)],
            Self::Session(config) => vec![("auth.password_file", &config.password_file)],
            Self::OAuth2(config) => {
                let secret = (!config.client_secret_file.as_os_str().is_empty())
                    .then_some(("auth.client_secret_file", &config.client_secret_file));
                let key = config.assertion.as_ref();
                let key = key.map(|assertion| ("auth.assertion.key_file", &assertion.key_file));
                secret.into_iter().chain(key).collect()
            }
            Self::OAuth1(config) => vec![
                ("auth.consumer_secret_file", &config.consumer_secret_file),
                ("auth.token_secret_file", &config.token_secret_file),
            ],
            Self::Wsse(config) => vec![("auth.password_file", &config.password_file)],
            Self::Hmac(config) => {
                let files = config.secret_files.iter();
                files.map(|file| ("auth.secret_files", file)).collect()
            }
        }
    }

    /// What is wrong with it; reads no file. `single`: each request is one POST of one event.
    pub(super) fn check(&self, vars: &toml::Table, single: bool, wrong: &mut Vec<String>) {
        match self {
            Self::None | Self::Bearer { .. } => {}
            Self::Basic { user, .. } => {
                if user.is_empty() || user.contains(':') {
                    wrong.push("auth.user: write a name without \":\"".into());
                }
            }
            Self::Session(config) => wrong.extend(sign_in::check_session(config, vars).err()),
            Self::OAuth2(config) => config.check(wrong),
            Self::OAuth1(config) => {
                if config.consumer_key.is_empty() || config.token.is_empty() {
                    wrong.push("auth: write consumer_key and token".into());
                }
            }
            Self::Wsse(config) => {
                if config.user.is_empty() {
                    wrong.push("auth.user: write the user's name".into());
                }
            }
            Self::Hmac(config) => {
                if !(1..=2).contains(&config.secret_files.len()) {
                    wrong.push("auth.secret_files: write one file, or two while a new secret replaces an old one".into());
                }
                if !single {
                    wrong.push(
                        "auth: a signature names one message; write batch = 1, and no calls".into(),
                    );
                }
            }
        }
    }
}

impl OAuth2Config {
    fn check(&self, wrong: &mut Vec<String>) {
        if let Some(reason) = check_url(&self.token_url) {
            wrong.push(format!("auth.token_{reason}"));
        }
        let has_secret = !self.client_secret_file.as_os_str().is_empty();
        let role = self.assertion.as_ref().map(|assertion| assertion.role);
        match (has_secret, role) {
            (false, None) => {
                wrong.push("auth: write client_secret_file or [target.auth.assertion]".into());
            }
            (true, Some(AssertionRole::Client)) => wrong.push(
                "auth: the secret and the assertion both say who the client is; write one of them, or use = \"grant\"".into(),
            ),
            _ => {}
        }
        let named = |said: &str| !said.is_empty() || !self.client_id.is_empty();
        let names = self.assertion.as_ref();
        if self.client_id.is_empty() && (has_secret || role != Some(AssertionRole::Grant)) {
            wrong.push("auth.client_id: write the client's id".into());
        } else if names.is_some_and(|names| !named(&names.issuer) || !named(&names.subject)) {
            wrong.push("auth.assertion: without client_id, write issuer and subject".into());
        }
    }
}

/// Header names of templates.
pub(crate) fn header_name(setting: &str, name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name)
        .map_err(|_| format!("{setting}: {name:?} is not the name of a header"))
}
