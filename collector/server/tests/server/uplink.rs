use dray_proto::v1::{RefusalCause, to_agent};
use dray_proto::{FlowName, Offset};
use dray_store::{Cursor, Step};
use tonic::Code;

use crate::blocks::{block_of, block_of_one, noise};
use crate::support::{Collector, Identity, Stream, request, soon};

#[tokio::test]
async fn blocks_are_acked_once_they_are_in_the_log_and_repeats_change_nothing() {
    let mut collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["shipments", "stock"])
        .await
        .expect("welcome");
    assert_eq!(
        stream
            .welcome
            .flows
            .iter()
            .map(|held| held.next_sequence)
            .collect::<Vec<_>>(),
        [1, 1]
    );
    for first in [1, 11, 21, 31] {
        stream.send(block_of("shipments", first, 10)).await;
    }
    stream.acked("shipments", 40).await;
    stream.send(block_of("shipments", 31, 10)).await;
    stream.acked("shipments", 40).await;
    drop(stream);

    let flow = FlowName::parse("north/shipments").expect("a name");
    assert_eq!(collector.store().held(&flow).newest_offset.0, 40);
    collector.restart().await;
    let stream = Stream::open(&collector, &agent, &["shipments"])
        .await
        .expect("welcome again");
    let held = &stream.welcome.flows[0];
    assert_eq!(
        (held.next_sequence, held.epoch, &held.position[..]),
        (41, 7, b"after 40".as_slice())
    );
}

#[tokio::test]
async fn an_agent_of_another_protocol_is_told_which_side_to_update() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    for (protocol, older) in [(0, "agent"), (2, "collector")] {
        let Err(status) = Stream::open_speaking(protocol, &collector, &agent, &["stock"]).await
        else {
            panic!("protocol {protocol} is welcome")
        };
        let said = format!(
            "the agent speaks protocol {protocol} and the collector protocol 1: update the {older}"
        );
        assert_eq!(
            (status.code(), status.message()),
            (Code::FailedPrecondition, said.as_str())
        );
    }
    Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
}

#[tokio::test]
async fn a_gap_stops_its_flow_and_no_other() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["shipments", "stock"])
        .await
        .expect("welcome");
    stream.send(block_of("shipments", 1, 10)).await;
    stream.acked("shipments", 10).await;
    stream.send(block_of("shipments", 21, 10)).await;
    let (flow, cause, reason) = stream.refused().await;
    assert_eq!(
        (flow.as_str(), cause),
        ("shipments", RefusalCause::Gap),
        "{reason}"
    );
    // Passed over: only the other flow is answered.
    stream.send(block_of("shipments", 11, 10)).await;
    stream.send(block_of("stock", 1, 5)).await;
    stream.acked("stock", 5).await;
}

#[tokio::test]
async fn what_was_damaged_on_the_way_or_names_another_site_is_refused_in_words() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["shipments", "south/stock"])
        .await
        .expect("welcome");
    assert_eq!(stream.welcome.flows.len(), 1);
    let (flow, cause, reason) = stream.refused().await;
    assert_eq!(
        (flow.as_str(), cause),
        ("south/stock", RefusalCause::Malformed)
    );
    assert!(reason.contains("without the site"), "{reason}");

    stream.send(block_of("south/stock", 1, 3)).await;
    assert_eq!(stream.refused().await.1, RefusalCause::Malformed);
    let mut damaged = block_of("shipments", 1, 3);
    damaged.header.as_mut().expect("a header").crc32c ^= 1;
    stream.send(damaged).await;
    let (flow, cause, reason) = stream.refused().await;
    assert_eq!(
        (flow.as_str(), cause),
        ("shipments", RefusalCause::Malformed)
    );
    assert!(
        reason.contains("CRC-32C") && reason.contains("still holds it"),
        "{reason}"
    );
    assert_eq!(collector.store().flows(), [], "nothing of it was stored");
}

#[tokio::test]
async fn the_flow_of_one_agent_is_refused_to_another_of_the_same_site() {
    let collector = Collector::start().await;
    let (first, second) = (
        collector.enrol("north").await,
        collector.enrol("north").await,
    );
    let mut stream = Stream::open(&collector, &first, &["stock"])
        .await
        .expect("welcome");
    stream.send(block_of("stock", 1, 2)).await;
    stream.acked("stock", 2).await;
    let mut stream = Stream::open(&collector, &second, &["stock"])
        .await
        .expect("welcome");
    stream.send(block_of("stock", 3, 2)).await;
    let (_, cause, reason) = stream.refused().await;
    assert_eq!(cause, RefusalCause::NotOwner);
    assert!(reason.contains(&first.agent), "{reason}");
}

