//! An event for a person's eyes or as JSON, by the tables of names and numbers. Pure.

use std::borrow::Cow;

use dray_proto::event::{View, number};
use dray_proto::schema::{self, Kind, Message};
use dray_proto::wire::{self, Fields, Raw, WireError};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// A value and what is in it, in the order of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Text; decimals and times too.
    Text(String),
    /// A number.
    Number(u64),
    /// Names and values.
    Fields(Vec<(Cow<'static, str>, Shown)>),
    /// One after the other.
    List(Vec<Shown>),
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Self::List(items) => items.serialize(serializer),
        }
    }
}

/// What preview shows of an event.
#[derive(Debug)]
pub struct Event {
    /// E.g. `shipment`.
    pub body: &'static str,
    /// `create`, `update`, `delete`, `snapshot`; empty where there is none.
    pub operation: String,
    /// The business key.
    pub key: String,
    /// The line in the file; 0 where there is none.
    pub line: u64,
    /// Why it can't go on, and how far it came, for a dead letter.
    pub dead_letter: Option<(String, String)>,
    /// The body's bytes for a dead letter, as text.
    pub raw: String,
    /// The whole event.
    pub whole: Shown,
    /// The envelope's optional parts and the body's fields, flat: `line.item_number`.
    pub flat: Vec<(String, String)>,
}

impl Event {
    /// Reads an encoded event.
    ///
    /// # Errors
    /// [`WireError`] if the bytes are none.
    pub fn of(bytes: &[u8]) -> Result<Self, WireError> {
        let view = View::of(bytes)?;
        let (body, data) = match view.body {
            Some((body, bytes)) => (body.name, message(body.message, bytes)?),
            None => ("", Shown::Fields(Vec::new())),
        };
        let provenance = provenance(view.provenance)?;
        let operation = named(
            schema::OPERATION,
            u64::try_from(view.operation).unwrap_or(0),
        );
        let mut whole: Vec<(Cow<'static, str>, Shown)> =
            vec![("id".into(), Shown::Text(view.id.to_string()))];
        put_text(&mut whole, "key", view.key);
        put_text(&mut whole, "correlation_id", view.correlation_id);
        put_text(&mut whole, "operation", &operation);
        if let Some(occurred_us) = view.occurred_us {
            put_text(&mut whole, "occurred_at", &time(occurred_us));
        }
        put_text(&mut whole, "captured_at", &time(view.captured_us));
        whole.push((
            "schema_version".into(),
            Shown::Number(u64::from(view.schema_version)),
        ));
        put_text(&mut whole, "type", body);
        let line = field(&provenance, "line").and_then(as_number).unwrap_or(0);
        let mut flat = Vec::new();
        for name in ["correlation_id", "occurred_at"] {
            if let Some((_, value)) = whole.iter().find(|(known, _)| known == name) {
                flatten(&mut flat, name, value);
            }
        }
        flatten(&mut flat, "", &data);
        let dead_letter = (body == "dead_letter").then(|| {
            let text = |name| {
                field(&data, name)
                    .and_then(as_text)
                    .unwrap_or_default()
                    .to_owned()
            };
            (text("stage"), text("reason"))
        });
        let raw = field(&data, "raw")
            .and_then(as_text)
            .unwrap_or_default()
            .to_owned();
        whole.push(("provenance".into(), provenance));
        whole.push(("data".into(), data));
        Ok(Self {
            body,
            operation,
            key: view.key.to_owned(),
            line,
            dead_letter,
            raw,
            whole: Shown::Fields(whole),
            flat,
        })
    }
}

fn put_text(fields: &mut Vec<(Cow<'static, str>, Shown)>, name: &'static str, text: &str) {
    if !text.is_empty() {
        fields.push((name.into(), Shown::Text(text.to_owned())));
    }
}

fn field<'s>(shown: &'s Shown, name: &str) -> Option<&'s Shown> {
    match shown {
        Shown::Fields(fields) => fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value),
        _ => None,
    }
}

