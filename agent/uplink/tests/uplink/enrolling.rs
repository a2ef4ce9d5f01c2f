//! From a token to an identity that connects.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use dray_buffer::MemoryBuffer;
use dray_proto::token::Token;
use dray_uplink::{EnrolError, Identity, enrol};
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tonic::Status;

use crate::agent::{Agent, put};
use crate::certificates::{Ca, VALID};
use crate::collector::Collector;

fn token(pin: [u8; 32]) -> Token {
    Token {
        secret: [7; 32],
        ca_sha256: pin,
    }
}

const NAME: &str = "identity.pem";

fn mode(folder: &Path) -> u32 {
    fs::metadata(folder.join(NAME))
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| named(entry.unwrap()))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_token_makes_an_identity_that_is_read_again_and_connects() {
    let collector = Collector::start().await;
    collector.enrols(Ok(()));
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("identity");
    assert!(Identity::load(&folder).unwrap().is_none(), "never enrolled");
    let token = token(collector.ca.pin());
    let made = enrol(&collector.address, &token, &folder).await.unwrap();
    assert_eq!((made.site.as_str(), made.agent.as_str()), ("north", "a-7"));
    assert_eq!(collector.seen.borrow().secrets, [token.secret_text()]);
    assert_eq!(mode(&folder), 0o600);
    let pem = fs::read(folder.join(NAME)).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let key = KeyPair::try_from(&key).unwrap();
    let csr = collector.seen.borrow().requests[0].clone();
    let der = key.serialize_der();
    assert!(
        contains(&csr, key.der_bytes()),
        "its public half was signed"
    );
    assert!(
        !csr.windows(32)
            .any(|part| contains(&der[..der.len() / 2], part)),
        "the key stays"
    );

    let read = Identity::load(&folder).unwrap().unwrap();
    assert_eq!(
        (&read.site, &read.agent, read.ends_s),
        (&made.site, &made.agent, made.ends_s)
    );
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[1]).await;
    let agent = Agent::start_as(read, &collector.address, &buffer, &["a"]);
    collector
        .until("a block", |seen| (!seen.blocks.is_empty()).then_some(()))
        .await;
    agent.stop().await;
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_collector_that_is_not_the_tokens_never_sees_the_token() {
    let other = Ca::new("other");
    let collector = Collector::start().await;
    collector.enrols(Ok(()));
    let folder = tempfile::tempdir().unwrap();
    let failed = enrol(&collector.address, &token(other.pin()), folder.path()).await;
    let Err(EnrolError::Link(why)) = failed else {
        panic!("{failed:?}")
    };
    assert!(
        why.contains("not from the CA that this agent trusts"),
        "{why}"
    );
    assert!(collector.seen.borrow().secrets.is_empty());
    assert!(files(folder.path()).is_empty());

    // The right CA in the chain does not help a certificate that it did not sign, nor another name.
    for (door, words) in [
        (other.door("localhost", VALID), "not from the CA"),
        (collector.ca.door("elsewhere", VALID), "for other names"),
    ] {
        let wrong = Collector::start_with(Ca::new("its own"), Some(door)).await;
        let failed = enrol(&wrong.address, &token(collector.ca.pin()), folder.path()).await;
        let why = failed.unwrap_err().to_string();
        assert!(why.contains(words), "{why}");
        assert!(wrong.seen.borrow().secrets.is_empty());
    }
}

#[tokio::test]
async fn a_refused_token_is_told_in_the_collectors_words_and_the_old_identity_stays() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    collector.ca.identity(folder.path(), VALID);
    let before = files(folder.path());
    let used = "this token is not known here, was used, or has ended (it lives one hour)";
    let table = [
        (Status::permission_denied(used), used.to_owned()),
        (
            Status::invalid_argument("the request is refused"),
            "the request is refused".into(),
        ),
        (
            Status::unavailable("the store is full"),
            format!("{}: the store is full", collector.address),
        ),
    ];
    for (status, words) in table {
        collector.enrols(Err(status));
        let failed = enrol(
            &collector.address,
            &token(collector.ca.pin()),
            folder.path(),
        )
        .await;
        assert_eq!(failed.unwrap_err().to_string(), words);
        assert!(files(folder.path()) == before);
    }
    collector.enrols(Ok(()));
    fs::set_permissions(folder.path().join(NAME), fs::Permissions::from_mode(0o644)).unwrap();
    let made = enrol(
        &collector.address,
        &token(collector.ca.pin()),
        folder.path(),
    )
    .await
    .unwrap();
    assert_eq!(made.agent, "a-7", "the new one is there");
    assert_eq!(mode(folder.path()), 0o600);
}

#[test]
fn an_identity_that_cannot_be_written_whole_leaves_the_old_one() {
    let ca = Ca::new("ours");
    let folder = tempfile::tempdir().unwrap();
    ca.identity(folder.path(), VALID);
    let before = fs::read(folder.path().join(NAME)).unwrap();
    // In the way of writing: a folder that isn't empty.
    fs::create_dir_all(folder.path().join(".identity.pem/in the way")).unwrap();
    let failed = Identity::save(folder.path(), "key", "certificate", "ca");
    let why = failed.unwrap_err().to_string();
    assert!(why.contains(NAME), "{why}");
    assert!(fs::read(folder.path().join(NAME)).unwrap() == before);
}

#[test]
fn an_identity_that_is_not_what_it_was_is_named() {
    let ca = Ca::new("ours");
    let folder = tempfile::tempdir().unwrap();
    ca.identity(folder.path(), VALID);
    let path = folder.path().join(NAME);
    let whole = fs::read_to_string(&path).unwrap();
    let (key, certificates) = whole.split_at(whole.find("-----BEGIN CERTIFICATE").unwrap());
    for (text, words) in [
        (String::new(), "not what enrolling wrote"),
        (
            whole[..whole.len() - 200].to_owned(),
            "not what enrolling wrote",
        ),
        (key.to_owned(), "too few certificates"),
        (certificates.to_owned(), "not what enrolling wrote"),
        (format!("{key}{}", ca.pem), "too few certificates"),
        (
            format!("{key}{}{}", ca.pem, ca.pem),
            "names no site and agent",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let why = Identity::load(folder.path()).unwrap_err().to_string();
        assert!(
            why.starts_with(&path.display().to_string()) && why.contains(words),
            "{why}"
        );
    }
}
