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

use dray_adapter::LoadRequest;
use dray_proto::v1::agent_admin_client::AgentAdminClient;
use dray_proto::v1::agent_admin_server::{AgentAdmin, AgentAdminServer};
use dray_proto::v1::{AgentStatus, AgentStatusRequest, LoadAgainReply, LoadAgainRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::UdsConnectInfo;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::board::Board;
use crate::flow_state::{FlowState, Health};

/// How long a command waits for a running agent.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request is waited for until it stands; then it is said that it does not yet.
const STANDS_WITHIN: Duration = Duration::from_secs(8);
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
        may_ask(&request)?;
        let board = Arc::clone(&self.0);
        let status = tokio::task::spawn_blocking(move || board.status()).await;
        status
            .map(Response::new)
            .map_err(|_| Status::internal("the agent could not look; its log says why"))
    }

    async fn load_again(
        &self,
        request: Request<LoadAgainRequest>,
    ) -> Result<Response<LoadAgainReply>, Status> {
        may_ask(&request)?;
        let LoadAgainRequest {
            flow,
            table,
            cancel,
        } = request.into_inner();
        let state = self.0.flow(&flow).ok_or_else(|| {
            let names: Vec<_> = self.0.flows.iter().map(|state| state.name.flow()).collect();
            Status::not_found(format!(
                "the agent runs no flow \"{flow}\"; it runs: {}",
                names.join(", ")
            ))
        })?;
        let reply = load_again(state, &table, cancel).await;
        reply
            .map(Response::new)
            .map_err(Status::failed_precondition)
    }
}

fn may_ask<T>(request: &Request<T>) -> Result<(), Status> {
    let peer = request
        .extensions()
        .get::<UdsConnectInfo>()
        .and_then(|info| info.peer_cred);
    let own = rustix::process::geteuid().as_raw();
    match peer.is_some_and(|peer| peer.uid() == 0 || peer.uid() == own) {
        true => Ok(()),
        false => Err(Status::permission_denied(format!(
            "only root and user {own}, whom the agent runs as, may ask; use sudo"
        ))),
    }
}

/// Hands a request to the flow's source, and waits until it stands.
async fn load_again(
    state: &FlowState,
    table: &str,
    cancel: bool,
) -> Result<LoadAgainReply, String> {
    let (health, detail) = state.get();
    let bell = match (health, state.bell()) {
        (Health::Stopped, _) => {
            return Err(format!(
                "the flow is stopped ({detail}): mend that, restart the agent, and ask again"
            ));
        }
        (_, None) => {
            return Err("the flow has no source any more: it is not configured".to_owned());
        }
        (_, Some(bell)) => bell,
    };
    let (tell, told) = oneshot::channel();
    // Who asked may be gone by then.
    let answer = move |said| drop(tell.send(said));
    bell.ask(match cancel {
        true => LoadRequest::cancel(table, answer),
        false => LoadRequest::new(table, answer),
    });
    match timeout(STANDS_WITHIN, told).await {
        Ok(Ok(Ok(()))) => Ok(LoadAgainReply {
            stands: true,
            detail: String::new(),
        }),
        Ok(Ok(Err(reason))) => Err(reason),
        Ok(Err(_)) => Err("the flow ended before it could answer: ask again".to_owned()),
        Err(_) => Ok(LoadAgainReply {
            stands: false,
            detail: state.get().1,
        }),
    }
}

/// Asks the agent on `socket` how it is.
///
/// # Errors
/// A [`Status`]; `unavailable` where nobody answers.
pub async fn ask_status(socket: &Path) -> Result<AgentStatus, Status> {
    let mut agent = connect(socket).await?;
    Ok(agent.status(AgentStatusRequest {}).await?.into_inner())
}

/// Asks the agent on `socket` for all rows of a table, or takes that back.
///
/// # Errors
/// A [`Status`]: `unavailable` where nobody answers, or why it can't be done.
pub async fn ask_load_again(
    socket: &Path,
    flow: &str,
    table: &str,
    cancel: bool,
) -> Result<LoadAgainReply, Status> {
    let mut agent = connect(socket).await?;
    let request = LoadAgainRequest {
        flow: flow.to_owned(),
        table: table.to_owned(),
        cancel,
    };
    Ok(agent.load_again(request).await?.into_inner())
}

async fn connect(socket: &Path) -> Result<AgentAdminClient<Channel>, Status> {
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
    Ok(AgentAdminClient::new(channel))
}
