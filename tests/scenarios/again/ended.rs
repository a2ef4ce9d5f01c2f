//! What can't be done any more makes room for what can, and what was asked for can be taken back.

use dray_tests::disk::{Disk, Kind};

use super::*;
use crate::changes::{DISK_MIB, narrow};

/// Takes a table back; the exit code, and what was said.
fn cancel(site: &Site, table: &str) -> (Option<i32>, String) {
    let arguments = ["load-again", "movements", table, "--cancel"];
    let told = run("dray-agent", &site.agent_config(), &arguments).expect("it starts");
    let said = [told.stdout, told.stderr].concat();
    (
        told.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn is_taken_back(site: &Site, table: &str) {
    let (code, said) = cancel(site, table);
    assert!(
        code == Some(0) && said.contains("do not come again"),
        "{said}"
    );
}

fn lines(site: &Site, text: &str) -> usize {
    let agent = site.agent.as_ref().expect("it runs");
    agent
        .log()
        .iter()
        .filter(|line| line.contains(text))
        .count()
}

/// A transaction that wrote, and may have been told for all that is known: no table of PostgreSQL comes again before it ends.
const OPEN: &str =
    "BEGIN; INSERT INTO movement (number, sku) VALUES ('M', 'X'); SELECT pg_sleep(600)";
const OF_OPEN: &str = "FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND query LIKE 'BEGIN; INSERT INTO movement%'";

fn postgresql_tables(names: &[&str]) -> String {
    let tables = names.iter().map(|table| {
        format!("CREATE TABLE {table} (number text PRIMARY KEY, n bigint, quantity bigint); ALTER TABLE {table} OWNER TO dray; INSERT INTO {table} SELECT '{table}' || n, n, 0 FROM generate_series(1, 9) n;")
    });
    tables.collect()
}

#[test]
fn tables_of_postgresql_that_are_gone_or_may_not_be_read_make_room_and_are_said() {
    let server = postgres::Server::start();
    server.sql(&postgresql_tables(&["stock", "lot", "parts"]));
    let folder = folder("again-gone");
    let (mut site, erp) = begin(&folder, flow(&server, &["stock", "lot", "parts"]));
    stands(&site, "public.parts");
    is_done(&site);
    let holds = hold(&server, OPEN, &format!("SELECT COUNT(*) {OF_OPEN}"));
    for table in ["stock", "lot", "parts"] {
        stands(&site, &format!("public.{table}"));
    }
    wait("it is said why it waits", || {
        doing(&site).is_some_and(|doing| {
            doing.contains("public.stock is loaded again")
                && doing.contains("and waits: transactions are open")
        })
    });
    server.sql("DROP TABLE stock");
    server.sql("REVOKE ALL ON lot FROM dray");
    wait("it is said that it is gone", || {
        doing(&site).is_some_and(|doing| doing.contains("has no table public.stock"))
    });
    server.sql(&format!("SELECT pg_terminate_backend(pid) {OF_OPEN}"));
    holds.join().expect("it ended");
    assert!(
        erp.wait(PATIENCE, |events| events == 18),
        "the third one comes"
    );
    wait("it is said that it may not be read", || {
        doing(&site).is_some_and(|doing| {
            doing.contains("public.lot did not come again") && doing.contains("GRANT SELECT")
        })
    });
    assert_eq!(lines(&site, "not all its rows came again"), 2, "each once");
    let agent = site.agent.as_mut().expect("it runs");
    agent.kill().expect("a kill");
    server.sql("GRANT SELECT ON lot TO dray");
    // The flow itself reads no table that is not there.
    server.sql(&postgresql_tables(&["stock"]));
    server.sql("ALTER PUBLICATION dray_movements ADD TABLE stock");
    // The flow itself is told that it is another table.
    let config = std::fs::read_to_string(site.agent_config()).expect("a file");
    let source = "kind = \"postgres\"";
    assert!(config.contains(source), "{config}");
    let goes_on = config.replace(source, &format!("{source}\non_gap = \"go-on\""));
    std::fs::write(site.agent_config(), goes_on).expect("a file");
    site.start_agent().expect("an agent");
    wait("it is said after a restart", || {
        doing(&site).is_some_and(|doing| doing.contains("public.lot did not come again"))
    });
    stands(&site, "public.lot");
    assert!(erp.wait(PATIENCE, |events| events == 27), "it comes then");
    wait("the other one is said still", || {
        doing(&site).is_some_and(|doing| doing.starts_with("public.stock did not come again"))
    });
    is_taken_back(&site, "public.stock");
    is_done(&site);
}

#[test]
fn a_table_of_mariadb_that_is_gone_makes_room_and_is_said() {
    let server = mariadb::Server::start();
    for table in ["stock", "parts"] {
        server.sql(&format!("CREATE TABLE wms.{table} (number varchar(20) PRIMARY KEY, n bigint, quantity bigint) ENGINE = InnoDB; INSERT INTO wms.{table} SELECT CONCAT('{table}', seq), seq, 0 FROM wms.seq_1_to_9"));
    }
    let folder = folder("again-gone");
    let (site, erp) = begin(&folder, flow(&server, &["stock", "parts"]));
    stands(&site, "wms.parts");
    is_done(&site);
    let held = "LOCK TABLES wms.stock WRITE; SELECT SLEEP(600)";
    let of = "FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(600)'";
    let holds = hold(&server, held, &format!("SELECT COUNT(*) {of}"));
    stands(&site, "wms.stock");
    stands(&site, "wms.parts");
    // The one that is locked does not hold the other one up.
    assert!(
        erp.wait(PATIENCE, |events| events == 18),
        "the second one comes"
    );
    wait("it is said why it waits", || {
        doing(&site).is_some_and(|doing| {
            doing.contains("wms.stock is loaded again: 0 rows so far, and waits: ")
        })
    });
    // It waits for the table before those do that read it, and goes first.
    let dropping =
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO = 'DROP TABLE wms.stock'";
    let drops = hold(&server, "DROP TABLE wms.stock", dropping);
    server.sql(&format!(
        "SET @kill = (SELECT CONCAT('KILL ', ID) {of}); EXECUTE IMMEDIATE @kill"
    ));
    holds.join().expect("it ended");
    drops.join().expect("it is dropped");
    wait("it is said that it is gone", || {
        doing(&site).is_some_and(|doing| {
            doing.contains("wms.stock did not come again")
                && doing.contains("no table wms.stock any more")
        })
    });
    assert_eq!(lines(&site, "not all its rows came again"), 1, "once");
    is_taken_back(&site, "wms.stock");
    is_done(&site);
}

#[test]
fn a_table_of_mariadb_that_may_not_be_read_makes_room_and_says_what_is_to_be_granted() {
    let server = mariadb::Server::start();
    for table in ["stock", "parts"] {
        server.sql(&format!("CREATE TABLE wms.{table} (number varchar(20) PRIMARY KEY, n bigint, quantity bigint) ENGINE = InnoDB; INSERT INTO wms.{table} SELECT CONCAT('{table}', seq), seq, 0 FROM wms.seq_1_to_9"));
    }
    let folder = folder("again-denied");
    let (site, erp) = begin(&folder, flow(&server, &["stock", "parts"]));
    stands(&site, "wms.parts");
    is_done(&site);
    // The table and its columns are still to be seen.
    let user = "dray@'127.0.0.1'";
    server.sql(&format!("REVOKE SELECT ON wms.* FROM {user}; GRANT SELECT ON wms.parts TO {user}; GRANT INSERT ON wms.stock TO {user}"));
    stands(&site, "wms.stock");
    stands(&site, "wms.parts");
    assert!(
        erp.wait(PATIENCE, |events| events == 18),
        "the second one comes"
    );
    wait("it is said what is to be granted", || {
        doing(&site).is_some_and(|doing| {
            doing.contains("wms.stock did not come again")
                && doing.contains("GRANT SELECT ON `wms`.`stock` TO `dray`@`127.0.0.1`;")
        })
    });
    assert_eq!(lines(&site, "not all its rows came again"), 1, "once");
}

#[test]
fn a_table_that_is_taken_back_does_not_come_whoever_is_killed() {
    let server = postgres::Server::start();
    server.sql(&postgresql_tables(&["stock", "parts"]));
    let folder = folder("again-back");
    let (mut site, erp) = begin(&folder, flow(&server, &["stock", "parts"]));
    // Nobody asked for it.
    wait("the flow runs", || {
        cancel(&site, "public.stock").0 == Some(0)
    });
    let (code, said) = cancel(&site, "public.other");
    assert!(code == Some(1) && said.contains("does not read"), "{said}");
    stands(&site, "public.parts");
    is_done(&site);
    let holds = hold(&server, OPEN, &format!("SELECT COUNT(*) {OF_OPEN}"));
    stands(&site, "public.stock");
    stands(&site, "public.parts");
    is_taken_back(&site, "public.stock");
    let agent = site.agent.as_mut().expect("it runs");
    agent.kill().expect("a kill");
    site.start_agent().expect("an agent");
    let agent = site.agent.as_ref().expect("it runs");
    agent.wait_log("the source is open").expect("it opens");
    let said = wait_for_doing(&site);
    assert!(said.starts_with("public.parts is loaded again"), "{said}");
    wait("once more is no fault", || {
        cancel(&site, "public.stock").0 == Some(0)
    });
    is_taken_back(&site, "public.parts");
    assert_eq!(doing(&site).as_deref(), Some(""));
    server.sql(&format!("SELECT pg_terminate_backend(pid) {OF_OPEN}"));
    holds.join().expect("it ended");
    stands(&site, "public.parts");
    assert!(
        erp.wait(PATIENCE, |events| events == 18),
        "it comes when it is asked for anew"
    );
    is_done(&site);
    last(&server, &erp, "stock", "last");
    assert_eq!(erp.events(), 19, "and nothing else");
}

#[test]
fn a_table_is_taken_back_while_its_server_is_down() {
    let mut server = postgres::Server::start();
    server.sql(&postgresql_tables(&["stock"]));
    let folder = folder("again-down");
    let (site, erp) = begin(&folder, flow(&server, &["stock"]));
    stands(&site, "public.stock");
    is_done(&site);
    let holds = hold(&server, OPEN, &format!("SELECT COUNT(*) {OF_OPEN}"));
    stands(&site, "public.stock");
    server.kill();
    holds.join().expect("it ended");
    let agent = site.agent.as_ref().expect("it runs");
    agent.wait_log("\"waiting\"").expect("it waits");
    is_taken_back(&site, "public.stock");
    server.start_again();
    last(&server, &erp, "stock", "last");
    assert_eq!((erp.events(), doing(&site).as_deref()), (10, Some("")));
}

#[test]
fn what_can_not_be_taken_back_on_a_full_disk_is_a_failure_until_there_is_room() {
    let server = postgres::Server::start();
    server.sql(&postgresql_tables(&["stock"]));
    let folder = folder("again-full");
    let disk = Disk::new(folder.path(), Kind::Ext4, DISK_MIB).expect("a disk");
    let (site, erp) = narrow(&folder, &disk, flow(&server, &["stock"]));
    stands(&site, "public.stock");
    is_done(&site);
    let holds = hold(&server, OPEN, &format!("SELECT COUNT(*) {OF_OPEN}"));
    stands(&site, "public.stock");
    disk.fill().expect("it fills");
    let (code, said) = cancel(&site, "public.stock");
    assert!(
        code == Some(1) && said.contains("are not taken back for good"),
        "{said}"
    );
    disk.make_room().expect("there is room");
    wait("it is taken back", || {
        cancel(&site, "public.stock").0 == Some(0)
    });
    server.sql(&format!("SELECT pg_terminate_backend(pid) {OF_OPEN}"));
    holds.join().expect("it ended");
    last(&server, &erp, "stock", "last");
    assert_eq!((erp.events(), doing(&site).as_deref()), (10, Some("")));
}

#[test]
fn a_table_of_another_server_at_the_same_address_does_not_come() {
    let (server, other) = (mariadb::Server::start(), mariadb::Server::start());
    for server in [&server, &other] {
        server.sql("CREATE TABLE wms.stock (number varchar(20) PRIMARY KEY, n bigint, quantity bigint) ENGINE = InnoDB; INSERT INTO wms.stock SELECT CONCAT('S', seq), seq, 0 FROM wms.seq_1_to_9");
    }
    let port =
        |server: &mariadb::Server| server.sql("SELECT @@port").parse::<u16>().expect("a port");
    let line = Line::start(port(&server)).expect("a line");
    let folder = folder("again-other");
    let mut spec = flow(&server, &["stock"]);
    let at = |port: u16| format!("port = {port}\n");
    spec.source = spec.source.replace(&at(port(&server)), &at(line.port()));
    let (site, erp) = begin(&folder, spec);
    stands(&site, "wms.stock");
    is_done(&site);
    // The stream stays where it is; what is new leads elsewhere.
    line.lead_new_to(port(&other));
    let (code, said) = ask(&site, "movements", "wms.stock");
    assert!(
        code == Some(1) && said.contains("leads to another server"),
        "{said}"
    );
    line.lead_new_to(port(&server));
    stands(&site, "wms.stock");
    is_done(&site);
    assert!(erp.wait(PATIENCE, |events| events == 18), "it comes");
}
