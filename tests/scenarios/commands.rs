//! The commands as a person uses them.

use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site, run};
use dray_tests::target::Target;

use crate::{PATIENCE, folder, target_table};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn preview_shows_events_and_broken_lines_without_a_collector() {
    let folder = folder("preview");
    let site =
        Site::lay_out(folder.path(), &[FlowSpec::movements("movements")], "").expect("a site");
    let sample = folder.path().join("sample.txt");
    let lines = format!("{}broken|line\n", movements(0, 2, 10));
    std::fs::write(&sample, lines).expect("a sample");
    let shown = site
        .agent_command(&[
            "preview",
            sample.to_str().expect("UTF-8"),
            "--flow",
            "movements",
        ])
        .expect("preview");
    let shown = text(&shown.stdout);
    for word in [
        "MV0000000000",
        "SKU-0000001",
        "inventory_movement",
        "line 4",
        "2 columns",
    ] {
        assert!(shown.contains(word), "\"{word}\" is missing:\n{shown}");
    }
    assert!(sample.exists(), "a preview moves nothing");
}

#[test]
fn check_names_what_is_wrong_and_ends_with_78() {
    let folder = folder("check");
    let site =
        Site::lay_out(folder.path(), &[FlowSpec::movements("movements")], "").expect("a site");
    std::fs::remove_dir(site.drops("movements")).expect("an empty folder");
    let output = run("dray-agent", &site.agent_config(), &["check"]).expect("it starts");
    assert_eq!(output.status.code(), Some(78), "{}", text(&output.stderr));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("drops/movements"), "{said}");
    let config = std::fs::read_to_string(site.agent_config())
        .expect("the file")
        .replace("MOVE_NO", "MOVE_NR");
    std::fs::create_dir(site.drops("movements")).expect("a folder");
    std::fs::write(
        site.agent_config(),
        config.replace("timeliness = ", "timelines = "),
    )
    .expect("the file");
    let output = run("dray-agent", &site.agent_config(), &["check"]).expect("it starts");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(
        said.contains("agent.toml:") && said.contains("timeliness"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn status_tail_and_metrics_tell_what_happened() {
    let folder = folder("status");
    let erp = Target::start(true).expect("a target");
    let site = Site::start(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &erp.url(), ""),
    )
    .expect("a site");
    drop_file(
        &site.drops("movements"),
        "a.txt",
        movements(0, 100, 10).as_bytes(),
    )
    .expect("a drop");
    assert!(erp.wait(PATIENCE, |events| events >= 100));
    let status = text(&site.agent_command(&["status"]).expect("status").stdout);
    assert!(
        status.contains("north") && status.contains("movements") && status.contains("100"),
        "{status}"
    );
    let status = text(&site.collector_command(&["status"]).expect("status").stdout);
    assert!(
        status.contains("north/movements") && status.contains("erp"),
        "{status}"
    );
    let sites = text(&site.collector_command(&["sites"]).expect("sites").stdout);
    assert!(sites.contains("north"), "{sites}");
    let events = site.log_events().expect("the log");
    assert_eq!(events.len(), 100);
    assert_eq!(
        events[0],
        erp.document("MV0000000000").expect("at the target"),
        "both read the same log"
    );
    assert_eq!(events[99]["provenance"]["line"], 101);
    assert!(
        site.metrics_text(0)
            .expect("a page")
            .contains("dray_agent_")
    );
    assert!(
        site.metrics_text(1)
            .expect("a page")
            .contains("dray_collector_")
    );
}

#[test]
fn a_token_works_once_and_an_identity_is_needed() {
    let folder = folder("token");
    let mut site =
        Site::lay_out(folder.path(), &[FlowSpec::movements("movements")], "").expect("a site");
    let output = run("dray-agent", &site.agent_config(), &["run"]).expect("it starts");
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("enroll"),
        "{}",
        text(&output.stderr)
    );
    let output = run("dray-collector", &site.collector_config(), &["status"]).expect("it starts");
    assert_eq!(
        output.status.code(),
        Some(69),
        "nobody answers: {}",
        text(&output.stderr)
    );
    site.start_collector().expect("a collector");
    let invited = text(
        &site
            .collector_command(&["invite", "north"])
            .expect("a token")
            .stdout,
    );
    let token = invited
        .split_whitespace()
        .find(|word| word.starts_with("dray1."))
        .expect("a token")
        .to_owned();
    site.agent_command(&["enroll", &token])
        .expect("an identity");
    let twice = run("dray-agent", &site.agent_config(), &["enroll", &token]).expect("it starts");
    assert!(!twice.status.success());
    for words in ["already", "sites move", "--again"] {
        assert!(
            text(&twice.stderr).contains(words),
            "{}",
            text(&twice.stderr)
        );
    }
    std::fs::remove_dir_all(folder.path().join("agent/identity")).expect("the identity's folder");
    let again = run("dray-agent", &site.agent_config(), &["enroll", &token]).expect("it starts");
    assert!(!again.status.success());
    assert!(
        text(&again.stderr).contains("used"),
        "{}",
        text(&again.stderr)
    );
}
