//! What a flow of MariaDB does not read, and says so: servers, users, tables, and what stands in the log.

use dray_tests::mariadb::Server;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::logs::{as_it_is, numbers};
use crate::mariadb::{of_flow, plain_flow, site};
use crate::{PATIENCE, certificates, folder, target_table, these_arrive_whole, wait};

/// The flow stops with this sentence.
fn stops(site: &Site, sentence: &str) {
    let agent = site.agent.as_ref().expect("it runs");
    let told = agent.wait_log("the flow stopped").expect("it stops");
    assert!(told.contains(sentence), "{told}");
}

#[test]
fn statements_instead_of_rows_stop_the_flow_in_words() {
    let server = Server::start();
    let folder = folder("maria-statement");
    let (site, erp) = site(&server, &folder);
    server.insert(0..10);
    server.sql("SET SESSION binlog_format = 'STATEMENT'; UPDATE wms.movement SET place = 7");
    stops(&site, "SET GLOBAL binlog_format = 'ROW'");
    // What stood before it was appended before the flow stopped, and is delivered after.
    these_arrive_whole(&site, &erp, &numbers(0..10), "before the statement");
}

#[test]
fn a_transaction_in_two_phases_stops_the_flow_in_words() {
    let server = Server::start();
    let folder = folder("maria-xa");
    let (site, erp) = site(&server, &folder);
    // A neighbour's does not matter.
    server.sql("CREATE TABLE wms.other (n int); XA START 'b'; INSERT INTO wms.other VALUES (1); XA END 'b'; XA PREPARE 'b'; XA ROLLBACK 'b'");
    server.insert(1..2);
    assert!(erp.wait(PATIENCE, |events| events == 1), "it goes on");
    server.sql("XA START 'a'; INSERT INTO wms.movement (number, sku) VALUES ('MV0000000000', 'X'); XA END 'a'; XA PREPARE 'a'; XA COMMIT 'a'");
    stops(&site, "(XA)");
}

#[test]
fn a_log_that_leaves_the_schema_out_is_refused() {
    let server = Server::with(&["--binlog-ignore-db=wms"]);
    let folder = folder("maria-left-out");
    let site = Site::lay_out(folder.path(), &[server.flow()], "").expect("a site");
    let told = site
        .agent_command(&["check"])
        .expect_err("it hears nothing");
    let told = format!("{told:#}");
    assert!(told.contains("leaves out the schema wms"), "{told}");
}

/// What `check` says of a flow that it refuses.
fn refused(flow: FlowSpec) -> String {
    let folder = folder("maria-checked");
    let site = Site::lay_out(folder.path(), &[flow], "").expect("a site");
    let told = site.agent_command(&["check"]);
    format!("{:#}", told.expect_err("it is refused"))
}

#[test]
fn a_replica_whose_log_lacks_what_it_replicates_is_refused() {
    let primary = Server::start();
    let replica = Server::with(&["--server-id=2", "--log-slave-updates=OFF"]);
    replica.replicate(&primary);
    primary.insert(0..1);
    wait("it is replicated", || {
        replica.sql("SELECT COUNT(*) FROM wms.movement") == "1"
    });
    let told = refused(replica.flow());
    assert!(told.contains("log_slave_updates = ON"), "{told}");
    // It has replicated, and nobody knows whether it will again.
    replica.sql("STOP SLAVE");
    let folder = folder("maria-replica");
    let site = Site::lay_out(folder.path(), &[replica.flow()], "").expect("a site");
    let told = site.agent_command(&["check"]).expect("it can be read");
    let told = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert!(told.contains("was a replica once"), "{told}");
    replica.sql("SET GLOBAL read_only = ON");
    let told = refused(replica.flow());
    assert!(told.contains("log_slave_updates = ON"), "{told}");
}

#[test]
fn a_table_in_letters_that_the_server_does_not_keep_is_refused_with_those_that_it_keeps() {
    let server = Server::with(&["--lower-case-table-names=1"]);
    let flow = FlowSpec {
        source: server.source("wms.Movement"),
        ..server.flow()
    };
    let told = refused(flow);
    assert!(
        told.contains("write name = \"wms.movement\" instead of \"wms.Movement\""),
        "{told}"
    );
}

