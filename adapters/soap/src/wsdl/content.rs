//! From a declaration to the elements that may stand there. XML Schema 1.0, part 1, sections 3.3, 3.4, 3.7 and 3.8.

mod attributes;

use super::documents::{At, Documents};
use super::element::{Element, Occurs, Together, join};
use super::qname::QName;
use super::schemas::{Declared, Kind, Schemas};
use super::tree::{Node, Vocabulary};
use super::{ELEMENTS_MAX, SHAPE_ELEMENTS_MAX, TYPE_DEPTH_MAX};

/// Model groups in one another on the way to an element, at most: no one writes more than a few.
const NESTED_MAX: usize = 100;

/// Declarations that are looked at for one body, at most: of types and groups that each hold the next one twice, every one adds as much as
/// all before it, and what is listed stays nothing.
const LOOKS_MAX: usize = ELEMENTS_MAX;

/// Lists what is in elements.
#[derive(Debug)]
pub(super) struct Content<'a> {
    documents: &'a Documents,
    schemas: &'a Schemas,
    /// Elements that may still be listed.
    left: usize,
    /// Declarations that may still be looked at.
    looks: usize,
    /// The types and groups on the way, so that one that holds itself ends.
    inside: Vec<At>,
    nested: usize,
}

impl<'a> Content<'a> {
    pub(super) fn new(documents: &'a Documents, schemas: &'a Schemas) -> Self {
        Self {
            documents,
            schemas,
            left: SHAPE_ELEMENTS_MAX,
            looks: LOOKS_MAX,
            inside: Vec::new(),
            nested: 0,
        }
    }

    /// An element that schemas declare by its name; cut where none does.
    pub(super) fn root(&mut self, name: &QName) -> Element {
        let mut element = Element::new(name.clone());
        match self.schemas.find(Kind::Element, name) {
            Some(declared) => self.fill(&mut element, declared),
            None => element.is_cut = true,
        }
        element
    }

    /// An element of a type.
    pub(super) fn of_type(&mut self, name: QName, of: &QName) -> Element {
        let mut element = Element::new(name);
        self.named_type(&mut element, of);
        element
    }

