//! A connection to a server, and the stream that was found there.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{Context, ContextBuilder, stream};
use async_nats::{ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;

use super::subject;
use crate::config::TargetConfig;
use crate::config::nats::NatsConfig;
use crate::connectors::http::CONNECT_MAX;
use crate::connectors::trust;
use crate::outcome::Outcome;

/// How often a silent connection is looked at.
const PING_EVERY: Duration = Duration::from_secs(10);

/// How servers are reached.
#[derive(Debug)]
pub(super) struct Way {
    servers: Vec<(String, u16)>,
    user: String,
    password_file: PathBuf,
    token_file: PathBuf,
    tls: Option<rustls::ClientConfig>,
    timeout: Duration,
    acks_max: usize,
}

impl Way {
    /// Reads secrets and authorities, to say early that they cannot be read.
    pub(super) fn new(
        config: &TargetConfig,
        nats: &NatsConfig,
        acks_max: usize,
    ) -> Result<Self, String> {
        // Whoever names an authority wants to know who the server is.
        let named = !config.ca_file.as_os_str().is_empty() && !nats.in_clear_text;
        let tls = match nats.is_encrypted() || named {
            true => Some(trust::client(&config.ca_file)?),
            false => None,
        };
        let way = Self {
            servers: nats.servers(),
            user: nats.user.clone(),
            password_file: nats.password_file.clone(),
            token_file: nats.token_file.clone(),
            tls,
            timeout: config.timeout,
            acks_max,
        };
        way.secrets()?;
        Ok(way)
    }

    /// Who we are. Read for each connection, so that it can change while dray runs.
    fn secrets(&self) -> Result<ConnectOptions, String> {
        let options = ConnectOptions::new();
        if !self.password_file.as_os_str().is_empty() {
            let password = trust::read_password("nats.password_file", &self.password_file)?;
            return Ok(options.user_and_password(self.user.clone(), password));
        }
        if !self.token_file.as_os_str().is_empty() {
            let token = trust::read_secret("nats.token_file", &self.token_file)?;
            return Ok(options.token(token.trim().to_owned()));
        }
        Ok(options)
    }
}

/// See the module. It is given up when it breaks for the first time, as its library says too late what became of what was on its way.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) context: Context,
    pub(super) stream: stream::Stream<()>,
    /// What the stream takes, as it was last asked.
    subjects: RwLock<Vec<String>>,
    lost: watch::Receiver<bool>,
}

impl Link {
    /// Connects to the first server that answers, and looks for the stream.
    pub(super) async fn open(way: &Way, stream: &str) -> Result<Self, Outcome> {
        let scheme = if way.tls.is_some() { "tls" } else { "nats" };
        let addresses: Result<Vec<ServerAddr>, _> = way
            .servers
            .iter()
            .map(|(host, port)| match host.contains(':') {
                true => format!("{scheme}://[{host}]:{port}").parse(),
                false => format!("{scheme}://{host}:{port}").parse(),
            })
            .collect();
        let addresses =
            addresses.map_err(|error| Outcome::Misconfigured(format!("nats.servers: {error}")))?;
        let (losing, lost) = watch::channel(false);
        let mut options = way
            .secrets()
            .map_err(Outcome::Auth)?
            .name("dray")
            .connection_timeout(CONNECT_MAX)
            .ping_interval(PING_EVERY)
            // Each server once.
            .max_reconnects(way.servers.len())
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    losing.send_replace(true);
                }
                async {}
            });
        if let Some(tls) = &way.tls {
            options = options.require_tls(true).tls_client_config(tls.clone());
        }
        let client = options.connect(addresses).await.map_err(|error| {
            let said = format!("no connection to {:?}: {error}", way.servers);
            match error.kind() {
                _ if is_tls(&error) => Outcome::Misconfigured(format!(
                    "{said}; look at ca_file and at the name in the server's certificate"
                )),
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    Outcome::Auth(said)
                }
                _ => Outcome::Unreachable(said),
            }
        })?;
        let context = ContextBuilder::new()
            .timeout(way.timeout)
            .max_ack_inflight(way.acks_max)
            .build(client);
        let (found, subjects) = find(&context, stream).await?;
        Ok(Self {
            stream: found,
            subjects: RwLock::new(subjects),
            context,
            lost,
        })
    }

    /// Whether the connection broke.
    pub(super) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Waits until it does.
    pub(super) async fn lost(&self) {
        let mut lost = self.lost.clone();
        // Who says so is gone: then the client is too.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Whether the stream takes a subject, as far as it is known, and it is not the server's own.
    pub(super) fn takes(&self, subject: &str) -> bool {
        let subjects = self.subjects.read().unwrap_or_else(PoisonError::into_inner);
        subject::is_ours(&subjects, subject)
    }

    /// The stream's subjects, asked now.
    pub(super) async fn look(&self, stream: &str) -> Result<Vec<String>, Outcome> {
        let (_, subjects) = find(&self.context, stream).await?;
        let mut known = self
            .subjects
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known.clone_from(&subjects);
        Ok(subjects)
    }
}

fn is_tls(error: &async_nats::ConnectError) -> bool {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    let inner = source.and_then(io::Error::get_ref);
    error.kind() == ConnectErrorKind::Tls || inner.is_some_and(|inner| inner.is::<rustls::Error>())
}

/// The stream, and its subjects.
async fn find(
    context: &Context,
    stream: &str,
) -> Result<(stream::Stream<()>, Vec<String>), Outcome> {
    match context.get_stream(stream).await {
        Ok(known) => {
            let subjects = known.cached_info().config.subjects.iter();
            let subjects = subjects.map(ToString::to_string).collect();
            let found = context.get_stream_no_info(stream).await;
            let found = found.map_err(|error| Outcome::Transient(error.to_string()))?;
            Ok((found, subjects))
        }
        Err(error) => Err(match error.kind() {
            GetStreamErrorKind::JetStream(said) if said.code() == 404 => {
                Outcome::Misconfigured(format!(
                    "there is no stream {stream}: nats stream add {stream} --subjects ...; or mend nats.stream"
                ))
            }
            GetStreamErrorKind::JetStream(said) if said.code() == 503 => {
                Outcome::Transient(format!("the server has no JetStream for us now: {said}"))
            }
            _ => Outcome::Transient(format!("the stream {stream}: {error}")),
        }),
    }
}
