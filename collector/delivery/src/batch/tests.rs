use super::*;
use crate::body::{Place, sample};
use crate::connectors::Fate;
use crate::lanes::Lanes;
use crate::outcome::Outcome;
use dray_proto::{FlowName, Offset, Sequence};
use serde_json::Value;

fn batch(count: u32, poison: &[u32]) -> Batch {
    let good = sample("shipment").expect("a body");
    let mut bytes = good.clone();
    bytes.extend_from_slice(&[0xFF; 4]);
    let good_end = good.len() as u32;
    let events = (0..count)
        .map(|ordinal| Meta {
            start: if poison.contains(&ordinal) {
                good_end
            } else {
                0
            },
            end: if poison.contains(&ordinal) {
                good_end + 4
            } else {
                good_end
            },
            key_start: 0,
            key_end: 0,
            ordinal,
            lane: u64::from(ordinal),
            captured_us: 0,
        })
        .collect();
    let loaded = Arc::new(Loaded {
        flow: Some(0),
        place: Arc::new(Place::new(FlowName::parse("north/s").expect("a name"))),
        first_offset: Offset(100),
        first_sequence: Sequence(1),
        epoch: 1,
        bytes,
        events,
        redo: None,
        told: None,
        replayed: None,
    });
    let (mut batch, mut lanes) = (Batch::default(), Lanes::default());
    for ordinal in 0..count {
        lanes.push(u64::from(ordinal), ordinal);
        let (slot, event) = lanes.take().expect("a lane of its own");
        batch.push(slot, &loaded, event);
    }
    batch
}

fn offsets(body: &[u8]) -> Vec<u64> {
    let json: Value = serde_json::from_slice(body).expect("JSON");
    json.as_array()
        .expect("an array")
        .iter()
        .map(|event| event["offset"].as_u64().expect("a number"))
        .collect()
}

#[test]
fn a_body_is_an_array_without_its_poisoned_events() {
    let mut batch = batch(5, &[0, 3]);
    let left_out = batch.encode(&Renderer::Plan, Shape::Array, 1 << 20);
    assert_eq!(offsets(&batch.body()), [101, 102, 104]);
    assert_eq!(
        (
            left_out.poisoned.len(),
            left_out.unsent.len(),
            batch.items.len()
        ),
        (2, 0, 3)
    );
}

#[test]
fn a_single_event_is_an_object() {
    let mut batch = batch(1, &[]);
    batch.encode(&Renderer::Plan, Shape::Single, 1);
    let json: Value = serde_json::from_slice(&batch.body()).expect("JSON");
    assert_eq!(json["offset"], 100);
}

#[test]
fn a_body_stops_before_it_gets_too_long_but_holds_one_event() {
    let mut whole = batch(10, &[]);
    whole.encode(&Renderer::Plan, Shape::Array, 1 << 20);
    let one = whole.body().len() / 10;
    for (bytes_max, expected) in [(1, 1), (one * 3 + one / 2, 3), (one * 20, 10)] {
        let mut batch = batch(10, &[]);
        let left_out = batch.encode(&Renderer::Plan, Shape::Array, bytes_max);
        assert_eq!(
            (batch.items.len(), left_out.unsent.len()),
            (expected, 10 - expected)
        );
        assert_eq!(offsets(&batch.body()).len(), expected);
    }
}

#[test]
fn halves_hold_the_same_events_down_to_one() {
    let mut whole = batch(7, &[2]);
    whole.encode(&Renderer::Plan, Shape::Array, 1 << 20);
    let mut queue = vec![whole];
    let mut seen = Vec::new();
    while let Some(batch) = queue.pop() {
        let here = offsets(&batch.body());
        assert_eq!(here.len(), batch.items.len());
        if here.len() == 1 {
            assert_eq!(
                batch
                    .event(&batch.items[0])
                    .0
                    .offset(batch.event(&batch.items[0]).1)
                    .0,
                here[0]
            );
            seen.push(here[0]);
        } else {
            let [left, right] = batch.halves();
            queue.extend([right, left]);
        }
    }
    assert_eq!(seen, [100, 101, 103, 104, 105, 106]);
}

#[test]
fn a_delivery_names_each_event_where_somebody_looks_at_each() {
    let mut batch = batch(4, &[1]);
    assert!(batch.delivery(true).is_none(), "it is not encoded");
    batch.encode(&Renderer::Plan, Shape::Array, 1 << 20);
    let whole = batch.delivery(true).expect("events");
    let offsets: Vec<_> = whole
        .events
        .iter()
        .map(|piece| {
            let json = serde_json::from_slice::<Value>(&whole.body[piece.json.clone()]);
            json.expect("JSON")["offset"].as_u64().expect("a number")
        })
        .collect();
    assert_eq!(offsets, [100, 102, 103]);
    assert_eq!(batch.delivery(false).expect("events").events.len(), 1);
}

#[test]
fn what_is_over_is_left_out_of_a_batch() {
    let mut batch = batch(3, &[]);
    batch.encode(&Renderer::Plan, Shape::Array, 1 << 20);
    assert!(batch.leave_out(|_| false).is_empty() && batch.is_encoded());
    assert_eq!(batch.leave_out(|_| true).len(), 3);
    assert!(batch.items.is_empty() && !batch.is_encoded());
}

#[test]
fn a_batch_is_taken_apart_by_what_came_of_each_event() {
    let mut batch = batch(5, &[]);
    batch.encode(&Renderer::Plan, Shape::Array, 1 << 20);
    let refused = Outcome::Rejected("no such item".into());
    let outcomes = [
        Outcome::Done,
        Outcome::Done,
        refused.clone(),
        refused.clone(),
        Outcome::Done,
    ];
    let parts = batch.sorted(outcomes.map(Fate::from).into());
    let found: Vec<_> = parts
        .iter()
        .map(|(part, fate)| (part.items.len(), &fate.outcome))
        .collect();
    assert_eq!(
        found,
        [
            (2, &Outcome::Done),
            (1, &refused),
            (1, &refused),
            (1, &Outcome::Done)
        ]
    );
    assert!(parts.iter().all(|(part, _)| !part.is_encoded()));
}
