//! Cuts text into tags, references and what stands between them.

use memchr::{memchr, memchr3, memmem};

use super::attributes::{Attributes, shown};
use super::names;
use super::{NAME_BYTES_MAX, TAG_BYTES_MAX};

/// A piece of an XML file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// Characters, up to a reference or a tag or for now; a CR is never its last while an LF may follow.
    Text(&'t str),
    /// As above, from a CDATA section.
    CData(&'t str),
    /// What stands between `&` and `;`.
    Reference(&'t str),
    /// What stands between `<` and `>`, or `/>`.
    Start { tag: &'t str, empty: bool },
    /// The name of what ends.
    End(&'t str),
    /// A comment, an instruction, a declaration, or a part of one.
    Passed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Content,
    Comment,
    CData,
    Instruction,
}

/// Where in a file the next text begins.
#[derive(Debug)]
pub(super) struct Tokens {
    inside: Inside,
    begun: bool,
}

type Found<'t> = Result<Option<(Token<'t>, usize)>, String>;

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            inside: Inside::Content,
            begun: false,
        }
    }

    /// The token with which `text` begins, and its bytes; `None` where more text is needed, or nothing is left.
    #[inline]
    pub(super) fn next<'t>(&mut self, text: &'t str, last: bool) -> Found<'t> {
        let found = match (self.inside, text.as_bytes().first()) {
            (Inside::Content, None) => return Ok(None),
            (Inside::Content, Some(b'<')) => self.markup(text)?,
            (Inside::Content, Some(b'&')) => reference(text, last)?,
            (Inside::Content, Some(_)) => characters(text, last)?,
            (inside, _) => self.section(inside, text)?,
        };
        if found.is_some() {
            self.begun = true;
        } else if last {
            return Err(format!(
                "the file ends within {}; it is cut",
                self.what(text)
            ));
        }
        Ok(found)
    }

    fn what(&self, text: &str) -> &'static str {
        match self.inside {
            Inside::Comment => "a comment",
            Inside::CData => "a CDATA section",
            Inside::Instruction => "an instruction",
            Inside::Content if text.starts_with('<') => "a tag",
            Inside::Content => "a reference",
        }
    }

    fn markup<'t>(&mut self, text: &'t str) -> Found<'t> {
        let bytes = text.as_bytes();
        match bytes.get(1) {
            None => Ok(None),
            Some(b'/') => {
                let close = memchr(b'>', bytes).filter(|close| *close < TAG_BYTES_MAX);
                let Some(close) = close else {
                    return unended(text);
                };
                let name = &text[2..close];
                Ok(Some((
                    Token::End(name.trim_end_matches([' ', '\t', '\n', '\r'])),
                    close + 1,
                )))
            }
            Some(b'!') => self.declaration(text),
            Some(b'?') => self.instruction(text),
            Some(_) => {
                let close = tag_end(bytes).filter(|close| *close < TAG_BYTES_MAX);
                let Some(close) = close else {
                    return unended(text);
                };
                let empty = close > 1 && bytes[close - 1] == b'/';
                let tag = &text[1..close - usize::from(empty)];
                Ok(Some((Token::Start { tag, empty }, close + 1)))
            }
        }
    }

    fn declaration<'t>(&mut self, text: &'t str) -> Found<'t> {
        for (begins, inside) in [("<!--", Inside::Comment), ("<![CDATA[", Inside::CData)] {
            if text.starts_with(begins) {
                self.inside = inside;
                let token = if inside == Inside::CData {
                    Token::CData("")
                } else {
                    Token::Passed
                };
                return Ok(Some((token, begins.len())));
            }
            if begins.starts_with(text) {
                return Ok(None);
            }
        }
        if text.starts_with("<!DOCTYPE") {
            return Err("a DOCTYPE stands here, and none is read: what it defines or fetches can't be trusted; let the system write the file without".into());
        }
        if "<!DOCTYPE".starts_with(text) {
            return Ok(None);
        }
        Err("\"<!\" begins neither a comment nor a CDATA section".into())
    }

    fn instruction<'t>(&mut self, text: &'t str) -> Found<'t> {
        let bytes = text.as_bytes();
        let found = bytes[2..]
            .iter()
            .position(|byte| names::is_space(*byte) || *byte == b'?');
        let Some(length) = found.filter(|length| *length <= NAME_BYTES_MAX) else {
            return if bytes.len() > NAME_BYTES_MAX + 2 {
                Err("an instruction has no name".into())
            } else {
                Ok(None)
            };
        };
        let name = &text[2..2 + length];
        if name == "xml" && !self.begun {
            return xml_declaration(text);
        }
        if name.eq_ignore_ascii_case("xml") {
            return Err("an XML declaration stands where the file doesn't begin; two files may have been put one behind the other".into());
        }
        if !names::is_name(name) {
            return Err(format!("\"{}\" is no name of an instruction", shown(name)));
        }
        match &bytes[2 + length..] {
            [b'?'] => return Ok(None),
            [b'?', next, ..] if *next != b'>' => {
                return Err(format!("the name of instruction {name} does not end"));
            }
            _ => {}
        }
        self.inside = Inside::Instruction;
        Ok(Some((Token::Passed, 2 + length)))
    }

    /// More of a comment, CDATA section or instruction, or its end. What may be the beginning of the end stays.
    fn section<'t>(&mut self, inside: Inside, text: &'t str) -> Found<'t> {
        let ends: &[u8] = match inside {
            Inside::Comment => b"--",
            Inside::CData => b"]]>",
            _ => b"?>",
        };
        let token = |piece| {
            if inside == Inside::CData {
                Token::CData(piece)
            } else {
                Token::Passed
            }
        };
        let found = memmem::find(text.as_bytes(), ends);
        if found == Some(0) {
            if inside == Inside::Comment && !text.starts_with("-->") {
                return if text.len() < 3 {
                    Ok(None)
                } else {
                    Err("\"--\" stands within a comment".into())
                };
            }
            self.inside = Inside::Content;
            return Ok(Some((
                Token::Passed,
                if inside == Inside::Instruction { 2 } else { 3 },
            )));
        }
        let length = match found {
            Some(at) => at,
            None => {
                let mut length = text.len().saturating_sub(ends.len() - 1);
                while !text.is_char_boundary(length) {
                    length -= 1;
                }
                without_cr(&text[..length]).len()
            }
        };
        Ok((length > 0).then(|| (token(&text[..length]), length)))
    }
}

