//! Who follows the pages as they stand: their tables, statements and flows, and what becomes of a row that is made, changed and deleted.

use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use dray_tests::{mariadb, postgres};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{folder, target_table, wait};

const LOGS: &str = include_str!("../../docs/change-logs.md");
const TABLES: &str = include_str!("../../docs/change-tables.md");

/// The first block of a language behind these words of a page.
fn block<'p>(page: &'p str, behind: &str, language: &str) -> &'p str {
    let (_, rest) = page.split_once(behind).expect("the words");
    let mut blocks = rest.split("```").skip(1).step_by(2);
    let found = blocks.find_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    found.expect("a block")
}

/// The flow's mapping, of the first flow behind these words.
fn mapping<'p>(page: &'p str, behind: &str) -> &'p str {
    let flow = block(page, behind, "toml");
    &flow[flow.find("[[flow.mapping]]").expect("a mapping")..]
}

fn flow(source: String, mapping: &str) -> FlowSpec {
    FlowSpec {
        name: "movements".into(),
        source,
        format: String::new(),
        mapping: format!("\n{mapping}"),
        timeliness: "normal",
    }
}

/// What `check` says of a flow, good or bad.
fn checked(flow: &FlowSpec) -> String {
    let folder = folder("newcomer-check");
    let flow = FlowSpec {
        source: flow.source.clone(),
        mapping: flow.mapping.clone(),
        name: flow.name.clone(),
        format: String::new(),
        timeliness: "normal",
    };
    let site = Site::lay_out(folder.path(), &[flow], "").expect("a site");
    match site.agent_command(&["check"]) {
        Ok(told) => String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned(),
        Err(error) => format!("{error:#}"),
    }
}

fn begun(folder: &TempDir, flow: FlowSpec) -> (Site, Target) {
    let erp = Target::start(true).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[flow], &table).expect("a site");
    (site, erp)
}

/// Key and operation of each event of a row.
fn told(site: &Site) -> Vec<String> {
    let events = site.log_records().expect("the log");
    let shown = events.into_iter().map(|event| {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("type"), text("key"), text("operation"))
    });
    shown.collect()
}

/// Makes, changes and deletes a row after one that was there is told.
fn follows(flow: FlowSpec, body: &str, changes: [&str; 3], run: impl Fn(&str)) {
    let said = checked(&flow);
    assert!(!said.contains('✗') && !said.contains("mapping"), "{said}");
    let folder = folder("newcomer");
    let (site, _erp) = begun(&folder, flow);
    let expected = ["A snapshot", "B create", "B update", "B delete"];
    let expected: Vec<_> = expected.map(|one| format!("{body} {one}")).into();
    wait("the row that is there", || told(&site).len() == 1);
    for change in changes {
        run(change);
    }
    wait("three changes", || told(&site).len() >= 4);
    assert_eq!(told(&site), expected);
}

#[test]
fn the_page_on_postgresql_makes_a_delete_of_a_delete() {
    let server = postgres::Server::start();
    server.sql("DROP TABLE movement");
    let tables = server.source("public.movement") + "without = [\"entered_by\"]\n";
    server.sql(block(LOGS, "Say the database `wms` has this table", "sql"));
    let statements = block(LOGS, "2. A role for the agent", "sql");
    let (_, statements) = statements.split_once('\n').expect("the role is there");
    server.sql("REVOKE CREATE ON DATABASE wms FROM dray");
    server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'");
    server.sql("SELECT pg_reload_conf()");
    server.sql("INSERT INTO movement (number, sku, quantity) VALUES (1, 'A', 1)");
    server.sql(statements);
    let flow = flow(tables, mapping(LOGS, "3. A flow:"));
    follows(
        flow,
        "inventory_movement",
        [
            "INSERT INTO movement (number, sku, quantity) VALUES (2, 'B', 1)",
            "UPDATE movement SET quantity = 2 WHERE number = 2",
            "DELETE FROM movement WHERE number = 2",
        ],
        |sql| drop(server.sql(sql)),
    );
}

#[test]
fn the_page_on_mariadb_makes_a_delete_of_a_delete() {
    let server = mariadb::Server::start();
    server.sql("DROP TABLE wms.movement");
    let behind = "2. A user for the agent, and what it reads";
    let statements = block(LOGS, behind, "sql").replace("192.0.2.7", "127.0.0.9");
    server.sql(&statements);
    server.sql("INSERT INTO wms.movement (number, sku, quantity) VALUES (1, 'A', 1)");
    let source = server.source("wms.movement") + "without = [\"entered_by\"]\n";
    let flow = flow(source, mapping(LOGS, "kept for longer than a site's line"));
    follows(
        flow,
        "inventory_movement",
        [
            "INSERT INTO wms.movement (number, sku, quantity) VALUES (2, 'B', 1)",
            "UPDATE wms.movement SET quantity = 2 WHERE number = 2",
            "DELETE FROM wms.movement WHERE number = 2",
        ],
        |sql| drop(server.sql(sql)),
    );
}

