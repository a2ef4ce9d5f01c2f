//! What nobody may read in a dead letter: fields of a request and of its answer, hidden where they are kept, and where an
//! event is shown. The event's own bytes stay whole: they are what is delivered.
//!
//! A setting is a member's name, hidden wherever it stands (`iban`), or a JSON pointer (`/data/line/price`) into an event
//! or a body. Where a text is no JSON, or was cut within it, a pointer's last name is hidden wherever it stands: rather too
//! much than too little. What was hidden in a request is hidden in the target's words about it, too, and what is hidden of an
//! event, in its key.

use dray_proto::Offset;
use regex::{Captures, Regex};
use serde_json::Value;

use crate::body::{Place, Writer};
use crate::connectors::Exchange;

/// What stands in place of what is hidden.
pub(crate) const HIDDEN: &str = "***";
/// Settings of a target, at most.
pub const MASKS_MAX: usize = 100;
/// Shorter values are not looked for in the target's words: they would hide half a sentence.
const VALUE_MIN: usize = 4;
/// Values that are looked for, at most: what an event has of them.
const VALUES_MAX: usize = 1_000;

/// Values that were hidden.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Those that are looked for in sentences.
    long: Vec<String>,
    /// Short ones, and numbers: they would hide half of one, but a key may be made of them.
    others: Vec<String>,
}

impl Values {
    fn add(&mut self, value: String, is_long: bool) {
        if self.long.len() + self.others.len() < VALUES_MAX {
            let values = if is_long {
                &mut self.long
            } else {
                &mut self.others
            };
            values.push(value);
        }
    }

    /// What is said, without them.
    #[must_use]
    pub fn text(&self, text: String) -> String {
        let hide = |text: String, value: &String| text.replace(value.as_str(), HIDDEN);
        self.long.iter().fold(text, hide)
    }

    /// A request and its answer, without them: an address may hold the key.
    pub(crate) fn exchange(&self, exchange: Exchange) -> Exchange {
        Exchange {
            request: self.text(exchange.request),
            answer: self.text(exchange.answer),
        }
    }

    /// A business key, without them: it is one of them, or holds one that is long enough.
    #[must_use]
    pub fn key(&self, key: &str) -> String {
        if self.others.iter().any(|value| value == key) {
            return HIDDEN.to_owned();
        }
        let numbers = self.others.iter().filter(|value| value.len() >= VALUE_MIN);
        let hide = |text: String, value: &String| text.replace(value.as_str(), HIDDEN);
        numbers.fold(self.text(key.to_owned()), hide)
    }
}

/// A target's fields to hide.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    names: Vec<String>,
    pointers: Vec<String>,
    /// JSON members, XML elements, then attributes, parameters and forms, of all names.
    texts: Option<[Regex; 3]>,
}

impl Mask {
    /// Of a target's setting.
    ///
    /// # Errors
    /// A sentence that says what to write.
    pub fn new(settings: &[String]) -> Result<Self, String> {
        if settings.len() > MASKS_MAX {
            return Err(format!("mask: write at most {MASKS_MAX}"));
        }
        let is_wrong = |setting: &&String| {
            let last = setting.rsplit('/').next().unwrap_or("");
            last.is_empty()
                || last.bytes().all(|byte| byte.is_ascii_digit())
                || (setting.contains('/') && !setting.starts_with('/'))
                || setting.contains(['"', '<', '>', ' '])
        };
        if let Some(wrong) = settings.iter().find(is_wrong) {
            return Err(format!(
                "mask: {wrong:?} is neither a name (\"iban\") nor a JSON pointer that ends with one (\"/data/line/price\")"
            ));
        }
        let (pointers, names): (Vec<_>, Vec<_>) = settings
            .iter()
            .cloned()
            .partition(|setting| setting.starts_with('/'));
        let last = |pointer: &String| pointer.rsplit('/').next().unwrap_or("").to_owned();
        let all = names.iter().cloned().chain(pointers.iter().map(last));
        let all: Vec<String> = all.map(|name| regex::escape(&name)).collect();
        let texts = if all.is_empty() {
            None
        } else {
            let any = all.join("|");
            let made = |text: String| Regex::new(&text).map_err(|error| format!("mask: {error}"));
            // In plain letters: the names of members, elements and parameters are; no tables of Unicode are needed.
            Some([
                made(format!(
                    r#"("(?:{any})"[ \t\r\n]*:[ \t\r\n]*)("(?:[^"\\]|\\.)*"?|[^,}}\] \t\r\n]+)"#
                ))?,
                made(format!(
                    r"(<(?:[A-Za-z0-9_.-]+:)?(?:{any})(?:[ \t\r\n][^>]*)?>)([^<]+)"
                ))?,
                made(format!(
                    r#"((?-u:\b)(?:{any})[ \t]*=[ \t]*)("[^"]*"?|'[^']*'?|[^&"'<> \t\r\n]+)"#
                ))?,
            ])
        };
        Ok(Self {
            names,
            pointers,
            texts,
        })
    }

