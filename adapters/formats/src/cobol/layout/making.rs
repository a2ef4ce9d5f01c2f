//! From a copybook's tree to what is done in turn.

use std::collections::HashMap;

use super::Step;
use crate::cobol::copybook::{Field, Item, What};
use crate::cobol::picture::Picture;
use crate::csv::COLUMNS_MAX;

/// A layout that is being made.
#[derive(Default)]
pub(super) struct Making {
    pub(super) columns: Vec<String>,
    pub(super) steps: Vec<Step>,
    /// Items that others depend on, by name, and whether they were met.
    pub(super) counts: HashMap<String, (usize, bool)>,
    /// How many fields have a name.
    names: HashMap<String, usize>,
}

impl Making {
    /// Which names are used, and how often; which fields are counts.
    pub(super) fn find_names(&mut self, item: &Item) {
        if let Some(on) = item
            .occurs
            .as_ref()
            .and_then(|occurs| occurs.depends_on.as_ref())
        {
            let next = self.counts.len();
            self.counts.entry(on.clone()).or_insert((next, false));
        }
        match &item.what {
            What::Field(_) => *self.names.entry(item.name.clone()).or_default() += 1,
            What::Group(items) => items.iter().for_each(|below| self.find_names(below)),
        }
    }

    /// An item as often as it stands there; its bytes at least and at most. `path`: the groups around it.
    pub(super) fn item(
        &mut self,
        item: &Item,
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(usize, usize), String> {
        let Some(occurs) = &item.occurs else {
            return self.once(item, &item.name, path, lenient);
        };
        let count = match &occurs.depends_on {
            None => None,
            Some(on) => match self.counts.get(on) {
                Some((count, true)) => Some((*count, on.clone())),
                _ => {
                    return Err(format!(
                        "line {}: {} depends on {on}, which is no number before it",
                        item.line, item.name
                    ));
                }
            },
        };
        let (mut min, mut max) = (0, 0);
        for nth in 1..=occurs.max {
            let only = self.steps.len();
            if let Some((count, of)) = &count {
                self.steps.push(Step::Only {
                    count: *count,
                    nth,
                    min: occurs.min,
                    max: occurs.max,
                    steps: 0,
                    of: of.clone(),
                });
            }
            let (least, most) = self.once(item, &format!("{}({nth})", item.name), path, lenient)?;
            let made = self.steps.len() - only - 1;
            if let Some(Step::Only { steps, .. }) =
                self.steps.get_mut(only).filter(|_| count.is_some())
            {
                *steps = made;
            }
            min += if count.is_none() || nth <= occurs.min {
                least
            } else {
                0
            };
            max += most;
            if self.columns.len() > COLUMNS_MAX {
                return Err(format!(
                    "line {}: {} makes more than {COLUMNS_MAX} cells",
                    item.line, item.name
                ));
            }
        }
        Ok((min, max))
    }

    fn once(
        &mut self,
        item: &Item,
        name: &str,
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(usize, usize), String> {
        match &item.what {
            What::Field(field) => {
                self.field(item, *field, name, path, lenient);
                Ok((field.bytes(), field.bytes()))
            }
            What::Group(items) => {
                path.push(name.to_owned());
                let bytes = self.group(items, path, lenient);
                path.pop();
                bytes
            }
        }
    }

    fn group(
        &mut self,
        items: &[Item],
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(usize, usize), String> {
        let (mut min, mut max) = (0, 0);
        let mut rest = items;
        while let Some((first, after)) = rest.split_first() {
            // All that redefine the same bytes stand right behind.
            let over = after
                .iter()
                .take_while(|next| next.redefines.is_some())
                .count();
            let (over, after) = after.split_at(over);
            if over.is_empty() {
                if let Some(of) = &first.redefines {
                    return Err(format!(
                        "line {}: {} redefines {of}, which does not stand right before it",
                        first.line, first.name
                    ));
                }
                let (least, most) = self.item(first, path, lenient)?;
                (min, max) = (min + least, max + most);
            } else {
                let (least, most) = self.overlaid(first, over, path)?;
                (min, max) = (min + least, max + most);
            }
            rest = after;
        }
        Ok((min, max))
    }

    /// Items that describe the same bytes.
    fn overlaid(
        &mut self,
        first: &Item,
        over: &[Item],
        path: &mut Vec<String>,
    ) -> Result<(usize, usize), String> {
        self.steps.push(Step::Mark);
        let (mut min, mut max) = self.item(first, path, true)?;
        let mut names = vec![first.name.as_str()];
        for item in over {
            let of = item.redefines.as_deref().unwrap_or_default();
            if !names.contains(&of) {
                return Err(format!(
                    "line {}: {} redefines {of}, which does not stand right before it",
                    item.line, item.name
                ));
            }
            names.push(&item.name);
            self.steps.push(Step::Back);
            let (least, most) = self.item(item, path, true)?;
            (min, max) = (min.max(least), max.max(most));
        }
        self.steps.push(Step::Longest);
        Ok((min, max))
    }

    fn field(&mut self, item: &Item, field: Field, name: &str, path: &[String], lenient: bool) {
        let count = self.counts.get_mut(&item.name).map(|(count, met)| {
            *met |= matches!(field.picture, Picture::Number { decimals: 0, .. });
            *count
        });
        if item.name == "FILLER" {
            self.steps.push(Step::Filler(field.bytes()));
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
        self.steps.push(Step::Cell {
            field,
            column: self.columns.len(),
            lenient,
            count,
        });
        self.columns.push(column);
    }
}
