//! The beginning of a JSON or XML text that ends too soon, made whole: what is open is closed, what is half is left out. An
//! answer is read up to a limit, and what matters of an error stands mostly before it. Pure.

use crate::connectors::http::ANSWER_BYTES_MAX;

/// The longest that an escape in JSON's texts can be: a pair of surrogates.
const ESCAPE_BYTES_MAX: usize = 12;

/// A text of which less than this came is left out: it may be half an id, which is another one.
const HALF_BYTES_MIN: usize = 256;

/// How deep elements may stand in each other: searching goes as deep, on the stack. JSON's reader has the same limit.
const DEPTH_MAX: usize = 128;
/// How much of XML is read: as much as of any answer that comes by itself.
const XML_BYTES_MAX: usize = ANSWER_BYTES_MAX;
/// Elements that are read: each is looked at by each expression. An answer of [`XML_BYTES_MAX`] has them at 32 bytes each.
const ELEMENTS_MAX: usize = 2_048;
/// Attributes of an element, at most: the parser holds each against all others.
const ATTRIBUTES_MAX: usize = 64;

/// JSON. A long text's beginning stays; half a number, word or name does not. `None`: it is none, or ends elsewhere.
pub(super) fn json(text: &str) -> Option<String> {
    // What half a letter at the end was read as.
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    let mut open = Vec::new();
    // Behind what is whole, and where the text began that is being read.
    let (mut whole, mut began) = (0, None);
    let (mut last, mut is_escaped) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        if let Some((_, is_value)) = began {
            match (is_escaped, byte) {
                (false, b'"') => {
                    began = None;
                    whole = if is_value { at + 1 } else { whole };
                }
                (false, b'\\') => is_escaped = true,
                _ => is_escaped = false,
            }
            continue;
        }
        match byte {
            b'"' => {
                let is_value = matches!((last, open.last()), (b':' | b'[', _) | (_, Some(b']')));
                began = Some((at, is_value));
            }
            b'{' | b'[' => {
                open.push(if byte == b'{' { b'}' } else { b']' });
                whole = at + 1;
            }
            b'}' | b']' => {
                if open.pop() != Some(byte) {
                    return None;
                }
                whole = at + 1;
            }
            b',' => whole = at,
            _ => {}
        }
        if matches!(byte, b'{' | b'[' | b'}' | b']' | b',' | b':') {
            last = byte;
        }
    }
    let mut made = match began {
        Some((at, true)) if text.len() - at > HALF_BYTES_MIN => {
            format!("{}{}", &text[..at], text_begun(&text[at..])?)
        }
        _ => text[..whole].to_owned(),
    };
    made.extend(open.iter().rev().map(|closing| char::from(*closing)));
    Some(made)
}

/// A text in quotes that lacks its end, and perhaps half of an escape.
fn text_begun(text: &str) -> Option<String> {
    (0..=ESCAPE_BYTES_MAX).find_map(|less| {
        let part = text.get(..text.len().checked_sub(less)?)?;
        let part = format!("{part}\"");
        serde_json::from_str::<String>(&part).ok().map(|_| part)
    })
}

/// XML, without what follows its end or is more than is read of it, and whether it was whole up to there. `None`: it is
/// none, deeper than [`DEPTH_MAX`], or has an element with more than [`ATTRIBUTES_MAX`]. What this lets pass costs the parser
/// and each expression a millisecond at most.
pub(super) fn xml(text: &str) -> Option<(String, bool)> {
    let text = text.trim_start();
    let text = &text[..text.floor_char_boundary(XML_BYTES_MAX)];
    let mut elements = 0;
    let mut open: Vec<&str> = Vec::new();
    let mut at = 0;
    while text[at..].starts_with('<') {
        let rest = &text[at..];
        let Some(tag) = tag(rest) else {
            break;
        };
        at += tag.len();
        match tag.as_bytes() {
            [b'<', b'?' | b'!', ..] => {}
            [b'<', b'/', ..] => {
                if open.pop() != Some(tag[2..tag.len() - 1].trim_end()) {
                    return None;
                }
            }
            _ if attributes(tag) > ATTRIBUTES_MAX => return None,
            [.., b'/', b'>'] => elements += 1,
            _ => {
                elements += 1;
                let name = tag[1..tag.len() - 1].split_ascii_whitespace().next()?;
                open.push(name);
                if open.len() > DEPTH_MAX {
                    return None;
                }
            }
        }
        let is_element = !matches!(tag.as_bytes()[1], b'?' | b'!');
        if is_element && open.is_empty() {
            return Some((text[..at].to_owned(), true));
        }
        if elements == ELEMENTS_MAX {
            break;
        }
        at += match text[at..].find('<') {
            Some(next) => next,
            None if text.len() - at > HALF_BYTES_MIN => text.len() - at,
            None => break,
        };
    }
    let mut made = text[..at].to_owned();
    // Half a reference to a letter.
    if let Some(half) = made.rfind('&')
        && !made[half..].contains([';', '>'])
    {
        made.truncate(half);
    }
    let closing = open.iter().rev().map(|name| format!("</{name}>"));
    (!open.is_empty()).then(|| (made + &closing.collect::<String>(), false))
}

/// How many a tag has, if it is one.
fn attributes(tag: &str) -> usize {
    let (mut count, mut quote) = (0, None);
    for byte in tag.bytes() {
        match (quote, byte) {
            (None, b'"' | b'\'') => (count, quote) = (count + 1, Some(byte)),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    count
}

/// The tag, comment or section that a text begins with; `None` where it has no end.
fn tag(text: &str) -> Option<&str> {
    for (begin, end) in [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")] {
        if let Some(rest) = text.strip_prefix(begin) {
            let at = rest.find(end)?;
            return Some(&text[..begin.len() + at + end.len()]);
        }
    }
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(&text[..=at]),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}
