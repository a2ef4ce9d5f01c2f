//! An event's envelope, read in place.

use crate::schema::{self, Body};
use crate::wire::{self, Fields, Raw, WireError};
use crate::{EventId, FlowName, Offset, Sequence};

/// The field numbers of the envelope, as `event.proto` gives them; a test compares.
pub mod number {
    #![allow(missing_docs)]
    pub const ID: u32 = 1;
    pub const KEY: u32 = 2;
    pub const CORRELATION_ID: u32 = 3;
    pub const OPERATION: u32 = 4;
    pub const OCCURRED_AT: u32 = 5;
    pub const CAPTURED_AT: u32 = 6;
    pub const SCHEMA_VERSION: u32 = 7;
    pub const PROVENANCE: u32 = 8;
    pub const SITE: u32 = 9;
    pub const FLOW: u32 = 10;
    pub const EPOCH: u32 = 11;
    pub const SEQUENCE: u32 = 12;
    pub const OFFSET: u32 = 13;
    /// Within `Provenance`.
    pub const FILE: u32 = 1;
    pub const LINE: u32 = 2;
    pub const MESSAGE_ID: u32 = 3;
    pub const CHANGE_POSITION: u32 = 4;
    pub const RECORD_TYPE: u32 = 5;
}

/// An encoded event, with the parts that routing and delivery look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The event's id.
    pub id: EventId,
    /// The business key.
    pub key: &'a str,
    /// May be empty.
    pub correlation_id: &'a str,
    /// As in `Operation`.
    pub operation: i32,
    /// Microseconds since 1970-01-01T00:00:00Z, where the source said it.
    pub occurred_us: Option<i64>,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub captured_us: i64,
    /// From 1.
    pub schema_version: u32,
    /// The encoded `Provenance`; empty where there is none.
    pub provenance: &'a [u8],
    /// Which body it has and that body's bytes; `None` for one that this version does not know.
    pub body: Option<(&'static Body, &'a [u8])>,
}

impl<'a> View<'a> {
    /// Reads an event in place.
    ///
    /// # Errors
    /// [`WireError`] if the bytes are not an event with an id of 16 bytes.
    pub fn of(event: &'a [u8]) -> Result<Self, WireError> {
        let mut id = None;
        let mut view = View {
            id: EventId::new([0; 10], 0, 0),
            key: "",
            correlation_id: "",
            operation: 0,
            occurred_us: None,
            captured_us: 0,
            schema_version: 0,
            provenance: &[],
            body: None,
        };
        for field in Fields::of(event) {
            match field? {
                (number::ID, Raw::Bytes(bytes)) => id = EventId::from_slice(bytes),
                (number::KEY, Raw::Bytes(bytes)) => view.key = wire::utf8(bytes)?,
                (number::CORRELATION_ID, Raw::Bytes(bytes)) => {
                    view.correlation_id = wire::utf8(bytes)?
                }
                (number::OPERATION, Raw::Varint(value)) => view.operation = value as i32,
                (number::OCCURRED_AT, Raw::Bytes(bytes)) => {
                    view.occurred_us = Some(wire::timestamp(bytes)?)
                }
                (number::CAPTURED_AT, Raw::Bytes(bytes)) => {
                    view.captured_us = wire::timestamp(bytes)?
                }
                (number::SCHEMA_VERSION, Raw::Varint(value)) => view.schema_version = value as u32,
                (number::PROVENANCE, Raw::Bytes(bytes)) => view.provenance = bytes,
                (number, Raw::Bytes(bytes)) => {
                    if let Some(body) = schema::body_numbered(number) {
                        view.body = Some((body, bytes));
                    }
                }
                _ => {}
            }
        }
        view.id = id.ok_or(WireError { at: 0 })?;
        Ok(view)
    }
}

