//! Version 4's JSON $batch (OData JSON Format 4.01, 19): pure.

use std::borrow::Cow;
use std::fmt;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::part::{HEADERS_MAX, Part, Request};
use crate::config::BATCH_MAX;

/// How much of what nobody asked for is shown.
const SHOWN_BYTES_MAX: usize = 100;

/// How a request is written down. `atomic`: they stand or fall together.
pub(super) fn write(requests: &[Request], atomic: bool) -> Vec<u8> {
    let mut out = String::from("{\"requests\":[");
    for (id, request) in requests.iter().enumerate() {
        if id > 0 {
            out.push(',');
        }
        let group = if atomic {
            ",\"atomicityGroup\":\"all\""
        } else {
            ""
        };
        let headers: serde_json::Map<String, Value> = request
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
            .collect();
        out.push_str(&format!(
            "{{\"id\":\"{id}\"{group},\"method\":\"{}\",\"url\":{},\"headers\":{}",
            request.method,
            Value::from(request.path.as_str()),
            Value::Object(headers)
        ));
        if let Some(body) = &request.body {
            // As the template made it: digits stay.
            out.push_str(",\"body\":");
            out.push_str(body);
        }
        out.push('}');
    }
    out.push_str("]}");
    out.into_bytes()
}

/// Nothing of it is made a tree: that would be ten times as large.
#[derive(Deserialize)]
struct Answers<'a> {
    #[serde(borrow)]
    responses: Few<'a>,
}

/// A list of at most [`BATCH_MAX`].
struct Few<'a>(Vec<&'a RawValue>);

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    status: &'a RawValue,
    #[serde(borrow, default)]
    headers: Headers<'a>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

/// The first [`HEADERS_MAX`].
#[derive(Default)]
struct Headers<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Few<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names).map(Self)
    }
}

struct List;
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut few = Vec::new();
        while few.len() < HEADERS_MAX
            && let Some(one) = all.next_entry()?
        {
            few.push(one);
        }
        while all.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(few)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of answers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut few = Vec::new();
        while let Some(one) = all.next_element()? {
            if few.len() == BATCH_MAX {
                return Err(de::Error::custom("it has more parts than any has"));
            }
            few.push(one);
        }
        Ok(few)
    }
}

/// The answer to each of so many requests; `None`: there is none, or more than one.
///
/// # Errors
/// A sentence: it is no answer to this.
pub(super) fn read(body: &[u8], count: usize) -> Result<Vec<Option<Part>>, String> {
    let wrong = |error: serde_json::Error| format!("the answer is no JSON $batch: {error}");
    let answers: Answers<'_> = serde_json::from_slice(body).map_err(wrong)?;
    let mut parts: Vec<Option<Part>> = (0..count).map(|_| None).collect();
    let mut times = vec![0_u32; count];
    for response in answers.responses.0 {
        let response: Response<'_> = serde_json::from_str(response.get()).map_err(wrong)?;
        let id = plain(response.id).parse::<usize>().ok();
        let at = id.filter(|at| *at < count).ok_or_else(|| {
            let id = response.id.get();
            let id = &id[..id.floor_char_boundary(SHOWN_BYTES_MAX)];
            format!("the answer has a part that nobody asked for: {id}")
        })?;
        times[at] += 1;
        parts[at] = part(&response).filter(|_| times[at] == 1);
    }
    Ok(parts)
}

/// A number, or one in quotes.
fn plain(value: &RawValue) -> &str {
    let text = value.get();
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    quoted.unwrap_or(text)
}

/// What a text says, or another value as it is written.
fn text_of(value: &RawValue) -> Cow<'_, str> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => text.into(),
        Err(_) => value.get().into(),
    }
}

