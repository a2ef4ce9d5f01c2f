//! Who may call.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dray_soap::security::digest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::caller::{Answer, Caller, SOAP_11, TEXT_XML, enveloped, movements, shown};
use crate::endpoint::{Endpoint, becomes, lay_out};

const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIGEST: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";

pub(crate) fn with_password(settings: &str) -> Endpoint {
    let laid = lay_out(settings);
    std::fs::write(laid.folder.path().join("password"), "s3cret\n").expect("a file");
    Endpoint::over(laid)
}

struct Token<'a> {
    password: &'a str,
    nonce: &'a [u8],
    created: jiff::Timestamp,
    expires: jiff::Timestamp,
}

impl Token<'_> {
    fn header(&self) -> String {
        let created = self.created.to_string();
        let digest = digest(self.nonce, &created, self.password);
        let nonce = STANDARD.encode(self.nonce);
        let expires = self.expires;
        format!(
            "<s:Header><w:Security s:mustUnderstand=\"1\" xmlns:w=\"{WSSE}\" xmlns:u=\"{WSU}\">\
             <u:Timestamp><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp>\
             <w:UsernameToken><w:Username>wms</w:Username><w:Password Type=\"{DIGEST}\">{digest}</w:Password>\
             <w:Nonce>{nonce}</w:Nonce><u:Created>{created}</u:Created></w:UsernameToken></w:Security></s:Header>"
        )
    }
}

#[test]
fn soap_08_a_digest_is_good_once_while_it_is_fresh() {
    let endpoint = with_password(
        "username_token = { user = \"wms\", password_file = \"FOLDER/password\", skew = \"2m\" }",
    );
    let now = jiff::Timestamp::now();
    let minutes = |count: i64| now + jiff::SignedDuration::from_mins(count);
    let call = |batch: &str, header: &str| -> Answer {
        endpoint.post(
            &[TEXT_XML],
            &enveloped(SOAP_11, header, &movements(batch, 1)),
        )
    };
    let good = Token {
        password: "s3cret",
        nonce: b"one",
        created: now,
        expires: minutes(5),
    };
    assert_eq!(call("B1", &good.header()).status, 200);
    // As an HTTP library repeats it that saw no answer.
    assert_eq!(call("B1", &good.header()).status, 200);
    let wrong = Token {
        password: "secret",
        nonce: b"two",
        ..good
    };
    let old = Token {
        nonce: b"three",
        created: minutes(-3),
        ..good
    };
    let ended = Token {
        nonce: b"four",
        expires: minutes(-3),
        ..good
    };
    for (what, header) in [
        ("replayed", good.header()),
        ("wrong", wrong.header()),
        ("old", old.header()),
        ("ended", ended.header()),
        ("none", String::new()),
    ] {
        let answer = call("B2", &header);
        assert_eq!(answer.fault(), (500, "Client", false), "{what}: {answer:?}");
        assert!(
            answer
                .body
                .contains("the caller is not known, or the message is too old"),
            "{answer:?}"
        );
    }
    let again = Token {
        nonce: b"five",
        ..good
    };
    assert_eq!(call("B2", &again.header()).status, 200);
    assert_eq!(endpoint.log(), [shown("B1", 1), shown("B2", 1)].concat());
}

#[test]
fn basic_is_asked_for_before_the_body_is_taken() {
    let endpoint = with_password("basic = { user = \"wms\", password_file = \"FOLDER/password\" }");
    let text = enveloped(SOAP_11, "", &movements("B1", 1));
    let answer = endpoint.post(&[TEXT_XML], &text);
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(
        answer
            .header("www-authenticate")
            .is_some_and(|value| value.starts_with("Basic"))
    );
    let wrong = format!("Basic {}", STANDARD.encode("wms:s3cre"));
    assert_eq!(
        endpoint
            .post(&[TEXT_XML, ("Authorization", &wrong)], &text)
            .status,
        401
    );
    assert_eq!(endpoint.log(), [""; 0]);
    let right = format!("Basic {}", STANDARD.encode("wms:s3cret"));
    assert_eq!(
        endpoint
            .post(&[TEXT_XML, ("Authorization", &right)], &text)
            .status,
        200
    );
}

/// A CA, and a certificate of it with its key, in PEM.
pub(crate) struct Issued {
    ca: String,
    certificate: String,
    key: String,
}

