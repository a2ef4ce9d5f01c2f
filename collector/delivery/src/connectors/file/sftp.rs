//! Files go to a server: whole under another name, then renamed; and after a kill it is known which of it happened.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::Preferred;
use russh::client::{self, Handle};
use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
    decode_secret_key,
};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{OpenFlags, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::config::sftp::SftpConfig;
use crate::connectors::trust;
use crate::outcome::Outcome;

/// Bytes that are sent within the time limit of one answer.
const PART_BYTES: usize = 256 * 1024;
/// Unanswered signs of life after which a connection is dead.
const KEEPALIVES_MAX: usize = 2;

/// The folder on a server.
#[derive(Debug)]
pub(super) struct Remote {
    config: SftpConfig,
    timeout: Duration,
    runtime: tokio::runtime::Handle,
    /// Kept between files.
    session: Mutex<Option<Session>>,
}

/// A connection that is logged in, and its SFTP.
struct Session {
    connection: Handle<Pinned>,
    sftp: SftpSession,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("closed", &self.connection.is_closed())
            .finish()
    }
}

/// Compares the server's key.
#[derive(Debug)]
struct Pinned {
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

impl Remote {
    /// Connects to nothing yet. On a runtime.
    pub(super) fn new(config: &SftpConfig, timeout: Duration) -> Result<Self, String> {
        secret(config)?;
        Ok(Self {
            config: config.clone(),
            timeout,
            runtime: tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?,
            session: Mutex::default(),
        })
    }

    /// Brings a file there under its name. `is_sent`: an earlier try had it there whole, and may have renamed it.
    /// `sent`: makes that durable here, between the two. Blocks.
    pub(super) fn put(
        &self,
        part: &Path,
        name: &str,
        is_sent: bool,
        sent: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), Outcome> {
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match held
            .take()
            .filter(|session| !session.connection.is_closed())
        {
            Some(session) => session,
            None => self.runtime.block_on(self.open())?,
        };
        let local = |error: io::Error| Outcome::Transient(format!("{}: {error}", part.display()));
        let (hidden, last) = (self.path(&format!(".{name}.part")), self.path(name));
        let bytes = fs::read(part).map_err(local)?;
        if !is_sent {
            self.runtime
                .block_on(self.upload(&session, &hidden, &bytes))?;
            sent().map_err(local)?;
        }
        self.runtime
            .block_on(self.rename(&session, &hidden, &last, bytes.len(), is_sent))?;
        *held = Some(session);
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.config.folder.trim_end_matches('/'))
    }

    async fn upload(&self, session: &Session, path: &str, bytes: &[u8]) -> Result<(), Outcome> {
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        let opened = self
            .within(session.sftp.open_with_flags(path, flags))
            .await?;
        let mut file = opened.map_err(|error| self.said(&error))?;
        let broke = |error: io::Error| Outcome::Transient(format!("{}: {error}", self.name()));
        // A large file over a slow line takes longer than one answer may.
        for part in bytes.chunks(PART_BYTES) {
            self.within(file.write_all(part)).await?.map_err(broke)?;
        }
        // Where the server can: OpenSSH since 2014.
        let synced = self.within(file.sync_all()).await?;
        synced.map_err(|error| self.said(&error))?;
        self.within(file.close()).await?.map_err(broke)
    }

    /// Where the file under its first name is gone, an earlier try has renamed it.
    async fn rename(
        &self,
        session: &Session,
        from: &str,
        to: &str,
        bytes: usize,
        is_sent: bool,
    ) -> Result<(), Outcome> {
        match self.within(session.sftp.metadata(from)).await? {
            Ok(found) if found.size == Some(bytes as u64) => {}
            Ok(_) => {
                return Err(Outcome::Misconfigured(format!(
                    "{}: {from} is not as long as it was written: somebody else writes there; look at it, and remove it with its list here",
                    self.name()
                )));
            }
            Err(error) if is_sent && is_missing(&error) => return Ok(()),
            Err(error) => return Err(self.said(&error)),
        }
        match self.within(session.sftp.rename(from, to)).await? {
            Ok(()) => Ok(()),
            Err(Error::Status(status)) if status.status_code == StatusCode::Failure => {
                Err(Outcome::Misconfigured(format!(
                    "{}: {from} cannot be renamed to {to} ({}): is a file of that name in the way? Move it away",
                    self.name(),
                    status.error_message
                )))
            }
            Err(error) => Err(self.said(&error)),
        }
    }

    async fn within<T>(&self, answer: impl Future<Output = T>) -> Result<T, Outcome> {
        timeout(self.timeout, answer).await.map_err(|_| {
            Outcome::Unknown(format!(
                "{} did not answer within {:?}",
                self.name(),
                self.timeout
            ))
        })
    }

    fn name(&self) -> String {
        format!("sftp {}:{}", self.config.host, self.config.port)
    }

    fn said(&self, error: &Error) -> Outcome {
        let (name, folder) = (self.name(), &self.config.folder);
        match error {
            Error::Status(status) => match status.status_code {
                StatusCode::NoSuchFile | StatusCode::PermissionDenied => {
                    Outcome::Misconfigured(format!(
                        "{name}: {} may not write to {folder} ({}): make the folder, and give the user the right, or mend file.sftp.folder",
                        self.config.user, status.error_message
                    ))
                }
                _ => Outcome::Transient(format!("{name}: {}", status.error_message)),
            },
            other => Outcome::Unknown(format!("{name}: {other}")),
        }
    }

