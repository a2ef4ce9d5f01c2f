//! Version 4's JSON $batch (OData JSON Format 4.01, 19): pure.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::part::{HEADERS_MAX, Part, Request};

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

#[derive(Deserialize)]
struct Answers {
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    id: Value,
    status: Value,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    #[serde(default)]
    body: Value,
}

/// The answer to each of so many requests; `None`: there is none, or more than one.
///
/// # Errors
/// A sentence: it is no answer to this.
pub(super) fn read(body: &[u8], count: usize) -> Result<Vec<Option<Part>>, String> {
    let answers: Answers = serde_json::from_slice(body)
        .map_err(|error| format!("the answer is no JSON $batch: {error}"))?;
    let mut parts: Vec<Option<Part>> = (0..count).map(|_| None).collect();
    let mut times = vec![0_u32; count];
    for response in answers.responses {
        let id = match &response.id {
            Value::String(text) => text.parse().ok(),
            id => id.as_u64(),
        };
        let at = id
            .and_then(|id| usize::try_from(id).ok())
            .filter(|at| *at < count)
            .ok_or_else(|| {
                format!(
                    "the answer has a part that nobody asked for: {}",
                    response.id
                )
            })?;
        times[at] += 1;
        parts[at] = part(response).filter(|_| times[at] == 1);
    }
    Ok(parts)
}

fn part(response: Response) -> Option<Part> {
    let status = match &response.status {
        Value::String(text) => text.parse().ok()?,
        status => u16::try_from(status.as_u64()?).ok()?,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers.iter().take(HEADERS_MAX) {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // One that is none says nothing.
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value),
        ) {
            headers.append(name, value);
        }
    }
    let body = match response.body {
        Value::Null => Vec::new(),
        // A type of its own, e.g. a text.
        Value::String(text) => text.into_bytes(),
        body => body.to_string().into_bytes(),
    };
    Some(Part {
        status,
        headers,
        body,
        of_all: false,
    })
}

#[cfg(test)]
mod tests {
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
