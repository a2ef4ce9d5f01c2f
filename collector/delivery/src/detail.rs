//! What an exception keeps beside its reason: how it came about, and where its conversation goes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::calls::Later;
use crate::connectors::Exchange;
use crate::outcome::Class;

/// See the module. On disk it is JSON, as `detail` of the exception.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// What kind of answer it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Times that the event was sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// The last request, capped; no secret stands in it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// Its answer, capped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// Where the conversation goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub later: Option<Later>,
    /// Not before this, microseconds since 1970-01-01T00:00:00Z.
    #[serde(skip_serializing_if = "is_never")]
    pub due_us: i64,
    /// When the target first took it, or it first waited for what it names, microseconds since 1970-01-01T00:00:00Z.
    #[serde(skip_serializing_if = "is_never")]
    pub since_us: i64,
    /// The event as somebody changed it, base64: this is sent, the exception's own bytes stay what they were.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub edited: String,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Awaited>,
    /// Somebody said that it is sent whatever it names.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unchecked: bool,
}

/// Something that the target has not got; empty texts: it did not say what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Awaited {
    /// What kind of thing.
    pub of: String,
    /// Its name.
    pub name: String,
    /// How often it was looked for.
    pub tries: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_never(time: &i64) -> bool {
    *time == 0
}

impl Detail {
    /// Of an exception's text; what cannot be read is nothing: a newer version wrote it, or an older one nothing.
    #[must_use]
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// As it stands on disk.
    #[must_use]
    pub fn text(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The event as somebody changed it.
    #[must_use]
    pub fn edited(&self) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(&self.edited).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }

    /// The same with an event that somebody changed.
    #[must_use]
    pub fn edited_to(mut self, event: &[u8]) -> Self {
        self.edited = STANDARD.encode(event);
        self
    }

    /// The same with what was said last.
    #[must_use]
    pub fn told(mut self, exchange: Option<&Exchange>) -> Self {
        if let Some(exchange) = exchange {
            self.request.clone_from(&exchange.request);
            self.answer.clone_from(&exchange.answer);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_short_and_comes_back_as_it_was() {
        let detail = Detail {
            class: Some(Class::Rejected),
            attempts: 2,
            ..Detail::default()
        }
        .told(Some(&Exchange {
            request: "POST http://erp/\n{}".into(),
            answer: "422".into(),
        }));
        assert_eq!(
            detail.text(),
            r#"{"class":"rejected","attempts":2,"request":"POST http://erp/\n{}","answer":"422"}"#
        );
        assert_eq!(Detail::read(&detail.text()), detail);
        assert_eq!(Detail::default().text(), "");
        assert_eq!(Detail::read(""), Detail::default());
        assert_eq!(Detail::read("{\"new\":1}"), Detail::default());
    }
}
