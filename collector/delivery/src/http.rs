//! One HTTP request to a target, and what came of it.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dray_proto::EventId;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{Auth, TargetConfig};
use crate::outcome::{Answer, Outcome};

/// How much of an answer's body is read; the connection of a longer one is not used again.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a connection may take to be made, TLS not counted.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an unused connection is kept. Many servers close theirs after 5 s, and a request that meets a
/// closing connection has an unknown outcome.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// A secret's file may have this many bytes.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// The way to a target. Connections are kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    auth: Auth,
    secret: RwLock<Option<HeaderValue>>,
    id_header: Option<HeaderName>,
    timeout: Duration,
}

impl Connection {
    /// Reads the secret and the CA; connects to nothing. Blocks on small files.
    pub(crate) fn new(config: &TargetConfig) -> Result<Self, String> {
        let url: Uri = config
            .url
            .parse()
            .map_err(|_| format!("url: {:?} is not an address", config.url))?;
        let roots = roots(url.scheme_str() == Some("https"), &config.ca_file)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(config.concurrency)
            .build(connector);
        let id_header = (config.batch == 1 && !config.id_header.is_empty())
            .then(|| HeaderName::try_from(config.id_header.as_str()))
            .transpose()
            .map_err(|_| {
                format!(
                    "id_header: {:?} is not the name of a header",
                    config.id_header
                )
            })?;
        let secret = RwLock::new(secret(&config.auth)?);
        Ok(Self {
            client,
            url,
            auth: config.auth.clone(),
            secret,
            id_header,
            timeout: config.timeout,
        })
    }

    /// Sends a body and reads the answer. A 401 reads the secret again, once, and where it changed sends again.
    ///
    /// `first`: the id of the first event, which names the trace.
    pub(crate) async fn post(self: &Arc<Self>, body: Bytes, first: EventId) -> Outcome {
        let used = self.secret();
        let outcome = self.post_as(body.clone(), first, used.clone()).await;
        if !matches!(outcome, Outcome::Auth(_)) || self.auth == Auth::None {
            return outcome;
        }
        let again = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || secret(&again.auth)).await;
        match read {
            Ok(Ok(fresh)) if fresh != used => {
                *self.secret.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
                self.post_as(body, first, fresh).await
            }
            Ok(Err(reason)) => Outcome::Auth(reason),
            _ => outcome,
        }
    }

    /// A bare connection, to see whether anybody listens.
    pub(crate) async fn knock(&self, wait: Duration) -> bool {
        let Some(host) = self.url.host() else {
            return false;
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default = if self.url.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = self.url.port_u16().unwrap_or(default);
        matches!(
            timeout(wait, TcpStream::connect((host, port))).await,
            Ok(Ok(_))
        )
    }

    fn secret(&self) -> Option<HeaderValue> {
        self.secret
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn post_as(&self, body: Bytes, first: EventId, secret: Option<HeaderValue>) -> Outcome {
        let request = match self.request(body, first, secret) {
            Ok(request) => request,
            Err(error) => {
                return Outcome::Misconfigured(format!("no request could be made: {error}"));
            }
        };
        match timeout(self.timeout, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unknown(format!("no whole answer within {:?}", self.timeout)),
        }
    }

    fn request(
        &self,
        body: Bytes,
        first: EventId,
        secret: Option<HeaderValue>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("dray/", env!("CARGO_PKG_VERSION")))
            .header("traceparent", traceparent(first, rand::random()));
        if let Some(name) = &self.id_header {
            request = request.header(name, first.to_string());
        }
        if let Some(secret) = secret {
            request = request.header(AUTHORIZATION, secret);
        }
        request.body(Full::new(body))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Outcome {
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Outcome::Unreachable(format!(
                    "no connection to {}: {}",
                    self.url,
                    chain(&error)
                ));
            }
            Err(error) => {
                return Outcome::Unknown(format!(
                    "the connection broke before the answer: {}",
                    chain(&error)
                ));
            }
        };
        let status = response.status().as_u16();
        let after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        match read_some(response).await {
            Ok(body) => Outcome::of(
                &Answer {
                    status,
                    retry_after: after.as_deref(),
                    body: &body,
                },
                Timestamp::now(),
            ),
            Err(error) => {
                Outcome::Unknown(format!("the answer {status} broke off: {}", chain(&error)))
            }
        }
    }
}

