//! A configuration, compiled: the paths of all columns as trees, so that an element is looked up once.

use super::config::XmlConfig;
use super::elements::Elements;
use super::path::{FieldPath, Name, RecordPath};

/// An element that paths go through or end at.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Name,
    pub(super) children: Vec<u16>,
    /// Columns whose value is this element's.
    pub(super) texts: Vec<u16>,
    /// Columns whose value is an attribute's.
    pub(super) attributes: Vec<(Name, Vec<u16>)>,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    /// How many elements up its path begins.
    pub(super) up: usize,
    /// For one around the record: its number among those.
    pub(super) around: Option<usize>,
    /// Which of several, for each step from the last to the first; empty where no step says so.
    pub(super) numbers: Vec<Option<u32>>,
    pub(super) join: Option<String>,
    pub(super) name: String,
    pub(super) path: String,
}

/// What is looked for.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) record: RecordPath,
    pub(super) nodes: Vec<Node>,
    /// The tree for the record, for the element around it, for the one around that, ...
    pub(super) roots: Vec<Option<u16>>,
    pub(super) columns: Vec<Column>,
    /// How many columns are around the record.
    pub(super) around: usize,
    /// Whether a value may stand in several cells, so that only the cells tell whether they are too long.
    pub(super) repeats: bool,
    /// Whether an element may be what two steps below the same one say.
    pub(super) has_patterns: bool,
    pub(super) trim: bool,
}

impl Plan {
    pub(super) fn new(config: &XmlConfig) -> Result<Self, String> {
        if let Some((_, sentence)) = config.faults().into_iter().next() {
            return Err(sentence);
        }
        let has_patterns = !config.namespaces.is_empty()
            || config
                .fields
                .0
                .iter()
                .any(|(_, field)| field.path.contains('*'));
        let mut plan = Self {
            record: config.record_path()?,
            nodes: Vec::new(),
            roots: Vec::new(),
            columns: Vec::new(),
            around: 0,
            repeats: has_patterns
                || config
                    .fields
                    .0
                    .iter()
                    .any(|(_, field)| field.join.is_some()),
            has_patterns,
            trim: config.trim,
        };
        for (name, field) in &config.fields.0 {
            let path = config.field_path(field)?;
            let mut numbers: Vec<Option<u32>> =
                path.steps.iter().rev().map(|step| step.number).collect();
            if numbers.iter().all(Option::is_none) {
                numbers.clear();
            }
            let around = (path.up > 0).then_some(plan.around);
            plan.around += usize::from(path.up > 0);
            plan.add(plan.columns.len() as u16, &path);
            plan.columns.push(Column {
                up: path.up,
                around,
                numbers,
                join: field.join.clone(),
                name: name.clone(),
                path: field.path.clone(),
            });
        }
        Ok(plan)
    }

    fn add(&mut self, column: u16, path: &FieldPath) {
        if self.roots.len() <= path.up {
            self.roots.resize(path.up + 1, None);
        }
        let mut node = match self.roots[path.up] {
            Some(root) => root,
            None => self.node(Name {
                namespace: None,
                local: None,
            }),
        };
        self.roots[path.up] = Some(node);
        for step in &path.steps {
            let known = |child: &&u16| self.nodes[**child as usize].name == step.name;
            node = match self.nodes[node as usize].children.iter().find(known) {
                Some(child) => *child,
                None => {
                    let child = self.node(step.name.clone());
                    self.nodes[node as usize].children.push(child);
                    child
                }
            };
        }
        let node = &mut self.nodes[node as usize];
        let Some(name) = &path.attribute else {
            return node.texts.push(column);
        };
        match node.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, columns)) => columns.push(column),
            None => node.attributes.push((name.clone(), vec![column])),
        }
    }

    fn node(&mut self, name: Name) -> u16 {
        self.nodes.push(Node {
            name,
            children: Vec::new(),
            texts: Vec::new(),
            attributes: Vec::new(),
        });
        (self.nodes.len() - 1) as u16
    }

    /// Whether the innermost element is a record (`up` 0), or could be around one, so many elements up.
    #[inline]
    pub(super) fn is_at(&self, elements: &Elements, up: usize) -> bool {
        let steps = &self.record.steps[..self.record.steps.len().saturating_sub(up)];
        let depth = elements.depth();
        let fits = if self.record.anywhere {
            depth >= steps.len()
        } else {
            depth == steps.len()
        };
        fits && steps.iter().rev().zip(0..).all(|(step, inner)| {
            let (namespace, name) = elements.name(depth - inner);
            step.is(namespace, name)
        })
    }
}
