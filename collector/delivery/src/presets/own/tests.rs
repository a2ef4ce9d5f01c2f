use super::super::{lay_under, merged};
use super::*;

use serde::Deserialize;

use crate::TargetConfig;

#[derive(Debug, Deserialize)]
struct Whole {
    target: Vec<TargetConfig>,
}

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

/// A target that lies on `presets/ours.toml`.
const TARGET: &str = "[[target]]\nname = \"erp\"\npreset = \"presets/ours.toml\"\nurl = \"https://erp.example/api/\"\n";

fn target(files: &[(&str, &str)]) -> Result<TargetConfig, String> {
    let folder = folder(files);
    merged::<Whole>(TARGET, folder.path()).map(|mut whole| whole.target.remove(0))
}

#[test]
fn a_file_beside_the_configuration_lies_beneath_its_target() {
    let ours = "[target]\nbodies = [\"item\"]\nbatch = 7\nurl = \"https://another.example/\"\n";
    let config = target(&[("presets/ours.toml", ours)]).expect("it is merged");
    assert_eq!(
        (config.batch, config.url.as_str()),
        (7, "https://erp.example/api/")
    );
    assert_eq!(config.bodies, ["item"]);
    assert_eq!(config.validate(), [""; 0]);
}

#[test]
fn it_may_lie_on_another_file_and_on_a_shipped_preset() {
    let ours = "[target]\npreset = \"more/rules.toml\"\n[target.vars]\ncompany = 1\n[target.auth]\nuser = \"u\"\npassword_file = \"/p\"\n\
                [[target.rule]]\nstatus = [\"418\"]\noutcome = \"transient\"\n";
    // A path goes on from the folder of the file that names it.
    let rules = "[target]\npreset = \"tryton/items\"\n[[target.rule]]\nstatus = [\"419\"]\noutcome = \"transient\"\n";
    let files = [
        ("presets/ours.toml", ours),
        ("presets/more/rules.toml", rules),
    ];
    let config = target(&files).expect("it is merged");
    assert_eq!(config.rules[0].status, ["418"]);
    assert_eq!(config.rules[1].status, ["419"]);
    assert!(
        config.calls.call.contains_key("skip"),
        "Tryton's session lies at the bottom"
    );
    let without = [
        files[0],
        (
            "presets/more/rules.toml",
            "[target]\npreset = \"tryton/itms\"\n",
        ),
    ];
    let wrong = target(&without).expect_err("there is none");
    assert!(
        wrong.contains("rules.toml:2: target \"erp\": preset: there is no preset \"tryton/itms\""),
        "{wrong}"
    );
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_that_file_and_its_line() {
    let large = "#".repeat(usize::try_from(OWN_BYTES_MAX).expect("it fits") + 1);
    for (ours, place, said) in [
        (
            "about = \"a\"\nabuot = \"b\"\n[target]\n",
            "ours.toml:2: ",
            "unknown field `abuot`",
        ),
        (
            "[target]\nbatch = 1\nbacth = 1\n",
            "ours.toml:3: ",
            "unknown field `bacth`",
        ),
        (
            "[target]\n[target.calls]\nfirst = \"find\"\n[target.calls.call.find]\nurls = \"a\"\n",
            "ours.toml:5: ",
            "unknown field `urls`",
        ),
        (
            "[target]\nbatch = \"one\"\n",
            "ours.toml:2: ",
            "invalid type",
        ),
        ("[target]\nbatch = \n", "ours.toml:2: ", "target \"erp\": "),
        (
            "about = \"no target\"\n",
            "ours.toml:1: ",
            "missing field `target`",
        ),
        (
            "[write]\n\"vars.company\" = \"its id: company = 1 in [target.vars]\"\n[target]\n",
            "target \"erp\": ",
            "vars.company: preset \"presets/ours.toml\" needs it; write its id",
        ),
        (
            "[target]\npreset = \"ours.toml\"\n",
            "ours.toml:2: ",
            "lies on more than 5 others",
        ),
        (
            "[target]\npreset = \"theirs.toml\"\n",
            "ours.toml:2: ",
            "theirs.toml cannot be read: No such file",
        ),
        (
            &large,
            "target \"erp\": ",
            "a preset has at most 262144 bytes",
        ),
    ] {
        let wrong = target(&[("presets/ours.toml", ours)]).expect_err(said);
        assert!(
            wrong.contains(place) && wrong.contains(said),
            "{place}{said}: {wrong}"
        );
    }
    let wrong = target(&[("presets/ours.toml/file", "")]).expect_err("a folder");
    assert!(
        wrong.contains("cannot be read: it is no file; write where it stands"),
        "{wrong}"
    );
    assert!(
        target(&[])
            .expect_err("none")
            .contains("cannot be read: No such file")
    );
}

#[test]
fn each_value_stands_in_the_file_that_says_it() {
    let ours = "[target]\nbatch = 7\npreset = \"tryton/session\"\n";
    let folder = folder(&[("presets/ours.toml", ours)]);
    let own = Own::of(TARGET, folder.path());
    let mut root = DeTable::parse(TARGET).expect("TOML");
    assert!(
        !lay_under(root.get_mut(), &own).is_empty(),
        "a session needs a user"
    );
    let target = &root.get_ref()["target"].get_ref()[0];
    let place = |key: &str| own.place(target.get_ref()[key].span().start);
    let path = folder.path().join("presets/ours.toml");
    let at = |value: &str| ours.find(value).expect("its value");
    assert_eq!(place("batch"), Some((path.as_path(), ours, at("7"))));
    // What is shipped stands where it is named.
    assert_eq!(place("calls"), Some((path.as_path(), ours, at("\"tryton"))));
    assert_eq!(place("url"), None);
}
