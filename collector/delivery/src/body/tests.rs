use super::*;
use dray_proto::v1;
use prost::Message;
use serde_json::{Value, json};

fn place() -> Place {
    Place::new(FlowName::parse("north/shipments").expect("a name"))
}

fn written(event: &[u8]) -> Result<Value, Poison> {
    let mut out = b"before".to_vec();
    let put = Writer::default().put(&mut out, &place(), Offset(17), event);
    assert_eq!(&out[..6], b"before");
    match put {
        Ok(()) => Ok(serde_json::from_slice(&out[6..]).expect("JSON")),
        Err(poison) => {
            assert_eq!(out.len(), 6, "nothing is left of a poison");
            Err(poison)
        }
    }
}

fn event(body: v1::event::Body) -> v1::Event {
    v1::Event {
        id: (1..=16).collect(),
        key: "SHP-\"1\"".into(),
        operation: v1::Operation::Create as i32,
        captured_at: Some(prost_types(1_700_000_001, 500_000_000)),
        schema_version: 3,
        body: Some(body),
        ..Default::default()
    }
}

fn prost_types(seconds: i64, nanos: i32) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos }
}

fn decimal(value: &str) -> Option<v1::Decimal> {
    Some(v1::Decimal {
        value: value.into(),
    })
}

#[test]
fn a_shipment_is_written_as_documented() {
    let mut shipment = event(v1::event::Body::Shipment(v1::Shipment {
        shipment_number: "SHP-1".into(),
        shipped_at: Some(prost_types(1_700_000_000, 0)),
        carrier: "Dörfler & Söhne \u{1F69A}\n".into(),
        line: Some(v1::ShipmentLine {
            item_number: "SKU-77".into(),
            quantity: decimal("12.50"),
            ..Default::default()
        }),
        ship_to: Some(v1::Address::default()),
        attributes: [
            ("DOCK".to_owned(), "7".to_owned()),
            ("empty".to_owned(), String::new()),
        ]
        .into(),
        ..Default::default()
    }));
    shipment.correlation_id = "SO-9".into();
    shipment.occurred_at = Some(prost_types(1_700_000_000, 5_000));
    shipment.provenance = Some(v1::Provenance {
        file: "a.txt".into(),
        line: 3,
        ..Default::default()
    });
    assert_eq!(
        written(&shipment.encode_to_vec()),
        Ok(json!({
            "id": "0102030405060708090a0b0c0d0e0f10",
            "site": "north",
            "flow": "shipments",
            "offset": 17,
            "key": "SHP-\"1\"",
            "correlation_id": "SO-9",
            "operation": "create",
            "occurred_at": "2023-11-14T22:13:20.000005Z",
            "captured_at": "2023-11-14T22:13:21.500000Z",
            "schema_version": 3,
            "type": "shipment",
            "provenance": {"file": "a.txt", "line": 3},
            "data": {
                "shipment_number": "SHP-1",
                "carrier": "Dörfler & Söhne \u{1F69A}\n",
                "shipped_at": "2023-11-14T22:13:20Z",
                "line": {"item_number": "SKU-77", "quantity": "12.50"},
                "attributes": {"DOCK": "7", "empty": ""},
            },
        }))
    );
}

#[test]
fn what_is_empty_is_absent() {
    let level = event(v1::event::Body::InventoryLevel(v1::InventoryLevel {
        on_hand: decimal("0"),
        available: decimal(""),
        ..Default::default()
    }));
    let json = written(&level.encode_to_vec()).expect("a level");
    assert_eq!(json["data"], json!({"on_hand": "0"}));
    for absent in ["correlation_id", "occurred_at", "provenance"] {
        assert_eq!(json.get(absent), None, "{absent}");
    }
}