#[test]
fn labels_that_are_no_known_texts_stop_the_flow_in_words_unless_their_column_is_left_out() {
    let server = Server::start();
    server.sql("CREATE TABLE wms.stock (number varchar(9) PRIMARY KEY, size enum('größer','kleiner') CHARACTER SET cp850, state set('free','held') CHARACTER SET cp850) CHARACTER SET utf8mb4");
    let started = |source: String, name: &str| {
        let folder = folder(name);
        let flow = FlowSpec {
            source,
            ..plain_flow(&server, "stock")
        };
        let (site, erp) = of_flow(&server, &folder, flow);
        (site, erp, folder)
    };
    let (site, erp, _folder) = started(server.source("wms.stock"), "maria-labels");
    server.sql("INSERT INTO wms.stock VALUES ('A', 1, 'free,held')");
    stops(&site, "size is an enumeration or a set whose labels");
    assert_eq!(erp.events(), 0, "no wrong text");
    drop(site);
    let left_out = server.source("wms.stock") + "without = [\"size\"]\n";
    let (_site, erp, _folder) = started(left_out, "maria-labels-out");
    assert!(erp.wait(PATIENCE, |events| events == 1), "it was there");
    server.sql("INSERT INTO wms.stock VALUES ('B', 2, 'held')");
    assert!(
        erp.wait(PATIENCE, |events| events == 2),
        "and this came by the log"
    );
}

#[test]
fn check_names_what_the_server_or_the_user_lacks_and_the_statement_that_gives_it() {
    let server = Server::start();
    server.sql("CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'it''s a secret'; GRANT SELECT ON wms.* TO plain@'127.0.0.1'; CREATE USER blind@'127.0.0.1' IDENTIFIED BY 'it''s a secret'; GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO blind@'127.0.0.1'; CREATE USER half@'127.0.0.1' IDENTIFIED BY 'it''s a secret'; GRANT REPLICATION SLAVE ON *.* TO half@'127.0.0.1'; GRANT SELECT ON wms.* TO half@'127.0.0.1'; CREATE TABLE wms.line (number varchar(20) REFERENCES wms.movement (number) ON DELETE CASCADE)");
    let folder = folder("maria-lacks");
    let as_user = |user: &str| FlowSpec {
        source: server
            .source("wms.movement")
            .replace("user = \"dray\"", &format!("user = \"{user}\"")),
        ..server.flow()
    };
    let table = |name: &str| FlowSpec {
        source: server.source(name),
        ..server.flow()
    };
    for (setting, flow, expected) in [
        (
            "",
            as_user("plain"),
            "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `plain`@`127.0.0.1`;",
        ),
        (
            "",
            as_user("half"),
            "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `half`@`127.0.0.1`;",
        ),
        (
            "",
            as_user("blind"),
            "GRANT SELECT ON `wms`.`movement` TO `blind`@`127.0.0.1`;",
        ),
        ("", as_user("nobody"), "Access denied"),
        ("", table("wms.nothing"), "there is no table wms.nothing"),
        ("", table("wms.movement"), ""),
        (
            "",
            FlowSpec {
                mapping: as_it_is("wms.line"),
                ..table("wms.line")
            },
            "",
        ),
        (
            "binlog_row_metadata = 'NO_LOG'",
            table("wms.movement"),
            "SET GLOBAL binlog_row_metadata = 'FULL'",
        ),
        (
            "binlog_row_metadata = 'FULL', GLOBAL binlog_format = 'MIXED'",
            table("wms.movement"),
            "SET GLOBAL binlog_format = 'ROW'",
        ),
    ] {
        if !setting.is_empty() {
            server.sql(&format!("SET GLOBAL {setting}"));
        }
        let is_line = flow.source.contains("wms.line");
        let place = folder.path().join("site");
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir(&place).expect("a folder");
        let site = Site::lay_out(&place, &[flow], "").expect("a site");
        let told = site.agent_command(&["check"]);
        match expected {
            "" => {
                let told = told.expect("it is good");
                let told = [told.stdout, told.stderr].concat();
                let told = String::from_utf8_lossy(&told);
                assert_eq!(told.contains("that cascade"), is_line, "{told}");
            }
            _ => {
                let told = format!("{:#}", told.expect_err(expected));
                assert!(told.contains(expected), "{told}");
            }
        }
    }
}

