//! The endpoint's TLS, with or without certificates of its callers.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::TlsConfig;

/// Reads what is configured.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&config.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&config.key)
        .map_err(|error| unreadable(&config.key, "private key", &error))?;
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("{}: {error}", file.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.build().map_err(|error| error.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let server = builder.with_single_cert(chain, key).map_err(|error| {
        format!(
            "{} and {} do not go together: {error}",
            config.certificate.display(),
            config.key.display()
        )
    })?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let chain: Vec<_> = read.map_err(|error| unreadable(file, "certificate", &error))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate in PEM", file.display()));
    }
    Ok(chain)
}

fn unreadable(file: &Path, what: &str, error: &rustls::pki_types::pem::Error) -> String {
    format!("{}: no {what} can be read from it: {error}", file.display())
}