#[tokio::test]
async fn nobody_writes_without_a_certificate_of_our_ca() {
    let collector = Collector::start().await;
    let channel = collector
        .dial(None)
        .await
        .expect("TLS without a certificate is for enrolment");
    let refused = dray_proto::v1::uplink_client::UplinkClient::new(channel)
        .stream(tokio_stream::empty())
        .await;
    let status = refused.expect_err("refused");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("enroll"), "{}", status.message());

    let elsewhere = Collector::start().await;
    let stranger = elsewhere.enrol("north").await;
    let Err(status) = Stream::open(&collector, &stranger, &["stock"]).await else {
        panic!("a stranger got in")
    };
    assert!(
        format!("{status:?}").contains("UnknownCA"),
        "the handshake itself fails: {status:?}"
    );

    // Signed by our CA, and never enrolled: its files were copied from a backup of another collector's store.
    let ca =
        dray_collector::identity::Authority::open(&collector.config().ca_dir()).expect("the CA");
    let (key, csr) = request();
    let now_s = 1_763_900_000;
    let issued = ca
        .sign_agent(&csr, "north", "a-00000000", 365 * 10, now_s)
        .expect("signed");
    let forged = Identity::new(&issued.certificate_pem, &key, "a-00000000".into());
    let Err(status) = Stream::open(&collector, &forged, &["stock"]).await else {
        panic!("an unknown agent got in")
    };
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(
        status.message().contains("not known") && status.message().contains("invite"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn a_revoked_agent_is_cut_off() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    let store = collector.store();
    let known = collector.seen().await;
    assert!(store.revoke_agent(&known.agent).expect("noted"));
    let status = stream.ended().await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("revoked"), "{}", status.message());
    let Err(status) = Stream::open(&collector, &agent, &["stock"]).await else {
        panic!("it got in again")
    };
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(
        store.agents().expect("the store answers")[0].revoked,
        "its leaving is noted, and leaves it revoked"
    );
}

#[tokio::test]
async fn a_second_stream_of_an_agent_takes_the_first_ones_place() {
    let mut collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut old = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    let mut new = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    assert_eq!(old.ended().await.code(), Code::Aborted);
    new.send(block_of("stock", 1, 2)).await;
    new.acked("stock", 2).await;
    collector.down().await;
    assert_eq!(new.ended().await.code(), Code::Unavailable);
}

#[tokio::test]
async fn many_blocks_in_flight_are_acked_in_order_and_all_of_them() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    let mut acked = 0;
    let mut next = 1;
    while acked < 20_000 {
        while next <= 20_000 && next < acked + 4_000 {
            stream.send(block_of("stock", next, 100)).await;
            next += 100;
        }
        let to_agent::Message::Ack(ack) = soon(stream.answer()).await.expect("an ack") else {
            panic!("no ack")
        };
        assert!(ack.through > acked && ack.through % 100 == 0);
        acked = ack.through;
    }
    assert_eq!(acked, 20_000);
}

#[tokio::test]
async fn the_largest_event_that_may_be_passes_and_a_larger_one_ends_the_stream_in_words() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    // Not compressible: the block is as large on the wire as its event.
    stream
        .send(block_of_one("stock", 1, &noise(16 * 1024 * 1024)))
        .await;
    stream.acked("stock", 1).await;
    stream
        .send(block_of_one("stock", 2, &noise(17 * 1024 * 1024)))
        .await;
    let status = stream.ended().await;
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
}

#[tokio::test]
async fn at_the_cap_ingest_stops_in_words_and_goes_on_in_the_same_stream_once_there_is_room() {
    let collector = Collector::with("[log]\nbytes_max = \"64MiB\"").await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    stream.send(block_of("stock", 1, 1)).await;
    stream.acked("stock", 1).await;
    // A consumer that reads nothing more keeps all that comes.
    let flow = FlowName::parse("north/stock").expect("a name");
    let step = Step {
        consumer: "feed:absent".into(),
        cursors: vec![(
            flow,
            Cursor {
                through: Offset(1),
                ..Cursor::default()
            },
        )],
        ..Step::default()
    };
    soon(collector.store().step(step))
        .await
        .expect("an answer")
        .expect("noted");
    let event = noise(4 * 1024 * 1024);
    let mut next = 2;
    loop {
        stream.send(block_of_one("stock", next, &event)).await;
        match stream.answer().await.expect("an answer") {
            to_agent::Message::Ack(ack) => assert_eq!(ack.through, next),
            to_agent::Message::Refusal(refusal) => {
                assert_eq!(refusal.cause(), RefusalCause::Store, "{}", refusal.reason);
                break;
            }
            other => panic!("{other:?}"),
        }
        next += 1;
        assert!(next < 20, "64 MiB hold no 80 MiB");
    }
    // What comes after the refused block is passed over; the refused one may come again.
    stream.send(block_of_one("stock", next + 1, &event)).await;
    collector.store().detach("feed:absent").expect("detached");
    let acked = async {
        loop {
            stream.send(block_of_one("stock", next, &event)).await;
            match stream.answer().await.expect("an answer") {
                to_agent::Message::Ack(ack) => break assert_eq!(ack.through, next),
                // Our own reader of dead letters writes its cursor every few seconds only.
                to_agent::Message::Refusal(refusal) => {
                    assert_eq!(refusal.cause(), RefusalCause::Store)
                }
                other => panic!("{other:?}"),
            }
        }
    };
    soon(acked).await;
}
