//! Whether an entity that is there is the one that an event would make: pure.

use serde_json::Value;

use super::key::instant;

/// The names of what is otherwise, as far as both have it. Lists and objects are not looked into, as a service shows
/// them only where it is asked to.
pub(super) fn differing(sent: &Value, found: &Value) -> Vec<String> {
    let (Some(sent), Some(found)) = (sent.as_object(), found.as_object()) else {
        return Vec::new();
    };
    let differs = |(name, value): &(&String, &Value)| {
        let other = found.get(name.as_str());
        other.is_some_and(|other| !is_same(value, other))
    };
    let differing = sent.iter().filter(differs);
    differing.map(|(name, _)| name.clone()).collect()
}

fn is_same(sent: &Value, found: &Value) -> bool {
    let texts = text(sent).zip(text(found));
    let Some((sent, found)) = texts else {
        // One of them is a list or an object.
        return true;
    };
    if sent == found {
        return true;
    }
    if let (Some(sent), Some(found)) = (digits(&sent), digits(&found)) {
        return sent == found;
    }
    match (instant(&sent), instant(&found)) {
        // Services keep seconds, milliseconds or less.
        (Some(sent), Some(found)) => sent.as_second() == found.as_second(),
        _ => false,
    }
}

/// A value as a text; nothing, as services make it of an empty text, is one too.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.trim_end().to_owned()),
        Value::Bool(is_so) => Some(is_so.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A decimal without the zeros that say nothing.
fn digits(text: &str) -> Option<(bool, String, String)> {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(part) {
        return None;
    }
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    let is_zero = whole.is_empty() && part.is_empty();
    let is_below = plain.len() < text.len() && !is_zero;
    Some((is_below, whole.to_owned(), part.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(sent: Value, found: Value, expected: bool) {
        let differing = differing(&json!({"a": sent}), &json!({"a": found}));
        assert_eq!(differing.is_empty(), expected, "{sent} {found}");
    }

    #[test]
    fn a_value_is_the_same_however_the_service_writes_it() {
        for (sent, found, expected) in [
            (json!("A1"), json!("A1  "), true),
            (json!("A1"), json!("a1"), false),
            (json!("12.50"), json!(12.5), true),
            (json!(12), json!("12.000"), true),
            (json!("-0.0"), json!(0), true),
            (json!("0012"), json!("12"), true),
            (json!("12"), json!("-12"), false),
            (json!("12.51"), json!(12.5), false),
            (json!(""), json!(null), true),
            (json!(null), json!("x"), false),
            (json!(true), json!("true"), true),
            (
                json!("2026-09-21T14:13:20.123Z"),
                json!("/Date(1790000000000)/"),
                true,
            ),
            (
                json!("2026-09-21T14:13:20Z"),
                json!("2026-09-21T16:13:20+02:00"),
                true,
            ),
            (
                json!("2026-09-21T14:13:20Z"),
                json!("2026-09-21T14:13:21Z"),
                false,
            ),
            (json!([{"line": 1}]), json!({"__deferred": {}}), true),
        ] {
            check(sent, found, expected);
        }
    }

    #[test]
    fn only_what_both_have_is_compared_and_named() {
        let sent = json!({"sku": "A", "name": "new", "qty": 1});
        let found = json!({"sku": "A", "name": "old", "qty": "2.00", "id": 7});
        assert_eq!(differing(&sent, &found), ["name", "qty"]);
        assert!(differing(&sent, &json!({"sku": "A"})).is_empty());
        assert!(differing(&json!(1), &json!(2)).is_empty());
    }
}
