//! The local socket on which a running agent answers its commands.
//!
//! Who may ask: root, and whoever the agent runs as; the peer's uid says who asks (unix(7),
//! SO_PEERCRED), and the socket's mode keeps others from connecting at all.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dray_proto::v1::agent_admin_client::AgentAdminClient;
use dray_proto::v1::agent_admin_server::{AgentAdmin, AgentAdminServer};
use dray_proto::v1::{AgentStatus, AgentStatusRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::UdsConnectInfo;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::board::Board;

/// How long a command waits for a running agent.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams on one connection: commands ask one thing at a time.
const STREAMS_MAX: u32 = 8;

/// The socket, bound and kept until the agent ends.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds it, in place of one that a killed agent left behind.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] where another agent answers on it.
    pub async fn bind(path: &Path) -> io::Result<Self> {
        if path.exists() {
            if UnixStream::connect(path).await.is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Answers until `shutdown` is done, then takes the socket away.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn serve(
        self,
        board: Arc<Board>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let incoming = UnixListenerStream::new(self.listener);
        let served = Server::builder()
            .max_concurrent_streams(STREAMS_MAX)
            .timeout(ANSWER_TIMEOUT)
            .add_service(AgentAdminServer::new(Answers(board)))
            .serve_with_incoming_shutdown(incoming, shutdown)
            .await;
        let _ = fs::remove_file(&self.path);
        served
    }
}

struct Answers(Arc<Board>);

#[tonic::async_trait]
impl AgentAdmin for Answers {
    async fn status(
        &self,
        request: Request<AgentStatusRequest>,
    ) -> Result<Response<AgentStatus>, Status> {
        let peer = request
            .extensions()
            .get::<UdsConnectInfo>()
            .and_then(|info| info.peer_cred);
        let own = rustix::process::geteuid().as_raw();
        if !peer.is_some_and(|peer| peer.uid() == 0 || peer.uid() == own) {
            return Err(Status::permission_denied(format!(
                "only root and user {own}, whom the agent runs as, may ask; use sudo"
            )));
        }
        let board = Arc::clone(&self.0);
        let status = tokio::task::spawn_blocking(move || board.status()).await;
        status
            .map(Response::new)
            .map_err(|_| Status::internal("the agent could not look; its log says why"))
    }
}

/// Asks the agent on `socket` how it is.
///
/// # Errors
/// A [`Status`]; `unavailable` where nobody answers.
pub async fn ask_status(socket: &Path) -> Result<AgentStatus, Status> {
    let socket = socket.to_owned();
    let connect = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The address is never used: the connector above knows the only one.
    let endpoint = Endpoint::from_static("http://agent.local").timeout(ANSWER_TIMEOUT);
    let channel = endpoint
        .connect_with_connector(connect)
        .await
        .map_err(|error| {
            use std::error::Error as _;
            let cause = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            Status::unavailable(cause)
        })?;
    let answer = AgentAdminClient::new(channel)
        .status(AgentStatusRequest {})
        .await?;
    Ok(answer.into_inner())
}
