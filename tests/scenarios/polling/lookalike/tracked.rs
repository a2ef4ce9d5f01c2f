//! Change tracking.

use std::thread;

use dray_tests::database::Database as _;

use super::super::{AS_IT_IS, fields, kill_agent, site};
use super::LookAlike;
use super::replay::{replay, text, told};
use crate::{folder, kill_one, soak, wait};

const MAPPED: &str = "\n[[flow.mapping]]\nbody = \"generic\"\nkey = \"id\"\nall_columns = true\n";

fn rows(alike: &LookAlike) -> super::replay::Rows {
    told(&alike.run("SELECT site || ' ' || id || '|' || quantity FROM dbo.held"))
}

#[test]
fn tracked_rows_make_the_table_whoever_is_killed_with_and_without_snapshots() {
    for has_snapshots in [true, false] {
        let rounds = if soak() { 40 } else { 5 };
        let folder = folder("ct");
        let alike = LookAlike::start();
        alike.run(&format!(
            "UPDATE sys.databases SET snapshot_isolation_state = {}; INSERT INTO dbo.held SELECT n % 3, n, 'HD', n FROM generate_series(1, 9000) n",
            u8::from(has_snapshots)
        ));
        let (mut site, _erp) = site(&alike.tracked(""), MAPPED, &folder);
        let client = alike.server.client();
        let writes = thread::spawn(move || {
            for round in 0..rounds {
                // One version of more than a page, and small ones.
                for sql in [
                    format!(
                        "UPDATE dbo.held SET quantity = quantity + 1 WHERE id % 2 = {round} % 2"
                    ),
                    format!("DELETE FROM dbo.held WHERE id % 500 = {round}"),
                    format!(
                        "INSERT INTO dbo.held VALUES (7, {round} + 20000, 'HD', 1); UPDATE dbo.held SET quantity = 9 WHERE id = {round} + 20000"
                    ),
                    format!("INSERT INTO dbo.held VALUES (8, {round}, 'HD', 1)"),
                    format!("DELETE FROM dbo.held WHERE site = 8 AND id = {round}"),
                ] {
                    client(&sql).expect("it is written");
                }
            }
        });
        for part in 1..=rounds {
            // Who reads late is told of several changes of a row as one.
            wait("a part", || {
                fields(&site).len() > part * 2_500 || writes.is_finished()
            });
            kill_one(&mut site, 0.7);
        }
        writes.join().expect("all is written");
        alike.run("INSERT INTO dbo.held VALUES (9, 30000, 'HD', 0)");
        wait("the last change", || {
            fields(&site)
                .last()
                .is_some_and(|one| text(one, "id") == "30000")
        });
        let found = fields(&site);
        let made = replay(&found, &["site", "id"], &["quantity"]);
        assert!(made == rows(&alike), "the table is made, {has_snapshots}");
        let deleted = found.iter().find(|one| text(one, "_op") == "delete");
        let deleted = deleted.expect("rows are deleted");
        assert_eq!(
            text(deleted, "number"),
            "~",
            "of a deleted row there is its key"
        );
        assert!(deleted["site"].is_string());
    }
}

#[test]
fn versions_that_were_cleaned_up_before_they_were_read_are_told() {
    for (rest, expected) in [
        ("", None),
        ("on_gap = \"go-on\"", Some(("went_on", 1))),
        ("on_gap = \"load-again\"", Some(("loads_again", 4))),
    ] {
        let folder = folder("ct-gap");
        let alike = LookAlike::start();
        alike.run("INSERT INTO dbo.held VALUES (1, 1, 'HD', 1)");
        let (mut site, _erp) = site(&alike.tracked(rest), AS_IT_IS, &folder);
        wait("what was there", || fields(&site).len() == 1);
        kill_agent(&mut site);
        for id in 2..5 {
            alike.run(&format!("INSERT INTO dbo.held VALUES (1, {id}, 'HD', 1)"));
        }
        alike.run("SELECT sys.forget(3)");
        site.start_agent().expect("an agent");
        let Some((course, rows)) = expected else {
            let agent = site.agent.as_ref().expect("it runs");
            let said = agent.wait_log("the flow stopped").expect("it stops");
            assert!(
                said.contains("CHANGE_RETENTION") && said.contains("on_gap = "),
                "{said}"
            );
            continue;
        };
        wait("what is there", || fields(&site).len() == 2 + rows);
        let events = site.log_events().expect("the log");
        assert_eq!(text(&events[1]["data"], "course"), course);
        let last = fields(&site).pop().expect("a row");
        assert_eq!(text(&last, "id"), "4");
    }
}
