//! A flow's way from the old interface to this one and back, by its configuration alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::{Manner, Target};
use serde_json::{Value, json};

use crate::{PATIENCE, folder, soak, target_table};

/// What a command prints.
fn said(site: &Site, arguments: &[&str]) -> String {
    let output = site.collector_command(arguments).expect("it answers");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn objects(site: &Site, arguments: &[&str]) -> Vec<Value> {
    let said = said(site, arguments);
    let parsed = said
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    parsed.collect()
}

/// Waits until a command says so.
fn wait_said(site: &Site, arguments: &[&str], enough: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let said = said(site, arguments);
        if enough(&said) {
            return said;
        }
        assert!(Instant::now() < end, "{arguments:?} says only:\n{said}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Gives the running collector's flow another phase: a changed file and a restart.
fn change_phase(site: &mut Site, from: &str, to: &str) {
    let path = site.collector_config();
    let config = std::fs::read_to_string(&path).expect("a file");
    let (from, to) = (format!("phase = \"{from}\""), format!("phase = \"{to}\""));
    assert!(config.contains(&from), "{config}");
    std::fs::write(&path, config.replace(&from, &to)).expect("room");
    let mut collector = site.collector.take().expect("it runs");
    collector.terminate().expect("it ends");
    site.start_collector().expect("a collector");
}

fn drop_movements(site: &Site, first: u64, lines: u64) {
    let name = format!("{first:09}.txt");
    let text = movements(first, lines, 100);
    drop_file(&site.drops("movements"), &name, text.as_bytes()).expect("a drop");
}

#[test]
fn scenario_38_a_flow_goes_through_shadow_to_live_and_back_and_kills_leave_the_report_exact() {
    // Fewer than rows are kept, so that each can be looked at.
    let lines: u64 = if soak() { 9_000 } else { 1_500 };
    let folder = folder("phases");
    let erp = Target::start(false).expect("a target");
    // What the old way sent: every tenth has another quantity, the last five were never sent.
    let sent = folder.path().join("sent.jsonl");
    let old = (0..lines - 5).map(|n| {
        let quantity = if n % 10 == 0 { 9_999 } else { n % 90 + 10 };
        let item = format!("SKU-{:07}", n % 100);
        json!({"no": format!("MV{n:010}"), "sku": item, "qty": quantity, "stamp": n}).to_string()
            + "\n"
    });
    std::fs::write(&sent, old.collect::<String>()).expect("room");
    let shadow = format!(
        "[target.shadow]\nfile = \"{}\"\nkey = \"/no\"\nour_key = \"/data/movement_number\"\nnumbers = [\"/data/quantity\"]\n\
         fields = {{ \"/data/movement_number\" = \"/no\", \"/data/item_number\" = \"/sku\", \"/data/quantity\" = \"/qty\" }}\n\
         [[flow]]\nname = \"north/*\"\nowner = \"the WMS team\"\nrunbook = \"https://wiki.example/moves\"\nphase = \"shadow\"\n",
        sent.display()
    );
    let targets = target_table("erp", &erp.url(), &shadow);
    let flows = [FlowSpec::movements("movements")];
    let mut site = Site::start(folder.path(), &flows, &targets).expect("a site");
    drop_movements(&site, 0, lines);
    for round in 1..=4 {
        let compared = |site: &Site| objects(site, &["shadow", "erp", "--json"]).len() as u64;
        crate::wait("some are compared", || compared(&site) >= round * lines / 6);
        site.collector
            .as_mut()
            .expect("it runs")
            .kill()
            .expect("a kill");
        site.start_collector().expect("a collector");
    }
    let all = format!("north/movements  all {lines:>11}");
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let report = wait_said(&site, &["shadow", "erp"], |said| {
        said.lines().any(|line| squeezed(line) == squeezed(&all))
    });
    assert_eq!(erp.requests(), 0, "nothing is sent");
    let rows = objects(&site, &["shadow", "erp", "--json"]);
    let offsets: BTreeSet<u64> = rows
        .iter()
        .filter_map(|row| row["offset"].as_u64())
        .collect();
    assert_eq!(
        (rows.len() as u64, offsets.len() as u64),
        (lines, lines),
        "each has one row"
    );
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &rows {
        *verdicts
            .entry(row["verdict"].as_str().expect("a word"))
            .or_default() += 1;
        let request = row["request"].as_str().expect("a text");
        let n: u64 = row["offset"].as_u64().expect("a number") - 1;
        assert!(
            request.starts_with("POST http://") && request.contains(&format!("MV{n:010}")),
            "{row}"
        );
        let expected = match n {
            n if n >= lines - 5 => "missing",
            n if n % 10 == 0 => "differs",
            _ => "same",
        };
        assert_eq!(row["verdict"], expected, "{row}");
        if expected == "differs" {
            let ours = format!("\"{}.000\"", n % 90 + 10);
            let difference = json!([{"field": "/data/quantity", "ours": ours, "theirs": "9999"}]);
            assert_eq!(row["differences"], difference);
        }
    }
    let field = format!("north/movements /data/quantity {}", verdicts["differs"]);
    assert!(
        report.lines().any(|line| squeezed(line) == field),
        "{field} is not in\n{report}"
    );
    assert!(
        verdicts["differs"] == (lines - 5).div_ceil(10) && verdicts["missing"] == 5,
        "{verdicts:?}"
    );
    let csv = said(&site, &["shadow", "erp", "--csv", "--verdict", "differs"]);
    assert_eq!(csv.lines().count() as u64, verdicts["differs"] + 1);

    change_phase(&mut site, "shadow", "live");
    drop_movements(&site, lines, 200);
    assert!(
        erp.wait(PATIENCE, |events| events >= 200),
        "{} of 200 arrived",
        erp.events()
    );
    change_phase(&mut site, "live", "rollback");
    drop_movements(&site, lines + 200, 100);
    let stands = format!("the old way goes on from offset {}", lines + 201);
    let flows = wait_said(&site, &["flows", "--json"], |said| said.contains(&stands));
    let flow: Value = serde_json::from_str(flows.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&flow["phase"], &flow["owner"]),
        (&json!("rollback"), &json!("the WMS team"))
    );
    wait_said(&site, &["status"], |said| {
        said.contains(&stands) && said.contains("runbook https://wiki.example/moves")
    });
    // All of it is passed by: the log has it, and nothing waits for the target.
    let newest = (lines + 300).to_string();
    wait_said(&site, &["status"], |said| {
        said.lines()
            .any(|line| line.starts_with("north/movements") && line.contains(&newest))
    });
    wait_said(&site, &["flows", "--json"], |said| {
        said.contains("\"backlog\":0")
    });
    let numbers: BTreeSet<String> = erp
        .arrivals()
        .into_iter()
        .map(|arrival| arrival.number)
        .collect();
    let expected: BTreeSet<String> = (lines..lines + 200).map(|n| format!("MV{n:010}")).collect();
    assert_eq!((numbers, erp.events()), (expected, 200));
    let trail = objects(&site, &["audit", "--json"]);
    let phases: Vec<_> = trail
        .iter()
        .filter(|entry| entry["action"] == "phase")
        .map(|entry| entry["detail"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(
        phases,
        [
            "live → shadow: from offset 1".to_owned(),
            format!("shadow → live: from offset {}", lines + 1),
            format!("live → rollback: {stands}"),
        ]
    );
}

#[test]
fn a_breaker_opens_says_since_when_and_why_and_heals_itself() {
    let folder = folder("breaker");
    let erp = Target::start(false).expect("a target");
    erp.behave(Manner::Unavailable);
    let quick = "[target.retry]\nfirst = \"20ms\"\nmax = \"200ms\"\n\
                 [[flow]]\nname = \"*/movements\"\nsla = \"1s\"\nowner = \"the WMS team\"\n";
    let targets = target_table("erp", &erp.url(), quick);
    let site =
        Site::start(folder.path(), &[FlowSpec::movements("movements")], &targets).expect("a site");
    drop_movements(&site, 0, 500);
    let status = wait_said(&site, &["status"], |said| {
        said.contains("the breaker is open since 20") && said.contains("is overdue at erp: 500")
    });
    assert!(
        status.contains("(5 failures one after the other)"),
        "{status}"
    );
    assert!(status.contains("owner the WMS team"), "{status}");
    let has = |line: &str| {
        site.metrics_text(1)
            .expect("a page")
            .lines()
            .any(|found| found == line)
    };
    crate::wait("the metric", || {
        has("dray_collector_target_breaker_open{target=\"erp\"} 1")
    });
    crate::wait("the metric", || {
        has("dray_collector_target_overdue_events{target=\"erp\",flow=\"north/movements\"} 500")
    });
    let collector = site.collector.as_ref().expect("it runs");
    collector
        .wait_log("the breaker is open")
        .expect("it is said");
    let overdue = collector
        .wait_log("deliveries are overdue")
        .expect("it is said");
    assert!(overdue.contains("the WMS team"), "{overdue}");
    erp.behave(Manner::Accept);
    assert!(
        erp.wait(PATIENCE, |events| events >= 500),
        "{} of 500 arrived",
        erp.events()
    );
    collector
        .wait_log("the breaker is closed again")
        .expect("it is said");
    crate::wait("the metric", || {
        has("dray_collector_target_breaker_open{target=\"erp\"} 0")
    });
    crate::wait("the metric", || {
        has("dray_collector_target_overdue_events{target=\"erp\",flow=\"north/movements\"} 0")
    });
    let said = collector.log();
    let opened = said
        .iter()
        .filter(|line| line.contains("the breaker is open"))
        .count();
    let overdue = said
        .iter()
        .filter(|line| line.contains("deliveries are overdue"))
        .count();
    assert_eq!((opened, overdue), (1, 1), "each is said once");
}
