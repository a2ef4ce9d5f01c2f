//! What nobody may read in a dead letter: fields of a request and of its answer, hidden where they are kept, and where an
//! event is shown. The event's own bytes stay whole: they are what is delivered.
//!
//! A setting is a member's name, hidden wherever it stands (`iban`), or a JSON pointer (`/data/line/price`) into an event
//! or a body. Where a text is no JSON, or was cut within it, a pointer's last name is hidden wherever it stands: rather too
//! much than too little. What was hidden in a request is hidden in the target's words about it, too, and what is hidden of an
//! event, in its key.

use dray_proto::Offset;
use percent_encoding::utf8_percent_encode;
use regex::{Captures, Regex};
use serde_json::Value;

use crate::body::{Place, Writer};
use crate::connectors::Exchange;
use crate::template::filters::RESERVED;
use crate::template::xml;

/// What stands in place of what is hidden.
pub(crate) const HIDDEN: &str = "***";
/// Settings of a target, at most.
pub const MASKS_MAX: usize = 100;
/// Shorter values are not looked for in the target's words: they would hide half a sentence.
const VALUE_MIN: usize = 4;
/// Values that are looked for, at most: what an event has of them.
const VALUES_MAX: usize = 1_000;

/// What an event has where it is hidden.
#[derive(Debug, Clone, Default)]
pub struct Values(Vec<String>);

impl Values {
    /// A request, its answer, and what is said about it, without these values: under whatever name, or none, they were sent.
    #[must_use]
    pub fn exchange(&self, exchange: Exchange, reason: String) -> (Exchange, String) {
        if self.0.is_empty() {
            return (exchange, reason);
        }
        let without = |text: &str| without(text, &self.0);
        let whole = |text: &str| match text.split_once('\n') {
            Some((head, body)) => {
                let Ok(mut json) = serde_json::from_str::<Value>(body) else {
                    return without(text);
                };
                hide_values(&mut json, &self.0);
                format!("{}\n{}", without(head), without(&json.to_string()))
            }
            None => without(text),
        };
        let exchange = Exchange {
            request: whole(&exchange.request),
            answer: whole(&exchange.answer),
        };
        (exchange, without(&reason))
    }

