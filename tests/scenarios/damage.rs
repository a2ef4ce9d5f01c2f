//! Bad input: a clear sentence, and nothing lost.

use dray_tests::drops::{MOVEMENT_COLUMNS, drop_file, movement, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use dray_tests::verdict::judge;

use crate::{PATIENCE, folder, target_table};

fn numbers(from: u64, to: u64) -> impl Iterator<Item = String> {
    (from..to).map(|n| format!("MV{n:010}"))
}

/// A file of good lines with these between them.
fn with_bad_lines(bad: &[&[u8]]) -> Vec<u8> {
    let mut bytes = (MOVEMENT_COLUMNS.join("|") + "\n").into_bytes();
    for (n, bad) in (0..).zip(bad) {
        let mut line = String::new();
        movement(&mut line, n, 1, n);
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(bad);
        bytes.push(b'\n');
    }
    bytes
}

#[test]
fn bad_lines_become_dead_letters_and_the_good_ones_arrive() {
    let folder = folder("bad-lines");
    let erp = Target::start(false).expect("a target");
    let mut flow = FlowSpec::movements("movements");
    flow.format = "kind = \"csv\"\ndelimiter = \"|\"\nheader = true\n".into();
    let site =
        Site::start(folder.path(), &[flow], &target_table("erp", &erp.url(), "")).expect("a site");
    let long = vec![b'x'; 3 * 1024 * 1024];
    let bad: [&[u8]; 6] = [
        b"too|few",
        b"not \xFF\xFE UTF-8|a|b|c|d|e|f|g|h|i|j|k|l|m",
        b"a NUL\0|a|b|c|d|e|f|g|h|i|j|k|l|m",
        b"\"a quote that never closes|a|b|c|d|e|f|g|h|i|j|k|l|m",
        &long,
        b"MV1|IN|WH1|A|SKU|T|1O|EA|L||PK|0|OP|20261123100000",
    ];
    drop_file(&site.drops("movements"), "bad.txt", &with_bad_lines(&bad)).expect("a drop");
    assert!(
        erp.wait(PATIENCE, |events| events >= 6),
        "{} of 6 good lines arrived",
        erp.events()
    );
    assert!(judge(numbers(0, 6), &erp.arrivals()).clean());
    let events = site.log_events().expect("the log");
    let reasons: Vec<String> = events
        .iter()
        .filter(|event| event["type"] == "dead_letter")
        .map(|event| {
            format!(
                "{} {}",
                event["provenance"]["line"], event["data"]["reason"]
            )
        })
        .collect();
    assert_eq!(reasons.len(), 6, "{reasons:#?}");
    for (reason, (line, words)) in reasons.iter().zip([
        (3, "column"),
        (5, "utf-8"),
        (7, "NUL"),
        (9, "quote"),
        (11, "long"),
        (13, "1O"),
    ]) {
        assert!(
            reason.starts_with(&format!("{line} "))
                && reason.to_lowercase().contains(&words.to_lowercase()),
            "line {line} should speak of {words}: {reason}"
        );
    }
}

#[test]
fn a_file_with_too_many_bad_lines_is_set_aside_whole() {
    let folder = folder("set-aside");
    let erp = Target::start(false).expect("a target");
    let mut flow = FlowSpec::movements("movements");
    flow.source += "bad_lines_max = 3\n";
    let site =
        Site::start(folder.path(), &[flow], &target_table("erp", &erp.url(), "")).expect("a site");
    let drops = site.drops("movements");
    drop_file(
        &drops,
        "a-bad.txt",
        &with_bad_lines(&[b"x", b"x", b"x", b"x"]),
    )
    .expect("a drop");
    drop_file(&drops, "b-good.txt", movements(100, 10, 5).as_bytes()).expect("a drop");
    assert!(erp.wait(PATIENCE, |events| events >= 10));
    assert!(
        judge(numbers(100, 110), &erp.arrivals()).clean(),
        "only the good file's lines arrive"
    );
    assert!(drops.join("failed/a-bad.txt").exists());
    let dead = site.log_events().expect("the log");
    let dead: Vec<_> = dead
        .iter()
        .filter(|event| event["type"] == "dead_letter")
        .collect();
    assert_eq!(dead.len(), 1, "one for the file");
    assert!(
        dead[0]["data"]["reason"]
            .as_str()
            .expect("a reason")
            .contains("failed"),
        "{}",
        dead[0]
    );
}

#[test]
fn the_same_content_again_is_reported_or_sent_as_the_flow_says() {
    let folder = folder("repeat");
    let erp = Target::start(false).expect("a target");
    let report = FlowSpec::movements("report");
    let mut send = FlowSpec::movements("send");
    send.source += "repeat = \"send\"\n";
    let site = Site::start(
        folder.path(),
        &[report, send],
        &target_table("erp", &erp.url(), ""),
    )
    .expect("a site");
    let archived = |flow: &str, name: &str| site.drops(flow).join(name);
    for (day, flow) in [(1, "report"), (1, "send"), (2, "report"), (2, "send")] {
        drop_file(
            &site.drops(flow),
            &format!("day{day}.txt"),
            movements(0, 10, 5).as_bytes(),
        )
        .expect("a drop");
        if day == 1 || flow == "send" {
            let expected = if day == 1 { 10 } else { 20 } + if flow == "send" { 10 } else { 0 };
            assert!(
                erp.wait(PATIENCE, |events| events >= expected),
                "{flow}, day {day}"
            );
        }
    }
    site.agent
        .as_ref()
        .expect("it runs")
        .wait_log("again")
        .or_else(|_| site.agent.as_ref().expect("it runs").wait_log("repeat"))
        .expect("the repeat is reported");
    assert_eq!(erp.events(), 30);
    let beside = archived("report", "archive/repeated/day2.txt");
    crate::wait("the repeat is put beside", || beside.exists());
}

#[test]
fn a_folder_that_goes_away_and_comes_back_goes_on() {
    let folder = folder("folder-gone");
    let erp = Target::start(false).expect("a target");
    let site = Site::start(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &erp.url(), ""),
    )
    .expect("a site");
    let drops = site.drops("movements");
    drop_file(&drops, "a.txt", movements(0, 10, 5).as_bytes()).expect("a drop");
    assert!(erp.wait(PATIENCE, |events| events >= 10));
    let away = folder.path().join("away");
    std::fs::rename(&drops, &away).expect("a rename");
    site.agent
        .as_ref()
        .expect("it runs")
        .wait_log("drops/movements")
        .expect("it says which folder is gone");
    drop_file(&away, "b.txt", movements(10, 10, 5).as_bytes()).expect("a drop");
    std::fs::rename(&away, &drops).expect("a rename");
    assert!(
        erp.wait(PATIENCE, |events| events >= 20),
        "it comes back by itself"
    );
    assert!(judge(numbers(0, 20), &erp.arrivals()).clean());
}
