//! What a target answered, and where in it a value stands.

use std::cell::OnceCell;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use sxd_document::Package;
use sxd_xpath::{Context, Factory};

/// The longest wait that a `Retry-After` can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// How much of an answer's body goes into a reason.
pub const REASON_BYTES_MAX: usize = 1_000;
/// The longest value that is taken out of an answer.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;

/// How a reason begins that quotes the target.
pub(crate) const ANSWERED: &str = "the target answered";

/// An answer, or its beginning. What is asked of it is read once.
#[derive(Debug)]
pub struct Answer<'a> {
    /// E.g. 200.
    pub status: u16,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The body, or its beginning.
    pub body: &'a [u8],
    json: OnceCell<Option<Value>>,
    xml: OnceCell<Option<Package>>,
}

/// Where a value stands in an answer:
///
/// | written | meaning |
/// |---|---|
/// | `/error/0` | a JSON pointer (RFC 6901); the empty text is the whole document |
/// | `xpath://faultcode` | an XPath 1.0 expression without namespaces: `*[local-name()='Fault']` for a prefixed name |
/// | `header:ETag` | a header's first value |
/// | `text` | the body as it came |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A JSON pointer.
    Pointer(String),
    /// An XPath; compiled where it is used, as what is compiled stays on its thread.
    XPath(String),
    /// A header.
    Header(String),
    /// The whole body.
    Text,
}

