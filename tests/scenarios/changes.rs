//! Small transactions of many kinds, while agent, collector and database are killed in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use dray_tests::database::{Client, Database};
use dray_tests::disk::{Disk, Kind};
use dray_tests::places::Places;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use tempfile::TempDir;

use crate::logs::{as_it_is, numbers};
use crate::{PATIENCE, all_of_these_arrive, folder, soak, target_table, these_arrive_whole, wait};

/// Rows that change all the time.
const PLACES: u64 = 50;
/// Transactions of one call.
const A_CALL: u64 = 20;

#[test]
fn a_log_of_postgresql_says_what_its_tables_have_whoever_is_killed() {
    whoever_is_killed(dray_tests::postgres::Server::start());
}

#[test]
fn a_log_of_mariadb_says_what_its_tables_have_whoever_is_killed() {
    whoever_is_killed(dray_tests::mariadb::Server::start());
}

/// Of the disk that the agent's buffer stands on: the reserve, the ballast, and room for some of the rows.
pub(crate) const DISK_MIB: u64 = 160;
/// Rows that are more than sockets and queues between server and agent hold: some 20 MiB, and as much again for long counts.
pub(crate) fn many_rows() -> u64 {
    if soak() { 400_000 } else { 200_000 }
}
/// The server gives up a reader that says nothing for so long; the flow is held up for longer.
const TIMEOUT_S: u64 = 6;

/// A site whose agent stands on a small disk.
pub(crate) fn narrow(folder: &TempDir, disk: &Disk, flow: FlowSpec) -> (Site, Target) {
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let places = Places {
        agent: Places::in_folder(disk.path()).agent,
        ..Places::in_folder(folder.path())
    };
    let site = Site::lay_out_at(folder.path(), places, &[flow], &targets)
        .and_then(Site::begin)
        .expect("a site");
    (site, erp)
}

#[test]
fn a_flow_of_postgresql_that_is_held_up_keeps_its_session_and_confirms_nothing() {
    let server = dray_tests::postgres::Server::start();
    server.sql(&format!(
        "ALTER SYSTEM SET wal_sender_timeout = '{TIMEOUT_S}s'"
    ));
    server.sql("SELECT pg_reload_conf()");
    let session =
        "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'dray_movements' AND active";
    let confirmed =
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'dray_movements'";
    let clock = "SELECT extract(epoch FROM now())::bigint";
    goes_on_after_a_full_disk(&server, session, confirmed, clock);
}

#[test]
fn a_flow_of_mariadb_that_is_held_up_goes_on_where_it_was() {
    let server = dray_tests::mariadb::Server::with(&[&format!("--net-write-timeout={TIMEOUT_S}")]);
    let session = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'";
    // Nothing is ever confirmed to it.
    goes_on_after_a_full_disk(&server, session, "SELECT 1", "SELECT UNIX_TIMESTAMP()");
}

/// The agent's disk is full for longer than the server waits for a reader: the session is the same after, and nothing is confirmed meanwhile.
fn goes_on_after_a_full_disk(
    server: &impl Database,
    session: &str,
    confirmed: &str,
    seconds: &str,
) {
    let tell = server.client();
    let told = |sql: &str| tell(sql).unwrap_or_else(|said| panic!("{sql}: {said}"));
    let clock = || told(seconds).parse::<u64>().expect("seconds");
    let folder = folder("held-up");
    let disk = Disk::new(folder.path(), Kind::Ext4, DISK_MIB).expect("a disk");
    let (site, erp) = narrow(&folder, &disk, server.flow());
    wait("the log is read", || !told(session).is_empty());
    server.insert(0..1_000);
    assert!(erp.wait(PATIENCE, |events| events == 1_000), "they come");
    let before = told(session);
    disk.fill().expect("it fills");
    let rows = many_rows();
    server.insert(1_000..rows);
    let agent = site.agent.as_ref().expect("it runs");
    agent
        .wait_log("\"waiting\",\"reason\":\"the disk of")
        .expect("it waits");
    let (stands, since) = (told(confirmed), clock());
    wait("the server would have given up", || {
        clock() > since + 2 * TIMEOUT_S
    });
    assert_eq!(told(session), before, "it is the same session");
    assert_eq!(told(confirmed), stands, "nothing was confirmed");
    disk.make_room().expect("there is room");
    these_arrive_whole(&site, &erp, &numbers(0..rows), "held up by a full disk");
}

#[test]
fn a_first_load_of_mariadb_that_a_full_disk_holds_up_comes_whole() {
    let server = dray_tests::mariadb::Server::start();
    let rows = many_rows();
    server.insert(0..rows);
    let folder = folder("load-held-up");
    let disk = Disk::new(folder.path(), Kind::Ext4, DISK_MIB).expect("a disk");
    let (site, erp) = narrow(&folder, &disk, server.flow());
    assert!(erp.wait(PATIENCE, |events| events > 1_000), "some come");
    disk.fill().expect("it fills");
    let agent = site.agent.as_ref().expect("it runs");
    agent
        .wait_log("\"waiting\",\"reason\":\"the disk of")
        .expect("it waits");
    server.insert(rows..rows + 1_000);
    if soak() {
        // Not INNODB_TRX: who asks for that more often than every 0.1 s is told the same again.
        let open = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'dray' AND COMMAND = 'Execute'";
        wait("the snapshot is given up", || server.sql(open) == "0");
    }
    disk.make_room().expect("there is room");
    let all = numbers(0..rows + 1_000);
    if soak() {
        // By another snapshot: what came meanwhile comes as a change and as `read`, as the page says.
        let verdict = all_of_these_arrive(&erp, &all);
        assert!(verdict.lost == 0 && verdict.doubled <= 1_000, "{verdict}");
        return;
    }
    these_arrive_whole(&site, &erp, &all, "a first load, held up by a full disk");
}

