//! `presets`, `presets show NAME`, `presets merged TARGET`: no collector need run, and the configuration may have problems.

use std::path::Path;

use dray_delivery::presets;
use toml::{Table, Value};

use super::out::{self, say};
use crate::cli::Presets;
use crate::config::Config;
use crate::failure::Failure;

/// Prints what was asked for. `config`: the configuration's file, read only for a target's table.
///
/// # Errors
/// [`Failure`], a sentence with the way out.
pub fn run(command: Option<&Presets>, config: &Path) -> Result<(), Failure> {
    match command {
        None | Some(Presets::List) => list(),
        Some(Presets::Show { name }) => match presets::text(name) {
            Some(text) => {
                out::put(format_args!("{text}"));
                Ok(())
            }
            None => Err(Failure::Failed(format!(
                "there is no preset \"{name}\" among those that are shipped; \"dray-collector presets\" lists them"
            ))),
        },
        Some(Presets::Merged { target }) => {
            let text = Config::text(config).map_err(Failure::Config)?;
            let folder = config.parent().unwrap_or(Path::new(""));
            let shown = merged(&text, folder, target).map_err(Failure::Failed)?;
            out::put(format_args!("{shown}"));
            Ok(())
        }
    }
}

fn list() -> Result<(), Failure> {
    for name in presets::names() {
        let preset = presets::read(name).map_err(Failure::Failed)?;
        say!(
            "{name}\n    {}\n    Tested: {}.",
            preset.about,
            preset.tested
        );
    }
    Ok(())
}

/// A target's table as TOML.
fn merged(text: &str, folder: &Path, target: &str) -> Result<String, String> {
    let whole: Table = presets::merged(text, folder)?;
    let tables = whole.get("target").and_then(Value::as_array);
    let is_it = |table: &&Value| table.get("name").and_then(Value::as_str) == Some(target);
    let table = tables.and_then(|tables| tables.iter().find(is_it));
    let table = table.ok_or_else(|| format!("the configuration has no target \"{target}\""))?;
    let mut table = table.clone();
    // It is laid beneath already: once more, its rules would be there twice.
    if let Value::Table(table) = &mut table {
        table.remove("preset");
    }
    let mut shown = Table::new();
    shown.insert("target".into(), Value::Array(vec![table]));
    toml::to_string_pretty(&shown).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_table_is_itself_a_target_without_a_preset() {
        let text = "[[target]]\nname = \"a\"\nurl = \"http://a/\"\n[[target]]\nname = \"erp\"\npreset = \"tryton/items\"\n\
                    url = \"http://erp.example/erp/\"\nvars = { company = 7 }\nauth = { user = \"u\", password_file = \"/p\" }\n";
        let shown = merged(text, Path::new(""), "erp").expect("it is there");
        assert!(!shown.contains("preset ="), "{shown}");
        let table: Table = toml::from_str(&shown).expect("TOML");
        let target = &table["target"][0];
        assert_eq!(target["vars"]["company"].as_integer(), Some(7));
        assert_eq!(
            target["calls"]["call"]["find"]["url"].as_str(),
            Some("rpc/")
        );
        assert!(
            merged(text, Path::new(""), "b")
                .expect_err("none")
                .contains("no target")
        );
    }
}
