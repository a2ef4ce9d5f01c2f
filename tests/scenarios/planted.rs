//! Bugs are planted (see dray-edges), and the harness must find each.

use std::time::Duration;

use dray_tests::target::Manner;

use crate::audit::audit;
use crate::dying::{Dies, Dying, Found};

/// How long nothing may arrive before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(4);

/// What the harness says when a daemon with this bug dies at this edge.
fn found_at(plant: &str, dies: Dies, edge: &str) -> String {
    let mut site = Dying::new(Some(plant), "");
    site.patience = PATIENCE;
    not_whole(plant, site.die_at(dies, edge))
}

fn not_whole(plant: &str, found: Result<(), Found>) -> String {
    match found {
        Err(Found::NotWhole(said)) => {
            println!("{plant}: {said}");
            said
        }
        Err(other) => panic!("{plant}: the harness shows nothing: {other}"),
        Ok(()) => panic!("{plant} is not found"),
    }
}

/// What the system calls of daemons with this bug show.
fn audited(plant: &str, expected: &[&str]) {
    let faults = audit(Some(plant));
    println!("{plant}: {faults:#?}");
    for part in expected {
        let found = faults.iter().any(|fault| fault.contains(part));
        assert!(found, "{plant} is not found: no \"{part}\" in {faults:#?}");
    }
}

#[test]
fn syncs_that_are_left_out_are_seen_in_the_system_calls() {
    audited(
        "missing_fdatasync",
        &[
            "a file was moved without a sync",
            "a file was acked without a sync",
        ],
    );
}

#[test]
fn folders_that_are_not_synced_are_seen_in_the_system_calls() {
    audited("unsynced_folder", &["/buffer was not synced"]);
}

#[test]
fn a_promise_before_the_write_is_seen_in_the_system_calls() {
    audited(
        "early_ack",
        &[
            "a file was moved before it was written",
            "a file was acked before it was written",
        ],
    );
}

#[test]
fn an_ack_before_the_commit_loses_events_when_the_collector_dies() {
    let said = found_at("early_ack", Dies::Collector, "store.before_log_commit");
    assert!(!said.contains(" 0 lost"), "{said}");
}

#[test]
fn a_number_that_is_given_twice_loses_events_when_the_agent_dies() {
    let plant = "reused_sequence";
    let mut site = Dying::new(None, "");
    site.patience = PATIENCE;
    site.stop(Dies::Agent);
    site.start_to_die(Dies::Agent, "buffer.before_receipts");
    site.drop_next();
    let died = site.wait_death(Dies::Agent);
    // Of a number that the collector holds already, both sides would learn: a new epoch would begin.
    site.plant(plant);
    let started = died.and_then(|()| site.start_again(Dies::Agent));
    site.drop_next();
    let said = not_whole(plant, started.and_then(|()| site.judge()));
    assert!(!said.contains(" 0 lost"), "{said}");
}

#[test]
fn a_mark_that_is_not_written_sends_a_file_twice_when_the_agent_dies() {
    let said = found_at("lost_mark", Dies::Agent, "file_drop.before_archive");
    assert!(!said.contains(" 0 repeats"), "{said}");
}

#[test]
fn a_cursor_before_the_answer_loses_events_when_the_collector_dies() {
    let plant = "cursor_too_soon";
    let mut site = Dying::new(Some(plant), "");
    site.patience = PATIENCE;
    site.erp.behave(Manner::Hang);
    site.stop(Dies::Collector);
    site.start_to_die(Dies::Collector, "delivery.after_step:2");
    site.drop_next();
    let died = site.wait_death(Dies::Collector);
    site.erp.behave(Manner::Accept);
    let judged = died
        .and_then(|()| site.start_again(Dies::Collector))
        .and_then(|()| site.judge());
    let said = not_whole(plant, judged);
    assert!(!said.contains(" 0 lost"), "{said}");
}
