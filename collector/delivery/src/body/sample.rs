//! Events to try a template with.

use dray_proto::event::number;
use dray_proto::schema::{self, Kind};
use dray_proto::{EventId, wire};

/// An event with something in every field of a body: what a template is tried with.
///
/// `None`: there is no such body.
#[must_use]
pub fn sample(body: &str) -> Option<Vec<u8>> {
    let body = schema::body(body)?;
    let mut out = Vec::new();
    wire::put_bytes(
        &mut out,
        number::ID,
        EventId::new([0xD5; 10], 7, 0).as_bytes(),
    );
    wire::put_text(&mut out, number::KEY, "KEY-1");
    wire::put_text(&mut out, number::CORRELATION_ID, "SO-9981");
    wire::put_integer(&mut out, number::OPERATION, 1);
    wire::put_timestamp(&mut out, number::OCCURRED_AT, 1_790_000_000_000_000);
    wire::put_timestamp(&mut out, number::CAPTURED_AT, 1_790_000_001_250_000);
    wire::put_integer(&mut out, number::SCHEMA_VERSION, 1);
    wire::put_message(&mut out, number::PROVENANCE, |out| {
        wire::put_text(out, number::FILE, "SHP_20261123_0007.txt");
        wire::put_integer(out, number::LINE, 7);
    });
    wire::put_message(&mut out, body.number, |out| put_sample(out, body.message));
    Some(out)
}

fn put_sample(out: &mut Vec<u8>, message: &schema::Message) {
    for field in message.fields {
        match field.kind {
            Kind::Text => wire::put_text(out, field.number, &format!("{} 1", field.name)),
            Kind::Bytes => wire::put_bytes(out, field.number, b"\x00\xFFraw"),
            Kind::Integer | Kind::Enum(_) => wire::put_integer(out, field.number, 2),
            Kind::Decimal => wire::put_decimal(out, field.number, "12.50"),
            Kind::Timestamp => wire::put_timestamp(out, field.number, 1_790_000_000_000_000),
            Kind::TextMap => {
                wire::put_entry(out, field.number, "DOCK", "7");
                wire::put_entry(out, field.number, "GATE", "\"N\"");
            }
            Kind::Texts => {
                for name in ["NOTE", "PHOTO"] {
                    wire::put_text(out, field.number, name);
                }
            }
            Kind::Messages(message) => {
                for _ in 0..2 {
                    wire::put_message(out, field.number, |out| put_sample(out, message));
                }
            }
            Kind::Message(message) => {
                wire::put_message(out, field.number, |out| put_sample(out, message))
            }
        }
    }
}
