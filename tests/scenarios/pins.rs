//! Whoever reads nothing keeps the log from being trimmed, until ingest stops in words; then all goes on.

use std::time::Instant;

use dray_tests::drops::{MOVEMENT_MAPPING, drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use rand::RngExt as _;
use rand::distr::Alphanumeric;

use crate::{PATIENCE, all_arrive, folder, target_table};

/// Of the log: the smallest that may be configured.
const CAP: &str = "\n[log]\nbytes_max = \"64MiB\"\nkeep = \"1s\"\n";
const FILES: u64 = 24;
const LINES_A_FILE: u64 = 1_000;
/// Of a serial number, which nothing compresses: all files hold 96 MB of them.
const SERIAL_BYTES: usize = 4_000;
const KEYS: u64 = 700;

/// Movements whose serial numbers are long.
fn heavy(first: u64) -> String {
    let mut random = rand::rng();
    let text = movements(first, LINES_A_FILE, KEYS);
    let lines = text.lines().enumerate().map(|(at, line)| {
        let serial: String = (0..SERIAL_BYTES)
            .map(|_| char::from(random.sample(Alphanumeric)))
            .collect();
        // The column is empty in what the lines are made of; the header has no two bars together.
        let line = line.replacen("||", &format!("|{serial}|"), usize::from(at > 0));
        line + "\n"
    });
    lines.collect()
}

fn wait_status(site: &Site, words: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let output = site.agent_command(&["status"]).expect("status");
        let status = String::from_utf8(output.stdout).expect("UTF-8");
        if status.contains(words) {
            return status;
        }
        assert!(
            Instant::now() < end,
            "\"{words}\" was expected, not:\n{status}"
        );
    }
}

#[test]
fn a_paused_target_stops_ingest_at_the_cap_in_words_and_all_goes_on_when_it_is_resumed() {
    let folder = folder("pins");
    let erp = Target::start(false).expect("a target");
    let mut flow = FlowSpec::movements("movements");
    flow.mapping = format!("{MOVEMENT_MAPPING}serial_number = \"SERIAL\"\n");
    let targets = format!("{}{CAP}", target_table("erp", &erp.url(), ""));
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    site.collector_command(&["target", "pause", "erp"])
        .expect("paused");
    for file in 0..FILES {
        let text = heavy(file * LINES_A_FILE);
        let name = format!("{file:04}.txt");
        drop_file(&site.drops("movements"), &name, text.as_bytes()).expect("a drop");
    }
    let status = wait_status(&site, "has reached its cap");
    println!("{status}");
    assert!(status.contains("target:erp is farthest behind"), "{status}");
    let collector = site.collector.as_ref().expect("it runs");
    let alarm = collector.wait_log("the log is filling").expect("an alarm");
    println!("{alarm}");
    assert!(alarm.contains("target:erp"), "{alarm}");
    site.collector_command(&["target", "resume", "erp"])
        .expect("resumed");
    let sent = FILES * LINES_A_FILE;
    let verdict = all_arrive(&erp, sent);
    println!("{verdict}");
    assert!(verdict.clean(), "{verdict}");
}
