//! A message's body and headers, from its parts and how they are bound. WSDL 1.1, sections 2.3, 3.5 and 3.7.

use std::sync::Arc;

use super::description::{Header, Message, Part, Style};
use super::documents::At;
use super::ports::Ports;
use super::qname::QName;
use super::tree::{Node, Vocabulary};

/// Parts of a message, at most.
const PARTS_MAX: usize = 100;

/// `way`: the input or output of a port type's operation; `bound`: the bound operation, and its input or output if there is one.
/// `name`: what the body's element is called with rpc.
///
/// # Errors
/// A sentence: its body is none that is read.
pub(super) fn message(
    ports: &Ports<'_>,
    style: Style,
    name: &str,
    way: At,
    (operation, bound): (At, Option<At>),
) -> Result<Message, String> {
    let documents = ports.documents;
    let at = ports.find(way, "message", "message")?;
    let parts = parts(ports, at);
    if documents.node(at).children.len() > PARTS_MAX {
        return Err(format!("its message has more than {PARTS_MAX} parts"));
    }
    let extensions = bound
        .map(|bound| extensions(ports, bound))
        .unwrap_or_default();
    let body = extensions
        .iter()
        .map(|at| documents.node(*at))
        .find(|node| node.is_soap("body"));
    if body.and_then(|body| body.attribute("use")) == Some("encoded") {
        return Err("its body is SOAP-encoded (use=\"encoded\"), which is not read: ask for a binding with use=\"literal\"".into());
    }
    let mut headers = Vec::new();
    let mut not_in_body = Vec::new();
    for header in extensions
        .iter()
        .filter(|at| documents.node(**at).is_soap("header"))
    {
        let of = ports.find(*header, "message", "message");
        let part = documents
            .node(*header)
            .attribute("part")
            .unwrap_or_default();
        if let Ok(of) = of {
            let found = self::parts(ports, of)
                .into_iter()
                .find(|known| known.name == part);
            headers.extend(found.map(|part| Header {
                part: part.name,
                element: part.element,
            }));
            if of == at {
                not_in_body.push(part);
            }
        }
    }
    let named = body.and_then(|body| body.attribute("parts"));
    let in_body = |part: &Part| match named {
        Some(named) => named.split_whitespace().any(|name| name == part.name),
        None => !not_in_body.contains(&part.name.as_str()),
    };
    let parts: Vec<Part> = parts.into_iter().filter(in_body).collect();
    let (root, parts) = match style {
        Style::Document => (document(&parts)?, None),
        Style::Rpc => (
            Some(QName::new(&namespace(ports, body, operation), name)),
            Some(parts),
        ),
    };
    Ok(Message {
        root,
        headers,
        parts,
    })
}

/// Of a document the one part's element is the body's.
fn document(parts: &[Part]) -> Result<Option<QName>, String> {
    match parts {
        [] => Ok(None),
        [
            Part {
                element: Some(element),
                ..
            },
        ] => Ok(Some(element.clone())),
        [part] if part.of_type.is_some() => Err(format!(
            "its part {} names a type, where the body of a document has an element",
            part.name
        )),
        [part] => Err(format!(
            "its part {} names no element whose prefix is explained",
            part.name
        )),
        parts => Err(format!(
            "its body has {} parts, and a body of one element is read",
            parts.len()
        )),
    }
}

/// Where nothing is said the description's own is meant: so the common stacks have it.
fn namespace(ports: &Ports<'_>, body: Option<&Node>, operation: At) -> Arc<str> {
    let root = ports.documents.node(At {
        node: 0,
        ..operation
    });
    let own = root.attribute("targetNamespace");
    let said = body.and_then(|body| body.attribute("namespace"));
    Arc::from(said.or(own).unwrap_or_default())
}

fn parts(ports: &Ports<'_>, message: At) -> Vec<Part> {
    let documents = ports.documents;
    // The same message may be that of thousands of operations and headers.
    let nodes = documents
        .all_children(message)
        .take(PARTS_MAX + 1)
        .map(|at| documents.node(at))
        .filter(|node| node.is(Vocabulary::Wsdl, "part"));
    let named = |node: &Node| {
        Some(Part {
            name: node.attribute("name")?.to_owned(),
            element: node.reference("element").cloned(),
            of_type: node.reference("type").cloned(),
        })
    };
    nodes.filter_map(named).collect()
}

/// What binds a message: beside it, or in the first part of several that MIME puts together.
fn extensions(ports: &Ports<'_>, bound: At) -> Vec<At> {
    let documents = ports.documents;
    let mut found = Vec::new();
    let mut waiting = vec![bound];
    while let Some(at) = waiting.pop() {
        for child in documents.all_children(at) {
            match documents.node(child).vocabulary {
                Vocabulary::Mime => waiting.push(child),
                _ => found.push(child),
            }
        }
    }
    found
}
