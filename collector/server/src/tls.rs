//! The server's half of TLS.
//!
//! TLS 1.3 only, one provider (ring). A client certificate is asked for and, if shown, must be of
//! our CA; without one only enrolment is open. No session tickets: each connection shows its
//! certificate, so that a revoked one cannot come back by resumption.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::core::{Shared, now_s};
use crate::identity::{Authority, AuthorityError};

/// How old the server's certificate becomes before it is made anew: a third of its 90 days.
const RENEW_S: i64 = 30 * 24 * 3600;

/// Why the door does not open.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    /// The server's certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// rustls refuses the set-up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// The server's half of TLS.
///
/// # Errors
/// [`TlsError`].
fn acceptor(authority: &Authority, names: &[String], now_s: i64) -> Result<TlsAcceptor, TlsError> {
    let (chain, key) = authority.server(names, now_s)?;
    let config = server_config(authority.certificate(), chain, key).map_err(TlsError::Setup)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn server_config(
    ca: &CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<rustls::ServerConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).map_err(|error| error.to_string())?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| error.to_string())?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// An acceptor whose certificate never ends while the collector runs.
pub(crate) struct Door {
    names: Vec<String>,
    made_s: i64,
    acceptor: TlsAcceptor,
}

impl Door {
    /// With a first certificate.
    pub(crate) fn new(authority: &Authority, names: &[String]) -> Result<Self, TlsError> {
        let made_s = now_s();
        let acceptor = acceptor(authority, names, made_s)?;
        Ok(Self {
            names: names.to_vec(),
            made_s,
            acceptor,
        })
    }

    /// For the next connection.
    pub(crate) fn acceptor(&mut self, shared: &Shared) -> TlsAcceptor {
        let now_s = now_s();
        if now_s.saturating_sub(self.made_s) >= RENEW_S {
            self.made_s = now_s;
            match acceptor(&shared.authority, &self.names, now_s) {
                Ok(acceptor) => self.acceptor = acceptor,
                Err(error) => {
                    tracing::error!(%error, "the server's certificate could not be renewed; restart the collector")
                }
            }
        }
        self.acceptor.clone()
    }
}
