//! The local socket: who is there is the peer's uid.
//!
//! `data_dir/admin.sock`, mode 0600. Only root and the user that the collector runs as get in; the
//! kernel says who it is (SO_PEERCRED), so the mode is the second lock, not the only one. Where the configuration names
//! operators, the socket stands elsewhere and anybody may knock (mode 0666): the kernel's word alone lets them in.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::core::Stopping;
use crate::identity::Peer;
use crate::incoming::Origin;

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

/// Accepts until the collector stops; others' processes are turned away.
pub(crate) fn accept(
    listener: UnixListener,
    operators: Vec<u32>,
    mut stopping: Stopping,
) -> ReceiverStream<io::Result<LocalConnection>> {
    let (sender, connections) = mpsc::channel(1);
    let own = rustix::process::getuid().as_raw();
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopping.wait() => return,
            };
            let uid = |stream: &UnixStream| stream.peer_cred().map(|peer| peer.uid());
            match accepted.and_then(|(stream, _)| uid(&stream).map(|uid| (stream, uid))) {
                Ok((stream, uid)) if uid == 0 || uid == own || operators.contains(&uid) => {
                    let connection = LocalConnection { stream, uid };
                    if sender.send(Ok(connection)).await.is_err() {
                        return;
                    }
                }
                Ok((_, uid)) => tracing::warn!(
                    uid,
                    "another user's process was turned away from the local socket"
                ),
                Err(error) => tracing::warn!(%error, "a local connection could not be accepted"),
            }
        }
    });
    ReceiverStream::new(connections)
}

/// A connection of root, of our own user or of an operator.
#[derive(Debug)]
pub(crate) struct LocalConnection {
    stream: UnixStream,
    uid: u32,
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