fn as_text(shown: &Shown) -> Option<&str> {
    match shown {
        Shown::Text(text) => Some(text),
        _ => None,
    }
}

fn as_number(shown: &Shown) -> Option<u64> {
    match shown {
        Shown::Number(number) => Some(*number),
        _ => None,
    }
}

fn flatten(flat: &mut Vec<(String, String)>, path: &str, shown: &Shown) {
    match shown {
        Shown::Text(text) => flat.push((path.to_owned(), text.clone())),
        Shown::Number(number) => flat.push((path.to_owned(), number.to_string())),
        Shown::Fields(fields) => {
            for (name, value) in fields {
                flatten(flat, &crate::advice::join(path, name), value);
            }
        }
        Shown::List(items) => {
            for (number, item) in (1..).zip(items) {
                flatten(flat, &crate::advice::join(path, &number.to_string()), item);
            }
        }
    }
}

/// RFC 3339, UTC, with a fraction only where there is one.
#[must_use]
pub fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .map_or_else(|_| format!("{micros} µs"), |time| time.to_string())
}

fn named(names: &[&'static str], number: u64) -> String {
    schema::name_of(names, number).map_or_else(|| number.to_string(), str::to_owned)
}

fn provenance(bytes: &[u8]) -> Result<Shown, WireError> {
    let mut fields = Vec::new();
    for field in Fields::of(bytes) {
        match field? {
            (number::LINE, Raw::Varint(line)) => fields.push(("line".into(), Shown::Number(line))),
            (number, Raw::Bytes(bytes)) => {
                let name = match number {
                    number::FILE => "file",
                    number::MESSAGE_ID => "message_id",
                    number::CHANGE_POSITION => "change_position",
                    number::RECORD_TYPE => "record_type",
                    _ => continue,
                };
                put_text(&mut fields, name, wire::utf8(bytes)?);
            }
            _ => {}
        }
    }
    Ok(Shown::Fields(fields))
}

fn message(message: &'static Message, bytes: &[u8]) -> Result<Shown, WireError> {
    let mut fields: Vec<(Cow<'static, str>, Shown)> = Vec::new();
    for field in Fields::of(bytes) {
        let (number, raw) = field?;
        let Some(known) = message.numbered(number) else {
            continue;
        };
        match (known.kind, raw) {
            (Kind::TextMap, Raw::Bytes(bytes)) => put_entry(&mut fields, known.name, bytes)?,
            (Kind::Messages(inner), Raw::Bytes(bytes)) => {
                let item = value(Kind::Message(inner), Raw::Bytes(bytes))?;
                match fields.last_mut() {
                    Some((last, Shown::List(items))) if last == known.name => items.extend(item),
                    _ => fields.push((known.name.into(), Shown::List(item.into_iter().collect()))),
                }
            }
            (kind, raw) => {
                if let Some(value) = value(kind, raw)? {
                    fields.push((known.name.into(), value));
                }
            }
        }
    }
    Ok(Shown::Fields(fields))
}

fn value(kind: Kind, raw: Raw<'_>) -> Result<Option<Shown>, WireError> {
    Ok(Some(match (kind, raw) {
        (Kind::Text, Raw::Bytes(bytes)) => Shown::Text(wire::utf8(bytes)?.to_owned()),
        (Kind::Bytes, Raw::Bytes(bytes)) => {
            Shown::Text(String::from_utf8_lossy(bytes).into_owned())
        }
        (Kind::Decimal, Raw::Bytes(bytes)) => Shown::Text(wire::first_text(bytes)?.to_owned()),
        (Kind::Timestamp, Raw::Bytes(bytes)) => Shown::Text(time(wire::timestamp(bytes)?)),
        (Kind::Message(inner), Raw::Bytes(bytes)) => message(inner, bytes)?,
        (Kind::Enum(names), Raw::Varint(number)) => Shown::Text(named(names, number)),
        (Kind::Integer, Raw::Varint(number)) => Shown::Number(number),
        _ => return Ok(None),
    }))
}

fn put_entry(
    fields: &mut Vec<(Cow<'static, str>, Shown)>,
    name: &'static str,
    bytes: &[u8],
) -> Result<(), WireError> {
    let (mut key, mut text) = ("", "");
    for field in Fields::of(bytes) {
        match field? {
            (1, Raw::Bytes(bytes)) => key = wire::utf8(bytes)?,
            (2, Raw::Bytes(bytes)) => text = wire::utf8(bytes)?,
            _ => {}
        }
    }
    let entry = (Cow::Owned(key.to_owned()), Shown::Text(text.to_owned()));
    match fields.last_mut() {
        Some((last, Shown::Fields(entries))) if last == name => entries.push(entry),
        _ => fields.push((name.into(), Shown::Fields(vec![entry]))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dray_proto::EventId;

    #[test]
    fn a_list_is_shown_item_by_item() {
        let mut bytes = Vec::new();
        let id = EventId::new([1; 10], 7, 0);
        wire::put_bytes(&mut bytes, number::ID, id.as_bytes());
        wire::put_text(&mut bytes, number::KEY, "public.stock");
        wire::put_timestamp(&mut bytes, number::CAPTURED_AT, 0);
        wire::put_message(&mut bytes, 31, |out| {
            for name in ["sku", "lot"] {
                wire::put_message(out, 5, |out| wire::put_text(out, 1, name));
            }
        });
        let event = Event::of(&bytes).expect("an event");
        let flat = [("columns.1.name", "sku"), ("columns.2.name", "lot")];
        assert_eq!(
            event.flat,
            flat.map(|(name, value)| (name.into(), value.into()))
        );
        let json = serde_json::to_string(&event.whole).expect("JSON");
        assert!(
            json.contains(r#""columns":[{"name":"sku"},{"name":"lot"}]"#),
            "{json}"
        );
    }

    #[test]
    fn an_event_is_shown_flat_and_as_json() {
        let mut bytes = Vec::new();
        wire::put_bytes(
            &mut bytes,
            number::ID,
            EventId::new([1; 10], 7, 0).as_bytes(),
        );
        wire::put_text(&mut bytes, number::KEY, "SHP-1");
        wire::put_integer(&mut bytes, number::OPERATION, 1);
        wire::put_timestamp(&mut bytes, number::CAPTURED_AT, 1_700_000_001_000_005);
        wire::put_integer(&mut bytes, number::SCHEMA_VERSION, 1);
        wire::put_message(&mut bytes, number::PROVENANCE, |out| {
            wire::put_integer(out, number::LINE, 3)
        });
        wire::put_message(&mut bytes, 23, |out| {
            wire::put_text(out, 1, "SHP-1");
            wire::put_message(out, 10, |out| wire::put_decimal(out, 3, "12.50"));
            wire::put_entry(out, 15, "dock", "D4");
            wire::put_entry(out, 15, "gate", "7");
        });
        let event = Event::of(&bytes).expect("an event");
        assert_eq!(
            (event.body, event.operation.as_str(), event.line),
            ("shipment", "create", 3)
        );
        let flat: Vec<(&str, &str)> = event
            .flat
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            flat,
            [
                ("shipment_number", "SHP-1"),
                ("line.quantity", "12.50"),
                ("attributes.dock", "D4"),
                ("attributes.gate", "7")
            ]
        );
        assert_eq!(
            serde_json::to_string(&event.whole).expect("JSON"),
            r#"{"id":"01010101010101010101000000000700","key":"SHP-1","operation":"create","captured_at":"2023-11-14T22:13:21.000005Z","schema_version":1,"type":"shipment","provenance":{"line":3},"data":{"shipment_number":"SHP-1","line":{"quantity":"12.50"},"attributes":{"dock":"D4","gate":"7"}}}"#
        );
    }
}
