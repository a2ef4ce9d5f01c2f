//! Who this agent is: a key made here, and the collector's certificate for it.
//!
//! ```text
//! identity/identity.pem   0600: the key, which never leaves this machine; the certificate, which names
//!                         site and agent; the collector's CA
//! ```
//! One file, so that a key never stands beside another key's certificate, whenever the power fails.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::whole;

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
    /// When the certificate begins to be valid: seconds since 1970-01-01T00:00:00Z.
    pub begins_s: i64,
    /// When it ends: likewise.
    pub ends_s: i64,
    /// Where it was read, and where a renewed one is written.
    folder: PathBuf,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) ca: CertificateDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            site: self.site.clone(),
            agent: self.agent.clone(),
            begins_s: self.begins_s,
            ends_s: self.ends_s,
            folder: self.folder.clone(),
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
        Self::parse(folder, &pem)
            .map(Some)
            .map_err(|reason| IdentityError::Content {
                path,
                reason: format!("it is not what enrolling wrote: {reason}"),
            })
    }

    fn parse(folder: &Path, pem: &[u8]) -> Result<Self, String> {
        let said = |error: rustls::pki_types::pem::Error| error.to_string();
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(said)?;
        let mut certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(said)?;
        let ca = certificates.pop();
        let (Some(ca), Some(own)) = (ca, certificates.first()) else {
            return Err("it holds too few certificates".into());
        };
        let named = names(own)?;
        Ok(Self {
            site: named.site,
            agent: named.agent,
            begins_s: named.begins_s,
            ends_s: named.ends_s,
            folder: folder.to_owned(),
            certificates,
            key,
            ca,
        })
    }

    /// The same key with another certificate, and the file that holds both: not written yet.
    ///
    /// # Errors
    /// What is wrong with the certificates, or with the key.
    pub(crate) fn certified(
        &self,
        certificate_pem: &str,
        ca_pem: &str,
    ) -> Result<(Self, String), String> {
        let key = KeyPair::try_from(&self.key).map_err(|error| error.to_string())?;
        let text = [&key.serialize_pem(), certificate_pem, ca_pem].join("\n");
        let made = Self::parse(&self.folder, text.as_bytes())
            .map_err(|reason| format!("the collector's answer is no certificate: {reason}"))?;
        Ok((made, text))
    }

    /// Writes the file that [`Self::certified`] made in place of the one that is there, whole or not at
    /// all.
    ///
    /// # Errors
    /// [`IdentityError::File`]; the old one is still there.
    pub(crate) fn put(&self, text: &str) -> Result<(), IdentityError> {
        let path = self.folder.join(NAME);
        whole::write(&path, text).map_err(|error| IdentityError::File { path, error })
    }

    /// A certificate signing request for the key, DER.
    ///
    /// # Errors
    /// What the cryptography says.
    pub(crate) fn request(&self) -> Result<Vec<u8>, rcgen::Error> {
        signing_request(&KeyPair::try_from(&self.key)?)
    }

    /// A number that is the certificate's own, evenly spread.
    pub(crate) fn dice(&self) -> u8 {
        let own = self.certificates.first();
        own.map_or(0, |own| Sha256::digest(own)[0])
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
        let written = whole::write(&path, &[key_pem, certificate_pem, ca_pem].join("\n"));
        written.map_err(|error| IdentityError::File { path, error })
    }
}

/// What a certificate says of its agent.
struct Named {
    site: String,
    agent: String,
    begins_s: i64,
    ends_s: i64,
}

/// Site and agent from `spiffe://dray/site/SITE/agent/AGENT`, and from when to when.
fn names(certificate: &CertificateDer<'_>) -> Result<Named, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
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
    Ok(Named {
        site: site.to_owned(),
        agent: agent.to_owned(),
        begins_s: parsed.validity().not_before.timestamp(),
        ends_s: parsed.validity().not_after.timestamp(),
    })
}

/// A new key, PEM, and a certificate signing request for it, DER.
///
/// # Errors
/// What the cryptography says.
pub(crate) fn new_key() -> Result<(String, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    Ok((key.serialize_pem(), signing_request(&key)?))
}

fn signing_request(key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let request = CertificateParams::default().serialize_request(key)?;
    Ok(request.der().to_vec())
}
