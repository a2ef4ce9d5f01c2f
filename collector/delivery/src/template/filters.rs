//! Filters beside minijinja's own, or in place of them: what the conventions of ERPs need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// A time for what has none in a sample.
const SAMPLE_TIME: &str = "2026-09-21T14:13:20Z";

/// | filter | of | makes |
/// |---|---|---|
/// | `odata` | a text | the inside of an OData literal: `'` doubled (OData 4.01 part 2, 5.1.1.6.1) |
/// | `number` | a decimal as text | the same digits, as JSON writes a number |
/// | `local("Europe/Berlin", "%Y-%m-%d")` | a time | that zone's time in strftime's words |
/// | `msdate` | a time | `/Date(1790000000000)/`, as OData 2 writes it in JSON |
/// | `base64` | a text | base64 |
/// | `plain` | a text | letters, digits and `-` as they are, all else as `_` and two hexadecimal digits a byte |
/// | `urlencode` | a value | it, so that it stays in its place in an address: all but RFC 3986's unreserved characters (2.3) as `%` and two digits a byte. minijinja's own leaves `/` |
/// | `xml` | a value | it, escaped: see [`super::xml`] |
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("odata", |text: String| text.replace('\'', "''"));
    environment.add_filter("base64", |text: String| STANDARD.encode(text));
    environment.add_filter("number", number);
    environment.add_filter("local", local);
    environment.add_filter("msdate", msdate);
    environment.add_filter("plain", plain);
    environment.add_filter("urlencode", urlencode);
}

/// What `urlencode` encodes of a value in an address; what is masked is looked for in this form, too.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What there isn't is nothing.
fn urlencode(value: Value) -> String {
    if value.is_none() || value.is_undefined() {
        return String::new();
    }
    let text = value.to_string();
    percent_encoding::utf8_percent_encode(&text, RESERVED).to_string()
}

/// For trials with samples: what reads a number or a time takes a text that is none for one, as an event's may be.
pub(super) fn take_samples(environment: &mut Environment<'static>) {
    let one = || Value::from(1);
    environment.add_filter("number", move |value: Value| {
        number(value).map_or_else(|_| one(), Value::from)
    });
    environment.add_filter("int", move |value: Value, _: Rest<Value>| {
        let read = value.to_string().parse::<f64>();
        read.map_or_else(|_| one(), |read| Value::from(read as i64))
    });
    environment.add_filter("float", move |value: Value, _: Rest<Value>| {
        let read = value.to_string().parse::<f64>();
        Value::from(read.unwrap_or(1.0))
    });
    environment.add_filter("local", |value: Value, zone: String, format: String| {
        local(some_time(&value), zone, format)
    });
    environment.add_filter("msdate", |value: Value| msdate(some_time(&value)));
}

fn some_time(value: &Value) -> String {
    let text = value.to_string();
    time(&text).map_or_else(|_| SAMPLE_TIME.to_owned(), |_| text)
}

/// No two texts become the same.
fn plain(text: String) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => out.push(char::from(byte)),
            other => out.push_str(&format!("_{other:02x}")),
        }
    }
    out
}

fn number(value: Value) -> Result<String, Error> {
    let text = value.to_string();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(part) {
        return Err(wrong(format!("{text:?} is not a number")));
    }
    let sign = &text[..text.len() - digits.len()];
    let zeros = whole.len() - 1 - whole[..whole.len() - 1].trim_start_matches('0').len();
    Ok(format!("{sign}{}", &digits[zeros..]))
}

fn local(value: String, zone: String, format: String) -> Result<String, Error> {
    let zone = TimeZone::get(&zone).map_err(|_| {
        wrong(format!(
            "there is no time zone {zone:?}; write e.g. \"Europe/Berlin\""
        ))
    })?;
    let at = time(&value)?.to_zoned_datetime(zone);
    jiff::fmt::strtime::format(&format, &at).map_err(|error| wrong(error.to_string()))
}

fn msdate(value: String) -> Result<String, Error> {
    Ok(format!("/Date({})/", time(&value)?.as_millisecond()))
}

fn time(text: &str) -> Result<Timestamp, Error> {
    text.parse()
        .map_err(|_| wrong(format!("{text:?} is not a time")))
}

fn wrong(reason: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: Option<&str>) {
        let mut environment = Environment::new();
        add(&mut environment);
        let made = environment.render_str(template, Value::UNDEFINED).ok();
        assert_eq!(made.as_deref(), expected, "{template}");
    }

    #[test]
    fn values_are_written_as_erps_want_them() {
        for (template, expected) in [
            ("{{ \"O'Neill\" | odata }}", Some("O''Neill")),
            ("{{ '12.50' | number }}", Some("12.50")),
            ("{{ '-0012' | number }}", Some("-12")),
            ("{{ '000.5' | number }}", Some("0.5")),
            ("{{ 7 | number }}", Some("7")),
            ("{{ '1,5' | number }}", None),
            ("{{ '1.' | number }}", None),
            ("{{ '-' | number }}", None),
            ("{{ '1e5' | number }}", None),
            (
                "{{ '2026-03-29T01:30:00Z' | local('Europe/Berlin', '%Y-%m-%d %H:%M') }}",
                Some("2026-03-29 03:30"),
            ),
            ("{{ '2026-03-29T01:30:00Z' | local('Berlin', '%Y') }}", None),
            ("{{ 'today' | local('Europe/Berlin', '%Y') }}", None),
            (
                "{{ '2026-09-21T14:13:20Z' | msdate }}",
                Some("/Date(1790000000000)/"),
            ),
            ("{{ 'agent:pw' | base64 }}", Some("YWdlbnQ6cHc=")),
            (
                "{{ 'a b/c?d#e&f=../é~_-.' | urlencode }}",
                Some("a%20b%2Fc%3Fd%23e%26f%3D..%2F%C3%A9~_-."),
            ),
            ("{{ 12 | urlencode }}", Some("12")),
            ("{{ none | urlencode }}{{ nothing | urlencode }}", Some("")),
            ("{{ 'A-1_ö/2' | plain }}", Some("A-1_5f_c3_b6_2f2")),
        ] {
            check(template, expected);
        }
    }
}
