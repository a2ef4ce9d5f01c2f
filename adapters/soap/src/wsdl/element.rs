//! Elements of a body as the schemas describe them.

use super::qname::QName;

/// An element, and what may be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// In no namespace where the schema says that elements are unqualified.
    pub name: QName,
    /// Of a simple type that of XML Schema which it rests on, e.g. `dateTime`; of another its own name, or nothing.
    pub type_name: String,
    /// How often it stands in the one around it, at least.
    pub min: u32,
    /// And at most; `None` is any number.
    pub max: Option<u32>,
    /// Whether it is one of several that exclude each other.
    pub is_choice: bool,
    /// Whether it has a value of its own.
    pub has_text: bool,
    /// In the schema's order.
    pub attributes: Vec<Attribute>,
    /// In the schema's order; each name once.
    pub children: Vec<Element>,
    /// What is in it is not told further: it holds itself, a limit is reached, or no schema declares it.
    pub is_cut: bool,
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Nearly always in no namespace.
    pub name: QName,
    /// As [`Element::type_name`].
    pub type_name: String,
    /// Whether it has to be there.
    pub is_required: bool,
}

impl Element {
    /// Once, with nothing in it.
    pub(super) fn new(name: QName) -> Self {
        Self {
            name,
            type_name: String::new(),
            min: 1,
            max: Some(1),
            is_choice: false,
            has_text: false,
            attributes: Vec::new(),
            children: Vec::new(),
            is_cut: false,
        }
    }

    /// Whether there may be more than one of it in the one around it.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.max.is_none_or(|max| max > 1)
    }

    /// Whether it is a value and nothing else.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.has_text && self.children.is_empty() && self.attributes.is_empty()
    }

    /// The element at the end of a way of children's numbers, and those it leads through.
    pub(super) fn along(&self, way: &[usize]) -> Vec<&Element> {
        let mut elements = vec![self];
        for number in way {
            let next = elements.last().and_then(|last| last.children.get(*number));
            elements.extend(next);
        }
        elements
    }
}

/// The outermost element below `root` that repeats: the way to it by children's numbers. Of several at one depth the first that holds more
/// than a value, or else the first.
#[must_use]
pub fn repeating(root: &Element) -> Option<Vec<usize>> {
    let mut level: Vec<(Vec<usize>, &Element)> = vec![(Vec::new(), root)];
    while !level.is_empty() {
        let mut below = Vec::new();
        for (way, element) in &level {
            for (number, child) in element.children.iter().enumerate() {
                let mut way = way.clone();
                way.push(number);
                below.push((way, child));
            }
        }
        let mut repeating = below.iter().filter(|(_, child)| child.repeats());
        let first = repeating.clone().next();
        if let Some((way, _)) = repeating.find(|(_, child)| !child.is_leaf()).or(first) {
            return Some(way.clone());
        }
        level = below;
    }
    None
}

/// How often an element stands, as `minOccurs` and `maxOccurs` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occurs {
    pub(super) min: u32,
    pub(super) max: Option<u32>,
}

impl Occurs {
    pub(super) const ONCE: Self = Self {
        min: 1,
        max: Some(1),
    };

    pub(super) fn read(min: Option<&str>, max: Option<&str>) -> Self {
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok());
        let max = match max {
            Some("unbounded") => None,
            max => Some(number(max).unwrap_or(1)),
        };
        Self {
            min: number(min).unwrap_or(1),
            max,
        }
    }

    /// Of something that stands so often in something that stands so often.
    pub(super) fn times(self, outer: Self) -> Self {
        let max = match (self.max, outer.max) {
            (Some(0), _) | (_, Some(0)) => Some(0),
            (Some(inner), Some(outer)) => Some(inner.saturating_mul(outer)),
            _ => None,
        };
        Self {
            min: self.min.saturating_mul(outer.min),
            max,
        }
    }
}

/// How elements of one name go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Together {
    /// One stands behind the other.
    Sum,
    /// There is one or the other.
    Either,
}

/// Adds elements to those that are there: each name stands once.
pub(super) fn join(known: &mut Vec<Element>, more: Vec<Element>, together: Together) {
    for element in more {
        let Some(same) = known.iter_mut().find(|same| same.name == element.name) else {
            known.push(element);
            continue;
        };
        same.max = match (same.max, element.max, together) {
            (Some(one), Some(other), Together::Sum) => Some(one.saturating_add(other)),
            (Some(one), Some(other), Together::Either) => Some(one.max(other)),
            _ => None,
        };
        if together == Together::Sum {
            same.min = same.min.saturating_add(element.min);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{RPC, WMS, alone, operation};
    use super::*;

    fn element(name: &str, max: Option<u32>, children: Vec<Element>) -> Element {
        Element {
            max,
            has_text: children.is_empty(),
            children,
            ..Element::new(QName::bare(name))
        }
    }

    #[test]
    fn the_outermost_that_repeats_is_found() {
        let leaf = |name, max| element(name, max, Vec::new());
        let inner = || element("In", Some(1), vec![leaf("Lot", None)]);
        for (children, expected) in [
            (vec![leaf("A", Some(1))], None),
            (vec![leaf("A", Some(1)), leaf("B", Some(2))], Some(vec![1])),
            (
                vec![leaf("A", None), element("B", None, vec![leaf("C", None)])],
                Some(vec![1]),
            ),
            (vec![leaf("A", Some(1)), inner()], Some(vec![1, 0])),
            (vec![inner(), leaf("B", None)], Some(vec![1])),
        ] {
            let root = element("Root", Some(1), children);
            assert_eq!(repeating(&root), expected, "{root:?}");
        }
    }

    #[test]
    fn the_records_of_the_samples_are_found() {
        for (wsdl, name, expected) in [
            (WMS, "PutMovements", Some(vec![1])),
            (WMS, "ReportShipment", None),
            (RPC, "PutOrders", Some(vec![1, 0])),
        ] {
            let description = alone(wsdl);
            let body = description
                .body(&operation(&description, name).input)
                .expect("a body");
            assert_eq!(repeating(&body), expected, "{name}");
        }
    }

    #[test]
    fn occurs_multiply() {
        let occurs = |min, max| Occurs { min, max };
        assert_eq!(
            occurs(1, Some(2)).times(occurs(0, Some(3))),
            occurs(0, Some(6))
        );
        assert_eq!(occurs(1, None).times(occurs(2, Some(1))), occurs(2, None));
        assert_eq!(
            occurs(0, None).times(occurs(0, Some(0))),
            occurs(0, Some(0))
        );
        assert_eq!(Occurs::read(Some("x"), Some("unbounded")), occurs(1, None));
        assert_eq!(
            occurs(1, Some(u32::MAX)).times(occurs(1, Some(u32::MAX))),
            occurs(1, Some(u32::MAX))
        );
    }
}
