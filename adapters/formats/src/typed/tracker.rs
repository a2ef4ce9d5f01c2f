//! What stands open in a file, and its figures so far.

use std::sync::Arc;

use super::Decimal;
use super::rules::{Check, Rules, Type};
use crate::{FieldAt, FileFault};

/// A record's own cells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells<'a> {
    pub(crate) text: &'a str,
    /// In the columns' order; those that are not [`Type::needed`] may be left out in a pass that only counts.
    pub(crate) fields: &'a [FieldAt],
}

impl<'a> Cells<'a> {
    fn get(self, column: usize) -> Option<&'a str> {
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
    rules: Arc<Rules>,
    /// What places are counted in: "line" or "record".
    unit: &'static str,
    figures: Figures,
    /// For each type: the last of its records that others may belong to.
    scopes: Vec<Scope>,
    /// For each type: the cells that others inherit.
    kept: Vec<Kept>,
    /// The trailer after which nothing follows but what it names, and its place.
    ended: Option<(usize, u64)>,
    /// Where something of no known type stood last.
    unknown: Option<u64>,
    overflowed: Option<u64>,
}

#[derive(Debug, Default)]
struct Figures {
    counts: Vec<u64>,
    lines: u64,
    sums: Vec<Sum>,
}

impl Figures {
    /// Into memory that is there already.
    fn note(&mut self, now: &Self) {
        self.counts.clone_from(&now.counts);
        self.lines = now.lines;
        self.sums.clone_from(&now.sums);
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    value: Decimal,
    /// Where a number could not be read last.
    unreadable: Option<u64>,
}

#[derive(Debug, Default)]
struct Scope {
    open: bool,
    bad: bool,
    at: u64,
    /// Before this record.
    before: Figures,
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
        for (column, sum) in &one.summed {
            self.add(*sum, *column, at, cells);
        }
        Ok(orphan.filter(|_| !one.trailer))
    }

    fn add(&mut self, sum: usize, column: usize, at: u64, cells: Option<Cells<'_>>) {
        let sum = &mut self.figures.sums[sum];
        let number = match cells.map(|cells| cells.get(column).unwrap_or("")) {
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
            if !member.trailer {
                for (check, says) in member.checks.iter().zip(&scope.says) {
                    self.compare(member, check, *says, scope.at, Some(scope))?;
                }
            }
        }
        Ok(())
    }

    fn check_trailer(&self, one: &Type, at: u64, cells: Cells<'_>) -> Result<(), FileFault> {
        let scope = one.parent.map(|parent| &self.scopes[parent]);
        for check in &one.checks {
            let says = self.says(one, check, at, cells)?;
            self.compare(one, check, says, at, scope)?;
        }
        Ok(())
    }

    fn says(
        &self,
        one: &Type,
        check: &Check,
        at: u64,
        cells: Cells<'_>,
    ) -> Result<Decimal, FileFault> {
        let (Check::Count { column, .. } | Check::Total { column, .. }) = check;
        let text = cells.get(*column).unwrap_or("");
        Decimal::parse(text).ok_or_else(|| {
            let field = one.column(*column);
            let sentence = format!(
                "{field} of the {} record is \"{text}\", which is no number",
                one.name()
            );
            self.fault(at, &sentence)
        })
    }

    /// Holds what a header or trailer says against what is there.
    fn compare(
        &self,
        one: &Type,
        check: &Check,
        says: Decimal,
        at: u64,
        scope: Option<&Scope>,
    ) -> Result<(), FileFault> {
        let since = scope.map_or_else(String::new, |scope| {
            format!(" from {} {} on", self.unit, scope.at)
        });
        let (column, found, told) = match check {
            Check::Count { column, of } => {
                let found = self.count(of, scope);
                (
                    column,
                    found,
                    format!("there are {found} {}", self.named(of)),
                )
            }
            Check::Total {
                column,
                of,
                sums,
                summed,
                last_digits,
            } => {
                let found = self.total(sums, summed, scope)?;
                let found = last_digits.map_or(found, |digits| found.last_digits(digits));
                let of = self.named(of);
                (
                    column,
                    found,
                    format!("{summed} of the {of} adds up to {found}"),
                )
            }
        };
        if found.is_same(says) {
            return Ok(());
        }
        let unknown = self
            .unknown
            .filter(|at| scope.is_none_or(|scope| *at >= scope.at))
            .map_or_else(String::new, |at| {
                format!(" ({} {at} is bad and of no known type)", self.unit)
            });
        let sentence = format!(
            "{} of the {} record says {says}, but {told}{since}{unknown}",
            one.column(*column),
            one.name()
        );
        Err(self.fault(at, &sentence))
    }

    fn count(&self, of: &[usize], scope: Option<&Scope>) -> Decimal {
        let before = |kind: usize| scope.map_or(0, |scope| scope.before.counts[kind]);
        let of_all = self.figures.lines - scope.map_or(0, |scope| scope.before.lines);
        Decimal::whole(if of.is_empty() {
            of_all
        } else {
            of.iter()
                .map(|kind| self.figures.counts[*kind] - before(*kind))
                .sum()
        })
    }

    fn total(
        &self,
        sums: &[usize],
        summed: &str,
        scope: Option<&Scope>,
    ) -> Result<Decimal, FileFault> {
        let from = scope.map_or(0, |scope| scope.at);
        let mut total = Some(Decimal::default());
        for sum in sums {
            let Sum { value, unreadable } = self.figures.sums[*sum];
            if let Some(at) = unreadable.filter(|at| *at >= from) {
                let sentence = format!("{summed} is no number, so that the total can't be checked");
                return Err(self.fault(at, &sentence));
            }
            let before = scope.map_or(Decimal::default(), |scope| scope.before.sums[*sum].value);
            total = total
                .and_then(|total| total.checked_add(value))
                .and_then(|total| total.checked_sub(before));
        }
        match (total, self.overflowed) {
            (Some(total), None) => Ok(total),
            (_, at) => Err(self.fault(
                at.unwrap_or(from),
                &format!("the sum of {summed} has more than 38 digits, so that the total can't be checked"),
            )),
        }
    }

    fn named(&self, of: &[usize]) -> String {
        if of.is_empty() {
            return format!("{}s", self.unit);
        }
        let names: Vec<&str> = of
            .iter()
            .map(|kind| self.rules.types[*kind].name())
            .collect();
        format!("{} records", names.join(" and "))
    }

    fn fault(&self, at: u64, sentence: &str) -> FileFault {
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
