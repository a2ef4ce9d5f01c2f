//! What a WSDL says: services, their ports, and what each can be asked.

use std::fmt;

use super::content::Content;
use super::documents::Documents;
use super::element::Element;
use super::qname::QName;
use super::schemas::Schemas;
use crate::envelope::Version;

/// A WSDL and all that it imports, understood.
#[derive(Debug)]
pub struct Description {
    /// In the order in which they stand, with at least one operation in all.
    pub services: Vec<Service>,
    /// What can't be used, and why.
    pub left_out: Vec<LeftOut>,
    /// The imported documents, by their paths from the WSDL's folder.
    pub documents: Vec<String>,
    pub(super) read: Documents,
    pub(super) schemas: Schemas,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// As the WSDL calls it.
    pub name: String,
    /// Those of SOAP.
    pub ports: Vec<Port>,
}

/// A place where a service is reached, in one version of SOAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// As the WSDL calls it.
    pub name: String,
    /// What the binding says, whatever the address element's namespace.
    pub version: Version,
    /// The URL as it is written; may be empty.
    pub address: String,
    /// Those that can be used.
    pub operations: Vec<Operation>,
}

/// How a body's elements come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The body's element is one that the schema declares.
    Document,
    /// The body's element is called after the operation, and holds the message's parts.
    Rpc,
}

/// What a port can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// As the WSDL calls it.
    pub name: String,
    /// The SOAPAction; may be empty.
    pub action: String,
    /// See [`Style`].
    pub style: Style,
    /// What is sent to the service.
    pub input: Message,
    /// What it answers; `None` where the operation is one-way.
    pub output: Option<Message>,
    /// Whether the body's element only stands for the call, and what is in it are the arguments. Always so with rpc.
    pub is_wrapped: bool,
}

/// A message's body and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The body's one element; `None` where the body is empty.
    pub root: Option<QName>,
    /// Headers that the WSDL names.
    pub headers: Vec<Header>,
    /// Of rpc: what the root holds, in the order of the message.
    pub(super) parts: Option<Vec<Part>>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the part is called.
    pub part: String,
    /// Its element; `None` where the part names a type.
    pub element: Option<QName>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) element: Option<QName>,
    pub(super) of_type: Option<QName>,
}

/// Something that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// e.g. `operation PutMovements of port Wms`.
    pub what: String,
    /// A sentence, with the way out where there is one.
    pub why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.what, self.why)
    }
}

/// As a configuration writes it.
pub(super) fn version(version: Version) -> &'static str {
    match version {
        Version::V11 => "1.1",
        Version::V12 => "1.2",
    }
}

impl Description {
    /// All ports, with their services.
    pub fn ports(&self) -> impl Iterator<Item = (&Service, &Port)> {
        let services = self.services.iter();
        services.flat_map(|service| service.ports.iter().map(move |port| (service, port)))
    }

    /// A body's element with all that may be in it; `None` where the body is empty. It is worked out anew at each call.
    #[must_use]
    pub fn body(&self, message: &Message) -> Option<Element> {
        let root = message.root.as_ref()?;
        let mut content = Content::new(&self.read, &self.schemas);
        let Some(parts) = &message.parts else {
            return Some(content.root(root));
        };
        let mut element = Element::new(root.clone());
        element.children = parts
            .iter()
            .map(|part| match (&part.of_type, &part.element) {
                (Some(of), _) => content.of_type(QName::bare(&part.name), of),
                // WS-I Basic Profile 1.1, R2203 forbids it, and services do it.
                (None, Some(element)) => content.root(element),
                (None, None) => Element::new(QName::bare(&part.name)),
            })
            .collect();
        Some(element)
    }
}
