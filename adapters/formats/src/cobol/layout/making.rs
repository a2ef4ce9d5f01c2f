//! From a copybook's tree to what is done in turn.

use std::collections::{HashMap, HashSet};

use super::{Each, Kept, Layout, Place, Step};
use crate::cobol::copybook::{Field, Item, Occurs, What};
use crate::cobol::picture::Picture;
use crate::csv::COLUMNS_MAX;

/// A layout that is being made.
#[derive(Default)]
pub(super) struct Making<'a> {
    pub(super) columns: Vec<String>,
    places: Vec<Place>,
    steps: Vec<Step>,
    /// Items that others depend on, by name, and whether they were met.
    counts: HashMap<String, (usize, bool)>,
    /// How many fields have a name.
    names: HashMap<String, usize>,
    each: Option<&'a str>,
    pub(super) made_each: Option<Each>,
    /// Items that occur many times.
    pub(super) many: Vec<String>,
    varies: Option<String>,
    not_text: Option<String>,
    /// The bytes before the item at hand, while they are always the same.
    at: Option<usize>,
    /// Whether the item at hand is in one that occurs many times.
    inside: bool,
}

/// An item's bytes at least and at most, all its occurrences together; the record's own numbers saturate, as nothing is laid out yet.
pub(in crate::cobol) fn span(item: &Item) -> (usize, usize) {
    let (least, most) = match &item.what {
        What::Field(field) => (field.bytes(), field.bytes()),
        What::Group(items) => {
            let (mut min, mut max) = (0_usize, 0_usize);
            let (mut least, mut most) = (0, 0);
            for below in items {
                let (its_least, its_most) = span(below);
                if below.redefines.is_some() {
                    (least, most) = (least.max(its_least), most.max(its_most));
                } else {
                    (min, max) = (min.saturating_add(least), max.saturating_add(most));
                    (least, most) = (its_least, its_most);
                }
            }
            (min.saturating_add(least), max.saturating_add(most))
        }
    };
    let times = item
        .occurs
        .as_ref()
        .map_or((1, 1), |occurs| (occurs.min, occurs.max));
    let min = if item
        .occurs
        .as_ref()
        .is_some_and(|occurs| occurs.depends_on.is_none())
    {
        times.1
    } else {
        times.0
    };
    (least.saturating_mul(min), most.saturating_mul(times.1))
}

/// Names for a sentence.
pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}

impl<'a> Making<'a> {
    pub(super) fn new(each: Option<&'a str>) -> Self {
        Self {
            each,
            at: Some(0),
            ..Self::default()
        }
    }

    /// Which names are used, and how often; which fields are counts.
    pub(super) fn find_names(&mut self, item: &Item) {
        let on = item
            .occurs
            .as_ref()
            .and_then(|occurs| occurs.depends_on.as_ref());
        if let Some(on) = on {
            let next = self.counts.len();
            self.counts.entry(on.clone()).or_insert((next, false));
        }
        if item.occurs.is_some() {
            self.many.push(item.name.clone());
        }
        match &item.what {
            What::Field(_) => *self.names.entry(item.name.clone()).or_default() += 1,
            What::Group(items) => items.iter().for_each(|below| self.find_names(below)),
        }
    }

