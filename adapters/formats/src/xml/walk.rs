//! A document node by node, for readers that look for more than records: a message's envelope, a service's description.
//!
//! What holds of files holds here: no DOCTYPE, nothing fetched, well-formed to its end, and the limits of [`super`].

use std::borrow::Cow;
use std::sync::Arc;

use super::attributes::push_value;
use super::document::{At, Document, Handler};
use super::elements::{Elements, Event};
use super::input::Input;
use super::path::NO_NAMESPACE;
use crate::{BadRecord, Decoded, FileFault, GoodRecord, Sink};

/// What a document says next.
#[derive(Debug)]
pub enum Node<'a> {
    /// An element begins.
    Start(Start<'a>),
    /// The innermost element ended. Said of an empty element too.
    End,
    /// Characters of the innermost element; one text may come in several pieces.
    Text(&'a str),
    /// A reference among those characters that nothing explains: its name. Only where [`Walk::passing_unknown`] says so.
    Unknown(&'a str),
    /// A comment, an instruction, a declaration, or a piece of one.
    Passed,
}

/// An element's beginning.
#[derive(Debug)]
pub struct Start<'a> {
    elements: &'a Elements,
    tag: &'a str,
    unknown: Option<&'a str>,
}

/// An attribute, or a declaration of a namespace.
#[derive(Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Before the colon; empty where there is none.
    pub prefix: &'a str,
    /// What the prefix stands for, as a number in the list that [`Walk::new`] was given; `None`: nothing, or another one.
    pub namespace: Option<usize>,
    /// Behind the colon.
    pub name: &'a str,
    /// With its references replaced.
    pub value: Cow<'a, str>,
}

impl<'a> Start<'a> {
    /// How many elements are open with it: the root's is 1.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.elements.depth()
    }

    /// Its namespace, as a number in the list that [`Walk::new`] was given, and its name without a prefix.
    #[must_use]
    pub fn name(&self) -> (Option<usize>, &'a str) {
        let (namespace, name) = self.elements.name(self.elements.depth());
        (number(namespace), name)
    }

    /// The first reference among its attributes that nothing explains, which their values are without. Only where
    /// [`Walk::passing_unknown`] says so.
    #[must_use]
    pub fn unknown(&self) -> Option<&'a str> {
        self.unknown
    }

    /// In the order of the tag.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> {
        self.elements
            .written(self.tag)
            .map(|(namespace, name, value)| {
                let (prefix, name) = name.split_once(':').unwrap_or(("", name));
                Attribute {
                    prefix,
                    namespace: number(namespace),
                    name,
                    value: unescaped(value),
                }
            })
    }
}

fn number(namespace: u16) -> Option<usize> {
    (namespace < NO_NAMESPACE - 1).then_some(usize::from(namespace))
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['&', '\t', '\n', '\r']) {
        return Cow::Borrowed(value);
    }
    let mut text = String::new();
    push_value(value, &mut text);
    Cow::Owned(text)
}

/// What is wrong with a reference of this name.
#[must_use]
pub fn unexplained(name: &str) -> String {
    format!(
        "&{name}; stands for nothing: XML without a DOCTYPE knows &amp; &lt; &gt; &quot; &apos; and numbers only"
    )
}

/// A document being read.
#[derive(Debug)]
pub struct Walk {
    document: Document,
    passes_unknown: bool,
}

impl Walk {
    /// `namespaces`: URIs by whose numbers names are told apart.
    #[must_use]
    pub fn new(namespaces: Arc<[String]>) -> Self {
        Self {
            document: Document::new(Input::new(None), Elements::new(namespaces)),
            passes_unknown: false,
        }
    }

    /// A reference that nothing explains is for `visit` to judge, where it would be a fault: in a record it makes that one bad, and no other.
    #[must_use]
    pub fn passing_unknown(mut self) -> Self {
        self.passes_unknown = true;
        self
    }

    /// Reads what it can of `window`, as [`crate::Decoder::decode`] does. `visit` gets each node, and how it is written.
    ///
    /// # Errors
    /// With the line: it is not well-formed, or what `visit` says is wrong.
    pub fn decode(
        &mut self,
        window: &[u8],
        end: bool,
        visit: &mut impl FnMut(Node<'_>, &str) -> Result<(), String>,
    ) -> Result<Decoded, FileFault> {
        let mut visitor = Visitor {
            visit,
            passes_unknown: self.passes_unknown,
        };
        self.document.decode(window, end, &mut visitor, &mut Nobody)
    }

    /// Reads a document that is there whole.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn whole(
        namespaces: Arc<[String]>,
        bytes: &[u8],
        visit: &mut impl FnMut(Node<'_>, &str) -> Result<(), String>,
    ) -> Result<(), FileFault> {
        let mut walk = Self::new(namespaces);
        let mut taken = 0;
        loop {
            let decoded = walk.decode(&bytes[taken..], true, visit)?;
            if decoded.done {
                return Ok(());
            }
            taken += decoded.bytes;
        }
    }
}

struct Visitor<'v, V> {
    visit: &'v mut V,
    passes_unknown: bool,
}

