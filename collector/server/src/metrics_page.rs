//! Where Prometheus reads: HTTP/1.1, `/metrics`, on an address of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::core::{Shared, ask};
use crate::targets;

/// Connections at once.
const CONNECTIONS_MAX: usize = 32;
/// How long a request's head may take, and a connection may last.
const HEAD: Duration = Duration::from_secs(5);
const CONNECTION: Duration = Duration::from_secs(60);
/// How long to wait after `accept` failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the collector stops.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stopping = shared.stopping();
    loop {
        let next = async {
            let seat = Arc::clone(&room).acquire_owned().await;
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            next = next => next,
            () = stopping.wait() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let _seat = seat;
                    if tokio::time::timeout(CONNECTION, connection(stream, shared))
                        .await
                        .is_err()
                    {
                        tracing::debug!("a reader of metrics stayed too long");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a reader of metrics could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = hyper::service::service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&request, &shared).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a reader of metrics went away");
    }
}

async fn answer(request: &Request<Incoming>, shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    let page = |status, text: Vec<u8>| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            hyper::header::HeaderValue::from_static("text/plain; version=0.0.4"),
        );
        response
    };
    if request.method() != Method::GET || request.uri().path() != "/metrics" {
        return page(
            StatusCode::NOT_FOUND,
            b"only GET /metrics is here\n".to_vec(),
        );
    }
    match text(shared).await {
        Ok(text) => page(StatusCode::OK, text),
        Err(reason) => page(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{reason}\n").into_bytes(),
        ),
    }
}

/// Brings the gauges up to date and writes all metrics.
async fn text(shared: &Arc<Shared>) -> Result<Vec<u8>, String> {
    let metrics = &shared.metrics;
    let (bytes, bytes_max) = shared.store.log_bytes();
    metrics.log_bytes.set(bytes as i64);
    metrics.log_bytes_max.set(bytes_max as i64);
    metrics.agents_connected.set(shared.uplinks.count() as i64);
    for flow in shared.store.flows() {
        let newest = shared.store.held(&flow).newest_offset.0;
        metrics
            .newest_offset
            .with_label_values(&[flow.as_str()])
            .set(newest as i64);
    }
    let consumers = ask(&shared.store, targets::consumers)
        .await
        .map_err(|error| error.to_string())?;
    metrics.consumer_backlog.reset();
    for consumer in consumers {
        metrics
            .consumer_backlog
            .with_label_values(&[&consumer.consumer])
            .set(consumer.backlog as i64);
    }
    let mut text = metrics.text().map_err(|error| error.to_string())?;
    shared.targets.put_metrics(&mut text).await;
    Ok(text.into_bytes())
}