/// A CR at the end waits for what follows: an LF would be the same line end.
fn without_cr(text: &str) -> &str {
    text.strip_suffix('\r').unwrap_or(text)
}

fn unended(text: &str) -> Found<'_> {
    if text.len() > TAG_BYTES_MAX {
        return Err(format!(
            "a tag is longer than {TAG_BYTES_MAX} bytes; a quote or a > may be missing"
        ));
    }
    Ok(None)
}

/// Where the `>` is that does not stand in quotes.
#[inline]
fn tag_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr3(b'>', b'"', b'\'', &bytes[at..])?;
        if bytes[found] == b'>' {
            return Some(found);
        }
        at = found + 1 + memchr(bytes[found], &bytes[found + 1..])? + 1;
    }
}

fn reference(text: &str, last: bool) -> Found<'_> {
    let head = &text.as_bytes()[1..text.len().min(NAME_BYTES_MAX + 2)];
    let found = head
        .iter()
        .position(|byte| matches!(byte, b';' | b'<' | b'&') || names::is_space(*byte));
    match found {
        Some(end) if head[end] == b';' => Ok(Some((Token::Reference(&text[1..=end]), end + 2))),
        None if head.len() <= NAME_BYTES_MAX && !last => Ok(None),
        _ => Err("an & stands where none may; it is written &amp;".into()),
    }
}

#[inline]
fn characters(text: &str, last: bool) -> Found<'_> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let Some(found) = memchr3(b'<', b'&', b']', &bytes[from..]) else {
            let piece = if last { text } else { without_cr(text) };
            return Ok((!piece.is_empty()).then_some((Token::Text(piece), piece.len())));
        };
        let at = from + found;
        if bytes[at] != b']' {
            return Ok(Some((Token::Text(&text[..at]), at)));
        }
        let rest = &bytes[at..];
        if rest.starts_with(b"]]>") {
            if at > 0 {
                return Ok(Some((Token::Text(&text[..at]), at)));
            }
            return Err("\"]]>\" stands in a text; it is written ]]&gt;".into());
        }
        if !last && b"]]>".starts_with(rest) {
            return Ok((at > 0).then(|| (Token::Text(&text[..at]), at)));
        }
        from = at + 1;
    }
}

/// `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`, XML 1.0, section 2.8.
fn xml_declaration(text: &str) -> Found<'_> {
    let Some(close) = memmem::find(text.as_bytes(), b"?>") else {
        return unended(text);
    };
    let mut expected = ["version", "encoding", "standalone"].iter();
    let mut seen = 0;
    for attribute in Attributes::new(&text[5..close]) {
        let (name, value) =
            attribute.map_err(|what| format!("the XML declaration is broken: {what}"))?;
        let is_next = expected.any(|expected| *expected == name);
        let is_good = match name {
            "version" => value.strip_prefix("1.").is_some_and(|minor| {
                !minor.is_empty() && minor.bytes().all(|digit| digit.is_ascii_digit())
            }),
            "encoding" => {
                value.starts_with(|first: char| first.is_ascii_alphabetic())
                    && value.bytes().all(|byte| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
                    })
            }
            _ => matches!(value, "yes" | "no"),
        };
        if !is_next || !is_good || (seen == 0 && name != "version") {
            return Err(format!(
                "the XML declaration is broken at {}=\"{}\"",
                shown(name),
                shown(value)
            ));
        }
        seen += 1;
    }
    if seen == 0 {
        return Err("the XML declaration has no version".into());
    }
    Ok(Some((Token::Passed, close + 2)))
}