    /// Connects, compares the key, logs in and begins SFTP.
    async fn open(&self) -> Result<Session, Outcome> {
        let mut met = None;
        for kinds in kinds() {
            match self.connect(kinds, &mut met).await? {
                Some(connection) => return self.begin(connection).await,
                // Another kind of key may be the pinned one.
                None => continue,
            }
        }
        Err(Outcome::Misconfigured(format!(
            "{} shows the key {}, and file.sftp.host_key is another: the server was set up anew, or somebody stands in between; nobody logged in. Ask its operator",
            self.name(),
            met.unwrap_or_default()
        )))
    }

    async fn connect(
        &self,
        kinds: Vec<Algorithm>,
        shown: &mut Option<String>,
    ) -> Result<Option<Handle<Pinned>>, Outcome> {
        let met = Arc::new(Mutex::new(None));
        let pinned = Pinned {
            wanted: self.config.host_key.trim_end_matches('=').to_owned(),
            met: Arc::clone(&met),
        };
        let settings = client::Config {
            preferred: Preferred {
                key: Cow::Owned(kinds),
                ..Preferred::DEFAULT
            },
            keepalive_interval: Some(self.timeout),
            keepalive_max: KEEPALIVES_MAX,
            nodelay: true,
            ..client::Config::default()
        };
        let address = (self.config.host.as_str(), self.config.port);
        let connected = timeout(
            self.timeout,
            client::connect(Arc::new(settings), address, pinned),
        );
        let away = |said: String| Outcome::Unreachable(format!("{}: {said}", self.name()));
        let connected = connected.await.map_err(|_| away("no answer".into()))?;
        let seen = met.lock().unwrap_or_else(PoisonError::into_inner).take();
        match connected {
            Ok(connection) => Ok(Some(connection)),
            Err(russh::Error::UnknownKey) => {
                *shown = shown.take().or(seen);
                Ok(None)
            }
            // It has no key of this kind; another kind was met, or is tried next.
            Err(russh::Error::NoCommonAlgo { .. }) => Ok(None),
            Err(error) => Err(away(error.to_string())),
        }
    }

    async fn begin(&self, mut connection: Handle<Pinned>) -> Result<Session, Outcome> {
        let config = self.config.clone();
        let secret = tokio::task::spawn_blocking(move || secret(&config)).await;
        let secret = secret.unwrap_or_else(|error| Err(error.to_string()));
        let secret = secret.map_err(Outcome::Auth)?;
        let user = &self.config.user;
        let broke = |error: russh::Error| Outcome::Unreachable(format!("{}: {error}", self.name()));
        let answer = if self.config.key_file.as_os_str().is_empty() {
            self.within(connection.authenticate_password(user, &secret))
                .await?
        } else {
            let key = decode_secret_key(&secret, None).map_err(|error| {
                Outcome::Auth(format!(
                    "file.sftp.key_file: it cannot be read as a private key without a passphrase: {error}"
                ))
            })?;
            let hash = match key.algorithm() {
                Algorithm::Rsa { .. } => {
                    let best = self.within(connection.best_supported_rsa_hash()).await?;
                    best.map_err(broke)?.unwrap_or(Some(HashAlg::Sha256))
                }
                _ => None,
            };
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            self.within(connection.authenticate_publickey(user, key))
                .await?
        };
        if !answer.map_err(broke)?.success() {
            return Err(Outcome::Auth(format!(
                "{} does not let {user} in; correct file.sftp.user or the file with the secret, or ask the server's operator",
                self.name()
            )));
        }
        let opening = async {
            let channel = connection.channel_open_session().await?;
            channel.request_subsystem(true, "sftp").await?;
            Ok(channel)
        };
        let channel = self.within(opening).await?.map_err(broke)?;
        let begun = self.within(SftpSession::new(channel.into_stream())).await?;
        let sftp = begun.map_err(|error| {
            Outcome::Transient(format!("{} gives no SFTP: {error}", self.name()))
        })?;
        sftp.set_timeout(self.timeout.as_secs().max(1));
        Ok(Session { connection, sftp })
    }
}

/// Kinds of host keys. A server has several, and shows one of the kind that is asked for: the pinned one may be any.
fn kinds() -> [Vec<Algorithm>; 3] {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let rsa = |hash| Algorithm::Rsa { hash };
    [
        vec![Algorithm::Ed25519],
        vec![
            ecdsa(EcdsaCurve::NistP256),
            ecdsa(EcdsaCurve::NistP384),
            ecdsa(EcdsaCurve::NistP521),
        ],
        vec![rsa(Some(HashAlg::Sha512)), rsa(Some(HashAlg::Sha256))],
    ]
}

fn secret(config: &SftpConfig) -> Result<String, String> {
    match config.key_file.as_os_str().is_empty() {
        true => trust::read_password("file.sftp.password_file", &config.password_file),
        false => trust::read_secret("file.sftp.key_file", &config.key_file),
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Status(status) if status.status_code == StatusCode::NoSuchFile)
}
