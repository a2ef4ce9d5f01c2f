//! Secrets as somebody may repeat them: taken out of what a target says before anybody reads it, as an answer gets into
//! rules, logs, `status`, dead letters and their store. Pure.
//!
//! | form | who writes it so |
//! |---|---|
//! | as it is | a header, a text |
//! | percent-encoded, each way | an address, a form |
//! | escaped for XML, as far as one has to or may | an envelope |
//! | escaped for JSON, as far as one has to or may | a body |
//!
//! What was sent in base64 is a secret of its own: see [`super::Worn`].

use std::fmt;
use std::sync::Arc;

use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::template::RESERVED;

/// What is written in place of a secret.
const HIDDEN: &[u8] = b"***";
/// The same of one that is digits only: it may stand in JSON as a number.
const HIDDEN_DIGITS: &[u8] = b"0";
/// Shorter ones are not taken out of bodies, which rules read: they stand in any text.
const IN_BODIES_BYTES_MIN: usize = 8;
/// Shorter ones are not looked for at all.
const BYTES_MIN: usize = 4;
/// What many libraries leave as it is beside what RFC 3986 does.
const OF_PATHS: &AsciiSet = &RESERVED.remove(b'/');
const OF_SCRIPTS: &AsciiSet = &RESERVED
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');

/// See the module. Prints as nothing; a copy costs nothing, as each request takes one.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::connectors) struct Hidden(Arc<[Form]>);

#[derive(Clone, PartialEq, Eq)]
struct Form {
    text: Vec<u8>,
    /// How long the secret itself is.
    of_bytes: usize,
    shown: &'static [u8],
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Hidden {
    /// All forms of these.
    pub(in crate::connectors) fn of<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        for secret in secrets {
            let secret = secret.as_ref();
            if secret.len() < BYTES_MIN {
                continue;
            }
            let is_number = secret.iter().all(u8::is_ascii_digit);
            let shown = if is_number { HIDDEN_DIGITS } else { HIDDEN };
            forms.extend(written(secret).into_iter().map(|text| Form {
                text,
                of_bytes: secret.len(),
                shown,
            }));
        }
        // What holds another one goes first, so that nothing is left of it.
        forms.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then(a.text.cmp(&b.text)));
        forms.dedup_by(|a, b| a.text == b.text);
        Self(forms.into())
    }

    /// Takes them out of an answer's body, or a header of it. Each in one pass: an answer may be made of nothing else. True:
    /// there was one.
    pub(in crate::connectors) fn take_from(&self, body: &mut Vec<u8>) -> bool {
        let long = |form: &&Form| form.of_bytes >= IN_BODIES_BYTES_MIN;
        let mut found = false;
        for form in self.0.iter().filter(long) {
            if let Some(without) = without(body, form) {
                (*body, found) = (without, true);
            }
        }
        found
    }

    /// The same of a sentence that a person reads.
    pub(super) fn masked(&self, said: String) -> String {
        let mut said = said.into_bytes();
        for form in self.0.iter() {
            if let Some(without) = without(&said, form) {
                said = without;
            }
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// `None` where it isn't in it.
fn without(body: &[u8], form: &Form) -> Option<Vec<u8>> {
    let (mut made, mut from) = (Vec::new(), 0);
    for at in memmem::find_iter(body, &form.text) {
        made.extend_from_slice(&body[from..at]);
        made.extend_from_slice(form.shown);
        from = at + form.text.len();
    }
    if from == 0 {
        return None;
    }
    made.extend_from_slice(&body[from..]);
    Some(made)
}

/// A secret in each form.
fn written(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    for set in [NON_ALPHANUMERIC, RESERVED, OF_PATHS, OF_SCRIPTS] {
        let encoded = percent_encode(secret, set).to_string();
        forms.push(lower(&encoded).into_bytes());
        forms.push(encoded.replace("%20", "+").into_bytes());
        forms.push(encoded.into_bytes());
    }
    forms.push(
        form_urlencoded::byte_serialize(secret)
            .collect::<String>()
            .into_bytes(),
    );
    let Ok(text) = std::str::from_utf8(secret) else {
        return forms;
    };
    for escaped in ["&<", "&<>", "&<>\"", "&<>\"'"] {
        for numbers in [false, true] {
            forms.push(for_xml(text, escaped, numbers).into_bytes());
        }
    }
    for escaped in ["", "/", "<>&'", "/<>&'"] {
        for ascii in [false, true] {
            let made = for_json(text, escaped, ascii);
            forms.push(made.to_ascii_lowercase_escapes().into_bytes());
            forms.push(made.0.into_bytes());
        }
    }
    forms
}

/// Hexadecimal digits in small letters.
fn lower(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut made = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        made.push('%');
        made.push_str(&digits.to_ascii_lowercase());
        made.push_str(rest);
    }
    made
}

fn for_xml(text: &str, escaped: &str, numbers: bool) -> String {
    let mut made = String::new();
    for letter in text.chars() {
        match letter {
            letter if !escaped.contains(letter) => made.push(letter),
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            quote if numbers => made.push_str(&format!("&#{};", quote as u32)),
            '"' => made.push_str("&quot;"),
            _ => made.push_str("&apos;"),
        }
    }
    made
}

/// With letters of its escapes large.
struct ForJson(String);

/// `escaped`: what need not be, but is. `ascii`: so is all else that is not ASCII.
fn for_json(text: &str, escaped: &str, ascii: bool) -> ForJson {
    let mut made = String::new();
    for letter in text.chars() {
        match letter {
            '"' => made.push_str("\\\""),
            '\\' => made.push_str("\\\\"),
            '\n' => made.push_str("\\n"),
            '\r' => made.push_str("\\r"),
            '\t' => made.push_str("\\t"),
            '/' if escaped.contains('/') => made.push_str("\\/"),
            letter
                if letter.is_ascii_control()
                    || escaped.contains(letter)
                    || ascii && !letter.is_ascii() =>
            {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    made.push_str(&format!("\\u{unit:04X}"));
                }
            }
            other => made.push(other),
        }
    }
    ForJson(made)
}

