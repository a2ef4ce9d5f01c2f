//! Record types, compiled: names become numbers once.

use std::collections::HashSet;
use std::sync::Arc;

use dray_adapter::Shape;

use super::{CountConfig, TYPES_MAX, TotalConfig};
use crate::csv::COLUMNS_MAX;

/// A record type as it is configured, whatever the format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition<'a> {
    pub(crate) name: &'a str,
    pub(crate) columns: &'a [String],
    pub(crate) parent: Option<&'a str>,
    pub(crate) emit: bool,
    pub(crate) skip: bool,
    pub(crate) trailer: bool,
    pub(crate) required: bool,
    pub(crate) counts: &'a [CountConfig],
    pub(crate) totals: &'a [TotalConfig],
}

/// All types of a format.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) types: Vec<Type>,
    /// How many sums are kept.
    pub(super) sums: usize,
}

/// A type.
#[derive(Debug)]
pub(crate) struct Type {
    /// Its columns, and behind them those of its ancestors.
    pub(crate) shape: Arc<Shape>,
    /// How many columns are its own.
    pub(crate) own: usize,
    /// Whether its records are handed out.
    pub(crate) emit: bool,
    /// Whether it is passed over wherever it stands.
    pub(crate) skip: bool,
    /// Own columns whose cells the checks look at.
    pub(crate) needed: Vec<bool>,
    pub(super) parent: Option<usize>,
    pub(super) trailer: bool,
    pub(super) required: bool,
    pub(super) children: Vec<usize>,
    /// Itself and all below it, those above last.
    pub(super) family: Vec<usize>,
    /// Whether figures are noted where one begins: it has children or checks.
    pub(super) is_scope: bool,
    /// Own columns that are added up.
    pub(super) summed: Vec<Summed>,
    pub(super) checks: Vec<Check>,
}

impl Type {
    pub(crate) fn name(&self) -> &str {
        &self.shape.record_type
    }

    /// Whether it has cells that other records carry.
    pub(crate) fn is_inherited(&self) -> bool {
        !self.children.is_empty()
    }

    pub(super) fn column(&self, column: usize) -> &str {
        &self.shape.columns[column]
    }
}

/// A column that is added up.
#[derive(Debug)]
pub(super) struct Summed {
    pub(super) column: usize,
    /// Only where this column is one of these texts.
    pub(super) only: Option<(usize, Vec<String>)>,
    /// The sum's number.
    pub(super) sum: usize,
}

/// What a cell of a header or trailer must be.
#[derive(Debug)]
pub(super) enum Check {
    /// So many records of these types; of all lines, where there is none.
    Count { column: usize, of: Vec<usize> },
    /// The sum of these sums.
    Total {
        column: usize,
        of: Vec<usize>,
        sums: Vec<usize>,
        summed: String,
        last_digits: Option<u32>,
    },
}

