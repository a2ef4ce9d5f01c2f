//! Key predicates and filters, as each version and type wants them: pure.
//!
//! OData 4.01, URL conventions 4.3.1 and ABNF `keyPredicate`; OData 2.0, URI conventions 2.2 and `Overview`, 6.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::config::odata::{KeyType, OdataConfig, Version};

/// What stands in a literal and need not be encoded. `/` must be, also between quotes.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'\'');

/// How keys are written.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    version: Version,
    key: Vec<(String, Option<KeyType>)>,
    find: Vec<(String, Option<KeyType>)>,
    /// A single value has its name too.
    is_alternate: bool,
}

impl Keys {
    pub(super) fn new(config: &OdataConfig) -> Self {
        let typed = |names: &[String]| {
            let typed = |name: &String| (name.clone(), config.key_types.get(name).copied());
            names.iter().map(typed).collect()
        };
        Self {
            version: config.version,
            key: typed(&config.key),
            find: typed(&config.find),
            is_alternate: config.alternate_key,
        }
    }

    /// Whether entities are looked up by a filter.
    pub(super) fn finds(&self) -> bool {
        !self.find.is_empty()
    }

    /// Whether an entity has one of the key's properties.
    pub(super) fn are_in(&self, entity: &Value) -> bool {
        self.key.iter().any(|(name, _)| entity.get(name).is_some())
    }

    /// `Items('A1')`, `Lines(order='A1',line=2)`, encoded: the address of the entity with these values.
    ///
    /// # Errors
    /// A sentence: a value of the key is missing, or is none of its type.
    pub(super) fn address(&self, entity: &str, values: &Value) -> Result<String, String> {
        let mut parts = Vec::with_capacity(self.key.len());
        for (name, kind) in &self.key {
            let literal = self.literal(values, ("odata.key", name), *kind)?;
            let is_named = self.is_alternate || self.key.len() > 1;
            parts.push(if is_named {
                format!("{name}={literal}")
            } else {
                literal
            });
        }
        Ok(format!("{}({})", set(entity), parts.join(",")))
    }

    /// `Items?$filter=number%20eq%20'7'&$top=2`: at most two, as the second says that the first is not the only one.
    ///
    /// # Errors
    /// As [`Self::address`].
    pub(super) fn search(&self, entity: &str, values: &Value) -> Result<String, String> {
        let mut parts = Vec::with_capacity(self.find.len());
        for (name, kind) in &self.find {
            let literal = self.literal(values, ("odata.find", name), *kind)?;
            parts.push(format!("{name}%20eq%20{literal}"));
        }
        let filter = parts.join("%20and%20");
        Ok(format!("{}?$filter={filter}&$top=2", set(entity)))
    }

    fn literal(
        &self,
        values: &Value,
        (setting, name): (&str, &str),
        kind: Option<KeyType>,
    ) -> Result<String, String> {
        let value = values.get(name).unwrap_or(&Value::Null);
        let made = literal(self.version, kind, value)
            .map_err(|reason| format!("{setting}: {name:?} {reason}"))?;
        Ok(utf8_percent_encode(&made, PLAIN).to_string())
    }
}

/// An entity set's path, encoded.
pub(super) fn set(entity: &str) -> String {
    let parts = entity.split('/');
    let parts: Vec<_> = parts
        .map(|part| utf8_percent_encode(part, PLAIN).to_string())
        .collect();
    parts.join("/")
}