    /// An item as often as it stands there. `path`: the groups around it.
    pub(super) fn item(
        &mut self,
        item: &Item,
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(), String> {
        let Some(occurs) = &item.occurs else {
            return self.once(item, &item.name, path, lenient);
        };
        let count = self.count_of(item, occurs)?;
        if count.is_some() && self.varies.is_none() {
            self.varies = Some(item.name.clone());
        }
        let before = std::mem::replace(&mut self.inside, true);
        let is_each = self
            .each
            .is_some_and(|each| item.name.eq_ignore_ascii_case(each));
        if is_each {
            if before || lenient || self.made_each.is_some() {
                return Err(format!(
                    "line {}: each = \"{}\" can't be read: it stands in what occurs many times itself, is redefined, or has a name that others share",
                    item.line, item.name
                ));
            }
            self.each_of(item, occurs, count, path)?;
        } else if is_nameless(item) && count.is_none() {
            self.filler(span(item).1);
        } else {
            for nth in 1..=occurs.max {
                self.nth(item, occurs, count, nth, path, lenient)?;
            }
        }
        self.inside = before;
        if span(item).0 != span(item).1 {
            self.at = None;
        }
        Ok(())
    }

    fn count_of(&self, item: &Item, occurs: &Occurs) -> Result<Option<usize>, String> {
        let Some(on) = &occurs.depends_on else {
            return Ok(None);
        };
        match self.counts.get(on) {
            Some((count, true)) => Ok(Some(*count)),
            _ => Err(format!(
                "line {}: {} depends on {on}, which is no whole number before it",
                item.line, item.name
            )),
        }
    }

    fn nth(
        &mut self,
        item: &Item,
        occurs: &Occurs,
        count: Option<usize>,
        nth: usize,
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(), String> {
        let only = self.steps.len();
        if let Some(count) = count {
            self.steps.push(Step::Only {
                count,
                nth,
                min: occurs.min,
                max: occurs.max,
                steps: 0,
            });
        }
        self.once(item, &format!("{}({nth})", item.name), path, lenient)?;
        let made = self.steps.len() - only - 1;
        if let Some(Step::Only { steps, .. }) = self.steps.get_mut(only).filter(|_| count.is_some())
        {
            *steps = made;
        }
        if self.columns.len() > COLUMNS_MAX {
            return Err(format!(
                "line {}: {} makes more than {COLUMNS_MAX} cells; make a record of each with each = \"{}\"",
                item.line, item.name, item.name
            ));
        }
        Ok(())
    }

    fn each_of(
        &mut self,
        item: &Item,
        occurs: &Occurs,
        count: Option<usize>,
        path: &mut Vec<String>,
    ) -> Result<(), String> {
        let (first, column) = (self.steps.len(), self.columns.len());
        self.steps.push(Step::Each {
            count,
            min: occurs.min,
            max: occurs.max,
            steps: 0,
        });
        let at = self.at.take();
        self.once(item, &item.name, path, false)?;
        let (least, most) = span(item);
        self.at = at.filter(|_| least == most).map(|at| at + most);
        let made = self.steps.len() - first - 1;
        if let Some(Step::Each { steps, .. }) = self.steps.get_mut(first) {
            *steps = made;
        }
        self.made_each = Some(Each {
            steps: first + 1..self.steps.len(),
            columns: column..self.columns.len(),
        });
        Ok(())
    }

    fn once(
        &mut self,
        item: &Item,
        name: &str,
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(), String> {
        match &item.what {
            What::Field(field) => {
                self.field(item, *field, name, path, lenient);
                Ok(())
            }
            What::Group(items) => {
                path.push(name.to_owned());
                let made = self.group(items, path, lenient);
                path.pop();
                made
            }
        }
    }

    fn group(
        &mut self,
        items: &[Item],
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(), String> {
        let mut rest = items;
        while let Some((first, after)) = rest.split_first() {
            // All that redefine the same bytes stand right behind.
            let over = after
                .iter()
                .take_while(|next| next.redefines.is_some())
                .count();
            let (over, after) = after.split_at(over);
            if let Some(of) = &first.redefines {
                return Err(misplaced(first, of));
            }
            if over.is_empty() {
                self.item(first, path, lenient)?;
            } else {
                self.overlaid(first, over, path, lenient)?;
            }
            rest = after;
        }
        Ok(())
    }

    /// Items that describe the same bytes. Only one with names is no matter of opinion.
    fn overlaid(
        &mut self,
        first: &Item,
        over: &[Item],
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(), String> {
        let named = over
            .iter()
            .chain([first])
            .filter(|item| !is_nameless(item))
            .count();
        let lenient = lenient || named > 1;
        let start = self.at;
        let (mut min, mut max) = span(first);
        self.steps.push(Step::Mark);
        self.item(first, path, lenient)?;
        let mut names = vec![first.name.as_str()];
        for item in over {
            let of = item.redefines.as_deref().unwrap_or_default();
            if !names.contains(&of) {
                return Err(misplaced(item, of));
            }
            names.push(&item.name);
            self.steps.push(Step::Back);
            self.at = start;
            self.item(item, path, lenient)?;
            let (least, most) = span(item);
            (min, max) = (min.max(least), max.max(most));
        }
        self.steps.push(Step::Longest);
        self.at = start.filter(|_| min == max).map(|at| at + max);
        Ok(())
    }

    fn filler(&mut self, bytes: usize) {
        match self.steps.last_mut() {
            // What stands before may be left out, or be counted from elsewhere.
            Some(Step::Filler(before)) if !self.inside => *before += bytes,
            _ => self.steps.push(Step::Filler(bytes)),
        }
        self.at = self.at.map(|at| at + bytes);
    }

    fn field(&mut self, item: &Item, field: Field, name: &str, path: &[String], lenient: bool) {
        let count = self.counts.get_mut(&item.name).map(|(count, met)| {
            *met |= matches!(field.picture, Picture::Number { decimals: 0, .. });
            *count
        });
        if item.name == "FILLER" {
            self.filler(field.bytes());
            return;
        }
        let shared = self.names.get(&item.name).is_some_and(|uses| *uses > 1);
        // The groups that stand there many times, and all where the name alone says too little.
        let groups = path
            .iter()
            .skip(1)
            .filter(|group| shared || group.ends_with(')'));
        let mut column: String = groups.map(|group| format!("{group}.")).collect();
        column.push_str(name);
        let kept = Kept::new(&field);
        if matches!(kept, Kept::Packed { .. } | Kept::Binary { .. }) && self.not_text.is_none() {
            self.not_text = Some(format!("line {}: {}", item.line, item.name));
        }
        self.steps.push(Step::Cell {
            field: kept,
            column: self.columns.len(),
            lenient,
            count,
        });
        self.places.push(Place {
            at: self.at,
            field: kept,
        });
        self.at = self.at.map(|at| at + field.bytes());
        self.columns.push(column);
    }

    /// Nobody could say which of two cells with one name is meant.
    pub(super) fn check_names(&self, record: &Item) -> Result<(), String> {
        let mut seen = HashSet::new();
        match self.columns.iter().find(|name| !seen.insert(name.as_str())) {
            None => Ok(()),
            Some(name) => Err(format!(
                "line {}: {} has two fields called {name}; give one of them another name in the copybook",
                record.line, record.name
            )),
        }
    }

    pub(super) fn finish(self, bytes_max: usize) -> Layout {
        let mut counts = vec![String::new(); self.counts.len()];
        for (name, (place, _)) in self.counts {
            counts[place] = name;
        }
        Layout {
            columns: self.columns,
            places: self.places,
            steps: self.steps,
            counts,
            each: self.made_each,
            bytes_max,
            varies: self.varies,
            not_text: self.not_text,
        }
    }
}

/// Whether it makes no cell.
pub(super) fn is_nameless(item: &Item) -> bool {
    match &item.what {
        What::Field(_) => item.name == "FILLER",
        What::Group(items) => items.iter().all(is_nameless),
    }
}

fn misplaced(item: &Item, of: &str) -> String {
    format!(
        "line {}: {} redefines {of}, which does not stand right before it",
        item.line, item.name
    )
}