#[test]
fn an_order_money_an_invoice_and_a_generic_record_are_written() {
    let order = event(v1::event::Body::Order(v1::Order {
        total: Some(v1::Money {
            amount: decimal("-19.99"),
            currency: "EUR".into(),
        }),
        ..Default::default()
    }));
    assert_eq!(
        written(&order.encode_to_vec()).expect("an order")["data"],
        json!({"total": {"amount": "-19.99", "currency": "EUR"}})
    );
    let generic = event(v1::event::Body::Generic(v1::Generic {
        record_type: "pick_task".into(),
        fields: (0..50)
            .map(|n| (format!("C{n}"), format!("\u{1}{n}")))
            .collect(),
        unchanged: vec!["note".into(), "photo".into()],
    }));
    let json = written(&generic.encode_to_vec()).expect("a record");
    assert_eq!(json["data"]["fields"]["C49"], "\u{1}49");
    assert_eq!(json["data"]["unchanged"], json!(["note", "photo"]));
    assert_eq!(
        json["data"]["fields"].as_object().map(serde_json::Map::len),
        Some(50)
    );
}

#[test]
fn every_field_of_every_body_is_written_under_its_name() {
    for body in schema::BODIES {
        let json = written(&sample(body.name).expect("a body")).expect("our own sample");
        assert_eq!(json["type"], body.name);
        let data = json["data"].as_object().expect("an object");
        assert_eq!(data.len(), body.message.fields.len(), "{}", body.name);
        for field in body.message.fields {
            assert!(
                data.contains_key(field.name),
                "{}.{}",
                body.name,
                field.name
            );
        }
    }
    let data = &written(&sample("dead_letter").expect("a body")).expect("a sample")["data"];
    assert_eq!(data["stage"], "decode", "an enum goes by its name");
    let raw = &data["raw"];
    assert_eq!(raw, &json!(STANDARD.encode(b"\x00\xFFraw")));
    let data = &written(&sample("schema_change").expect("a body")).expect("a sample")["data"];
    let column = json!({"name": "name 1", "type": "type 1", "key": 2});
    assert_eq!(data["columns"], json!([column, column]), "a list is one");
}

#[test]
fn a_place_behind_the_event_changes_nothing() {
    let plain = sample("shipment").expect("a body");
    let mut placed = plain.clone();
    let flow = FlowName::parse("north/shipments").expect("a name");
    dray_proto::event::put_place(&mut placed, &flow, 9, dray_proto::Sequence(10), Offset(17));
    assert_eq!(written(&placed), written(&plain));
}

#[test]
fn poison_says_what_is_wrong() {
    use dray_proto::wire;
    let good = sample("shipment").expect("a body");
    let mut twice = good.clone();
    twice.truncate(good.len());
    let without_body = event(v1::event::Body::Shipment(v1::Shipment::default()));
    let mut unknown = v1::Event {
        body: None,
        ..without_body
    }
    .encode_to_vec();
    wire::put_text(&mut unknown, 60, "a body from the future");
    let shipment = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut event = v1::Event {
            body: None,
            ..event(v1::event::Body::Item(v1::Item::default()))
        }
        .encode_to_vec();
        wire::put_message(&mut event, 23, |out| write(out));
        event
    };
    for (event, said) in [
        (vec![0xFF; 9], "cannot be read"),
        (good[..good.len() - 1].to_vec(), "cannot be read"),
        (unknown, "no body that this version knows"),
        (
            shipment(&|out| {
                wire::put_text(out, 1, "a");
                wire::put_text(out, 1, "b");
            }),
            "\"shipment_number\": twice",
        ),
        (
            shipment(&|out| wire::put_integer(out, 1, 5)),
            "another kind",
        ),
        (
            shipment(&|out| wire::put_bytes(out, 1, b"\xFF")),
            "cannot be read",
        ),
        (
            shipment(&|out| wire::put_timestamp(out, 6, i64::MAX)),
            "years 0000 to 9999",
        ),
    ] {
        let Err(Poison(reason)) = written(&event) else {
            panic!("{said}: it was written")
        };
        assert!(reason.contains(said), "{reason}");
    }
    let newer = shipment(&|out| {
        wire::put_text(out, 1, "a");
        wire::put_text(out, 90, "a field from the future");
    });
    assert_eq!(
        written(&newer).expect("it is left out")["data"],
        json!({"shipment_number": "a"})
    );
}