    /// A text without them.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        without(text, &self.0)
    }

    /// The event's key without them: it is one of them, however short, or holds one.
    #[must_use]
    pub fn key(&self, key: &str) -> String {
        key_without(key, &self.0)
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn has(&self, value: &str) -> bool {
        self.0.iter().any(|hidden| hidden == value)
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
        let mut values = Vec::new();
        let request = self.whole(&exchange.request, &mut values);
        let answer = self.whole(&exchange.answer, &mut values);
        let exchange = Exchange {
            request,
            answer: without(&answer, &values),
        };
        (exchange, without(&self.text(&reason), &values))
    }

    /// The same by what an event has there: its hidden values are hidden under whatever name, or none, they were sent.
    /// `event`: its JSON.
    #[must_use]
    pub fn exchange_of(
        &self,
        event: &str,
        exchange: Exchange,
        reason: String,
    ) -> (Exchange, String) {
        if self.is_empty() {
            return (exchange, reason);
        }
        self.values(event).exchange(exchange, reason)
    }

    /// What an event has where it is hidden. `event`: its JSON.
    #[must_use]
    pub fn values(&self, event: &str) -> Values {
        let mut values = Vec::new();
        if !self.is_empty() {
            self.body(event, &mut values);
        }
        Values(values)
    }

    /// The same of an event as the log has it. What cannot be written has none that could be told.
    pub(crate) fn of_event(&self, place: &Place, offset: Offset, event: &[u8]) -> Values {
        if self.is_empty() {
            return Values::default();
        }
        let mut plain = Vec::new();
        let _ = Writer::default().put(&mut plain, place, offset, event);
        self.values(&String::from_utf8_lossy(&plain))
    }

    /// A change of an event, `line.price = 9.99`, as [`crate::edit`] has it: without its value where that is hidden.
    #[must_use]
    pub fn change(&self, change: &str) -> String {
        let (path, _) = change.split_once(" = ").unwrap_or((change, ""));
        // An entry of a map may have dots in its name.
        let is_named = |name: &String| {
            path.strip_suffix(name.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        if self.hides(&format!("/data/{}", path.replace('.', "/")))
            || self.names.iter().any(is_named)
        {
            return format!("{path} = {HIDDEN}");
        }
        change.to_owned()
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
        self.body(text, &mut Vec::new())
    }

    /// "POST http://erp.example/api", and the body below.
    fn whole(&self, text: &str, values: &mut Vec<String>) -> String {
        match text.split_once('\n') {
            Some((head, body)) => format!("{}\n{}", self.text(head), self.body(body, values)),
            None => self.text(text),
        }
    }

    fn body(&self, body: &str, values: &mut Vec<String>) -> String {
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
                *key = key_without(key, values);
            }
        }
        json.to_string()
    }

    fn hide_names(&self, json: &mut Value, values: &mut Vec<String>) {
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

fn hide(value: &mut Value, values: &mut Vec<String>) {
    collect(value, values);
    *value = Value::from(HIDDEN);
}

fn collect(value: &Value, values: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|value| collect(value, values)),
        Value::Array(all) => all.iter().for_each(|value| collect(value, values)),
        _ if values.len() >= VALUES_MAX => {}
        Value::String(text) => values.push(text.clone()),
        Value::Number(number) => values.push(number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whole values of a JSON that are one of these, however short.
fn hide_values(json: &mut Value, values: &[String]) {
    let is_hidden = match json {
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|value| hide_values(value, values));
            false
        }
        Value::Array(all) => {
            all.iter_mut().for_each(|value| hide_values(value, values));
            false
        }
        Value::String(text) => values.contains(text),
        Value::Number(number) => values.contains(&number.to_string()),
        Value::Null | Value::Bool(_) => false,
    };
    if is_hidden {
        *json = Value::from(HIDDEN);
    }
}

/// A key is one of these values, however short, or holds one that is looked for.
fn key_without(key: &str, values: &[String]) -> String {
    match values.iter().any(|value| value == key) {
        true => HIDDEN.to_owned(),
        false => without(key, values),
    }
}

/// A text without these values, as they are and as JSON, XML and addresses have them.
fn without(text: &str, values: &[String]) -> String {
    let mut text = text.to_owned();
    for value in values.iter().filter(|value| value.len() >= VALUE_MIN) {
        text = text.replace(value.as_str(), HIDDEN);
        let json = Value::from(value.as_str()).to_string();
        let mut in_xml = String::new();
        // What no XML may hold stands in none.
        let _ = xml::escape(&mut in_xml, value);
        let in_address = utf8_percent_encode(value, RESERVED).to_string();
        for form in [&json[1..json.len() - 1], &in_xml, &in_address] {
            if form.len() >= VALUE_MIN && form != value {
                text = text.replace(form, HIDDEN);
            }
        }
    }
    text
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
            request: "POST http://erp/a?token=abc&b=1\n{\"iban\":\"DE12345\",\"name\":\"Doe\"}"
                .into(),
            answer: "422 Unprocessable Entity\nthe account DE12345 of Doe is closed".into(),
        };
        let (hidden, reason) = mask.exchange(exchange.clone(), "422: account DE12345".into());
        assert_eq!(
            hidden.request,
            "POST http://erp/a?token=***&b=1\n{\"iban\":\"***\",\"name\":\"Doe\"}"
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
    fn an_events_hidden_values_are_hidden_under_whatever_name_they_were_sent() {
        let mask = mask(&["iban", "/data/line/price", "/data/rank"]);
        let event = r#"{"data":{"iban":"DE\"12345","line":{"price":"9.9"},"rank":7,"note":"x"}}"#;
        let exchange = Exchange {
            request: r#"INSERT INTO t
["DE\"12345","9.9","x",7,"9.91"]"#
                .into(),
            answer: "23514: a constraint: (DE\"12345, 9.9, x)".into(),
        };
        let reason = "23514: DE\"12345".to_owned();
        let (hidden, reason) = mask.exchange_of(event, exchange, reason);
        assert_eq!(
            hidden.request,
            "INSERT INTO t\n[\"***\",\"***\",\"x\",\"***\",\"9.91\"]"
        );
        assert_eq!(hidden.answer, "23514: a constraint: (***, 9.9, x)");
        assert_eq!(reason, "23514: ***");
        let cut = Exchange {
            request: "POST http://erp\n{\"account\":\"DE\\\"12345\",\"x".into(),
            answer: String::new(),
        };
        let (hidden, _) = mask.exchange_of(event, cut, String::new());
        assert_eq!(hidden.request, "POST http://erp\n{\"account\":\"***\",\"x");
        let elsewhere = Exchange {
            request: "GET http://erp/a?b=DE%2212345".into(),
            answer: "500\n<a>DE&quot;12345</a>".into(),
        };
        let (hidden, _) = mask.exchange_of(event, elsewhere, String::new());
        assert_eq!(hidden.request, "GET http://erp/a?b=***");
        assert_eq!(hidden.answer, "500\n<a>***</a>");
        // As `urlencode` writes it: `/` too, and `~` not.
        let encoded = Exchange {
            request: "GET http://erp/a/DE%2F12%2034~5".into(),
            answer: String::new(),
        };
        let event = r#"{"data":{"iban":"DE/12 34~5"}}"#;
        let (hidden, _) = mask.exchange_of(event, encoded, String::new());
        assert_eq!(hidden.request, "GET http://erp/a/***");
    }

    #[test]
    fn a_change_is_shown_without_its_value_where_that_is_hidden() {
        let mask = mask(&["iban", "line", "my.colour", "/data/buyer/tax"]);
        for (change, expected) in [
            ("iban = DE12 3456 7890", "iban = ***"),
            ("iban = &x = y", "iban = ***"),
            ("line.price = 9.99", "line.price = ***"),
            ("attributes.my.colour = red", "attributes.my.colour = ***"),
            ("buyer.tax = 1 2", "buyer.tax = ***"),
            ("buyer.name = iban = 1", "buyer.name = iban = 1"),
            ("item_number = A", "item_number = A"),
        ] {
            assert_eq!(mask.change(change), expected);
        }
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
            let event = event.replace(r#""K""#, &format!("{key:?}"));
            let shown: Value = serde_json::from_str(&mask.json(&event)).expect("JSON");
            assert_eq!(shown["key"], expected);
        }
        assert_eq!(Mask::default().values(event).key("DE12345"), "DE12345");
    }

    #[test]
    fn a_setting_that_hides_nothing_is_refused() {
        for wrong in ["", "/", "/data/", "/lines/0", "a/b", "a b", "<a>"] {
            let refused = Mask::new(&[wrong.to_owned()]).err();
            assert!(refused.is_some_and(|why| why.contains("mask: ")), "{wrong}");
        }
    }
}
