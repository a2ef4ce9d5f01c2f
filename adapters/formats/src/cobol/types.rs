//! The types of records, compiled: which layout each has, and by which field it is told.

use std::sync::Arc;

use super::config::{CopybookConfig, RecordConfig, WhenConfig};
use super::copybook::{Item, What};
use super::layout::{self, Kept, Layout, Reader};
use crate::typed::{self, Rules};

/// All types of a format.
#[derive(Debug)]
pub(super) struct Types {
    pub(super) rules: Arc<Rules>,
    /// In the order of the rules.
    pub(super) types: Vec<Type>,
    /// So many bytes of a record tell its type.
    pub(super) told_by: usize,
}

/// A type.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) layout: Layout,
    when: Option<When>,
}

/// A field and what it says.
#[derive(Debug)]
struct When {
    at: usize,
    field: Kept,
    is: Is,
}

#[derive(Debug)]
enum Is {
    /// One of these bytes, blanks and zero bytes behind them left out.
    Bytes(Vec<Vec<u8>>),
    /// One of these numbers.
    Numbers(Vec<String>),
}

impl Types {
    /// Compiles the types of a copybook.
    pub(super) fn new(
        config: &CopybookConfig,
        records: &[Item],
        reader: &Reader,
    ) -> Result<Self, String> {
        let mut config = config.clone();
        if config.record.is_empty() {
            config.record.push(RecordConfig::default());
        }
        let types = config
            .record
            .iter()
            .map(|record| Type::new(record, records, reader));
        let types = types.collect::<Result<Vec<_>, String>>()?;
        let columns: Vec<Vec<String>> =
            types.iter().map(|one| one.layout.columns.clone()).collect();
        let definitions = config.definitions(&columns);
        if let Some((setting, sentence)) = typed::faults(&definitions, true).into_iter().next() {
            return Err(format!("{setting}: {sentence}"));
        }
        for (at, record) in config.record.iter().enumerate() {
            for total in &record.totals {
                let of = config.record.iter().zip(&types);
                let mut of = of.filter(|(one, _)| total.of.0.contains(&one.name));
                if let Some((one, _)) = of.find(|(_, one)| one.is_of_each(&total.sum)) {
                    return Err(format!(
                        "record.{at}.totals: {} stands in each of {}'s records by itself, and can't be added up",
                        total.sum, one.name
                    ));
                }
            }
        }
        let told_by = types.iter().filter_map(|one| one.when.as_ref());
        Ok(Self {
            rules: Arc::new(Rules::new(&definitions)),
            told_by: told_by
                .map(|when| when.at + when.field.bytes())
                .max()
                .unwrap_or(0),
            types,
        })
    }

    /// The type of a record that begins with these bytes. `text`: memory to use.
    #[inline]
    pub(super) fn find(&self, bytes: &[u8], reader: &Reader, text: &mut String) -> Option<usize> {
        let mut holds = |when: &When| when.holds(bytes, reader, text);
        let is = |one: &Type| one.when.as_ref().is_none_or(&mut holds);
        self.types.iter().position(is)
    }

    /// What stands where the first type's field is, for a sentence.
    pub(super) fn told(&self, bytes: &[u8], reader: &Reader) -> String {
        let Some((one, when)) = self
            .types
            .iter()
            .find_map(|one| Some((one, one.when.as_ref()?)))
        else {
            return "the record is of none of the types".into();
        };
        let mut text = String::new();
        let own = bytes.get(when.at..when.at + when.field.bytes());
        let name = one
            .layout
            .places
            .iter()
            .position(|place| place.at == Some(when.at) && place.field == when.field);
        let name = name.map_or("", |column| &one.layout.columns[column]);
        match own {
            None => format!(
                "the record is of none of the types: it ends before {name}, with {} bytes",
                bytes.len()
            ),
            Some(own) => {
                let said = match when.is {
                    Is::Bytes(_) => reader.characters.push(own, &mut text).is_ok(),
                    Is::Numbers(_) => reader.compared(when.field, own, &mut text),
                };
                let shown: String = own
                    .iter()
                    .take(32)
                    .map(|byte| format!("{byte:02X}"))
                    .collect();
                let said = if said {
                    format!("\"{text}\" ")
                } else {
                    String::new()
                };
                format!(
                    "the record is of none of the types: {name} at byte {} is {said}(0x{shown}); if such records are of no use, add a type with skip = true",
                    when.at + 1
                )
            }
        }
    }
}

impl Type {
    fn new(config: &RecordConfig, records: &[Item], reader: &Reader) -> Result<Self, String> {
        let record = pick(config, records)?;
        let layout = Layout::new(&record, config.each.as_deref())?;
        let when = match &config.when {
            None => None,
            Some(when) => Some(When::new(when, &config.name, &layout, reader)?),
        };
        Ok(Self { layout, when })
    }

