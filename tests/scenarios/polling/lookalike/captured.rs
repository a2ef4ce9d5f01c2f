//! Change data capture.

use std::thread;

use dray_tests::database::Database as _;
use dray_tests::site::Site;
use dray_tests::target::Target;
use serde_json::Value;

use super::super::{AS_IT_IS, MAPPING, arrived, fields, kill_agent, numbers, site};
use super::LookAlike;
use super::replay::{replay, text, told};
use crate::{folder, kill_one, soak, these_arrive_whole, wait};

#[test]
fn a_cdc_look_alike_with_equal_lsns_and_window_edges_is_read_once_and_in_order_whoever_is_killed() {
    let rounds: u64 = if soak() { 40 } else { 6 };
    let folder = folder("cdc");
    let mut alike = LookAlike::start();
    let (mut site, erp) = site(&alike.captured(""), MAPPING, &folder);
    // What is committed while a table is loaded comes twice, and this one is empty still.
    let agent = site.agent.as_ref().expect("it runs");
    let loaded = agent.wait_log("what the table holds is read");
    loaded.expect("nothing is loaded");
    let mut next = 1;
    for round in 0..rounds {
        if round == rounds / 2 {
            alike.let_read_order();
        }
        // One transaction of more than two pages, while a page is read.
        alike.insert(next..next + 4_500);
        arrived(&erp, next as usize + 500, "a part of a transaction");
        kill_one(&mut site, 0.7);
        // The job stands still, and more is committed than it has written.
        alike.hold(round % 2 == 0);
        for one in 0..20 {
            alike.insert(next + 4_500 + one..next + 4_501 + one);
        }
        alike.hold(false);
        kill_one(&mut site, 0.7);
        alike.insert(next + 4_520..next + 5_000);
        if round % 3 == 1 {
            alike.server.crash();
        }
        next += 5_000;
    }
    these_arrive_whole(&site, &erp, &numbers(1..next), "captured changes");
}

#[test]
fn captured_changes_stand_in_the_log_in_the_order_of_their_lsns() {
    let folder = folder("cdc-order");
    let alike = LookAlike::start();
    let source = alike.captured("first_load = false");
    let (mut site, _erp) = site(&source, AS_IT_IS, &folder);
    has_begun(&site);
    let client = alike.server.client();
    let writes = thread::spawn(move || {
        for round in 0..100 {
            // A transaction of several pages among small ones.
            let last = if round == 40 { 5_000 } else { 7 };
            let insert = format!(
                "INSERT INTO dbo.moved SELECT {round} * 10000 + n, 'MV', 'S', 1 FROM generate_series(1, {last}) n"
            );
            client(&insert).expect("it is written");
        }
    });
    for part in 1..4 {
        wait("a part", || fields(&site).len() > part * 250);
        kill_agent(&mut site);
        site.start_agent().expect("an agent");
    }
    writes.join().expect("all is written");
    let count: usize = alike
        .run("SELECT count(*) FROM dbo.moved")
        .parse()
        .expect("a number");
    wait("all changes", || fields(&site).len() >= count);
    let found = fields(&site);
    assert_eq!(found.len(), count, "each once");
    let positions: Vec<_> = found.iter().map(|one| text(one, "_position")).collect();
    assert!(positions.is_sorted_by(|one, next| one < next), "in order");
    let ordinals_begin = found.iter().filter(|one| text(one, "_ordinal") == "0");
    let transactions = alike.run("SELECT count(*) FROM cdc.lsn_time_mapping");
    assert_eq!(ordinals_begin.count().to_string(), transactions);
}

/// The agent knows where the flow begins.
pub(super) fn has_begun(site: &Site) {
    let agent = site.agent.as_ref().expect("it runs");
    agent
        .wait_log("captured changes are read")
        .expect("it begins");
}