impl Rules {
    /// Compiles types without [`faults`].
    pub(crate) fn new(definitions: &[Definition<'_>]) -> Self {
        let place = |name: &str| definitions.iter().position(|one| one.name == name);
        let parents: Vec<Option<usize>> = definitions
            .iter()
            .map(|one| one.parent.and_then(place))
            .collect();
        let types = definitions.iter().enumerate().map(|(index, one)| {
            let below = |at: &usize| ancestors(&parents, *at).any(|ancestor| ancestor == index);
            let mut family: Vec<usize> = (0..definitions.len()).filter(below).collect();
            family.push(index);
            family.sort_by_key(|at| std::cmp::Reverse(ancestors(&parents, *at).count()));
            let children: Vec<usize> = (0..definitions.len())
                .filter(|at| parents[*at] == Some(index))
                .collect();
            Type {
                shape: Arc::new(Shape {
                    record_type: one.name.to_owned(),
                    columns: columns(definitions, &parents, index),
                }),
                own: one.columns.len(),
                emit: one.emit,
                skip: one.skip,
                needed: vec![false; one.columns.len()],
                parent: parents[index],
                trailer: one.trailer,
                required: one.required,
                is_scope: !children.is_empty()
                    || (!one.trailer && one.counts.len() + one.totals.len() > 0),
                children,
                family,
                summed: Vec::new(),
                checks: Vec::new(),
            }
        });
        let mut rules = Self {
            types: types.collect(),
            sums: 0,
        };
        for (index, one) in definitions.iter().enumerate() {
            rules.add_checks(index, one, place);
        }
        rules
    }

    fn add_checks(
        &mut self,
        index: usize,
        one: &Definition<'_>,
        place: impl Fn(&str) -> Option<usize> + Copy,
    ) {
        let own = |name: &str| one.columns.iter().position(|column| column == name);
        for count in one.counts {
            let Some(column) = own(&count.field) else {
                continue;
            };
            let of = count.of.0.iter().filter_map(|name| place(name)).collect();
            self.types[index].needed[column] = true;
            self.types[index].checks.push(Check::Count { column, of });
        }
        for total in one.totals {
            let Some(column) = own(&total.field) else {
                continue;
            };
            let of: Vec<usize> = total.of.0.iter().filter_map(|name| place(name)).collect();
            let sums = of
                .iter()
                .filter_map(|kind| self.sum_of(*kind, total))
                .collect();
            self.types[index].needed[column] = true;
            self.types[index].checks.push(Check::Total {
                column,
                of,
                sums,
                summed: total.sum.clone(),
                last_digits: total.last_digits,
            });
        }
    }

    /// The sum of a type's column, which may be one already.
    fn sum_of(&mut self, kind: usize, total: &TotalConfig) -> Option<usize> {
        let one = &mut self.types[kind];
        let own = &one.shape.columns[..one.own];
        let place = |name: &str| own.iter().position(|own| own == name);
        let column = place(&total.sum)?;
        let only = match &total.only {
            None => None,
            Some(only) => Some((place(&only.field)?, only.is.0.clone())),
        };
        one.needed[column] = true;
        if let Some((field, _)) = &only {
            one.needed[*field] = true;
        }
        let known = one
            .summed
            .iter()
            .find(|known| known.column == column && known.only == only);
        if let Some(known) = known {
            return Some(known.sum);
        }
        let sum = self.sums;
        one.summed.push(Summed { column, only, sum });
        self.sums += 1;
        Some(sum)
    }
}

/// The types above one. Ends even where they turn in a circle.
fn ancestors(parents: &[Option<usize>], of: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(parents[of], |above| parents[*above]).take(parents.len())
}

/// A type's own columns, then its ancestors', nearest first, each behind its type's name.
fn columns(definitions: &[Definition<'_>], parents: &[Option<usize>], index: usize) -> Vec<String> {
    let mut columns = definitions[index].columns.to_vec();
    for above in ancestors(parents, index) {
        let Definition {
            name, columns: of, ..
        } = definitions[above];
        columns.extend(of.iter().map(|column| format!("{name}.{column}")));
    }
    columns
}

/// What is wrong with types: the setting, counted from the list of types, and a sentence with the way out.
/// `named`: whether the columns of all are known already; of some they may come with the file's header.
pub(crate) fn faults(definitions: &[Definition<'_>], named: bool) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    if definitions.len() > TYPES_MAX {
        let sentence = format!(
            "{} types of records are configured, at most {TYPES_MAX} are possible",
            definitions.len()
        );
        faults.push(("record".into(), sentence));
        return faults;
    }
    let checker = Checker { definitions, named };
    for (index, one) in definitions.iter().enumerate() {
        let mut add = |setting: &str, sentence: Option<String>| {
            faults.extend(sentence.map(|said| (format!("record.{index}.{setting}"), said)));
        };
        add("name", checker.name(index));
        add("parent", checker.parent(index));
        add("skip", checker.skip(index));
        for (at, count) in one.counts.iter().enumerate() {
            add(
                &format!("counts.{at}.field"),
                checker.own(index, &count.field),
            );
            add(&format!("counts.{at}.of"), checker.types(&count.of.0));
        }
        for (at, total) in one.totals.iter().enumerate() {
            add(
                &format!("totals.{at}.field"),
                checker.own(index, &total.field),
            );
            add(&format!("totals.{at}.of"), checker.totalled(total));
            add(
                &format!("totals.{at}.sum"),
                checker.of_all(total, &total.sum),
            );
            let only = total.only.as_ref();
            add(
                &format!("totals.{at}.where.field"),
                only.and_then(|only| checker.of_all(total, &only.field)),
            );
            add(
                &format!("totals.{at}.last_digits"),
                total
                    .last_digits
                    .filter(|digits| !(1..=37).contains(digits))
                    .map(|_| "last_digits is from 1 to 37".into()),
            );
        }
    }
    if faults.is_empty() {
        faults.extend(checker.columns());
    }
    faults
}

struct Checker<'a> {
    definitions: &'a [Definition<'a>],
    named: bool,
}

