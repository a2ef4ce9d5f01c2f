//! Records become events, byte for byte what `prost` writes.

#[allow(dead_code)]
mod site;

use dray_adapter::{Reject, RejectStage};
use dray_proto::v1::event::Body;
use dray_proto::v1::{self, DeadLetterStage, Decimal, Event, Money, Operation, Provenance};
use prost::Message as _;
use prost_types::Timestamp;
use site::{CAPTURED_US, map, mapper, one, origin, pairs, record, refused, shape};

fn decimal(value: &str) -> Option<Decimal> {
    Some(Decimal {
        value: value.into(),
    })
}

fn time(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().expect("a timestamp");
    Some(Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    })
}

fn envelope(key: &str, body: Body) -> Event {
    Event {
        id: [vec![7; 10], vec![0, 0, 0, 0, 4, 0]].concat(),
        key: key.into(),
        operation: Operation::Create as i32,
        captured_at: time("2026-11-23T07:15:00Z"),
        schema_version: 3,
        provenance: Some(Provenance {
            file: "INV_7.txt".into(),
            line: 5,
            ..Default::default()
        }),
        body: Some(body),
        ..Default::default()
    }
}

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

/// Each field from a column of its own path's name, in an order that isn't that of the numbers.
fn mapped(body: &str, fields: &[(&str, &str)]) -> Event {
    let mut lines: Vec<String> = fields
        .iter()
        .map(|(path, _)| format!("\"{path}\" = \"{path}\""))
        .collect();
    lines.reverse();
    let toml = format!(
        "[[mapping]]\nbody = \"{body}\"\nkey = \"{}\"\n[mapping.fields]\n{}",
        fields[0].0,
        lines.join("\n")
    );
    one(&mut mapper(&toml), &pairs(fields))
}

