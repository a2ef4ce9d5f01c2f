//! Whole folders.

use std::path::Path;

use dray_tests::counter::Counter;
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};

use crate::{PATIENCE, folder, soak, target_table};

#[test]
fn a_folder_of_twenty_files_arrives_whole_and_is_archived() {
    let lines: u64 = if soak() { 100_000 } else { 10_000 };
    let folder = folder("twenty-files");
    let counter = Counter::start().expect("a target");
    let site = Site::lay_out(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &counter.url(), ""),
    );
    let mut site = site.expect("a site");
    let drops = site.drops("movements");
    for file in 0..20 {
        let text = movements(file * lines, lines, 50_000);
        drop_file(&drops, &format!("{file:02}.txt"), text.as_bytes()).expect("a drop");
    }
    site.start_collector().expect("a collector");
    site.enrol().expect("an identity");
    site.start_agent().expect("an agent");
    assert_eq!(counter.wait(lines * 20, PATIENCE), lines * 20);
    assert_eq!(
        counter.with(|counts| counts.repeats),
        0,
        "nobody was killed: nothing is sent twice"
    );
    assert_eq!(
        site.agent
            .as_mut()
            .expect("it runs")
            .terminate()
            .expect("an end"),
        Some(0)
    );
    // Appended files are archived by the time of the ack; the last acks may still be under way.
    let archived = files(&drops.join("archive")) + files(&drops.join("archive/pending"));
    assert_eq!((files(&drops), archived), (0, 20));
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.filter(|entry| entry.path().is_file()).count()
}
