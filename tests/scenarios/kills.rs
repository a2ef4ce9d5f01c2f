//! kill -9 of agent and collector under load, at random moments.

use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use rand::RngExt as _;

use crate::{PATIENCE, arrives_whole, folder, soak, target_table};

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
        if random.random_bool(0.5) {
            site.agent
                .as_mut()
                .expect("it runs")
                .kill()
                .expect("a kill");
            site.start_agent().expect("an agent");
        } else {
            site.collector
                .as_mut()
                .expect("it runs")
                .kill()
                .expect("a kill");
            site.start_collector().expect("a collector");
        }
    }
    arrives_whole(&site, &erp, dropped, &format!("{kills} kills"));
}
