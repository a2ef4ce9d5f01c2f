//! Our own certificate authority: it signs the server, the agents and the readers.
//!
//! ```text
//! data_dir/ca/ca.key   PKCS#8 PEM, mode 0600
//! data_dir/ca/ca.pem   the certificate, 10 years
//! ```
//! Both are written in a folder of another name, synced, and moved into place together: there is
//! never half a CA.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::peer::{Peer, agent_uri, reader_uri};

/// How long the CA's certificate is valid.
const CA_DAYS: u32 = 3650;
/// How long the server's is; it is made anew at each start.
const SERVER_DAYS: u32 = 90;
/// How far a peer's clock may be behind ours: a wrong date is a mistake that people make, and a day is its size.
const CLOCK_SKEW: Duration = Duration::from_secs(2 * 24 * 3600);
/// The largest signing request: a P-256 one has about 300 bytes.
const CSR_BYTES_MAX: usize = 16 * 1024;

/// Why the CA can't be used, or does not sign.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// Its files can't be read or written.
    #[error("the CA in {} cannot be used: {reason}", folder.display())]
    Folder {
        /// `data_dir/ca`.
        folder: PathBuf,
        /// A sentence.
        reason: String,
    },
    /// A signing request that isn't one.
    #[error("the certificate signing request is refused: {0}")]
    Request(String),
    /// Making a certificate failed.
    #[error("a certificate could not be made: {0}")]
    Sign(#[from] rcgen::Error),
}

/// A certificate that was just signed.
#[derive(Debug, Clone)]
pub struct Issued {
    /// PEM.
    pub certificate_pem: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub ends_s: i64,
    /// SHA-256 of its public key, hex.
    pub key_sha256: String,
}

/// The CA, opened.
#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Opens the CA in `folder`, or makes it there at the first start.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn open_or_create(folder: &Path, now_s: i64) -> Result<Self, AuthorityError> {
        if !folder.exists() {
            create(folder, now_s).map_err(|reason| AuthorityError::Folder {
                folder: folder.to_owned(),
                reason,
            })?;
        }
        Self::open(folder)
    }

    /// Opens the CA in `folder`.
    ///
    /// # Errors
    /// [`AuthorityError`]; also where there is none.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let broken = |reason: String| AuthorityError::Folder {
            folder: folder.to_owned(),
            reason,
        };
        let read = |name: &str| {
            fs::read_to_string(folder.join(name)).map_err(|error| {
                broken(format!(
                    "{name}: {error}; restore it from a backup, every agent pins it"
                ))
            })
        };
        let certificate_pem = read("ca.pem")?;
        let key = KeyPair::from_pem(&read("ca.key")?)
            .map_err(|error| broken(format!("ca.key: {error}")))?;
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| broken(format!("ca.pem: {error}")))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| broken(format!("ca.pem: {error}")))?;
        Ok(Self {
            certificate,
            certificate_pem,
            issuer,
        })
    }

    /// The CA's certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA's certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// What a token carries: SHA-256 of the certificate's DER.
    #[must_use]
    pub fn pin(&self) -> [u8; 32] {
        Sha256::digest(self.certificate.as_ref()).into()
    }

    /// A fresh key and certificate for the server, with the CA's certificate after it: an agent
    /// that only knows the pin finds it there.
    ///
    /// # Errors
    /// [`AuthorityError::Sign`].
    pub fn server(
        &self,
        names: &[String],
        now_s: i64,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = named("dray collector");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf(&mut params, now_s, SERVER_DAYS);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((
            vec![certificate.der().clone(), self.certificate.clone()],
            key.into(),
        ))
    }

    /// Signs an agent's key. Of the request only the public key is used, and that the request is
    /// signed with it; who the agent is comes from the token.
    ///
    /// # Errors
    /// [`AuthorityError::Request`] where the request isn't one.
    pub fn sign_agent(
        &self,
        csr: &[u8],
        site: &str,
        agent: &str,
        days: u32,
        now_s: i64,
    ) -> Result<Issued, AuthorityError> {
        if csr.len() > CSR_BYTES_MAX {
            return Err(AuthorityError::Request(format!(
                "it has {} bytes, at most {CSR_BYTES_MAX} are read",
                csr.len()
            )));
        }
        let request = CertificateSigningRequestParams::from_der(&csr.into())
            .map_err(|error| AuthorityError::Request(error.to_string()))?;
        self.client(
            &request.public_key,
            &agent_uri(site, agent),
            agent,
            days,
            now_s,
        )
    }

    /// A key (PEM) and certificate for a reader of the feed.
    ///
    /// # Errors
    /// [`AuthorityError::Sign`].
    pub fn reader(
        &self,
        name: &str,
        days: u32,
        now_s: i64,
    ) -> Result<(String, Issued), AuthorityError> {
        let key = KeyPair::generate()?;
        let issued = self.client(&key, &reader_uri(name), name, days, now_s)?;
        Ok((key.serialize_pem(), issued))
    }

    fn client(
        &self,
        key: &impl rcgen::PublicKeyData,
        uri: &str,
        name: &str,
        days: u32,
        now_s: i64,
    ) -> Result<Issued, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let ends_s = leaf(&mut params, now_s, days);
        let certificate = params.signed_by(key, &self.issuer)?;
        let key_sha256 = match Peer::of_certificate(certificate.der()) {
            Some(Peer::Agent(identity)) => identity.key_sha256,
            Some(_) => String::new(),
            None => {
                return Err(AuthorityError::Request(format!(
                    "\"{name}\" cannot stand in a certificate"
                )));
            }
        };
        Ok(Issued {
            certificate_pem: certificate.pem(),
            ends_s,
            key_sha256,
        })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// What all certificates that aren't a CA's have in common; says when they end.
fn leaf(params: &mut CertificateParams, now_s: i64, days: u32) -> i64 {
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    valid(params, now_s, days)
}

fn valid(params: &mut CertificateParams, now_s: i64, days: u32) -> i64 {
    let now = Duration::from_secs(now_s.max(0) as u64);
    let ends = now + Duration::from_secs(u64::from(days) * 24 * 3600);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(CLOCK_SKEW);
    params.not_after = epoch + ends;
    ends.as_secs() as i64
}

fn create(folder: &Path, now_s: i64) -> Result<(), String> {
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!(
        "dray CA {}",
        hex::encode(rand::random::<[u8; 4]>())
    ));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, now_s, CA_DAYS);
    let certificate = params
        .self_signed(&key)
        .map_err(|error| error.to_string())?;
    put_folder(
        folder,
        &[
            ("ca.key", &key.serialize_pem()),
            ("ca.pem", &certificate.pem()),
        ],
    )
    .map_err(|error| error.to_string())
}

/// Makes `folder` with these files, readable by their owner only, all of it or nothing.
fn put_folder(folder: &Path, files: &[(&str, &str)]) -> std::io::Result<()> {
    let parent = folder
        .parent()
        .ok_or_else(|| std::io::Error::other("the folder has no parent"))?;
    let fresh = folder.with_extension("new");
    // A start that was killed here left it; nothing refers to it.
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&fresh)?;
    for (name, content) in files {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(fresh.join(name))?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
    }
    File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, folder)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests;