impl Place {
    /// Reads one.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "text" {
            return Ok(Self::Text);
        }
        if text.is_empty() || text.starts_with('/') {
            return Ok(Self::Pointer(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix("header:") {
            return match http::HeaderName::try_from(name) {
                Ok(name) => Ok(Self::Header(name.as_str().to_owned())),
                Err(_) => Err(format!("{name:?} is not the name of a header")),
            };
        }
        if let Some(path) = text.strip_prefix("xpath:") {
            return match Factory::new().build(path) {
                Ok(Some(_)) => Ok(Self::XPath(path.to_owned())),
                Ok(None) => Err("the XPath is empty".into()),
                Err(error) => Err(format!("{path:?} is no XPath 1.0: {error}")),
            };
        }
        Err(format!(
            "{text:?} is no place in an answer; write a JSON pointer (\"/error/message\"), \"xpath:...\", \"header:NAME\" or \"text\""
        ))
    }
}

impl<'a> Answer<'a> {
    /// Of what came.
    #[must_use]
    pub fn new(status: u16, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self {
            status,
            headers,
            body,
            json: OnceCell::new(),
            xml: OnceCell::new(),
        }
    }

    /// The body as JSON, where it is.
    pub fn json(&self) -> Option<&Value> {
        self.json
            .get_or_init(|| serde_json::from_slice(self.body).ok())
            .as_ref()
    }

    /// The value at a place; `None` where there is none, where it is JSON's null, or an empty text, list or object.
    #[must_use]
    pub fn value(&self, place: &Place) -> Option<String> {
        let mut value = match place {
            Place::Pointer(pointer) => text_of(self.json()?.pointer(pointer)?)?,
            Place::XPath(path) => self.xpath(path)?,
            Place::Header(name) => {
                String::from_utf8_lossy(self.headers.get(name)?.as_bytes()).into_owned()
            }
            Place::Text => String::from_utf8_lossy(self.body).into_owned(),
        };
        let end = value.floor_char_boundary(VALUE_BYTES_MAX);
        value.truncate(end);
        (!value.is_empty()).then_some(value)
    }

    /// RFC 9110, 10.2.3: seconds, or an HTTP date. At most [`RETRY_AFTER_MAX`]; a date that has passed: none.
    #[must_use]
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
        }
        let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        Some(wait.min(RETRY_AFTER_MAX))
    }

    fn xpath(&self, path: &str) -> Option<String> {
        let read = || sxd_document::parser::parse(std::str::from_utf8(self.body).ok()?).ok();
        let package = self.xml.get_or_init(read).as_ref()?;
        let found = Factory::new()
            .build(path)
            .ok()??
            .evaluate(&Context::new(), package.as_document().root())
            .ok()?;
        match found {
            sxd_xpath::Value::Boolean(is_so) => is_so.then(|| "true".to_owned()),
            sxd_xpath::Value::Nodeset(nodes) => Some(
                nodes
                    .document_order_first()?
                    .string_value()
                    .trim()
                    .to_owned(),
            ),
            other => Some(other.into_string()),
        }
    }

    /// "the target answered 422 Unprocessable Entity: unknown item"; white space and control characters become one space.
    ///
    /// `words`: what to quote of it; `None`: the body's beginning.
    #[must_use]
    pub fn reason(&self, words: Option<&str>) -> String {
        let status = StatusCode::from_u16(self.status).ok();
        let phrase = status
            .and_then(|status| status.canonical_reason())
            .unwrap_or("");
        let mut said = format!("{ANSWERED} {} {phrase}", self.status)
            .trim_end()
            .to_owned();
        let whole = String::from_utf8_lossy(&self.body[..self.body.len().min(REASON_BYTES_MAX)]);
        let words = words.unwrap_or(&whole);
        let words = &words[..words.floor_char_boundary(REASON_BYTES_MAX)];
        let mut parts = words
            .split(|letter: char| letter.is_whitespace() || letter.is_control())
            .filter(|part| !part.is_empty());
        if let Some(first) = parts.next() {
            said.push_str(": ");
            said.push_str(first);
            for part in parts {
                said.push(' ');
                said.push_str(part);
            }
        }
        said
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if list.is_empty() => None,
        Value::Object(fields) if fields.is_empty() => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: &[u8] = b"<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>\
        <faultcode>s:Server</faultcode><faultstring> no such\n item </faultstring></s:Fault></s:Body></s:Envelope>";

    fn check(body: &[u8], place: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert("etag", "W/\"7\"".parse().expect("a value"));
        let answer = Answer::new(200, &headers, body);
        let place = Place::parse(place).expect("a place");
        assert_eq!(answer.value(&place).as_deref(), expected, "{place:?}");
    }

    #[test]
    fn a_value_is_found_where_its_place_says() {
        let json =
            br#"{"error":["UserWarning",["w1",""]],"n":1.50,"no":null,"list":[],"ok":false}"#;
        for (place, expected) in [
            ("/error/0", Some("UserWarning")),
            ("/error/1/0", Some("w1")),
            ("/error/1/1", None),
            ("/error", Some(r#"["UserWarning",["w1",""]]"#)),
            ("/no", None),
            ("/list", None),
            ("/ok", Some("false")),
            ("/absent/0", None),
            ("header:ETag", Some("W/\"7\"")),
            ("header:Location", None),
            ("xpath://faultcode", None),
        ] {
            check(json, place, expected);
        }
        for (place, expected) in [
            ("xpath://faultstring", Some("no such\n item")),
            ("xpath:count(//faultcode)", Some("1")),
            (
                "xpath://*[local-name()='Fault']/faultcode",
                Some("s:Server"),
            ),
            ("xpath:boolean(//nothing)", None),
            ("xpath://nothing", None),
            ("/faultcode", None),
        ] {
            check(FAULT, place, expected);
        }
        check(b"plain", "text", Some("plain"));
        check(b"", "text", None);
        check(b"\xFF<", "xpath://a", None);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for place in [
            "error",
            "header:",
            "header:a b",
            "xpath:",
            "xpath://[",
            "$.error",
        ] {
            assert!(Place::parse(place).is_err(), "{place}");
        }
    }

    #[test]
    fn the_reason_is_one_line_of_the_targets_words() {
        let headers = HeaderMap::new();
        let body = b"{\"error\":\n\t\"unknown  item\"}\0".to_vec();
        let answer = Answer::new(422, &headers, &body);
        assert_eq!(
            answer.reason(None),
            "the target answered 422 Unprocessable Entity: {\"error\": \"unknown item\"}"
        );
        assert_eq!(
            answer.reason(Some("no\nsuch")),
            "the target answered 422 Unprocessable Entity: no such"
        );
        let long = "ä".repeat(30_000);
        let answer = Answer::new(422, &headers, long.as_bytes());
        assert!(answer.reason(None).len() < REASON_BYTES_MAX + 100);
        assert!(answer.reason(Some(&long)).len() < REASON_BYTES_MAX + 100);
    }
}