#[test]
fn every_body_is_written_as_prost_writes_it() {
    let line_money = |amount: &str| {
        Some(Money {
            amount: decimal(amount),
            currency: "EUR".into(),
        })
    };
    let attributes: std::collections::HashMap<_, _> = [("a.b".to_owned(), "x".to_owned())].into();
    for (body, fields, expected) in [
        (
            "item",
            vec![
                ("item_number", "I"),
                ("description", "größe"),
                ("unit", "EA"),
                ("barcode", "4"),
                ("weight_kg", "1.5"),
                ("volume_m3", "0.001"),
                ("status", "A"),
                ("attributes.a.b", "x"),
            ],
            Body::Item(v1::Item {
                item_number: "I".into(),
                description: "größe".into(),
                unit: "EA".into(),
                barcode: "4".into(),
                weight_kg: decimal("1.5"),
                volume_m3: decimal("0.001"),
                status: "A".into(),
                attributes: attributes.clone(),
            }),
        ),
        (
            "customer",
            vec![
                ("customer_number", "C"),
                ("name", "N"),
                ("address.city", "Köln"),
                ("address.country", "DE"),
                ("email", "e"),
                ("phone", "p"),
                ("status", "s"),
            ],
            Body::Customer(v1::Customer {
                customer_number: "C".into(),
                name: "N".into(),
                email: "e".into(),
                phone: "p".into(),
                status: "s".into(),
                address: Some(v1::Address {
                    city: "Köln".into(),
                    country: "DE".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        ),
        (
            "order",
            vec![
                ("order_number", "O"),
                ("order_date", "2026-11-23"),
                ("requested_date", "20261124"),
                ("total.amount", "19.99"),
                ("total.currency", "EUR"),
                ("line.line_number", "10"),
                ("line.unit_price.amount", "-2"),
                ("line.unit_price.currency", "EUR"),
            ],
            Body::Order(v1::Order {
                order_number: "O".into(),
                order_date: "2026-11-23".into(),
                requested_date: "2026-11-24".into(),
                total: line_money("19.99"),
                line: Some(v1::OrderLine {
                    line_number: "10".into(),
                    unit_price: line_money("-2"),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        ),
        (
            "shipment",
            vec![
                ("shipment_number", "S"),
                ("tracking_number", "T"),
                ("shipped_at", "2026-11-23T07:15:00.5Z"),
                ("ship_to.name", "N"),
                ("line.serial_number", "1"),
                ("line.container", "P"),
            ],
            Body::Shipment(v1::Shipment {
                shipment_number: "S".into(),
                tracking_number: "T".into(),
                shipped_at: time("2026-11-23T07:15:00.5Z"),
                ship_to: Some(v1::Address {
                    name: "N".into(),
                    ..Default::default()
                }),
                line: Some(v1::ShipmentLine {
                    serial_number: "1".into(),
                    container: "P".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        ),
        (
            "inventory_movement",
            vec![
                ("movement_number", "M"),
                ("quantity", "4-"),
                ("moved_at", "1969-12-31T23:59:59Z"),
                ("user", "u"),
            ],
            Body::InventoryMovement(v1::InventoryMovement {
                movement_number: "M".into(),
                quantity: decimal("-4"),
                moved_at: time("1969-12-31T23:59:59Z"),
                user: "u".into(),
                ..Default::default()
            }),
        ),
        (
            "inventory_level",
            vec![
                ("item_number", "I"),
                ("on_hand", "007"),
                ("available", ".5"),
                ("counted_at", "2026-11-23T07:15:00+01:00"),
            ],
            Body::InventoryLevel(v1::InventoryLevel {
                item_number: "I".into(),
                on_hand: decimal("7"),
                available: decimal("0.5"),
                counted_at: time("2026-11-23T06:15:00Z"),
                ..Default::default()
            }),
        ),
        (
            "receipt",
            vec![
                ("receipt_number", "R"),
                ("line.quantity", "1"),
                ("line.lot", "L"),
            ],
            Body::Receipt(v1::Receipt {
                receipt_number: "R".into(),
                line: Some(v1::ReceiptLine {
                    quantity: decimal("1"),
                    lot: "L".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        ),
        (
            "invoice",
            vec![
                ("invoice_number", "V"),
                ("due_date", "2026-12-01"),
                ("tax.amount", "1.90"),
                ("line.amount.amount", "10"),
                ("line.amount.currency", "EUR"),
            ],
            Body::Invoice(v1::Invoice {
                invoice_number: "V".into(),
                due_date: "2026-12-01".into(),
                tax: Some(Money {
                    amount: decimal("1.90"),
                    currency: String::new(),
                }),
                line: Some(v1::InvoiceLine {
                    amount: line_money("10"),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        ),
        (
            "generic",
            vec![("a.b", "1")],
            Body::Generic(v1::Generic {
                fields: [("a.b".to_owned(), "1".to_owned())].into(),
                ..Default::default()
            }),
        ),
    ] {
        assert_eq!(
            mapped(body, &fields),
            envelope(fields[0].1, expected),
            "{body}"
        );
    }
}

#[test]
fn a_long_body_and_a_long_field_keep_their_lengths_right() {
    let text = "ü".repeat(70_000);
    let event = mapped(
        "item",
        &[
            ("item_number", "I"),
            ("description", &text),
            ("attributes.long", &text),
        ],
    );
    let Some(Body::Item(item)) = event.body else {
        panic!("an item")
    };
    assert_eq!(
        (item.description.len(), item.attributes["long"].len()),
        (140_000, 140_000)
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
fn a_body_without_any_value_is_still_that_body() {
    let event = mapped("receipt", &[("attributes.k", "K")]);
    assert!(matches!(event.body, Some(Body::Receipt(_))));
    let toml = "[[mapping]]\nbody = \"receipt\"\nkey = \"K\"\nfields = { status = \"S\" }";
    let event = one(&mut mapper(toml), &pairs(&[("K", "1"), ("S", "")]));
    assert_eq!(event.body, Some(Body::Receipt(v1::Receipt::default())));
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
        &shape("other", &["K", "A", "B"]),
        &[Some(" 1"), Some("x"), Some("")],
    );
    let events = map(&mut mapper, &records).expect("events");
    let Some(Body::Generic(generic)) = &events[0].body else {
        panic!("generic")
    };
    assert_eq!(generic.record_type, "other");
    let expected = [("A", "long"), ("K", "1"), ("extra", "e")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(generic.fields, expected.into());
    assert_eq!(
        events[0].provenance.as_ref().expect("a place").record_type,
        "other"
    );
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
    let records = record(&shape("T", &["K"]), &[Some(&long)]);
    let view = records.get(0).expect("a record");
    let bytes =
        mapper.dead_letter_of_record(&origin(), CAPTURED_US, view, DeadLetterStage::Map, "why");
    let event = Event::decode(bytes.as_slice()).expect("an event");
    assert_eq!(event.encode_to_vec(), bytes);
    let Some(Body::DeadLetter(letter)) = &event.body else {
        panic!("a dead letter")
    };
    assert_eq!(
        (letter.raw.len(), letter.raw_bytes, letter.raw_sha256.len()),
        (65_536, 70_000, 32)
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
