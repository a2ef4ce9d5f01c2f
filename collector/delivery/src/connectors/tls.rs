//! How a connection to a target is secured: whom it trusts, and the certificate it shows.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};

use super::trust::roots;
use crate::config::TargetConfig;

/// Reads the CA and the certificate. Blocks.
///
/// # Errors
/// A sentence.
pub(super) fn client(config: &TargetConfig, https: bool) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots(https, &config.ca_file)?);
    if config.cert_file.as_os_str().is_empty() {
        return Ok(tls.with_no_client_auth());
    }
    let shown = Shown::read(&config.cert_file, &config.key_file)?;
    Ok(tls.with_client_cert_resolver(Arc::new(shown)))
}

/// The certificate that we show. Files that were changed are read again at the next connection, so that a renewed
/// certificate needs no restart.
struct Shown {
    cert_file: PathBuf,
    key_file: PathBuf,
    held: RwLock<(Arc<CertifiedKey>, Changed)>,
}

/// When the two files were written.
type Changed = [Option<SystemTime>; 2];

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown({})", self.cert_file.display())
    }
}

impl Shown {
    fn read(cert_file: &Path, key_file: &Path) -> Result<Self, String> {
        let changed = changed(cert_file, key_file);
        Ok(Self {
            cert_file: cert_file.to_owned(),
            key_file: key_file.to_owned(),
            held: RwLock::new((Arc::new(certified(cert_file, key_file)?), changed)),
        })
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let now = changed(&self.cert_file, &self.key_file);
        let (held, of) = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&held.0), held.1)
        };
        if now == of {
            return Some(held);
        }
        match certified(&self.cert_file, &self.key_file) {
            Ok(fresh) => {
                let fresh = Arc::new(fresh);
                let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
                *held = (Arc::clone(&fresh), now);
                Some(fresh)
            }
            Err(reason) => {
                tracing::warn!(
                    reason,
                    "the changed certificate cannot be used, the one before it is shown"
                );
                Some(held)
            }
        }
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn changed(cert_file: &Path, key_file: &Path) -> Changed {
    [cert_file, key_file].map(|file| std::fs::metadata(file).ok()?.modified().ok())
}

fn certified(cert_file: &Path, key_file: &Path) -> Result<CertifiedKey, String> {
    let wrong = |setting: &str, file: &Path, reason: String| {
        format!(
            "{setting} {}: {reason}; write the path of a PEM file",
            file.display()
        )
    };
    let of_cert = |error: String| wrong("cert_file", cert_file, error);
    let of_key = |error: String| wrong("key_file", key_file, error);
    let chain = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| of_cert(error.to_string()))?;
    if chain.is_empty() {
        return Err(of_cert("it holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| of_key(error.to_string()))?;
    let key = any_supported_type(&key).map_err(|error| of_key(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    certified
        .keys_match()
        .map_err(|error| of_key(format!("it is not the certificate's ({error})")))?;
    Ok(certified)
}
