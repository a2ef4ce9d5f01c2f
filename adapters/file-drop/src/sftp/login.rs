//! How the server is met, compared with the key that is pinned, and logged in to.

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
    decode_secret_key,
};
use russh::{MethodKind, Preferred};

use super::Failure;
use super::config::SftpConfig;

/// Bytes of a file with a secret, at most.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Questions of a server that asks for the password by questions, at most.
const QUESTIONS_MAX: usize = 5;
/// Unanswered signs of life after which a connection is dead.
const KEEPALIVES_MAX: usize = 2;

/// A connection that is logged in.
pub(crate) type Connection = Handle<Pinned>;

/// Compares the server's key.
#[derive(Debug)]
pub(crate) struct Pinned {
    wanted: String,
    met: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Ok(false);
        };
        let met = key.fingerprint(HashAlg::Sha256).to_string();
        let is_it = met == self.wanted;
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
        Ok(is_it)
    }
}

/// Kinds of host keys. A server has several, and shows one of the kind that is asked for: the pinned one may be any.
fn kinds() -> [Vec<Algorithm>; 3] {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let rsa = |hash| Algorithm::Rsa { hash };
    [
        Preferred::DEFAULT.key.to_vec(),
        vec![
            ecdsa(EcdsaCurve::NistP256),
            ecdsa(EcdsaCurve::NistP384),
            ecdsa(EcdsaCurve::NistP521),
        ],
        vec![
            rsa(Some(HashAlg::Sha512)),
            rsa(Some(HashAlg::Sha256)),
            rsa(None),
        ],
    ]
}

/// Connects, compares the key, and logs in.
pub(crate) async fn login(config: &SftpConfig) -> Result<Connection, Failure> {
    let mut met = None;
    for kinds in kinds() {
        match connect(config, kinds).await {
            Ok(connection) => return let_in(config, connection).await,
            // Another kind of key may be the pinned one.
            Err(Unmet::Key(key)) => {
                met.get_or_insert(key);
            }
            Err(Unmet::Line(failure)) => match met {
                Some(_) => continue,
                None => return Err(failure),
            },
        }
    }
    Err(Failure::Refused(other_key(
        config,
        &met.unwrap_or_default(),
    )))
}

/// What to say of a server with another key.
fn other_key(config: &SftpConfig, met: &str) -> String {
    let SftpConfig { host, port, .. } = config;
    if config.asks_for_key() {
        return format!(
            "{host}:{port} shows the key {met}; nobody logged in. Compare it with what its operator tells you, and write host_key = \"{met}\""
        );
    }
    format!(
        "{host}:{port} shows the key {met}, and host_key is {}: the server was set up anew, or somebody stands in between; nobody logged in. \
         Ask its operator, and write host_key = \"{met}\" if that is its key",
        config.host_key
    )
}

enum Unmet {
    /// It has another key.
    Key(String),
    Line(Failure),
}

