//! The local socket: who is there is the peer's uid.
//!
//! `data_dir/admin.sock`, mode 0600. Only root and the user that the collector runs as get in; the
//! kernel says who it is (SO_PEERCRED), so the mode is the second lock, not the only one. Where the configuration names
//! operators, the socket stands elsewhere and anybody may knock (mode 0666): the kernel's word alone lets them in. Whom it
//! keeps out is told so, and is noted in the audit trail.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dray_delivery::seldom::Seldom;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Request, Status};

use crate::audit;
use crate::core::{Shared, Stopping};
use crate::identity::Peer;
use crate::incoming::Origin;

/// Connections of one user at once: more commands than a person runs, `tail --follow` among them.
const CONNECTIONS_MAX: usize = 32;
/// How long a connection may take to say what it is; a client of ours says so at once.
const GREETING: Duration = Duration::from_secs(10);
/// Bytes of HTTP/2's preface (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
/// How long to wait after `accept` failed, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long somebody may stay who is told only that he may not ask.
const STRANGER: Duration = Duration::from_secs(5);
/// Such connections at once; more are cut off without a word.
const STRANGERS_MAX: usize = 8;
/// How often the log says that somebody was turned away.
const TOLD_EVERY: Duration = Duration::from_secs(10);

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

/// Accepts until the collector stops. Others' processes get as far as [`admit`], and not for long; who has
/// [`CONNECTIONS_MAX`] already is turned away.
pub(crate) fn accept(
    listener: UnixListener,
    operators: Vec<u32>,
    shared: Arc<Shared>,
) -> ReceiverStream<io::Result<LocalConnection>> {
    let stopping = shared.stopping();
    let note = move |uid: u32| {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let who = format!("uid {uid}");
            audit::refused(&shared, &who, "the local socket", "it is no operator's").await;
        });
    };
    accept_by(listener, Porter::new(operators, GREETING), stopping, note)
}

