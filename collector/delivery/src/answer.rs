//! What a target answered, and where in it a value stands.

mod begun;
mod letters;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
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
/// What is said where a page came with a 2xx, and a service was asked.
pub(crate) const A_PAGE: &str = "a page for people came, as of a sign-in or of something in between, and no answer of the service";

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
    /// Of JSON that ends too soon, what came.
    begun: OnceCell<Option<Value>>,
    xml: OnceCell<Option<Xml>>,
}

/// An answer's XML.
#[derive(Debug)]
struct Xml {
    package: Package,
    /// It ends too soon: this is what came.
    is_begun: bool,
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
            begun: OnceCell::new(),
            xml: OnceCell::new(),
        }
    }

    fn letters(&self) -> Cow<'a, str> {
        letters::read(self.headers, self.body)
    }

    /// The body as JSON, where it is, and whole.
    pub fn json(&self) -> Option<&Value> {
        self.json
            .get_or_init(|| serde_json::from_str(&self.letters()).ok())
            .as_ref()
    }

    /// The beginning of JSON that ends too soon, as one that is longer than what is read of it.
    fn begun(&self) -> Option<&Value> {
        let read = || {
            if self.json().is_some() {
                return None;
            }
            serde_json::from_str(&begun::json(&self.letters())?).ok()
        };
        self.begun.get_or_init(read).as_ref()
    }

    /// Whether it is for people to look at.
    #[must_use]
    pub fn is_page(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.to_ascii_lowercase().starts_with("text/html")
    }

    /// Whether the body ends before it is known what may stand at a place.
    #[must_use]
    pub fn ends_before(&self, place: &Place) -> bool {
        match place {
            Place::Pointer(pointer) => {
                let begun = self.begun().map(|begun| begun.pointer(pointer));
                // Null came, and is none.
                begun.is_some_and(|found| match found {
                    Some(value) => !value.is_null() && text_of(value).is_none(),
                    None => true,
                })
            }
            Place::XPath(path) => {
                self.xml().is_some_and(|xml| xml.is_begun) && self.xpath(path).is_none()
            }
            Place::Header(_) | Place::Text => false,
        }
    }

    /// The value at a place; `None` where there is none, where it is JSON's null, or an empty text, list or object.
    #[must_use]
    pub fn value(&self, place: &Place) -> Option<String> {
        let mut value = match place {
            Place::Pointer(pointer) => {
                let json = self.json().or_else(|| self.begun())?;
                text_of(json.pointer(pointer)?)?
            }
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

    fn xml(&self) -> Option<&Xml> {
        let read = || {
            let text = self.letters();
            // It also sees to it that what is searched is not too deep to be.
            let (first, is_whole) = begun::xml(&text)?;
            let package = sxd_document::parser::parse(&first).ok()?;
            Some(Xml {
                package,
                is_begun: !is_whole,
            })
        };
        self.xml.get_or_init(read).as_ref()
    }

    fn xpath(&self, path: &str) -> Option<String> {
        let found = Factory::new()
            .build(path)
            .ok()??
            .evaluate(&Context::new(), self.xml()?.package.as_document().root())
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
mod tests;
