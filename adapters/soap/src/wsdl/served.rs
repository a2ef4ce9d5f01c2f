//! A description as it is served: with the address it is really served at, and with links that lead back there.

use std::ops::Range;

use dray_formats::xml::{Node, Start, Walk};

use super::documents::{about, imported, location};
use super::location::{encoded, is_remote};
use super::prefixes::escaped;
use super::tree::{KNOWN, Vocabulary};
use super::{DOCUMENT_BYTES_MAX, DOCUMENTS_MAX, Load};

/// A document as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// In UTF-8.
    pub bytes: Vec<u8>,
    /// The documents it links, by their paths from the WSDL's folder, each once.
    pub links: Vec<String>,
}

/// Where a document is served that has this path: `ADDRESS?xsd=PATH`.
#[must_use]
pub fn link(address: &str, path: &str) -> String {
    format!("{address}?xsd={}", encoded(path))
}

/// One document as it is served. `path`: its own, empty for the WSDL. `address` stands in for every SOAP address in it, and each
/// location of a document beside it becomes `link` of that document's path. All else stays as it is written.
///
/// # Errors
/// A sentence: it is not well-formed, too long, or names a document that lies elsewhere than below the WSDL's folder or on a server.
pub fn served(
    bytes: &[u8],
    path: &str,
    address: &str,
    link: &dyn Fn(&str) -> String,
) -> Result<Served, String> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(about(
            path,
            &format!("longer than {DOCUMENT_BYTES_MAX} bytes"),
        ));
    }
    let mut writer = Writer {
        path,
        address,
        link,
        text: String::with_capacity(bytes.len()),
        links: Vec::new(),
    };
    let namespaces: Vec<String> = KNOWN.iter().map(|(uri, _)| (*uri).to_owned()).collect();
    Walk::whole(namespaces.into(), bytes, &mut |node, written| match node {
        Node::Start(start) => writer.start(&start, written),
        Node::End | Node::Text(_) | Node::Unknown(_) | Node::Passed => {
            writer.text.push_str(written);
            Ok(())
        }
    })
    .map_err(|fault| about(path, &fault.0))?;
    let Writer {
        mut text, links, ..
    } = writer;
    declare_utf8(&mut text);
    Ok(Served {
        bytes: text.into_bytes(),
        links,
    })
}

/// The WSDL (its path is empty) and all documents that it links, as [`served`] with [`link`].
///
/// # Errors
/// As [`served`], and where a document can't be loaded or there are more than [`DOCUMENTS_MAX`].
pub fn publish(
    bytes: &[u8],
    load: &Load<'_>,
    address: &str,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let link = |path: &str| link(address, path);
    let wsdl = served(bytes, "", address, &link)?;
    let mut waiting = wsdl.links;
    let mut published = vec![(String::new(), wsdl.bytes)];
    while let Some(path) = waiting.pop() {
        if published.iter().any(|(known, _)| *known == path) {
            continue;
        }
        if published.len() == DOCUMENTS_MAX {
            return Err(format!(
                "with {path} there are more than {DOCUMENTS_MAX} documents"
            ));
        }
        let bytes = load(&path).map_err(|error| {
            format!("{path} can't be read: {error}; save that file beside the WSDL")
        })?;
        let document = served(&bytes, &path, address, &link)?;
        waiting.extend(document.links);
        published.push((path, document.bytes));
    }
    Ok(published)
}

struct Writer<'a> {
    path: &'a str,
    address: &'a str,
    link: &'a dyn Fn(&str) -> String,
    text: String,
    links: Vec<String>,
}

impl Writer<'_> {
    fn start(&mut self, start: &Start<'_>, written: &str) -> Result<(), String> {
        let (namespace, name) = start.name();
        let vocabulary = namespace.map(|number| KNOWN[number].1);
        let is_address = matches!(vocabulary, Some(Vocabulary::Soap11 | Vocabulary::Soap12))
            && name == "address";
        let place = vocabulary.and_then(|vocabulary| location(vocabulary, name));
        let changed = if is_address {
            Some(("location", self.address.to_owned()))
        } else {
            match place {
                Some(attribute) => self.linked(start, attribute)?.map(|link| (attribute, link)),
                None => None,
            }
        };
        let at = changed
            .as_ref()
            .and_then(|(attribute, _)| value(written, attribute));
        match (changed, at) {
            (Some((_, new)), Some(at)) => {
                self.text.push_str(&written[..at.start]);
                self.text.push_str(&escaped(&new));
                self.text.push_str(&written[at.end..]);
            }
            _ => self.text.push_str(written),
        }
        Ok(())
    }

    fn linked(&mut self, start: &Start<'_>, attribute: &str) -> Result<Option<String>, String> {
        let find = |name: &str| {
            let found = start
                .attributes()
                .find(|at| at.prefix.is_empty() && at.name == name);
            found.map(|at| at.value.trim().to_owned())
        };
        let written = find(attribute).unwrap_or_default();
        if is_remote(&written) {
            return Ok(None);
        }
        let Some(path) = imported(self.path, &written, find("namespace").as_deref())? else {
            return Ok(None);
        };
        let link = (self.link)(&path);
        if !self.links.contains(&path) {
            if self.links.len() == DOCUMENTS_MAX {
                return Err(format!(
                    "with {path} it names more than {DOCUMENTS_MAX} documents"
                ));
            }
            self.links.push(path);
        }
        Ok(Some(link))
    }
}

/// Where an attribute's value stands in a tag that is well-formed.
fn value(tag: &str, attribute: &str) -> Option<Range<usize>> {
    let is_space = |letter: char| matches!(letter, ' ' | '\t' | '\n' | '\r');
    let mut at = tag.find(is_space)?;
    loop {
        let rest = tag[at..].trim_start_matches(is_space);
        let (name, after) = rest.split_once('=')?;
        let quoted = after.trim_start_matches(is_space);
        let quote = quoted.chars().next()?;
        let start = tag.len() - quoted.len() + 1;
        let length = tag[start..].find(quote)?;
        if name.trim_end_matches(is_space) == attribute {
            return Some(start..start + length);
        }
        at = start + length + 1;
    }
}

/// The text is UTF-8 now, whatever the document was written in.
fn declare_utf8(text: &mut String) {
    let end = match text.find("?>") {
        Some(end) if text.starts_with("<?xml") => end,
        _ => return,
    };
    if let Some(at) = value(&text[..end], "encoding") {
        let says = text[at.clone()].to_ascii_lowercase();
        if !matches!(says.as_str(), "utf-8" | "utf8") {
            text.replace_range(at, "UTF-8");
        }
    }
}

#[cfg(test)]
mod tests;
