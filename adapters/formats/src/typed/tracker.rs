//! What stands open in a file, and its figures so far.

use std::sync::Arc;

use dray_adapter::FileChecks;

use super::Decimal;
use super::figures::{Figures, Sum};
use super::rules::{Rules, Summed, Type};
use crate::{FieldAt, FileFault};

/// A record's own cells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells<'a> {
    pub(crate) text: &'a str,
    /// In the columns' order; those that are not [`Type::needed`] may be left out in a pass that only counts.
    pub(crate) fields: &'a [FieldAt],
}

impl<'a> Cells<'a> {
    pub(super) fn get(self, column: usize) -> Option<&'a str> {
        let at = self.fields.get(column).filter(|at| **at != FieldAt::NULL)?;
        self.text.get(at.start as usize..at.end as usize)
    }
}

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is handed out, with the cells of its parents behind its own: [`Tracker::inherit`].
    Record,
    /// It is not handed out.
    Silent,
    /// It is a bad one; a sentence.
    Bad(String),
}

/// Follows the records of one file.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(super) rules: Arc<Rules>,
    /// What places are counted in: "line" or "record".
    pub(super) unit: &'static str,
    pub(super) figures: Figures,
    /// For each type: the last of its records that others may belong to.
    pub(super) scopes: Vec<Scope>,
    /// For each type: the cells that others inherit.
    kept: Vec<Kept>,
    /// The trailer after which nothing follows but what it names, and its place.
    ended: Option<(usize, u64)>,
    /// Where something of no known type stood last.
    pub(super) unknown: Option<u64>,
    pub(super) overflowed: Option<u64>,
    pub(crate) checks: FileChecks,
}

#[derive(Debug, Default)]
pub(super) struct Scope {
    open: bool,
    bad: bool,
    pub(super) at: u64,
    /// Before this record.
    pub(super) before: Figures,
    /// What this record says, by its checks.
    says: Vec<Decimal>,
}

#[derive(Debug, Default)]
struct Kept {
    text: String,
    fields: Vec<FieldAt>,
}

impl Tracker {
    pub(crate) fn new(rules: &Arc<Rules>, unit: &'static str) -> Self {
        let types = rules.types.len();
        Self {
            rules: Arc::clone(rules),
            unit,
            figures: Figures {
                counts: vec![0; types],
                lines: 0,
                sums: vec![Sum::default(); rules.sums],
            },
            scopes: (0..types).map(|_| Scope::default()).collect(),
            kept: (0..types).map(|_| Kept::default()).collect(),
            ended: None,
            unknown: None,
            overflowed: None,
            checks: FileChecks::default(),
        }
    }

    /// A record of type `kind` at line `at`. `keep`: its cells are wanted by those below it.
    pub(crate) fn take(
        &mut self,
        kind: usize,
        at: u64,
        cells: Cells<'_>,
        keep: bool,
    ) -> Result<Verdict, FileFault> {
        let rules = Arc::clone(&self.rules);
        let one = &rules.types[kind];
        let orphan = self.begin(one, kind, at, Some(cells))?;
        if one.is_scope {
            self.scopes[kind].bad = orphan.is_some();
            self.note(one, kind, at, cells)?;
        }
        if one.trailer {
            self.check_trailer(one, at, cells)?;
            self.end(one, kind, at)?;
        }
        if let Some(sentence) = orphan {
            return Ok(Verdict::Bad(sentence));
        }
        if keep && one.is_inherited() {
            self.keep(one, kind, cells);
        }
        Ok(if one.emit {
            Verdict::Record
        } else {
            Verdict::Silent
        })
    }

    /// A bad record; of which type, where that is known, and its cells, where they can be relied upon.
    pub(crate) fn bad(
        &mut self,
        kind: Option<usize>,
        at: u64,
        reason: &str,
        cells: Option<Cells<'_>>,
    ) -> Result<(), FileFault> {
        let rules = Arc::clone(&self.rules);
        let Some(kind) = kind else {
            self.follows(None, at)?;
            self.figures.lines += 1;
            self.unknown = Some(at);
            return Ok(());
        };
        let one = &rules.types[kind];
        if one.trailer || !one.checks.is_empty() {
            let sentence = format!("the {} record can't be read: {reason}", one.name());
            return Err(self.fault(at, &sentence));
        }
        self.begin(one, kind, at, cells)?;
        self.scopes[kind].bad = true;
        Ok(())
    }

