//! The local socket: who is there is the peer's uid.
//!
//! `data_dir/admin.sock`, mode 0600. Only root and the user that the collector runs as get in; the
//! kernel says who it is (SO_PEERCRED), so the mode is the second lock, not the only one. Where the configuration names
//! operators, the socket stands elsewhere and anybody may knock (mode 0666): the kernel's word alone lets them in. Whom it
//! keeps out is told so, and is noted in the audit trail.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Request, Status};

use crate::audit;
use crate::core::Shared;
use crate::identity::Peer;
use crate::incoming::Origin;

/// How long somebody may stay who is told only that he may not ask.
const STRANGER: Duration = Duration::from_secs(5);
/// Such connections at once; more are cut off without a word.
const STRANGERS_MAX: usize = 8;

/// Binds the socket in place of one that a killed collector left. `for_operators`: others than its owner may connect.
pub(crate) fn bind(path: &Path, for_operators: bool) -> io::Result<UnixListener> {
    let fresh = path.with_extension("new");
    for old in [&fresh, &path.to_path_buf()] {
        match std::fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // Nobody can connect under the final name before the mode is right.
    let listener = UnixListener::bind(&fresh)?;
    let mode = if for_operators { 0o666 } else { 0o600 };
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode))?;
    std::fs::rename(&fresh, path)?;
    Ok(listener)
}

/// Accepts until the collector stops. Others' processes get as far as [`admit`], and not for long.
pub(crate) fn accept(
    listener: UnixListener,
    operators: Vec<u32>,
    shared: Arc<Shared>,
) -> ReceiverStream<io::Result<LocalConnection>> {
    let (sender, connections) = mpsc::channel(1);
    let own = rustix::process::getuid().as_raw();
    let mut stopping = shared.stopping();
    let seats = Arc::new(Semaphore::new(STRANGERS_MAX));
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopping.wait() => return,
            };
            let uid = |stream: &UnixStream| stream.peer_cred().map(|peer| peer.uid());
            match accepted.and_then(|(stream, _)| uid(&stream).map(|uid| (stream, uid))) {
                Ok((stream, uid)) => {
                    let is_known = uid == 0 || uid == own || operators.contains(&uid);
                    let stranger = match is_known {
                        true => None,
                        false => {
                            turned_away(&shared, uid);
                            let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
                                continue;
                            };
                            Some(Stranger {
                                ends: Box::pin(tokio::time::sleep(STRANGER)),
                                _seat: seat,
                            })
                        }
                    };
                    let connection = LocalConnection {
                        stream,
                        uid,
                        stranger,
                    };
                    if sender.send(Ok(connection)).await.is_err() {
                        return;
                    }
                }
                Err(error) => tracing::warn!(%error, "a local connection could not be accepted"),
            }
        }
    });
    ReceiverStream::new(connections)
}

/// Why the socket can't stand at `path`, with the way out.
#[must_use]
pub(crate) fn unbound(path: &Path, error: &io::Error) -> String {
    let folder = path.parent().unwrap_or(path).display();
    format!(
        "admin_socket {}: {error}; its folder {folder} must be there, and the user that runs the collector must have the right to write in it",
        path.display()
    )
}

fn turned_away(shared: &Arc<Shared>, uid: u32) {
    tracing::warn!(
        uid,
        "another user's process was turned away from the local socket"
    );
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let who = format!("uid {uid}");
        audit::refused(&shared, &who, "the local socket", "it is no operator's").await;
    });
}

/// Lets in whom the kernel's word lets in; before any service.
///
/// # Errors
/// `permission_denied`, with who it is and what to do.
pub(crate) fn admit(request: Request<()>) -> Result<Request<()>, Status> {
    let (peer, uid) = match request.extensions().get::<Origin>() {
        Some(origin) => (Some(&origin.peer), origin.uid),
        None => (None, None),
    };
    match (peer, uid) {
        (Some(Peer::Local), _) => Ok(request),
        (_, uid) => {
            let who = uid.map_or_else(|| "nobody knows who".into(), |uid| format!("uid {uid}"));
            Err(Status::permission_denied(format!(
                "{who} is not in operators: ask as one who is, as root (sudo) or as the user that runs the collector; or add it to operators in the collector's configuration, and restart it"
            )))
        }
    }
}

/// A connection over the socket.
#[derive(Debug)]
pub(crate) struct LocalConnection {
    stream: UnixStream,
    uid: u32,
    /// `None`: it is root's, our own user's or an operator's.
    stranger: Option<Stranger>,
}

#[derive(Debug)]
struct Stranger {
    ends: Pin<Box<Sleep>>,
    _seat: OwnedSemaphorePermit,
}

impl Connected for LocalConnection {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        Origin {
            peer: match self.stranger {
                None => Peer::Local,
                Some(_) => Peer::Unknown,
            },
            address: None,
            uid: Some(self.uid),
        }
    }
}

impl AsyncRead for LocalConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(stranger) = &mut self.stranger
            && stranger.ends.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for LocalConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
