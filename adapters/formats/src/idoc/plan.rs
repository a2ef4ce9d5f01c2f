//! A configuration, compiled.

use std::collections::HashMap;
use std::sync::Arc;

use dray_adapter::Shape;

use super::config::IdocConfig;
use super::layouts::{BUILT_IN, CONTROL};

/// A field's place in its segment's data.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A segment whose fields are known.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) name: String,
    pub(super) parent: Option<u16>,
    pub(super) fields: Vec<Field>,
    /// All fields have a width.
    pub(super) has_widths: bool,
    /// What its records are like; `None`: it is no record.
    pub(super) record: Option<Record>,
    /// A record carries it.
    pub(super) carried: bool,
}

/// Records of one segment.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) shape: Arc<Shape>,
    pub(super) carry: Vec<u16>,
}

/// What a segment's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Known(u16),
    Ignored,
    Unknown,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) layouts: Vec<Layout>,
    names: HashMap<String, Meaning>,
    ignore_all: bool,
    /// The wanted fields of the control record.
    pub(super) control: Vec<Field>,
}

impl Plan {
    pub(super) fn new(config: &IdocConfig) -> Result<Self, String> {
        if let Some((_, sentence)) = config.faults().into_iter().next() {
            return Err(sentence);
        }
        let mut plan = Self {
            layouts: Vec::new(),
            names: HashMap::new(),
            ignore_all: config.ignore.iter().any(|name| name == "*"),
            control: control(&config.control),
        };
        plan.names.extend(
            config
                .ignore
                .iter()
                .map(|name| (name.clone(), Meaning::Ignored)),
        );
        let (mut parents, mut carries) = (Vec::new(), Vec::new());
        for segment in &config.segment {
            let fields = segment
                .field
                .iter()
                .map(|field| (field.name.as_str(), field.width, field.at));
            plan.add(&segment.name, fields);
            parents.push(segment.parent.as_deref());
            carries.push(
                segment
                    .carry
                    .as_ref()
                    .map(|names| names.iter().map(String::as_str).collect::<Vec<_>>()),
            );
        }
        for built_in in BUILT_IN
            .iter()
            .filter(|built_in| !config.segment.iter().any(|own| own.name == built_in.name))
        {
            plan.add(
                built_in.name,
                built_in
                    .fields
                    .iter()
                    .map(|(name, width)| (*name, Some(*width), None)),
            );
            parents.push(built_in.parent);
            carries.push((!built_in.carry.is_empty()).then(|| built_in.carry.to_vec()));
        }
        for (layout, parent) in parents.into_iter().enumerate() {
            plan.layouts[layout].parent = parent.and_then(|name| plan.known(name));
        }
        for name in &config.records {
            let layout = plan
                .known(name)
                .ok_or_else(|| format!("segment {name} is not known"))?;
            let carry = match &carries[layout as usize] {
                Some(names) => names.iter().filter_map(|name| plan.known(name)).collect(),
                None => plan.above(layout),
            };
            plan.make_record(layout, carry);
        }
        Ok(plan)
    }

    fn add<'a>(
        &mut self,
        name: &str,
        fields: impl Iterator<Item = (&'a str, Option<usize>, Option<usize>)>,
    ) {
        let (mut next, mut has_widths) = (0, true);
        let fields = fields.map(|(name, width, at)| {
            let start = at.map_or(next, |at| at - 1);
            next = start + width.unwrap_or(0);
            has_widths &= width.is_some();
            Field {
                name: name.to_owned(),
                start,
                end: next,
            }
        });
        let fields = fields.collect();
        self.names
            .insert(name.to_owned(), Meaning::Known(self.layouts.len() as u16));
        self.layouts.push(Layout {
            name: name.to_owned(),
            parent: None,
            fields,
            has_widths,
            record: None,
            carried: false,
        });
    }

    fn known(&self, name: &str) -> Option<u16> {
        match self.names.get(name) {
            Some(Meaning::Known(layout)) => Some(*layout),
            _ => None,
        }
    }

    /// The segments that one stands below, the next first. A circle ends where it began.
    fn above(&self, layout: u16) -> Vec<u16> {
        let mut above = Vec::new();
        let mut at = layout;
        while let Some(parent) = self.layouts[at as usize].parent {
            if parent == layout || above.contains(&parent) {
                break;
            }
            above.push(parent);
            at = parent;
        }
        above
    }

    fn make_record(&mut self, layout: u16, carry: Vec<u16>) {
        let own = &self.layouts[layout as usize];
        let mut columns: Vec<String> = own.fields.iter().map(|field| field.name.clone()).collect();
        for carried in &carry {
            let carried = &self.layouts[*carried as usize];
            columns.extend(
                carried
                    .fields
                    .iter()
                    .map(|field| format!("{}.{}", carried.name, field.name)),
            );
        }
        columns.extend(
            self.control
                .iter()
                .map(|field| format!("DC40.{}", field.name)),
        );
        let shape = Arc::new(Shape {
            record_type: own.name.clone(),
            columns,
        });
        carry
            .iter()
            .for_each(|carried| self.layouts[*carried as usize].carried = true);
        self.layouts[layout as usize].record = Some(Record { shape, carry });
    }

    /// What a segment's name means: its type, `E1EDL24`, or its definition's, `E2EDL24` with three digits of its version or without.
    pub(super) fn meaning(&self, name: &str) -> Meaning {
        let found = |name: &str| self.names.get(name).copied();
        let of_definition = || {
            let (first, rest) = (name.get(..1)?, name.get(1..)?.strip_prefix('2')?);
            let kind = format!("{first}1{rest}");
            let version = kind
                .len()
                .checked_sub(3)
                .filter(|at| kind.is_char_boundary(*at))
                .map(|at| kind.split_at(at));
            let version =
                version.filter(|(_, version)| version.bytes().all(|digit| digit.is_ascii_digit()));
            found(&kind).or_else(|| version.and_then(|(kind, _)| found(kind)))
        };
        let none = if self.ignore_all {
            Meaning::Ignored
        } else {
            Meaning::Unknown
        };
        found(name).or_else(of_definition).unwrap_or(none)
    }
}

fn control(wanted: &[String]) -> Vec<Field> {
    let mut next = 0;
    let all = CONTROL.map(|(name, width)| {
        next += width;
        Field {
            name: name.to_owned(),
            start: next - width,
            end: next,
        }
    });
    wanted
        .iter()
        .filter_map(|name| all.iter().find(|field| field.name == *name).cloned())
        .collect()
}
