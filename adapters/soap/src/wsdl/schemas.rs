//! What the schemas of a description declare, by name. XML Schema 1.0, part 1, sections 3.2 to 3.8 and 4.2.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ELEMENTS_MAX;
use super::documents::{At, Documents};
use super::qname::QName;
use super::tree::{Node, Vocabulary};

/// What has names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Element,
    Type,
    Group,
    Attribute,
    AttributeGroup,
}

/// A declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) at: At,
    /// The schema it stands in, as a number.
    pub(super) schema: usize,
}

/// What a schema says of all its declarations.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) target: Arc<str>,
    /// It has no namespace of its own, and takes that of the schema which includes it.
    adopted: bool,
    elements_qualified: bool,
    attributes_qualified: bool,
}

/// All declarations.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    schemas: Vec<Schema>,
    declared: HashMap<Kind, HashMap<QName, Declared>>,
    /// Declarations, each as often as it is taken into a namespace.
    count: usize,
    seen: HashSet<(At, Option<Arc<str>>)>,
}

impl Schemas {
    /// # Errors
    /// A sentence with the limit.
    pub(super) fn of(documents: &Documents) -> Result<Self, String> {
        let mut schemas = Self::default();
        let mut waiting = Vec::new();
        for (document, one) in documents.all.iter().enumerate().rev() {
            let nodes = one.tree.nodes.iter().enumerate().rev();
            let found = nodes.filter(|(_, node)| node.is(Vocabulary::Schema, "schema"));
            waiting.extend(found.map(|(node, _)| (At { document, node }, None)));
        }
        while let Some((at, adopted)) = waiting.pop() {
            if schemas.seen.insert((at, adopted.clone())) {
                schemas.add(documents, at, adopted, &mut waiting)?;
            }
        }
        Ok(schemas)
    }

    pub(super) fn find(&self, kind: Kind, name: &QName) -> Option<Declared> {
        self.declared.get(&kind)?.get(name).copied()
    }

    pub(super) fn schema(&self, number: usize) -> &Schema {
        &self.schemas[number]
    }

    fn add(
        &mut self,
        documents: &Documents,
        at: At,
        adopted: Option<Arc<str>>,
        waiting: &mut Vec<(At, Option<Arc<str>>)>,
    ) -> Result<(), String> {
        let node = documents.node(at);
        let own = node.attribute("targetNamespace").map(Arc::from);
        let is_qualified = |name| node.attribute(name) == Some("qualified");
        let number = self.schemas.len();
        self.schemas.push(Schema {
            adopted: own.is_none() && adopted.is_some(),
            target: own.or(adopted).unwrap_or_else(|| Arc::from("")),
            elements_qualified: is_qualified("elementFormDefault"),
            attributes_qualified: is_qualified("attributeFormDefault"),
        });
        let target = Arc::clone(&self.schemas[number].target);
        self.count += 1 + node.children.len();
        if self.count > ELEMENTS_MAX {
            return Err(format!(
                "the schemas declare more than {ELEMENTS_MAX} things, as one is included in many: leave out what the service doesn't use"
            ));
        }
        for child in documents.all_children(at) {
            let node = documents.node(child);
            if let Some(kind) = kind(node) {
                self.declare(
                    kind,
                    node,
                    Declared {
                        at: child,
                        schema: number,
                    },
                );
            } else if node.name != "import"
                && let Some(included) = documents.linked(child)
            {
                let root = At {
                    document: included,
                    node: 0,
                };
                let is_schema = documents.node(root).is(Vocabulary::Schema, "schema");
                let has_own = documents.node(root).attribute("targetNamespace").is_some();
                if is_schema && !has_own && !target.is_empty() {
                    waiting.push((root, Some(Arc::clone(&target))));
                }
            }
        }
        Ok(())
    }

    fn declare(&mut self, kind: Kind, node: &Node, declared: Declared) {
        if let Some(name) = node.attribute("name") {
            let name = QName::new(&self.schemas[declared.schema].target, name);
            let known = self.declared.entry(kind).or_default();
            known.entry(name).or_insert(declared);
        }
    }
}

impl Schema {
    /// What a name within this schema means.
    pub(super) fn meant(&self, name: &QName) -> QName {
        if self.adopted && name.namespace.is_empty() {
            QName::new(&self.target, &name.name)
        } else {
            name.clone()
        }
    }

    /// The name of an element or attribute that is declared where it stands.
    pub(super) fn local(&self, node: &Node, name: &str) -> QName {
        let default = if node.name == "attribute" {
            self.attributes_qualified
        } else {
            self.elements_qualified
        };
        let qualified = match node.attribute("form") {
            Some(form) => form == "qualified",
            None => default,
        };
        if qualified {
            QName::new(&self.target, name)
        } else {
            QName::bare(name)
        }
    }
}

fn kind(node: &Node) -> Option<Kind> {
    match node.name.as_str() {
        _ if node.vocabulary != Vocabulary::Schema => None,
        "element" => Some(Kind::Element),
        "complexType" | "simpleType" => Some(Kind::Type),
        "group" => Some(Kind::Group),
        "attribute" => Some(Kind::Attribute),
        "attributeGroup" => Some(Kind::AttributeGroup),
        _ => None,
    }
}
