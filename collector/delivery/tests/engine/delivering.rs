//! Events on their way to a target that behaves, and what is chosen and written.

use std::sync::Arc;

use crate::support::erp::{Erp, Reply};
use crate::support::{
    append, append_as, append_block, block_of, cursor, event, exceptions, flow, open, start,
    states, wait,
};
use dray_delivery::State;
use dray_proto::Offset;
use dray_store::ExceptionState::Dead;

#[tokio::test]
async fn events_arrive_as_json_in_order_and_the_cursor_follows() {
    let (store, erp) = (open(), Erp::start().await);
    for round in 0..20 {
        for name in ["north/shipments", "south/shipments"] {
            append(
                &store,
                name,
                &["A", "B", "A", if round % 2 == 0 { "C" } else { "B" }],
            )
            .await;
        }
    }
    let target = start(&store, &erp.url(), "");
    wait(&target, "all events", |metrics| metrics.delivered == 160).await;
    append(&store, "west/stock", &["A"]).await;
    let metrics = wait(&target, "a flow that appears later", |metrics| {
        metrics.delivered == 161 && metrics.backlog == 0
    })
    .await;
    assert_eq!(
        (metrics.state, metrics.oldest_undelivered_us, metrics.dead),
        (State::Running, None, 0)
    );
    assert_eq!(
        metrics
            .flows
            .iter()
            .map(|flow| flow.latency.count)
            .sum::<u64>(),
        161
    );
    target.stop().await;
    assert_eq!((erp.check_order(), erp.arrivals().len()), (161, 161));
    for (name, through) in [
        ("north/shipments", 80),
        ("south/shipments", 80),
        ("west/stock", 1),
    ] {
        let cursor = cursor(&store, name).expect("a cursor");
        assert_eq!(
            (cursor.through, cursor.above.len()),
            (Offset(through), 0),
            "{name}"
        );
    }
    let ask = &erp.kept_asks()[0];
    assert_eq!(ask.headers["content-type"], "application/json");
    assert_eq!(
        ask.headers["user-agent"],
        concat!("dray/", env!("CARGO_PKG_VERSION"))
    );
    let trace = ask.headers["traceparent"].to_str().expect("text");
    assert!(
        trace.starts_with(&format!(
            "00-{}-",
            ask.events[0]["id"].as_str().expect("an id")
        )),
        "{trace}"
    );
    assert!(
        !ask.headers.contains_key("idempotency-key"),
        "a batch has no one id"
    );
    assert_eq!(ask.events[0]["data"]["shipment_number"], "A 1");
}

#[tokio::test]
async fn no_key_stands_twice_in_a_request_and_batches_fill() {
    let (store, erp) = (open(), Erp::start().await);
    let keys: Vec<String> = (0..1000).map(|n| format!("K{}", n % 400)).collect();
    append(
        &store,
        "north/shipments",
        &keys.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    let target = start(&store, &erp.url(), "batch = 150\nconcurrency = 2");
    wait(&target, "all events", |metrics| metrics.delivered == 1000).await;
    assert_eq!(erp.check_order(), 1000);
    let mut sizes: Vec<usize> = Vec::new();
    for ask in erp.kept_asks() {
        let mut keys: Vec<_> = ask
            .events
            .iter()
            .map(|event| event["key"].to_string())
            .collect();
        sizes.push(keys.len());
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), ask.events.len(), "a key stands twice");
    }
    assert_eq!(sizes.iter().max(), Some(&150), "{sizes:?}");
}

#[tokio::test]
async fn a_batch_of_one_is_an_object_with_its_id_in_a_header() {
    let (store, erp) = (open(), Erp::start().await);
    append(&store, "north/shipments", &["A", "B", "A"]).await;
    let target = start(&store, &erp.url(), "batch = 1");
    wait(&target, "all events", |metrics| metrics.delivered == 3).await;
    for ask in erp.kept_asks() {
        assert_eq!(ask.body[0], b'{');
        assert_eq!(
            ask.headers["idempotency-key"],
            ask.events[0]["id"].as_str().expect("an id")
        );
    }
}

