//! Who is calling: puts credentials on each request, and renews them.
//!
//! ```text
//! request → current(): the credentials, by a sign-in where there are none or they end soon → worn by the request
//!         → the answer means *auth* → renew(): one sign-in for all requests in flight → the same request, once more
//!         → the answer means *auth* again → the target pauses
//! ```
//! Secrets are read from their files at each sign-in, so a changed file counts from then on. What is pure stands in the
//! modules below: [`login`], [`oauth2`], [`oauth1`], [`webhook`], [`jwt`], [`csrf`].

pub(super) mod csrf;
mod hidden;
mod jwt;
mod login;
mod oauth1;
mod oauth2;
mod renewable;
mod secret;
mod webhook;
mod worn;
mod wsse;

use std::fmt;
use std::time::Instant;

use ::http::header::AUTHORIZATION;
use ::http::{HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dray_proto::EventId;
use jiff::Timestamp;

use super::http::{ANSWER_BYTES_MAX, Ask, Reply, Wire};
use crate::config::{Auth, OAuth2Config, SessionConfig};
use crate::outcome::{Missing, Outcome};
use login::Login;
use renewable::{Fetched, Renewable};
use secret::Secret;
use worn::Wears;

pub(super) use csrf::Csrf;
pub(super) use hidden::Hidden;
pub(super) use renewable::Got;
pub(super) use worn::Worn;

/// What is wrong with `kind = "session"`; reads no file.
///
/// # Errors
/// A sentence.
pub(crate) fn check_session(config: &SessionConfig, vars: &toml::Table) -> Result<(), String> {
    Login::compile(config, vars).map(|_| ())
}

/// A target's credentials.
#[derive(Debug)]
pub(crate) struct SignIn {
    kind: Kind,
    held: Renewable<Worn>,
}

enum Kind {
    /// Read from files and used as they are.
    Files(Auth),
    Session(Box<SessionConfig>, Box<Login>),
    OAuth2(Box<OAuth2Config>, ::http::Uri),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files(_) => "Files",
            Self::Session(..) => "Session",
            Self::OAuth2(..) => "OAuth2",
        })
    }
}

fn nonce() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