impl<V: FnMut(Node<'_>, &str) -> Result<(), String>> Handler for Visitor<'_, V> {
    fn event<S: Sink>(
        &mut self,
        event: &Event<'_>,
        elements: &Elements,
        at: &mut At<'_>,
        _: &mut S,
    ) -> Result<(), String> {
        let mut letters = [0; 4];
        let node = match *event {
            Event::Start {
                unknown: Some(name),
                ..
            }
            | Event::Unknown(name)
                if !self.passes_unknown =>
            {
                return Err(unexplained(name));
            }
            Event::Start { tag, unknown } => Node::Start(Start {
                elements,
                tag,
                unknown,
            }),
            Event::Unknown(name) => Node::Unknown(name),
            Event::End => Node::End,
            Event::Text(text) => Node::Text(text),
            Event::Letter(letter) => Node::Text(letter.encode_utf8(&mut letters)),
            Event::Passed => Node::Passed,
        };
        (self.visit)(node, at.written())
    }

    fn pause(&mut self, _: &At<'_>) {}
}

/// Records are for others.
struct Nobody;

impl Sink for Nobody {
    const FIELDS: bool = false;

    fn full(&self) -> bool {
        false
    }

    fn record(&mut self, _: &GoodRecord<'_>) {}

    fn reject(&mut self, _: &BadRecord<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(bytes: &[u8]) -> Result<(String, String), FileFault> {
        let namespaces = ["urn:a".to_owned(), "urn:b".to_owned()];
        let (mut seen, mut copy) = (String::new(), String::new());
        Walk::whole(namespaces.into(), bytes, &mut |node, written| {
            copy.push_str(written);
            match node {
                Node::Start(start) => {
                    let attributes: Vec<_> = start
                        .attributes()
                        .map(|at| {
                            format!(" {}:{:?}:{}={}", at.prefix, at.namespace, at.name, at.value)
                        })
                        .collect();
                    let (namespace, name) = start.name();
                    seen += &format!(
                        "<{}{namespace:?}{name}{}>",
                        start.depth(),
                        attributes.concat()
                    );
                }
                Node::End => seen.push('/'),
                Node::Text(text) => seen.push_str(text),
                Node::Unknown(_) | Node::Passed => {}
            }
            Ok(())
        })
        .map(|()| (seen, copy))
    }

    #[test]
    fn each_node_is_told_with_its_namespace_and_as_it_is_written() {
        let text = "<?xml version='1.0'?><!-- c --><a xmlns='urn:b' xmlns:p=\"urn:x\"><p:e p:q='1&amp;2'/>x&lt;<![CDATA[y]]></a>\n";
        let expected = "<1Some(1)a :None:xmlns=urn:b xmlns:None:p=urn:x><2Nonee p:None:q=1&2>/x<y/";
        let (seen, copy) = walked(text.as_bytes()).expect("well-formed");
        assert_eq!((seen.as_str(), copy.as_str()), (expected, text));
        let wide: Vec<u8> = std::iter::once(0xFEFF)
            .chain(
                text.replace("version='1.0'", "version='1.0' encoding='UTF-16'")
                    .encode_utf16(),
            )
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(walked(&wide).expect("well-formed").0, expected);
    }

    #[test]
    fn a_reference_that_nothing_explains_is_told_where_it_is_passed() {
        let (mut seen, mut copy) = (String::new(), String::new());
        let text = "<a b='1&uuml;2'>x&nbsp;y<c/></a>";
        let mut walk = Walk::new(Arc::default()).passing_unknown();
        let mut visit = |node: Node<'_>, written: &str| {
            copy.push_str(written);
            match node {
                Node::Start(start) => seen += &format!("<{:?}>", start.unknown()),
                Node::Unknown(name) => seen += &format!("&{name};"),
                Node::Text(text) => seen.push_str(text),
                Node::End | Node::Passed => {}
            }
            Ok(())
        };
        let decoded = walk.decode(text.as_bytes(), true, &mut visit);
        assert!(decoded.expect("well-formed but for that").done);
        assert_eq!(
            (seen.as_str(), copy.as_str()),
            ("<Some(\"uuml\")>x&nbsp;y<None>", text)
        );
    }

    #[test]
    fn what_is_not_well_formed_is_a_fault_with_its_line() {
        for (text, expected) in [
            ("<a>\n<!DOCTYPE x></a>", "line 2: a DOCTYPE"),
            ("<a>\n\n&nbsp;</a>", "line 3: &nbsp; stands for nothing"),
            ("<a><b></a>", "line 1: </a> stands where </b>"),
            ("", "the file holds no element"),
        ] {
            let fault = walked(text.as_bytes()).expect_err(text);
            assert!(fault.0.contains(expected), "{text}: {}", fault.0);
        }
    }
}
