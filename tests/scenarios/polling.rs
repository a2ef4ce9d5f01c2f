//! Tables that are asked again and again.

mod databases;
mod documentation;
mod drivers;
mod hung;
mod lookalike;
mod marks;
mod nights;
mod odd;
mod states;

use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use serde_json::Value;
use tempfile::TempDir;

use crate::{PATIENCE, folder, kill_one, soak, target_table, these_arrive_whole, wait};
use databases::{By, Database};

/// What becomes of a movement.
const MAPPING: &str = r#"
[[flow.mapping]]
body = "inventory_movement"
key = "sku"
[flow.mapping.fields]
movement_number = { from = "number", required = true }
item_number = "sku"
quantity = "quantity"
"#;

/// Rows as they are.
const AS_IT_IS: &str = "\n[[flow.mapping]]\nbody = \"generic\"\nkey = \"id\"\nall_columns = true\n";

fn flow(source: &str, mapping: &str) -> FlowSpec {
    FlowSpec {
        name: "movements".into(),
        source: source.to_owned(),
        format: String::new(),
        mapping: mapping.into(),
        timeliness: "normal",
    }
}

fn site(source: &str, mapping: &str, folder: &TempDir) -> (Site, Target) {
    let erp = Target::start(true).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let place = folder.path().join("site");
    std::fs::create_dir_all(&place).expect("a folder");
    let site = Site::start(&place, &[flow(source, mapping)], &table).expect("a site");
    (site, erp)
}

fn numbers(ids: impl Iterator<Item = u64>) -> Vec<String> {
    ids.map(|id| format!("MV{id:010}")).collect()
}

fn arrived(erp: &Target, count: usize, what: &str) {
    let count = count as u64;
    assert!(
        erp.wait(PATIENCE, |events| events >= count),
        "{what}: {} of {count} came",
        erp.events()
    );
}

fn kill_agent(site: &mut Site) {
    site.agent
        .as_mut()
        .expect("it runs")
        .kill()
        .expect("a kill");
}

/// The generic events' fields, as they stand in the log.
fn fields(site: &Site) -> Vec<Value> {
    let events = site.log_events().expect("the log");
    events
        .into_iter()
        .map(|event| event["data"]["fields"].clone())
        .collect()
}

#[test]
fn in_a_file_of_sqlite_late_ids_come_once_whoever_is_killed() {
    let (rounds, rows) = if soak() { (60, 2_000) } else { (6, 500) };
    for by in [By::ItsOwnDriver, By::Odbc] {
        let folder = folder("overlap");
        let table = Database::sqlite(&folder);
        let (mut site, erp) = site(&table.moved(by, "mode = \"overlap\""), MAPPING, &folder);
        let mut expected = Vec::new();
        let mut sent = 1;
        for _ in 0..rounds {
            // Every tenth id is given to somebody who commits later, and every hundredth to nobody.
            let mut sql = table_insert(sent, rows);
            sql.push_str(&format!(
                "DELETE FROM moved WHERE id >= {sent} AND id % 10 = 0; COMMIT;"
            ));
            table.run(&sql);
            expected.extend((sent..sent + rows).filter(|id| id % 10 != 0));
            arrived(&erp, expected.len(), "a round");
            kill_one(&mut site, 0.7);
            let late = (sent..sent + rows).filter(|id| id % 10 == 0 && id % 100 != 0);
            for late in late {
                table.insert(late..late + 1);
                expected.push(late);
            }
            sent += rows;
        }
        let expected = numbers(expected.into_iter());
        these_arrive_whole(
            &site,
            &erp,
            &expected,
            &format!("late ids and kills, {by:?}"),
        );
    }
}

/// One transaction, so that nobody sees rows that are taken out of it.
fn table_insert(from: u64, rows: u64) -> String {
    let to = from + rows - 1;
    format!(
        "BEGIN IMMEDIATE; WITH RECURSIVE s(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM s WHERE n < {to}) INSERT INTO moved (id, number, sku, quantity) SELECT n, printf('MV%010d', n), 'SKU-' || (n % 97), n % 1000 FROM s; "
    )
}

/// Writers take ids, and commit in another order or never, while agent and collector are killed.
fn late_and_rolled_back(table: &Database, by: By, mode: &str, what: &str) {
    let rounds = if soak() { 40 } else { 5 };
    let folder = folder("late");
    let (mut site, erp) = site(&table.moved(by, mode), MAPPING, &folder);
    let mut expected = Vec::new();
    let mut id = 1;
    for round in 0..rounds {
        let name = |one: u64| format!("t{round}_{one}");
        for one in 0..6 {
            table.begin_insert(&name(one), id + one * 20..id + one * 20 + 20);
        }
        table.insert(id + 120..id + 200);
        expected.extend(id + 120..id + 200);
        if mode.contains("overlap") {
            arrived(&erp, expected.len(), "what is committed");
        }
        for one in [3, 0, 5, 2, 4, 1] {
            table.end(&name(one), one != 2);
            if one != 2 {
                expected.extend(id + one * 20..id + one * 20 + 20);
            }
            if one == 5 {
                kill_one(&mut site, 0.7);
            }
        }
        id += 200;
    }
    these_arrive_whole(&site, &erp, &numbers(expected.into_iter()), what);
}

