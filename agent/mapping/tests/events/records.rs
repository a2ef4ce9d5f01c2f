//! Records become events, byte for byte what `prost` writes.

use crate::site::{
    CAPTURED_US, decimal, envelope, map, mapper, one, origin, pairs, record, refused, shape, time,
};
use dray_adapter::{Reject, RejectStage};
use dray_proto::v1::event::Body;
use dray_proto::v1::{self, DeadLetterStage, Event, Operation};
use prost::Message as _;

#[test]
fn the_plans_example_becomes_its_event() {
    let mut mapper = mapper(
        r#"
        [[mapping]]
        body = "shipment"
        when = "rec.TYPE == 'S'"
        key = "SHIP_NO"
        correlation_id = "ORDER_NO"
        operation = { from = "OP", lookup = { I = "create", U = "update" } }
        occurred_at = { from = "TS", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
        [mapping.fields]
        shipment_number = { from = "SHIP_NO", required = true }
        status = { from = "ST", lookup = { S = "SHIPPED" }, default = "UNKNOWN" }
        shipped_at = { from = "TS", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
        "line.item_number" = "SKU"
        "line.quantity" = { from = "QTY", implied_decimals = 3 }
        "attributes.dock" = "DOCK"
        carrier = { expr = "rec.CARRIER | upper" }
        "#,
    );
    let values = [
        ("TYPE", "S"),
        ("SHIP_NO", " SHP-1 "),
        ("ORDER_NO", "SO-9"),
        ("OP", "U"),
        ("TS", "20261123081500"),
        ("ST", ""),
        ("SKU", "SKU-77"),
        ("QTY", "00012500"),
        ("DOCK", "D4"),
        ("CARRIER", "dhl"),
    ];
    let at = time("2026-11-23T07:15:00Z");
    let expected = Event {
        correlation_id: "SO-9".into(),
        operation: Operation::Update as i32,
        occurred_at: at,
        ..envelope(
            "SHP-1",
            Body::Shipment(v1::Shipment {
                shipment_number: "SHP-1".into(),
                carrier: "DHL".into(),
                shipped_at: at,
                status: "UNKNOWN".into(),
                line: Some(v1::ShipmentLine {
                    item_number: "SKU-77".into(),
                    quantity: decimal("12.500"),
                    ..Default::default()
                }),
                attributes: [("dock".to_owned(), "D4".to_owned())].into(),
                ..Default::default()
            }),
        )
    };
    assert_eq!(one(&mut mapper, &pairs(&values)), expected);
    let mut other = values;
    other[0].1 = "X";
    assert_eq!(
        map(&mut mapper, &pairs(&other)),
        Ok(Vec::new()),
        "no mapping takes it"
    );
}

#[test]
fn dotted_names_without_quotes_are_the_same_fields() {
    let toml = r#"
        [[mapping]]
        body = "order"
        key = "A"
        [mapping.fields]
        line.quantity = "B"
        line.unit_price.amount = { from = "C", decimal_comma = true }
        attributes.x.y = "A"
        [mapping.fields.total]
        amount = "B"
    "#;
    let event = one(
        &mut mapper(toml),
        &pairs(&[("A", "1"), ("B", "2"), ("C", "1.234,50")]),
    );
    let Some(Body::Order(order)) = event.body else {
        panic!("an order")
    };
    let line = order.line.expect("a line");
    assert_eq!(line.quantity, decimal("2"));
    assert_eq!(line.unit_price.expect("a price").amount, decimal("1234.50"));
    assert_eq!(order.total.expect("a total").amount, decimal("2"));
    assert_eq!(order.attributes["x.y"], "1");
}

#[test]
fn empty_values_are_left_out_filled_or_refused() {
    let toml = r#"
        [[mapping]]
        body = "shipment"
        key = "K"
        [mapping.fields]
        status = { from = "A", default = "OPEN" }
        carrier = "A"
        "line.quantity" = "A"
        "line.unit" = { from = "A", trim = false }
        "ship_to.city" = "A"
        "attributes.a" = "A"
        shipped_at = { from = "A", default = "2026-01-01T00:00:00Z" }
        warehouse = { default = "WH1" }
    "#;
    let mut mapper = mapper(toml);
    let event = one(&mut mapper, &pairs(&[("K", "1"), ("A", "  ")]));
    let expected = Body::Shipment(v1::Shipment {
        status: "OPEN".into(),
        warehouse: "WH1".into(),
        shipped_at: time("2026-01-01T00:00:00Z"),
        line: Some(v1::ShipmentLine {
            unit: "  ".into(),
            ..Default::default()
        }),
        ..Default::default()
    });
    assert_eq!(event.body, Some(expected), "what isn't trimmed isn't empty");
    let event = one(&mut mapper, &pairs(&[("K", "1"), ("A", "")]));
    let Some(Body::Shipment(shipment)) = event.body else {
        panic!("a shipment")
    };
    assert_eq!(
        (shipment.line, shipment.ship_to, shipment.attributes.len()),
        (None, None, 0)
    );
}

#[test]
fn what_the_source_did_not_send_is_left_out_but_not_in_keys_and_conditions() {
    let shape = shape("", &["K", "A"]);
    let toml = "[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { item_number = \"K\", status = { from = \"A\", required = true, default = \"x\" }, unit = { expr = \"rec.A ~ 'x'\" } }";
    let event = one(&mut mapper(toml), &record(&shape, &[Some("1"), None]));
    assert_eq!(
        event.body,
        Some(Body::Item(v1::Item {
            item_number: "1".into(),
            ..Default::default()
        }))
    );
    let failure = refused(&mut mapper(toml), &record(&shape, &[None, None]));
    assert!(
        failure.reason.starts_with("key: the source did not send"),
        "{failure}"
    );
    let toml = "[[mapping]]\nbody = \"item\"\nwhen = \"rec.A == 'x'\"\nkey = \"K\"\nfields = { item_number = \"K\" }";
    let failure = refused(&mut mapper(toml), &record(&shape, &[Some("1"), None]));
    assert!(
        failure
            .reason
            .starts_with("the condition (when) of mapping 1 rests on a column"),
        "{failure}"
    );
}

#[test]
fn several_mappings_take_one_record_under_ids_of_their_own_or_none_does() {
    let toml = r#"
        [[mapping]]
        body = "item"
        when = "rec.A == 'yes'"
        key = "K"
        fields = { item_number = "K" }
        [[mapping]]
        body = "inventory_level"
        key = { expr = "rec.WH ~ '/' ~ rec.K" }
        operation = "snapshot"
        fields = { on_hand = "Q" }
    "#;
    let mut mapper = mapper(toml);
    let values =
        |a: &'static str, q: &'static str| pairs(&[("K", "1"), ("A", a), ("WH", "W"), ("Q", q)]);
    let both = map(&mut mapper, &values("yes", "5")).expect("two events");
    assert_eq!(
        both.iter().map(|event| event.id[15]).collect::<Vec<_>>(),
        [0, 1]
    );
    assert_eq!(
        (both[1].key.as_str(), both[1].operation),
        ("W/1", Operation::Snapshot as i32)
    );
    let second = map(&mut mapper, &values("no", "5")).expect("one event");
    assert_eq!(
        second.iter().map(|event| event.id[15]).collect::<Vec<_>>(),
        [1],
        "its id doesn't move up"
    );
    let record = values("yes", "x");
    let mut handed_out = 0;
    let record = record.get(0).expect("a record");
    let failure = mapper
        .map(&origin(), 0, record, &mut |_| handed_out += 1)
        .expect_err("no decimal");
    assert_eq!((handed_out, failure.stage), (0, DeadLetterStage::Map));
}

#[test]
fn mappings_are_chosen_by_the_records_type() {
    let toml = r#"
        [[mapping]]
        body = "item"
        record_type = "H1"
        key = "K"
        fields = { item_number = "K" }
        [[mapping]]
        body = "generic"
        record_type = "pick_task"
        key = "K"
        fields = "*"
        [[mapping]]
        body = "generic"
        key = "K"
        all_columns = true
        [mapping.fields]
        A = { from = "A", lookup = { x = "long" } }
        extra = { default = "e" }
    "#;
    let mut mapper = mapper(toml);
    let mut outputs = |record_type: &str| -> Vec<u8> {
        let records = record(&shape(record_type, &["K", "A"]), &[Some("1"), Some("x")]);
        let events = map(&mut mapper, &records).expect("events");
        events.iter().map(|event| event.id[15]).collect()
    };
    assert_eq!(outputs("H1"), [0, 2]);
    assert_eq!(outputs("pick_task"), [1, 2]);
    assert_eq!(
        outputs(""),
        [1, 2],
        "where the source knows no types, the name is only a name"
    );
    assert_eq!(outputs("other"), [2]);
    let records = record(
        &shape("other", &["K", "A", "B", "C"]),
        &[Some(" 1"), Some("x"), Some(""), None],
    );
    let events = map(&mut mapper, &records).expect("events");
    let Some(Body::Generic(generic)) = &events[0].body else {
        panic!("generic")
    };
    assert_eq!(generic.record_type, "other");
    let expected = [("A", "long"), ("K", "1"), ("extra", "e")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(generic.fields, expected.into());
    assert_eq!(generic.unchanged, ["C"]);
    assert_eq!(
        events[0].provenance.as_ref().expect("a place").record_type,
        "other"
    );
}

#[test]
fn the_operation_is_what_the_source_says_unless_the_mapping_says_it() {
    use Operation::{Create, Delete, Snapshot, Update};
    let plain = "[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { unit = \"U\" }";
    let (mut told, mut own) = (
        mapper(plain),
        mapper(&plain.replace("key", "operation = \"update\"\nkey")),
    );
    for (word, expected) in [
        ("read", Snapshot),
        ("create", Create),
        ("update", Update),
        ("delete", Delete),
        ("truncate", Delete),
        ("I", Create),
        ("", Create),
    ] {
        let records = pairs(&[("K", "1"), ("U", "EA"), ("_op", word)]);
        assert_eq!(
            one(&mut told, &records).operation,
            expected as i32,
            "{word}"
        );
        assert_eq!(one(&mut own, &records).operation, Update as i32, "{word}");
    }
    let records = pairs(&[("K", "1"), ("U", "EA")]);
    assert_eq!(one(&mut told, &records).operation, Create as i32);
    let records = record(
        &shape("public.stock", &["K", "U", "_op"]),
        &[Some(""), Some(""), Some("truncate")],
    );
    let said = refused(&mut told, &records).to_string();
    assert!(
        said.contains("the table public.stock was emptied (TRUNCATE)"),
        "{said}"
    );
}

#[test]
fn a_dead_letters_operation_is_what_the_source_says_of_its_record() {
    let mapper = mapper("[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { unit = \"U\" }");
    for (word, expected) in [
        ("read", Operation::Snapshot),
        ("delete", Operation::Delete),
        ("truncate", Operation::Delete),
        ("", Operation::Create),
    ] {
        let records = pairs(&[("K", ""), ("U", "EA"), ("_op", word)]);
        let view = records.get(0).expect("a record");
        let bytes =
            mapper.dead_letter_of_record(&origin(), CAPTURED_US, view, DeadLetterStage::Map, "why");
        let event = Event::decode(bytes.as_slice()).expect("an event");
        assert_eq!(event.operation, expected as i32, "{word}");
    }
}

#[test]
fn shapes_that_differ_are_told_apart() {
    let mut mapper = mapper("[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { unit = \"U\" }");
    for columns in [["K", "U"], ["U", "K"], ["K", "U"]] {
        let values = columns.map(|name| {
            if name == "K" {
                Some("key")
            } else {
                Some("unit")
            }
        });
        let event = one(&mut mapper, &record(&shape("", &columns), &values));
        assert_eq!(event.key, "key");
        assert_eq!(
            event.body,
            Some(Body::Item(v1::Item {
                unit: "unit".into(),
                ..Default::default()
            }))
        );
    }
    let short = record(&shape("", &["K", "U"]), &[Some("key")]);
    assert_eq!(
        one(&mut mapper, &short).body,
        Some(Body::Item(v1::Item::default())),
        "a cell that is missing is empty"
    );
}

#[test]
fn a_dead_letter_carries_place_reason_and_bytes() {
    let mapper = mapper("[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { unit = \"U\" }");
    let long = "x".repeat(70_000);
    let columns = shape("T", &["K", "QTY", "NOTE", "LATE", "REST"]);
    let (empty, rest) = (Some(""), Some("y"));
    let records = record(&columns, &[Some(&long), Some("1O"), empty, None, rest]);
    let view = records.get(0).expect("a record");
    let bytes =
        mapper.dead_letter_of_record(&origin(), CAPTURED_US, view, DeadLetterStage::Map, "why");
    let event = Event::decode(bytes.as_slice()).expect("an event");
    let Some(Body::DeadLetter(letter)) = &event.body else {
        panic!("a dead letter")
    };
    let mut fields: Vec<_> = letter.fields.iter().collect();
    fields.sort();
    let read =
        [("QTY", "1O"), ("REST", "y")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(
        fields,
        read.iter()
            .map(|(name, value)| (name, value))
            .collect::<Vec<_>>(),
        "what is empty or does not fit is left out, and not cut"
    );
    assert_eq!(
        (letter.raw.len(), letter.raw_bytes, letter.raw_sha256.len()),
        (65_536, 70_007, 32)
    );
    assert_eq!(
        (event.id[15], event.key.as_str(), letter.reason.as_str()),
        (255, "INV_7.txt:5", "why")
    );
    assert_eq!(event.provenance.as_ref().expect("a place").record_type, "T");
    let reject = Reject {
        after: 0,
        ordinal: 9,
        line: 0,
        stage: RejectStage::Source,
        reason: "ü".repeat(2_000),
        raw: Vec::new(),
        raw_bytes: 0,
        raw_sha256: None,
    };
    let bytes = mapper.dead_letter_of_reject(&origin(), CAPTURED_US, &reject);
    let event = Event::decode(bytes.as_slice()).expect("an event");
    assert_eq!(event.encode_to_vec(), bytes);
    let Some(Body::DeadLetter(letter)) = &event.body else {
        panic!("a dead letter")
    };
    assert_eq!(
        (letter.stage, letter.reason.len()),
        (DeadLetterStage::Source as i32, 2_048)
    );
    assert_eq!((event.key.as_str(), event.id[14]), ("INV_7.txt", 9));
    let message = dray_adapter::Origin {
        file: "".into(),
        message_id: "M-1".into(),
        ..origin()
    };
    let event = Event::decode(
        mapper
            .dead_letter_of_reject(&message, 0, &reject)
            .as_slice(),
    )
    .expect("an event");
    assert_eq!(event.key, "M-1#9");
}