impl SignIn {
    /// Reads the secrets once, so that a missing file is told at the start; connects to nothing. Blocks.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn new(auth: &Auth, vars: &toml::Table) -> Result<Self, String> {
        let kind = match auth {
            Auth::Session(session) => {
                Secret::read("auth.password_file", &session.password_file)?;
                let login = Login::compile(session, vars)?;
                Kind::Session(session.clone(), Box::new(login))
            }
            Auth::OAuth2(oauth2) => {
                oauth2::Client::read((**oauth2).clone())?;
                let url = oauth2.token_url.parse();
                let url = url.map_err(|_| "auth.token_url: it is not an address".to_owned())?;
                Kind::OAuth2(oauth2.clone(), url)
            }
            files => {
                let held = Renewable::with(read(files)?);
                let kind = Kind::Files(files.clone());
                return Ok(Self { kind, held });
            }
        };
        Ok(Self {
            kind,
            held: Renewable::new(),
        })
    }

    /// Whether its tokens are given out over TLS, where the target itself may not be.
    pub(super) fn needs_roots(&self) -> bool {
        matches!(&self.kind, Kind::OAuth2(_, url) if url.scheme_str() == Some("https"))
    }

    /// Whether what it is given may be cookies.
    pub(super) fn keeps_cookies(&self) -> bool {
        matches!(self.kind, Kind::Session(..))
    }

    /// The credentials; signs in where there are none, or they end soon.
    pub(super) async fn current(&self, wire: &Wire) -> Result<Got<Worn>, Outcome> {
        self.held.current(Instant::now(), || self.fetch(wire)).await
    }

    /// Others than those that a request wore; `None` where there are no others.
    pub(super) async fn renew(
        &self,
        wire: &Wire,
        worn: &Got<Worn>,
    ) -> Result<Option<Got<Worn>>, Outcome> {
        if matches!(self.kind, Kind::Files(Auth::None)) {
            return Ok(None);
        }
        let now = Instant::now();
        let got = self
            .held
            .renew(worn.ticket, now, || self.fetch(wire))
            .await?;
        let same = matches!(self.kind, Kind::Files(_)) && got.value == worn.value;
        Ok((!same).then_some(got))
    }

    async fn fetch(&self, wire: &Wire) -> Fetched<Worn> {
        match &self.kind {
            Kind::Files(auth) => {
                let auth = auth.clone();
                let worn = blocking(move || read(&auth)).await?;
                Ok((worn, None))
            }
            Kind::Session(config, login) => self.log_in(wire, config, login).await,
            Kind::OAuth2(config, url) => self.token(wire, config, url).await,
        }
    }

    async fn log_in(&self, wire: &Wire, config: &SessionConfig, login: &Login) -> Fetched<Worn> {
        let file = config.password_file.clone();
        let password = blocking(move || Secret::read("auth.password_file", &file)).await?;
        let wrong = |reason: String| Outcome::Misconfigured(format!("sign-in: {reason}"));
        let request = login.request(&password).map_err(wrong)?;
        let mut ask = Ask::new(request.method, a_trace());
        // The password may stand in it: it is not quoted.
        let said = |_| "auth.login.url makes no address on the target's host; values in it need the filter urlencode";
        let url = wire.resolve(&request.url).map_err(said);
        ask.url = Some(url.map_err(|said| wrong(said.to_owned()))?);
        ask.headers = request.headers;
        ask.body = request.body.into();
        // A session that has ended is not to be gone on with.
        wire.forget_cookies();
        let reply = plain(wire, &ask).await?;
        let (headers, got) = login.take(&password, &reply.answer(), Timestamp::now())?;
        tracing::info!("signed in");
        let secrets = got.into_values().chain([password.0]).collect();
        Ok((Worn::made_of(headers, secrets), config.lifetime))
    }

    async fn token(&self, wire: &Wire, config: &OAuth2Config, url: &::http::Uri) -> Fetched<Worn> {
        // Reading a key and signing with it takes milliseconds.
        let (read, now) = (config.clone(), Timestamp::now());
        let request = blocking(move || oauth2::Client::read(read)?.request(now, &nonce())).await?;
        let mut ask = Ask::new(Method::POST, a_trace());
        ask.url = Some(url.clone());
        ask.headers = request.headers;
        ask.body = request.body.into();
        let reply = plain(wire, &ask).await?;
        let sent = Hidden::of(request.secrets);
        let (header, lives) = oauth2::Client::take(&reply.answer(), &sent, Timestamp::now())?;
        tracing::info!("signed in");
        let worn = Wears::Headers(vec![(AUTHORIZATION, header)]);
        Ok((Worn::new(worn), lives))
    }
}

/// A request of our own that wears nothing.
async fn plain(wire: &Wire, ask: &Ask) -> Result<Reply, Outcome> {
    let request = wire.request(ask)?;
    wire.send(request, ANSWER_BYTES_MAX)
        .await
        .map_err(|outcome| match outcome {
            // Whatever became of a sign-in, nothing of the event was sent.
            Outcome::Unknown(reason) => Outcome::Transient(sign_in(&reason)),
            Outcome::Unreachable(reason) => Outcome::Unreachable(sign_in(&reason)),
            other => other,
        })
}

/// Each sign-in is a trace of its own.
fn a_trace() -> EventId {
    EventId::new(rand::random(), 0, 0)
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Outcome> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(Outcome::Auth),
        Err(error) => Err(Outcome::Transient(format!("sign-in: {error}"))),
    }
}

