//! HTTP requests to a target: how they are made, sent and read. Who is calling is put on by
//! [`Connection`], in front of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::header::{CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use ::http::{HeaderMap, Method, Request, Response, Uri};
use bytes::Bytes;
use cookie_store::CookieStore;
use dray_proto::EventId;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::apart::apart;
use super::sign_in::{Got, Hidden, SignIn, Worn, csrf};
use super::{place, tls};
use crate::account::Account;
use crate::answer::Answer;
use crate::config::{TargetConfig, Timeliness};
use crate::outcome::Outcome;

pub(crate) use super::connection::Connection;

/// How much of an answer's body is read, where it is that of one request; the connection of a longer one is not used again.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a connection may take to be made, TLS not counted.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Cookies that a target may set; all are forgotten where it sets more.
pub const COOKIES_MAX: usize = 50;
/// How long an unused connection is kept. Many servers close theirs after 5 s, and a request that meets a
/// closing connection has an unknown outcome.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// The way to a target. Connections are kept alive.
#[derive(Debug)]
pub(crate) struct Wire {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    pub(super) url: Uri,
    /// Where no connection could be made last: a sign-in may be at another host than the target.
    unreached: Mutex<Option<Uri>>,
    timeout: Duration,
    /// Where a session may stand in them.
    cookies: Option<Arc<Mutex<CookieStore>>>,
    /// Whose limits hold.
    account: Option<Arc<Account>>,
    timeliness: Timeliness,
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
    /// How much of the answer's body is read.
    pub(crate) answer_max: usize,
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
            answer_max: ANSWER_BYTES_MAX,
        }
    }
}

/// A whole answer, its body cut at [`Ask::answer_max`].
#[derive(Debug)]
pub(crate) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// What the request wore; `None` where it was sent again already.
    pub(super) worn: Option<Got<Worn>>,
}

impl Reply {
    pub(crate) fn answer(&self) -> Answer<'_> {
        Answer::new(self.status, &self.headers, &self.body)
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Takes what nobody may read out of it, but for what gives us another token or cookie.
    fn hide(&mut self, hidden: &Hidden) {
        hidden.take_from(&mut self.body);
        for (name, value) in &mut self.headers {
            let mut bytes = value.as_bytes().to_vec();
            if *name == SET_COOKIE || *name == csrf::TOKEN || !hidden.take_from(&mut bytes) {
                continue;
            }
            if let Ok(made) = HeaderValue::from_bytes(&bytes) {
                *value = made;
            }
        }
    }
}

