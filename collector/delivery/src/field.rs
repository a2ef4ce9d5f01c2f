//! A field of a body by its name, read out of an event's bytes.

use std::borrow::Cow;

use dray_proto::schema::{self, Kind, Message};
use dray_proto::wire::{self, Fields, Raw, WireError};
use jiff::Timestamp;

/// Values that one path leads to, at most: what stands behind them is not looked at.
pub const VALUES_MAX: usize = 1_000;

/// Where a value stands in the events of one body, e.g. `line.item_number`. A list on the way leads to all its values.
#[derive(Debug, Clone)]
pub struct Path {
    /// As it was written.
    pub name: String,
    /// The body's number in `Event`.
    pub body: u32,
    steps: Vec<u32>,
    /// The name in a map that the steps lead to.
    entry: Option<String>,
    holds: Holds,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy)]
pub enum Holds {
    /// A text, or a map's value.
    Text,
    /// A whole number; where none stands, 0.
    Integer,
    /// A word out of a list.
    Enum(&'static [&'static str]),
    /// A decimal.
    Decimal,
    /// A time; it reads as RFC 3339 in UTC.
    Timestamp,
}

impl Path {
    /// Reads a dotted path, below the body.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(body: &str, path: &str) -> Result<Self, String> {
        let found = schema::body(body).ok_or_else(|| {
            let names: Vec<_> = schema::BODIES.iter().map(|body| body.name).collect();
            format!("there is no body {body:?}; there are {}", names.join(", "))
        })?;
        let mut made = Self {
            name: path.to_owned(),
            body: found.number,
            steps: Vec::new(),
            entry: None,
            holds: Holds::Text,
        };
        made.descend(found.name, found.message, path)?;
        Ok(made)
    }

    fn descend(&mut self, within: &str, message: &Message, path: &str) -> Result<(), String> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let Some(field) = message.field(name) else {
            let names: Vec<_> = message.fields.iter().map(|field| field.name).collect();
            return Err(format!(
                "{within} has no field {name:?}; it has {}",
                names.join(", ")
            ));
        };
        self.steps.push(field.number);
        self.holds = match (field.kind, rest) {
            (Kind::Message(inner) | Kind::Messages(inner), Some(rest)) => {
                return self.descend(name, inner, rest);
            }
            (Kind::TextMap, Some(rest)) if !rest.is_empty() => {
                self.entry = Some(rest.to_owned());
                Holds::Text
            }
            (Kind::Text | Kind::Texts, None) => Holds::Text,
            (Kind::Integer, None) => Holds::Integer,
            (Kind::Enum(names), None) => Holds::Enum(names),
            (Kind::Decimal, None) => Holds::Decimal,
            (Kind::Timestamp, None) => Holds::Timestamp,
            (Kind::Message(_) | Kind::Messages(_) | Kind::TextMap, _) => {
                return Err(format!(
                    "{name} holds several values; name one of them, {name}.NAME"
                ));
            }
            (Kind::Bytes, None) => return Err(format!("{name} holds bytes, not a value")),
            (_, Some(_)) => {
                return Err(format!("{name} is a value: nothing stands below it"));
            }
        };
        Ok(())
    }

    /// What stands there.
    #[must_use]
    pub fn holds(&self) -> Holds {
        self.holds
    }

    /// The values in a body's bytes; empty ones are none.
    ///
    /// # Errors
    /// The bytes are no such body.
    pub fn values<'a>(&self, body: &'a [u8]) -> Result<Vec<Cow<'a, str>>, WireError> {
        let mut found = Vec::new();
        self.collect(body, &self.steps, &mut found)?;
        if found.is_empty() && matches!(self.holds, Holds::Integer) {
            // proto3 leaves out a 0.
            found.push(Cow::Borrowed("0"));
        }
        Ok(found)
    }

    fn collect<'a>(
        &self,
        message: &'a [u8],
        steps: &[u32],
        found: &mut Vec<Cow<'a, str>>,
    ) -> Result<(), WireError> {
        let Some((wanted, rest)) = steps.split_first() else {
            return Ok(());
        };
        for field in Fields::of(message) {
            let (number, value) = field?;
            if number != *wanted || found.len() >= VALUES_MAX {
                continue;
            }
            match (value, rest.is_empty()) {
                (Raw::Bytes(inner), false) => self.collect(inner, rest, found)?,
                (value, true) => found.extend(self.read(value)?.filter(|text| !text.is_empty())),
                _ => {}
            }
        }
        Ok(())
    }

    fn read<'a>(&self, value: Raw<'a>) -> Result<Option<Cow<'a, str>>, WireError> {
        Ok(match (self.holds, value) {
            (_, Raw::Bytes(entry)) if self.entry.is_some() => {
                self.entry_of(entry)?.map(Cow::Borrowed)
            }
            (Holds::Text, Raw::Bytes(bytes)) => Some(Cow::Borrowed(wire::utf8(bytes)?)),
            (Holds::Decimal, Raw::Bytes(bytes)) => Some(Cow::Borrowed(wire::first_text(bytes)?)),
            (Holds::Timestamp, Raw::Bytes(bytes)) => {
                let time = Timestamp::from_microsecond(wire::timestamp(bytes)?);
                time.ok().map(|time| Cow::Owned(time.to_string()))
            }
            (Holds::Integer, Raw::Varint(value)) => Some(Cow::Owned(value.to_string())),
            (Holds::Enum(names), Raw::Varint(value)) => {
                schema::name_of(names, value).map(Cow::Borrowed)
            }
            _ => None,
        })
    }

    /// The value of a map's entry, where it is the one that is meant.
    fn entry_of<'a>(&self, entry: &'a [u8]) -> Result<Option<&'a str>, WireError> {
        let (mut key, mut text) = ("", "");
        for field in Fields::of(entry) {
            match field? {
                (1, Raw::Bytes(bytes)) => key = wire::utf8(bytes)?,
                (2, Raw::Bytes(bytes)) => text = wire::utf8(bytes)?,
                _ => {}
            }
        }
        Ok((self.entry.as_deref() == Some(key)).then_some(text))
    }
}

