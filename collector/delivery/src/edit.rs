//! A field of an event, changed by a person: the event's bytes with another value in their place.
//!
//! A path is as the event's JSON has it within `data`: `line.quantity`, `lines.0.quantity` (the first of a list),
//! `attributes.colour` (an entry of a map). The envelope stays as it is: id and key are what order and repeats hang on.

use dray_proto::event::View;
use dray_proto::schema::{Field, Kind, Message, body_numbered};
use dray_proto::wire::{self, Fields, Raw};

/// Sets a field of the event's body to what `text` says; the empty text takes the field out.
///
/// # Errors
/// A sentence: there is no such field, or it cannot hold that.
pub fn set(event: &[u8], path: &str, text: &str) -> Result<Vec<u8>, String> {
    let view = View::of(event).map_err(|error| format!("the event cannot be read: {error}"))?;
    let (body, bytes) = view
        .body
        .ok_or("the event has no body that this version knows")?;
    let changed = within(bytes, body.message, path, path, text)?;
    let mut out = Vec::with_capacity(event.len() + text.len() + 16);
    for field in Fields::of(event) {
        let (number, raw) = field.map_err(|error| error.to_string())?;
        // A later body would take the place of an earlier one: the one that counts is written, once.
        if body_numbered(number).is_none() {
            put(&mut out, number, raw);
        } else if number == body.number && !changed_is_written(&out, number) {
            wire::put_bytes(&mut out, number, &changed);
        }
    }
    Ok(out)
}

fn changed_is_written(out: &[u8], number: u32) -> bool {
    Fields::of(out)
        .flatten()
        .any(|(written, _)| written == number)
}

