//! Certificates and keys in files of PEM. Sentences name the setting and the file.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate, and those that lead to its CA.
pub(crate) fn certificates(
    setting: &str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let chain: Vec<_> = read.map_err(|error| unreadable(setting, file, "certificate", &error))?;
    if chain.is_empty() {
        return Err(format!(
            "{setting} {} holds no certificate in PEM",
            file.display()
        ));
    }
    Ok(chain)
}

/// A private key.
pub(crate) fn private_key(setting: &str, file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| unreadable(setting, file, "private key", &error))
}

/// Adds a file's certificates to those that are trusted.
pub(crate) fn trust(roots: &mut RootCertStore, setting: &str, file: &Path) -> Result<(), String> {
    for certificate in certificates(setting, file)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("{setting} {}: {error}", file.display()))?;
    }
    Ok(())
}

/// Why a certificate can't be shown with a key.
pub(crate) fn mismatch(certificate: &Path, key: &Path, error: &rustls::Error) -> String {
    format!(
        "tls.certificate {} and tls.key {} do not go together: {error}",
        certificate.display(),
        key.display()
    )
}

fn unreadable(setting: &str, file: &Path, what: &str, error: &Error) -> String {
    format!(
        "{setting} {}: no {what} can be read from it: {error}",
        file.display()
    )
}