#[test]
fn in_postgresql_late_transactions_come_once_by_id_and_by_fence() {
    for (by, mode) in [
        (By::ItsOwnDriver, "mode = \"overlap\""),
        (By::Odbc, "mode = \"overlap\""),
        (
            By::ItsOwnDriver,
            "mode = \"fence\"\ntransaction = \"written_by\"",
        ),
        (By::Odbc, "mode = \"fence\"\ntransaction = \"written_by\""),
    ] {
        let table = Database::postgres();
        late_and_rolled_back(&table, by, mode, &format!("PostgreSQL, {by:?}, {mode}"));
    }
}

#[test]
fn a_server_that_took_over_stops_a_flow_by_transactions_until_its_timeline_is_accepted() {
    for by in [By::ItsOwnDriver, By::Odbc] {
        let mut table = Database::postgres();
        let folder = folder("timeline");
        let mode = "mode = \"fence\"\ntransaction = \"written_by\"";
        let (mut site, erp) = site(&table.moved(by, mode), MAPPING, &folder);
        table.insert(1..101);
        these_arrive_whole(&site, &erp, &numbers(1..101), "before");
        let server = table.server().expect("a server");
        server.stop();
        server.follow();
        server.promote();
        table.insert(101..201);
        let agent = site.agent.as_ref().expect("it runs");
        let told = agent.wait_log("the flow stopped").expect("it stops");
        assert!(
            told.contains("is on timeline 2, and the flow has read on timeline 1")
                && told.contains("write accepted_timeline = 2"),
            "{told}"
        );
        assert_eq!(erp.events(), 100, "{by:?}");
        kill_agent(&mut site);
        let file = site.agent_config();
        let text = std::fs::read_to_string(&file).expect("a file");
        let text = text.replace(mode, &format!("{mode}\naccepted_timeline = 2"));
        std::fs::write(&file, text).expect("a file");
        site.start_agent().expect("an agent");
        these_arrive_whole(&site, &erp, &numbers(1..201), &format!("{by:?}, accepted"));
    }
}

#[test]
fn a_standby_that_lacks_what_a_flow_by_transactions_has_read_is_waited_for() {
    for by in [By::ItsOwnDriver, By::Odbc] {
        let mut table = Database::postgres();
        let folder = folder("lacks");
        let mode = "mode = \"fence\"\ntransaction = \"written_by\"";
        let (mut site, erp) = site(&table.moved(by, mode), MAPPING, &folder);
        let server = table.server().expect("a server");
        server.stop();
        server.save();
        server.start_again();
        for first in [1, 11, 21] {
            table.insert(first..first + 10);
        }
        these_arrive_whole(&site, &erp, &numbers(1..31), "before");
        kill_agent(&mut site);
        let server = table.server().expect("a server");
        server.stop();
        server.set_back();
        server.follow();
        site.start_agent().expect("an agent");
        let agent = site.agent.as_ref().expect("it runs");
        let told = agent.wait_log("is a standby that has not got");
        told.unwrap_or_else(|error| panic!("{by:?}: {error}"));
        assert_eq!(erp.events(), 30, "{by:?}");
    }
}

#[test]
fn in_mariadb_late_transactions_come_once() {
    for by in [By::ItsOwnDriver, By::Odbc] {
        let table = Database::maria();
        let what = format!("MariaDB, {by:?}");
        late_and_rolled_back(&table, by, "mode = \"overlap\"", &what);
    }
}

#[test]
fn check_warns_of_a_column_without_an_index() {
    let folder = folder("index");
    let table = Database::sqlite(&folder);
    let place = folder.path().join("site");
    std::fs::create_dir_all(&place).expect("a folder");
    let check = |mode: &str| {
        let source = table.moved(By::ItsOwnDriver, mode);
        let site = Site::lay_out(&place, &[flow(&source, MAPPING)], "").expect("a site");
        let told = site.agent_command(&["check"]).expect("it is good");
        String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr)
    };
    let changed = "mode = \"timestamp\"\nchanged = { column = \"changed_at\" }";
    assert!(check(changed).contains("moved has no index that begins with changed_at"));
    table.run("CREATE INDEX by_time ON moved (changed_at)");
    assert!(!check(changed).contains("has no index"));
    assert!(!check("mode = \"overlap\"").contains("has no index"));
}

