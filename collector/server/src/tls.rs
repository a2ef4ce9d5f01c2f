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

use crate::identity::{Authority, AuthorityError};

/// How old the server's certificate becomes before it is made anew: a third of its 90 days.
const RENEW_S: i64 = 30 * 24 * 3600;
/// When it is tried again where that failed.
const AGAIN_S: i64 = 3600;

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
    pub(crate) fn new(
        authority: &Authority,
        names: &[String],
        now_s: i64,
    ) -> Result<Self, TlsError> {
        let acceptor = acceptor(authority, names, now_s)?;
        Ok(Self {
            names: names.to_vec(),
            made_s: now_s,
            acceptor,
        })
    }

    /// For the next connection. `now_s`: seconds since 1970-01-01T00:00:00Z.
    pub(crate) fn acceptor(&mut self, authority: &Authority, now_s: i64) -> TlsAcceptor {
        // Also where the clock was set back: what was made in its future is not valid yet.
        if !(0..RENEW_S).contains(&now_s.saturating_sub(self.made_s)) {
            match acceptor(authority, &self.names, now_s) {
                Ok(acceptor) => {
                    self.acceptor = acceptor;
                    self.made_s = now_s;
                }
                Err(error) => {
                    self.made_s = now_s - RENEW_S + AGAIN_S;
                    tracing::error!(%error, "the server's certificate could not be renewed; it is tried again within the hour");
                }
            }
        }
        self.acceptor.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_certificate_is_made_anew_before_it_ends_and_after_the_clock_was_set_back() {
        const NOW: i64 = 1_795_000_000;
        const DAY: i64 = 24 * 3600;
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::open_or_create(&folder.path().join("ca"), NOW).expect("a CA");
        let mut door = Door::new(&authority, &["localhost".into()], NOW).expect("a door");
        let mut last = door.acceptor(&authority, NOW);
        for (day, anew) in [
            (0, false),
            (29, false),
            (30, true),
            (59, false),
            (61, true),
            (60, true),
        ] {
            let acceptor = door.acceptor(&authority, NOW + day * DAY);
            let same = Arc::ptr_eq(last.config(), acceptor.config());
            assert_eq!(!same, anew, "on day {day}");
            last = acceptor;
        }
    }
}