impl ForJson {
    /// With small ones.
    fn to_ascii_lowercase_escapes(&self) -> String {
        let mut parts = self.0.split("\\u");
        let mut made = parts.next().unwrap_or("").to_owned();
        for part in parts {
            let (digits, rest) = part.split_at_checked(4).unwrap_or((part, ""));
            made.push_str("\\u");
            made.push_str(&digits.to_ascii_lowercase());
            made.push_str(rest);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(secrets: &[&str], body: &str) -> String {
        let mut body = body.as_bytes().to_vec();
        Hidden::of(secrets).take_from(&mut body);
        String::from_utf8(body).expect("UTF-8")
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_in_which_it_may_be_repeated() {
        const SECRET: &str = "p<w&\"ö'\\ /1+%";
        for form in [
            SECRET,
            "p%3Cw%26%22%C3%B6%27%5C%20%2F1%2B%25",
            "p%3cw%26%22%c3%b6%27%5c%20%2f1%2b%25",
            "p%3Cw%26%22%C3%B6'%5C%20%2F1%2B%25",
            "p%3Cw%26%22%C3%B6%27%5C%20/1%2B%25",
            "p%3Cw%26%22%C3%B6%27%5C+%2F1%2B%25",
            "p&lt;w&amp;\"ö'\\ /1+%",
            "p&lt;w&amp;&quot;ö'\\ /1+%",
            "p&lt;w&amp;&quot;ö&apos;\\ /1+%",
            "p&lt;w&amp;&#34;ö&#39;\\ /1+%",
            "p<w&\\\"ö'\\\\ /1+%",
            "p<w&\\\"ö'\\\\ \\/1+%",
            "p<w&\\\"\\u00f6'\\\\ /1+%",
            "p\\u003cw\\u0026\\\"ö\\u0027\\\\ /1+%",
            "p\\u003Cw\\u0026\\\"\\u00F6\\u0027\\\\ /1+%",
        ] {
            assert_eq!(
                taken(&[SECRET], &format!("a{form}b{form}")),
                "a***b***",
                "{form}"
            );
            let masked = Hidden::of([SECRET]).masked(format!("no {form}"));
            assert_eq!(masked, "no ***", "{form}");
        }
    }

    #[test]
    fn what_is_short_stands_in_any_text_and_what_holds_another_goes_whole() {
        assert_eq!(
            taken(&["tested"], "{\"is\":\"tested\"}"),
            "{\"is\":\"tested\"}"
        );
        assert_eq!(Hidden::of(["tested"]).masked("tested".into()), "***");
        assert_eq!(Hidden::of(["a", ""]).masked("a b".into()), "a b");
        assert_eq!(taken(&["s3cr3t-t0", "s3cr3t-t0k3n"], "s3cr3t-t0k3n"), "***");
        assert_eq!(taken(&["12345678"], "{\"id\":12345678}"), "{\"id\":0}");
        assert_eq!(format!("{:?}", Hidden::of(["s3cr3t-t0k3n"])), "***");
    }

    /// Quadratic work would take minutes.
    #[test]
    fn an_answer_that_is_made_of_a_secret_alone_is_passed_once() {
        let body = "s3cr3t-t0".repeat(2_000_000);
        assert_eq!(taken(&["s3cr3t-t0"], &body).len(), 6_000_000);
    }
}
