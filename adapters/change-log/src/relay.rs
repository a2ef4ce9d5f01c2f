//! TLS to a PostgreSQL server: the session talks to a socket that only this process can reach, and what comes there goes on encrypted.
//!
//! The session's library has TLS with another cryptographic provider than the agent's, and one process has one. So the connection is made here: first
//! TLS to the server, then a socket in a folder of its own, which takes one connection and is gone.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::net::{TcpStream, UnixListener};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::debug;

use crate::proof::not_taken;
use crate::reader::Trouble;
use crate::server::TlsConfig;

/// How long the server may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long the session may take to come to its socket.
const COMES_MAX: Duration = Duration::from_secs(10);
/// Bytes on the way in each direction.
const BUFFER_BYTES: usize = 64 * 1024;
/// PostgreSQL's request for TLS: length and code (its protocol's message SSLRequest).
const REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// That the server agrees.
const AGREED: u8 = b'S';

/// The folder of a socket that leads to the server. It is gone once the session came, or with this.
pub(crate) struct Relay {
    folder: Arc<TempDir>,
}

impl Relay {
    /// Connects.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub(crate) async fn start(host: &str, port: u16, tls: &TlsConfig) -> Result<Self, Trouble> {
        let made = timeout(ANSWER_MAX, Self::connect(host, port, tls)).await;
        let made = made.unwrap_or_else(|_| {
            Err(format!(
                "the server {host}:{port} did not answer within {} s; look at host, port and firewalls",
                ANSWER_MAX.as_secs()
            ))
        });
        made.map_err(Trouble::Passing)
    }

    async fn connect(host: &str, port: u16, tls: &TlsConfig) -> Result<Self, String> {
        let server = format!("{host}:{port}");
        let failed = |error: io::Error| format!("the server {server}: {error}");
        let (connector, name) = trust(host, tls, DEFAULT_VERSIONS)?;
        let mut stream = TcpStream::connect((host, port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.write_all(&REQUEST).await.map_err(failed)?;
        let answer = stream.read_u8().await.map_err(failed)?;
        if answer != AGREED {
            return Err(format!(
                "the server {server} has no TLS: let the DBA set ssl = on, ssl_cert_file and ssl_key_file, and reload"
            ));
        }
        let called = name.to_str().into_owned();
        let connected = connector.connect(name, stream).await;
        let stream = connected.map_err(|error| not_taken(&server, &called, &error))?;
        let lacks = |error: io::Error| format!("no socket can be made for the session: {error}");
        let folder = private_folder().map_err(lacks)?;
        let listener = UnixListener::bind(socket(folder.path(), port)).map_err(lacks)?;
        let folder = Arc::new(folder);
        tokio::spawn(carry(listener, stream, Arc::clone(&folder)));
        Ok(Self { folder })
    }

    /// The session's host.
    pub(crate) fn host(&self) -> String {
        self.folder.path().display().to_string()
    }
}

/// Only this user may enter it.
fn private_folder() -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("dray-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
}

/// As PostgreSQL's clients name it.
fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// What is trusted, and the name that the server must have.
pub(crate) fn trust(
    host: &str,
    tls: &TlsConfig,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<(TlsConnector, ServerName<'static>), String> {
    let file = tls.ca_file.display();
    let certificates = CertificateDer::pem_file_iter(&tls.ca_file);
    let certificates = certificates.and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| format!("ca_file {file}: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let added = roots.add(certificate);
        added.map_err(|error| format!("ca_file {file}: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("ca_file {file} holds no certificate"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
    let parsed = ServerName::try_from(name.clone());
    let name = parsed.map_err(|_| format!("server_name: \"{name}\" is no name of a server"))?;
    Ok((TlsConnector::from(Arc::new(client)), name))
}

/// Takes the session's connection and carries what comes on either side to the other, until one of them ends.
async fn carry(listener: UnixListener, mut server: TlsStream<TcpStream>, folder: Arc<TempDir>) {
    let Ok(Ok((mut session, _))) = timeout(COMES_MAX, listener.accept()).await else {
        return;
    };
    drop((listener, folder));
    let carried =
        copy_bidirectional_with_sizes(&mut session, &mut server, BUFFER_BYTES, BUFFER_BYTES).await;
    if let Err(error) = carried {
        // The session sees the end of its connection, and says so.
        debug!(%error, "the connection to the server ended");
    }
}
