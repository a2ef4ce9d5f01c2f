//! SOAP in rpc style, and callers that say who they are: by a digest, or by a certificate and a password.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;

use dray_tests::wms::{self, Style};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

use crate::soap::{ANSWER, Called, Endpoint, numbers, programs, push, sent};
use crate::{PATIENCE, folder, soak, these_arrive_whole};

const RPC_ANSWER: &str = "<w:PutMovementsResponse xmlns:w=\"urn:example:wms\"><Accepted>{{ records }}</Accepted></w:PutMovementsResponse>";

const NOT_KNOWN: &str = "Client: the caller is not known";
/// Of one client: suds opens one a message.
const CONNECTIONS_MAX: usize = 2_000;

fn messages() -> u64 {
    if soak() { 1_000 } else { 10 }
}

/// An endpoint of document style with more settings.
fn start(folder: &Path, scheme: &str, settings: &str) -> Called {
    fs::write(folder.join("password"), "s3cret\n").expect("a file");
    let source = wms::endpoint(Style::Document, settings);
    let endpoint = Endpoint {
        wsdl: "wms.wsdl",
        scheme,
        source: &source,
        answer: ANSWER,
    };
    Called::start_at(folder, &endpoint)
}

fn client(name: &str, url: &str, first: u64, count: u64) -> Command {
    push(&programs().join(format!("push_{name}")), url, first, count)
}

/// A client that says this user and password.
fn known(mut client: Command, kind: &str, password: &str) -> Command {
    client
        .env("SOAP_USER", "wms")
        .env("SOAP_PASSWORD", password);
    client.env("SOAP_TOKEN", kind).env("SOAP_GIVE_UP_S", "1");
    client
}

/// All that these clients sent has arrived once.
fn arrive(called: &Called, clients: &[&str], after: &str) {
    let each = clients.iter().flat_map(|name| numbers(name, 0..messages()));
    let all: Vec<String> = each.collect();
    these_arrive_whole(&called.site, &called.erp, &all, after);
}

fn all_sent(children: Vec<(&str, Child)>) {
    for (name, child) in children {
        let expected = format!("sent {} retried 0", messages());
        assert_eq!(sent(name, child), expected, "{name}");
    }
}

/// What a client complains of that ends without success.
fn refused(name: &str, child: Child) -> String {
    let output = child.wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{name}: {complaint}");
    complaint
}

#[test]
fn rpc_calls_of_zeep_suds_and_node_arrive_once() {
    let folder = folder("soap-rpc");
    let endpoint = Endpoint {
        wsdl: "wms-rpc.wsdl",
        scheme: "http",
        source: &wms::endpoint(Style::Rpc, ""),
        answer: RPC_ANSWER,
    };
    let called = Called::start_at(folder.path(), &endpoint);
    let clients = ["zeep", "suds", "node"];
    let push = |name| {
        let client = client(name, &called.url, 0, messages()).spawn();
        (name, client.expect("it starts"))
    };
    all_sent(clients.map(push).into());
    arrive(&called, &clients, "rpc");
}

/// Stands between a caller and the agent, and keeps what the caller says. It ends with the test's process.
struct Listening {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Listening {
    fn start(agent: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::default();
        let keep = Arc::clone(&heard);
        thread::spawn(move || {
            for near in listener.incoming().take(CONNECTIONS_MAX) {
                let near = near.expect("a connection");
                let far = TcpStream::connect((Ipv4Addr::LOCALHOST, agent)).expect("the agent");
                let (back, to) = (far.try_clone(), near.try_clone());
                let (back, to) = (back.expect("a stream"), to.expect("a stream"));
                let keep = Arc::clone(&keep);
                thread::spawn(move || carry(near, far, Some(&keep)));
                thread::spawn(move || carry(back, to, None));
            }
        });
        Self { port, heard }
    }

    /// The call that came last, as it was sent.
    fn last_call(&self) -> String {
        let heard = self.heard.lock().expect("nobody panics holding it");
        let heard = String::from_utf8(heard.clone()).expect("UTF-8");
        let at = heard.rfind("POST ").expect("a call");
        heard[at..].to_owned()
    }
}

/// Carries one way until that way ends.
fn carry(mut from: TcpStream, mut to: TcpStream, keep: Option<&Mutex<Vec<u8>>>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if let Some(keep) = keep {
            let mut keep = keep.lock().expect("nobody panics holding it");
            keep.extend_from_slice(&bytes[..read]);
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// What the agent answers to these bytes.
fn said_again(agent: u16, call: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, agent)).expect("the agent");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(call.as_bytes()).expect("said");
    let mut answer = Vec::new();
    let mut bytes = [0; 4 * 1024];
    while !answer.ends_with(b"Envelope>") {
        let read = stream.read(&mut bytes).expect("an answer");
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..read]);
    }
    String::from_utf8(answer).expect("UTF-8")
}

