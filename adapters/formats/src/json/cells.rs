//! Finds the cells of one value, whose grammar was held already.

use dray_adapter::Shape;
use std::sync::Arc;

use super::path::FieldPath;
use crate::FieldAt;
use crate::columns::Columns;

/// A member or element that paths go through or end at.
#[derive(Debug, Clone)]
struct Node {
    key: String,
    /// The key as an array's element, from 0.
    index: Option<usize>,
    children: Vec<u16>,
    columns: Vec<u16>,
}

/// The paths of all columns as trees.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    nodes: Vec<Node>,
    /// The tree for the record, for the object around it, ...
    roots: Vec<Option<u16>>,
    /// How many objects up each column is.
    pub(super) ups: Vec<usize>,
    pub(super) shape: Arc<Shape>,
}

impl Plan {
    pub(super) fn new(fields: &Columns<String>) -> Result<Self, String> {
        let shape = Arc::new(Shape {
            record_type: String::new(),
            columns: fields.names(),
        });
        let mut plan = Self {
            nodes: Vec::new(),
            roots: Vec::new(),
            ups: Vec::new(),
            shape,
        };
        for (column, (_, field)) in (0..).zip(&fields.0) {
            let path = super::path::field(field)?;
            plan.add(column, &path);
            plan.ups.push(path.up);
        }
        Ok(plan)
    }

    /// The same, its records called so.
    pub(super) fn of_type(&self, record_type: &str) -> Self {
        let mut plan = self.clone();
        plan.shape = Arc::new(Shape {
            record_type: record_type.to_owned(),
            columns: self.shape.columns.clone(),
        });
        plan
    }

    fn add(&mut self, column: u16, path: &FieldPath) {
        if self.roots.len() <= path.up {
            self.roots.resize(path.up + 1, None);
        }
        let mut node = self.roots[path.up].unwrap_or_else(|| self.node(""));
        self.roots[path.up] = Some(node);
        for step in &path.steps {
            node = self.child(node, step).unwrap_or_else(|| {
                let child = self.node(step);
                self.nodes[node as usize].children.push(child);
                child
            });
        }
        self.nodes[node as usize].columns.push(column);
    }

    fn node(&mut self, key: &str) -> u16 {
        let is_index = key == "0"
            || (!key.starts_with('0')
                && !key.is_empty()
                && key.bytes().all(|byte| byte.is_ascii_digit()));
        self.nodes.push(Node {
            key: key.to_owned(),
            index: is_index.then(|| key.parse().ok()).flatten(),
            children: Vec::new(),
            columns: Vec::new(),
        });
        (self.nodes.len() - 1) as u16
    }

    /// The tree for objects so many up.
    pub(super) fn root(&self, up: usize) -> Option<u16> {
        self.roots.get(up).copied().flatten()
    }

    pub(super) fn child(&self, node: u16, key: &str) -> Option<u16> {
        let children = &self.nodes[node as usize].children;
        children
            .iter()
            .copied()
            .find(|child| self.nodes[*child as usize].key == key)
    }

    fn element(&self, node: u16, index: usize) -> Option<u16> {
        let children = &self.nodes[node as usize].children;
        children
            .iter()
            .copied()
            .find(|child| self.nodes[*child as usize].index == Some(index))
    }

    /// Whether columns are below the record and none is the record itself.
    fn wants_members(&self) -> bool {
        let root = self.root(0).map(|root| &self.nodes[root as usize]);
        root.is_some_and(|root| root.columns.is_empty() && !root.children.is_empty())
    }
}

/// A cell's place: in the value, or in what was resolved of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Null,
    Written(usize, usize),
    Resolved(usize, usize),
}

/// Cells of a value. Memory is used again.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Of each column.
    pub(super) places: Vec<Place>,
    /// Strings with escapes, resolved.
    pub(super) resolved: String,
    keys: Vec<(usize, usize)>,
    key_text: String,
}

/// The value at hand.
struct Walk<'a> {
    plan: &'a Plan,
    text: &'a str,
    cells: &'a mut Cells,
    at: usize,
}

impl Cells {
    /// Finds the cells of a record.
    ///
    /// # Errors
    /// Why it is a bad record.
    pub(super) fn find(&mut self, plan: &Plan, text: &str) -> Result<(), String> {
        self.clear(plan);
        let first = text.as_bytes().first().copied().unwrap_or(0);
        if plan.wants_members() && !matches!(first, b'{' | b'[') {
            let shown: String = text.chars().take(40).collect();
            return Err(format!(
                "{shown} is no object, and the columns are members of one"
            ));
        }
        self.walk(plan, text, plan.root(0))
    }

    /// Finds the cells of a member of an object around the record.
    pub(super) fn find_around(&mut self, plan: &Plan, text: &str, node: u16) -> Result<(), String> {
        self.clear(plan);
        self.walk(plan, text, Some(node))
    }

    fn clear(&mut self, plan: &Plan) {
        self.places.clear();
        self.places.resize(plan.ups.len(), Place::Null);
        self.resolved.clear();
        self.keys.clear();
        self.key_text.clear();
    }

    fn walk(&mut self, plan: &Plan, text: &str, node: Option<u16>) -> Result<(), String> {
        Walk {
            plan,
            text,
            cells: self,
            at: 0,
        }
        .value(node)
    }

    /// All cells as places in `text`, to which what isn't in it already is appended.
    pub(super) fn fields(&self, text: &mut String, fields: &mut Vec<FieldAt>) {
        let moved = text.len();
        text.push_str(&self.resolved);
        fields.extend(self.places.iter().map(|place| match *place {
            Place::Null => FieldAt::NULL,
            Place::Written(start, end) => FieldAt {
                start: start as u32,
                end: end as u32,
            },
            Place::Resolved(start, end) => FieldAt {
                start: (moved + start) as u32,
                end: (moved + end) as u32,
            },
        }));
    }
}

