//! More files at once than an agent may open.

use std::time::Instant;

use dray_tests::daemon::Daemon;
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::{PATIENCE, arrives_whole, folder, soak, target_table, wait};

/// Descriptors that the agent may have.
const DESCRIPTORS: u64 = 256;

/// Memory that the agent may have at its peak, whatever lies in the folder or waits for the collector, also where it
/// starts with that.
const PEAK_BYTES_MAX: u64 = 128 * 1024 * 1024;
const LINES_A_FILE: u64 = 2;
/// Each file takes a millisecond or more: so many at a time are waited for.
const STRETCH: usize = 2_500;

#[test]
fn files_in_a_crowd_all_arrive_through_few_descriptors() {
    crowd("crowd", false);
}

#[test]
fn files_in_a_crowd_wait_in_little_memory_while_the_collector_is_away() {
    crowd("crowd-away", true);
}

fn crowd(name: &str, away: bool) {
    let files: u64 = if soak() { 100_000 } else { 4_000 };
    let folder = folder(name);
    let erp = Target::start(false).expect("a target");
    let flows = [FlowSpec::movements("movements")];
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::lay_out(folder.path(), &flows, &targets).expect("a site");
    site.start_collector().expect("a collector");
    site.enrol().expect("enrolled");
    if away {
        // The first file of all needs the collector.
        drop_one(&site, 0);
        start_with_few_descriptors(&mut site);
        assert!(erp.wait(PATIENCE, |events| events >= LINES_A_FILE));
        site.collector = None;
    }
    (u64::from(away)..files).for_each(|file| drop_one(&site, file));
    if away {
        let gone = |file: u64| !site.drops("movements").join(file_name(file)).exists();
        for file in (0..files).step_by(STRETCH).chain([files - 1]) {
            wait("a file is appended", || gone(file));
        }
        // A start reads all of it.
        let mut agent = site.agent.take().expect("it runs");
        println!(
            "the agent's peak before it is killed: {} KiB",
            peak_of(&agent) / 1024
        );
        agent.kill().expect("it is killed");
        start_with_few_descriptors(&mut site);
        site.start_collector().expect("a collector");
    } else {
        start_with_few_descriptors(&mut site);
    }
    let (lines, began) = (files * LINES_A_FILE, Instant::now());
    for reached in (0..lines).step_by(STRETCH * LINES_A_FILE as usize) {
        assert!(
            erp.wait(PATIENCE, |events| events >= reached),
            "stuck: {} of {lines} arrived",
            erp.events()
        );
    }
    arrives_whole(&site, &erp, lines, &format!("{files} files at once"));
    let peak = peak_of(site.agent.as_ref().expect("it runs"));
    println!(
        "it took {:.1?}; the agent's peak: {} KiB",
        began.elapsed(),
        peak / 1024
    );
}

fn peak_of(agent: &Daemon) -> u64 {
    let peak = agent.usage().expect("it runs").peak_bytes;
    assert!(peak <= PEAK_BYTES_MAX, "{peak} bytes");
    peak
}

fn file_name(file: u64) -> String {
    format!("{file:09}.txt")
}

fn drop_one(site: &Site, file: u64) {
    let text = movements(file * LINES_A_FILE, LINES_A_FILE, 700);
    let folder = site.drops("movements");
    drop_file(&folder, &file_name(file), text.as_bytes()).expect("a drop");
}

fn start_with_few_descriptors(site: &mut Site) {
    let config = site.agent_config();
    let agent = Daemon::start_with_descriptors("dray-agent", &config, DESCRIPTORS);
    site.agent = Some(agent.expect("an agent"));
}