#[test]
fn digests_of_zeep_suds_and_node_are_taken_once_and_a_wrong_password_is_told() {
    let folder = folder("soap-digest");
    let called = start(
        folder.path(),
        "http",
        "username_token = { user = \"wms\", password_file = \"FOLDER/password\" }",
    );
    let clients = ["zeep", "suds", "node"];
    let wrong = clients.map(|name| {
        let client = known(client(name, &called.url, 0, 1), "digest", "secret").spawn();
        (name, client.expect("it starts"))
    });
    for (name, child) in wrong {
        let complaint = refused(name, child);
        assert!(complaint.contains(NOT_KNOWN), "{name}: {complaint}");
    }
    let listening = clients.map(|_| Listening::start(called.port));
    let mut children = Vec::new();
    for (name, listening) in clients.iter().zip(&listening) {
        let url = called
            .url
            .replace(&called.port.to_string(), &listening.port.to_string());
        let client = known(client(name, &url, 0, messages()), "digest", "s3cret").spawn();
        children.push((*name, client.expect("it starts")));
    }
    all_sent(children);
    for (name, listening) in clients.iter().zip(&listening) {
        let call = listening.last_call();
        // The digest says nothing of the Body: under a number that is not known yet, no key would tell that it came before.
        let number = format!("{name}-{}", messages() - 1);
        assert!(
            call.contains(&number) && call.contains("PasswordDigest"),
            "{call}"
        );
        let other = call.replace(&number, &number.replace('-', "_"));
        let answer = said_again(called.port, &call);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
        let answer = said_again(called.port, &other);
        assert!(answer.starts_with("HTTP/1.1 500 "), "{name}: {answer}");
        assert!(
            answer.contains("the message is too old"),
            "{name}: {answer}"
        );
    }
    arrive(&called, &clients, "digests");
}

/// A CA, and a certificate of it with its key.
fn issue(folder: &Path, name: &str) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    // A name other than the certificate's: OpenSSL takes one that is its own issuer for self-signed.
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{name} CA"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = KeyPair::generate().expect("a key");
    let ca = CertifiedIssuer::self_signed(params, ca_key).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".into()]).expect("an address");
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf.signed_by(&key, &ca).expect("a certificate");
    for (kind, text) in [
        ("ca", ca.pem()),
        ("cert", certificate.pem()),
        ("key", key.serialize_pem()),
    ] {
        fs::write(folder.join(format!("{name}-{kind}.pem")), text).expect("a file");
    }
}

/// A client that trusts the agent, with this certificate.
fn certified(mut client: Command, folder: &Path, certificate: Option<&str>) -> Command {
    client.env("SOAP_CA", folder.join("agent-ca.pem"));
    if let Some(name) = certificate {
        client.env("SOAP_CERTIFICATE", folder.join(format!("{name}-cert.pem")));
        client.env("SOAP_KEY", folder.join(format!("{name}-key.pem")));
    }
    client
}

#[test]
fn zeep_and_node_call_with_certificate_and_password_and_with_less_nobody_is_let_in() {
    let folder = folder("soap-tls");
    for name in ["agent", "wms", "stranger"] {
        issue(folder.path(), name);
    }
    let called = start(
        folder.path(),
        "https",
        "tls = { certificate = \"FOLDER/agent-cert.pem\", key = \"FOLDER/agent-key.pem\", client_ca = \"FOLDER/wms-ca.pem\" }\n\
         basic = { user = \"wms\", password_file = \"FOLDER/password\" }",
    );
    let clients = ["zeep", "node"];
    let push = |name, certificate, password| {
        let client = client(name, &called.url, 0, messages());
        let client = certified(client, folder.path(), certificate);
        known(client, "basic", password).spawn().expect("it starts")
    };
    // Without a certificate that is known, not even the WSDL is read: the handshake fails, and a client calls that no answer.
    let lesser = [
        (None, "s3cret", "gave up after 1 s"),
        (Some("stranger"), "s3cret", "gave up after 1 s"),
        (Some("wms"), "secret", NOT_KNOWN),
    ];
    let lesser = lesser.map(|(certificate, password, reason)| {
        let children = clients.map(|name| (name, push(name, certificate, password)));
        (reason, children)
    });
    for (reason, children) in lesser {
        for (name, child) in children {
            let complaint = refused(name, child);
            assert!(complaint.contains(reason), "{name}: {complaint}");
        }
    }
    // Which shows too that it was not for the agent's own certificate.
    all_sent(
        clients
            .map(|name| (name, push(name, Some("wms"), "s3cret")))
            .into(),
    );
    arrive(&called, &clients, "certificates");
}
