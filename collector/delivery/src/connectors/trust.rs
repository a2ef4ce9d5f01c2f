//! Whom a target's connection trusts: the system's authorities, and the target's own.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// A secret's file may have this many bytes.
pub(super) const SECRET_BYTES_MAX: usize = 64 * 1024;

/// TLS with these authorities, and no certificate of ours.
pub(super) fn client(ca_file: &Path) -> Result<rustls::ClientConfig, String> {
    with_roots(roots(true, ca_file)?)
}

/// The same with authorities that were read.
pub(super) fn with_roots(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The authorities; none where there is no TLS.
pub(super) fn roots(https: bool, ca_file: &Path) -> Result<rustls::RootCertStore, String> {
    let mut roots = rustls::RootCertStore::empty();
    if !https {
        return Ok(roots);
    }
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if !ca_file.as_os_str().is_empty() {
        let wrong = |reason: String| {
            format!(
                "ca_file {}: {reason}; write the path of a PEM file",
                ca_file.display()
            )
        };
        let mut added = 0;
        for certificate in
            CertificateDer::pem_file_iter(ca_file).map_err(|error| wrong(error.to_string()))?
        {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| wrong(error.to_string()))?;
            added += 1;
        }
        if added == 0 {
            return Err(wrong("it holds no certificate".into()));
        }
    }
    if roots.is_empty() {
        return Err(
            "the system has no CA certificates; install ca-certificates or write ca_file".into(),
        );
    }
    Ok(roots)
}

/// A file's content, which must be some.
pub(super) fn read_secret(setting: &str, path: &Path) -> Result<String, String> {
    let read = std::fs::read_to_string(path)
        .map_err(|error| format!("{setting} {}: {error}", path.display()))?;
    if read.trim().is_empty() || read.len() > SECRET_BYTES_MAX {
        return Err(format!(
            "{setting} {}: it is empty or longer than {SECRET_BYTES_MAX} bytes",
            path.display()
        ));
    }
    Ok(read)
}

/// A password: a line break at its end is not of it.
pub(super) fn read_password(setting: &str, path: &Path) -> Result<String, String> {
    let read = read_secret(setting, path)?;
    Ok(read.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_must_hold_certificates() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "no PEM").expect("a file");
        assert!(
            roots(true, &path)
                .expect_err("no PEM")
                .contains("no certificate")
        );
        assert!(roots(true, &folder.path().join("absent")).is_err());
        assert!(roots(false, &path).is_ok());
    }
}
