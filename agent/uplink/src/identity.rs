//! Who this agent is: a key made here, and the collector's certificate for it.
//!
//! ```text
//! identity/identity.pem   0600: the key, which never leaves this machine; the certificate, which names
//!                         site and agent; the collector's CA
//! ```
//! One file, so that a key never stands beside another key's certificate, whenever the power fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const NAME: &str = "identity.pem";

/// Why an identity can't be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A file can't be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// An enrolled agent's identity.
#[derive(Debug)]
pub struct Identity {
    /// The site that the certificate names.
    pub site: String,
    /// The agent's id within it.
    pub agent: String,
    /// When the certificate ends: seconds since 1970-01-01T00:00:00Z.
    pub ends_s: i64,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) ca: CertificateDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            site: self.site.clone(),
            agent: self.agent.clone(),
            ends_s: self.ends_s,
            certificates: self.certificates.clone(),
            key: self.key.clone_key(),
            ca: self.ca.clone(),
        }
    }
}

impl Identity {
    /// Reads the identity; `None` if this agent was never enrolled.
    ///
    /// # Errors
    /// [`IdentityError`] names the file.
    pub fn load(folder: &Path) -> Result<Option<Self>, IdentityError> {
        let path = folder.join(NAME);
        let pem = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| IdentityError::File {
                path: path.clone(),
                error,
            })?,
        };
        let wrong = |reason: &dyn std::fmt::Display| IdentityError::Content {
            path: path.clone(),
            reason: format!("it is not what enrolling wrote: {reason}"),
        };
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(&error))?;
        let mut certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&error))?;
        let ca = certificates.pop();
        let (Some(ca), Some(own)) = (ca, certificates.first()) else {
            return Err(wrong(&"it holds too few certificates"));
        };
        let (site, agent, ends_s) = names(own).map_err(|reason| wrong(&reason))?;
        Ok(Some(Self {
            site,
            agent,
            ends_s,
            certificates,
            key,
            ca,
        }))
    }

    /// Writes a new identity in place of the one that is there, whole or not at all.
    ///
    /// # Errors
    /// [`IdentityError::File`]; the old one is still there.
    pub fn save(
        folder: &Path,
        key_pem: &str,
        certificate_pem: &str,
        ca_pem: &str,
    ) -> Result<(), IdentityError> {
        let path = folder.join(NAME);
        let written = write(
            folder,
            &path,
            &[key_pem, certificate_pem, ca_pem].join("\n"),
        );
        written.map_err(|error| IdentityError::File { path, error })
    }
}

fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let hidden = folder.join(format!(".{NAME}"));
    match fs::remove_file(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&hidden)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&hidden, path)?;
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Site and agent from `spiffe://dray/site/SITE/agent/AGENT`, and the end.
fn names(certificate: &CertificateDer<'_>) -> Result<(String, String, i64), String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let ends_s = parsed.validity().not_after.timestamp();
    let alternatives = parsed
        .subject_alternative_name()
        .map_err(|error| error.to_string())?;
    let alternatives = alternatives
        .map(|found| found.value.general_names.as_slice())
        .unwrap_or_default();
    let uri = alternatives.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix("spiffe://dray/site/"),
        _ => None,
    });
    let (site, agent) = uri
        .and_then(|rest| rest.split_once("/agent/"))
        .ok_or("the certificate names no site and agent")?;
    Ok((site.to_owned(), agent.to_owned(), ends_s))
}

/// A new key, PEM, and a certificate signing request for it, DER.
///
/// # Errors
/// What the cryptography says.
pub(crate) fn new_key() -> Result<(String, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let request = CertificateParams::default().serialize_request(&key)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}