/// A message with the field at `path` changed.
fn within(
    message: &[u8],
    schema: &'static Message,
    path: &str,
    whole: &str,
    text: &str,
) -> Result<Vec<u8>, String> {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let field = schema.field(name).ok_or_else(|| {
        let known: Vec<_> = schema.fields.iter().map(|field| field.name).collect();
        format!(
            "{whole}: {} has no field {name:?}; it has {}",
            schema.name,
            known.join(", ")
        )
    })?;
    match (field.kind, rest) {
        (Kind::Message(inner), rest) if !rest.is_empty() => {
            let before = last(message, field.number)?;
            let changed = within(before, inner, rest, whole, text)?;
            replaced(message, field.number, |out| {
                wire::put_bytes(out, field.number, &changed)
            })
        }
        (Kind::Messages(inner), rest) if !rest.is_empty() => {
            let (index, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let index: usize = index
                .parse()
                .map_err(|_| format!("{whole}: {name} is a list; write {name}.0 for its first"))?;
            one_of_many(message, field, index, |before| {
                within(before, inner, rest, whole, text)
            })
            .map_err(|error| {
                if error.is_empty() {
                    format!("{whole}: there is no {name}.{index}")
                } else {
                    error
                }
            })
        }
        (Kind::TextMap, entry) if !entry.is_empty() => {
            entry_set(message, field.number, entry, text)
        }
        (_, "") => {
            let value = value(field, whole, text)?;
            replaced(message, field.number, |out| out.extend_from_slice(&value))
        }
        _ => Err(format!("{whole}: {name} has nothing within it")),
    }
}

/// The field as it is written; nothing where it is taken out.
fn value(field: &Field, whole: &str, text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let number = field.number;
    let wrong = |what: &str| format!("{whole}: {text:?} is not {what}");
    match field.kind {
        _ if text.is_empty() => {}
        Kind::Text => wire::put_text(&mut out, number, text),
        Kind::Integer => {
            let value: i64 = text.parse().map_err(|_| wrong("a whole number"))?;
            wire::put_integer(&mut out, number, value as u64);
        }
        Kind::Decimal => {
            if !is_decimal(text) {
                return Err(wrong("a decimal number; write e.g. -12.50"));
            }
            wire::put_decimal(&mut out, number, text);
        }
        Kind::Enum(names) => {
            let value = names
                .iter()
                .position(|name| *name == text && !name.is_empty())
                .ok_or_else(|| wrong(&format!("one of {}", names.join(" ").trim())))?;
            wire::put_integer(&mut out, number, value as u64);
        }
        Kind::Timestamp => {
            let time: jiff::Timestamp = text
                .parse()
                .map_err(|_| wrong("a time; write e.g. 2026-11-23T08:00:00Z"))?;
            wire::put_timestamp(&mut out, number, time.as_microsecond());
        }
        Kind::TextMap => return Err(format!("{whole}: name an entry of it, e.g. {whole}.colour")),
        Kind::Message(_) => return Err(format!("{whole}: name a field within it")),
        Kind::Bytes | Kind::Texts | Kind::Messages(_) => {
            return Err(format!("{whole}: this kind of field cannot be set"));
        }
    }
    Ok(out)
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all(whole) && all(fraction)
}

/// The message without this field, and what `write` appends.
fn replaced(
    message: &[u8],
    number: u32,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(message.len());
    for field in Fields::of(message) {
        let (found, raw) = field.map_err(|error| error.to_string())?;
        if found != number {
            put(&mut out, found, raw);
        }
    }
    write(&mut out);
    Ok(out)
}

/// The empty error: there are fewer.
fn one_of_many(
    message: &[u8],
    field: &Field,
    index: usize,
    change: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, String> {
    let (mut out, mut at, mut change) = (Vec::new(), 0, Some(change));
    for found in Fields::of(message) {
        let (number, raw) = found.map_err(|error| error.to_string())?;
        let Raw::Bytes(before) = raw else {
            put(&mut out, number, raw);
            continue;
        };
        let is_it = number == field.number && at == index;
        at += usize::from(number == field.number);
        match change.take_if(|_| is_it) {
            Some(change) => wire::put_bytes(&mut out, number, &change(before)?),
            None => wire::put_bytes(&mut out, number, before),
        }
    }
    if change.is_some() {
        return Err(String::new());
    }
    Ok(out)
}

/// An entry of a map of texts; the empty text takes it out.
fn entry_set(message: &[u8], number: u32, entry: &str, text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(message.len());
    for field in Fields::of(message) {
        let (found, raw) = field.map_err(|error| error.to_string())?;
        let is_it = matches!(raw, Raw::Bytes(bytes) if found == number && wire::first_text(bytes) == Ok(entry));
        if !is_it {
            put(&mut out, found, raw);
        }
    }
    if !text.is_empty() {
        wire::put_entry(&mut out, number, entry, text);
    }
    Ok(out)
}

fn last(message: &[u8], number: u32) -> Result<&[u8], String> {
    let mut found: &[u8] = &[];
    for field in Fields::of(message) {
        if let (other, Raw::Bytes(bytes)) = field.map_err(|error| error.to_string())?
            && other == number
        {
            found = bytes;
        }
    }
    Ok(found)
}

fn put(out: &mut Vec<u8>, number: u32, raw: Raw<'_>) {
    let key = |kind: u64| u64::from(number) << 3 | kind;
    match raw {
        Raw::Varint(value) => {
            wire::put_varint(out, key(0));
            wire::put_varint(out, value);
        }
        Raw::Fixed64(value) => {
            wire::put_varint(out, key(1));
            out.extend_from_slice(&value.to_le_bytes());
        }
        Raw::Bytes(bytes) => wire::put_bytes(out, number, bytes),
        Raw::Fixed32(value) => {
            wire::put_varint(out, key(5));
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Place, Writer, sample};
    use dray_proto::{FlowName, Offset};
    use serde_json::Value;

    fn json(event: &[u8]) -> Value {
        let place = Place::new(FlowName::parse("north/s").expect("a name"));
        let mut out = Vec::new();
        Writer::default()
            .put(&mut out, &place, Offset(1), event)
            .expect("an event");
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn a_field_is_set_and_all_else_stays() {
        let event = sample("shipment").expect("a body");
        let before = json(&event);
        for (path, text, expected) in [
            ("shipment_number", "SHP-9", "SHP-9"),
            ("line.quantity", "-0.50", "-0.50"),
            ("line.item_number", "SKU \u{fc}", "SKU \u{fc}"),
        ] {
            let mut after = json(&set(&event, path, text).expect(path));
            let pointer = format!("/{}", path.replace('.', "/"));
            let found = after["data"].pointer_mut(&pointer).expect(path);
            assert_eq!(found, expected, "{path}");
            *found = before["data"]
                .pointer(&pointer)
                .cloned()
                .unwrap_or_default();
            assert_eq!(after, before, "{path}");
        }
    }

    #[test]
    fn an_empty_text_takes_a_field_out() {
        let event = sample("shipment").expect("a body");
        let after = json(&set(&event, "line.quantity", "").expect("it is there"));
        assert!(after["data"]["line"].get("quantity").is_none());
        assert!(after["data"]["line"].get("item_number").is_some());
    }

    #[test]
    fn what_a_field_cannot_hold_is_refused_in_a_sentence() {
        let event = sample("shipment").expect("a body");
        for (path, text, said) in [
            ("quantity", "1", "has no field \"quantity\"; it has"),
            ("line.quantity", "1,5", "is not a decimal"),
            ("line.quantity", "", ""),
            ("line", "x", "name a field within it"),
            ("shipment_number.x", "1", "has nothing within it"),
            ("key", "1", "has no field \"key\""),
        ] {
            let refused = set(&event, path, text).err().unwrap_or_default();
            assert_eq!(refused.is_empty(), said.is_empty(), "{path}: {refused}");
            assert!(refused.contains(said), "{path}: {refused}");
        }
        assert!(set(b"no event", "line", "1").is_err());
    }
}