fn part(response: &Response<'_>) -> Option<Part> {
    let status = plain(response.status).parse().ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in &response.headers.0 {
        // One that is none says nothing.
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(&*text_of(value)),
        ) {
            headers.append(name, value);
        }
    }
    // A type of its own is a text.
    let body = response.body.map(text_of).unwrap_or_default();
    Some(Part::new(status, headers, body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::part::BODY_BYTES_MAX;
    use super::super::part::tests::request;
    use super::*;
    use ::http::Method;

    #[test]
    fn requests_are_written_with_their_numbers_and_the_digits_of_their_bodies() {
        let requests = [
            request(Method::PUT, "Items('A''1')", Some("{\"qty\": 12.50}")),
            request(Method::GET, "Items?$top=2", None),
        ];
        let text = String::from_utf8(write(&requests, true)).expect("UTF-8");
        assert_eq!(
            text,
            r#"{"requests":[{"id":"0","atomicityGroup":"all","method":"PUT","url":"Items('A''1')","headers":{"accept":"application/json"},"body":{"qty": 12.50}},{"id":"1","atomicityGroup":"all","method":"GET","url":"Items?$top=2","headers":{"accept":"application/json"}}]}"#
        );
        let plain = String::from_utf8(write(&requests, false)).expect("UTF-8");
        assert!(!plain.contains("atomicityGroup"));
    }

    /// As SAP CAP 10.1.1 answered, shortened.
    const CAP: &str = r#"{"responses":[
        {"id":"1","status":400,"headers":{"odata-version":"4.0","content-length":"120"},"atomicityGroup":"all",
         "body":{"error":{"message":"Provide the missing value.","code":"ASSERT_MANDATORY","target":"name"}}},
        {"id":"0","status":204,"headers":{"etag":"W/\"7\"","retry-after":2},"atomicityGroup":"all"}]}"#;

    #[test]
    fn answers_come_in_any_order_and_are_known_by_their_numbers() {
        let parts = read(CAP.as_bytes(), 2).expect("an answer");
        let [Some(first), Some(second)] = &parts[..] else {
            panic!("{parts:?}");
        };
        assert_eq!((first.status, second.status), (204, 400));
        assert_eq!(
            (&first.headers["etag"], &first.headers["retry-after"]),
            (
                &"W/\"7\"".parse().expect("a value"),
                &"2".parse().expect("a value")
            )
        );
        assert!(first.body.is_empty());
        assert!(second.body.starts_with(b"{\"error\":"));
    }

    #[test]
    fn what_is_missing_or_there_twice_is_no_answer_and_what_nobody_asked_spoils_it() {
        let check = |body: &str, expected: Option<&[Option<u16>]>| {
            let read = read(body.as_bytes(), 2).ok();
            let statuses = read.map(|parts| {
                let status = |part: &Option<Part>| part.as_ref().map(|part| part.status);
                parts.iter().map(status).collect::<Vec<_>>()
            });
            assert_eq!(statuses.as_deref(), expected, "{body}");
        };
        let answer = |parts: &str| format!("{{\"responses\":[{parts}]}}");
        let one = r#"{"id":"0","status":200}"#;
        check(&answer(one), Some(&[Some(200), None]));
        check(&answer(&format!("{one},{one}")), Some(&[None, None]));
        check(
            &answer(r#"{"id":1,"status":"201"}"#),
            Some(&[None, Some(201)]),
        );
        check(
            &answer(r#"{"id":"1","status":"good"}"#),
            Some(&[None, None]),
        );
        check(&answer(r#"{"id":"2","status":200}"#), None);
        check(&answer(r#"{"id":"x","status":200}"#), None);
        check("{\"error\":{}}", None);
        check(&answer(one)[..20], None);
    }

    #[test]
    fn what_an_answer_holds_beside_its_parts_is_passed_over() {
        let long = "[0,".repeat(BATCH_MAX) + "0";
        for (body, expected) in [
            (format!("{{\"responses\":[{}]}}", "{},".repeat(BATCH_MAX) + "{}"), None),
            (format!("{{\"responses\":[],\"more\":{long}{}}}", "]".repeat(BATCH_MAX)), Some(0)),
            (
                "{\"@x\":[1],\"responses\":[{\"id\":\"0\",\"status\":\"204\",\"headers\":null,\"y\":{}}]}".to_owned(),
                Some(1),
            ),
        ] {
            let read = read(body.as_bytes(), 1).ok();
            assert_eq!(read.map(|parts| parts.iter().flatten().count()), expected);
        }
        let body = "x".repeat(BODY_BYTES_MAX + 1);
        let body = format!("{{\"responses\":[{{\"id\":0,\"status\":200,\"body\":\"{body}\"}}]}}");
        let parts = read(body.as_bytes(), 1).expect("an answer");
        assert_eq!(
            parts[0].as_ref().map(|part| part.body.len()),
            Some(BODY_BYTES_MAX)
        );
        let body = format!(
            "{{\"responses\":[{{\"id\":\"{}\",\"status\":200}}]}}",
            "ü".repeat(9_000)
        );
        let said = read(body.as_bytes(), 1).expect_err("nobody asked for it");
        assert!(said.len() < 200, "{said}");
    }

    #[test]
    fn more_headers_than_an_answer_may_have_are_left_out() {
        let many: Vec<_> = (0..40_000).map(|n| format!("\"h{n}\":1")).collect();
        let body = format!(
            "{{\"responses\":[{{\"id\":\"0\",\"status\":204,\"headers\":{{{}}}}}]}}",
            many.join(",")
        );
        let parts = read(body.as_bytes(), 1).expect("an answer");
        let headers = parts[0].as_ref().map_or(0, |part| part.headers.len());
        assert_eq!(headers, HEADERS_MAX);
    }
}
