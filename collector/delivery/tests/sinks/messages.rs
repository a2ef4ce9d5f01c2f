//! Exact streams into JetStream, and what a person reads of a stream that is not as it should be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{Context, stream};
use dray_delivery::{Metrics, State};
use dray_store::ExceptionState::Dead;
use dray_store::Store;
use serde_json::Value;

use crate::servers::nats::Nats;
use crate::servers::{finished, movement, movements, put, start_as, wait_for};
use crate::support::memory::Memory;
use crate::support::{open, states};

const KEYS: u64 = 37;
const ROUNDS: u64 = 24;
const EVENTS: u64 = 400;
const BY_KEY: &str = "subject = \"wms.{{ site }}.{{ key }}\"\n";

fn table(server: &Nats, own: &str, more: &str) -> String {
    let server = server.table();
    format!("kind = \"nats\"\ntimeout = \"5s\"\n{own}{server}{more}stream = \"WMS\"\n")
}

async fn make_stream(context: &Context, window: Duration) {
    let config = stream::Config {
        name: "WMS".into(),
        subjects: vec!["wms.>".into()],
        duplicate_window: window,
        ..stream::Config::default()
    };
    context.create_stream(config).await.expect("a stream");
}

/// All messages: subject, id and payload, as the stream has them.
async fn all(context: &Context) -> Vec<(String, String, Value)> {
    let mut stream = context.get_stream("WMS").await.expect("the stream");
    let state = stream.info().await.expect("it answers").state.clone();
    let mut found = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        let Ok(message) = stream.get_raw_message(sequence).await else {
            continue;
        };
        let id = message
            .headers
            .get("Nats-Msg-Id")
            .expect("an id")
            .to_string();
        let payload = serde_json::from_slice(&message.payload).expect("JSON");
        found.push((message.subject.to_string(), id, payload));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn jetstream_has_each_event_once_whoever_is_killed() {
    let mut server = Nats::start();
    // A window that is over before a killed target is back: what is there is looked up.
    make_stream(&server.context().await, Duration::from_millis(100)).await;
    let memory = Memory::slow();
    let store: Arc<dyn Store> = memory.clone();
    let more = table(&server, "batch = 60\nconcurrency = 4\n", BY_KEY);
    let mut target = start_as(&store, "erp", &more);
    for round in 0..ROUNDS {
        for block in 0..4 {
            let first = round * EVENTS + block * EVENTS / 4;
            movements(&store, "north/moves", first..first + EVENTS / 4, KEYS).await;
        }
        let some = (round * 7919) % EVENTS;
        let wait = target.wait_for(|metrics| metrics.delivered >= some);
        let _ = tokio::time::timeout(Duration::from_secs(2), wait).await;
        if round % 8 == 5 {
            server.crash();
        }
        target.kill().await;
        memory.crash(round % 2 == 0);
        if round % 4 == 1 {
            // Longer than the window.
            std::thread::park_timeout(Duration::from_millis(200));
        }
        target = start_as(&store, "erp", &more);
    }
    let total = ROUNDS * EVENTS;
    finished(&store, &target, "north/moves", total).await;
    target.stop().await;
    let messages = all(&server.context().await).await;
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (subject, id, event) in &messages {
        assert_eq!(event["id"], id.as_str());
        let offset = event["offset"].as_u64().expect("an offset");
        let before = last.insert(subject, offset);
        assert!(
            before.is_none_or(|before| before < offset),
            "{subject}: {before:?}, {offset}"
        );
    }
    assert_eq!(messages.len() as u64, total, "none lost, none doubled");
    assert_eq!(last.len() as u64, KEYS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_missing_or_takes_no_such_subject_is_said() {
    let server = Nats::start();
    let store = open();
    put(&store, "north/moves", &[movement(1, "A", 1, "1")]).await;
    let target = start_as(
        &store,
        "erp",
        &table(&server, "", "subject = \"erp.{{ key }}\"\n"),
    );
    let paused = |said: &'static str| {
        wait_for(&target, said, move |metrics| {
            metrics.state == State::Paused && metrics.detail.contains(said)
        })
    };
    paused("nats stream add WMS").await;
    let context = server.context().await;
    make_stream(&context, Duration::from_secs(120)).await;
    target.resume().await.expect("it runs");
    paused("does not take the subject erp.A, only wms.>").await;
    let other = stream::Config {
        name: "OTHER".into(),
        subjects: vec!["erp.>".into()],
        ..stream::Config::default()
    };
    context.create_stream(other).await.expect("a stream");
    // Another stream takes it: that is not where it should go.
    target.resume().await.expect("it runs");
    paused("does not take the subject erp.A, only wms.>").await;
    target.stop().await;
    let mut other = context.get_stream("OTHER").await.expect("the stream");
    assert_eq!(other.info().await.expect("it answers").state.messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_speaks_neither_to_the_server_nor_at_subjects_of_others() {
    let server = Nats::start();
    let context = server.context().await;
    make_stream(&context, Duration::from_secs(120)).await;
    let victim = stream::Config {
        name: "VICTIM".into(),
        subjects: vec!["victim".into()],
        ..stream::Config::default()
    };
    context.create_stream(victim).await.expect("a stream");
    let kept = context.publish("victim", "kept".into()).await;
    kept.expect("it is sent").await.expect("it is there");
    let store = open();
    let keys = ["$JS.API.STREAM.PURGE.VICTIM", "victim", "wms.A", "wms.>"];
    let events: Vec<_> = (1..)
        .zip(keys)
        .map(|(sequence, key)| movement(sequence, key, 1, "1"))
        .collect();
    put(&store, "north/moves", &events).await;
    let by_key = "subject = \"{{ key }}\"\n";
    let target = start_as(&store, "erp", &table(&server, "", by_key));
    wait_for(&target, "the one", |metrics| {
        (metrics.delivered, metrics.dead, metrics.backlog) == (1, 3, 0)
    })
    .await;
    target.stop().await;
    assert_eq!(states(&store), [(1, Dead), (2, Dead), (4, Dead)]);
    let mut victim = context.get_stream("VICTIM").await.expect("the stream");
    assert_eq!(victim.info().await.expect("it answers").state.messages, 1);
    assert_eq!(all(&context).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_makes_no_subject_is_refused_alone() {
    let server = Nats::start();
    let context = server.context().await;
    make_stream(&context, Duration::from_secs(120)).await;
    let store = open();
    let more = format!("{BY_KEY}payload = '{{\"sku\":{{{{ key | tojson }}}}}}'\n");
    let target = start_as(&store, "erp", &table(&server, "", &more));
    let events = [
        movement(1, "A", 1, "1"),
        movement(2, "a b", 1, "1"),
        movement(3, "C", 1, "1"),
        // Longer than a line that the server reads.
        movement(4, &"d".repeat(5_000), 1, "1"),
    ];
    put(&store, "north/moves", &events).await;
    finished(&store, &target, "north/moves", 4).await;
    assert_eq!(states(&store), [(2, Dead), (4, Dead)]);
    let found = all(&context).await;
    let found: Vec<_> = found
        .iter()
        .map(|(subject, _, event)| (subject.as_str(), event["sku"].as_str()))
        .collect();
    assert_eq!(
        found,
        [("wms.north.A", Some("A")), ("wms.north.C", Some("C"))]
    );
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_must_prove_its_name_and_a_wrong_password_is_not_told() {
    let server = Nats::secured();
    let store = open();
    put(&store, "north/moves", &[movement(1, "A", 1, "1")]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "wrong-s3cret\n").expect("a file");
    let own = format!("ca_file = \"{}\"\n", server.ca_file().display());
    let user = format!(
        "user = \"dray\"\npassword_file = \"{}\"\n",
        secret.display()
    );
    let more = table(&server, &own, &format!("{BY_KEY}{user}"));
    // Its certificate is for localhost.
    let target = start_as(&store, "erp", &more);
    let paused = |metrics: &Metrics| metrics.state == State::Paused;
    let metrics = wait_for(&target, "a pause", paused).await;
    assert!(
        metrics.detail.contains("look at ca_file"),
        "{}",
        metrics.detail
    );
    target.kill().await;
    let target = start_as(&store, "erp", &more.replace("127.0.0.1", "localhost"));
    target.resume().await.expect("it runs");
    // Who does not know us is tried now and then.
    let refused = |metrics: &Metrics| {
        metrics.state == State::Waiting && metrics.detail.contains("uthorization")
    };
    let metrics = wait_for(&target, "who we are", refused).await;
    assert!(!format!("{metrics:?}").contains("s3cret"));
    std::fs::write(&secret, "r1ght-s3cret\n").expect("a file");
    target.resume().await.expect("it runs");
    let let_in = |metrics: &Metrics| paused(metrics) && metrics.detail.contains("no stream WMS");
    wait_for(&target, "the stream", let_in).await;
    target.stop().await;
}