async fn connect(config: &SftpConfig, kinds: Vec<Algorithm>) -> Result<Connection, Unmet> {
    let met = Arc::new(Mutex::new(None));
    let pinned = Pinned {
        wanted: config.host_key.trim_end_matches('=').to_owned(),
        met: Arc::clone(&met),
    };
    let settings = client::Config {
        preferred: Preferred {
            key: Cow::Owned(kinds),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(config.timeout),
        keepalive_max: KEEPALIVES_MAX,
        nodelay: true,
        ..client::Config::default()
    };
    let connecting = client::connect(
        Arc::new(settings),
        (config.host.as_str(), config.port),
        pinned,
    );
    let connected = within(config, connecting).await.map_err(Unmet::Line)?;
    let met = met.lock().unwrap_or_else(PoisonError::into_inner).take();
    connected.map_err(|error| match (error, met) {
        (russh::Error::UnknownKey, Some(met)) => Unmet::Key(met),
        (error, _) => Unmet::Line(unreachable(config, &error)),
    })
}

fn unreachable(config: &SftpConfig, error: &russh::Error) -> Failure {
    let way_out = match error {
        russh::Error::NoCommonAlgo { .. } => {
            "; its SSH is too old or too narrow for this agent: ask its operator for an update"
        }
        russh::Error::IO(_) => "; look at host, port, and the firewalls between",
        _ => "",
    };
    Failure::Away(format!(
        "{}:{} can't be reached: {error}{way_out}",
        config.host, config.port
    ))
}

/// Waits for an answer as long as is set.
pub(crate) async fn within<T>(
    config: &SftpConfig,
    answer: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::time::timeout(config.timeout, answer)
        .await
        .map_err(|_| {
            let SftpConfig { host, port, timeout, .. } = config;
            Failure::Away(format!(
                "{host}:{port} did not answer within {timeout:?}; look at the line, or raise timeout"
            ))
        })
}

async fn let_in(config: &SftpConfig, mut connection: Connection) -> Result<Connection, Failure> {
    let tried = match (&config.key_file, &config.password_file) {
        (Some(file), _) => by_key(config, file, &mut connection).await?,
        (None, Some(file)) => by_password(config, file, &mut connection).await?,
        (None, None) => within(config, connection.authenticate_none(&config.user))
            .await?
            .map(|answer| answer.success()),
    };
    match tried {
        Ok(true) => Ok(connection),
        Ok(false) => {
            let with = match &config.key_file {
                Some(file) => format!("the key of {}", file.display()),
                None => "that password".to_owned(),
            };
            Err(Failure::Refused(format!(
                "{}:{} does not let {} in with {with}; correct user, or the file, or ask the server's operator",
                config.host, config.port, config.user
            )))
        }
        Err(error) => Err(unreachable(config, &error)),
    }
}

type Tried = Result<Result<bool, russh::Error>, Failure>;

async fn by_key(config: &SftpConfig, file: &Path, connection: &mut Connection) -> Tried {
    let passphrase = match &config.passphrase_file {
        Some(file) => Some(secret(file)?),
        None => None,
    };
    let text = secret(file)?;
    let key = decode_secret_key(&text, passphrase.as_deref()).map_err(|error| {
        let file = file.display();
        Failure::Here(match (&config.passphrase_file, error) {
            (None, russh::keys::Error::KeyIsEncrypted) => {
                format!("{file} has a passphrase; name its passphrase_file")
            }
            (Some(passphrase), _) => format!(
                "{file} can't be read as a private key with the passphrase of {}; correct one of them",
                passphrase.display()
            ),
            (None, error) => {
                format!("{file} can't be read as a private key: {error}; make one with: ssh-keygen -t ed25519")
            }
        })
    })?;
    let hash = match key.algorithm() {
        Algorithm::Rsa { .. } => within(config, connection.best_supported_rsa_hash()).await?,
        _ => Ok(None),
    };
    let hash = match hash {
        // A server that does not tell knows SHA-2 since 2016, or is none that we talk to.
        Ok(hash) => hash.unwrap_or(Some(HashAlg::Sha256)),
        Err(error) => return Ok(Err(error)),
    };
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    let answer = within(config, connection.authenticate_publickey(&config.user, key)).await?;
    Ok(answer.map(|answer| answer.success()))
}

async fn by_password(config: &SftpConfig, file: &Path, connection: &mut Connection) -> Tried {
    let password = secret(file)?;
    let answer = connection.authenticate_password(&config.user, &password);
    match within(config, answer).await? {
        Ok(AuthResult::Failure {
            remaining_methods, ..
        }) if remaining_methods.contains(&MethodKind::KeyboardInteractive)
            && !remaining_methods.contains(&MethodKind::Password) =>
        {
            by_questions(config, &password, connection).await
        }
        answer => Ok(answer.map(|answer| answer.success())),
    }
}

/// Some servers take the password only as the answer to a question.
async fn by_questions(config: &SftpConfig, password: &str, connection: &mut Connection) -> Tried {
    let start = connection.authenticate_keyboard_interactive_start(&config.user, None::<String>);
    let mut answer = within(config, start).await?;
    for _ in 0..QUESTIONS_MAX {
        let prompts = match answer {
            Err(error) => return Ok(Err(error)),
            Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(Ok(true)),
            Ok(KeyboardInteractiveAuthResponse::Failure { .. }) => return Ok(Ok(false)),
            Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
        };
        let answers = prompts.iter().map(|_| password.to_owned()).collect();
        let respond = connection.authenticate_keyboard_interactive_respond(answers);
        answer = within(config, respond).await?;
    }
    Ok(Ok(false))
}

/// A file's text without the end of its last line.
fn secret(file: &Path) -> Result<String, Failure> {
    let here =
        |reason: String| Failure::Here(format!("{} can't be read: {reason}", file.display()));
    let metadata = fs::metadata(file).map_err(|error| {
        here(format!(
            "{error}; write it, and give the agent's user the right to read it"
        ))
    })?;
    if metadata.len() > SECRET_BYTES_MAX {
        return Err(here(format!("it has more than {SECRET_BYTES_MAX} bytes")));
    }
    let text = fs::read_to_string(file).map_err(|error| here(error.to_string()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Says goodbye; a server that does not listen is left.
pub(crate) async fn leave(connection: &Connection) {
    let goodbye = connection.disconnect(russh::Disconnect::ByApplication, "", "");
    let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
}