#[test]
fn a_table_that_was_restored_stops_the_flow_in_words() {
    let home = folder("restored");
    for table in [
        Database::sqlite(&home),
        Database::postgres(),
        Database::maria(),
    ] {
        for (name, change, expected) in [
            (
                "older",
                "DELETE FROM older WHERE id > 50",
                "the highest id of older is 50, and 100 was read already",
            ),
            (
                "other",
                "UPDATE other SET version = 7 WHERE id = 100",
                "the row 100 of other is another one than was read",
            ),
        ] {
            let folder = folder("restored-table");
            let mode = "mode = \"overlap\"\nversion = \"version\"";
            table.make(name);
            let source = table.reads(By::ItsOwnDriver, name, mode);
            let (mut site, erp) = site(&source, MAPPING, &folder);
            table.insert_into(name, 1..101);
            these_arrive_whole(&site, &erp, &numbers(1..101), "before");
            kill_agent(&mut site);
            table.run(change);
            site.start_agent().expect("an agent");
            let agent = site.agent.as_ref().expect("it runs");
            let told = agent.wait_log("the flow stopped").expect("it stops");
            assert!(told.contains(expected), "{told}");
            assert_eq!(erp.events(), 100);
        }
    }
}

#[test]
fn a_long_cell_comes_whole_or_its_row_is_a_dead_letter() {
    let postgres = Database::postgres();
    let maria = Database::maria();
    maria.run("SET GLOBAL max_allowed_packet = 67108864");
    maria.run("ALTER TABLE wms.moved MODIFY sku longtext CHARSET utf8mb4");
    for (table, by) in [
        (&postgres, By::ItsOwnDriver),
        (&postgres, By::Odbc),
        (&maria, By::ItsOwnDriver),
        (&maria, By::Odbc),
    ] {
        let folder = folder("long");
        if table.ask("SELECT COUNT(*) FROM moved") == "0" {
            table.run("INSERT INTO moved (id, number, sku) VALUES (1, 'MV0000000001', repeat('ä€x', 50000)), (2, 'MV0000000002', repeat('x', 17000000)), (3, 'MV0000000003', 'S')");
        }
        let source = table.moved(by, "mode = \"overlap\"");
        let (site, _erp) = site(&source, AS_IT_IS, &folder);
        let events = || site.log_events().expect("the log");
        wait("three events", || events().len() >= 3);
        let events = events();
        let long = events[0]["data"]["fields"]["sku"].as_str().expect("a text");
        assert_eq!(long, "ä€x".repeat(50_000), "{by:?}");
        let dead = events[1].to_string();
        assert!(
            dead.contains("the column sku of a row of moved"),
            "{by:?}: {dead}"
        );
        assert_eq!(events[2]["data"]["fields"]["id"].as_str(), Some("3"));
    }
}

#[test]
fn a_server_that_dies_while_rows_are_fetched_is_asked_again() {
    for mut table in [Database::postgres(), Database::maria()] {
        for by in [By::ItsOwnDriver, By::Odbc] {
            let folder = folder("dies");
            let name = format!("dies_{by:?}").to_lowercase();
            let rows = 60_000;
            table.make(&name);
            table.insert_into(&name, 1..rows + 1);
            let source = table.reads(by, &name, "mode = \"overlap\"");
            let (site, erp) = site(&source, MAPPING, &folder);
            for part in 1..3 {
                arrived(&erp, (rows * part / 4) as usize, "a part");
                table.crash();
            }
            these_arrive_whole(
                &site,
                &erp,
                &numbers(1..rows + 1),
                &format!("a dying server, {name}"),
            );
        }
    }
}

#[test]
fn a_query_of_what_stands_in_two_tables_is_read_as_one() {
    let folder = folder("query");
    let table = Database::sqlite(&folder);
    table.run("CREATE TABLE place (sku TEXT PRIMARY KEY, location TEXT); INSERT INTO place VALUES ('SKU-1', 'A-01')");
    let source = format!(
        "{}query = \"SELECT m.id, m.number, p.location FROM moved m JOIN place p ON p.sku = m.sku\"\nrecord_type = \"placed\"\nid = \"id\"\nmode = \"overlap\"\n",
        table.source(By::ItsOwnDriver)
    );
    let (site, erp) = site(&source, AS_IT_IS, &folder);
    table.insert(1..99);
    arrived(&erp, 2, "two rows have a place");
    let found = fields(&site);
    assert_eq!(found[0]["location"].as_str(), Some("A-01"));
    assert_eq!(found[1]["id"].as_str(), Some("98"));
    assert_eq!(found[1]["_position"].as_str(), Some("98"));
}

#[test]
fn more_missing_ids_than_are_remembered_hold_a_flow_up_until_their_time_is_over() {
    let folder = folder("gaps");
    let table = Database::sqlite(&folder);
    let mode = "mode = \"overlap\"\ntransaction_max = \"2s\"";
    let (site, erp) = site(&table.moved(By::ItsOwnDriver, mode), MAPPING, &folder);
    let insert = |from: u64, to: u64| {
        table.run(&format!(
            "WITH RECURSIVE s(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM s WHERE n < {to}) INSERT INTO moved (id, number, sku) SELECT n * 1000003, printf('MV%010d', n), 'S' FROM s"
        ));
    };
    insert(1, 1);
    arrived(&erp, 1, "the first");
    insert(2, 8_000);
    let agent = site.agent.as_ref().expect("it runs");
    agent
        .wait_log("so many ids are missing")
        .expect("it says so");
    these_arrive_whole(&site, &erp, &numbers(1..8_001), "many missing ids");
}
