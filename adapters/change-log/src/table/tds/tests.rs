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

/// Rows of an NVARCHAR(4000) each, all full.
fn rows(count: usize) -> Vec<u8> {
    let head = [
        &[0x81, 1, 0, 0, 0, 0, 0, 1, 0, 0xe7, 0x40, 0x1f][..],
        &[0x09, 0x04, 0xd0, 0, 0x34],
        &short("sku"),
    ];
    let row = [&[0xd1, 0x40, 0x1f][..], &utf16(&"x".repeat(4_000))].concat();
    [&head.concat()[..], &row.repeat(count), &DONE].concat()
}

/// A row of an NVARCHAR(MAX), which is sent in one part.
fn wide(letters: usize) -> Vec<u8> {
    let text = utf16(&"x".repeat(letters));
    [
        &[0x81, 1, 0, 0, 0, 0, 0, 1, 0, 0xe7, 0xff, 0xff][..],
        &[0x09, 0x04, 0xd0, 0, 0x34],
        &short("sku"),
        &[0xd1],
        &(text.len() as u64).to_le_bytes(),
        &(text.len() as u32).to_le_bytes(),
        &text,
        &[0; 4],
        &DONE,
    ]
    .concat()
}

/// What is wrong with the stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Its certificate is of an authority that is not trusted.
    Authority,
    /// It has ended.
    Expired,
    NoTls,
    /// It ends the connection where TLS would begin.
    HangsUp,
}

/// Answers one session's PRELOGIN, login and statements.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, fault: Fault) {
    let (mut stream, _) = listener.accept().await.expect("a session");
    let (kind, mut asked) = packet::read(&mut stream).await.expect("a PRELOGIN");
    assert_eq!(kind, packet::PRELOGIN);
    let at = packet::encryption(&asked).expect("it asks for encryption");
    if fault == Fault::NoTls {
        asked[at] = packet::NOT_SUPPORTED;
    }
    // What was asked for is what it has.
    let answer = packet::message(ANSWER, &asked);
    stream.write_all(&answer).await.expect("it listens");
    if fault == Fault::HangsUp {
        return;
    }
    let Ok(mut stream) = acceptor.accept(Wrapped::new(stream)).await else {
        return;
    };
    stream.get_mut().0.bare();
    let (kind, login) = packet::read(&mut stream).await.expect("a login");
    assert_eq!(kind, LOGIN);
    assert!(holds(&login, &utf16("dray")) && !holds(&login, &utf16("secret")));
    let mut told = login_ack();
    // Whoever has read enough ends it.
    while answer_with(&mut stream, &told).await.is_ok() {
        let Some(sql) = batch(&mut stream).await else {
            return;
        };
        told = match &*sql {
            "SELECT ROWCOUNT_BIG()" | "SELECT id, sku FROM moved" => row(7, "Kärcher €"),
            "SELECT sku FROM few" => rows(100),
            "SELECT sku FROM many" => rows(1_000),
            "SELECT sku FROM wide" => wide(200_000),
            _ => DONE.to_vec(),
        };
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn answer_with(stream: &mut (impl AsyncWrite + Unpin), tokens: &[u8]) -> std::io::Result<()> {
    let answer = packet::message(ANSWER, tokens);
    stream.write_all(&answer).await?;
    stream.flush().await
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
fn certificates(folder: &Path, has_ended: bool) -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("a file");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["sql.example".to_owned()]).expect("parameters");
    if has_ended {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
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
async fn session(folder: &TempDir, name: &str, fault: Fault) -> Result<Session, Trouble> {
    let acceptor = certificates(folder.path(), fault == Fault::Expired);
    if fault == Fault::Authority {
        let _of_another = certificates(folder.path(), false);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("a port").port();
    tokio::spawn(serve(listener, acceptor, fault));
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

async fn good(folder: &TempDir) -> Session {
    let opened = session(folder, "sql.example", Fault::None).await;
    opened.unwrap_or_else(|trouble| panic!("{trouble:?}"))
}

#[tokio::test]
async fn a_session_is_secured_and_its_answers_are_read() {
    let folder = TempDir::new().expect("a folder");
    let mut session = good(&folder).await;
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
async fn little_behind_a_page_is_passed_over_and_of_much_the_session_is_closed() {
    let folder = TempDir::new().expect("a folder");
    let mut session = good(&folder).await;
    for (sql, is_given_up) in [("few", false), ("many", true)] {
        let page = session.ask(&format!("SELECT sku FROM {sql}"), 10).await;
        let page = page.unwrap_or_else(|trouble| panic!("{trouble:?}"));
        assert_eq!((page.rows(), page.is_cut), (10, true));
        assert_eq!(session.is_given_up(), is_given_up, "{sql}");
    }
    let asked = session.ask("SELECT id, sku FROM moved", 10).await;
    assert!(matches!(asked, Err(Trouble::Passing(_))), "{asked:?}");
}

#[tokio::test]
async fn a_row_that_takes_too_much_memory_is_told() {
    let folder = TempDir::new().expect("a folder");
    let mut session = good(&folder).await;
    let page = session
        .ask("SELECT sku FROM wide", 10)
        .await
        .expect("a row");
    assert_eq!(page.get(0, 0).map(str::len), Some(200_000));
    session.row_bytes_max = 300_000;
    let Err(Trouble::Person(told)) = session.ask("SELECT sku FROM wide", 10).await else {
        panic!("it is read");
    };
    assert!(told.contains("leave its large columns out"), "{told}");
}

#[tokio::test]
async fn a_server_that_is_not_taken_learns_nothing_and_each_reason_has_its_words() {
    for (name, fault, expected) in [
        (
            "sql.example",
            Fault::Authority,
            "names an authority of ca_file that has not signed it",
        ),
        (
            "other.example",
            Fault::None,
            "not for other.example, but for sql.example:",
        ),
        ("sql.example", Fault::Expired, "has ended"),
        ("sql.example", Fault::NoTls, "offers no encryption"),
        (
            "sql.example",
            Fault::HangsUp,
            "broke off in the midst of TLS",
        ),
    ] {
        let folder = TempDir::new().expect("a folder");
        let opened = session(&folder, name, fault).await;
        let Err(Trouble::Passing(told)) = opened else {
            panic!("{fault:?}: it is let in");
        };
        assert!(told.contains(expected), "{fault:?}: {told}");
    }
}
