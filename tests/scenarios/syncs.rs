//! No ack leaves before the sync that it rests on: shown by failing the sync, and by its trace.

use std::path::Path;

use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::trace::Trace;
use crate::{PATIENCE, audit, folder, target_table, wait};

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.path().is_file())
            .count()
    })
}

fn running(name: &str) -> (tempfile::TempDir, Target, Site) {
    let folder = folder(name);
    let erp = Target::start(false).expect("a target");
    let site = Site::start(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &erp.url(), ""),
    )
    .expect("a site");
    let drops = site.drops("movements");
    drop_file(&drops, "0.txt", movements(0, 10, 10).as_bytes()).expect("a drop");
    assert!(
        erp.wait(PATIENCE, |events| events >= 10),
        "the chain does not run"
    );
    wait("the first file is acked", || {
        files_in(&drops.join("archive")) == 1
    });
    (folder, erp, site)
}

const FAIL_SYNCS: &str = "inject=fdatasync,fsync,sync_file_range:error=EIO";

#[test]
fn a_file_is_not_archived_when_the_agents_sync_fails() {
    // sled's own sync comes first, and its failure must count as well as that of the one after it.
    for failing in [
        FAIL_SYNCS,
        "inject=fdatasync:error=EIO",
        "inject=sync_file_range:error=EIO",
    ] {
        not_archived_when(failing);
    }
}

fn not_archived_when(failing: &str) {
    let (_folder, erp, mut site) = running("agent-eio");
    let drops = site.drops("movements");
    let trace = Trace::attach(
        site.agent.as_ref().expect("it runs"),
        &["-o", "/dev/null", "-e", failing],
    );
    drop_file(&drops, "1.txt", movements(10, 10, 10).as_bytes()).expect("a drop");
    site.agent
        .as_ref()
        .expect("it runs")
        .wait_log("mend the disk, then restart the agent")
        .expect("the buffer says that it stopped, and is not opened again");
    wait(&format!("{failing}: the flow stops"), || {
        let status = site.agent_command(&["status"]).expect("a status");
        String::from_utf8_lossy(&status.stdout).contains("stopped")
    });
    assert_eq!(files_in(&drops), 1, "the file stays where it was dropped");
    assert_eq!(files_in(&drops.join("archive/pending")), 0);
    trace.detach();
    site.agent
        .as_mut()
        .expect("it runs")
        .kill()
        .expect("a kill");
    site.start_agent().expect("an agent");
    assert!(
        erp.wait(PATIENCE, |events| events >= 20),
        "after the restart it is sent"
    );
    wait("the second file is acked", || {
        files_in(&drops.join("archive")) == 2
    });
    assert_eq!(
        site.log_arrivals().expect("the log").len(),
        20,
        "and stands in the log once"
    );
}

#[test]
fn nothing_is_acked_when_the_collectors_sync_fails() {
    let (_folder, erp, mut site) = running("collector-eio");
    let drops = site.drops("movements");
    let trace = Trace::attach(
        site.collector.as_ref().expect("it runs"),
        &["-o", "/dev/null", "-e", FAIL_SYNCS],
    );
    drop_file(&drops, "1.txt", movements(10, 10, 10).as_bytes()).expect("a drop");
    site.agent
        .as_ref()
        .expect("it runs")
        .wait_log("cannot write")
        .expect("the refusal reaches the agent");
    // The refusal may be here before the file is moved: the uplink sends what is appended.
    wait("the file is appended at the site", || {
        files_in(&drops.join("archive/pending")) == 1
    });
    assert_eq!(files_in(&drops.join("archive")), 1, "and is not acked");
    assert_eq!(erp.events(), 10, "and nobody was given what is not on disk");
    trace.detach();
    site.collector
        .as_mut()
        .expect("it runs")
        .kill()
        .expect("a kill");
    site.start_collector().expect("a collector");
    assert!(
        erp.wait(PATIENCE, |events| events >= 20),
        "after the restart it goes on"
    );
    wait("the second file is acked", || {
        files_in(&drops.join("archive")) == 2
    });
    assert_eq!(
        site.log_arrivals().expect("the log").len(),
        20,
        "and stands in the log once"
    );
}

#[test]
fn the_trace_shows_the_sync_before_the_archive_move_and_before_the_ack() {
    let faults = audit::audit(None);
    assert!(faults.is_empty(), "{faults:#?}");
}