/// A literal as it stands in an address, not yet encoded. Without a type: a text in quotes, else as JSON has it.
fn literal(version: Version, kind: Option<KeyType>, value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(is_so) => is_so.to_string(),
        Value::Null => return Err("has no value in the body".into()),
        _ => return Err("is a list or an object in the body, not a value".into()),
    };
    let kind = kind.unwrap_or(match value {
        Value::Number(_) => KeyType::Number,
        Value::Bool(_) => KeyType::Boolean,
        _ => KeyType::String,
    });
    let is_old = version == Version::V2;
    let good = |is_good: bool, what: &str| {
        let wrong = || format!("is no {what}: {text:?}");
        is_good.then(|| text.clone()).ok_or_else(wrong)
    };
    Ok(match kind {
        KeyType::String if text.is_empty() => return Err("is empty in the body".into()),
        KeyType::String => format!("'{}'", text.replace('\'', "''")),
        KeyType::Boolean => good(matches!(text.as_str(), "true" | "false"), "boolean")?,
        KeyType::Number => good(is_number(&text, true), "number")?,
        KeyType::Int64 if is_old => format!("{}L", good(is_number(&text, false), "Int64")?),
        KeyType::Int64 => good(is_number(&text, false), "Int64")?,
        KeyType::Decimal if is_old => format!("{}M", good(is_number(&text, true), "Decimal")?),
        KeyType::Decimal => good(is_number(&text, true), "Decimal")?,
        KeyType::Guid if is_old => format!("guid'{}'", good(is_guid(&text), "Guid")?),
        KeyType::Guid => good(is_guid(&text), "Guid")?,
        KeyType::Date => {
            let day = day(&text).ok_or_else(|| format!("is no date: {text:?}"))?;
            if is_old {
                format!("datetime'{day}T00:00:00'")
            } else {
                day
            }
        }
        KeyType::DateTime | KeyType::DateTimeOffset => {
            let at = instant(&text).ok_or_else(|| format!("is no time: {text:?}"))?;
            match (is_old, kind) {
                (true, KeyType::DateTime) => {
                    let written = at.to_string();
                    format!("datetime'{}'", written.trim_end_matches('Z'))
                }
                (true, _) => format!("datetimeoffset'{at}'"),
                (false, _) => at.to_string(),
            }
        }
    })
}

fn is_number(text: &str, may_have_part: bool) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole) && are_digits(part) && (may_have_part || !digits.contains('.'))
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(is_hex)
}

/// `2026-11-23` of a date or a time.
fn day(text: &str) -> Option<String> {
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        return Some(date.to_string());
    }
    let at = instant(text)?;
    Some(at.to_zoned_datetime(TimeZone::UTC).date().to_string())
}

