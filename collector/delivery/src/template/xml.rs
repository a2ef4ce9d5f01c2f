//! Values in XML: escaped, and refused where XML 1.0 has no way to write them.

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, escape_formatter};
use sxd_document::parser;

/// How an environment knows that a template makes XML.
pub(super) fn escaping() -> AutoEscape {
    AutoEscape::Custom("xml".into())
}

/// `{{ value }}` is escaped in templates that make XML, and `{{ value | xml }}` in any.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.set_formatter(put);
    environment.add_filter("xml", |value: Value| {
        let mut out = String::new();
        escape(&mut out, &value.to_string()).map_err(refused)?;
        Ok::<_, Error>(Value::from_safe_string(out))
    });
}

fn put(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if *state.auto_escape() != escaping() {
        return escape_formatter(out, state, value);
    }
    if value.is_none() || value.is_undefined() {
        return Ok(());
    }
    let mut made = value.to_string();
    if !value.is_safe() {
        let plain = std::mem::take(&mut made);
        escape(&mut made, &plain).map_err(refused)?;
    }
    out.write_str(&made).map_err(Error::from)
}

fn refused(letter: char) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("XML cannot hold the character U+{:04X}", letter as u32),
    )
}

/// Appends a text so that it may stand in an element or, in quotes of either kind, in an attribute.
///
/// # Errors
/// A character that XML 1.0 has not (its production 2, Char).
pub(crate) fn escape(out: &mut String, text: &str) -> Result<(), char> {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // As they are they would become a space in an attribute, and a line feed in an element.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => return Err(letter),
            other => out.push(other),
        }
    }
    Ok(())
}

/// Whether what a template made may stand within an element of SOAP's envelope.
pub(super) fn check(made: &str) -> Result<(), String> {
    let whole = format!("<soap:Body xmlns:soap=\"urn:any\">{made}</soap:Body>");
    match parser::parse(&whole) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("it does not make XML: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_what_xml_cannot_hold_is_refused() {
        for (text, expected) in [
            ("a<b>&\"c'", Ok("a&lt;b&gt;&amp;&quot;c&apos;")),
            ("]]>", Ok("]]&gt;")),
            ("Größe\t1\r\n", Ok("Größe&#9;1&#13;&#10;")),
            ("\u{1}", Err('\u{1}')),
            ("\u{FFFF}", Err('\u{FFFF}')),
        ] {
            let mut out = String::new();
            let escaped = escape(&mut out, text).map(|()| out.as_str());
            assert_eq!(escaped, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_xml_is_told() {
        assert_eq!(check("<a xmlns=\"urn:a\">1</a><b/>"), Ok(()));
        for wrong in ["<a>", "<a/></soap:Body><b>", "<x:a/>", "&nbsp;"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