    /// Whether nothing is hidden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_none()
    }

    /// A request, its answer, and what is said about it, each without what is hidden.
    #[must_use]
    pub fn exchange(&self, exchange: Exchange, reason: String) -> (Exchange, String) {
        if self.is_empty() {
            return (exchange, reason);
        }
        let mut values = Values::default();
        let request = self.whole(&exchange.request, &mut values);
        let answer = self.whole(&exchange.answer, &mut values);
        let exchange = values.exchange(Exchange { request, answer });
        (exchange, values.text(self.text(&reason)))
    }

    /// What is hidden of an event: to be hidden in what is said of it, too.
    #[must_use]
    pub fn values(&self, json: &str) -> Values {
        let mut values = Values::default();
        if !self.is_empty() {
            self.body(json, &mut values);
        }
        values
    }

    /// The same of an event as the log has it.
    pub(crate) fn of_event(&self, place: &Place, offset: Offset, event: &[u8]) -> Values {
        if self.is_empty() {
            return Values::default();
        }
        let mut plain = Vec::new();
        // What cannot be written has no values that could be told.
        let _ = Writer::default().put(&mut plain, place, offset, event);
        self.values(&String::from_utf8_lossy(&plain))
    }

    /// Whether what stands at this pointer into a body is hidden.
    #[must_use]
    pub fn hides(&self, pointer: &str) -> bool {
        let is_within = |hidden: &String| {
            let rest = pointer.strip_prefix(hidden.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_named = |part: &str| self.names.iter().any(|hidden| hidden == part);
        self.pointers.iter().any(is_within) || pointer.split('/').any(is_named)
    }

    /// An event's JSON, or another one's.
    #[must_use]
    pub fn json(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        self.body(text, &mut Values::default())
    }

    /// "POST http://erp.example/api", and the body below.
    fn whole(&self, text: &str, values: &mut Values) -> String {
        match text.split_once('\n') {
            Some((head, body)) => format!("{}\n{}", self.text(head), self.body(body, values)),
            None => self.text(text),
        }
    }

    fn body(&self, body: &str, values: &mut Values) -> String {
        let Ok(mut json) = serde_json::from_str::<Value>(body) else {
            return self.text(body);
        };
        self.hide_names(&mut json, values);
        let mut roots: Vec<&mut Value> = match &mut json {
            Value::Array(all) => all.iter_mut().collect(),
            one => vec![one],
        };
        for root in &mut roots {
            for pointer in &self.pointers {
                if let Some(found) = root.pointer_mut(pointer) {
                    hide(found, values);
                }
            }
        }
        // An event's key may be made of them.
        for root in roots {
            if let Some(Value::String(key)) = root.get_mut("key") {
                *key = values.key(key);
            }
        }
        json.to_string()
    }

    fn hide_names(&self, json: &mut Value, values: &mut Values) {
        match json {
            Value::Object(members) => {
                for (name, value) in members {
                    if self.names.iter().any(|hidden| hidden == name) {
                        hide(value, values);
                    } else {
                        self.hide_names(value, values);
                    }
                }
            }
            Value::Array(all) => all
                .iter_mut()
                .for_each(|value| self.hide_names(value, values)),
            _ => {}
        }
    }

    /// A text of any kind.
    fn text(&self, text: &str) -> String {
        let Some([member, element, other]) = &self.texts else {
            return text.to_owned();
        };
        let mut text = text.to_owned();
        // A value of many parts, in a text that was cut: nobody can tell where it ends.
        let begins = |found: &Captures<'_>| found[2].starts_with(['{', '[']);
        if let Some(found) = member.captures_iter(&text).find(begins)
            && let Some(value) = found.get(2)
        {
            text.truncate(value.start());
            text.push_str(HIDDEN);
        }
        let quoted = |found: &Captures<'_>| format!("{}\"{HIDDEN}\"", &found[1]);
        let plain = |found: &Captures<'_>| format!("{}{HIDDEN}", &found[1]);
        let text = member.replace_all(&text, quoted).into_owned();
        let text = element.replace_all(&text, plain).into_owned();
        other.replace_all(&text, plain).into_owned()
    }
}

fn hide(value: &mut Value, values: &mut Values) {
    collect(value, values);
    *value = Value::from(HIDDEN);
}

fn collect(value: &Value, values: &mut Values) {
    match value {
        Value::Object(members) => members.values().for_each(|value| collect(value, values)),
        Value::Array(all) => all.iter().for_each(|value| collect(value, values)),
        Value::String(text) => values.add(text.clone(), text.len() >= VALUE_MIN),
        Value::Number(number) => values.add(number.to_string(), false),
        Value::Bool(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(settings: &[&str]) -> Mask {
        let settings: Vec<String> = settings.iter().map(|&one| one.to_owned()).collect();
        Mask::new(&settings).expect("good settings")
    }

    #[test]
    fn names_are_hidden_wherever_they_stand_and_pointers_where_they_point() {
        let mask = mask(&["iban", "/data/line/price"]);
        for (text, expected) in [
            (
                r#"{"iban":"DE12345","b":[{"iban":7,"c":1}]}"#,
                r#"{"b":[{"c":1,"iban":"***"}],"iban":"***"}"#,
            ),
            (
                r#"{"data":{"line":{"price":"9.99"}},"price":1}"#,
                r#"{"data":{"line":{"price":"***"}},"price":1}"#,
            ),
            (
                r#"[{"data":{"line":{"price":"9.99"}}}]"#,
                r#"[{"data":{"line":{"price":"***"}}}]"#,
            ),
            // Cut, or no JSON at all.
            (
                r#"{"iban": "DE12 \" 345", "a": 1, "price": 9.9"#,
                r#"{"iban": "***", "a": 1, "price": "***""#,
            ),
            (r#"{"a":1,"iban":"DE123"#, r#"{"a":1,"iban":"***""#),
            (
                r#"{"a":1,"iban":{"country":"DE","x"#,
                r#"{"a":1,"iban":"***""#,
            ),
            (
                "<o><n:iban a='b'>DE123</n:iban><iban>DE4",
                "<o><n:iban a='b'>***</n:iban><iban>***",
            ),
            ("<o iban=\"DE123\" b=\"1\"/>", "<o iban=*** b=\"1\"/>"),
            ("a=1&iban=DE123&b=2", "a=1&iban=***&b=2"),
            ("no such thing", "no such thing"),
        ] {
            assert_eq!(mask.json(text), expected, "{text}");
        }
    }

    #[test]
    fn what_was_hidden_in_a_request_is_hidden_in_the_answer_and_the_reason() {
        let mask = mask(&["iban", "token"]);
        let exchange = Exchange {
            request:
                "POST http://erp/DE12345?token=abc&b=1\n{\"iban\":\"DE12345\",\"name\":\"Doe\"}"
                    .into(),
            answer: "422 Unprocessable Entity\nthe account DE12345 of Doe is closed".into(),
        };
        let (hidden, reason) = mask.exchange(exchange.clone(), "422: account DE12345".into());
        assert_eq!(
            hidden.request,
            "POST http://erp/***?token=***&b=1\n{\"iban\":\"***\",\"name\":\"Doe\"}"
        );
        assert_eq!(
            hidden.answer,
            "422 Unprocessable Entity\nthe account *** of Doe is closed"
        );
        assert_eq!(reason, "422: account ***");
        let (same, _) = Mask::default().exchange(exchange.clone(), String::new());
        assert_eq!(same, exchange);
    }

    #[test]
    fn a_key_is_hidden_where_it_is_or_holds_what_is_hidden() {
        let mask = mask(&["iban", "/data/number", "/data/line/code"]);
        let event = r#"{"key":"K","data":{"iban":"DE12345","number":47110,"line":{"code":"A1"},"other":"B2"}}"#;
        let values = mask.values(event);
        for (key, expected) in [
            ("DE12345", "***"),
            ("K-DE12345-1", "K-***-1"),
            ("47110", "***"),
            ("47110/3", "***/3"),
            ("A1", "***"),
            ("A1-7", "A1-7"),
            ("B2", "B2"),
            ("", ""),
        ] {
            assert_eq!(values.key(key), expected, "{key}");
        }
        assert_eq!(Mask::default().values(event).key("DE12345"), "DE12345");
        assert_eq!(values.text("A1 of DE12345".into()), "A1 of ***");
    }

    #[test]
    fn a_setting_that_hides_nothing_is_refused() {
        for wrong in ["", "/", "/data/", "/lines/0", "a/b", "a b", "<a>"] {
            let refused = Mask::new(&[wrong.to_owned()]).err();
            assert!(refused.is_some_and(|why| why.contains("mask: ")), "{wrong}");
        }
    }
}