/// The instant of RFC 3339's or of version 2's JSON: `/Date(1790000000000)/`, also with an offset in minutes, which
/// changes nothing of the instant.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    if let Some(inner) = text
        .strip_prefix("/Date(")
        .and_then(|rest| rest.strip_suffix(")/"))
    {
        // The first letter may be the milliseconds' own sign.
        let mut signs = inner.char_indices().skip(1);
        let end = signs.find(|(_, letter)| matches!(letter, '+' | '-'));
        let end = end.map_or(inner.len(), |(at, _)| at);
        return Timestamp::from_millisecond(inner[..end].parse().ok()?).ok();
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(version: Version, kind: Option<KeyType>, value: Value, expected: Option<&str>) {
        let made = literal(version, kind, &value);
        assert_eq!(
            made.ok().as_deref(),
            expected,
            "{version:?} {kind:?} {value}"
        );
    }

    #[test]
    fn a_literal_is_written_as_its_version_and_type_want() {
        use KeyType::{
            Boolean, Date, DateTime, DateTimeOffset, Decimal, Guid, Int64, Number, String,
        };
        let guid = "0A1b2c3d-0000-1111-2222-333344445555";
        let time = "2026-11-23T08:00:00.5Z";
        for (kind, value, v2, v4) in [
            (
                None,
                json!("O'Neill"),
                Some("'O''Neill'"),
                Some("'O''Neill'"),
            ),
            (None, json!(17), Some("17"), Some("17")),
            (None, json!(true), Some("true"), Some("true")),
            (None, json!(null), None, None),
            (None, json!(""), None, None),
            (None, json!([1]), None, None),
            (Some(String), json!(17), Some("'17'"), Some("'17'")),
            (Some(Number), json!("0017"), Some("0017"), Some("0017")),
            (Some(Number), json!("1 or 1"), None, None),
            (Some(Int64), json!("17"), Some("17L"), Some("17")),
            (Some(Int64), json!("1.5"), None, None),
            (Some(Decimal), json!("-1.50"), Some("-1.50M"), Some("-1.50")),
            (
                Some(Guid),
                json!(guid),
                Some("guid'0A1b2c3d-0000-1111-2222-333344445555'"),
                Some(guid),
            ),
            (Some(Guid), json!("0A1b2c3d"), None, None),
            (
                Some(Date),
                json!("2026-11-23"),
                Some("datetime'2026-11-23T00:00:00'"),
                Some("2026-11-23"),
            ),
            (
                Some(Date),
                json!(time),
                Some("datetime'2026-11-23T00:00:00'"),
                Some("2026-11-23"),
            ),
            (
                Some(DateTime),
                json!(time),
                Some("datetime'2026-11-23T08:00:00.5'"),
                Some(time),
            ),
            (
                Some(DateTimeOffset),
                json!(time),
                Some("datetimeoffset'2026-11-23T08:00:00.5Z'"),
                Some(time),
            ),
            (
                Some(DateTime),
                json!("/Date(1790000000000)/"),
                Some("datetime'2026-09-21T14:13:20'"),
                Some("2026-09-21T14:13:20Z"),
            ),
            (Some(Date), json!("soon"), None, None),
            (Some(Boolean), json!("yes"), None, None),
        ] {
            check(Version::V2, kind, value.clone(), v2);
            check(Version::V4, kind, value, v4);
        }
    }

    fn keys(more: &str) -> Keys {
        let config = toml::from_str(&format!("entity = \"E\"\nbody = \"{{}}\"\n{more}"));
        Keys::new(&config.expect("it parses"))
    }

    #[test]
    fn an_address_names_what_it_must_and_is_encoded() {
        let values = json!({"sku": "A/1 ü'%", "line": 2, "id": "7"});
        for (more, expected) in [
            ("key = [\"sku\"]", "Items('A%2F1%20%C3%BC''%25')"),
            (
                "key = [\"sku\", \"line\"]",
                "Items(sku='A%2F1%20%C3%BC''%25',line=2)",
            ),
            ("key = [\"id\"]\nalternate_key = true", "Items(id='7')"),
            ("key = [\"line\"]", "Items(2)"),
        ] {
            assert_eq!(
                keys(more).address("Items", &values).as_deref(),
                Ok(expected)
            );
        }
        let found = keys("find = [\"id\", \"line\"]").search("Orders", &values);
        assert_eq!(
            found.as_deref(),
            Ok("Orders?$filter=id%20eq%20'7'%20and%20line%20eq%202&$top=2")
        );
        let wrong = keys("key = [\"lot\"]").address("Items", &values);
        assert_eq!(
            wrong,
            Err("odata.key: \"lot\" has no value in the body".to_owned())
        );
    }

    #[test]
    fn an_instant_is_read_from_both_versions_json() {
        for (text, expected) in [
            ("/Date(1790000000000)/", Some(1_790_000_000_000)),
            ("/Date(1790000000000+0060)/", Some(1_790_000_000_000)),
            ("/Date(-5)/", Some(-5)),
            ("/Date(-5-0060)/", Some(-5)),
            ("/Date()/", None),
            ("/Date(ü)/", None),
            ("/Date(ü+0060)/", None),
            ("2026-09-21T14:13:20Z", Some(1_790_000_000_000)),
            ("2026-09-21T16:13:20+02:00", Some(1_790_000_000_000)),
            ("2026-09-21", None),
        ] {
            let found = instant(text).map(Timestamp::as_millisecond);
            assert_eq!(found, expected, "{text}");
        }
    }
}
