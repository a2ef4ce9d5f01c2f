//! How a preset is laid under a target's own table. Both are documents that know where in a text each value stands: what
//! comes from a shipped preset stands where the target names it, and what comes from a file of the user's own where [`Own`]
//! says, so that a problem is shown there.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{DEPTH_MAX, Own, Preset, read, text, unknown};

/// What a target with a preset does not say, or what is wrong with its preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Where that shows: in the text of the targets, or where [`Own::place`] finds it.
    pub at: Range<usize>,
    /// The target's name, where it has one.
    pub target: String,
    /// What is wrong.
    pub what: String,
    /// What to write; empty: what is wrong says it all.
    pub way_out: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target {:?}: {}", self.target, self.what)?;
        match self.way_out.as_str() {
            "" => Ok(()),
            way_out => write!(f, "; {way_out}"),
        }
    }
}

/// Why a preset cannot be laid: where that shows, what is wrong, and what to write.
pub(super) type Refused = (Range<usize>, String, &'static str);

/// Where the values of a preset are said to stand.
enum Stand {
    /// All of them here.
    At(Range<usize>),
    /// Each in its file, which begins here.
    From(usize),
}

impl Stand {
    fn of(&self, within: &Range<usize>) -> Range<usize> {
        match self {
            Self::At(span) => span.clone(),
            Self::From(start) => start + within.start..start + within.end,
        }
    }
}

/// Lays presets under all `[[target]]` tables of a document that name one. `own`: those that are files. What is left to say
/// is given back; whatever else is wrong shows when the document is read.
pub fn lay_under<'a>(root: &mut DeTable<'a>, own: &'a Own) -> Vec<Missing> {
    let mut missing = Vec::new();
    let Some(DeValue::Array(targets)) = root.get_mut("target").map(Spanned::get_mut) else {
        return missing;
    };
    for target in targets.iter_mut() {
        let DeValue::Table(table) = target.get_mut() else {
            continue;
        };
        let Some((name, span)) = preset_of(table) else {
            continue;
        };
        let target = table
            .get("name")
            .and_then(|name| name.get_ref().as_str())
            .unwrap_or("")
            .to_owned();
        let found = |at, what, way_out| Missing {
            at,
            target: target.clone(),
            what,
            way_out,
        };
        match lay(table, &name, &span, own) {
            Ok(unsaid) => missing.extend(unsaid.into_iter().map(|(setting, what)| {
                let needs = format!("{setting}: preset {name:?} needs it");
                found(span.clone(), needs, format!("write {what}"))
            })),
            Err((at, what, way_out)) => missing.push(found(at, what, way_out.to_owned())),
        }
    }
    missing
}

pub(super) fn preset_of(table: &DeTable<'_>) -> Option<(String, Range<usize>)> {
    let value = table.get("preset")?;
    Some((value.get_ref().as_str()?.to_owned(), value.span()))
}

/// What the presets want of the target and don't find: the setting, and what to write.
fn lay<'a>(
    table: &mut DeTable<'a>,
    name: &str,
    span: &Range<usize>,
    own: &'a Own,
) -> Result<Vec<(String, String)>, Refused> {
    let mut chain: Vec<Preset> = Vec::new();
    let mut next = Some((name.to_owned(), span.clone()));
    let mut folder = own.folder();
    while let Some((name, named_at)) = next {
        if chain.len() == DEPTH_MAX {
            let what = format!("preset: {name:?} lies on more than {DEPTH_MAX} others");
            return Err((named_at, what, "let one of them lie on none"));
        }
        let (text, preset, stand) = match own.find(folder, &name) {
            Some(Ok(file)) => {
                folder = file.folder();
                (file.text(), file.preset()?, Stand::From(file.start()))
            }
            Some(Err(reason)) => {
                let way_out = "write where it stands, from this file's own folder on; a shipped preset is named without \".toml\"";
                return Err((named_at, format!("preset: {reason}"), way_out));
            }
            None => {
                let refused = |reason| (named_at.clone(), format!("preset: {reason}"), SHIPPED);
                let text = text(&name).ok_or_else(|| refused(unknown(&name)))?;
                (text, read(&name).map_err(refused)?, Stand::At(named_at))
            }
        };
        next = put_all(table, text, &stand);
        chain.push(preset);
    }
    let wanted = chain.iter().flat_map(|preset| {
        let asked = preset.write.iter();
        asked.filter(|(setting, _)| !says(table, setting) && !is_moot(table, preset, setting))
    });
    Ok(wanted
        .map(|(setting, what)| (setting.clone(), what.clone()))
        .collect())
}

const SHIPPED: &str = "write one that there is, or the path of your own, which ends in \".toml\"";

/// Puts a preset's `[target]` beneath a target's table. The preset that it lies on, and where it says so.
fn put_all<'a>(
    table: &mut DeTable<'a>,
    text: &'a str,
    stand: &Stand,
) -> Option<(String, Range<usize>)> {
    // It was read: this text is a good one.
    let document = DeTable::parse(text).ok()?.into_inner();
    let DeValue::Table(beneath) = document.get("target")?.get_ref() else {
        return None;
    };
    put_beneath(table, beneath, stand);
    preset_of(beneath).map(|(name, within)| (name, stand.of(&within)))
}

fn put_beneath<'a>(own: &mut DeTable<'a>, beneath: &DeTable<'a>, stand: &Stand) {
    for (key, below) in beneath {
        let Some(above) = own.get_mut(&**key.get_ref()) else {
            own.insert(
                Spanned::new(stand.of(&key.span()), key.get_ref().clone()),
                standing(below, stand),
            );
            continue;
        };
        match (above.get_mut(), below.get_ref()) {
            (DeValue::Table(above), DeValue::Table(below)) if !is_another(above, below) => {
                put_beneath(above, below, stand);
            }
            (DeValue::Array(above), DeValue::Array(below)) if key.get_ref() == "rule" => {
                for rule in below.iter() {
                    above.push(standing(rule, stand));
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

fn standing<'a>(value: &Spanned<DeValue<'a>>, stand: &Stand) -> Spanned<DeValue<'a>> {
    let moved = match value.get_ref() {
        DeValue::Array(list) => {
            let mut moved = DeArray::new();
            for item in list.iter() {
                moved.push(standing(item, stand));
            }
            DeValue::Array(moved)
        }
        DeValue::Table(table) => {
            let moved = table.iter().map(|(key, item)| {
                (
                    Spanned::new(stand.of(&key.span()), key.get_ref().clone()),
                    standing(item, stand),
                )
            });
            DeValue::Table(moved.collect())
        }
        other => other.clone(),
    };
    Spanned::new(stand.of(&value.span()), moved)
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
