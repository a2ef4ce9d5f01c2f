//! Services that are reached by TLS, and know who asks by a certificate.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use super::messages::page;
use super::service::Service;
use super::{Driven, Flow, ids};

const REQUEST: &str = "<w:List xmlns:w=\"urn:example:wms\"/>";

/// A certificate that signs itself, and its key: `NAME.crt` and `NAME.key`.
fn make(folder: &Path, name: &str) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("a file");
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
}

fn certificate(folder: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(format!("{name}.crt"))).expect("a certificate")
}

/// A service that lets in who has the certificate `client`.
fn service(folder: &Path) -> Service {
    let provider = Arc::new(ring::default_provider());
    let mut callers = RootCertStore::empty();
    callers.add(certificate(folder, "client")).expect("a root");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(callers), Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![certificate(folder, "server")], key)
        .expect("a server");
    Service::secure(tls, page([1], ""))
}

#[test]
fn both_sides_know_each_other_by_certificates_or_nothing_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["server", "client", "stranger"] {
        make(folder.path(), name);
    }
    let service = service(folder.path());
    let settings = |ca: &str, who: &str| {
        let file = |name: &str| folder.path().join(name).display().to_string();
        format!(
            "tls = {{ ca = '{}', certificate = '{}', key = '{}' }}",
            file(&format!("{ca}.crt")),
            file(&format!("{who}.crt")),
            file(&format!("{who}.key"))
        )
    };
    for (ca, who) in [("stranger", "client"), ("server", "stranger")] {
        let flow = Flow::new(&service, REQUEST, &settings(ca, who));
        let (reason, _) = Driven::open(flow.source(), None).trouble();
        assert!(
            reason.contains("look whether it runs, and at url and tls"),
            "{reason}"
        );
        assert_eq!(service.asked().len(), 0, "{ca}, {who}");
    }
    let flow = Flow::new(&service, REQUEST, &settings("server", "client"));
    let mut source = Driven::open(flow.source(), None);
    assert_eq!(ids(&source.next().expect("a batch")), ["mv-001"]);
    let mixed = settings("server", "client").replace("client.key", "server.key");
    let flow = Flow::new(&service, REQUEST, &mixed);
    let (reason, _) = Driven::open(flow.source(), None).trouble();
    assert!(reason.contains("do not go together"), "{reason}");
}
