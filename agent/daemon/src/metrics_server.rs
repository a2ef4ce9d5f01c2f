//! The metrics page over HTTP.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::board::Board;

/// Pages served at once; who comes later waits.
pub const CONNECTIONS_MAX: usize = 16;
/// How long a reader may take to ask.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one connection lives: a scrape is one request.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, board: Arc<Board>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, mostly: it passes when connections end.
                debug!(%error, "metrics: a connection was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let board = Arc::clone(&board);
        tokio::spawn(async move {
            let _permit = permit;
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection(stream, board)).await;
        });
    }
}

async fn connection(stream: TcpStream, board: Arc<Board>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&board)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "metrics: a connection ended");
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    board: Arc<Board>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, page) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            match tokio::task::spawn_blocking(move || board.metrics_page()).await {
                Ok(Ok(page)) => (StatusCode::OK, page),
                _ => (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    b"the metrics could not be written\n".to_vec(),
                ),
            }
        }
        _ => (
            StatusCode::NOT_FOUND,
            b"the metrics are at /metrics\n".to_vec(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(page)));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    Ok(response)
}
