//! A body as letters: UTF-8 unless its mark, header or declaration says otherwise; of several parts the first.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;

/// How far a declaration's encoding is looked for.
const DECLARATION_BYTES: usize = 200;

/// What stands in a body, as well as its letters can be read.
pub(super) fn read<'a>(headers: &HeaderMap, body: &'a [u8]) -> Cow<'a, str> {
    let kind = headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_first_of_parts = kind.to_ascii_lowercase().starts_with("multipart/related");
    let body = match memmem::find(body, b"\r\n\r\n") {
        // MTOM: the message is the first part, and files follow (XOP, 4.1).
        Some(head) if is_first_of_parts => &body[head + 4..],
        _ => body,
    };
    // What is good UTF-8 is that, whatever is said of it: headers are often a server's default. UTF-16 has zeros.
    if memchr::memchr(0, body).is_none() && std::str::from_utf8(body).is_ok() {
        return UTF_8.decode(body).0;
    }
    let said = (!is_first_of_parts).then(|| charset(kind)).flatten();
    let said = said.or_else(|| declared(body));
    let encoding = said.and_then(|label| Encoding::for_label(&label));
    // A mark at the beginning is stronger than what is said.
    encoding.unwrap_or(UTF_8).decode(body).0
}

/// `text/xml; charset="utf-8"`.
fn charset(kind: &str) -> Option<Vec<u8>> {
    let mut parameters = kind.split(';').skip(1);
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("charset");
        is_it.then(|| value.trim().trim_matches('"'))
    })?;
    Some(value.as_bytes().to_vec())
}

/// `<?xml version="1.0" encoding="iso-8859-1"?>`.
fn declared(body: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"encoding=";
    let declaration = &body[..body.len().min(DECLARATION_BYTES)];
    let end = memmem::find(declaration, b"?>")?;
    let at = memmem::find(&declaration[..end], NAME)? + NAME.len();
    let quote = *declaration.get(at)?;
    let value = declaration.get(at + 1..end)?;
    let value = value.split(|byte| *byte == quote).next();
    value.map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read_or_isnt_wherever_it_ends() {
        let whole = b"<?xml version='1.0' encoding='iso-8859-1'?><a/>";
        assert_eq!(declared(whole).as_deref(), Some(&b"iso-8859-1"[..]));
        for (odd, expected) in [
            (&b"<?xml encoding=?>"[..], None),
            (b"<?xml encoding='?>", Some(&b""[..])),
            (b"<?xml encoding=", None),
            (b"encoding=\"a?>", Some(b"a")),
        ] {
            assert_eq!(declared(odd).as_deref(), expected, "{odd:?}");
        }
        for end in 0..whole.len() {
            let _ = read(&HeaderMap::new(), &whole[..end]);
        }
    }
}
