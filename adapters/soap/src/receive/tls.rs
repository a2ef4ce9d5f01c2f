//! The endpoint's TLS, with or without certificates of its callers.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dray_adapter::{CallOutcome, Calls};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::TlsConfig;
use super::noted::note;
use crate::fresh::Fresh;
use crate::pem;

/// How long a handshake may take, and its first byte to come.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// For each connection what the files hold by then.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn acceptors(config: &TlsConfig) -> Result<Arc<Fresh<TlsAcceptor>>, String> {
    let config = config.clone();
    let files = [&config.certificate, &config.key].into_iter();
    let files: Vec<_> = files.chain(&config.client_ca).cloned().collect();
    Fresh::new(files, move || acceptor(&config)).map(Arc::new)
}

fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(ring::default_provider());
    let chain = pem::certificates("tls.certificate", &config.certificate)?;
    let key = pem::private_key("tls.key", &config.key)?;
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            pem::trust(&mut roots, "tls.client_ca", file)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build().map_err(|error| error.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let server = builder
        .with_single_cert(chain, key)
        .map_err(|error| pem::mismatch(&config.certificate, &config.key, &error))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// A connection that is let in. One that is not is noted.
pub(super) async fn handshake(
    stream: TcpStream,
    peer: IpAddr,
    acceptor: &TlsAcceptor,
    calls: &Calls,
) -> Option<TlsStream<TcpStream>> {
    // Who only looks whether the port is open does not call.
    let first = timeout(HANDSHAKE, stream.peek(&mut [0])).await;
    if !matches!(first, Ok(Ok(1))) {
        return None;
    }
    let (outcome, reason) = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        // What rustls says is wrong, here or in the caller's alert.
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => (
            CallOutcome::Denied,
            format!(
                "the TLS handshake failed: {error}; look at the caller's certificate and tls.client_ca, and whether the caller trusts tls.certificate"
            ),
        ),
        Ok(Err(error)) => (
            CallOutcome::Broken,
            format!(
                "the connection ended in the TLS handshake: {error}; does the caller trust tls.certificate?"
            ),
        ),
        Err(_) => (
            CallOutcome::Broken,
            "the TLS handshake took too long".to_owned(),
        ),
    };
    note(calls, peer, outcome, &reason);
    None
}