#[tokio::test]
async fn only_chosen_flows_and_bodies_are_sent_and_the_cursor_passes_the_rest() {
    let (store, erp) = (open(), Erp::start().await);
    append_as(&store, "north/shipments", "shipment", &["A", "B"]).await;
    append_as(&store, "north/shipments", "receipt", &["C", "D", "E"]).await;
    append_as(&store, "north/shipments", "dead_letter", &["F"]).await;
    append_as(&store, "north/stock", "shipment", &["G"]).await;
    append_as(&store, "north/shipments", "shipment", &["H"]).await;
    let target = start(
        &store,
        &erp.url(),
        "flows = [\"*/shipments\"]\nbodies = [\"shipment\"]",
    );
    wait(&target, "the three", |metrics| {
        metrics.delivered == 3 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    let keys: Vec<_> = erp
        .arrivals()
        .into_iter()
        .map(|arrival| arrival.key)
        .collect();
    assert_eq!(keys, ["A", "B", "H"]);
    assert_eq!(
        cursor(&store, "north/shipments").map(|cursor| cursor.through),
        Some(Offset(7))
    );
    assert_eq!(
        cursor(&store, "north/stock"),
        None,
        "a flow that is not taken pins nothing"
    );
}

#[tokio::test]
async fn a_target_that_starts_with_the_newest_skips_what_was_there_and_nothing_after() {
    let (store, erp) = (open(), Erp::start().await);
    append(&store, "north/shipments", &["A", "B"]).await;
    let target = start(&store, &erp.url(), "start = \"newest\"");
    wait(&target, "the first scan", |metrics| {
        metrics.flows.len() == 1
    })
    .await;
    append(&store, "north/shipments", &["C"]).await;
    wait(&target, "the newest", |metrics| metrics.delivered == 1).await;
    target.stop().await;
    append(&store, "north/shipments", &["D"]).await;
    append(&store, "north/new", &["E"]).await;
    let target = start(&store, &erp.url(), "start = \"newest\"");
    wait(&target, "what came meanwhile", |metrics| {
        metrics.delivered == 2
    })
    .await;
    let mut keys: Vec<_> = erp
        .arrivals()
        .into_iter()
        .map(|arrival| arrival.key)
        .collect();
    keys.sort();
    assert_eq!(keys, ["C", "D", "E"]);
}

#[tokio::test]
async fn what_was_finished_above_the_cursor_is_not_sent_again() {
    let (store, erp) = (open(), Erp::start().await);
    append(&store, "north/shipments", &["A", "B", "C", "D"]).await;
    erp.script(|ask| {
        if ask.has_key("A") {
            Reply::Hang
        } else {
            Reply::Status(200)
        }
    });
    let target = start(&store, &erp.url(), "batch = 1");
    wait(&target, "all but the first", |metrics| {
        metrics.delivered == 3
    })
    .await;
    target.stop().await;
    let held = cursor(&store, "north/shipments").expect("a cursor");
    assert_eq!(
        (held.through, held.above.iter().collect::<Vec<_>>()),
        (Offset(0), vec![2, 3, 4])
    );
    erp.script(|_| Reply::Status(200));
    let target = start(&store, &erp.url(), "batch = 1");
    wait(&target, "the first", |metrics| {
        metrics.delivered == 1 && metrics.backlog == 0
    })
    .await;
    assert_eq!(erp.arrivals().len(), 4);
}

#[tokio::test]
async fn a_template_writes_the_body() {
    let (store, erp) = (open(), Erp::start().await);
    append(&store, "north/shipments", &["A"]).await;
    let target = start(
        &store,
        &erp.url(),
        "template = '{\"key\": {{ key | tojson }}, \"no\": {{ data.shipment_number | tojson }}}'\nbodies = [\"shipment\"]",
    );
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    assert_eq!(
        erp.kept_asks()[0].body,
        "[{\"key\": \"A\", \"no\": \"A 1\"}]"
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_one_dead_letter_and_the_flow_goes_on() {
    let (store, erp) = (open(), Erp::start().await);
    append(&store, "north/shipments", &["A"]).await;
    let name = flow("north/shipments");
    let mut broken = block_of(
        &**store,
        &name,
        &[event(2, "B", "shipment"), event(3, "C", "shipment")],
    );
    let mut payload = broken.payload.to_vec();
    payload[9] ^= 0x55;
    broken.payload = payload.clone().into();
    append_block(&store, &name, broken).await;
    let bad_event = block_of(
        &**store,
        &name,
        &[
            event(4, "D", "shipment"),
            vec![0xFF; 5],
            event(6, "unknown", "from the future"),
        ],
    );
    append_block(&store, &name, bad_event).await;
    append(&store, "north/shipments", &["E"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "the good ones", |metrics| {
        metrics.delivered == 3 && metrics.dead == 3 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    assert_eq!(states(&store), [(2, Dead), (5, Dead), (6, Dead)]);
    let found = exceptions(&store);
    let letter = found
        .iter()
        .find(|found| found.offset.0 == 2)
        .expect("the block's");
    assert!(
        letter.reason.starts_with(
            "offsets 2 to 3: the block of 2 events does not open: the payload's CRC-32C"
        ),
        "{}",
        letter.reason
    );
    let letter =
        <dray_proto::v1::Event as prost::Message>::decode(letter.event.clone()).expect("an event");
    let Some(dray_proto::v1::event::Body::DeadLetter(body)) = letter.body else {
        panic!("a dead letter")
    };
    assert_eq!(
        (body.raw, letter.site.as_str(), letter.offset),
        (payload, "north", 2)
    );
    let poison = found
        .iter()
        .find(|found| found.offset.0 == 6)
        .expect("the unknown");
    assert_eq!(
        (
            poison.key.as_str(),
            poison.reason.contains("no body that this version knows")
        ),
        ("unknown", true)
    );
    let keys: Vec<_> = erp
        .arrivals()
        .into_iter()
        .map(|arrival| arrival.key)
        .collect();
    assert_eq!(keys, ["A", "D", "E"]);
    let block = dray_delivery::actions::retry(&store, found[0].id, false, None).await;
    assert!(
        block
            .expect_err("it is no event")
            .contains("can only be discarded")
    );
}

#[tokio::test]
async fn https_trusts_the_ca_file_and_nothing_else() {
    let certificate =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(certificate.signing_key.serialize_der())
        .expect("a key");
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("versions")
    .with_no_client_auth()
    .with_single_cert(vec![certificate.cert.der().clone()], key)
    .expect("a pair");
    let erp = Erp::serve(
        "127.0.0.1:0".parse().expect("an address"),
        Some(Arc::new(tls).into()),
    )
    .await;
    let store = open();
    append(&store, "north/shipments", &["A"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, certificate.cert.pem()).expect("a file");
    let target = start(
        &store,
        &erp.url(),
        &format!("ca_file = \"{}\"", path.display()),
    );
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    target.stop().await;
    append(&store, "north/shipments", &["B"]).await;
    let Ok(target) =
        dray_delivery::Target::start(crate::support::config(&erp.url(), ""), Arc::clone(&*store))
    else {
        return; // A machine without any CA: refused in words, which a unit test reads.
    };
    let metrics = wait(&target, "the distrust", |metrics| {
        metrics.state == State::Waiting
    })
    .await;
    assert!(metrics.detail.contains("certificate"), "{}", metrics.detail);
    assert_eq!(erp.arrivals().len(), 1);
}
