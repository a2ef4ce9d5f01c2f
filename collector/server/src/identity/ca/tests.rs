use super::*;
use std::os::unix::fs::PermissionsExt as _;

const NOW: i64 = 1_795_000_000;

fn authority() -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::open_or_create(&folder.path().join("ca"), NOW).expect("a CA");
    (folder, authority)
}

fn request() -> (KeyPair, Vec<u8>) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    // What a forger would ask for: none of it may reach the certificate.
    params.subject_alt_names = vec![SanType::URI(
        agent_uri("south", "a-000000").try_into().expect("a URI"),
    )];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let csr = params.serialize_request(&key).expect("a request");
    (key, csr.der().to_vec())
}

#[test]
fn the_ca_is_made_once_and_its_key_is_its_owners_alone() {
    let (folder, first) = authority();
    let second =
        Authority::open_or_create(&folder.path().join("ca"), NOW + 5).expect("the same CA");
    assert_eq!(first.pin(), second.pin());
    let mode = fs::metadata(folder.path().join("ca/ca.key"))
        .expect("a key")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn half_a_ca_is_not_replaced_but_reported() {
    let (folder, _) = authority();
    fs::remove_file(folder.path().join("ca/ca.key")).expect("removed");
    let error = Authority::open_or_create(&folder.path().join("ca"), NOW).expect_err("half a CA");
    assert!(error.to_string().contains("ca.key"), "{error}");
    assert!(error.to_string().contains("backup"), "{error}");
}

#[test]
fn of_a_signing_request_only_the_key_is_used() {
    let (_folder, authority) = authority();
    let (key, csr) = request();
    let issued = authority
        .sign_agent(&csr, "north", "a-7f3c91", 90, NOW)
        .expect("signed");
    assert_eq!(issued.ends_s, NOW + 90 * 24 * 3600);
    let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).expect("PEM");
    let Some(Peer::Agent(identity)) = Peer::of_certificate(&der) else {
        panic!("the certificate names no agent");
    };
    assert_eq!(
        (identity.site.as_str(), identity.agent.as_str()),
        ("north", "a-7f3c91")
    );
    let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(identity.key_sha256, hex::encode(Sha256::digest(spki)));
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).expect("a certificate");
    assert!(!parsed.is_ca());
}

#[test]
fn a_request_with_a_broken_signature_is_refused() {
    let (_folder, authority) = authority();
    let (_, mut csr) = request();
    let last = csr.len() - 1;
    csr[last] ^= 1;
    for bad in [csr.as_slice(), b"", b"not a request", &[0x30; 20_000]] {
        let error = authority
            .sign_agent(bad, "north", "a-1", 90, NOW)
            .expect_err("refused");
        assert!(
            error.to_string().contains("signing request is refused"),
            "{error}"
        );
    }
}

#[test]
fn a_reader_is_no_agent() {
    let (_folder, authority) = authority();
    let (_, issued) = authority.reader("lakehouse", 365, NOW).expect("signed");
    let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).expect("PEM");
    assert_eq!(
        Peer::of_certificate(&der),
        Some(Peer::Reader("lakehouse".into()))
    );
    assert_eq!(Peer::of_certificate(authority.certificate()), None);
}
