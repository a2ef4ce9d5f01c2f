//! Tables of which only their state is known: by time, or by comparing all of it.

use dray_tests::clock::Clock;
use dray_tests::site::Site;
use dray_tests::target::Target;

use super::databases::{By, Database};
use super::{AS_IT_IS, MAPPING, arrived, fields, flow, kill_agent, numbers, site};
use crate::{folder, target_table, these_arrive_whole, wait};

#[test]
fn rows_by_time_come_once_also_where_many_share_one_and_a_clock_that_goes_back_stops_the_flow() {
    let folder = folder("timestamp");
    let table = Database::sqlite(&folder);
    let mode = "mode = \"timestamp\"\nchanged = { column = \"changed_at\", lag = \"1s\" }";
    let clock = Clock::new(folder.path().join("agent.clock")).expect("a clock");
    let erp = Target::start(true).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let place = folder.path().join("site");
    std::fs::create_dir_all(&place).expect("a folder");
    let flows = [flow(&table.moved(By::ItsOwnDriver, mode), MAPPING)];
    let mut site = Site::lay_out(&place, &flows, &targets).expect("a site");
    site.start_collector().expect("a collector");
    site.enrol().expect("enrolled");
    site.environment = clock.environment();
    let old = |ids: std::ops::Range<u64>, seconds: u64| {
        table.run("BEGIN");
        table.insert(ids.clone());
        table.run(&format!(
            "UPDATE moved SET changed_at = strftime('%Y-%m-%d %H:%M:%S', 'now', '-{seconds} seconds') WHERE id BETWEEN {} AND {}; COMMIT",
            ids.start,
            ids.end - 1
        ));
    };
    // More than a page, and more than are known one by one.
    old(1..5_001, 600);
    site.start_agent().expect("an agent");
    arrived(&erp, 1_000, "some are read");
    kill_agent(&mut site);
    site.start_agent().expect("an agent");
    old(5_001..5_101, 300);
    arrived(&erp, 5_100, "all are read");
    // At the edge, behind what was read of that time.
    let time = table.ask("SELECT changed_at FROM moved WHERE id = 5001");
    table.insert(5_200..5_201);
    table.run(&format!(
        "UPDATE moved SET changed_at = '{time}' WHERE id = 5200"
    ));
    table.run(&format!(
        "INSERT INTO moved (id, number, sku, changed_at) VALUES (0, 'MV0000000000', 'S', '{time}')"
    ));
    let expected = numbers((0..5_101).chain(5_200..5_201));
    these_arrive_whole(&site, &erp, &expected, "rows by time");
    clock.set_days(-1).expect("it is set");
    let agent = site.agent.as_ref().expect("it runs");
    let told = agent.wait_log("the flow stopped").expect("it stops");
    assert!(
        told.contains("the database's clock went back by 86"),
        "{told}"
    );
}

#[test]
fn a_whole_comparison_finds_what_was_changed_and_deleted_whoever_is_killed() {
    let folder = folder("compare");
    let table = Database::sqlite(&folder);
    let mode = "mode = \"full-compare\"\nwithout = [\"version\"]";
    let (mut site, _erp) = site(&table.moved(By::ItsOwnDriver, mode), AS_IT_IS, &folder);
    table.insert(1..5_001);
    let known = |site: &Site| {
        let mut rows = std::collections::BTreeMap::new();
        let mut told = Vec::new();
        for field in fields(site) {
            let text = |name: &str| field[name].as_str().unwrap_or_default().to_owned();
            told.push((text("_op"), text("id")));
            match &*text("_op") {
                "delete" => rows.remove(&text("id")),
                _ => rows.insert(text("id"), text("quantity")),
            };
        }
        (rows, told)
    };
    let mut changes = 5_000;
    wait("all rows", || known(&site).1.len() >= changes);
    for round in 1..4 {
        table.run(&format!(
            "BEGIN; UPDATE moved SET quantity = quantity + 1 WHERE id % 10 = {round}; UPDATE moved SET version = version + 1; \
             DELETE FROM moved WHERE id % 100 = 50 + {round}; COMMIT"
        ));
        table.insert(10_000 * round..10_000 * round + 30);
        kill_agent(&mut site);
        site.start_agent().expect("an agent");
        changes += 450 + 50 + 30;
        if round > 1 {
            // Rows of the rounds before, by their ids.
            changes += 3 * (round as usize - 1);
        }
        wait("a round's changes", || known(&site).1.len() >= changes);
    }
    let (rows, told) = known(&site);
    assert_eq!(told.len(), changes, "each change once");
    assert_eq!(
        rows.len().to_string(),
        table.ask("SELECT COUNT(*) FROM moved")
    );
    for id in [3, 11, 30_001] {
        let quantity = table.ask(&format!("SELECT quantity FROM moved WHERE id = {id}"));
        assert_eq!(rows[&id.to_string()], quantity, "{id}");
    }
    assert!(!rows.contains_key("51"));
    // What is kept is lost: everything comes again, and nothing goes wrong.
    kill_agent(&mut site);
    let mut removed = 0;
    remove_kept(&folder.path().join("site"), &mut removed);
    assert_eq!(removed, 1, "the folder of what is kept");
    site.start_agent().expect("an agent");
    let all = changes + rows.len();
    wait("all rows again", || known(&site).1.len() >= all);
    assert_eq!(known(&site).1[changes].0, "read");
}

fn remove_kept(folder: &std::path::Path, removed: &mut usize) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with("compared") {
            std::fs::remove_dir_all(&path).expect("it goes");
            *removed += 1;
        } else if path.is_dir() {
            remove_kept(&path, removed);
        }
    }
}