#[test]
fn what_a_row_was_comes_with_what_it_is() {
    let folder = folder("cdc-before");
    let alike = LookAlike::start();
    alike.insert(1..3);
    let (site, _erp) = site(
        &alike.captured("without = [\"number\"]\nmask = { sku = \"sha256\" }"),
        AS_IT_IS,
        &folder,
    );
    wait("what was there", || fields(&site).len() >= 2);
    alike.run("UPDATE dbo.moved SET quantity = quantity + 0.5");
    alike.run("UPDATE dbo.moved SET id = 7 WHERE id = 2");
    alike.run("DELETE FROM dbo.moved WHERE id = 1");
    alike.run("INSERT INTO dbo.moved VALUES (9, 'MV', NULL, 3)");
    wait("all changes", || fields(&site).len() >= 8);
    let found = fields(&site);
    let shown: Vec<_> = found.iter().map(shown).collect();
    assert_eq!(
        shown,
        [
            "read 1 1.000 from ~ ~",
            "read 2 2.000 from ~ ~",
            "update 1 1.500 from 1 1.000",
            "update 2 2.500 from 2 2.000",
            "delete 2 2.500 from 2 2.500",
            "create 7 2.500 from ~ ~",
            "delete 1 1.500 from 1 1.500",
            "create 9 3.000 from ~ ~",
        ]
    );
    assert_eq!(text(&found[2], "sku").len(), 64, "it is hidden");
    assert_eq!(text(&found[2], "sku"), text(&found[2], "before.sku"));
    assert_eq!(found[2].get("number"), None);
    assert_eq!(
        text(&found[2], "_transaction"),
        text(&found[3], "_transaction")
    );
    assert_eq!(
        (text(&found[2], "_ordinal"), text(&found[3], "_ordinal")),
        ("0".into(), "1".into())
    );
}

fn shown(one: &Value) -> String {
    let names = ["_op", "id", "quantity", "before.id", "before.quantity"];
    let [op, id, quantity, before, was] = names.map(|name| text(one, name));
    format!("{op} {id} {quantity} from {before} {was}")
}

#[test]
fn an_update_of_a_row_that_fills_a_page_is_one_change() {
    let folder = folder("cdc-large");
    let alike = LookAlike::start();
    let (site, _erp) = site(&alike.captured("first_load = false"), AS_IT_IS, &folder);
    has_begun(&site);
    alike.run("INSERT INTO dbo.moved SELECT n, 'MV', repeat('x', 1500000 + n), 1 FROM generate_series(1, 3) n; UPDATE dbo.moved SET sku = repeat('y', 1600000 + id::integer)");
    wait("all changes", || fields(&site).len() >= 6);
    let found = fields(&site);
    for (at, one) in found.iter().enumerate() {
        let (op, id) = [("create", at + 1), ("update", at.saturating_sub(2))][at / 3];
        assert_eq!(
            (text(one, "_op"), text(one, "id")),
            (op.to_owned(), id.to_string())
        );
        let is = text(one, "sku").len();
        let was = text(one, "before.sku").len();
        match op {
            "create" => assert_eq!((is, was), (1_500_000 + id, 1)),
            _ => assert_eq!((is, was), (1_600_000 + id, 1_500_000 + id)),
        }
    }
}

#[test]
fn a_first_load_and_the_changes_behind_it_make_the_table_whoever_is_killed() {
    let folder = folder("cdc-load");
    let alike = LookAlike::start();
    alike.insert(1..12_001);
    // The job is behind: what it writes later is in the table already.
    alike.hold(true);
    alike.run("UPDATE dbo.moved SET quantity = 1 WHERE id % 3 = 0; DELETE FROM dbo.moved WHERE id % 50 = 0");
    let (mut site, _erp) = site(&alike.captured(""), AS_IT_IS, &folder);
    for part in 1..5 {
        wait("a part", || fields(&site).len() > part * 1_500);
        alike.run(&format!(
            "UPDATE dbo.moved SET quantity = {part} WHERE id % 100 = {part}; DELETE FROM dbo.moved WHERE id % 1000 = {part}; INSERT INTO dbo.moved VALUES ({}, 'MV', 'S', 0)",
            20_000 + part
        ));
        kill_agent(&mut site);
        site.start_agent().expect("an agent");
    }
    alike.hold(false);
    alike.run("INSERT INTO dbo.moved VALUES (30000, 'MV', 'S', 0)");
    wait("the last change", || {
        fields(&site)
            .last()
            .is_some_and(|one| text(one, "id") == "30000")
    });
    let found = fields(&site);
    let table = told(&alike.run("SELECT id || '|' || quantity FROM dbo.moved"));
    assert!(
        replay(&found, &["id"], &["quantity"]) == table,
        "the table is made"
    );
    let reads = found
        .iter()
        .filter(|one| text(one, "_op") == "read")
        .count();
    let changes = alike.run("SELECT count(*) FROM cdc.\"dbo_moved_CT\" WHERE \"__$operation\" <> 3 AND \"__$start_lsn\" > cdc.number(16)");
    assert_eq!(
        (found.len() - reads).to_string(),
        changes,
        "each change behind the load's beginning once"
    );
}

