//! $batch as `multipart/mixed` with changesets (OData 2.0, batch processing; OData 4.01 protocol, 11.7.7): pure.
//!
//! ```text
//! --b                                   a request that reads, or in version 4 one that stands alone
//! Content-Type: application/http
//!
//! GET Items('A1') HTTP/1.1
//!
//! --b                                   a changeset: its requests stand or fall together
//! Content-Type: multipart/mixed; boundary=c0
//!
//! --c0
//! Content-Type: application/http
//! Content-ID: 1
//!
//! PUT Items('A2') HTTP/1.1
//! ...
//! --c0--
//! --b--
//! ```
//! Answers come in the order of the requests, or name them. That of a changeset is a changeset, or one answer for all of it: it failed.

use std::collections::BTreeSet;

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::part::{HEADERS_MAX, Part, Request};
use crate::config::BATCH_MAX;
use crate::config::odata::Version;

/// What stands beside another in a $batch, by the numbers of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    One(usize),
    Changeset(Vec<usize>),
}

/// What goes where. In version 2 whatever changes something is in a changeset, if need be alone.
pub(super) fn items(requests: &[Request], version: Version, atomic: bool) -> Vec<Item> {
    let reads = |at: &usize| requests[*at].method == Method::GET;
    let all = 0..requests.len();
    if atomic && !all.clone().any(|at| reads(&at)) {
        return vec![Item::Changeset(all.collect())];
    }
    let item = |at: usize| match version {
        Version::V2 if !reads(&at) => Item::Changeset(vec![at]),
        _ => Item::One(at),
    };
    all.map(item).collect()
}

/// How it is written down. `boundary`: letters and digits that no body has.
pub(super) fn write(requests: &[Request], items: &[Item], boundary: &str) -> Vec<u8> {
    let mut out = String::new();
    for (number, item) in items.iter().enumerate() {
        out.push_str(&format!("--{boundary}\r\n"));
        match item {
            Item::One(at) => put(&mut out, &requests[*at], *at),
            Item::Changeset(all) => {
                let inner = format!("{boundary}c{number}");
                out.push_str(&format!(
                    "Content-Type: multipart/mixed; boundary={inner}\r\n\r\n"
                ));
                for at in all {
                    out.push_str(&format!("--{inner}\r\n"));
                    put(&mut out, &requests[*at], *at);
                }
                out.push_str(&format!("--{inner}--\r\n"));
            }
        }
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    out.into_bytes()
}

fn put(out: &mut String, request: &Request, at: usize) {
    out.push_str(&format!(
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {}\r\n\r\n{} {} HTTP/1.1\r\n",
        at + 1,
        request.method,
        request.path
    ));
    for (name, value) in &request.headers {
        if let Ok(value) = value.to_str() {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if let Some(body) = &request.body {
        // SAP's Gateway reads a body by its length.
        out.push_str(&format!("content-length: {}\r\n\r\n{body}\r\n", body.len()));
    } else {
        out.push_str("\r\n\r\n");
    }
}

/// The answer to each of so many requests; `None`: there is none, or more than one.
///
/// # Errors
/// A sentence: it is no answer to this.
pub(super) fn read(
    content_type: &str,
    body: &[u8],
    items: &[Item],
    count: usize,
) -> Result<Vec<Option<Part>>, String> {
    let boundary = boundary(content_type)
        .ok_or_else(|| format!("the answer is no multipart $batch but {content_type:?}"))?;
    let pieces = pieces(body, &boundary)?;
    if pieces.len() > items.len() {
        return Err("the answer has a part that nobody asked for".into());
    }
    let mut parts: Vec<Option<Part>> = (0..count).map(|_| None).collect();
    for (at, piece) in places(&pieces, items).into_iter().zip(pieces) {
        let (item, (headers, rest)) = (&items[at], headers(piece));
        let inner = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let inner = inner.and_then(self::boundary);
        match (item, inner) {
            (Item::Changeset(all), Some(inner)) => {
                changeset(&mut parts, all, self::pieces(rest, &inner)?)?;
            }
            // It failed: one answer for all.
            (Item::Changeset(all), None) => {
                let of_all = all.len() > 1;
                let answer = answer(rest).map(|part| Part { of_all, ..part });
                for at in all {
                    parts[*at].clone_from(&answer);
                }
            }
            (Item::One(at), None) => parts[*at] = answer(rest),
            (Item::One(_), Some(_)) => {
                return Err("the answer has a changeset where none was sent".into());
            }
        }
    }
    Ok(parts)
}

/// Which item each piece answers: by `Content-ID`, where each names another item's request; else in their order.
fn places(pieces: &[&[u8]], items: &[Item]) -> Vec<usize> {
    let item_of = |request: usize| match items {
        [_] => 0,
        // Of several, each is one request.
        _ => request,
    };
    let named = pieces.iter().map(|piece| {
        let at = item_of(first_content_id(piece)?);
        (at < items.len()).then_some(at)
    });
    let named: Option<Vec<usize>> = named.collect();
    let named = named.filter(|named| named.iter().collect::<BTreeSet<_>>().len() == named.len());
    named.unwrap_or_else(|| (0..pieces.len()).collect())
}

/// That of an answer, or of a changeset's first one.
fn first_content_id(piece: &[u8]) -> Option<usize> {
    let (headers, rest) = headers(piece);
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match boundary(kind) {
        Some(inner) => content_id(pieces(rest, &inner).ok()?.first()?),
        None => content_id(piece),
    }
}

/// By `Content-ID`, where each has one of ours; else in their order.
fn changeset(parts: &mut [Option<Part>], all: &[usize], pieces: Vec<&[u8]>) -> Result<(), String> {
    if pieces.len() > all.len() {
        return Err("the answer has a part that nobody asked for".into());
    }
    let ids: Option<Vec<usize>> = pieces.iter().map(|piece| content_id(piece)).collect();
    let ids = ids.filter(|ids| ids.iter().all(|id| all.contains(id)));
    if ids.is_none() && pieces.len() < all.len() {
        // Whose is missing? Nobody knows.
        return Ok(());
    }
    let places = ids.as_deref().unwrap_or(all);
    for (at, piece) in places.iter().zip(&pieces) {
        let is_twice = places.iter().filter(|other| *other == at).count() > 1;
        parts[*at] = answer(headers(piece).1).filter(|_| !is_twice);
    }
    Ok(())
}

/// The request's number: SAP has it among the part's headers, others among those of the answer within.
fn content_id(piece: &[u8]) -> Option<usize> {
    let (outer, rest) = headers(piece);
    let inner = || headers(&rest[line_end(rest)..]).0;
    let id = outer
        .get("content-id")
        .cloned()
        .or_else(|| inner().get("content-id").cloned())?;
    let number: usize = id
        .to_str()
        .ok()?
        .trim_matches(['<', '>', '"', ' '])
        .parse()
        .ok()?;
    number.checked_sub(1)
}

/// `boundary=` of a `multipart/mixed`.
fn boundary(content_type: &str) -> Option<String> {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty())
            .then(|| value.to_owned())
    })
}

