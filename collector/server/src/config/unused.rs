//! Values under `[target.vars]` that no template of the target names: most likely a typing error.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Of each target with its preset beneath it: which `[[target]]`, from 0, and the name.
pub(super) fn vars(root: &DeTable<'_>) -> Vec<(usize, String)> {
    let Some(DeValue::Array(targets)) = root.get("target").map(Spanned::get_ref) else {
        return Vec::new();
    };
    let tables = targets
        .iter()
        .enumerate()
        .filter_map(|(index, target)| Some((index, target.get_ref().as_table()?)));
    tables
        .flat_map(|(index, table)| of_target(table).into_iter().map(move |name| (index, name)))
        .collect()
}

fn of_target(table: &DeTable<'_>) -> Vec<String> {
    let Some(DeValue::Table(vars)) = table.get("vars").map(Spanned::get_ref) else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for (_, value) in table.iter().filter(|(key, _)| key.get_ref() != "vars") {
        collect(value.get_ref(), &mut texts);
    }
    let names = vars.keys().map(|name| name.get_ref().to_string());
    names
        .filter(|name| !texts.iter().any(|text| may_name(text, name)))
        .collect()
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
            let found: Vec<_> = vars(root.get_ref());
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
