//! A document as far as it is understood: the elements of WSDL, of its SOAP bindings and of XML Schema.

use std::sync::Arc;

use dray_formats::xml::{Node as Read, Start, Walk};

use super::other;
use super::qname::{QName, is_plain_name};
use super::{DOCUMENT_BYTES_MAX, ELEMENTS_MAX};

pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";
pub(super) const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";

/// Whose element it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vocabulary {
    Wsdl,
    Soap11,
    Soap12,
    Mime,
    Schema,
}

/// The drafts of XML Schema that WSDLs of 2000 and 2001 were written with have the same words for what is looked at here.
pub(super) const KNOWN: [(&str, Vocabulary); 7] = [
    ("http://schemas.xmlsoap.org/wsdl/", Vocabulary::Wsdl),
    ("http://schemas.xmlsoap.org/wsdl/soap/", Vocabulary::Soap11),
    (
        "http://schemas.xmlsoap.org/wsdl/soap12/",
        Vocabulary::Soap12,
    ),
    ("http://schemas.xmlsoap.org/wsdl/mime/", Vocabulary::Mime),
    (SCHEMA, Vocabulary::Schema),
    ("http://www.w3.org/2000/10/XMLSchema", Vocabulary::Schema),
    ("http://www.w3.org/1999/XMLSchema", Vocabulary::Schema),
];

/// Attributes whose values name something, with a prefix.
const REFERENCES: [&str; 6] = ["type", "ref", "base", "element", "message", "binding"];

/// An element.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) vocabulary: Vocabulary,
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    references: Vec<(String, Option<QName>)>,
    pub(super) children: Vec<usize>,
}

impl Node {
    /// An attribute without a prefix; a `name` that is none is not there.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What an attribute names; `None` where it isn't there, or its prefix is not explained.
    pub(super) fn reference(&self, name: &str) -> Option<&QName> {
        let found = self.references.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.as_ref())
    }

    pub(super) fn is(&self, vocabulary: Vocabulary, name: &str) -> bool {
        self.vocabulary == vocabulary && self.name == name
    }

    pub(super) fn is_soap(&self, name: &str) -> bool {
        matches!(self.vocabulary, Vocabulary::Soap11 | Vocabulary::Soap12) && self.name == name
    }
}

/// A document. The root's number is 0.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    /// `path`: from the WSDL's folder; the WSDL's own is empty. `left`: elements that may still come, in this document and those after
    /// it.
    ///
    /// # Errors
    /// A sentence with the line, or the limit.
    pub(super) fn read(path: &str, bytes: &[u8], left: &mut usize) -> Result<Self, String> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(format!(
                "{} bytes, where a document may have {DOCUMENT_BYTES_MAX}: is it a WSDL?",
                bytes.len()
            ));
        }
        let mut builder = Builder {
            path,
            ..Builder::default()
        };
        let namespaces: Vec<String> = KNOWN.iter().map(|(uri, _)| (*uri).to_owned()).collect();
        let walked = Walk::whole(namespaces.into(), bytes, &mut |node, _| {
            match node {
                Read::Start(start) => {
                    *left = left.checked_sub(1).ok_or_else(|| {
                        format!("with this element there are more than {ELEMENTS_MAX} in the WSDL and what it imports: leave out what the service doesn't use")
                    })?;
                    builder.start(&start)?;
                }
                Read::End => builder.end(),
                Read::Text(_) | Read::Unknown(_) | Read::Passed => {}
            }
            Ok(())
        });
        walked.map_err(|fault| fault.0)?;
        Ok(Self {
            nodes: builder.nodes,
        })
    }

    /// The children of one element that have this name.
    pub(super) fn children<'t>(
        &'t self,
        parent: usize,
        vocabulary: Vocabulary,
        name: &'t str,
    ) -> impl Iterator<Item = usize> + 't {
        let children = self.nodes[parent].children.iter().copied();
        children.filter(move |child| self.nodes[*child].is(vocabulary, name))
    }
}

#[derive(Default)]
struct Builder<'p> {
    path: &'p str,
    nodes: Vec<Node>,
    /// The open elements; `None` is one that is passed over with all that is in it.
    open: Vec<Option<usize>>,
    /// Namespaces that hold: since which depth, prefix and URI.
    bindings: Vec<(usize, String, Arc<str>)>,
}

