//! Requests that are signed each, and connections that show a certificate.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::erp::{Erp, Reply};
use crate::support::{append, open, start, wait};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use ring::hmac;

#[tokio::test]
async fn a_webhook_is_signed_with_both_secrets_and_has_one_id_at_each_try() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| Reply::Status(if ask.number == 0 { 500 } else { 200 }));
    let folder = tempfile::tempdir().expect("a folder");
    let keys = [b"an old secret".as_slice(), b"a new secret"];
    let files = ["old", "new"].map(|name| folder.path().join(name));
    for (file, key) in files.iter().zip(keys) {
        std::fs::write(file, format!("whsec_{}\n", STANDARD.encode(key))).expect("a file");
    }
    let config = format!("batch = 1\n[auth]\nkind = \"hmac\"\nsecret_files = {files:?}\n");
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a"]).await;
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    let asks = erp.kept_asks();
    assert_eq!(asks.len(), 2);
    for ask in &asks {
        let header = |name: &str| ask.headers[name].to_str().expect("text");
        assert_eq!(header("webhook-id"), ask.events[0]["id"]);
        let mut signed =
            format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(&ask.body);
        let signatures: Vec<_> = header("webhook-signature").split(' ').collect();
        assert_eq!(signatures.len(), 2);
        for (signature, key) in signatures.iter().zip(keys) {
            let tag = STANDARD
                .decode(signature.strip_prefix("v1,").expect("version 1"))
                .expect("base64");
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), &signed, &tag)
                .expect("its signature");
        }
    }
}

#[tokio::test]
async fn each_request_to_netsuite_has_a_signature_of_its_own_and_a_changed_secret_counts_at_once() {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let files = ["consumer", "token"].map(|name| folder.path().join(name));
    for file in &files {
        std::fs::write(file, "before").expect("a file");
    }
    let change = files[1].clone();
    erp.script(move |ask| {
        if ask.number == 0 {
            std::fs::write(&change, "after").expect("a file");
            return Reply::Status(401);
        }
        Reply::Status(200)
    });
    let config = format!(
        "batch = 1\nconcurrency = 1\n[auth]\nkind = \"oauth1\"\nconsumer_key = \"ck\"\nconsumer_secret_file = {:?}\ntoken = \"tk\"\ntoken_secret_file = {:?}\nrealm = \"123_SB1\"\n",
        files[0], files[1]
    );
    let target = start(&store, &format!("{}?script=6&deploy=1", erp.url()), &config);
    append(&store, "north/items", &["a", "b"]).await;
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    let asks = erp.kept_asks();
    assert_eq!(asks.len(), 3);
    let mut nonces = Vec::new();
    for ask in &asks {
        let said = ask.headers["authorization"].to_str().expect("text");
        assert!(
            said.starts_with("OAuth realm=\"123_SB1\", oauth_consumer_key=\"ck\", "),
            "{said}"
        );
        let value = |name: &str| {
            let from = said.split_once(&format!("{name}=\"")).expect(name).1;
            from.split_once('"').expect("its end").0.to_owned()
        };
        nonces.push(value("oauth_nonce"));
        let token_secret = if ask.number == 0 { "before" } else { "after" };
        let base = format!(
            "POST&http%3A%2F%2F127.0.0.1%3A{}%2Fevents&deploy%3D1%26oauth_consumer_key%3Dck%26oauth_nonce%3D{}%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D{}%26oauth_token%3Dtk%26oauth_version%3D1.0%26script%3D6",
            erp.address.port(),
            value("oauth_nonce"),
            value("oauth_timestamp")
        );
        let key = format!("before&{token_secret}");
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
            base.as_bytes(),
        );
        let expected = STANDARD
            .encode(tag)
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        assert_eq!(value("oauth_signature"), expected);
    }
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 3);
}

/// An authority and its certificate for a client or a server.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

fn certificate(of: &CertifiedIssuer<'static, KeyPair>) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    (params.signed_by(&key, of).expect("a certificate"), key)
}

#[tokio::test]
async fn a_certificate_says_who_is_calling_and_a_renewed_one_needs_no_restart() {
    let (trusted, other) = (authority(), authority());
    let (server, key) = certificate(&trusted);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.der().clone()).expect("a CA");
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(
            vec![server.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("its own key");
    let address = "127.0.0.1:0".parse().expect("an address");
    let erp = Erp::serve(address, Some(Arc::new(tls).into())).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("ca"), trusted.pem()).expect("a file");
    let show = |of| {
        let (certificate, key) = certificate(of);
        std::fs::write(file("cert"), certificate.pem()).expect("a file");
        std::fs::write(file("key"), key.serialize_pem()).expect("a file");
    };
    show(&other);
    let store = open();
    let config = format!(
        "ca_file = {:?}\ncert_file = {:?}\nkey_file = {:?}\n",
        file("ca"),
        file("cert"),
        file("key")
    );
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a"]).await;
    wait(&target, "a refusal", |metrics| metrics.failures > 0).await;
    assert_eq!(target.status().delivered, 0);
    show(&trusted);
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
}
