//! How a preset is laid under a target's own table. Both are documents that know where in a text each value stands: what
//! comes from a preset stands where the target names it, so that a problem is shown there.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{DEPTH_MAX, Preset, read, text, unknown};

/// What a target with a preset does not say, or that there is no such preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which `[[target]]`, from 0.
    pub index: usize,
    /// Its name, where it has one.
    pub target: String,
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub way_out: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "target {:?}: {}; {}",
            self.target, self.what, self.way_out
        )
    }
}

/// Lays presets under all `[[target]]` tables of a document that name one. What is left to say is given back; whatever
/// else is wrong shows when the document is read.
pub fn lay_under(root: &mut DeTable<'_>) -> Vec<Missing> {
    let mut missing = Vec::new();
    let Some(DeValue::Array(targets)) = root.get_mut("target").map(Spanned::get_mut) else {
        return missing;
    };
    for (index, target) in targets.iter_mut().enumerate() {
        let DeValue::Table(own) = target.get_mut() else {
            continue;
        };
        let Some((name, span)) = preset_of(own) else {
            continue;
        };
        let target = own
            .get("name")
            .and_then(|name| name.get_ref().as_str())
            .unwrap_or("")
            .to_owned();
        let found = |what, way_out| Missing {
            index,
            target: target.clone(),
            what,
            way_out,
        };
        match lay(own, &name, &span) {
            Ok(unsaid) => missing.extend(unsaid.into_iter().map(|(setting, what)| {
                let needs = format!("{setting}: preset {name:?} needs it");
                found(needs, format!("write {what}"))
            })),
            Err(reason) => missing.push(found(
                format!("preset: {reason}"),
                "write one that there is".to_owned(),
            )),
        }
    }
    missing
}

fn preset_of(table: &DeTable<'_>) -> Option<(String, Range<usize>)> {
    let value = table.get("preset")?;
    Some((value.get_ref().as_str()?.to_owned(), value.span()))
}

/// What the presets want of the target and don't find: the setting, and what to write.
fn lay(
    own: &mut DeTable<'_>,
    name: &str,
    span: &Range<usize>,
) -> Result<Vec<(String, String)>, String> {
    let mut chain: Vec<Preset> = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        if chain.len() == DEPTH_MAX {
            return Err(format!("{name:?} lies on more than {DEPTH_MAX} others"));
        }
        let preset = read(&name)?;
        let text = text(&name).ok_or_else(|| unknown(&name))?;
        let document = DeTable::parse(text).map_err(|error| error.to_string())?;
        if let Some(DeValue::Table(beneath)) =
            document.get_ref().get("target").map(Spanned::get_ref)
        {
            put_beneath(own, beneath, span);
        }
        next = preset
            .target
            .get("preset")
            .and_then(|name| name.as_str())
            .map(str::to_owned);
        chain.push(preset);
    }
    let wanted = chain.iter().flat_map(|preset| {
        let asked = preset.write.iter();
        asked.filter(|(setting, _)| !says(own, setting) && !is_moot(own, preset, setting))
    });
    Ok(wanted
        .map(|(setting, what)| (setting.clone(), what.clone()))
        .collect())
}

/// `span`: where what comes from beneath is said to stand.
fn put_beneath(own: &mut DeTable<'_>, beneath: &DeTable<'static>, span: &Range<usize>) {
    for (key, below) in beneath {
        let Some(above) = own.get_mut(&**key.get_ref()) else {
            own.insert(
                Spanned::new(span.clone(), key.get_ref().clone()),
                Spanned::new(span.clone(), standing_at(below.get_ref(), span)),
            );
            continue;
        };
        match (above.get_mut(), below.get_ref()) {
            (DeValue::Table(above), DeValue::Table(below)) if !is_another(above, below) => {
                put_beneath(above, below, span);
            }
            (DeValue::Array(above), DeValue::Array(below)) if key.get_ref() == "rule" => {
                for rule in below.iter() {
                    above.push(Spanned::new(
                        span.clone(),
                        standing_at(rule.get_ref(), span),
                    ));
                }
            }
            _ => {}
        }
    }
}

/// Whether the upper table is of another kind than the lower one.
fn is_another(above: &DeTable<'_>, below: &DeTable<'_>) -> bool {
    let kind = |table: &DeTable<'_>| -> Option<String> {
        Some(table.get("kind")?.get_ref().as_str()?.to_owned())
    };
    kind(above).is_some_and(|kind_above| kind(below).is_some_and(|below| below != kind_above))
}

fn standing_at(value: &DeValue<'static>, span: &Range<usize>) -> DeValue<'static> {
    match value {
        DeValue::Array(list) => {
            let mut moved = DeArray::new();
            for item in list.iter() {
                moved.push(Spanned::new(
                    span.clone(),
                    standing_at(item.get_ref(), span),
                ));
            }
            DeValue::Array(moved)
        }
        DeValue::Table(table) => {
            let moved = table.iter().map(|(key, item)| {
                (
                    Spanned::new(span.clone(), key.get_ref().clone()),
                    Spanned::new(span.clone(), standing_at(item.get_ref(), span)),
                )
            });
            DeValue::Table(moved.collect())
        }
        other => other.clone(),
    }
}

/// Whether a dotted setting has a value.
fn says(table: &DeTable<'_>, setting: &str) -> bool {
    let (first, rest) = setting.split_once('.').unwrap_or((setting, ""));
    match table.get(first).map(Spanned::get_ref) {
        Some(DeValue::Table(inner)) if !rest.is_empty() => says(inner, rest),
        Some(DeValue::String(text)) => !text.is_empty(),
        Some(_) => rest.is_empty(),
        None => false,
    }
}

/// Whether a setting belongs to a table of the preset that the target replaces by one of another kind.
fn is_moot(own: &DeTable<'_>, preset: &Preset, setting: &str) -> bool {
    let Some((table, _)) = setting.split_once('.') else {
        return false;
    };
    let below = preset.target.get(table).and_then(|table| table.get("kind"));
    let above = own
        .get(table)
        .and_then(|value| value.get_ref().get("kind"))
        .and_then(|kind| kind.get_ref().as_str());
    below
        .and_then(|kind| kind.as_str())
        .zip(above)
        .is_some_and(|(below, above)| below != above)
}