/// What stands between the boundaries (RFC 2046, 5.1.1); the last one must be there, or the answer broke off.
fn pieces<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, String> {
    let delimiter = format!("--{boundary}");
    let mut found = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0;
    while at < body.len() {
        let end = at + line_end(&body[at..]);
        let line = body[at..end].trim_ascii_end();
        if let Some(rest) = line.strip_prefix(delimiter.as_bytes())
            && matches!(rest, b"" | b"--")
        {
            if found.len() == BATCH_MAX {
                return Err("the answer has more parts than any has".into());
            }
            if let Some(start) = start {
                // The line break before a boundary belongs to it.
                let piece = &body[start..at];
                let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
                found.push(piece.strip_suffix(b"\r").unwrap_or(piece));
            }
            if rest == b"--" {
                return Ok(found);
            }
            start = Some(end);
        }
        at = end;
    }
    Err("the answer to the $batch broke off: its last boundary is missing".into())
}

/// Behind the first line's break, or the end.
fn line_end(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}

/// The headers before the first empty line, and what follows it.
fn headers(text: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut at = 0;
    while at < text.len() {
        let end = at + line_end(&text[at..]);
        let line = text[at..end].trim_ascii();
        at = end;
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        // A line that is no header says nothing.
        if headers.len() < HEADERS_MAX
            && let Some(colon) = colon
            && let Ok(name) = HeaderName::from_bytes(line[..colon].trim_ascii())
            && let Ok(value) = HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
        {
            headers.append(name, value);
        }
    }
    (headers, &text[at..])
}

/// An answer as it stands in an `application/http`.
fn answer(text: &[u8]) -> Option<Part> {
    let text = text.trim_ascii_start();
    let end = line_end(text);
    let line = std::str::from_utf8(&text[..end]).ok()?;
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|word| word.starts_with("HTTP/"))?;
    let status = words.next()?.parse().ok()?;
    let (headers, mut body) = headers(&text[end..]);
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if let Some(length) = length
        && length < body.len()
    {
        body = &body[..length];
    }
    Some(Part::new(status, headers, body))
}

#[cfg(test)]
mod tests;