impl Wire {
    /// Reads the CA; connects to nothing. Blocks on small files.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn new(
        config: &TargetConfig,
        account: Option<Arc<Account>>,
        sign_in: &SignIn,
    ) -> Result<Self, String> {
        let url: Uri = config
            .url
            .parse()
            .map_err(|_| format!("url: {:?} is not an address", config.url))?;
        let https = url.scheme_str() == Some("https") || sign_in.needs_roots();
        let tls = tls::client(config, https)?;
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
        let cookies = (config.csrf.is_some() || sign_in.keeps_cookies()).then(|| {
            let shared = account.as_ref().map(|account| account.cookies());
            shared.unwrap_or_default()
        });
        Ok(Self {
            client,
            url,
            unreached: Mutex::default(),
            timeout: config.timeout,
            cookies,
            account,
            timeliness: config.timeliness,
        })
    }

    /// Sends a request in these credentials and reads the answer.
    ///
    /// # Errors
    /// The outcome where no whole answer came.
    pub(super) async fn ask_as(
        &self,
        ask: &Ask,
        worn: &Worn,
        token: Option<&HeaderValue>,
    ) -> Result<Reply, Outcome> {
        let mut request = self.request(ask)?;
        if worn.put(&mut request, &ask.body, ask.event).is_none() {
            return Err(Outcome::Misconfigured(
                "sign-in: the request could not be signed: its address has no host, or a name holds what no header may hold".into(),
            ));
        }
        if let Some(token) = token {
            request.headers_mut().insert(csrf::TOKEN, token.clone());
        }
        let mut sent = self.cookie_values();
        let mut reply = self.send(request, ask.answer_max).await?;
        sent.extend(self.cookie_values());
        sent.extend(token.map(|token| String::from_utf8_lossy(token.as_bytes()).into_owned()));
        let all = [worn.hidden().clone(), Hidden::of(sent)];
        let body_bytes = reply.body.len();
        let hide = move || {
            all.iter().for_each(|hidden| reply.hide(hidden));
            reply
        };
        Ok(apart(body_bytes, hide).await)
    }

    /// A request without credentials.
    ///
    /// # Errors
    /// The outcome where it cannot be made.
    pub(super) fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, Outcome> {
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
        let made = request.body(Full::new(ask.body.clone()));
        made.map_err(|error| Outcome::Misconfigured(format!("no request could be made: {error}")))
    }

    /// Sends it, in its account's turn, with the target's cookies, and keeps those that it sets. The time limit begins with
    /// the turn.
    ///
    /// # Errors
    /// The outcome where no whole answer came.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        answer_max: usize,
    ) -> Result<Reply, Outcome> {
        let _permit = match &self.account {
            Some(account) => Some(account.enter(self.timeliness).await),
            None => None,
        };
        let url = self
            .cookies
            .as_ref()
            .and_then(|_| Url::parse(&request.uri().to_string()).ok());
        if let Some(cookies) = url.as_ref().and_then(|url| self.cookies_for(url)) {
            request.headers_mut().insert(COOKIE, cookies);
        }
        let reply = timeout(self.timeout, self.exchange(request, answer_max)).await;
        let reply = reply.unwrap_or_else(|_| {
            Err(Outcome::Unknown(format!(
                "no whole answer within {:?}",
                self.timeout
            )))
        })?;
        if let Some(url) = url {
            self.keep_cookies(&reply.headers, &url);
        }
        Ok(reply)
    }

    /// Those that a session has set.
    pub(super) fn forget_cookies(&self) {
        if let Some(cookies) = &self.cookies {
            cookies
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
    }

    /// What no answer may repeat of them.
    fn cookie_values(&self) -> Vec<String> {
        let Some(store) = &self.cookies else {
            return Vec::new();
        };
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        store
            .iter_any()
            .map(|cookie| cookie.value().to_owned())
            .collect()
    }

    fn cookies_for(&self, url: &Url) -> Option<HeaderValue> {
        let store = self
            .cookies
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let pairs = store.get_request_values(url);
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut value = HeaderValue::try_from(pairs.join("; ")).ok()?;
        value.set_sensitive(true);
        (!value.is_empty()).then_some(value)
    }

    fn keep_cookies(&self, headers: &HeaderMap, url: &Url) {
        let Some(store) = &self.cookies else {
            return;
        };
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        for set in headers.get_all(SET_COOKIE) {
            if let Ok(set) = set.to_str() {
                // One that is none, or for another host, is not ours to keep.
                let _ = store.parse(set, url);
            }
        }
        if store.iter_any().count() > COOKIES_MAX {
            store.clear();
        }
    }

    /// A call's address: absolute, or relative to the target's as a browser would have it.
    ///
    /// # Errors
    /// A sentence: it is no address, or it leads out of its place or to another host, where our secrets must not go.
    pub(crate) fn resolve(&self, relative: &str) -> Result<Uri, String> {
        let wrong = |reason: &str| format!("the call's url {relative:?} {reason}");
        if let Some(reason) = place::leads_out(relative) {
            return Err(wrong(reason));
        }
        let uri = if relative.contains("://") {
            relative.parse().ok()
        } else {
            let path = self.url.path();
            let folder = match (relative.as_bytes().first(), path.rfind('/')) {
                (Some(b'?'), _) => path,
                (Some(b'/'), _) | (_, None) => "",
                (_, Some(end)) => &path[..=end],
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

    /// A bare connection to where none could be made, to see whether anybody listens.
    pub(super) async fn knock(&self, wait: Duration) -> bool {
        let unreached = self.unreached().clone();
        let url = unreached.unwrap_or_else(|| self.url.clone());
        let Some(host) = url.host() else {
            return false;
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default = if url.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = url.port_u16().unwrap_or(default);
        matches!(
            timeout(wait, TcpStream::connect((host, port))).await,
            Ok(Ok(_))
        )
    }

    fn unreached(&self) -> MutexGuard<'_, Option<Uri>> {
        self.unreached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        answer_max: usize,
    ) -> Result<Reply, Outcome> {
        let url = request.uri().clone();
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                // What a call asks for may hold what an event says.
                let is_ours = url.authority() == self.url.authority();
                let shown = if is_ours { &self.url } else { &url };
                let said = format!("no connection to {shown}: {}", chain(&error));
                *self.unreached() = Some(url);
                Outcome::Unreachable(said)
            } else {
                Outcome::Unknown(format!(
                    "the connection broke before the answer: {}",
                    chain(&error)
                ))
            }
        })?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        match read_some(response, answer_max).await {
            Ok(body) => Ok(Reply {
                status,
                headers,
                body,
                worn: None,
            }),
            Err(error) => Err(Outcome::Unknown(format!(
                "the answer {status} broke off: {}",
                chain(&error)
            ))),
        }
    }
}

/// The body's beginning, at most so much.
async fn read_some(response: Response<Incoming>, max: usize) -> Result<Vec<u8>, hyper::Error> {
    let mut body = response.into_body();
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = max - kept.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calls_address_stays_on_the_targets_host() {
        let config: TargetConfig =
            toml::from_str("name = \"erp\"\nurl = \"https://erp.example:8443/api/items\"")
                .expect("a table");
        let config = TargetConfig {
            url: config.url.replace("https", "http"),
            ..config
        };
        let connection = Connection::new(&config, None);
        let connection = connection.expect("an address");
        for (relative, expected) in [
            ("orders?a=b", Some("http://erp.example:8443/api/orders?a=b")),
            ("/orders/1", Some("http://erp.example:8443/orders/1")),
            ("?a=b", Some("http://erp.example:8443/api/items?a=b")),
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
    fn a_trace_is_named_by_the_first_event() {
        let id = EventId::new([0xAB; 10], 1, 0);
        assert_eq!(
            traceparent(id, 0x1F),
            "00-abababababababababab000000000100-000000000000001f-01"
        );
    }
}
