//! The way to a running collector: its local socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dray_proto::shown::lines;
use dray_proto::v1::collector_admin_client::CollectorAdminClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use crate::config::Config;
use crate::failure::Failure;

/// How long the collector may take to take the connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer: an event of 16 MiB as JSON, or a page of dead letters.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The commands' client.
pub(super) async fn connect(config: &Config) -> Result<CollectorAdminClient<Channel>, Failure> {
    Ok(
        CollectorAdminClient::new(channel(&config.admin_socket()).await?)
            .max_decoding_message_size(ANSWER_BYTES_MAX),
    )
}

/// A channel over the socket at `path`.
pub(super) async fn channel(path: &Path) -> Result<Channel, Failure> {
    // Tried by hand first: the kernel's own words say more than the channel's.
    if let Err(error) = UnixStream::connect(path).await {
        return Err(unreachable(path, &error));
    }
    let socket: PathBuf = path.to_owned();
    // The address is never dialled; HTTP/2 wants one.
    let endpoint = Endpoint::from_static("http://dray.local").connect_timeout(CONNECT);
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(socket).await?)) }
    });
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|error| {
            Failure::Unreachable(format!(
                "the collector at {} does not answer: {error}",
                path.display()
            ))
        })
}

fn unreachable(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::Unreachable(match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "{path}: uid {} may not ask: only root, the user that runs the collector and those that its configuration names as operators may; use sudo",
                rustix::process::getuid().as_raw()
            )
        }
        _ => format!(
            "no collector answers at {path} ({error}); is it running, and is --config the file that it runs with?"
        ),
    })
}

/// What the collector said instead of an answer.
pub(super) fn said(status: Status) -> Failure {
    match status.code() {
        Code::Unavailable => {
            let why = lines(status.message());
            Failure::Unreachable(format!("the collector went away: {why}"))
        }
        _ => Failure::Failed(lines(status.message())),
    }
}
