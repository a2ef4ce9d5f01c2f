//! An event as JSON, straight from its bytes.
//!
//! ```json
//! {"id":"0a1b...","site":"north","flow":"shipments","offset":17,"key":"SHP-1","correlation_id":"SO-9",
//!  "operation":"create","occurred_at":"2026-11-23T08:00:00Z","captured_at":"2026-11-23T08:00:01.5Z",
//!  "schema_version":1,"type":"shipment","provenance":{"file":"SHP_7.txt","line":3},
//!  "data":{"shipment_number":"SHP-1","line":{"item_number":"SKU-77","quantity":"12.50"}}}
//! ```
//! What is empty is absent. Decimals are strings, times RFC 3339 in UTC, maps objects, lists of messages arrays, bytes base64.
//! Field names come from `event.proto` by way of [`dray_proto::schema`], compiled once into a plan that
//! is looked up by field number. A field that a newer agent writes and this version does not know is
//! left out (upgrade the collector first); a body that it does not know is poison.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dray_proto::event::{View, number};
use dray_proto::schema::{self, Kind};
use dray_proto::wire::{Fields, Raw, WireError};
use dray_proto::{FlowName, Offset};
use thiserror::Error;

use crate::catalogue::Phase;
use crate::json::{Clockface, OutOfRange, put_hex, put_number, put_text};

mod sample;

pub use sample::sample;

/// An event that cannot be written as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Poison(pub String);

impl From<WireError> for Poison {
    fn from(error: WireError) -> Self {
        Self(format!("the event cannot be read: {error}"))
    }
}

impl From<OutOfRange> for Poison {
    fn from(_: OutOfRange) -> Self {
        Self("the event holds a time outside the years 0000 to 9999".into())
    }
}

/// A flow, and the part of the JSON that all its events share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The flow's name.
    pub flow: FlowName,
    /// What becomes of its events.
    pub phase: Phase,
    json: Vec<u8>,
}

impl Place {
    /// Of a flow.
    #[must_use]
    pub fn new(flow: FlowName) -> Self {
        Self::marked(flow, Phase::Live)
    }

    /// Of a flow in this phase: *parallel* is said in its JSON, as `"phase":"parallel"`.
    #[must_use]
    pub fn marked(flow: FlowName, phase: Phase) -> Self {
        let mark = match phase {
            Phase::Parallel => ",\"phase\":\"parallel\"",
            _ => "",
        };
        // Names are plain: see `FlowName`.
        let json = format!(
            "\",\"site\":\"{}\",\"flow\":\"{}\"{mark},\"offset\":",
            flow.site(),
            flow.flow()
        );
        Self {
            flow,
            phase,
            json: json.into_bytes(),
        }
    }
}

/// A message's fields by number, with their names ready to append.
#[derive(Debug)]
struct Plan {
    fields: Vec<Option<Field>>,
}

#[derive(Debug)]
struct Field {
    /// `"item_number":`
    name: Vec<u8>,
    write: Write,
}

#[derive(Debug)]
enum Write {
    Text,
    Bytes,
    Integer,
    Enum(&'static [&'static str]),
    Decimal,
    Timestamp,
    TextMap,
    /// A list of texts.
    Texts,
    Message(Plan),
    /// A list of them.
    Messages(Plan),
}

/// A body's number, the envelope's part that names it, and its plan.
type BodyPlan = (u32, Vec<u8>, Plan);

static BODIES: LazyLock<Vec<BodyPlan>> = LazyLock::new(|| {
    let named = |body: &schema::Body| format!(",\"type\":\"{}\"", body.name).into_bytes();
    schema::BODIES
        .iter()
        .map(|body| (body.number, named(body), Plan::of(body.message)))
        .collect()
});

static PROVENANCE: LazyLock<Plan> = LazyLock::new(|| Plan {
    fields: [
        None,
        Some(("file", Write::Text)),
        Some(("line", Write::Integer)),
        Some(("message_id", Write::Text)),
        Some(("change_position", Write::Text)),
        Some(("record_type", Write::Text)),
    ]
    .into_iter()
    .map(|field| {
        field.map(|(name, write)| Field {
            name: name_json(name),
            write,
        })
    })
    .collect(),
});

const _: () = assert!(
    number::FILE == 1
        && number::LINE == 2
        && number::MESSAGE_ID == 3
        && number::CHANGE_POSITION == 4
        && number::RECORD_TYPE == 5
);

fn name_json(name: &str) -> Vec<u8> {
    format!("\"{name}\":").into_bytes()
}

