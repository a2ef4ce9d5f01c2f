//! Each body, byte for byte what `prost` writes.

use crate::site::{decimal, envelope, mapper, one, pairs, time};
use dray_proto::v1::event::Body;
use dray_proto::v1::{self, Event, Money};

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
fn a_body_without_any_value_is_still_that_body() {
    let event = mapped("receipt", &[("attributes.k", "K")]);
    assert!(matches!(event.body, Some(Body::Receipt(_))));
    let toml = "[[mapping]]\nbody = \"receipt\"\nkey = \"K\"\nfields = { status = \"S\" }";
    let event = one(&mut mapper(toml), &pairs(&[("K", "1"), ("S", "")]));
    assert_eq!(event.body, Some(Body::Receipt(v1::Receipt::default())));
}
