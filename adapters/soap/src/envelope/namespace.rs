//! Which namespace a message's body has, for sentences: it is read once more, as far as that.

use dray_formats::xml::{Node, Start, Walk};

use crate::content::Content;
use crate::reading::Fault;

/// Letters of a URI that are shown, at most.
const SHOWN_MAX: usize = 200;

/// What prefixes stand for, with the depths at which they were declared.
#[derive(Default)]
struct Declared(Vec<(usize, String, String)>);

impl Declared {
    fn take(&mut self, start: &Start<'_>) {
        let depth = start.depth();
        // Deeper ones stand behind: what ended is at the end.
        while self.0.pop_if(|(known, ..)| *known >= depth).is_some() {}
        for attribute in start.attributes() {
            let prefix = match (attribute.prefix, attribute.name) {
                ("xmlns", prefix) => prefix,
                ("", "xmlns") => "",
                _ => continue,
            };
            let uri = attribute.value.into_owned();
            self.0.push((depth, prefix.to_owned(), uri));
        }
    }

    /// Of the element that is written so.
    fn of(&self, written: &str) -> Option<&str> {
        let tag = written.trim_start_matches('<');
        let end = tag.find(|letter: char| letter.is_whitespace() || matches!(letter, '/' | '>'));
        let name = &tag[..end.unwrap_or(tag.len())];
        let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);
        let mut declared = self.0.iter().rev();
        let found = declared.find(|(_, known, _)| known == prefix);
        found.map(|(.., uri)| uri.as_str())
    }
}

/// That of the element in the Body, in words.
pub(crate) fn of_body(content: &mut Content) -> String {
    let mut walk = Walk::new([].into()).passing_unknown();
    let mut declared = Declared::default();
    let (mut is_body, mut found) = (false, None);
    // It was read before: what stops this is that the element is found.
    let _ = content.read::<Fault>(&mut |window, end| {
        let decoded = walk.decode(window, end, &mut |node, written| {
            let Node::Start(start) = node else {
                return Ok(());
            };
            declared.take(&start);
            if is_body && start.depth() == 3 {
                found = declared.of(written).map(str::to_owned);
                return Err(String::new());
            }
            is_body = start.depth() == 2 && start.name().1 == "Body";
            Ok(())
        })?;
        Ok((decoded.bytes, decoded.done))
    });
    let _ = content.rewind();
    shown(found.as_deref())
}

/// A namespace in words.
pub(crate) fn shown(uri: Option<&str>) -> String {
    match uri.filter(|uri| !uri.is_empty()) {
        None => "no namespace".into(),
        Some(uri) => {
            let shown: String = uri.chars().take(SHOWN_MAX).collect();
            format!("the namespace {}", shown.escape_debug())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_of_a_body_is_found_wherever_it_is_declared() {
        for (header, body, expected) in [
            ("", "<p:Put xmlns:p='urn:p'/>", "the namespace urn:p"),
            (
                "",
                "<Put xmlns='urn:a&amp;b'><x/></Put>",
                "the namespace urn:a&b",
            ),
            ("", "<e:Put/>", "the namespace urn:e"),
            (
                "<h xmlns:e='urn:h'><Body><i/></Body></h>",
                "<e:Put\n/>",
                "the namespace urn:e",
            ),
            ("", "<Put/>", "no namespace"),
            ("", "", "no namespace"),
        ] {
            let text = format!(
                "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:e='urn:e'><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
            );
            let mut content = Content::Memory(text.into());
            assert_eq!(of_body(&mut content), expected, "{body}");
        }
    }
}
