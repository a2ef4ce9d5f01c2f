//! A stand-in that answers as MS-TDS says a server does: it shows that the handshake is one, that nothing goes before it in clear text, and that answers
//! are read. It is no SQL Server.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::packet::{self, ANSWER, Wrapped};
use super::*;

const LOGIN: u8 = 0x10;
const BATCH: u8 = 0x01;
/// The last token of an answer: so many rows.
const DONE: [u8; 13] = [0xfd, 0x10, 0, 0xc1, 0, 1, 0, 0, 0, 0, 0, 0, 0];

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A short text with its length.
fn short(text: &str) -> Vec<u8> {
    [vec![text.encode_utf16().count() as u8], utf16(text)].concat()
}

/// LOGINACK: TDS 7.4.
fn login_ack() -> Vec<u8> {
    let body = [vec![1, 0x74, 0, 0, 4], short("Stand-in"), vec![16, 0, 0, 0]].concat();
    let length = (body.len() as u16).to_le_bytes();
    [&[0xad][..], &length, &body, &DONE].concat()
}

/// A row of a BIGINT and an NVARCHAR(40).
fn row(number: i64, text: &str) -> Vec<u8> {
    let plain = [0, 0, 0, 0, 1, 0];
    let collation = [0x09, 0x04, 0xd0, 0, 0x34];
    let text = utf16(text);
    [
        &[0x81, 2, 0][..],
        &plain,
        &[0x26, 8],
        &short("id"),
        &plain,
        &[0xe7, 80, 0],
        &collation,
        &short("sku"),
        &[0xd1, 8],
        &number.to_le_bytes(),
        &(text.len() as u16).to_le_bytes(),
        &text,
        &DONE,
    ]
    .concat()
}

/// Answers one session's PRELOGIN, login and statements.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    let (mut stream, _) = listener.accept().await.expect("a session");
    let (kind, asked) = packet::read(&mut stream).await.expect("a PRELOGIN");
    assert_eq!(kind, packet::PRELOGIN);
    // What was asked for is what it has.
    let answer = packet::message(ANSWER, &asked);
    stream.write_all(&answer).await.expect("it listens");
    let Ok(mut stream) = acceptor.accept(Wrapped::new(stream)).await else {
        return;
    };
    stream.get_mut().0.bare();
    let (kind, login) = packet::read(&mut stream).await.expect("a login");
    assert_eq!(kind, LOGIN);
    assert!(holds(&login, &utf16("dray")) && !holds(&login, &utf16("secret")));
    answer_with(&mut stream, &login_ack()).await;
    while let Some(sql) = batch(&mut stream).await {
        let told = match &*sql {
            "SELECT ROWCOUNT_BIG()" | "SELECT id, sku FROM moved" => row(7, "Kärcher €"),
            _ => DONE.to_vec(),
        };
        answer_with(&mut stream, &told).await;
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn answer_with(stream: &mut (impl AsyncWrite + Unpin), tokens: &[u8]) {
    let answer = packet::message(ANSWER, tokens);
    stream.write_all(&answer).await.expect("it listens");
    stream.flush().await.expect("it listens");
}

/// A statement; `None`: the session ended.
async fn batch(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let (kind, payload) = packet::read(stream).await.ok()?;
    assert_eq!(kind, BATCH);
    // Before it stand headers, which begin with their length.
    let headers = u32::from_le_bytes(payload[..4].try_into().ok()?) as usize;
    let units = payload[headers..].chunks_exact(2);
    let units: Vec<_> = units
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).ok()
}

/// An authority, and a server's certificate of it.
fn certificates(folder: &Path) -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("a file");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["sql.example".to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a certificate");
    TlsAcceptor::from(Arc::new(config))
}

/// A session with a stand-in whose certificate is for `sql.example`.
async fn session(folder: &TempDir, name: &str, trusts: bool) -> Result<Session, Trouble> {
    let acceptor = certificates(folder.path());
    if !trusts {
        let _of_another = certificates(folder.path());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("a port").port();
    tokio::spawn(serve(listener, acceptor));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret").expect("a file");
    let config: SqlConfig = toml::from_str(&format!(
        "kind = 'sql'\ndriver = 'sqlserver'\nhost = '127.0.0.1'\nport = {port}\ndatabase = 'wms'\nuser = 'dray'\npassword_file = '{}'\n\
         table = 'moved'\nid = 'id'\nmode = 'overlap'\ntls = {{ ca_file = '{}', server_name = '{name}' }}\n",
        secret.display(),
        folder.path().join("ca.pem").display()
    ))
    .expect("a source");
    Session::open(&config).await
}

#[tokio::test]
async fn a_session_is_secured_and_its_answers_are_read() {
    let folder = TempDir::new().expect("a folder");
    let opened = session(&folder, "sql.example", true).await;
    let mut session = opened.unwrap_or_else(|trouble| panic!("{trouble:?}"));
    let page = session.ask("SELECT id, sku FROM moved", 10).await;
    let page = page.unwrap_or_else(|trouble| panic!("{trouble:?}"));
    assert_eq!(
        (page.get(0, 0), page.get(0, 1)),
        (Some("7"), Some("Kärcher €"))
    );
    assert_eq!((page.rows(), page.is_cut), (1, false));
    let changed = session.change("UPDATE moved SET id = id").await;
    assert_eq!(changed, Ok(7));
}

#[tokio::test]
async fn a_server_that_does_not_prove_who_it_is_learns_nothing() {
    for (name, trusts) in [("sql.example", false), ("other.example", true)] {
        let folder = TempDir::new().expect("a folder");
        let opened = session(&folder, name, trusts).await;
        let Err(Trouble::Passing(told)) = opened else {
            panic!("{name} {trusts}: it is let in");
        };
        assert!(told.contains("does not prove who it is"), "{told}");
    }
}
