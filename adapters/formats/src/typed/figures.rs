//! What there is of each type, and whether headers and trailers say the same.

use dray_adapter::FileCheck;

use super::Decimal;
use super::rules::{Check, Type};
use super::tracker::{Cells, Scope, Tracker};
use crate::FileFault;

/// Since the file's beginning.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) counts: Vec<u64>,
    pub(super) lines: u64,
    pub(super) sums: Vec<Sum>,
}

impl Figures {
    /// Into memory that is there already.
    pub(super) fn note(&mut self, now: &Self) {
        self.counts.clone_from(&now.counts);
        self.lines = now.lines;
        self.sums.clone_from(&now.sums);
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) value: Decimal,
    /// Where a number could not be read last.
    pub(super) unreadable: Option<u64>,
}

impl Tracker {
    pub(super) fn check_trailer(
        &mut self,
        one: &Type,
        at: u64,
        cells: Cells<'_>,
    ) -> Result<(), FileFault> {
        let parent = one.parent.filter(|_| !one.checks.is_empty());
        // A fault ends the file, so that the scope is wanted no more.
        let scope = parent.map(|parent| std::mem::take(&mut self.scopes[parent]));
        for check in &one.checks {
            let says = self.says(one, check, at, cells)?;
            self.compare(one, check, says, at, scope.as_ref())?;
        }
        if let Some((parent, scope)) = parent.zip(scope) {
            self.scopes[parent] = scope;
        }
        Ok(())
    }

    pub(super) fn says(
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
    pub(super) fn compare(
        &mut self,
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
        self.checks.note(|| FileCheck {
            name: format!(
                "{} of {}, {} {at}",
                one.column(*column),
                one.name(),
                self.unit
            ),
            expected: says.to_string(),
            found: found.to_string(),
        });
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
}