impl Issued {
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("cert.pem"), &self.certificate).expect("a file");
        std::fs::write(folder.join("key.pem"), &self.key).expect("a file");
    }
}

pub(crate) fn issue() -> Issued {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key");
    let ca = CertifiedIssuer::self_signed(params, ca_key).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["wms.test".into()]).expect("a name");
    let certificate = leaf.signed_by(&key, &ca).expect("a certificate");
    Issued {
        ca: ca.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

pub(crate) fn call_over_tls(
    endpoint: &Endpoint,
    server: &Issued,
    client: Option<&Issued>,
) -> Result<Answer, std::io::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(server.ca.as_bytes()).expect("PEM");
    roots.add(ca).expect("a CA");
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain =
                vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM");
            builder
                .with_client_auth_cert(chain, key)
                .expect("a certificate")
        }
    };
    let name = ServerName::try_from("wms.test").expect("a name");
    let connection = rustls::ClientConnection::new(Arc::new(config), name).expect("a connection");
    let stream = TcpStream::connect(endpoint.laid.address())?;
    let mut stream = rustls::StreamOwned::new(connection, stream);
    stream.flush()?;
    let text = enveloped(SOAP_11, "", &movements("B1", 1));
    Caller::over(stream).post("/wms", &[TEXT_XML], text.as_bytes())
}

#[test]
fn soap_09_only_callers_with_a_certificate_of_the_ca_are_let_in() {
    let (server, ours, theirs) = (issue(), issue(), issue());
    let endpoint = with_certificates(&server, &ours);
    assert!(call_over_tls(&endpoint, &server, None).is_err());
    assert!(call_over_tls(&endpoint, &server, Some(&theirs)).is_err());
    assert_eq!(endpoint.log(), [""; 0]);
    let answer = call_over_tls(&endpoint, &server, Some(&ours)).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(endpoint.log(), shown("B1", 1));
}

/// An endpoint with this certificate, for callers of that CA.
pub(crate) fn with_certificates(server: &Issued, callers: &Issued) -> Endpoint {
    let tls = "tls = { certificate = \"FOLDER/cert.pem\", key = \"FOLDER/key.pem\", client_ca = \"FOLDER/ca.pem\" }";
    let laid = lay_out(tls);
    let folder = laid.folder.path();
    server.write(folder);
    std::fs::write(folder.join("ca.pem"), &callers.ca).expect("a file");
    Endpoint::over(laid)
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let (old, new) = (issue(), issue());
    let laid = lay_out("tls = { certificate = \"FOLDER/cert.pem\", key = \"FOLDER/key.pem\" }");
    let folder = laid.folder.path().to_owned();
    old.write(&folder);
    let endpoint = Endpoint::over(laid);
    let is_shown = |of: &Issued| call_over_tls(&endpoint, of, None).is_ok();
    assert!(is_shown(&old) && !is_shown(&new));
    new.write(&folder);
    becomes("the new certificate is shown", || is_shown(&new));
    assert!(!is_shown(&old));
    assert_eq!(endpoint.log(), shown("B1", 1));
}

#[test]
fn a_changed_password_holds_without_a_restart() {
    let endpoint = with_password(
        "basic = { user = \"wms\", password_file = \"FOLDER/password\" }\nusername_token = { user = \"wms\", password_file = \"FOLDER/password\", text = true }",
    );
    let is_let_in = |password: &str| {
        let basic = format!("Basic {}", STANDARD.encode(format!("wms:{password}")));
        let token = format!(
            "<s:Header><w:Security xmlns:w=\"{WSSE}\"><w:UsernameToken><w:Username>wms</w:Username>\
             <w:Password>{password}</w:Password></w:UsernameToken></w:Security></s:Header>"
        );
        let text = enveloped(SOAP_11, &token, &movements("B1", 1));
        let answer = endpoint.post(&[TEXT_XML, ("Authorization", &basic)], &text);
        answer.status == 200
    };
    assert!(is_let_in("s3cret") && !is_let_in("changed"));
    std::fs::write(endpoint.laid.folder.path().join("password"), "changed\n").expect("a file");
    becomes("the new password holds", || is_let_in("changed"));
    assert!(!is_let_in("s3cret"));
}