    /// Whether a type's records carry cells of others.
    pub(crate) fn inherits(&self, kind: usize) -> bool {
        self.rules.types[kind].parent.is_some()
    }

    /// Puts the cells of a record's parents behind its own.
    pub(crate) fn inherit(&self, kind: usize, text: &mut String, fields: &mut Vec<FieldAt>) {
        let Some(parent) = self.rules.types[kind].parent else {
            return;
        };
        let kept = &self.kept[parent];
        let base = text.len() as u32;
        text.push_str(&kept.text);
        fields.extend(kept.fields.iter().map(|field| shifted(*field, base)));
    }

    /// The file ends.
    pub(crate) fn finish(&mut self) -> Result<(), FileFault> {
        let rules = Arc::clone(&self.rules);
        for (kind, one) in rules.types.iter().enumerate() {
            if one.parent.is_none() {
                self.close(one, None)?;
            }
            if one.required && self.figures.counts[kind] == 0 {
                return Err(FileFault(format!(
                    "the file has no {} record, which is required; it may be cut",
                    one.name()
                )));
            }
        }
        Ok(())
    }

    /// Counts it, and closes what ends where it begins. A sentence where it has no parent.
    fn begin(
        &mut self,
        one: &Type,
        kind: usize,
        at: u64,
        cells: Option<Cells<'_>>,
    ) -> Result<Option<String>, FileFault> {
        self.follows(Some(kind), at)?;
        let orphan = self.orphan(one);
        if let (true, Some(sentence)) = (one.trailer, &orphan)
            && one.parent.is_some_and(|parent| !self.scopes[parent].open)
        {
            return Err(self.fault(at, sentence));
        }
        if one.is_scope {
            self.close(one, Some(at))?;
            let scope = &mut self.scopes[kind];
            (scope.open, scope.at) = (true, at);
            scope.before.note(&self.figures);
        }
        self.figures.lines += 1;
        self.figures.counts[kind] += 1;
        for summed in &one.summed {
            self.add(summed, at, cells);
        }
        Ok(orphan.filter(|_| !one.trailer))
    }

    fn add(&mut self, summed: &Summed, at: u64, cells: Option<Cells<'_>>) {
        let sum = &mut self.figures.sums[summed.sum];
        if let (Some((field, texts)), Some(cells)) = (&summed.only, cells) {
            let is = cells.get(*field).unwrap_or("");
            if !texts.iter().any(|text| text == is) {
                return;
            }
        }
        let number = match cells.map(|cells| cells.get(summed.column).unwrap_or("")) {
            // A blank adds nothing.
            Some(text) if text.trim_matches(' ').is_empty() => return,
            Some(text) => Decimal::parse(text),
            None => None,
        };
        let Some(number) = number else {
            sum.unreadable = Some(at);
            return;
        };
        match sum.value.checked_add(number) {
            Some(value) => sum.value = value,
            None => self.overflowed = self.overflowed.or(Some(at)),
        }
    }

    /// Refuses what stands behind the end.
    fn follows(&mut self, kind: Option<usize>, at: u64) -> Result<(), FileFault> {
        let Some((trailer, ended_at)) = self.ended else {
            return Ok(());
        };
        let types = &self.rules.types;
        let parent = types[trailer].parent;
        let belongs = |kind| {
            parent.is_some_and(|parent| parent != kind && types[parent].family.contains(&kind))
        };
        // Several trailers of the file may stand one behind the other.
        let is_next =
            |kind: usize| kind != trailer && types[kind].trailer && types[kind].parent.is_none();
        match (kind, parent) {
            (Some(kind), Some(_)) if !belongs(kind) => {
                self.ended = None;
                Ok(())
            }
            (Some(kind), None) if is_next(kind) => Ok(()),
            _ => Err(self.fault(
                at,
                &format!(
                    "something stands behind the {} record of {} {ended_at}, which should be the last",
                    types[trailer].name(),
                    self.unit
                ),
            )),
        }
    }

