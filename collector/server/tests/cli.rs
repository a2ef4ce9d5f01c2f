//! The program as a person meets it: exit codes, and sentences that tell the way out.
#![allow(missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_dray-collector");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .expect("it starts");
    (
        status.code(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        ),
    )
}

#[test]
fn exit_codes_and_words_are_as_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let good = folder.path().join("good.toml");
    let fine = format!(
        "data_dir = \"{}\"\nlisten = \"127.0.0.1:0\"\nmetrics = \"off\"\nnames = [\"127.0.0.1\"]\n",
        data.display()
    );
    std::fs::write(&good, &fine).expect("written");
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, fine.replace("listen", "lisen")).expect("written");
    let no_secret = folder.path().join("secret.toml");
    let target = "[[target]]\nname = \"erp\"\nurl = \"http://127.0.0.1:9/\"\n[target.auth]\nkind = \"bearer\"\ntoken_file = \"/does/not/exist\"\n";
    std::fs::write(&no_secret, fine + target).expect("written");
    let missing = folder.path().join("missing.toml");
    let table: [(&Path, &[&str], i32, &str); 18] = [
        (&good, &["check"], 0, "The configuration is fine."),
        (
            &broken,
            &["check"],
            78,
            "broken.toml:2:1: unknown field `lisen`",
        ),
        (&broken, &["run"], 78, "did you mean \"listen\"?"),
        (&missing, &["status"], 78, "--config"),
        (
            &no_secret,
            &["check"],
            78,
            "token_file /does/not/exist cannot be read",
        ),
        (&no_secret, &["run"], 78, "/does/not/exist"),
        (&good, &["status"], 69, "is it running"),
        (&broken, &["status"], 69, "is it running"),
        (
            &broken,
            &["dead-letters", "list"],
            69,
            "broken.toml has errors",
        ),
        (&broken, &["reader", "lake"], 78, "did you mean \"listen\"?"),
        (
            &good,
            &["shadow", "erp", "--verdict", "diff"],
            2,
            "differs, missing",
        ),
        (&good, &["frobnicate"], 2, "Usage"),
        (&good, &["dead-letters", "retry"], 2, "<ID>"),
        (&missing, &["presets"], 0, "tryton/items"),
        (
            &missing,
            &["presets", "show", "tryton/items"],
            0,
            "preset = \"tryton/session\"",
        ),
        (
            &missing,
            &["presets", "show", "tryton"],
            1,
            "there is no preset",
        ),
        (
            &no_secret,
            &["presets", "merged", "erp"],
            0,
            "token_file = \"/does/not/exist\"",
        ),
        (&good, &["reader", "Lake House"], 1, "cannot name a reader"),
    ];
    for (config, arguments, code, words) in table {
        let (found, said) = run(config, arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn a_pipe_that_is_closed_ends_a_command_without_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("c.toml");
    let text = format!(
        "data_dir = \"{}\"\nlisten = \"127.0.0.1:0\"\nmetrics = \"off\"\nnames = [\"127.0.0.1\"]\n",
        folder.path().join("data").display()
    );
    std::fs::write(&config, text).expect("written");
    for arguments in [
        &["check"][..],
        &["presets"],
        &["presets", "show", "tryton/items"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_dray-collector"))
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .stdout(writer)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), &*said),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}