impl Plan {
    fn of(message: &schema::Message) -> Self {
        let last = message
            .fields
            .iter()
            .map(|field| field.number)
            .max()
            .unwrap_or(0);
        let mut fields: Vec<_> = (0..=last).map(|_| None).collect();
        for field in message.fields {
            let write = match field.kind {
                Kind::Text => Write::Text,
                Kind::Bytes => Write::Bytes,
                Kind::Integer => Write::Integer,
                Kind::Enum(names) => Write::Enum(names),
                Kind::Decimal => Write::Decimal,
                Kind::Timestamp => Write::Timestamp,
                Kind::TextMap => Write::TextMap,
                Kind::Texts => Write::Texts,
                Kind::Message(message) => Write::Message(Self::of(message)),
                Kind::Messages(message) => Write::Messages(Self::of(message)),
            };
            fields[field.number as usize] = Some(Field {
                name: name_json(field.name),
                write,
            });
        }
        Self { fields }
    }
}

/// Writes events; keep one for a batch.
#[derive(Debug)]
pub struct Writer {
    bodies: &'static [BodyPlan],
    provenance: &'static Plan,
    clock: Clockface,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            bodies: &BODIES,
            provenance: &PROVENANCE,
            clock: Clockface::default(),
        }
    }
}

impl Writer {
    /// Appends one event as a JSON object.
    ///
    /// # Errors
    /// [`Poison`]; nothing is appended then.
    pub fn put(
        &mut self,
        out: &mut Vec<u8>,
        place: &Place,
        offset: Offset,
        event: &[u8],
    ) -> Result<(), Poison> {
        let start = out.len();
        let put = self.envelope(out, place, offset, event);
        if put.is_err() {
            out.truncate(start);
        }
        put
    }

    fn envelope(
        &mut self,
        out: &mut Vec<u8>,
        place: &Place,
        offset: Offset,
        event: &[u8],
    ) -> Result<(), Poison> {
        let view = View::of(event)?;
        let Some((body, data)) = view.body else {
            return Err(Poison(
                "the event has no body that this version knows; a newer collector may".into(),
            ));
        };
        let Some((_, body_json, plan)) = self
            .bodies
            .iter()
            .find(|(number, ..)| *number == body.number)
        else {
            return Err(Poison(format!(
                "there is no plan for the body {}",
                body.name
            )));
        };
        out.extend_from_slice(b"{\"id\":\"");
        put_hex(out, view.id.as_bytes());
        out.extend_from_slice(&place.json);
        put_number(out, offset.0);
        out.extend_from_slice(b",\"key\":");
        put_text(out, view.key.as_bytes())?;
        if !view.correlation_id.is_empty() {
            out.extend_from_slice(b",\"correlation_id\":");
            put_text(out, view.correlation_id.as_bytes())?;
        }
        out.extend_from_slice(operation_json(view.operation));
        if let Some(micros) = view.occurred_us {
            out.extend_from_slice(b",\"occurred_at\":");
            self.clock.put(out, micros)?;
        }
        out.extend_from_slice(b",\"captured_at\":");
        self.clock.put(out, view.captured_us)?;
        out.extend_from_slice(b",\"schema_version\":");
        put_number(out, u64::from(view.schema_version));
        out.extend_from_slice(body_json);
        if !view.provenance.is_empty() {
            out.extend_from_slice(b",\"provenance\":");
            self.message(out, self.provenance, view.provenance)?;
        }
        out.extend_from_slice(b",\"data\":");
        self.message(out, plan, data)?;
        out.push(b'}');
        Ok(())
    }

    /// Appends a message as an object; returns whether anything is in it.
    fn message(&mut self, out: &mut Vec<u8>, plan: &Plan, message: &[u8]) -> Result<bool, Poison> {
        out.push(b'{');
        let start = out.len();
        let mut seen = 0_u64;
        let mut fields = Fields::of(message);
        while let Some(next) = fields.next() {
            let (number, raw) = next?;
            let Some(Some(field)) = plan.fields.get(number as usize) else {
                continue;
            };
            let bit = 1_u64.checked_shl(number).unwrap_or(0);
            if seen & bit != 0 {
                if matches!(
                    field.write,
                    Write::TextMap | Write::Texts | Write::Messages(_)
                ) {
                    continue; // The first one wrote them all.
                }
                return Err(Poison(format!(
                    "the event holds the field {} twice",
                    String::from_utf8_lossy(&field.name)
                )));
            }
            let before = out.len();
            if before > start {
                out.push(b',');
            }
            out.extend_from_slice(&field.name);
            let put = match (&field.write, raw) {
                (Write::TextMap, Raw::Bytes(entry)) => put_map(out, number, entry, fields.clone())?,
                (Write::Texts, Raw::Bytes(first)) => put_texts(out, number, first, fields.clone())?,
                (Write::Messages(plan), Raw::Bytes(first)) => {
                    self.messages(out, plan, number, first, fields.clone())?
                }
                (write, raw) => self.value(out, write, raw)?,
            };
            if put {
                seen |= bit;
            } else {
                out.truncate(before);
            }
        }
        out.push(b'}');
        Ok(out.len() > start + 1)
    }

