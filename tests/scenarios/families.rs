//! kill -9 while files of every format are read at once.

use dray_tests::drops::drop_file;
use dray_tests::families::{FAMILIES, number};
use dray_tests::site::Site;
use dray_tests::target::Target;
use rand::RngExt as _;

use crate::{PATIENCE, folder, kill_one, soak, target_table, these_arrive_whole};

/// Each kill meets every flow somewhere: before a file, in it, between append and move, between move and ack.
#[test]
fn kill_9_at_random_points_leaves_exact_counts_for_every_format() {
    let kills: u64 = if soak() { 50 } else { 6 };
    let (lines, items) = (1_500, 97);
    let folder = folder("families");
    let erp = Target::start(false).expect("a target");
    let flows: Vec<_> = FAMILIES
        .iter()
        .map(|family| family.flow(folder.path()).expect("a flow"))
        .collect();
    let mut site =
        Site::start(folder.path(), &flows, &target_table("erp", &erp.url(), "")).expect("a site");
    let mut random = rand::rng();
    let families = FAMILIES.len() as u64;
    for kill in 0..kills {
        for family in FAMILIES {
            let file = family.file(kill * lines, lines, items);
            drop_file(&site.drops(family.name), &format!("{kill:04}"), &file).expect("a drop");
        }
        let dropped = (kill + 1) * lines * families;
        let reached = dropped - random.random_range(0..lines * families);
        assert!(
            erp.wait(PATIENCE, |events| events >= reached),
            "stuck before kill {kill}, at {} of {dropped}",
            erp.events()
        );
        kill_one(&mut site, 0.7);
    }
    let numbers: Vec<String> = FAMILIES
        .iter()
        .flat_map(|family| (0..kills * lines).map(|n| number(family.code, n)))
        .collect();
    these_arrive_whole(&site, &erp, &numbers, &format!("{kills} kills"));
    let events = site.log_events().expect("the log");
    let reports = events.iter().filter(|event| event["type"] == "file_report");
    let files = kills * FAMILIES.len() as u64;
    assert_eq!(reports.count() as u64, files, "one of each file");
}
