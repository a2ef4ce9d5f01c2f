use dray_collector::identity::Authority;
use dray_proto::v1::feed_client::FeedClient;
use dray_proto::v1::subscribe::Start;
use dray_proto::v1::{Event, FeedAck, FromReader, Subscribe, ToReader, from_reader};
use rcgen::KeyPair;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::blocks::{block_of, captured_us, dead_letters_of};
use crate::support::{Collector, Identity, Stream, soon};

struct Reader {
    up: mpsc::Sender<FromReader>,
    down: Streaming<ToReader>,
}

impl Reader {
    async fn open(mut feed: FeedClient<Channel>, subscribe: Subscribe) -> Result<Self, Status> {
        let (up, requests) = mpsc::channel(16);
        let first = FromReader {
            message: Some(from_reader::Message::Subscribe(subscribe)),
        };
        up.send(first).await.expect("it is open");
        let down = soon(feed.subscribe(ReceiverStream::new(requests)))
            .await?
            .into_inner();
        Ok(Self { up, down })
    }

    async fn ack(&self, flow: &str, offset: u64) {
        let ack = FeedAck {
            flow: flow.into(),
            offset,
        };
        self.up
            .send(FromReader {
                message: Some(from_reader::Message::Ack(ack)),
            })
            .await
            .expect("it is open");
    }

    /// The next `count` events.
    async fn events(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(
                soon(self.down.message())
                    .await
                    .expect("events")
                    .expect("not the end")
                    .event,
            );
        }
        assert_eq!(events.len(), count);
        events
    }

    /// What comes until this offset has.
    async fn until(&mut self, offset: u64) -> Vec<u64> {
        let mut seen = Vec::new();
        while seen.last() != Some(&offset) {
            seen.extend(offsets(
                &soon(self.down.message())
                    .await
                    .expect("events")
                    .expect("not the end")
                    .event,
            ));
        }
        seen
    }

    /// All events until the collector ends the stream.
    async fn rest(&mut self) -> Result<Vec<Event>, Status> {
        let mut events = Vec::new();
        while let Some(message) = soon(self.down.message()).await? {
            events.extend(message.event);
        }
        Ok(events)
    }
}

fn offsets(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.offset).collect()
}

/// A collector that holds 30 shipments, 5 dead letters in one flow and 4 shipments in another.
async fn filled() -> (Collector, Identity) {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["shipments", "stock"])
        .await
        .expect("welcome");
    for first in [1, 11, 21] {
        stream.send(block_of("shipments", first, 10)).await;
    }
    stream.send(dead_letters_of("shipments", 31, 5)).await;
    stream.acked("shipments", 35).await;
    stream.send(block_of("stock", 1, 4)).await;
    stream.acked("stock", 4).await;
    (collector, agent)
}

fn subscribe(
    consumer: &str,
    flows: &[&str],
    bodies: &[&str],
    start: Option<Start>,
    stop_at_end: bool,
) -> Subscribe {
    Subscribe {
        consumer: consumer.into(),
        flows: flows.iter().map(ToString::to_string).collect(),
        bodies: bodies.iter().map(ToString::to_string).collect(),
        start,
        stop_at_end,
    }
}

#[tokio::test]
async fn a_local_reader_sees_all_or_what_it_chose() {
    let (collector, _) = filled().await;
    let all: Vec<u64> = (1..=35).collect();
    let at = |micros: i64| {
        Some(Start::CapturedFrom(prost_types::Timestamp {
            seconds: micros / 1_000_000,
            nanos: 0,
        }))
    };
    type Row = (
        &'static [&'static str],
        &'static [&'static str],
        Option<Start>,
        Vec<u64>,
    );
    let table: [Row; 8] = [
        (&["north/shipments"], &[], None, all.clone()),
        (&["*/shipments"], &["shipment"], None, all[..30].to_vec()),
        (
            &["north/shipments"],
            &["dead_letter"],
            None,
            all[30..].to_vec(),
        ),
        (
            &["north/shipments"],
            &[],
            Some(Start::Offset(25)),
            all[24..].to_vec(),
        ),
        (
            &["north/shipments"],
            &[],
            at(captured_us(15)),
            all[14..].to_vec(),
        ),
        (&["north/shipments"], &[], at(captured_us(1_000)), vec![]),
        (&["north/shipments"], &[], Some(Start::Newest(true)), vec![]),
        (&["south/*"], &[], None, vec![]),
    ];
    for (flows, bodies, start, expected) in table {
        let wanted = subscribe("", flows, bodies, start, true);
        let said = format!("{wanted:?}");
        let mut reader = Reader::open(collector.local_feed().await, wanted)
            .await
            .expect("a feed");
        let events = reader.rest().await.expect("the end");
        assert_eq!(offsets(&events), expected, "{said}");
        for event in events {
            assert_eq!(
                (event.site.as_str(), event.flow.as_str(), event.epoch),
                ("north", "shipments", 7)
            );
            assert_eq!(event.sequence, event.offset);
        }
    }
    let mut reader = Reader::open(
        collector.local_feed().await,
        subscribe("", &[], &[], None, true),
    )
    .await
    .expect("a feed");
    assert_eq!(reader.rest().await.expect("the end").len(), 39);
}