impl Checker<'_> {
    fn find(&self, name: &str) -> Option<usize> {
        self.definitions.iter().position(|one| one.name == name)
    }

    fn name(&self, index: usize) -> Option<String> {
        let name = self.definitions[index].name;
        if name.trim().is_empty() && self.definitions.len() > 1 {
            return Some("each type of record needs a name, e.g. name = \"H\"".into());
        }
        (self.find(name) != Some(index))
            .then(|| format!("two types of records are called \"{name}\"; each needs its own name"))
    }

    fn known(&self) -> String {
        let names: Vec<&str> = self.definitions.iter().map(|one| one.name).collect();
        names.join(", ")
    }

    fn parent(&self, index: usize) -> Option<String> {
        let name = self.definitions[index].parent?;
        let Some(parent) = self.find(name) else {
            return Some(format!(
                "no type of record is called \"{name}\"; there are {}",
                self.known()
            ));
        };
        if self.definitions[parent].trailer || self.definitions[parent].skip {
            return Some(format!(
                "\"{name}\" is a trailer or passed over, so no record can belong to it"
            ));
        }
        let parents: Vec<Option<usize>> = self
            .definitions
            .iter()
            .map(|one| one.parent.and_then(|name| self.find(name)))
            .collect();
        ancestors(&parents, index)
            .any(|above| above == index)
            .then(|| format!("\"{name}\" belongs to this type itself, by its own parents"))
    }

    fn skip(&self, index: usize) -> Option<String> {
        let one = &self.definitions[index];
        let checks = one.counts.len() + one.totals.len();
        (one.skip && (one.parent.is_some() || one.trailer || one.required || checks > 0)).then(
            || {
                "what is passed over has no parent and no figures; write emit = false for records that only others need"
                    .into()
            },
        )
    }

    fn own(&self, index: usize, field: &str) -> Option<String> {
        let one = &self.definitions[index];
        ((self.named || !one.columns.is_empty())
            && !one.columns.iter().any(|column| column == field))
        .then(|| {
            format!(
                "{} has no field \"{field}\"; it has {}",
                one.name,
                one.columns.join(", ")
            )
        })
    }

    fn types(&self, names: &[String]) -> Option<String> {
        let unknown = names.iter().find(|name| {
            self.find(name)
                .is_none_or(|kind| self.definitions[kind].skip)
        })?;
        Some(format!(
            "no type of record that counts is called \"{unknown}\"; there are {}",
            self.known()
        ))
    }

    fn totalled(&self, total: &TotalConfig) -> Option<String> {
        if total.of.0.is_empty() {
            return Some("of which types? Write e.g. of = \"D\"".into());
        }
        self.types(&total.of.0)
    }

    /// Each of the types that are added up has this field.
    fn of_all(&self, total: &TotalConfig, field: &str) -> Option<String> {
        let kinds = total.of.0.iter().filter_map(|name| self.find(name));
        kinds.into_iter().find_map(|kind| self.own(kind, field))
    }

    fn columns(&self) -> Option<(String, String)> {
        let rules = Rules::new(self.definitions);
        rules.types.iter().enumerate().find_map(|(index, one)| {
            let mut seen = HashSet::new();
            let columns = &one.shape.columns;
            let twice = columns.iter().find(|name| !seen.insert(name.as_str()));
            let setting = || format!("record.{index}.parent");
            if columns.len() > COLUMNS_MAX {
                let sentence = format!(
                    "with those of its parents it has {} columns, at most {COLUMNS_MAX} are possible",
                    columns.len()
                );
                return Some((setting(), sentence));
            }
            twice.map(|name| {
                (setting(), format!("with those of its parents it has two columns called \"{name}\"; each needs its own name"))
            })
        })
    }
}
