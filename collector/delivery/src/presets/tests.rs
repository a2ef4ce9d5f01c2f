use super::*;

use std::path::Path;

use crate::TargetConfig;
use toml::de::DeValue;

#[derive(Debug, Deserialize)]
struct Whole {
    target: Vec<TargetConfig>,
}

fn target(text: &str) -> Result<TargetConfig, String> {
    merged::<Whole>(
        &format!("[[target]]\nname = \"erp\"\n{text}"),
        Path::new(""),
    )
    .map(|mut whole| whole.target.remove(0))
}

/// A target with the preset and something for all that it wants to be told.
fn filled(name: &str) -> String {
    let mut text = format!("preset = {name:?}\n");
    let (mut plain, mut tables) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        let preset = read(&name).expect("a preset");
        for (setting, what) in preset.write {
            // What it shows as an example is what is written.
            let example = what.split_once(": ").map_or("", |(_, example)| example);
            let example = example.split(" in [").next().unwrap_or("").to_owned();
            match setting.rsplit_once('.') {
                None => {
                    plain.insert(setting, example);
                }
                Some((table, _)) => tables.entry(table.to_owned()).or_default().push(example),
            }
        }
        next = preset
            .target
            .get("preset")
            .and_then(|name| name.as_str())
            .map(str::to_owned);
    }
    for example in plain.into_values() {
        text.push_str(&format!("{example}\n"));
    }
    for (table, examples) in tables {
        text.push_str(&format!("[target.{table}]\n{}\n", examples.join("\n")));
    }
    text
}

#[test]
fn every_shipped_preset_is_read_and_makes_a_good_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    let mut files = Vec::new();
    for erp in std::fs::read_dir(&folder).expect("the folder") {
        let erp = erp.expect("an entry").path();
        for file in std::fs::read_dir(&erp).expect("a folder") {
            let path = file.expect("an entry").path();
            let name = path.strip_prefix(&folder).expect("it is in it");
            files.push(name.with_extension("").to_str().expect("UTF-8").to_owned());
        }
    }
    files.sort();
    assert_eq!(
        names().collect::<Vec<_>>(),
        files,
        "the table and the folder differ"
    );
    for name in names() {
        let preset = read(name).expect(name);
        assert!(
            !preset.about.is_empty() && !preset.tested.is_empty(),
            "{name}"
        );
        if preset.stands_alone() {
            let config = target(&filled(name)).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            assert_eq!(config.validate(), [""; 0], "{name}");
            assert!(!config.bodies.is_empty(), "{name}");
        }
    }
}

#[test]
fn the_targets_own_settings_win_and_its_rules_come_first() {
    let text = filled("tryton/items")
        + "[target.calls]\nverify_after = \"1s\"\n[target.calls.call.create]\nbody = \"{}\"\n\
           [[target.rule]]\nwhen = [{ at = \"/error/0\", equals = \"UserWarning\" }]\noutcome = \"poison\"\n";
    let config = target(&text).expect("it is merged");
    let beneath = target(&filled("tryton/items")).expect("it is merged");
    assert_eq!(config.calls.verify_after.as_secs(), 1);
    assert_eq!(config.calls.first, "find");
    let (own, below) = (&config.calls.call["create"], &beneath.calls.call["create"]);
    assert_eq!(own.body.as_deref(), Some("{}"));
    assert_eq!((&own.url, &own.rule), (&below.url, &below.rule));
    assert_eq!(config.rules.len(), beneath.rules.len() + 1);
    assert_eq!(config.rules[1..], beneath.rules);
    assert_eq!(config.vars["unit"].as_str(), Some("u"));
}

#[test]
fn a_table_of_another_kind_replaces_the_presets_whole() {
    let text = "preset = \"tryton/items\"\nurl = \"https://erp.example/erp/\"\nvars = { company = 1 }\n\
                [target.auth]\nkind = \"bearer\"\ntoken_file = \"/t\"\n";
    let config = target(text).expect("nobody wants a user of it");
    assert!(matches!(config.auth, crate::config::Auth::Bearer { .. }));
    let text = text.replace("kind = \"bearer\"\ntoken_file = \"/t\"", "kind = \"none\"");
    assert_eq!(
        target(&text).expect("its account signs in").auth,
        crate::config::Auth::None
    );
}

#[test]
fn what_is_left_to_say_is_named_with_what_to_write() {
    for (text, said) in [
        (
            "preset = \"tryton/itms\"",
            "there is no preset \"tryton/itms\"",
        ),
        ("preset = \"tryton\"", "\"tryton/inventory\"?"),
        (
            "preset = \"tryton/items\"",
            "auth.password_file: preset \"tryton/items\" needs it; write the file with",
        ),
        (
            &filled("tryton/items").replace("company = 1", "firm = 1"),
            "vars.company: preset \"tryton/items\" needs it; write the id of the company",
        ),
        (
            &filled("tryton/items")
                .replace("url = \"https://tryton.example/DATABASE/\"", "url = \"\""),
            "url: preset",
        ),
    ] {
        let wrong = target(text).expect_err(text);
        assert!(wrong.contains(said), "{text}: {wrong}");
    }
    let text = filled("tryton/items").replace("DATABASE/", "DATABASE");
    let wrong = target(&text).expect("it is read").validate();
    assert!(wrong[0].contains("end it with \"/\""), "{wrong:?}");
    assert!(wrong[0].ends_with("(beneath it lies preset \"tryton/items\")"));
}

#[test]
fn what_comes_from_a_preset_stands_where_the_target_names_it() {
    let text = format!("[[target]]\nname = \"erp\"\n{}", filled("tryton/items"));
    let own = Own::of(&text, Path::new(""));
    let mut root = DeTable::parse(&text).expect("TOML");
    assert!(lay_under(root.get_mut(), &own).is_empty());
    let target = &root.get_ref()["target"].get_ref()[0];
    let at = text.find("\"tryton/items\"").expect("its name");
    assert_eq!(target.get_ref()["calls"].span().start, at);
    assert!(matches!(
        target.get_ref()["bodies"].get_ref(),
        DeValue::Array(_)
    ));
    assert!(target.get_ref()["vars"].span().start > at);
}