    /// Appends a list from its first message and the fields behind it.
    fn messages(
        &mut self,
        out: &mut Vec<u8>,
        plan: &Plan,
        number: u32,
        first: &[u8],
        rest: Fields<'_>,
    ) -> Result<bool, Poison> {
        out.push(b'[');
        self.message(out, plan, first)?;
        for field in rest {
            if let (same, Raw::Bytes(next)) = field?
                && same == number
            {
                out.push(b',');
                self.message(out, plan, next)?;
            }
        }
        out.push(b']');
        Ok(true)
    }

    /// Appends a value; returns false where it is empty and should be absent.
    #[inline]
    fn value(&mut self, out: &mut Vec<u8>, write: &Write, raw: Raw<'_>) -> Result<bool, Poison> {
        match (write, raw) {
            (Write::Text, Raw::Bytes(text)) => {
                put_text(out, text)?;
                Ok(!text.is_empty())
            }
            (Write::Decimal, Raw::Bytes(message)) => {
                let mut digits: &[u8] = &[];
                for field in Fields::of(message) {
                    if let (1, Raw::Bytes(bytes)) = field? {
                        digits = bytes;
                    }
                }
                put_text(out, digits)?;
                Ok(!digits.is_empty())
            }
            (Write::Integer, Raw::Varint(number)) => {
                put_number(out, number);
                Ok(number != 0)
            }
            // A number that a newer agent knows is delivered as it is.
            (Write::Enum(names), Raw::Varint(number)) => {
                match schema::name_of(names, number) {
                    Some(name) => put_text(out, name.as_bytes())?,
                    None => put_number(out, number),
                }
                Ok(number != 0)
            }
            (Write::Timestamp, Raw::Bytes(message)) => {
                self.clock.put(out, dray_proto::wire::timestamp(message)?)?;
                Ok(true)
            }
            (Write::Bytes, Raw::Bytes(bytes)) => {
                put_text(out, STANDARD.encode(bytes).as_bytes())?;
                Ok(!bytes.is_empty())
            }
            (Write::Message(plan), Raw::Bytes(message)) => self.message(out, plan, message),
            _ => Err(Poison(
                "the event holds a field of another kind than its schema says".into(),
            )),
        }
    }
}

/// Appends a list from its first text and the fields behind it.
fn put_texts(
    out: &mut Vec<u8>,
    number: u32,
    first: &[u8],
    rest: Fields<'_>,
) -> Result<bool, Poison> {
    out.push(b'[');
    put_text(out, first)?;
    for field in rest {
        if let (same, Raw::Bytes(next)) = field?
            && same == number
        {
            out.push(b',');
            put_text(out, next)?;
        }
    }
    out.push(b']');
    Ok(true)
}

/// Appends a map from its first entry and the fields behind it.
fn put_map(out: &mut Vec<u8>, number: u32, first: &[u8], rest: Fields<'_>) -> Result<bool, Poison> {
    out.push(b'{');
    put_entry(out, first)?;
    for field in rest {
        if let (same, Raw::Bytes(entry)) = field?
            && same == number
        {
            out.push(b',');
            put_entry(out, entry)?;
        }
    }
    out.push(b'}');
    Ok(true)
}

fn put_entry(out: &mut Vec<u8>, entry: &[u8]) -> Result<(), Poison> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::of(entry) {
        match field? {
            (1, Raw::Bytes(bytes)) => key = bytes,
            (2, Raw::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    put_text(out, key)?;
    out.push(b':');
    put_text(out, value)?;
    Ok(())
}

fn operation_json(operation: i32) -> &'static [u8] {
    match operation {
        1 => b",\"operation\":\"create\"",
        2 => b",\"operation\":\"update\"",
        3 => b",\"operation\":\"delete\"",
        4 => b",\"operation\":\"snapshot\"",
        _ => b"",
    }
}

#[cfg(test)]
mod tests;
