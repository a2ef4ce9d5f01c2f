//! Values under `[target.vars]` that no template of the target names: most likely a typing error.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The values that each target has itself, before its preset lies beneath it: which `[[target]]`, from 0, and the name.
pub(super) fn written(root: &DeTable<'_>) -> Vec<(usize, String)> {
    let names = |(index, table)| {
        let vars = vars_of(table);
        let names = vars.into_iter().flat_map(|vars| vars.keys());
        names.map(move |name| (index, name.get_ref().to_string()))
    };
    tables(root).flat_map(names).collect()
}

/// Those of them that no template names, with the presets beneath. What a preset has is its own business.
pub(super) fn of(written: Vec<(usize, String)>, laid: &DeTable<'_>) -> Vec<(usize, String)> {
    let mut texts: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (index, table) in tables(laid) {
        for (_, value) in table.iter().filter(|(key, _)| key.get_ref() != "vars") {
            collect(value.get_ref(), texts.entry(index).or_default());
        }
    }
    let is_unused = |(index, name): &(usize, String)| {
        let texts = texts.get(index);
        !texts.is_some_and(|texts| texts.iter().any(|text| may_name(text, name)))
    };
    written.into_iter().filter(is_unused).collect()
}

fn tables<'a>(root: &'a DeTable<'a>) -> impl Iterator<Item = (usize, &'a DeTable<'a>)> {
    let targets = root.get("target").map(Spanned::get_ref);
    let targets = targets.and_then(DeValue::as_array);
    let targets = targets.into_iter().flat_map(|targets| targets.iter());
    let numbered = targets.enumerate();
    numbered.filter_map(|(index, target)| Some((index, target.get_ref().as_table()?)))
}

fn vars_of<'a>(table: &'a DeTable<'a>) -> Option<&'a DeTable<'a>> {
    table.get("vars")?.get_ref().as_table()
}

fn collect<'a>(value: &'a DeValue<'_>, texts: &mut Vec<&'a str>) {
    match value {
        DeValue::String(text) => texts.push(text),
        DeValue::Array(list) => list.iter().for_each(|item| collect(item.get_ref(), texts)),
        DeValue::Table(table) => table
            .values()
            .for_each(|item| collect(item.get_ref(), texts)),
        _ => {}
    }
}

/// Whether a text names it; one that takes `vars` as a whole may.
fn may_name(text: &str, name: &str) -> bool {
    text.match_indices("vars").any(|(at, word)| {
        let rest = &text[at + word.len()..];
        let Some(rest) = rest.strip_prefix('.') else {
            return true;
        };
        rest.strip_prefix(name).is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_no_template_names_is_found() {
        let check = |template: &str, expected: &[&str]| {
            let text = format!(
                "[[target]]\n[[target]]\ntemplate = '{template}'\n[target.vars]\nunit = \"u\"\nunit_pric = 1"
            );
            let root = DeTable::parse(&text).expect("it parses");
            let found = of(written(root.get_ref()), root.get_ref());
            let expected: Vec<_> = expected
                .iter()
                .map(|name| (1, (*name).to_owned()))
                .collect();
            assert_eq!(found, expected, "{template}");
        };
        check("{{ vars.unit }}", &["unit_pric"]);
        check("{{ vars.unit_price }}", &["unit", "unit_pric"]);
        check("{{ vars.unit }} {{ vars.unit_pric | number }}", &[]);
        check("{{ vars | tojson }}", &[]);
    }
}