/// Appends what a block's header and the log know of an event: its place. Protobuf reads fields in
/// any order, so an event followed by these bytes is the whole event.
pub fn put_place(
    out: &mut Vec<u8>,
    flow: &FlowName,
    epoch: u64,
    sequence: Sequence,
    offset: Offset,
) {
    wire::put_text(out, number::SITE, flow.site());
    wire::put_text(out, number::FLOW, flow.flow());
    if epoch != 0 {
        wire::put_varint(out, u64::from(number::EPOCH) << 3 | 1);
        out.extend_from_slice(&epoch.to_le_bytes());
    }
    wire::put_integer(out, number::SEQUENCE, sequence.0);
    wire::put_integer(out, number::OFFSET, offset.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;
    use prost::Message;

    fn sample() -> v1::Event {
        v1::Event {
            id: EventId::new([1; 10], 7, 0).as_bytes().to_vec(),
            key: "SHP-1".into(),
            correlation_id: "SO-9".into(),
            operation: v1::Operation::Create as i32,
            occurred_at: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 5_000,
            }),
            captured_at: Some(prost_types::Timestamp {
                seconds: 1_700_000_001,
                nanos: 0,
            }),
            schema_version: 1,
            provenance: Some(v1::Provenance {
                file: "a.txt".into(),
                line: 3,
                ..Default::default()
            }),
            body: Some(v1::event::Body::Shipment(v1::Shipment {
                shipment_number: "SHP-1".into(),
                line: Some(v1::ShipmentLine {
                    item_number: "SKU-77".into(),
                    quantity: Some(v1::Decimal {
                        value: "12.50".into(),
                    }),
                    ..Default::default()
                }),
                ..Default::default()
            })),
            ..Default::default()
        }
    }

    /// The same event, by the functions that the hot path uses.
    fn written() -> Vec<u8> {
        let mut out = Vec::new();
        wire::put_bytes(&mut out, number::ID, EventId::new([1; 10], 7, 0).as_bytes());
        wire::put_text(&mut out, number::KEY, "SHP-1");
        wire::put_text(&mut out, number::CORRELATION_ID, "SO-9");
        wire::put_integer(&mut out, number::OPERATION, v1::Operation::Create as u64);
        wire::put_timestamp(&mut out, number::OCCURRED_AT, 1_700_000_000_000_005);
        wire::put_timestamp(&mut out, number::CAPTURED_AT, 1_700_000_001_000_000);
        wire::put_integer(&mut out, number::SCHEMA_VERSION, 1);
        wire::put_message(&mut out, number::PROVENANCE, |out| {
            wire::put_text(out, number::FILE, "a.txt");
            wire::put_integer(out, number::LINE, 3);
        });
        let shipment = schema::body("shipment").expect("a body");
        wire::put_message(&mut out, shipment.number, |out| {
            wire::put_text(out, 1, "SHP-1");
            wire::put_message(out, 10, |out| {
                wire::put_text(out, 2, "SKU-77");
                wire::put_decimal(out, 3, "12.50");
            });
        });
        out
    }

    /// Once landed, these bytes stand in logs: they may be added to, never changed.
    const GOLDEN: &str = "0a10010101010101010101010000000007001205534850\
        2d311a04534f2d3920012a090880e2cfaa0610882732060881e2cfaa06380142090a05612e7478741003ba01\
        1a0a055348502d3152111206534b552d37371a070a0531322e3530";

    #[test]
    fn the_two_ways_to_write_an_event_agree_byte_for_byte() {
        assert_eq!(
            hex::encode(written()),
            hex::encode(sample().encode_to_vec())
        );
    }

    #[test]
    fn the_bytes_of_an_event_are_the_golden_ones() {
        assert_eq!(hex::encode(written()), GOLDEN);
    }

    #[test]
    fn a_view_reads_what_was_written() {
        let bytes = written();
        let view = View::of(&bytes).expect("our own event");
        assert_eq!((view.key, view.correlation_id), ("SHP-1", "SO-9"));
        assert_eq!(view.occurred_us, Some(1_700_000_000_000_005));
        assert_eq!(view.captured_us, 1_700_000_001_000_000);
        assert_eq!(view.body.expect("a body").0.name, "shipment");
        assert!(
            View::of(&bytes[18..]).is_err(),
            "an event without an id is none"
        );
    }

    #[test]
    fn a_place_can_be_appended() {
        let mut bytes = written();
        let flow = FlowName::parse("north/shipments").expect("a name");
        put_place(&mut bytes, &flow, 9, Sequence(10), Offset(11));
        let event = v1::Event::decode(bytes.as_slice()).expect("an event");
        let place = (
            event.site,
            event.flow,
            event.epoch,
            event.sequence,
            event.offset,
        );
        assert_eq!(place, ("north".into(), "shipments".into(), 9, 10, 11));
        assert_eq!(event.key, "SHP-1");
    }
}