    fn node(&self, at: At) -> &'a Node {
        self.documents.node(at)
    }

    /// What an attribute of a declaration names.
    fn meant(&self, from: Declared, attribute: &str) -> Option<QName> {
        let name = self.node(from.at).reference(attribute)?;
        Some(self.schemas.schema(from.schema).meant(name))
    }

    /// What stands in a declaration; nothing once too many were looked at, and then nothing is listed either.
    fn within(&mut self, parent: Declared) -> impl Iterator<Item = (Declared, &'a Node)> + use<'a> {
        let documents = self.documents;
        let mut children = documents.node(parent.at).children.as_slice();
        match self.looks.checked_sub(children.len()) {
            Some(looks) => self.looks = looks,
            None => (self.left, self.looks, children) = (0, 0, &[]),
        }
        children.iter().map(move |number| {
            let at = At {
                node: *number,
                ..parent.at
            };
            (Declared { at, ..parent }, documents.node(at))
        })
    }

    /// Goes into a type or group, if it isn't on the way already.
    fn enter(&mut self, at: At) -> bool {
        let may = self.inside.len() < TYPE_DEPTH_MAX && !self.inside.contains(&at);
        if may {
            self.inside.push(at);
        }
        may
    }

    /// What an element's declaration says of its type.
    fn fill(&mut self, element: &mut Element, from: Declared) {
        let node = self.node(from.at);
        if let Some(name) = self.meant(from, "type") {
            return self.named_type(element, &name);
        }
        let inline = self.within(from).find(|(_, child)| {
            child.is(Vocabulary::Schema, "complexType")
                || child.is(Vocabulary::Schema, "simpleType")
        });
        match inline {
            Some((declared, _)) => self.declared_type(element, declared),
            None => {
                element.has_text = true;
                element.type_name = if node.attribute("type").is_some() {
                    "string"
                } else {
                    "anyType"
                }
                .into();
            }
        }
    }

    fn named_type(&mut self, element: &mut Element, name: &QName) {
        match self.schemas.find(Kind::Type, name) {
            Some(declared) => {
                self.declared_type(element, declared);
                if !element.has_text || element.type_name.is_empty() {
                    element.type_name.clone_from(&name.name);
                }
            }
            None => self.unknown_type(element, name),
        }
    }

    /// A type of XML Schema, one that is not there, or an element that was named for its type, as some services do.
    fn unknown_type(&mut self, element: &mut Element, name: &QName) {
        let named = self.schemas.find(Kind::Element, name);
        if let Some(declared) = named.filter(|declared| self.enter(declared.at)) {
            self.fill(element, declared);
            self.inside.pop();
        } else {
            element.has_text = true;
            element.type_name.clone_from(&name.name);
        }
    }

    fn declared_type(&mut self, element: &mut Element, declared: Declared) {
        let node = self.node(declared.at);
        if node.name == "simpleType" {
            element.has_text = true;
            element.type_name = self.simple(declared);
            return;
        }
        if !self.enter(declared.at) {
            element.is_cut = true;
            return;
        }
        if node.attribute("mixed") == Some("true") {
            element.has_text = true;
        }
        self.content(element, declared);
        element.is_cut |= self.left == 0;
        self.inside.pop();
    }

    /// What a complex type, an extension or a restriction says.
    fn content(&mut self, element: &mut Element, of: Declared) {
        for (declared, node) in self.within(of) {
            match node.name.as_str() {
                "simpleContent" | "complexContent" => self.derived(element, declared),
                "attribute" => self.attribute(element, declared),
                "attributeGroup" => self.attribute_group(element, declared),
                _ => {
                    let more = self.particle(declared, Occurs::ONCE);
                    join(&mut element.children, more, Together::Sum);
                }
            }
        }
    }

    /// What stands on another type, and what is added to it. A restriction says its elements anew, and its attributes not.
    fn derived(&mut self, element: &mut Element, content: Declared) {
        let is_simple = self.node(content.at).name == "simpleContent";
        for (declared, node) in self.within(content) {
            let is_restriction = match node.name.as_str() {
                "extension" => false,
                "restriction" => true,
                _ => continue,
            };
            if let Some(base) = self.meant(declared, "base") {
                let (had_text, is_known) = (
                    element.has_text,
                    self.schemas.find(Kind::Type, &base).is_some(),
                );
                self.named_type(element, &base);
                if !is_simple && !is_known {
                    // Such as anyType, which a schema restricts to say nothing.
                    element.has_text = had_text;
                }
                if !is_simple && is_restriction {
                    element.children.clear();
                }
            }
            element.has_text |= is_simple;
            self.content(element, declared);
        }
    }

    /// The elements of a sequence, a choice, all, a group or an element; others are left out.
    fn particle(&mut self, at: Declared, outer: Occurs) -> Vec<Element> {
        let node = self.node(at.at);
        let own = Occurs::read(node.attribute("minOccurs"), node.attribute("maxOccurs"));
        let occurs = own.times(outer);
        if self.nested == NESTED_MAX {
            self.left = 0;
        }
        if occurs.max == Some(0) || self.left == 0 || node.vocabulary != Vocabulary::Schema {
            return Vec::new();
        }
        self.nested += 1;
        let found = match node.name.as_str() {
            "sequence" | "all" => self.group(at, occurs, Together::Sum),
            "choice" => self.group(at, occurs, Together::Either),
            "element" => self.element(at, occurs),
            "group" => self.group_named(at, occurs),
            _ => Vec::new(),
        };
        self.nested -= 1;
        found
    }

    fn group(&mut self, at: Declared, occurs: Occurs, together: Together) -> Vec<Element> {
        let mut elements = Vec::new();
        for (child, _) in self.within(at) {
            let more = self.particle(child, occurs);
            join(&mut elements, more, together);
        }
        if together == Together::Either && self.node(at.at).children.len() > 1 {
            for element in &mut elements {
                element.min = 0;
                element.is_choice = true;
            }
        }
        elements
    }

    fn group_named(&mut self, at: Declared, occurs: Occurs) -> Vec<Element> {
        let found = self
            .meant(at, "ref")
            .and_then(|name| self.schemas.find(Kind::Group, &name));
        match found {
            Some(group) if self.enter(group.at) => {
                let elements = self.group(group, occurs, Together::Sum);
                self.inside.pop();
                elements
            }
            _ => Vec::new(),
        }
    }

    fn element(&mut self, at: Declared, occurs: Occurs) -> Vec<Element> {
        self.left = self.left.saturating_sub(1);
        let node = self.node(at.at);
        let mut element = if let Some(name) = self.meant(at, "ref") {
            self.root(&name)
        } else if let Some(name) = node.attribute("name") {
            let mut element = Element::new(self.schemas.schema(at.schema).local(node, name));
            self.fill(&mut element, at);
            element
        } else {
            return Vec::new();
        };
        element.min = occurs.min;
        element.max = occurs.max;
        vec![element]
    }
}

#[cfg(test)]
mod tests;
