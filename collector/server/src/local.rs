//! The local socket: who is there is the peer's uid.
//!
//! `data_dir/admin.sock`, mode 0600. Only root and the user that the collector runs as get in; the
//! kernel says who it is (SO_PEERCRED), so the mode is the second lock, not the only one. Where the configuration names
//! operators, the socket stands elsewhere and anybody may knock (mode 0666): the kernel's word alone lets them in.

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

use crate::core::Stopping;
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

/// Accepts until the collector stops; others' processes are turned away, and who has [`CONNECTIONS_MAX`] already.
pub(crate) fn accept(
    listener: UnixListener,
    operators: Vec<u32>,
    stopping: Stopping,
) -> ReceiverStream<io::Result<LocalConnection>> {
    accept_by(listener, Porter::new(operators, GREETING), stopping)
}

fn accept_by(
    listener: UnixListener,
    mut porter: Porter,
    mut stopping: Stopping,
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
                    if let Some(connection) = porter.let_in(stream, uid)
                        && sender.send(Ok(connection)).await.is_err()
                    {
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
            return None;
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
            greeting: Some(Greeting {
                ends: Box::pin(tokio::time::sleep(self.greeting)),
                missing: PREFACE_BYTES,
            }),
            _seat: seat,
        })
    }

    fn failed(&mut self, error: &io::Error) {
        if let Some(unsaid) = self.failures.happened(Instant::now()) {
            tracing::warn!(%error, unsaid, "a local connection could not be accepted");
        }
    }
}

/// A connection of root, of our own user or of an operator.
#[derive(Debug)]
pub(crate) struct LocalConnection {
    stream: UnixStream,
    uid: u32,
    greeting: Option<Greeting>,
    _seat: OwnedSemaphorePermit,
}

/// The first bytes, which every client of ours sends at once. Later on HTTP/2's pings find out who is gone.
#[derive(Debug)]
struct Greeting {
    ends: Pin<Box<Sleep>>,
    missing: usize,
}

impl Connected for LocalConnection {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        Origin {
            peer: Peer::Local,
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
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(greeting) = &mut self.greeting else {
            return read;
        };
        let came = buffer.filled().len() - before;
        greeting.missing = greeting.missing.saturating_sub(came);
        if greeting.missing == 0 {
            self.greeting = None;
        } else if greeting.ends.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
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
        let mut connections = accept_by(listener, porter, stopping);
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