    fn is_of_each(&self, column: &str) -> bool {
        let column = self.layout.column(column);
        self.layout
            .each
            .as_ref()
            .zip(column)
            .is_some_and(|(each, column)| each.columns.contains(&column))
    }
}

impl When {
    fn new(
        config: &WhenConfig,
        of: &str,
        layout: &Layout,
        reader: &Reader,
    ) -> Result<Self, String> {
        let wrong =
            |sentence: String| format!("type {of}, when.field = \"{}\": {sentence}", config.field);
        let Some(column) = layout.column(&config.field) else {
            return Err(wrong(format!(
                "its layout has no such field; it has {}",
                layout.columns.join(", ")
            )));
        };
        let place = layout.places[column];
        let Some(at) = place.at else {
            return Err(wrong(
                "where it stands depends on a count before it, so no type can be told by it".into(),
            ));
        };
        let is = match place.field {
            Kept::Text { .. } | Kept::Zoned { .. } => {
                let bytes = |text: &String| {
                    reader
                        .characters
                        .bytes_of(text.trim_end())
                        .filter(|bytes| bytes.len() <= place.field.bytes())
                        .ok_or_else(|| {
                            wrong(format!(
                                "it can't be \"{text}\": it has {} bytes in this encoding",
                                place.field.bytes()
                            ))
                        })
                };
                Is::Bytes(config.is.0.iter().map(bytes).collect::<Result<_, _>>()?)
            }
            Kept::Packed { .. } | Kept::Binary { .. } => Is::Numbers(config.is.0.clone()),
        };
        Ok(Self {
            at,
            field: place.field,
            is,
        })
    }

    #[inline]
    fn holds(&self, bytes: &[u8], reader: &Reader, text: &mut String) -> bool {
        let end = self.at + self.field.bytes();
        let own = match bytes.get(self.at..end) {
            Some(own) => own,
            None if reader.padded => &bytes[self.at.min(bytes.len())..],
            None => return false,
        };
        match &self.is {
            Is::Bytes(all) => {
                let own = reader.characters.trimmed(own);
                all.iter().any(|one| one == own)
            }
            Is::Numbers(all) => {
                text.clear();
                reader.compared(self.field, own, text) && all.iter().any(|one| one == text)
            }
        }
    }
}

/// The copybook's record of a type.
fn pick(config: &RecordConfig, records: &[Item]) -> Result<Item, String> {
    let named = |name: &str| {
        records
            .iter()
            .find(|one| one.name.eq_ignore_ascii_case(name))
    };
    let name = match (&config.layout, records) {
        (Some(name), _) => name,
        (None, [one]) => return Ok(one.clone()),
        (None, _) if named(&config.name).is_some() => &config.name,
        (None, _) => {
            let names: Vec<String> = records.iter().map(|one| one.name.clone()).collect();
            return Err(format!(
                "the copybook describes {} records ({}); say with [[record]] which there are, and by what each is told: type, layout, when",
                records.len(),
                names.join(", ")
            ));
        }
    };
    if let Some(one) = named(name) {
        return Ok(one.clone());
    }
    let mut choices: Vec<String> = records.iter().map(|one| one.name.clone()).collect();
    for record in records {
        let mut record = record.clone();
        if choose(&mut record, name, &mut choices)? {
            return Ok(record);
        }
    }
    Err(format!(
        "layout = \"{name}\": the copybook has no such record or redefined item; it has {}",
        choices.join(", ")
    ))
}

/// Of items that describe the same bytes, leaves the one of this name and blanks the others; whether there is one.
fn choose(item: &mut Item, name: &str, choices: &mut Vec<String>) -> Result<bool, String> {
    let What::Group(items) = &mut item.what else {
        return Ok(false);
    };
    let mut start = 0;
    while start < items.len() {
        let over = items[start + 1..]
            .iter()
            .take_while(|next| next.redefines.is_some())
            .count();
        let set = start..start + 1 + over;
        if over > 0 {
            let named = items[set.clone()].iter().filter(|one| one.name != "FILLER");
            choices.extend(named.map(|one| one.name.clone()));
        }
        let chosen = set
            .clone()
            .find(|at| over > 0 && items[*at].name.eq_ignore_ascii_case(name));
        if let Some(chosen) = chosen {
            let bytes = items[set.clone()].iter().map(layout::span);
            let (least, most) = bytes.fold((0, 0), |all: (usize, usize), one| {
                (all.0.max(one.0), all.1.max(one.1))
            });
            let own = layout::span(&items[chosen]);
            if own.1 < most && least != most {
                return Err(format!(
                    "line {}: {name} redefines items of several lengths, so its own can't be told",
                    items[chosen].line
                ));
            }
            let mut only = items[chosen].clone();
            only.redefines = None;
            let filler = (own.1 < most).then(|| Item::filler(&only, most - own.1));
            items.splice(set, [only].into_iter().chain(filler));
            return Ok(true);
        }
        start += 1 + over;
    }
    for below in items {
        if choose(below, name, choices)? {
            return Ok(true);
        }
    }
    Ok(false)
}