fn accept_by(
    listener: UnixListener,
    mut porter: Porter,
    mut stopping: Stopping,
    note: impl Fn(u32) + Send + 'static,
) -> ReceiverStream<io::Result<LocalConnection>> {
    let (sender, connections) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopping.wait() => return,
            };
            let uid = |stream: &UnixStream| stream.peer_cred().map(|peer| peer.uid());
            match accepted.and_then(|(stream, _)| uid(&stream).map(|uid| (stream, uid))) {
                Ok((stream, uid)) => {
                    let Some(connection) = porter.let_in(stream, uid) else {
                        continue;
                    };
                    if matches!(connection.stay, Stay::Stranger(_)) {
                        note(uid);
                    }
                    if sender.send(Ok(connection)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    porter.failed(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    ReceiverStream::new(connections)
}

/// Who may come in, and what is said of those who may not: anybody can knock as often as he likes.
struct Porter {
    own: u32,
    greeting: Duration,
    operators: Vec<u32>,
    /// Of those who may, by uid.
    seats: HashMap<u32, Arc<Semaphore>>,
    /// Of all others.
    stools: Arc<Semaphore>,
    strangers: Seldom,
    crowds: Seldom,
    failures: Seldom,
}

impl Porter {
    fn new(operators: Vec<u32>, greeting: Duration) -> Self {
        Self {
            greeting,
            own: rustix::process::getuid().as_raw(),
            operators,
            seats: HashMap::new(),
            stools: Arc::new(Semaphore::new(STRANGERS_MAX)),
            strangers: Seldom::every(TOLD_EVERY),
            crowds: Seldom::every(TOLD_EVERY),
            failures: Seldom::every(TOLD_EVERY),
        }
    }

    fn let_in(&mut self, stream: UnixStream, uid: u32) -> Option<LocalConnection> {
        if uid != 0 && uid != self.own && !self.operators.contains(&uid) {
            if let Some(unsaid) = self.strangers.happened(Instant::now()) {
                tracing::warn!(
                    uid,
                    unsaid,
                    "another user's process was turned away from the local socket"
                );
            }
            let seat = Arc::clone(&self.stools).try_acquire_owned().ok()?;
            return Some(LocalConnection {
                stream,
                uid,
                stay: Stay::Stranger(Box::pin(tokio::time::sleep(STRANGER))),
                _seat: seat,
            });
        }
        let seats = self.seats.entry(uid);
        let seats = seats.or_insert_with(|| Arc::new(Semaphore::new(CONNECTIONS_MAX)));
        let Ok(seat) = Arc::clone(seats).try_acquire_owned() else {
            if let Some(unsaid) = self.crowds.happened(Instant::now()) {
                tracing::warn!(
                    uid,
                    unsaid,
                    max = CONNECTIONS_MAX,
                    "a user has too many connections to the local socket; one more was turned away"
                );
            }
            return None;
        };
        Some(LocalConnection {
            stream,
            uid,
            stay: Stay::Greets {
                ends: Box::pin(tokio::time::sleep(self.greeting)),
                missing: PREFACE_BYTES,
            },
            _seat: seat,
        })
    }

    fn failed(&mut self, error: &io::Error) {
        if let Some(unsaid) = self.failures.happened(Instant::now()) {
            tracing::warn!(%error, unsaid, "a local connection could not be accepted");
        }
    }
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
    stay: Stay,
    _seat: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Stay {
    /// Root's, our own user's or an operator's, before the first bytes, which every client of ours sends at once.
    Greets {
        ends: Pin<Box<Sleep>>,
        missing: usize,
    },
    /// After them. HTTP/2's pings find out who is gone.
    Stays,
    /// Somebody else's, until then.
    Stranger(Pin<Box<Sleep>>),
}

impl Connected for LocalConnection {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        Origin {
            peer: match self.stay {
                Stay::Stranger(_) => Peer::Unknown,
                Stay::Greets { .. } | Stay::Stays => Peer::Local,
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
        let this = &mut *self;
        if let Stay::Stranger(ends) = &mut this.stay
            && ends.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Stay::Greets { ends, missing } = &mut this.stay {
            *missing = missing.saturating_sub(buffer.filled().len() - before);
            if *missing == 0 {
                this.stay = Stay::Stays;
            } else if ends.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Stop;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_stream::StreamExt as _;

    #[tokio::test]
    async fn one_user_has_so_many_connections_and_who_says_nothing_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.sock");
        let listener = bind(&path, false).expect("a socket");
        let (_stop, stopping) = Stop::new();
        let greeting = Duration::from_millis(500);
        let porter = Porter::new(Vec::new(), greeting);
        let mut connections = accept_by(listener, porter, stopping, |_| {});
        let connect = || UnixStream::connect(&path);
        let (mut clients, mut held) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS_MAX {
            clients.push(connect().await.expect("it listens"));
            held.push(connections.next().await.expect("it runs").expect("let in"));
        }
        let mut late = connect().await.expect("it listens");
        let mut buffer = [0; 32];
        assert_eq!(late.read(&mut buffer).await.expect("an end"), 0);
        drop(held.pop());
        let _next = connect().await.expect("it listens");
        held.push(connections.next().await.expect("it runs").expect("let in"));

        let mut greeted = held.swap_remove(0);
        let mut client = clients.swap_remove(0);
        client.write_all(&[1; PREFACE_BYTES]).await.expect("bytes");
        assert_eq!(
            greeted.read(&mut buffer).await.expect("bytes"),
            PREFACE_BYTES
        );
        let mut silent = held.swap_remove(0);
        let cut = silent.read(&mut buffer).await.expect_err("nobody speaks");
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        let quiet = tokio::time::timeout(greeting * 2, greeted.read(&mut buffer)).await;
        assert!(
            quiet.is_err(),
            "who has greeted may be quiet: tail --follow"
        );
    }
}