#[test]
fn the_page_on_change_tables_makes_a_delete_of_a_delete() {
    let folder = folder("newcomer-sqlite");
    let file = folder.path().join("wms.db");
    let database = Connection::open(&file).expect("a database");
    let run = |sql: &str| database.execute_batch(sql).expect("it is done");
    run(block(TABLES, "Say there is this table", "sql"));
    run(block(TABLES, "### SQLite\n", "sql"));
    let example: toml::Table = toml::from_str(block(TABLES, "## A flow\n", "toml")).expect("TOML");
    let source = &example["flow"][0]["source"];
    let op = &source["op"];
    let source = |mode: &str| {
        format!(
            "kind = \"sql\"\ndriver = \"sqlite\"\nfile = \"{}\"\nrecord_type = \"public.stock_change\"\ntable = \"stock_change\"\nid = {}\nop = {op}\nwithout = {}\n{mode}\n",
            file.display(),
            source["id"],
            source["without"]
        )
    };
    let mapping = mapping(TABLES, "## A flow\n");
    run("INSERT INTO stock VALUES ('A', 'X', 1)");

    // What the table does not have is told before a queue is emptied for it.
    let wrong = mapping.replace("\"quantity\"", "\"qty\"");
    let said = checked(&flow(source("mode = \"delete-after-read\""), &wrong));
    assert!(
        said.contains("✗") && said.contains("mapping 1, on_hand: there is no column qty"),
        "{said}"
    );
    let wrong = mapping.replace("public.stock_change", "stock_change");
    let said = checked(&flow(source("mode = \"delete-after-read\""), &wrong));
    assert!(
        said.contains("record_type: no record is a \"stock_change\"; they are public.stock_change"),
        "{said}"
    );
    // A comparison knows of a deleted row its id alone.
    let compare = source("mode = \"full-compare\"");
    let compare = compare.split_once("\nop =").expect("op").0.to_owned();
    let said = checked(&flow(compare + "\nmode = \"full-compare\"\n", mapping));
    assert!(
        said.contains("! ") && said.contains("the source does not say sku"),
        "{said}"
    );

    // The row that is there is one that a trigger noted: its operation is in the table.
    let flow = flow(source("mode = \"overlap\""), mapping);
    let said = checked(&flow);
    assert!(!said.contains('✗') && !said.contains("mapping"), "{said}");
    let place = crate::folder("newcomer-tables");
    let (site, _erp) = begun(&place, flow);
    run("UPDATE stock SET quantity = 2");
    run("DELETE FROM stock");
    wait("three changes", || told(&site).len() >= 3);
    let expected = ["A create", "A update", "A delete"];
    assert_eq!(
        told(&site),
        expected.map(|one| format!("inventory_level {one}"))
    );
}

#[test]
fn check_tells_what_a_flow_on_postgresql_would_wait_or_stop_for() {
    let server = postgres::Server::start();
    server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'");
    server.sql("SELECT pg_reload_conf()");
    let of = |more: &str, mapping: &str| {
        let source = server.source("public.movement");
        let source = source.replace("user =", &format!("{more}user ="));
        flow(source, mapping)
    };
    let as_it_is = &server.flow().mapping;
    let good = checked(&of("", as_it_is));
    assert!(!good.contains('✗'), "{good}");
    assert!(
        good.contains("the source does not say sku")
            && good.contains("ALTER TABLE \"public\".\"movement\" REPLICA IDENTITY FULL;"),
        "{good}"
    );
    let none = checked(&of("create = false\n", as_it_is));
    assert!(
        none.contains('✗')
            && none.contains("CREATE PUBLICATION \"dray_movements\" FOR TABLE")
            && none.contains("pg_create_logical_replication_slot('dray_movements'"),
        "{none}"
    );
    let wrong = checked(&of("", &as_it_is.replace("\"quantity\"", "\"qty\"")));
    assert!(
        wrong.contains("there is no column qty in the record"),
        "{wrong}"
    );
    server.sql("REVOKE CREATE ON DATABASE wms FROM dray");
    let lacks = checked(&of("", as_it_is));
    assert!(
        lacks.contains("may not create in the database wms")
            && lacks.contains("CREATE PUBLICATION \"dray_movements\""),
        "{lacks}"
    );
    server.sql("GRANT CREATE ON DATABASE wms TO dray; ALTER TABLE movement OWNER TO postgres; GRANT SELECT ON movement TO dray");
    let lacks = checked(&of("", as_it_is));
    assert!(lacks.contains("does not own public.movement"), "{lacks}");
    server.sql("ALTER TABLE movement OWNER TO dray");

    let folder = folder("newcomer-gone");
    let (mut site, _erp) = begun(&folder, of("", as_it_is));
    server.sql("INSERT INTO movement (number, sku) VALUES ('MV1', 'A')");
    wait("it comes", || told(&site).len() == 1);
    let agent = site.agent.as_mut().expect("it runs");
    agent.terminate().expect("it ends");
    let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'dray_movements'";
    wait("the slot is free", || server.sql(active) == "f");
    server.sql("SELECT pg_drop_replication_slot('dray_movements')");
    let gone = site.agent_command(&["check"]).expect_err("it would stop");
    let gone = format!("{gone:#}");
    assert!(
        gone.contains("the replication slot dray_movements is gone"),
        "{gone}"
    );
}