fn whoever_is_killed(mut server: impl Database) {
    let (transactions, kills) = if soak() { (12_000, 10) } else { (1_200, 2) };
    let (schema, tell) = (server.schema(), server.client());
    let told = |sql: &str| tell(sql).unwrap_or_else(|said| panic!("{sql}: {said}"));
    told(&format!(
        "CREATE TABLE {schema}.place (number varchar(9) PRIMARY KEY, n bigint, quantity bigint)"
    ));
    if schema == "public" {
        told("ALTER TABLE place OWNER TO dray");
    }
    for place in 0..PLACES {
        told(&format!(
            "INSERT INTO {schema}.place VALUES ('P{place}', 0, 0)"
        ));
    }
    let folder = folder("changes");
    let erp = Target::start(false).expect("a target");
    let tables = ["movement", "place"];
    let source = server.source(&format!("{schema}.movement"));
    let source = format!("{source}[[flow.source.table]]\nname = \"{schema}.place\"\n");
    let mapping = tables.map(|table| as_it_is(&format!("{schema}.{table}")));
    let flow = FlowSpec {
        name: "movements".into(),
        source,
        format: String::new(),
        mapping: mapping.concat(),
        timeliness: "normal",
    };
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::start(folder.path(), &[flow], &targets).expect("a site");

    let made = Arc::new(AtomicU64::new(0));
    let writer = {
        let (made, client) = (Arc::clone(&made), server.client());
        thread::spawn(move || write(&client, schema, transactions, &made))
    };
    for kill in 0..3 * kills {
        let due = (kill + 1) * transactions / (3 * kills + 1);
        wait("transactions are made", || {
            made.load(Ordering::SeqCst) >= due
        });
        match kill % 3 {
            0 => {
                let agent = site.agent.as_mut().expect("it runs");
                agent.kill().expect("a kill");
                site.start_agent().expect("an agent");
            }
            1 => {
                let collector = site.collector.as_mut().expect("it runs");
                collector.kill().expect("a kill");
                site.start_collector().expect("a collector");
            }
            _ => server.crash(),
        }
    }
    writer.join().expect("it wrote all");
    told(&format!(
        "INSERT INTO {schema}.movement (number, sku) VALUES ('last', 'X')"
    ));
    wait("the last row comes", || {
        erp.arrivals().iter().any(|arrival| arrival.key == "last")
    });

    let (mut movements, mut places) = (Vec::new(), BTreeMap::new());
    let mut changes = BTreeSet::new();
    for event in site.log_records().expect("the log") {
        let fields = &event["data"]["fields"];
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        let change = [
            text("_op"),
            text("_position"),
            text("_ordinal"),
            event["provenance"]["record_type"].to_string(),
        ];
        assert!(changes.insert(change), "it is twice in the log: {event}");
        let number = text("number");
        match (number.starts_with('P'), &*text("_op")) {
            (false, _) => movements.push(number),
            (true, "delete") => drop(places.remove(&number)),
            (true, _) => drop(places.insert(number, [text("n"), text("quantity")])),
        }
    }
    let expected: Vec<_> = (0..transactions).map(|n| format!("M{n:08}")).collect();
    assert_eq!(movements.pop().as_deref(), Some("last"));
    assert_eq!(movements, expected, "each movement once and in order");
    let client = server.client();
    let rows = client(&format!(
        "SELECT CONCAT(number, ' ', n, ' ', quantity) FROM {schema}.place"
    ));
    let table: BTreeSet<_> = rows.expect("rows").lines().map(str::to_owned).collect();
    let replayed: BTreeSet<_> = places
        .into_iter()
        .map(|(number, [n, quantity])| format!("{number} {n} {quantity}"))
        .collect();
    assert_eq!(replayed, table);
}

/// Makes all transactions, however often the server is killed meanwhile.
fn write(client: &Client, schema: &str, transactions: u64, made: &AtomicU64) {
    let count = format!("SELECT COUNT(*) FROM {schema}.movement");
    loop {
        // After a kill only the server knows how many were committed.
        let done = wait_for(|| client(&count).ok()?.parse::<u64>().ok());
        made.store(done, Ordering::SeqCst);
        if done >= transactions {
            return;
        }
        let until = transactions.min(done + A_CALL);
        let all: String = (done..until).map(|n| transaction(schema, n)).collect();
        // It may be killed within: that is seen by the count.
        let _ = client(&all);
    }
}

fn wait_for<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let mut value = None;
    wait("the server answers", || {
        value = found();
        value.is_some()
    });
    value.expect("it was waited for")
}

fn transaction(schema: &str, n: u64) -> String {
    let (place, gone) = (n % PLACES, n * 7 % PLACES);
    let replaced = match n % 10 {
        3 => format!(
            "DELETE FROM {schema}.place WHERE number = 'P{gone}'; INSERT INTO {schema}.place VALUES ('P{gone}', {n}, 1); "
        ),
        _ => String::new(),
    };
    format!(
        "BEGIN; INSERT INTO {schema}.movement (number, sku) VALUES ('M{n:08}', 'A'); {replaced}UPDATE {schema}.place SET quantity = quantity + {n}, n = {n} WHERE number = 'P{place}'; COMMIT; "
    )
}
