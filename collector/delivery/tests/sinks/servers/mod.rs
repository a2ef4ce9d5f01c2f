//! Private servers, and what all their tests do.

pub mod mariadb;
pub mod nats;
pub mod postgres;
pub mod sftp;
pub mod sqlite;

use std::net::TcpListener;
use std::ops::Range;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dray_delivery::{Metrics, Target, TargetConfig, TargetHandle};
use dray_proto::event::number;
use dray_proto::{EventId, schema, wire};
use dray_store::Store;

use std::path::Path;

use crate::support::{CAPTURED_US, append_block, block_of, flow};

/// Longer than any server takes to start.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until a server answers, or ended: then it is started again, as what it needs may still be held by the one before.
pub fn up(mut spawn: impl FnMut() -> Child, answers: impl Fn() -> bool) -> Child {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut process = spawn();
        while process.try_wait().is_ok_and(|ended| ended.is_none()) {
            assert!(Instant::now() < end, "the server does not start");
            if answers() {
                return process;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        assert!(Instant::now() < end, "the server does not start");
    }
}

/// A server with a database, as tests see it.
pub trait Server {
    /// kill -9, and a start.
    fn crash(&mut self);
    /// What the server's owner is told.
    fn sql(&self, sql: &str) -> String;
    /// Dray's user owns the tables.
    fn hand_over(&self);
    /// Whatever the table `stock` refused by its CHECK, it takes now.
    fn widen(&self);
    /// `[target.sql]` without a table.
    fn table(&self) -> String;
}

/// A movement of a key; its number sorts as it is counted.
pub fn movement(sequence: u64, key: &str, operation: u64, quantity: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let id = EventId::new([7; 10], sequence, 0);
    wire::put_bytes(&mut out, number::ID, id.as_bytes());
    wire::put_text(&mut out, number::KEY, key);
    wire::put_integer(&mut out, number::OPERATION, operation);
    wire::put_timestamp(&mut out, number::CAPTURED_AT, CAPTURED_US);
    wire::put_integer(&mut out, number::SCHEMA_VERSION, 1);
    let body = schema::body("inventory_movement").expect("a body");
    wire::put_message(&mut out, body.number, |out| {
        wire::put_text(out, 1, &format!("MV{sequence:09}"));
        wire::put_text(out, 2, key);
        if !quantity.is_empty() {
            wire::put_decimal(out, 5, quantity);
        }
        wire::put_timestamp(out, 8, CAPTURED_US + 250_000);
    });
    out
}

/// Appends movements of these numbers, over so many keys.
pub async fn movements(store: &Arc<dyn Store>, name: &str, numbers: Range<u64>, keys: u64) {
    let events: Vec<_> = numbers
        .map(|at| movement(at + 1, &format!("SKU-{}", at % keys), 1, "12.500"))
        .collect();
    put(store, name, &events).await;
}

/// Appends events as one block.
pub async fn put(store: &Arc<dyn Store>, name: &str, events: &[Vec<u8>]) {
    let name = flow(name);
    let block = block_of(&**store, &name, events);
    append_block(store, &name, block).await;
}

pub fn config_as(name: &str, more: &str) -> TargetConfig {
    // What stands before the first table is the target's own.
    let (own, tables) = more.split_once("\n[").unwrap_or((more, ""));
    let retry = "[retry]\nfirst = \"20ms\"\nmax = \"200ms\"\n";
    toml::from_str(&format!("name = \"{name}\"\n{own}\n{retry}[{tables}")).expect("a table")
}

pub fn start_as(store: &Arc<dyn Store>, name: &str, more: &str) -> TargetHandle {
    let config = config_as(name, more);
    Target::start(config, Arc::clone(store)).expect("a good configuration")
}

/// Waits for figures, as long as a busy machine may take.
pub async fn wait_for(
    target: &TargetHandle,
    what: &str,
    enough: impl Fn(&Metrics) -> bool,
) -> Metrics {
    let waited = tokio::time::timeout(PATIENCE, target.wait_for(&enough)).await;
    waited.unwrap_or_else(|_| panic!("{what} did not come: {:#?}", target.status()))
}

/// Waits until a target's cursor has a flow's events behind it.
pub async fn finished(store: &Arc<dyn Store>, target: &TargetHandle, name: &str, events: u64) {
    let consumer = dray_delivery::consumer(target.name());
    let through = || {
        let cursors = store.cursors(&consumer).expect("the store answers");
        let found = cursors.into_iter().find(|(flow, _)| flow.as_str() == name);
        found.map_or(0, |(_, cursor)| cursor.through.0)
    };
    wait_for(target, "the last event", |_| through() == events).await;
}

/// A certificate for "db.example" and "localhost", and its authority.
pub fn certify(folder: &Path) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let authority_certificate = authority.self_signed(&authority_key).expect("signed");
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let names = ["db.example", "localhost"].map(str::to_owned).to_vec();
    let params = rcgen::CertificateParams::new(names).expect("parameters");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    for (name, text) in [
        ("ca.pem", authority_certificate.pem()),
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(folder.join("key.pem"), private).expect("a file of ours");
}
