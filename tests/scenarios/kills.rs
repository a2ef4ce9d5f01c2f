//! kill -9 of agent and collector under load, at random moments.

use std::os::unix::process::ExitStatusExt as _;

use dray_tests::daemon::Daemon;
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use rand::RngExt as _;

use crate::{PATIENCE, arrives_whole, folder, kill_one, soak, target_table};

/// Drops files, kills at random in between, and judges target and log.
#[test]
fn nothing_is_lost_doubled_or_out_of_order_when_either_side_is_killed() {
    let kills: u64 = if soak() { 200 } else { 20 };
    let (lines_a_file, files_a_kill, keys) = (2_500, 4, 700);
    let folder = folder("kills");
    let erp = Target::start(false).expect("a target");
    let mut site = Site::start(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &erp.url(), ""),
    )
    .expect("a site");
    let mut random = rand::rng();
    let mut dropped = 0;
    for kill in 0..kills {
        for _ in 0..files_a_kill {
            let text = movements(dropped, lines_a_file, keys);
            drop_file(
                &site.drops("movements"),
                &format!("{dropped:09}.txt"),
                text.as_bytes(),
            )
            .expect("a drop");
            dropped += lines_a_file;
        }
        // A moment somewhere in the middle of what was just dropped.
        let reached = dropped - random.random_range(0..lines_a_file * files_a_kill);
        assert!(
            erp.wait(PATIENCE, |events| events >= reached),
            "stuck before kill {kill}"
        );
        kill_one(&mut site, 0.5);
    }
    arrives_whole(&site, &erp, dropped, &format!("{kills} kills"));
}

/// Where the buffer's writer stands when the agent dies in the middle of a file.
const EDGES: [&str; 3] = [
    "buffer.before_write",
    "buffer.before_sync",
    "buffer.before_receipts",
];

/// Each life appends one batch of the file or none, and the next reads on behind it.
#[test]
fn one_large_file_is_read_on_where_each_death_left_it() {
    let (kills, lines): (u32, u64) = if soak() {
        (50, 1_000_000)
    } else {
        (6, 150_000)
    };
    let folder = folder("large-file");
    let erp = Target::start(false).expect("a target");
    let mut flow = FlowSpec::movements("movements");
    flow.source += "report = true\n";
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::lay_out(folder.path(), &[flow], &targets).expect("a site");
    site.start_collector().expect("a collector");
    site.enrol().expect("enrolled");
    let drops = site.drops("movements");
    drop_file(&drops, "large.txt", movements(0, lines, 50_000).as_bytes()).expect("a drop");
    let mut random = rand::rng();
    for kill in 0..kills {
        let edge = EDGES[random.random_range(0..EDGES.len())];
        let environment = [("DRAY_KILL_AT".to_owned(), format!("{edge}:1"))];
        let agent = Daemon::start_in("dray-agent", &site.agent_config(), &environment);
        let ended = agent.expect("an agent").wait_end(PATIENCE);
        let ended = ended.expect("our own child");
        let signal = ended.and_then(|status| status.signal());
        assert_eq!(signal, Some(9), "kill {kill} at {edge}: {ended:?}");
        assert!(
            drops.join("large.txt").exists(),
            "kill {kill} is not in the file"
        );
    }
    site.start_agent().expect("an agent");
    arrives_whole(&site, &erp, lines, &format!("{kills} kills in one file"));
    let events = site.log_events().expect("the log");
    let reports = events.iter().filter(|event| event["type"] == "file_report");
    assert_eq!(reports.count(), 1);
    crate::wait("the file is archived", || {
        drops.join("archive/large.txt").exists()
    });
}