#[tokio::test]
async fn a_durable_consumer_goes_on_after_its_last_ack_over_restarts() {
    let (mut collector, agent) = filled().await;
    let wanted = || {
        subscribe(
            "lakehouse",
            &["north/shipments"],
            &["shipment"],
            None,
            false,
        )
    };
    let mut reader = Reader::open(collector.local_feed().await, wanted())
        .await
        .expect("a feed");
    assert_eq!(
        offsets(&reader.events(30).await),
        (1..=30).collect::<Vec<_>>()
    );
    reader.ack("north/shipments", 20).await;
    drop(reader);
    // Acked, then gone: the ack may or may not have been written, but nothing after it was.
    let mut reader = Reader::open(collector.local_feed().await, wanted())
        .await
        .expect("a feed");
    let again = reader.until(30).await;
    assert!(again[0] == 1 || again[0] == 21, "{again:?}");
    reader.ack("north/shipments", 30).await;
    let store = collector.store();
    let mut wait = tokio::time::interval(std::time::Duration::from_millis(20));
    soon(async {
        // What was passed by (31 to 35, dead letters) is finished too.
        while store.cursors("feed:lakehouse").expect("cursors")[0]
            .1
            .through
            .0
            != 35
        {
            wait.tick().await;
        }
    })
    .await;
    drop((reader, store));
    collector.restart().await;
    let mut reader = Reader::open(collector.local_feed().await, wanted())
        .await
        .expect("a feed");
    let mut stream = Stream::open(&collector, &agent, &["shipments"])
        .await
        .expect("welcome");
    stream.send(block_of("shipments", 36, 2)).await;
    stream.acked("shipments", 37).await;
    assert_eq!(offsets(&reader.events(2).await), [36, 37]);
}

#[tokio::test]
async fn an_end_that_was_asked_for_waits_for_the_last_ack() {
    let (collector, _) = filled().await;
    let wanted = subscribe("report", &["north/stock"], &[], None, true);
    let mut reader = Reader::open(collector.local_feed().await, wanted)
        .await
        .expect("a feed");
    assert_eq!(reader.events(4).await.len(), 4);
    reader.ack("north/stock", 4).await;
    assert_eq!(reader.rest().await.expect("the end").len(), 0);
    assert_eq!(
        collector.store().cursors("feed:report").expect("cursors")[0]
            .1
            .through
            .0,
        4
    );
}

#[tokio::test]
async fn the_feed_is_for_readers_with_a_certificate_and_their_own_consumers() {
    let (collector, agent) = filled().await;
    let feed = async |identity: Option<&Identity>| {
        FeedClient::new(collector.dial(identity).await.expect("TLS"))
    };
    for identity in [None, Some(&agent)] {
        let client = feed(identity).await;
        let Err(status) = Reader::open(client, subscribe("", &[], &[], None, true)).await else {
            panic!("it got in")
        };
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(
            status.message().contains("dray-collector reader"),
            "{}",
            status.message()
        );
    }
    let ca = Authority::open(&collector.config().ca_dir()).expect("the CA");
    let (key, issued) = ca.reader("lakehouse", 3650, 1_763_900_000).expect("signed");
    let key = KeyPair::from_pem(&key).expect("a key");
    let reader = Identity::new(&issued.certificate_pem, &key, String::new());
    let mut ours = Reader::open(
        feed(Some(&reader)).await,
        subscribe("lakehouse-2", &["north/stock"], &[], None, false),
    )
    .await
    .expect("a feed");
    assert_eq!(ours.events(4).await.len(), 4);
    let mut theirs = Reader::open(
        feed(Some(&reader)).await,
        subscribe("erp", &[], &[], None, false),
    )
    .await
    .expect("a call");
    assert_eq!(
        theirs.rest().await.expect_err("not its own").code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_refused_in_words() {
    let (collector, _) = filled().await;
    for (wanted, words) in [
        (
            subscribe("", &["shipments"], &[], None, true),
            "north/shipments",
        ),
        (
            subscribe("", &[], &["shipmint"], None, true),
            "there are item",
        ),
        (
            subscribe("A B", &[], &[], None, true),
            "cannot name a consumer",
        ),
    ] {
        let mut reader = Reader::open(collector.local_feed().await, wanted)
            .await
            .expect("a call");
        let status = reader.rest().await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(words), "{}", status.message());
    }
}
