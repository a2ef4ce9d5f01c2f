//! Whom a request trusts, and by which certificate it is known.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;

use super::config::PollTlsConfig;
use crate::pem;

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
        pem::trust(&mut roots, "tls.ca", file)?;
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
    let chain = pem::certificates("tls.certificate", certificate)?;
    let secret = pem::private_key("tls.key", key)?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|error| pem::mismatch(certificate, key, &error))
}
