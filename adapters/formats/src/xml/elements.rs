//! Follows the elements of a file: which are open, and whether it is well-formed.

use std::ops::Range;
use std::sync::Arc;

use super::attributes::{self, Attributes, shown};
use super::names::{self, Reference};
use super::path::NO_NAMESPACE;
use super::tokens::{Token, Tokens};
use super::{ATTRIBUTES_MAX, BINDINGS_MAX, DEPTH_MAX, NAME_BYTES_MAX};

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XSI_NUMBER: u16 = NO_NAMESPACE - 1;

/// What a file says next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event<'t> {
    /// An element begins; [`Elements`] has its name and attributes. `unknown`: a reference among them that nothing explains.
    Start {
        tag: &'t str,
        unknown: Option<&'t str>,
    },
    /// The innermost element ended.
    End,
    /// Characters of the innermost element, line ends as written.
    Text(&'t str),
    /// A character that was written as a reference.
    Letter(char),
    /// A reference that nothing explains.
    Unknown(&'t str),
    /// Nothing to do with.
    Passed,
}

/// An attribute's place in its tag.
#[derive(Debug, Clone)]
struct AttributeAt {
    name: Range<usize>,
    value: Range<usize>,
}

#[derive(Debug)]
struct Open {
    name: usize,
    local: usize,
    namespace: u16,
    bindings: usize,
}

#[derive(Debug)]
struct Binding {
    prefix: String,
    namespace: u16,
}

/// The open elements of a file.
#[derive(Debug)]
pub(crate) struct Elements {
    tokens: Tokens,
    names: String,
    open: Vec<Open>,
    attributes: Vec<AttributeAt>,
    /// Those that paths know, by number.
    namespaces: Arc<[String]>,
    bindings: Vec<Binding>,
    value: String,
    closing: bool,
    rooted: bool,
}

impl Elements {
    /// `namespaces`: URIs whose numbers names are compared by.
    pub(crate) fn new(namespaces: Arc<[String]>) -> Self {
        Self {
            tokens: Tokens::new(),
            names: String::new(),
            open: Vec::new(),
            attributes: Vec::new(),
            namespaces,
            bindings: Vec::new(),
            value: String::new(),
            closing: false,
            rooted: false,
        }
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Name and namespace of the open element at `depth`, from 1.
    pub(crate) fn name(&self, depth: usize) -> (u16, &str) {
        let end = self
            .open
            .get(depth)
            .map_or(self.names.len(), |next| next.name);
        let open = &self.open[depth - 1];
        (open.namespace, &self.names[open.local..end])
    }

    /// The attributes of the element that began last: namespace, name without a prefix, and value as written.
    pub(crate) fn attributes<'t>(
        &self,
        tag: &'t str,
    ) -> impl Iterator<Item = (u16, &'t str, &'t str)> {
        self.written(tag).map(|(namespace, name, value)| {
            let local = name.split_once(':').map_or(name, |(_, local)| local);
            (namespace, local, value)
        })
    }

    /// As [`Self::attributes`], with names as they are written.
    pub(crate) fn written<'t>(
        &self,
        tag: &'t str,
    ) -> impl Iterator<Item = (u16, &'t str, &'t str)> {
        self.attributes.iter().map(move |at| {
            let name = &tag[at.name.clone()];
            // A default namespace is none of attributes.
            let namespace = name
                .split_once(':')
                .map_or(NO_NAMESPACE, |(prefix, _)| self.namespace(prefix));
            (namespace, name, &tag[at.value.clone()])
        })
    }

    /// Whether the element that began last says that it has no value.
    pub(crate) fn is_nil(&self, tag: &str) -> bool {
        let mut attributes = self.attributes(tag);
        attributes.any(|(namespace, name, value)| {
            namespace == XSI_NUMBER
                && name == "nil"
                && matches!(names::trimmed(value), "true" | "1")
        })
    }

    /// The event with which `text` begins, and its bytes; `None` where more text is needed, or the file is done.
    #[inline]
    pub(crate) fn next<'t>(
        &mut self,
        text: &'t str,
        last: bool,
    ) -> Result<Option<(Event<'t>, usize)>, String> {
        if self.closing {
            self.closing = false;
            self.close();
            return Ok(Some((Event::End, 0)));
        }
        let Some((token, bytes)) = self.tokens.next(text, last)? else {
            if last {
                self.ended()?;
            }
            return Ok(None);
        };
        let event = match token {
            Token::Passed => Event::Passed,
            Token::Text(piece) if self.open.is_empty() => {
                let space = piece.bytes().position(|byte| !names::is_space(byte));
                if space == Some(0) {
                    return Err("text stands outside of the root element".into());
                }
                return Ok(Some((Event::Passed, space.unwrap_or(bytes))));
            }
            Token::CData(_) | Token::Reference(_) if self.open.is_empty() => {
                return Err("text stands outside of the root element".into());
            }
            Token::Text(piece) | Token::CData(piece) => Event::Text(piece),
            Token::Reference(name) => match names::reference(name) {
                Reference::Letter(letter) => Event::Letter(letter),
                Reference::Unknown => Event::Unknown(name),
                Reference::Broken => return Err(attributes::broken_reference(name)),
            },
            Token::Start { tag, empty } => {
                self.closing = empty;
                self.start(tag)?
            }
            Token::End(name) => {
                self.end(name)?;
                Event::End
            }
        };
        Ok(Some((event, bytes)))
    }

    fn ended(&self) -> Result<(), String> {
        if let Some(depth) = self.open.len().checked_sub(1) {
            let name = &self.names[self.open[depth].name..];
            return Err(format!(
                "the file ends, and <{name}> is not ended; it is cut"
            ));
        }
        if !self.rooted {
            return Err("the file holds no element".into());
        }
        Ok(())
    }

    fn start<'t>(&mut self, tag: &'t str) -> Result<Event<'t>, String> {
        let length = tag.bytes().position(names::is_space).unwrap_or(tag.len());
        let (name, rest) = tag.split_at(length);
        if !is_plain_name(name) && !names::is_name(name) {
            return Err(format!(
                "\"<{}\" begins no tag; where a < is text, it is written &lt;",
                shown(name)
            ));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(format!("a name is longer than {NAME_BYTES_MAX} bytes"));
        }
        if self.open.is_empty() && self.rooted {
            return Err(format!(
                "<{name}> stands behind the root element; two files may have been put one behind the other"
            ));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(format!(
                "elements stand in one another more than {DEPTH_MAX} deep"
            ));
        }
        self.rooted = true;
        let bindings = self.bindings.len();
        self.attributes.clear();
        let unknown = if rest.is_empty() {
            None
        } else {
            self.read_attributes(tag, rest)?
        };
        let start = self.names.len();
        let colon = memchr::memchr(b':', name.as_bytes());
        let namespace = match colon {
            _ if self.namespaces.is_empty() => NO_NAMESPACE,
            Some(colon) => self.namespace(&name[..colon]),
            None => self.namespace(""),
        };
        let local = start + colon.map_or(0, |colon| colon + 1);
        self.names.push_str(name);
        self.open.push(Open {
            name: start,
            local,
            namespace,
            bindings,
        });
        Ok(Event::Start { tag, unknown })
    }

    fn read_attributes<'t>(
        &mut self,
        tag: &'t str,
        rest: &'t str,
    ) -> Result<Option<&'t str>, String> {
        let mut unknown = None;
        let place = |part: &str| {
            let start = part.as_ptr() as usize - tag.as_ptr() as usize;
            start..start + part.len()
        };
        for attribute in Attributes::new(rest) {
            let (name, value) = attribute?;
            if name.len() > NAME_BYTES_MAX {
                return Err(format!("a name is longer than {NAME_BYTES_MAX} bytes"));
            }
            if self.attributes.len() == ATTRIBUTES_MAX {
                return Err(format!(
                    "an element has more than {ATTRIBUTES_MAX} attributes"
                ));
            }
            if self
                .attributes
                .iter()
                .any(|at| tag[at.name.clone()] == *name)
            {
                return Err(format!(
                    "attribute {} stands twice in an element",
                    shown(name)
                ));
            }
            if memchr::memchr(b'&', value.as_bytes()).is_some() {
                unknown = unknown.or(attributes::unknown_reference(value)?);
            }
            if let Some(prefix) = name.strip_prefix("xmlns") {
                self.bind(prefix, value)?;
            }
            self.attributes.push(AttributeAt {
                name: place(name),
                value: place(value),
            });
        }
        Ok(unknown)
    }

    /// `prefix`: what follows `xmlns`: nothing, or a colon and a prefix.
    fn bind(&mut self, prefix: &str, value: &str) -> Result<(), String> {
        let prefix = match prefix.strip_prefix(':') {
            Some(prefix) => prefix,
            None if prefix.is_empty() => prefix,
            None => return Ok(()),
        };
        if self.bindings.len() == BINDINGS_MAX {
            return Err(format!(
                "more than {BINDINGS_MAX} namespaces are declared at a time"
            ));
        }
        self.value.clear();
        attributes::push_value(value, &mut self.value);
        let known = self
            .namespaces
            .iter()
            .position(|known| *known == self.value);
        let namespace = match known {
            Some(number) => number as u16,
            None if self.value == XSI => XSI_NUMBER,
            None => NO_NAMESPACE,
        };
        self.bindings.push(Binding {
            prefix: prefix.to_owned(),
            namespace,
        });
        Ok(())
    }

    fn namespace(&self, prefix: &str) -> u16 {
        let bound = self
            .bindings
            .iter()
            .rev()
            .find(|binding| binding.prefix == prefix);
        bound.map_or(NO_NAMESPACE, |binding| binding.namespace)
    }

    fn end(&mut self, name: &str) -> Result<(), String> {
        let Some(open) = self.open.last() else {
            return Err(format!(
                "</{}> ends an element that did not begin",
                shown(name)
            ));
        };
        if self.names[open.name..] != *name {
            return Err(format!(
                "</{}> stands where </{}> is expected",
                shown(name),
                &self.names[open.name..]
            ));
        }
        self.close();
        Ok(())
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.names.truncate(open.name);
            self.bindings.truncate(open.bindings);
        }
    }
}

/// Most names are so: the rest is looked at letter by letter.
fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.'))
}