impl Walk<'_> {
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Depth is bounded: the grammar was held, and with it [`super::DEPTH_MAX`].
    fn value(&mut self, node: Option<u16>) -> Result<(), String> {
        self.space();
        let start = self.at;
        let place = match self.byte() {
            b'"' => self.string()?,
            b'{' => {
                self.object(node)?;
                Place::Written(start, self.at)
            }
            b'[' => {
                self.array(node)?;
                Place::Written(start, self.at)
            }
            _ => {
                let rest = &self.text.as_bytes()[start..];
                let length = rest.iter().position(|byte| {
                    matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
                });
                self.at += length.unwrap_or(rest.len());
                if &self.text[start..self.at] == "null" {
                    Place::Null
                } else {
                    Place::Written(start, self.at)
                }
            }
        };
        if let Some(node) = node {
            for column in &self.plan.nodes[node as usize].columns {
                self.cells.places[*column as usize] = place;
            }
        }
        Ok(())
    }

    fn object(&mut self, node: Option<u16>) -> Result<(), String> {
        let node = node.filter(|node| !self.plan.nodes[*node as usize].children.is_empty());
        let (keys, key_text) = (self.cells.keys.len(), self.cells.key_text.len());
        self.at += 1;
        loop {
            self.space();
            match self.byte() {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let (start, end) = self.key()?;
                    self.cells.keys.push((start, end));
                    let child = node
                        .and_then(|node| self.plan.child(node, &self.cells.key_text[start..end]));
                    self.space();
                    self.at += 1;
                    self.value(child)?;
                }
            }
        }
        self.at += 1;
        self.check_keys(keys)?;
        self.cells.keys.truncate(keys);
        self.cells.key_text.truncate(key_text);
        Ok(())
    }

    fn key(&mut self) -> Result<(usize, usize), String> {
        let place = self.string_at();
        let text = &mut self.cells.key_text;
        let start = text.len();
        unescape(&self.text[place.0..place.1], text)?;
        Ok((start, text.len()))
    }

    /// No key stands twice in an object: which of the two would be meant?
    fn check_keys(&mut self, from: usize) -> Result<(), String> {
        let text = &self.cells.key_text;
        let keys = &mut self.cells.keys[from..];
        let twice = if keys.len() <= 16 {
            (1..keys.len()).find(|later| {
                keys[..*later]
                    .iter()
                    .any(|key| text[key.0..key.1] == text[keys[*later].0..keys[*later].1])
            })
        } else {
            keys.sort_unstable_by_key(|key| &text[key.0..key.1]);
            (1..keys.len()).find(|later| {
                text[keys[later - 1].0..keys[later - 1].1] == text[keys[*later].0..keys[*later].1]
            })
        };
        twice.map_or(Ok(()), |twice| {
            let key: String = text[keys[twice].0..keys[twice].1]
                .chars()
                .take(80)
                .collect();
            Err(format!(
                "the key \"{key}\" stands twice in an object; which one is meant is anybody's guess"
            ))
        })
    }

    fn array(&mut self, node: Option<u16>) -> Result<(), String> {
        let node = node.filter(|node| !self.plan.nodes[*node as usize].children.is_empty());
        self.at += 1;
        let mut index = 0;
        loop {
            self.space();
            match self.byte() {
                b']' => break,
                b',' => self.at += 1,
                _ => {
                    let child = node.and_then(|node| self.plan.element(node, index));
                    self.value(child)?;
                    index += 1;
                }
            }
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<Place, String> {
        let (start, end) = self.string_at();
        let written = &self.text[start..end];
        if memchr::memchr(b'\\', written.as_bytes()).is_none() {
            return Ok(Place::Written(start, end));
        }
        let resolved = self.cells.resolved.len();
        unescape(written, &mut self.cells.resolved)?;
        Ok(Place::Resolved(resolved, self.cells.resolved.len()))
    }

    /// What stands between the quotes of the string at hand.
    fn string_at(&mut self) -> (usize, usize) {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
            at += found;
            if bytes[at] == b'"' {
                break;
            }
            at += 2;
        }
        self.at = at + 1;
        (start, at)
    }
}

/// Resolves the escapes of a string.
///
/// # Errors
/// Half a pair of surrogates is no character.
pub(super) fn unescape(written: &str, text: &mut String) -> Result<(), String> {
    let mut rest = written;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let code = rest.as_bytes().get(at + 1).copied().unwrap_or(0);
        rest = rest.get(at + 2..).unwrap_or("");
        text.push(match code {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => letter(&mut rest)?,
            other => other as char,
        });
    }
    text.push_str(rest);
    Ok(())
}

/// The character of `\u`, and of a second one where it takes two.
fn letter(rest: &mut &str) -> Result<char, String> {
    let first = unit(rest);
    if let Some(letter) = char::from_u32(first) {
        return Ok(letter);
    }
    let half = || format!("\\u{first:04X} is half of a character: the other half is missing");
    *rest = rest.strip_prefix("\\u").ok_or_else(half)?;
    let second = unit(rest);
    let pair = (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second);
    let code = pair.then(|| 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00));
    code.and_then(char::from_u32).ok_or_else(half)
}

/// Four hexadecimal digits.
fn unit(rest: &mut &str) -> u32 {
    let digits = rest
        .get(..4)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    *rest = rest.get(4..).unwrap_or("");
    digits.unwrap_or(0)
}
