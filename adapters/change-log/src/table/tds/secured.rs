//! TLS to SQL Server. The session's library has TLS with another cryptographic provider than the agent's, and one process has one. So the connection is made
//! here: TLS as the protocol wants it, and then the library is given a way on which all is encrypted already, and told that the server encrypts nothing.
//!
//! That is TLS 1.2: what Microsoft calls strict (TDS 8.0), and TLS 1.3 with it, is not offered.

use std::io;

use rustls::version::TLS12;
use tokio::io::{AsyncWriteExt as _, DuplexStream, copy_bidirectional_with_sizes, duplex};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tracing::debug;

use super::packet::{self, ANSWER, ENCRYPT_ON, NOT_SUPPORTED, REQUIRED, Wrapped};
use crate::reader::Trouble;
use crate::relay::trust;
use crate::server::TlsConfig;

/// Bytes on the way in each direction.
const BUFFER_BYTES: usize = 64 * 1024;

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
    let (_, mut answer) = packet::read(&mut stream).await.map_err(failed)?;
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
    let connected = connector.connect(name, Wrapped::new(stream)).await;
    let mut stream = connected.map_err(|error| {
        format!("the server {server} does not prove who it is: {error}; look at ca_file, and at server_name if its certificate is for another name (one that SQL Server makes by itself proves nothing: give it another)")
    })?;
    stream.get_mut().0.bare();
    let (session, carried) = duplex(BUFFER_BYTES);
    tokio::spawn(async move {
        if let Err(error) = carry(carried, stream, &answer).await {
            // The session sees the end of its connection, and says so.
            debug!(%error, "the connection to the server ended");
        }
    });
    Ok(session)
}

/// Answers what the server answered already, and carries all that follows, until one side ends.
async fn carry(
    mut session: DuplexStream,
    mut server: TlsStream<Wrapped<TcpStream>>,
    answer: &[u8],
) -> io::Result<()> {
    packet::read(&mut session).await?;
    let answer = packet::message(ANSWER, answer);
    session.write_all(&answer).await?;
    copy_bidirectional_with_sizes(&mut session, &mut server, BUFFER_BYTES, BUFFER_BYTES).await?;
    Ok(())
}
