//! The way to a service: HTTP/1.1, kept alive, with or without TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName,
    LOCATION, RETRY_AFTER, USER_AGENT,
};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::fmt::rfc2822;

use super::answer::Head;
use super::failure::{Cause, Failure};
use super::page::disk;
use super::secrets::Secrets;
use super::service::Service;
use super::tls;
use crate::content::{Collector, Content};
use crate::envelope::Version;
use crate::unpacking::{Unpacking, is_misread};

/// How long a connection may take to be made, TLS not counted.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an unused connection is kept: long enough from page to page. Many servers close theirs after 5 s.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// Connections are kept alive.
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// Reads certificates; connects to nothing.
    pub(super) fn new(service: &Service) -> Result<Self, String> {
        let is_https = service.url.scheme_str() == Some("https");
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(&service.config.tls, is_https)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { pool })
    }

    /// Sends a request and takes the whole answer, unpacked; its `Content-Type` too.
    pub(super) async fn ask(
        &self,
        service: &Service,
        message: String,
        secrets: &Secrets,
    ) -> Result<(Head, Content, String), Failure> {
        let timeout = service.config.timeout;
        match tokio::time::timeout(timeout, self.exchange(service, message, secrets)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::new(
                Cause::Away,
                format!(
                    "{} has given no whole answer within {timeout:?}: if that is how long it needs, raise timeout",
                    service.config.url
                ),
            )),
        }
    }

    async fn exchange(
        &self,
        service: &Service,
        message: String,
        secrets: &Secrets,
    ) -> Result<(Head, Content, String), Failure> {
        let request = request(service, message, secrets).map_err(|error| {
            Failure::new(
                Cause::Refused,
                format!("no request can be made: {error}; look at action"),
            )
        })?;
        let response = self.pool.request(request).await.map_err(|error| {
            let what = if error.is_connect() {
                "can't be reached"
            } else {
                "broke the connection off"
            };
            let reason = format!(
                "{} {what}: {}; look whether it runs, and at url and tls",
                service.config.url,
                chain(&error)
            );
            Failure::new(Cause::Away, reason)
        })?;
        let text = |name: HeaderName| header(response.headers(), &name);
        let head = Head {
            status: response.status().as_u16(),
            location: text(LOCATION),
            retry_after: text(RETRY_AFTER),
            served: text(DATE)
                .and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok()),
        };
        let content_type = text(CONTENT_TYPE).unwrap_or_default();
        let content = body(service, response).await?;
        Ok((head, content, content_type))
    }
}

fn request(
    service: &Service,
    message: String,
    secrets: &Secrets,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let action = &service.config.action;
    let mut content_type = service.version.content_type().to_owned();
    let mut request = Request::post(service.url.clone())
        .header(USER_AGENT, concat!("dray/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT_ENCODING, "gzip");
    match service.version {
        // Section 6.1.1 of its note: the header must be there, and quoted.
        Version::V11 => request = request.header("SOAPAction", format!("\"{action}\"")),
        Version::V12 if action.is_empty() => {}
        Version::V12 => content_type += &format!("; action=\"{action}\""),
    }
    if let Some(secret) = &secrets.authorization {
        request = request.header(AUTHORIZATION, secret);
    }
    request
        .header(CONTENT_TYPE, content_type)
        .body(Full::new(Bytes::from(message)))
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Packed and unpacked, it stays within the limit.
async fn body(service: &Service, response: Response<Incoming>) -> Result<Content, Failure> {
    let bytes_max = service.config.limits.message_bytes_max.as_u64();
    let collector = Collector::new(bytes_max, Arc::clone(&service.folder));
    let failed = |error: &io::Error| unpacking(error, service);
    let coding = header(response.headers(), &CONTENT_ENCODING);
    let unpacking = Unpacking::new(coding.as_deref().map(str::as_bytes), collector);
    let mut unpacking = unpacking.ok_or_else(|| {
        let other = coding.unwrap_or_default();
        let reason = format!(
            "the answer is packed as {other}, and only gzip was accepted: ask who runs the service"
        );
        Failure::new(Cause::Answer, reason)
    })?;
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let reason = format!(
                "the answer broke off: {}; if it lasts, ask who runs the service",
                chain(&error)
            );
            Failure::new(Cause::Away, reason)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        bytes += data.len() as u64;
        if bytes > bytes_max {
            return Err(failed(&io::ErrorKind::FileTooLarge.into()));
        }
        unpacking.push(&data).map_err(|error| failed(&error))?;
    }
    unpacking.finish().map_err(|error| failed(&error))
}

/// What went wrong while an answer was unpacked and kept.
pub(super) fn unpacking(error: &io::Error, service: &Service) -> Failure {
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            let most = service.config.limits.message_bytes_max;
            Failure::new(
                Cause::Answer,
                format!(
                    "the answer is larger than {most}: raise limits.message_bytes_max, or ask for less at a time with pages"
                ),
            )
        }
        _ if is_misread(error) => Failure::new(
            Cause::Answer,
            format!("the answer can't be unpacked: {error}; ask who runs the service"),
        ),
        _ => Failure::new(Cause::Here, disk(error)),
    }
}

/// An error and what is behind it.
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