/// A value in quotes, escaped and cut: as a reason may show it.
#[must_use]
pub fn shown(value: &str) -> String {
    /// Of a value.
    const CHARS_MAX: usize = 80;
    let mut letters = value.chars();
    let start: String = letters.by_ref().take(CHARS_MAX).collect();
    match letters.count() {
        0 => format!("{start:?}"),
        rest => format!("{start:?} (and {rest} characters more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::sample;
    use dray_proto::event::View;

    #[test]
    fn a_path_leads_to_its_values() {
        for (body, path, expected) in [
            ("shipment", "shipment_number", "shipment_number 1"),
            ("shipment", "line.item_number", "item_number 1"),
            ("shipment", "line.quantity", "12.50"),
            ("shipment", "shipped_at", "2026-09-21T14:13:20Z"),
            ("order", "total.currency", "currency 1"),
            ("file_report", "outcome", "incomplete"),
        ] {
            let event = sample(body).expect("a body");
            let (_, bytes) = View::of(&event).expect("an event").body.expect("a body");
            let path = Path::parse(body, path).expect("a path");
            let values = path.values(bytes).expect("it is one");
            if body == "file_report" {
                assert_eq!(values.len(), 1, "{values:?}");
                continue;
            }
            assert_eq!(values, [expected], "{path:?}");
        }
        let mut item = Vec::new();
        wire::put_entry(&mut item, 15, "colour", "red");
        wire::put_entry(&mut item, 15, "size.eu", "42");
        for (path, expected) in [
            ("attributes.size.eu", &["42"][..]),
            ("attributes.weight", &[]),
            ("unit", &[]),
        ] {
            let path = Path::parse("item", path).expect("a path");
            assert_eq!(path.values(&item).expect("it is one"), expected);
        }
        let path = Path::parse("item", "unit").expect("a path");
        assert!(path.values(b"\xFF").is_err());
    }

    #[test]
    fn what_is_no_path_is_refused_in_a_sentence() {
        for (body, path, said) in [
            ("shipmint", "a", "there is no body \"shipmint\""),
            ("shipment", "lin", "shipment has no field \"lin\""),
            ("shipment", "line", "line holds several values"),
            ("shipment", "line.x", "line has no field \"x\""),
            ("shipment", "status.x", "nothing stands below it"),
            ("item", "attributes", "attributes holds several"),
            ("dead_letter", "raw", "holds bytes"),
        ] {
            let wrong = Path::parse(body, path).expect_err(path);
            assert!(wrong.contains(said), "{path}: {wrong}");
        }
    }
}
