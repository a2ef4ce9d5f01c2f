//! Ways in which there is no line: each has its sentence, is tried again, and loses nothing.

use std::sync::Arc;

use dray_buffer::{Buffer as _, MemoryBuffer, Sequence};
use dray_uplink::Identity;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::agent::{Agent, put};
use crate::certificates::{Ca, ENDED, VALID};
use crate::collector::Collector;

/// Tries that are waited for.
const TRIES: usize = 4;

async fn check(identity: Identity, address: &str, words: &str) {
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[2, 3]).await;
    let agent = Agent::start_as(identity, address, &buffer, &["a"]);
    let whys = agent.until("it is tried again and again", |told| {
        let whys: Vec<_> = told.away().iter().map(ToString::to_string).collect();
        (whys.len() >= TRIES).then_some(whys)
    });
    for why in whys.await {
        assert!(
            why.starts_with(&format!("{address}: ")) && why.contains(words),
            "{why}"
        );
    }
    assert_eq!(agent.connections(), 0);
    let depth = buffer.depth("a");
    assert_eq!((depth.acked, depth.appended), (Sequence(0), Sequence(5)));
    assert_eq!(
        buffer.read("a", Sequence(1), usize::MAX).unwrap().len(),
        2,
        "still held"
    );
    agent.stop().await;
}

fn identity(ca: &Ca, last_year: i32) -> Identity {
    ca.identity(tempfile::tempdir().unwrap().path(), last_year)
}

#[tokio::test]
async fn a_collector_whose_certificate_does_not_hold_is_told_by_what_is_wrong_with_it() {
    let (ours, other) = (Ca::new("ours"), Ca::new("other"));
    let table = [
        (
            other.door("localhost", VALID),
            "not from the CA that this agent trusts",
        ),
        (ours.door("localhost", ENDED), "its certificate has ended"),
        (
            ours.door("elsewhere", VALID),
            "its certificate is for other names",
        ),
    ];
    let identity = identity(&ours, VALID);
    for (door, words) in table {
        let collector = Collector::start_with(Ca::new("its own"), Some(door)).await;
        check(identity.clone(), &collector.address, words).await;
        assert!(
            collector.seen.borrow().hellos.is_empty(),
            "nothing was said to it"
        );
    }
}

#[tokio::test]
async fn a_collector_that_does_not_accept_the_agents_certificate_is_told() {
    let (ours, other) = (Ca::new("ours"), Ca::new("other"));
    let door = ours.door("localhost", VALID);
    let ended = identity(&ours, ENDED);
    // Signed by another CA, while the collector is trusted.
    let folder = tempfile::tempdir().unwrap();
    other.identity(folder.path(), VALID);
    let path = folder.path().join("identity.pem");
    let pem = std::fs::read_to_string(&path).unwrap();
    assert!(pem.contains(&other.pem));
    std::fs::write(&path, pem.replace(&other.pem, &ours.pem)).unwrap();
    let stranger = Identity::load(folder.path()).unwrap().unwrap();
    let collector = Collector::start_with(ours, Some(door)).await;
    for (identity, words) in [
        (ended, "this agent's certificate has ended: enrol anew"),
        (stranger, "it does not accept this agent's certificate"),
    ] {
        check(identity, &collector.address, words).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told() {
    let ca = Ca::new("ours");
    let identity = identity(&ca, VALID);
    let plain = Collector::start_with(ca, None).await;
    check(
        identity.clone(),
        &plain.address,
        "does not speak TLS: is it the right port?",
    )
    .await;
    for banner in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        let address = listen(Some(banner)).await;
        check(
            identity.clone(),
            &address,
            "does not speak TLS: is it the right port?",
        )
        .await;
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_or_leaves_is_told() {
    let ca = Ca::new("ours");
    let identity = identity(&ca, VALID);
    let door = ca.door("localhost", VALID);
    let silent = listen(Some("")).await;
    check(
        identity.clone(),
        &silent,
        "accepts connections but says nothing",
    )
    .await;
    let leaving = listen(None).await;
    check(
        identity.clone(),
        &leaving,
        "ended the connection before it was made",
    )
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("localhost:{}", listener.local_addr().unwrap().port());
    drop(listener);
    check(identity.clone(), &nobody, "nothing listens there").await;

    let collector = Collector::start_with(ca, Some(door)).await;
    collector.welcomes(false);
    check(
        identity.clone(),
        &collector.address,
        "it did not say Welcome in 0.5 s",
    )
    .await;
    collector.welcomes(true);
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[2]).await;
    let agent = Agent::start_as(identity, &collector.address, &buffer, &["a"]);
    collector
        .until("it came to its senses", |seen| {
            (!seen.blocks.is_empty()).then_some(())
        })
        .await;
    agent.stop().await;
}

/// Says this to whoever comes and keeps the line open; with nothing to say at all it closes it.
async fn listen(banner: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(banner) = banner else { continue };
            let _ = stream.write_all(banner.as_bytes()).await;
            open.push(stream);
        }
    });
    address
}
