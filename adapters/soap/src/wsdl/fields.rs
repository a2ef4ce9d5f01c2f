//! The fields of a record: the values in it, and those around it that stand before it.

use std::collections::HashMap;

use super::element::Element;
use super::prefixes::Prefixes;
use super::words::column;

/// Fields that are proposed, at most: a person reads them.
const FIELDS_MAX: usize = 500;
/// Fields of all values of one name, at most; a flow may join no more.
const JOINS_MAX: usize = 16;

/// Paths of each kind that become no field and are told, at most.
const TOLD_MAX: usize = FIELDS_MAX;

/// Where a column's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) column: String,
    /// Seen from the record.
    pub(super) path: String,
    /// The element's or attribute's name.
    pub(super) name: String,
    pub(super) type_name: String,
    /// There may be several, and all are wanted.
    pub(super) is_joined: bool,
    /// A record may be without.
    pub(super) is_optional: bool,
    /// It stands in an element around the record.
    pub(super) is_around: bool,
}

/// What is proposed for a record.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) fields: Vec<Field>,
    /// What a person has to look at.
    pub(super) doubts: Vec<String>,
    /// Paths of what repeats in a record and holds more than a value.
    inner: Vec<String>,
    cut: Vec<String>,
    behind: Vec<String>,
    left_out: usize,
    joined: usize,
    /// The next number for a column's name that is taken.
    numbers: HashMap<String, usize>,
}

/// What is written of an element on the way to it: from the record, and by names.
#[derive(Debug, Clone, Default)]
struct Place<'e> {
    /// Empty, or ends with a slash.
    path: String,
    names: Vec<&'e str>,
    is_optional: bool,
    is_around: bool,
}

impl<'e> Place<'e> {
    fn below(&self, element: &'e Element, prefixes: &mut Prefixes) -> Self {
        let mut below = self.clone();
        below.path += &format!("{}/", prefixes.write(&element.name));
        below.names.push(&element.name.name);
        below.is_optional |= element.min == 0;
        below
    }
}

/// `way` leads from the root to the record; empty where the root is the record.
pub(super) fn table(root: &Element, way: &[usize], prefixes: &mut Prefixes) -> Table {
    let mut table = Table::default();
    let elements = root.along(way);
    for (up, (element, next)) in elements
        .iter()
        .rev()
        .skip(1)
        .zip(way.iter().rev())
        .enumerate()
    {
        let around = Place {
            path: "../".repeat(up + 1),
            is_around: true,
            ..Place::default()
        };
        table.around(element, *next, &around, prefixes);
    }
    let around = std::mem::take(&mut table.fields);
    if let Some(record) = elements.last() {
        table.within(record, &Place::default(), prefixes);
    }
    for field in around {
        let parent = elements.iter().rev().nth(field.path.matches("../").count());
        let with_parent =
            parent.map(|parent| format!("{}_{}", column(&[&parent.name.name]), field.column));
        table.add(field, with_parent);
    }
    table.say();
    table
}

impl Table {
    /// Values of an element around the record, up to the child that leads to the record.
    fn around(
        &mut self,
        element: &Element,
        next: usize,
        place: &Place<'_>,
        prefixes: &mut Prefixes,
    ) {
        self.attributes(element, place, prefixes);
        for (number, child) in element.children.iter().enumerate() {
            if child.repeats() || number == next {
                continue;
            }
            let below = place.below(child, prefixes);
            if number < next {
                self.within(child, &below, prefixes);
            } else {
                tell(&mut self.behind, below.path.trim_end_matches('/'));
            }
        }
    }

    fn within(&mut self, element: &Element, place: &Place<'_>, prefixes: &mut Prefixes) {
        self.attributes(element, place, prefixes);
        if element.has_text && element.children.is_empty() {
            self.value(element, place, false);
        } else if element.is_cut {
            tell(&mut self.cut, shown(&place.path));
        }
        for child in &element.children {
            let below = place.below(child, prefixes);
            if !child.repeats() {
                self.within(child, &below, prefixes);
            } else if child.is_leaf() {
                self.value(child, &below, true);
            } else if !place.is_around {
                tell(&mut self.inner, shown(&below.path));
            }
        }
    }

    fn attributes(&mut self, element: &Element, place: &Place<'_>, prefixes: &mut Prefixes) {
        for attribute in &element.attributes {
            if self.is_full() {
                continue;
            }
            let mut names = place.names.clone();
            names.push(&attribute.name.name);
            let field = Field {
                column: column(&names),
                path: format!("{}@{}", place.path, prefixes.write(&attribute.name)),
                name: attribute.name.name.clone(),
                type_name: attribute.type_name.clone(),
                is_joined: false,
                is_optional: place.is_optional || !attribute.is_required,
                is_around: place.is_around,
            };
            self.add(field, None);
        }
    }

    fn value(&mut self, element: &Element, place: &Place<'_>, repeats: bool) {
        if self.is_full() {
            return;
        }
        let is_joined = repeats && self.joined < JOINS_MAX;
        self.joined += usize::from(is_joined);
        let own = [element.name.name.as_str()];
        let names: &[&str] = if place.names.is_empty() {
            &own
        } else {
            &place.names
        };
        let field = Field {
            column: column(names),
            path: shown(&place.path).to_owned(),
            name: element.name.name.clone(),
            type_name: element.type_name.clone(),
            is_joined,
            is_optional: place.is_optional,
            is_around: place.is_around,
        };
        self.add(field, None);
    }

    /// Whether a field has to be left out.
    fn is_full(&mut self) -> bool {
        let is_full = self.fields.len() == FIELDS_MAX;
        self.left_out += usize::from(is_full);
        is_full
    }

    /// Each column has a name of its own: the element's around it, or a number, tells it apart.
    fn add(&mut self, mut field: Field, otherwise: Option<String>) {
        if self.is_full() {
            return;
        }
        let is_free =
            |name: &str| !name.is_empty() && self.fields.iter().all(|known| known.column != name);
        let plain = if field.column.is_empty() {
            "VALUE".to_owned()
        } else {
            field.column.clone()
        };
        let mut given = std::iter::once(plain.clone()).chain(otherwise);
        field.column = match given.find(|name| is_free(name)) {
            Some(name) => name,
            None => {
                // The numbers before were found to be taken.
                let number = self.numbers.entry(plain.clone()).or_insert(2);
                while !is_free(&format!("{plain}_{number}")) {
                    *number += 1;
                }
                format!("{plain}_{number}")
            }
        };
        self.fields.push(field);
    }

    fn say(&mut self) {
        for inner in &self.inner {
            self.doubts.push(format!(
                "Within a record {inner} repeats, and is no field: if each of those is a record, put it behind the path in record, and \"../\" before what stays outside."
            ));
        }
        for behind in &self.behind {
            self.doubts.push(format!(
                "{behind} stands behind the records, where a record can't have it: it is no field."
            ));
        }
        for cut in &self.cut {
            self.doubts.push(format!(
                "What is in {cut} is not told by the schema, or holds itself: it is no field."
            ));
        }
        if self.left_out > 0 {
            self.doubts.push(format!(
                "{} more fields are left out behind the first {FIELDS_MAX}.",
                self.left_out
            ));
        }
    }
}

fn tell(paths: &mut Vec<String>, path: &str) {
    if paths.len() < TOLD_MAX {
        paths.push(path.to_owned());
    }
}

/// A place as the path of a field.
fn shown(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => ".",
        path => path,
    }
}