impl Builder<'_> {
    fn start(&mut self, start: &Start<'_>) -> Result<(), String> {
        let (namespace, name) = start.name();
        let vocabulary = namespace.map(|number| KNOWN[number].1);
        let parent = self.open.last().copied();
        if parent.is_none()
            && vocabulary.is_none()
            && let Some(kind) = other::of_root(name)
            // Of an imported schema it is the namespace that is wrong.
            && (self.path.is_empty() || name != "schema")
        {
            return Err(other::no_wsdl(self.path, kind));
        }
        if parent.is_none() && vocabulary.is_none() {
            return Err(format!(
                "the root element <{name}> is of a namespace that is not known, where WSDL 1.1 has definitions in \"{}\"{}",
                KNOWN[0].0,
                if name == "description" {
                    ": WSDL 2.0 is not read, ask for the description in 1.1"
                } else {
                    ""
                }
            ));
        }
        self.bind(start);
        let passed_over = parent == Some(None)
            || matches!(name, "documentation" | "annotation" if vocabulary.is_some());
        let Some(vocabulary) = vocabulary.filter(|_| !passed_over) else {
            self.open.push(None);
            return Ok(());
        };
        let number = self.nodes.len();
        let node = self.node(vocabulary, name, start);
        self.nodes.push(node);
        if let Some(Some(parent)) = parent {
            self.nodes[parent].children.push(number);
        }
        self.open.push(Some(number));
        Ok(())
    }

    fn end(&mut self) {
        let depth = self.open.len();
        self.open.pop();
        while self
            .bindings
            .last()
            .is_some_and(|(since, ..)| *since >= depth)
        {
            self.bindings.pop();
        }
    }

    fn bind(&mut self, start: &Start<'_>) {
        let depth = self.open.len() + 1;
        for attribute in start.attributes() {
            let prefix = match (attribute.prefix, attribute.name) {
                ("xmlns", prefix) => prefix,
                ("", "xmlns") => "",
                _ => continue,
            };
            let uri = Arc::from(attribute.value.as_ref());
            self.bindings.push((depth, prefix.to_owned(), uri));
        }
    }

    fn node(&self, vocabulary: Vocabulary, name: &str, start: &Start<'_>) -> Node {
        let mut node = Node {
            vocabulary,
            name: name.to_owned(),
            attributes: Vec::new(),
            references: Vec::new(),
            children: Vec::new(),
        };
        for attribute in start.attributes() {
            let (name, value) = (attribute.name, attribute.value.trim());
            if !attribute.prefix.is_empty() || (name == "name" && !is_plain_name(value)) {
                continue;
            }
            if REFERENCES.contains(&name) {
                let meant = self.reference(value);
                node.references.push((name.to_owned(), meant));
            }
            node.attributes.push((name.to_owned(), value.to_owned()));
        }
        node
    }

    fn reference(&self, value: &str) -> Option<QName> {
        let (prefix, name) = value.split_once(':').unwrap_or(("", value));
        if !is_plain_name(name) {
            return None;
        }
        let bound = self
            .bindings
            .iter()
            .rev()
            .find(|(_, known, _)| known == prefix);
        match bound {
            Some((_, _, uri)) => Some(QName::new(uri, name)),
            None if prefix.is_empty() => Some(QName::bare(name)),
            None if prefix == "xml" => Some(QName::new(&Arc::from(XML), name)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITIONS: &str =
        "<d:definitions xmlns:d='http://schemas.xmlsoap.org/wsdl/' xmlns:x='urn:x'";

    fn read(text: &str) -> Result<Tree, String> {
        Tree::read("", text.as_bytes(), &mut 10)
    }

    #[test]
    fn references_follow_the_declarations_that_hold_where_they_stand() {
        let text = format!(
            "{DEFINITIONS}><d:part xmlns:x='urn:inner' element='x:a'/><d:part xmlns='urn:d' element=' a ' type='x:t'/>\
             <d:part element='y:a' type='b'/><d:part element='xml:lang' type='x:a b'/></d:definitions>"
        );
        let tree = read(&text).expect("read");
        let shown: Vec<String> = tree
            .children(0, Vocabulary::Wsdl, "part")
            .map(|number| {
                let node = &tree.nodes[number];
                let shown = |name| {
                    node.reference(name)
                        .map(ToString::to_string)
                        .unwrap_or_default()
                };
                format!("{} {}", shown("element"), shown("type"))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "{urn:inner}a ",
                "{urn:d}a {urn:x}t",
                " b",
                "{http://www.w3.org/XML/1998/namespace}lang ",
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_passed_over_with_all_that_is_in_it() {
        let text = format!(
            "{DEFINITIONS}><x:policy><d:message name='no'/></x:policy><d:documentation><d:message/></d:documentation>\
             <d:message name='yes'/><d:message name='a b'/></d:definitions>"
        );
        let tree = read(&text).expect("read");
        let names: Vec<_> = tree
            .children(0, Vocabulary::Wsdl, "message")
            .map(|number| tree.nodes[number].attribute("name"))
            .collect();
        assert_eq!(names, [Some("yes"), None]);
    }

    #[test]
    fn a_document_that_is_none_of_ours_is_refused_with_the_rule() {
        let many = format!("{DEFINITIONS}>{}</d:definitions>", "<d:a/>".repeat(10));
        let long = " ".repeat(DOCUMENT_BYTES_MAX + 1);
        for (text, expected) in [
            ("<page/>", "line 1: the root element <page>"),
            (
                "<description xmlns='http://www.w3.org/ns/wsdl'/>",
                "WSDL 2.0 is not read",
            ),
            ("<!DOCTYPE a><a/>", "a DOCTYPE stands here"),
            (&format!("{DEFINITIONS}>"), "it is cut"),
            (&many, "more than 200000"),
            (&long, "may have 4194304"),
        ] {
            let why = read(text).expect_err(expected);
            assert!(why.contains(expected), "{why}");
        }
    }
}
