//! Whom a request trusts, and by which certificate it is known.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::config::PollTlsConfig;

/// Reads what is configured, and the system's CA certificates where they are needed.
pub(super) fn config(
    files: &PollTlsConfig,
    is_https: bool,
) -> Result<rustls::ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if is_https {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(file) = &files.ca {
        for certificate in certificates("tls.ca", file)? {
            let added = roots.add(certificate);
            added.map_err(|error| format!("tls.ca {}: {error}", file.display()))?;
        }
    }
    if is_https && roots.is_empty() {
        return Err("the system has no CA certificates; install ca-certificates or write tls = { ca = \"...\" }".into());
    }
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("tls.certificate", certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        format!(
            "tls.key {}: no private key can be read from it: {error}",
            key.display()
        )
    })?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|error| {
            format!(
                "tls.certificate {} and tls.key {} do not go together: {error}",
                certificate.display(),
                key.display()
            )
        })
}

fn certificates(setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let chain: Vec<_> = read.map_err(|error| {
        format!(
            "{setting} {}: no certificate can be read from it: {error}",
            file.display()
        )
    })?;
    if chain.is_empty() {
        return Err(format!(
            "{setting} {} holds no certificate in PEM",
            file.display()
        ));
    }
    Ok(chain)
}
