//! Servers of PostgreSQL whose files were set back, and those that begin a timeline in their place.

use std::collections::BTreeSet;

use dray_tests::postgres::Server;

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
    for (takes_over, words) in [
        (false, "was set back to an earlier time"),
        // As one does that was restored from a backup.
        (true, "does not have what the flow has read after"),
    ] {
        let mut server = Server::start();
        let mut watched = Watched::start("set-back", flow(&server, "", ""));
        watched.reads();
        insert(&server, "A");
        watched.row("A");
        watched.stop();
        wait("the slot is free", || !is_streaming(&server));
        server.stop();
        server.save();
        server.start_again();
        watched.start_again();
        insert(&server, "B");
        watched.row("B");
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
        watched.write(
            "[[flow.source.table]]",
            "on_gap = \"go-on\"\n[[flow.source.table]]",
        );
        watched.start_again();
        watched.reads();
        // It may stand where B stood, with the same transaction's number.
        insert(&server, "C");
        watched.row("C");
        let told = watched.told();
        assert_eq!(
            told.last().map(String::as_str),
            Some("create C"),
            "{told:?}"
        );
        let gaps = told.iter().filter(|told| told.starts_with("gap "));
        let gaps: Vec<_> = gaps.collect();
        assert_eq!(gaps, ["gap server_went_back went_on"], "{told:?}");
        are_all_others(&watched);
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
