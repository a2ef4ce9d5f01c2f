//! TLS to SQL Server. The session's library has TLS with another cryptographic provider than the agent's, and one process has one. So the connection is made
//! here: TLS as the protocol wants it, and then the library is given a way on which all is encrypted already, and told that the server encrypts nothing.
//!
//! That is TLS 1.2: what Microsoft calls strict (TDS 8.0), and TLS 1.3 with it, is not offered.

use std::io;
use std::time::Duration;

use rustls::version::TLS12;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex, split,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::packet::{self, ANSWER, ENCRYPT_ON, NOT_SUPPORTED, REQUIRED, Wrapped};
use crate::proof::not_taken;
use crate::reader::Trouble;
use crate::relay::trust;
use crate::server::TlsConfig;

/// Bytes on the way in each direction.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long one side may take to take what the other sent.
const TAKES_MAX: Duration = Duration::from_secs(300);

/// Connects.
///
/// # Errors
/// A sentence with the way out.
pub(super) async fn connect(
    host: &str,
    port: u16,
    tls: &TlsConfig,
) -> Result<DuplexStream, Trouble> {
    secure(host, port, tls).await.map_err(Trouble::Passing)
}

async fn secure(host: &str, port: u16, tls: &TlsConfig) -> Result<DuplexStream, String> {
    let server = format!("{host}:{port}");
    let failed = |error: io::Error| format!("the server {server}: {error}");
    let (connector, name) = trust(host, tls, &[&TLS12])?;
    let mut stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    stream.write_all(&packet::ask()).await.map_err(failed)?;
    let (_, mut answer) = packet::read(&mut stream).await.map_err(|error| {
        format!("the server {server} does not answer in TDS: {error}; look at host and port, and whether it takes strict encryption (TDS 8.0) alone, which the agent does not have")
    })?;
    let said = packet::encryption(&answer);
    match said.map(|at| answer[at]) {
        Some(ENCRYPT_ON | REQUIRED) => {}
        _ => {
            return Err(format!(
                "the server {server} offers no encryption: give it a certificate in SQL Server's network configuration, and restart it"
            ));
        }
    }
    if let Some(at) = said {
        answer[at] = NOT_SUPPORTED;
    }
    let called = name.to_str().into_owned();
    let connected = connector.connect(name, Wrapped::new(stream)).await;
    let mut stream = connected.map_err(|error| not_taken(&server, &called, &error))?;
    stream.get_mut().0.bare();
    let (session, carried) = duplex(BUFFER_BYTES);
    tokio::spawn(async move {
        if let Err(error) = carry(carried, stream, &answer, TAKES_MAX).await {
            // The session sees the end of its connection, and says so.
            debug!(%error, "the connection to the server ended");
        }
    });
    Ok(session)
}

/// Answers what the server answered already, and carries all that follows, until one side ends: what the other still has to say then is for nobody.
async fn carry(
    mut session: DuplexStream,
    server: impl AsyncRead + AsyncWrite,
    answer: &[u8],
    takes_max: Duration,
) -> io::Result<()> {
    timeout(takes_max, packet::read(&mut session)).await??;
    let answer = packet::message(ANSWER, answer);
    session.write_all(&answer).await?;
    let (mut from_session, mut to_session) = split(session);
    let (mut from_server, mut to_server) = split(server);
    tokio::select! {
        ended = forward(&mut from_session, &mut to_server, takes_max) => ended,
        ended = forward(&mut from_server, &mut to_session, takes_max) => ended,
    }
}

/// Carries one way. Nothing may come for as long as it likes: a session may have nothing to ask for hours. What comes is to be taken.
async fn forward(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    takes_max: Duration,
) -> io::Result<()> {
    let mut bytes = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        let taken = async {
            to.write_all(&bytes[..read]).await?;
            to.flush().await
        };
        timeout(takes_max, taken).await??;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Carries between a session and a server; both their ends.
    async fn carried(
        takes_max: Duration,
    ) -> (
        DuplexStream,
        DuplexStream,
        tokio::task::JoinHandle<io::Result<()>>,
    ) {
        let ((mut session, near), (server, far)) = (duplex(1_024), duplex(1_024));
        let carries = tokio::spawn(async move { carry(near, far, &[7], takes_max).await });
        session.write_all(&packet::ask()).await.expect("it listens");
        let answered = packet::read(&mut session).await.expect("an answer");
        assert_eq!(answered, (ANSWER, vec![7]));
        (session, server, carries)
    }

    #[tokio::test]
    async fn what_is_carried_ends_with_either_side_whatever_the_other_one_does() {
        let (mut session, mut server, carries) = carried(TAKES_MAX).await;
        session.write_all(b"asked").await.expect("it listens");
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes).await.expect("bytes");
        assert_eq!(&bytes, b"asked");
        drop(session);
        // The server's side is open, and silent.
        let ended = carries.await.expect("no panic");
        assert!(ended.is_ok(), "{ended:?}");
        let (mut session, mut server, carries) = carried(TAKES_MAX).await;
        server.write_all(b"last").await.expect("it listens");
        drop(server);
        assert!(carries.await.expect("no panic").is_ok());
        let mut rest = Vec::new();
        session.read_to_end(&mut rest).await.expect("bytes");
        assert_eq!(rest, b"last");
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_any_more_is_given_up() {
        let (mut session, _server, carries) = carried(Duration::from_millis(50)).await;
        // More than is on the way: it waits for the server.
        let written = session.write_all(&[0; 256 * 1_024]).await;
        assert!(written.is_err(), "the connection ended");
        let ended = carries.await.expect("no panic");
        let kind = ended.expect_err("nobody takes it").kind();
        assert_eq!(kind, io::ErrorKind::TimedOut);
    }
}