/// The flow has read the ten first rows, and those up to 30 are gone before it was there.
fn over_a_gap(rest: &str) -> (tempfile::TempDir, LookAlike, Site, Target) {
    let folder = folder("cdc-gap");
    let alike = LookAlike::start();
    let (mut site, erp) = site(&alike.captured(rest), AS_IT_IS, &folder);
    has_begun(&site);
    alike.insert(1..11);
    wait("what was there", || fields(&site).len() >= 10);
    kill_agent(&mut site);
    for id in 11..41 {
        alike.insert(id..id + 1);
    }
    alike.run("SELECT cdc.cleanup(\"__$start_lsn\") FROM cdc.\"dbo_moved_CT\" WHERE id = 31");
    site.start_agent().expect("an agent");
    (folder, alike, site, erp)
}

#[test]
fn changes_that_were_cleaned_up_before_they_were_read_stop_the_flow_in_words() {
    let (_folder, _alike, site, _erp) = over_a_gap("");
    let agent = site.agent.as_ref().expect("it runs");
    let said = agent.wait_log("the flow stopped").expect("it stops");
    for part in [
        "its cleanup job removed them",
        "sp_cdc_change_job",
        "on_gap = ",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(fields(&site).len(), 10);
}

#[test]
fn behind_changes_that_were_cleaned_up_a_flow_goes_on_as_it_is_told_to_and_says_so() {
    for (policy, course, ids) in [
        ("go-on", "went_on", (31..41).collect::<Vec<u64>>()),
        ("load-again", "loads_again", (1..41).collect()),
    ] {
        let (_folder, alike, site, _erp) = over_a_gap(&format!("on_gap = \"{policy}\""));
        wait("what is there", || fields(&site).len() > 10 + ids.len());
        let events = site.log_events().expect("the log");
        let gap = &events[10]["data"];
        assert_eq!(
            (text(gap, "reason"), text(gap, "course")),
            ("log_dropped".into(), course.into())
        );
        let found = &fields(&site)[11..];
        let found: Vec<_> = found.iter().map(|one| text(one, "id")).collect();
        let ids: Vec<_> = ids.iter().map(u64::to_string).collect();
        assert_eq!(found, ids, "{policy}");
        alike.insert(50..51);
        wait("it goes on", || {
            fields(&site)
                .last()
                .is_some_and(|one| text(one, "id") == "50")
        });
    }
}

#[test]
fn a_flow_that_finds_nothing_for_long_is_not_behind_when_the_cleanup_comes() {
    let folder = folder("cdc-idle");
    let alike = LookAlike::start();
    let (site, erp) = site(&alike.captured("first_load = false"), MAPPING, &folder);
    has_begun(&site);
    // Others write, and this table is cleaned up as they are.
    for _ in 0..20 {
        alike.run("SELECT cdc.transaction_lsn()");
    }
    // Limits are asked behind a page, and again when the flow stands behind it.
    let asked = "SELECT count(*) FROM cdc.asked WHERE through IS NULL AND number > (SELECT min(number) FROM cdc.asked WHERE through = cdc.number(16 * 20))";
    wait("it stands behind them", || {
        alike.run(asked).parse::<u64>().expect("a number") >= 2
    });
    alike.run("SELECT cdc.cleanup(cdc.number(16 * 20))");
    alike.insert(1..11);
    these_arrive_whole(&site, &erp, &numbers(1..11), "an idle table");
}