#[test]
fn a_table_that_knows_no_transactions_is_not_loaded_as_if_it_did() {
    let server = Server::start();
    server.sql("CREATE TABLE wms.stock (number varchar(9) PRIMARY KEY) ENGINE = MyISAM");
    let folder = folder("maria-myisam");
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let flow = plain_flow(&server, "stock");
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    stops(&site, "ENGINE = InnoDB");
}

/// One that is spoken to over TLS alone, with a certificate for `localhost`.
fn secure() -> Server {
    let mut server = Server::start();
    certificates(server.folder());
    let path = |name: &str| server.folder().join(name);
    let option = |name: &str, file: &str| format!("--{name}={}", path(file).display());
    let options = [
        option("ssl-ca", "ca.pem"),
        option("ssl-cert", "server.pem"),
        option("ssl-key", "key.pem"),
        "--require-secure-transport=ON".to_owned(),
    ];
    server.stop();
    server.start_again(&options.each_ref().map(String::as_str));
    server
}

#[test]
fn a_server_is_read_over_tls_only_if_its_certificate_is_what_was_said() {
    let server = secure();
    let file = |name: &str| server.folder().join(name).display().to_string();
    let with = |host: &str, ca: &str, more: &str| {
        let source = server.source("wms.movement");
        let (head, table) = source.split_once("[[").expect("a table");
        let head = head.replace("127.0.0.1", host);
        FlowSpec {
            source: format!(
                "{head}[flow.source.tls]\nca_file = \"{}\"\n{more}[[{table}",
                file(ca)
            ),
            ..server.flow()
        }
    };
    let checked = |flow: FlowSpec| {
        let folder = folder("maria-tls");
        let site = Site::lay_out(folder.path(), &[flow], "").expect("a site");
        site.agent_command(&["check"])
            .map_err(|error| format!("{error:#}"))
    };
    let clear = checked(server.flow()).expect_err("the server wants TLS");
    assert!(clear.contains("whether it wants TLS"), "{clear}");
    let other = checked(with("localhost", "other.pem", "")).expect_err("another signed it");
    assert!(other.contains("UnknownIssuer"), "{other}");
    let name = checked(with("127.0.0.1", "ca.pem", "")).expect_err("it is of another name");
    assert!(name.contains("not valid for name"), "{name}");
    checked(with("127.0.0.1", "ca.pem", "server_name = \"localhost\"\n")).expect("it is good");

    let folder = folder("maria-secure");
    let (site, erp) = of_flow(&server, &folder, with("localhost", "ca.pem", ""));
    server.insert(0..100);
    these_arrive_whole(&site, &erp, &numbers(0..100), "over TLS");
}

#[test]
fn a_right_that_is_missing_when_a_flow_runs_is_named_with_who_needs_it() {
    let server = Server::start();
    let user = "dray@'127.0.0.1'";
    server.sql(&format!(
        "REVOKE REPLICATION SLAVE, BINLOG MONITOR ON *.* FROM {user}; REVOKE SELECT ON wms.* FROM {user}; GRANT INSERT ON wms.* TO {user}"
    ));
    server.insert(0..10);
    let folder = folder("maria-rights");
    let (site, erp) = {
        let erp = Target::start(false).expect("a target");
        let targets = target_table("erp", &erp.url(), "");
        let site = Site::start(folder.path(), &[server.flow()], &targets).expect("a site");
        (site, erp)
    };
    let agent = site.agent.as_ref().expect("it runs");
    for missing in [
        "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `dray`@`127.0.0.1`;",
        "GRANT SELECT ON `wms`.`movement` TO `dray`@`127.0.0.1`;",
    ] {
        agent.wait_log(missing).expect("it is said");
        server.sql(missing);
    }
    these_arrive_whole(&site, &erp, &numbers(0..10), "rights that came late");
}
