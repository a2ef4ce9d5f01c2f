//! A CA as the collector's, and what it signs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dray_uplink::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PublicKeyData, SanType, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

/// The last year in which a certificate of ours is valid.
pub(crate) const VALID: i32 = 2090;
/// One that has passed.
pub(crate) const ENDED: i32 = 2020;

pub(crate) struct Ca {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pin(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// What a collector of this name accepts connections with: agents of our CA, and strangers.
    pub(crate) fn door(&self, name: &str, last_year: i32) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_after = date_time_ymd(last_year, 1, 1);
        let own = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let chain = vec![own.der().clone(), self.certificate.clone()];
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.send_tls13_tickets = 0;
        TlsAcceptor::from(Arc::new(config))
    }

    /// PEM, for a signing request.
    pub(crate) fn answer(&self, csr: &[u8], site: &str, agent: &str) -> String {
        self.answer_until(csr, site, agent, start_of(VALID))
    }

    pub(crate) fn answer_until(&self, csr: &[u8], site: &str, agent: &str, ends_s: u64) -> String {
        let request = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        self.sign(&request.public_key, site, agent, ends_s)
    }

    /// Writes an agent's identity into the folder, as enrolling does, and reads it.
    pub(crate) fn identity(&self, folder: &Path, last_year: i32) -> Identity {
        self.identity_until(folder, start_of(last_year))
    }

    /// The same, to the second. It began in 1975: two thirds of its life may be over.
    pub(crate) fn identity_until(&self, folder: &Path, ends_s: u64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = self.sign(&key, "north", "a-1", ends_s);
        Identity::save(folder, &key.serialize_pem(), &certificate, &self.pem).unwrap();
        Identity::load(folder).unwrap().unwrap()
    }

    fn sign(&self, key: &impl PublicKeyData, site: &str, agent: &str, ends_s: u64) -> String {
        let uri = format!("spiffe://dray/site/{site}/agent/{agent}");
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(ends_s);
        params.signed_by(key, &self.issuer).unwrap().pem()
    }
}

/// Seconds since 1970-01-01T00:00:00Z.
fn start_of(year: i32) -> u64 {
    date_time_ymd(year, 1, 1).unix_timestamp() as u64
}

/// In this many seconds.
pub(crate) fn ends_in(seconds: u64) -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + seconds
}