/// What files say, where that is all that a request wears.
fn read(auth: &Auth) -> Result<Worn, String> {
    let (path, text) = match auth {
        Auth::None | Auth::Session(_) | Auth::OAuth2(_) => {
            return Ok(Worn::new(Wears::Headers(Vec::new())));
        }
        Auth::Bearer { token_file } => {
            let Secret(token) = Secret::read("auth.token_file", token_file)?;
            (token_file, format!("Bearer {}", token.trim()))
        }
        Auth::Basic {
            user,
            password_file,
        } => {
            let Secret(password) = Secret::read("auth.password_file", password_file)?;
            let pair = STANDARD.encode(format!("{user}:{password}"));
            (password_file, format!("Basic {pair}"))
        }
        Auth::OAuth1(config) => {
            let secret = |setting, file| {
                Secret::read(setting, file).map(|Secret(text)| Secret(text.trim().to_owned()))
            };
            return Ok(Worn::new(Wears::OAuth1(oauth1::Keys {
                consumer_key: config.consumer_key.clone(),
                consumer_secret: secret("auth.consumer_secret_file", &config.consumer_secret_file)?,
                token: config.token.clone(),
                token_secret: secret("auth.token_secret_file", &config.token_secret_file)?,
                realm: config.realm.clone(),
            })));
        }
        Auth::Wsse(config) => {
            let Secret(password) = Secret::read("auth.password_file", &config.password_file)?;
            return Ok(Worn::new(Wears::Wsse(wsse::Token {
                user: config.user.clone(),
                password,
                sent_as: config.password,
            })));
        }
        Auth::Hmac(config) => {
            let files = config.secret_files.iter();
            let secrets = files.map(|file| Secret::read("auth.secret_files", file));
            let keys = webhook::Keys::read(&secrets.collect::<Result<Vec<_>, _>>()?)?;
            return Ok(Worn::new(Wears::Hmac(keys)));
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        format!(
            "{} holds a character that no header may hold",
            path.display()
        )
    })?;
    value.set_sensitive(true);
    Ok(Worn::new(Wears::Headers(vec![(AUTHORIZATION, value)])))
}

/// What the answer to a sign-in means: it is good, or why nobody is signed in.
fn good(outcome: Outcome) -> Result<(), Outcome> {
    Err(match outcome {
        Outcome::Done | Outcome::Accepted(..) => return Ok(()),
        Outcome::Throttled(wait, reason) => Outcome::Throttled(wait, sign_in(&reason)),
        Outcome::Transient(reason) | Outcome::Unknown(reason) => {
            Outcome::Transient(sign_in(&reason))
        }
        Outcome::Unreachable(reason) => Outcome::Unreachable(sign_in(&reason)),
        Outcome::Misconfigured(reason) => Outcome::Misconfigured(sign_in(&reason)),
        Outcome::Auth(reason)
        | Outcome::Rejected(reason)
        | Outcome::Conflict(reason)
        | Outcome::Poison(reason)
        | Outcome::TooLarge(reason)
        | Outcome::Confirm(_, reason)
        | Outcome::Missing(Missing { reason, .. }) => Outcome::Auth(sign_in(&reason)),
    })
}

fn sign_in(reason: &str) -> String {
    format!("sign-in: {reason}")
}

/// The same outcome in other words; of those that [`good`] makes.
fn map_reason(outcome: Outcome, words: impl Fn(String) -> String) -> Outcome {
    match outcome {
        Outcome::Auth(said) => Outcome::Auth(words(said)),
        Outcome::Transient(said) => Outcome::Transient(words(said)),
        Outcome::Unreachable(said) => Outcome::Unreachable(words(said)),
        Outcome::Misconfigured(said) => Outcome::Misconfigured(words(said)),
        Outcome::Throttled(wait, said) => Outcome::Throttled(wait, words(said)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(auth: &Auth) -> Result<HeaderValue, String> {
        match read(auth)?.wears() {
            Wears::Headers(headers) => Ok(headers[0].1.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn secrets_become_headers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret \n").expect("a file");
        let bearer = Auth::Bearer {
            token_file: path.clone(),
        };
        assert_eq!(header(&bearer).expect("a token"), "Bearer s3cret");
        let basic = Auth::Basic {
            user: "dray".into(),
            password_file: path.clone(),
        };
        let expected = format!("Basic {}", STANDARD.encode("dray:s3cret "));
        assert_eq!(header(&basic).expect("a password"), expected.as_str());
        std::fs::write(&path, "\n").expect("a file");
        assert!(
            header(&bearer)
                .expect_err("empty")
                .contains("auth.token_file")
        );
        std::fs::remove_file(&path).expect("it is there");
        assert!(header(&bearer).expect_err("gone").contains("No such file"));
    }
}
