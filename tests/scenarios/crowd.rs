//! More files at once than an agent may open.

use std::process::Command;
use std::time::Instant;

use dray_tests::daemon::{Daemon, program};
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::{PATIENCE, arrives_whole, folder, soak, target_table};

/// Descriptors that the agent may have.
const DESCRIPTORS: u64 = 256;

#[test]
fn files_in_a_crowd_all_arrive_through_few_descriptors() {
    let files: u64 = if soak() { 100_000 } else { 4_000 };
    let (lines_a_file, keys) = (2, 700);
    let folder = folder("crowd");
    let erp = Target::start(false).expect("a target");
    let flows = [FlowSpec::movements("movements")];
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::lay_out(folder.path(), &flows, &targets).expect("a site");
    site.start_collector().expect("a collector");
    site.enrol().expect("enrolled");
    for file in 0..files {
        let text = movements(file * lines_a_file, lines_a_file, keys);
        let name = format!("{file:09}.txt");
        drop_file(&site.drops("movements"), &name, text.as_bytes()).expect("a drop");
    }
    let mut few = Command::new("sh");
    few.args([
        "-c",
        &format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\""),
    ])
    .arg(program("dray-agent").expect("it is built"));
    let agent = Daemon::start_with(few, "dray-agent", &site.agent_config()).expect("an agent");
    site.agent = Some(agent);
    let (lines, began) = (files * lines_a_file, Instant::now());
    // Each file takes some milliseconds: a stretch at a time is waited for.
    for reached in (0..lines).step_by(5_000) {
        assert!(
            erp.wait(PATIENCE, |events| events >= reached),
            "stuck: {} of {lines} arrived",
            erp.events()
        );
    }
    arrives_whole(&site, &erp, lines, &format!("{files} files at once"));
    let usage = site.agent.as_ref().expect("it runs").usage();
    println!(
        "it took {:.1?}; the agent's peak: {} KiB",
        began.elapsed(),
        usage.expect("it runs").peak_bytes / 1024
    );
}
