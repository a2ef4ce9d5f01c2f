//! HTTP requests to a target.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use ::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dray_proto::EventId;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Exchange, KEPT_BYTES_MAX};
use crate::answer::Answer;
use crate::config::{Auth, TargetConfig};
use crate::outcome::Outcome;

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
    timeout: Duration,
}

/// A request to be made.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// `None`: the target's own.
    pub(crate) url: Option<Uri>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// The event that names the trace.
    pub(crate) event: EventId,
}

impl Ask {
    /// Without a body, to the target's own address.
    pub(crate) fn new(method: Method, event: EventId) -> Self {
        Self {
            method,
            url: None,
            headers: Vec::new(),
            body: Bytes::new(),
            event,
        }
    }
}

/// A whole answer, its body cut at [`ANSWER_BYTES_MAX`].
#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn answer(&self) -> Answer<'_> {
        Answer::new(self.status, &self.headers, &self.body)
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }
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
        let secret = RwLock::new(secret(&config.auth)?);
        Ok(Self {
            client,
            url,
            auth: config.auth.clone(),
            secret,
            timeout: config.timeout,
        })
    }

    /// Sends a request and reads the answer. A 401 reads the secret again, once, and where it changed sends again.
    ///
    /// # Errors
    /// The outcome where no whole answer came.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Reply, Outcome> {
        let used = self.secret();
        let reply = self.ask_as(ask, used.clone()).await?;
        if !matches!(reply.status, 401 | 407) || self.auth == Auth::None {
            return Ok(reply);
        }
        let auth = self.auth.clone();
        match tokio::task::spawn_blocking(move || secret(&auth)).await {
            Ok(Ok(fresh)) if fresh != used => {
                *self.secret.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
                self.ask_as(ask, fresh).await
            }
            Ok(Err(reason)) => Err(Outcome::Auth(reason)),
            _ => Ok(reply),
        }
    }

    /// A call's address: absolute, or relative to the target's as a browser would have it.
    ///
    /// # Errors
    /// A sentence: it is no address, or it leads to another host, where our secrets must not go.
    pub(crate) fn resolve(&self, relative: &str) -> Result<Uri, String> {
        let wrong = |reason: &str| format!("the call's url {relative:?} {reason}");
        let uri = if relative.contains("://") {
            relative.parse().ok()
        } else {
            let folder = match (relative.starts_with('/'), self.url.path().rfind('/')) {
                (false, Some(end)) => &self.url.path()[..=end],
                _ => "",
            };
            let mut parts = self.url.clone().into_parts();
            parts.path_and_query = format!("{folder}{relative}").parse().ok();
            Uri::from_parts(parts).ok()
        };
        let uri =
            uri.ok_or_else(|| wrong("is not an address; values in it need the filter urlencode"))?;
        if uri.authority() != self.url.authority() || uri.scheme() != self.url.scheme() {
            return Err(wrong("leads to another host than the target's url"));
        }
        Ok(uri)
    }

    /// A request as it would be sent, without what says who we are.
    pub(crate) fn shown(&self, ask: &Ask) -> String {
        let mut shown = format!("{} {}", ask.method, ask.url.as_ref().unwrap_or(&self.url));
        for (name, value) in &ask.headers {
            let value = value.to_str().unwrap_or("(not text)");
            shown += &format!("\n{name}: {value}");
        }
        if !ask.body.is_empty() {
            shown += "\n\n";
            shown += &String::from_utf8_lossy(&ask.body);
        }
        shown
    }

    /// What a dead letter keeps of a request and its answer.
    pub(crate) fn exchange(&self, ask: &Ask, reply: &Reply) -> Exchange {
        let kept = |head: String, body: &[u8]| {
            let body = String::from_utf8_lossy(&body[..body.len().min(KEPT_BYTES_MAX)]);
            let mut whole = format!("{head}\n{body}");
            whole.truncate(whole.floor_char_boundary(KEPT_BYTES_MAX));
            whole.trim_end().to_owned()
        };
        let status = StatusCode::from_u16(reply.status).ok();
        let phrase = status
            .and_then(|status| status.canonical_reason())
            .unwrap_or("");
        let url = ask.url.as_ref().unwrap_or(&self.url);
        Exchange {
            request: kept(format!("{} {url}", ask.method), &ask.body),
            answer: kept(format!("{} {phrase}", reply.status), &reply.body),
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

    async fn ask_as(&self, ask: &Ask, secret: Option<HeaderValue>) -> Result<Reply, Outcome> {
        let request = self.request(ask, secret).map_err(|error| {
            Outcome::Misconfigured(format!("no request could be made: {error}"))
        })?;
        match timeout(self.timeout, self.send(request)).await {
            Ok(reply) => reply,
            Err(_) => Err(Outcome::Unknown(format!(
                "no whole answer within {:?}",
                self.timeout
            ))),
        }
    }

    fn request(
        &self,
        ask: &Ask,
        secret: Option<HeaderValue>,
    ) -> Result<Request<Full<Bytes>>, ::http::Error> {
        let url = ask.url.as_ref().unwrap_or(&self.url);
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(url.clone())
            .header(USER_AGENT, concat!("dray/", env!("CARGO_PKG_VERSION")))
            .header("traceparent", traceparent(ask.event, rand::random()));
        if !ask.body.is_empty() && !ask.headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(secret) = secret {
            request = request.header(AUTHORIZATION, secret);
        }
        request.body(Full::new(ask.body.clone()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, Outcome> {
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                Outcome::Unreachable(format!("no connection to {}: {}", self.url, chain(&error)))
            } else {
                Outcome::Unknown(format!(
                    "the connection broke before the answer: {}",
                    chain(&error)
                ))
            }
        })?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        match read_some(response).await {
            Ok(body) => Ok(Reply {
                status,
                headers,
                body,
            }),
            Err(error) => Err(Outcome::Unknown(format!(
                "the answer {status} broke off: {}",
                chain(&error)
            ))),
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
    fn a_calls_address_stays_on_the_targets_host() {
        let config: TargetConfig =
            toml::from_str("name = \"erp\"\nurl = \"https://erp.example:8443/api/items\"")
                .expect("a table");
        let connection = Connection::new(&TargetConfig {
            url: config.url.replace("https", "http"),
            ..config
        });
        let connection = connection.expect("an address");
        for (relative, expected) in [
            ("orders?a=b", Some("http://erp.example:8443/api/orders?a=b")),
            ("/orders/1", Some("http://erp.example:8443/orders/1")),
            (
                "http://erp.example:8443/x",
                Some("http://erp.example:8443/x"),
            ),
            ("http://evil.example/x", None),
            ("https://erp.example:8443/x", None),
            ("orders?a=b c", None),
        ] {
            let resolved = connection.resolve(relative).map(|uri| uri.to_string());
            assert_eq!(resolved.ok().as_deref(), expected, "{relative}");
        }
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
