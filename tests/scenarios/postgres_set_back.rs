//! Servers of PostgreSQL whose files were set back, and those that begin a timeline in their place.

use std::collections::BTreeSet;

use dray_tests::postgres::Server;

use crate::logs::reads_some;
use crate::postgres::is_streaming;
use crate::postgres_reports::{Watched, flow, insert};
use crate::wait;

/// No two events have one id.
pub(crate) fn are_all_others(watched: &Watched) {
    let events = watched.site.log_events().expect("the log");
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn a_server_that_was_set_back_stops_the_flow_and_its_new_changes_are_no_old_ones() {
    const TABLE: &str = "[[flow.source.table]]";
    let goes_on = format!("on_gap = \"go-on\"\n{TABLE}");
    let mut server = Server::start();
    let mut watched = Watched::start("set-back", flow(&server, "", ""));
    watched.reads();
    let mut gaps = 0;
    for (takes_over, words, [kept, lost, new]) in [
        (false, "was set back to an earlier time", ["A", "B", "C"]),
        // As one does that was restored from a backup.
        (
            true,
            "does not have what the flow has read after",
            ["D", "E", "F"],
        ),
    ] {
        insert(&server, kept);
        watched.row(kept);
        watched.stop();
        wait("the slot is free", || !is_streaming(&server));
        server.stop();
        server.save();
        server.start_again();
        watched.start_again();
        insert(&server, lost);
        watched.row(lost);
        watched.stop();
        server.stop();
        server.set_back();
        match takes_over {
            true => {
                server.follow();
                server.promote();
            }
            false => server.start_again(),
        }
        watched.start_again();
        let told = watched.agent().wait_log("the flow stopped");
        let told = told.expect("it stops");
        assert!(told.contains(words), "{told}");
        watched.stop();
        watched.write(TABLE, &goes_on);
        watched.start_again();
        watched.reads();
        // It may stand where the lost one stood, with the same transaction's number.
        insert(&server, new);
        watched.row(new);
        let told = watched.told();
        assert_eq!(told.last(), Some(&format!("create {new}")), "{told:?}");
        gaps += 1;
        let found = told
            .iter()
            .filter(|told| *told == "gap server_went_back went_on");
        assert_eq!(found.count(), gaps, "{told:?}");
        let all = told.iter().filter(|told| told.starts_with("gap "));
        assert_eq!(all.count(), gaps, "{told:?}");
        are_all_others(&watched);
        watched.write(&goes_on, TABLE);
    }
}

#[test]
fn an_older_server_is_gone_on_with_too_where_its_new_timeline_has_all() {
    let mut server = Server::start();
    let mut watched = Watched::start("older", flow(&server, "", ""));
    watched.reads();
    let mut expected = vec!["first ".to_owned()];
    for round in 0..3 {
        insert(&server, &format!("N{round}"));
        expected.push(format!("create N{round}"));
        watched.row(&format!("N{round}"));
        server.stop();
        server.follow();
        server.promote();
        if round == 1 {
            watched.agent().kill().expect("a kill");
            watched.start_again();
        }
    }
    insert(&server, "last");
    watched.row("last");
    expected.push("create last".into());
    assert_eq!(watched.told(), expected);
}

#[test]
fn a_second_server_that_took_over_under_the_same_number_is_not_gone_on_with_in_silence() {
    let mut server = Server::start();
    server.sql("CREATE TABLE neighbour (n bigint)");
    let mut watched = Watched::start("twice", flow(&server, "", ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    watched.stop();
    wait("the slot is free", || !is_streaming(&server));
    server.stop();
    server.save();
    let takes_over = |server: &mut Server| {
        server.stop();
        server.follow();
        server.promote();
        let timeline = server.sql("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)");
        assert_eq!(timeline, "00000002");
    };
    server.start_again();
    takes_over(&mut server);
    watched.start_again();
    insert(&server, "B");
    watched.row("B");
    watched.stop();

    // The other copy of the first server: it had more of the log, and its timeline has the same number. There is more in it than was read.
    server.stop();
    server.set_back();
    server.start_again();
    insert(&server, "missed");
    server.sql("INSERT INTO neighbour SELECT n FROM generate_series(1, 10000) n");
    takes_over(&mut server);
    watched.start_again();
    let told = watched.agent().wait_log("the flow stopped");
    let told = told.expect("it stops");
    assert!(
        told.contains("another timeline 2 than the one that was read"),
        "{told}"
    );
    watched.stop();
    watched.write(
        "[[flow.source.table]]",
        "on_gap = \"go-on\"\n[[flow.source.table]]",
    );
    watched.start_again();
    watched.row("missed");
    insert(&server, "C");
    watched.row("C");
    // What is read there holds for the next start.
    watched.agent().kill().expect("a kill");
    watched.start_again();
    insert(&server, "D");
    watched.row("D");
    let gap = "gap server_went_back went_on";
    let told = watched.told();
    assert_eq!(
        told,
        [
            "first ",
            "create A",
            "create B",
            gap,
            "create missed",
            "create C",
            "create D"
        ]
    );
    are_all_others(&watched);
}

#[test]
fn a_timeline_without_its_history_needs_a_person_and_is_no_gap() {
    let mut server = Server::start();
    let mut watched = Watched::start("historyless", flow(&server, "on_gap = \"go-on\"", ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    watched.stop();
    server.stop();
    server.follow();
    server.promote();
    insert(&server, "B");
    let file = server.folder().join("data/pg_wal/00000002.history");
    let history = std::fs::read(&file).expect("a file");
    std::fs::remove_file(&file).expect("it goes");
    watched.start_again();
    let told = watched.agent().wait_log("the flow stopped");
    let told = told.expect("it stops");
    assert!(
        told.contains("pg_wal/00000002.history is gone") && told.contains("copy that file there"),
        "{told}"
    );
    watched.stop();
    std::fs::write(&file, history).expect("a file");
    watched.start_again();
    watched.row("B");
    assert_eq!(watched.told(), ["first ", "create A", "create B"]);
}

#[test]
fn a_server_that_lacks_what_a_first_load_left_out_to_the_log_is_not_gone_on_with_in_silence() {
    let rows = 60_000;
    let mut server = Server::start();
    server.sql("CREATE TABLE neighbour (n bigint)");
    server.insert(0..rows);
    let mut watched = Watched::start("left-out", flow(&server, "", ""));
    reads_some(&watched.site, rows / 6);
    watched.agent().kill().expect("a kill");
    assert!(!is_streaming(&server), "it was killed while it loaded");
    server.stop();
    server.save();
    server.start_again();
    // Behind what was read: the load leaves the row out, as the log tells of it.
    server.sql(&format!(
        "UPDATE movement SET sku = 'late' WHERE place = {}",
        rows - 1
    ));
    server.sql("INSERT INTO neighbour SELECT n FROM generate_series(1, 10000) n");
    watched.start_again();
    reads_some(&watched.site, rows / 6);
    watched.agent().kill().expect("a kill");
    server.stop();
    server.set_back();
    server.start_again();
    watched.start_again();
    let told = watched.agent().wait_log("the flow stopped");
    let told = told.expect("it stops");
    assert!(told.contains("was set back to an earlier time"), "{told}");
    watched.stop();
    watched.write(
        "[[flow.source.table]]",
        "on_gap = \"go-on\"\n[[flow.source.table]]",
    );
    watched.start_again();
    watched.reads();
    insert(&server, "last");
    watched.row("last");
    let told = watched.told();
    let gap = "gap server_went_back loads_again";
    let at = told.iter().position(|told| told == gap).expect("a gap");
    let reads = told[at..].iter().filter(|told| told.starts_with("read "));
    assert_eq!(reads.count() as u64, rows, "each row once more");
}
