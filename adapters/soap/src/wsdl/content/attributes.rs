//! Attributes and simple types. XML Schema 1.0, part 1, sections 3.2, 3.6 and 3.14.

use super::super::element::{Attribute, Element};
use super::super::qname::QName;
use super::super::schemas::{Declared, Kind};
use super::super::tree::{KNOWN, Vocabulary};
use super::{Content, TYPE_DEPTH_MAX};

impl Content<'_> {
    pub(super) fn attribute_group(&mut self, element: &mut Element, at: Declared) {
        let found = self
            .meant(at, "ref")
            .and_then(|name| self.schemas.find(Kind::AttributeGroup, &name));
        if let Some(group) = found.filter(|group| self.enter(group.at)) {
            for (declared, node) in self.within(group) {
                match node.name.as_str() {
                    "attribute" => self.attribute(element, declared),
                    "attributeGroup" => self.attribute_group(element, declared),
                    _ => {}
                }
            }
            self.inside.pop();
        }
    }

    pub(super) fn attribute(&mut self, element: &mut Element, at: Declared) {
        let node = self.node(at.at);
        let (name, declared) = match self.meant(at, "ref") {
            Some(name) => {
                let declared = self.schemas.find(Kind::Attribute, &name);
                (name, declared.unwrap_or(at))
            }
            None => match node.attribute("name") {
                Some(name) => (self.schemas.schema(at.schema).local(node, name), at),
                None => return,
            },
        };
        element.attributes.retain(|known| known.name != name);
        if node.attribute("use") == Some("prohibited") {
            return;
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return;
        }
        element.attributes.push(Attribute {
            name,
            type_name: self.simple(declared),
            is_required: node.attribute("use") == Some("required"),
        });
    }

    /// The type of XML Schema that a simple type, or an attribute's, rests on.
    pub(super) fn simple(&mut self, from: Declared) -> String {
        let mut at = from;
        for _ in 0..TYPE_DEPTH_MAX {
            let named = self.meant(at, "type").or_else(|| self.meant(at, "base"));
            if let Some(name) = named {
                match self.schemas.find(Kind::Type, &name) {
                    Some(next) => at = next,
                    None if is_of_schema(&name) => return name.name,
                    None => break,
                }
                continue;
            }
            let inner = self
                .within(at)
                .find(|(_, node)| matches!(node.name.as_str(), "simpleType" | "restriction"));
            match inner {
                Some((next, _)) => at = next,
                None => break,
            }
        }
        "string".into()
    }
}

fn is_of_schema(name: &QName) -> bool {
    let schemas = KNOWN
        .iter()
        .filter(|(_, vocabulary)| *vocabulary == Vocabulary::Schema);
    schemas.clone().any(|(uri, _)| *uri == &*name.namespace)
}