    fn orphan(&self, one: &Type) -> Option<String> {
        let parent = one.parent?;
        let (scope, name) = (&self.scopes[parent], self.rules.types[parent].name());
        if !scope.open {
            return Some(format!(
                "a record of type {} belongs to one of type {name}, and none is open before it",
                one.name()
            ));
        }
        scope.bad.then(|| {
            format!(
                "the {name} record of {} {}, to which it belongs, is bad",
                self.unit, scope.at
            )
        })
    }

    /// Notes what a header says of what follows it.
    fn note(
        &mut self,
        one: &Type,
        kind: usize,
        at: u64,
        cells: Cells<'_>,
    ) -> Result<(), FileFault> {
        self.scopes[kind].says.clear();
        for check in &one.checks {
            let says = self.says(one, check, at, cells)?;
            self.scopes[kind].says.push(says);
        }
        Ok(())
    }

    fn keep(&mut self, one: &Type, kind: usize, cells: Cells<'_>) {
        let mut kept = std::mem::take(&mut self.kept[kind]);
        kept.text.clear();
        kept.fields.clear();
        for column in 0..one.own {
            let start = kept.text.len() as u32;
            kept.fields.push(match cells.get(column) {
                None => FieldAt::NULL,
                Some(cell) => {
                    kept.text.push_str(cell);
                    let end = kept.text.len() as u32;
                    FieldAt { start, end }
                }
            });
        }
        self.inherit(kind, &mut kept.text, &mut kept.fields);
        self.kept[kind] = kept;
    }

    /// A trailer ends its parent, and what still stands open below that.
    fn end(&mut self, one: &Type, kind: usize, at: u64) -> Result<(), FileFault> {
        let rules = Arc::clone(&self.rules);
        let parent = one.parent.map(|parent| &rules.types[parent]);
        if let Some(parent) = parent {
            self.close(parent, Some(at))?;
        }
        if parent.is_none_or(|parent| parent.parent.is_none()) {
            self.ended = Some((kind, at));
        }
        Ok(())
    }

    /// Closes a type's open record and those below it: what they require must have been there.
    fn close(&mut self, one: &Type, at: Option<u64>) -> Result<(), FileFault> {
        let rules = Arc::clone(&self.rules);
        for kind in &one.family {
            if !self.scopes[*kind].open {
                continue;
            }
            self.scopes[*kind].open = false;
            let (scope, member) = (&self.scopes[*kind], &rules.types[*kind]);
            let missing = member.children.iter().find(|child| {
                rules.types[**child].required
                    && self.figures.counts[**child] == scope.before.counts[**child]
            });
            if let Some(child) = missing {
                let until = match at {
                    Some(at) => format!("before {} {at}", self.unit),
                    None => "before the file ends".into(),
                };
                let sentence = format!(
                    "this {} record has no {} record {until}, which is required",
                    member.name(),
                    rules.types[*child].name()
                );
                return Err(self.fault(scope.at, &sentence));
            }
            if !member.trailer && !member.checks.is_empty() {
                let scope = std::mem::take(&mut self.scopes[*kind]);
                for (check, says) in member.checks.iter().zip(&scope.says) {
                    self.compare(member, check, *says, scope.at, Some(&scope))?;
                }
                self.scopes[*kind] = scope;
            }
        }
        Ok(())
    }

    pub(super) fn fault(&self, at: u64, sentence: &str) -> FileFault {
        FileFault(format!("{} {at}: {sentence}", self.unit))
    }
}

fn shifted(field: FieldAt, base: u32) -> FieldAt {
    if field == FieldAt::NULL {
        return field;
    }
    FieldAt {
        start: field.start + base,
        end: field.end + base,
    }
}
