//! Folders that are away, come back, or can't be watched, and the sample of a person.

use std::fs;

use dray_adapter::conformance::{entries, shown};
use dray_file_drop::Finding;
use dray_file_drop::tail::preview;

use crate::support::{Logs, cells, work};

#[test]
fn a_share_that_goes_away_and_comes_back_goes_on_where_it_was() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\ntwo\n");
    work(&mut agent, 2);
    let away = logs.path.with_extension("away");
    fs::rename(&logs.path, &away).expect("it goes");
    for _ in 0..20 {
        agent.poll();
    }
    // The empty folder below the mount.
    fs::create_dir(&logs.path).expect("a folder");
    agent.nothing_more("the folder is empty");
    agent.reopen(logs.source());
    agent.nothing_more("the folder is empty");
    fs::remove_dir(&logs.path).expect("it goes");
    fs::rename(&away, &logs.path).expect("it is back");
    logs.append("app.log", "three\n");
    work(&mut agent, 3);
    assert_eq!(cells(&agent), ["one", "two", "three"]);
}

#[test]
fn a_file_renamed_to_a_name_that_does_not_fit_is_read_to_its_end() {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    logs.create("app.log", "one\n");
    work(&mut agent, 1);
    logs.append("app.log", "two\n");
    logs.rename("app.log", "elsewhere");
    logs.create("app.log", "three\n");
    work(&mut agent, 3);
    assert_eq!(cells(&agent), ["one", "two", "three"]);
}

#[test]
fn a_preview_shows_the_whole_lines_of_a_sample() {
    let logs = Logs::new("");
    logs.create("app.log", "one\ntwo\nthree\nfou");
    let seen = |records_max| {
        let batches = preview(
            "north/log",
            &logs.config(),
            &logs.at("app.log"),
            records_max,
        )
        .expect("a sample");
        let log: Vec<_> = batches.iter().flat_map(entries).collect();
        let lines: Vec<String> = shown(&log).into_iter().map(str::to_owned).collect();
        (lines, batches.last().is_some_and(|batch| batch.ends_unit))
    };
    assert_eq!(
        seen(2),
        (
            vec!["app.log:1: one".into(), "app.log:2: two".into()],
            false
        )
    );
    assert_eq!(seen(10).0.len(), 3);
    let missing = preview("north/log", &logs.config(), &logs.at("nothing"), 1);
    assert!(
        missing
            .expect_err("it is not there")
            .contains("can't be read")
    );
}

#[test]
fn a_check_says_what_fits_and_warns_of_too_many() {
    let logs = Logs::new("pattern = \"*.log\"\n");
    for file in 0..17 {
        fs::write(logs.at(&format!("{file}.log")), "x\n").expect("a file");
    }
    let findings = logs.config().check();
    let said = format!("{findings:?}");
    assert!(said.contains("17 files in it fit \\\"*.log\\\""), "{said}");
    assert!(
        findings
            .iter()
            .any(|finding| matches!(finding, Finding::Warning(text) if text.contains("17 files"))),
        "{said}"
    );
    fs::remove_dir_all(&logs.path).expect("it goes");
    let findings = logs.config().check();
    assert!(
        matches!(&findings[..], [Finding::Wrong(text)] if text.contains("make the folder")),
        "{findings:?}"
    );
}