/// The body's beginning, at most [`ANSWER_BYTES_MAX`].
async fn read_some(response: Response<Incoming>) -> Result<Vec<u8>, hyper::Error> {
    let mut body = response.into_body();
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = ANSWER_BYTES_MAX - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() >= room {
                break;
            }
        }
    }
    Ok(kept)
}

/// W3C Trace Context, level 1: the trace is the first event's id, so that every try of an event is in one trace.
fn traceparent(first: EventId, span: u64) -> String {
    format!("00-{first}-{:016x}-01", span.max(1))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !said.contains(&words) {
            said.push_str(": ");
            said.push_str(&words);
        }
        source = inner.source();
    }
    said
}

fn roots(https: bool, ca_file: &Path) -> Result<rustls::RootCertStore, String> {
    let mut roots = rustls::RootCertStore::empty();
    if !https {
        return Ok(roots);
    }
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if !ca_file.as_os_str().is_empty() {
        let wrong = |reason: String| {
            format!(
                "ca_file {}: {reason}; write the path of a PEM file",
                ca_file.display()
            )
        };
        let mut added = 0;
        for certificate in
            CertificateDer::pem_file_iter(ca_file).map_err(|error| wrong(error.to_string()))?
        {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| wrong(error.to_string()))?;
            added += 1;
        }
        if added == 0 {
            return Err(wrong("it holds no certificate".into()));
        }
    }
    if roots.is_empty() {
        return Err(
            "the system has no CA certificates; install ca-certificates or write ca_file".into(),
        );
    }
    Ok(roots)
}

fn secret(auth: &Auth) -> Result<Option<HeaderValue>, String> {
    let (path, text) = match auth {
        Auth::None => return Ok(None),
        Auth::Bearer { token_file } => {
            let token = read_secret("auth.token_file", token_file)?;
            (token_file, format!("Bearer {}", token.trim()))
        }
        Auth::Basic {
            user,
            password_file,
        } => {
            let password = read_secret("auth.password_file", password_file)?;
            let pair = format!("{user}:{}", password.trim_end_matches(['\r', '\n']));
            (password_file, format!("Basic {}", STANDARD.encode(pair)))
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        format!(
            "{} holds a character that no header may hold",
            path.display()
        )
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn read_secret(setting: &str, path: &Path) -> Result<String, String> {
    let read = std::fs::read_to_string(path)
        .map_err(|error| format!("{setting} {}: {error}", path.display()))?;
    if read.trim().is_empty() || read.len() > SECRET_BYTES_MAX {
        return Err(format!(
            "{setting} {}: it is empty or longer than {SECRET_BYTES_MAX} bytes",
            path.display()
        ));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_become_headers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret \n").expect("a file");
        let bearer = Auth::Bearer {
            token_file: path.clone(),
        };
        assert_eq!(
            secret(&bearer).expect("a token").expect("one"),
            "Bearer s3cret"
        );
        let basic = Auth::Basic {
            user: "dray".into(),
            password_file: path.clone(),
        };
        let expected = format!("Basic {}", STANDARD.encode("dray:s3cret "));
        assert_eq!(
            secret(&basic).expect("a password").expect("one"),
            expected.as_str()
        );
        std::fs::write(&path, "\n").expect("a file");
        assert!(
            secret(&bearer)
                .expect_err("empty")
                .contains("auth.token_file")
        );
        std::fs::remove_file(&path).expect("it is there");
        assert!(secret(&bearer).expect_err("gone").contains("No such file"));
    }

    #[test]
    fn a_ca_file_must_hold_certificates() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "no PEM").expect("a file");
        assert!(
            roots(true, &path)
                .expect_err("no PEM")
                .contains("no certificate")
        );
        assert!(roots(true, &folder.path().join("absent")).is_err());
        assert!(roots(false, &path).is_ok());
    }

    #[test]
    fn a_trace_is_named_by_the_first_event() {
        let id = EventId::new([0xAB; 10], 1, 0);
        assert_eq!(
            traceparent(id, 0x1F),
            "00-abababababababababab000000000100-000000000000001f-01"
        );
    }
}
