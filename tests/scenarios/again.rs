//! One table's rows once more, on request, while the flow goes on.

mod altered;
mod confirmed;
mod ended;
mod held_up;
mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dray_tests::database::{Client, Database};
use dray_tests::line::Line;
use dray_tests::site::{FlowSpec, Site, run};
use dray_tests::target::Target;
use dray_tests::{mariadb, postgres};
use serde_json::Value;
use tempfile::TempDir;

use crate::logs::as_it_is;
use crate::{PATIENCE, folder, is_small, soak, target_table, wait};

/// Who writes beside it; each has keys of its own.
const WRITERS: u64 = 3;
/// Every so many rows have a large value, and never get another key.
const LARGE: u64 = 50;

/// A flow of these tables as they are, which leaves out what was there.
fn flow(server: &impl Database, tables: &[&str]) -> FlowSpec {
    let schema = server.schema();
    let full = |table: &str| format!("{schema}.{table}");
    let source = server.source(&full(tables[0]));
    let mut source = source.replacen(
        "[[flow.source.table]]",
        "first_load = false\n[[flow.source.table]]",
        1,
    );
    for table in &tables[1..] {
        source += &format!("[[flow.source.table]]\nname = \"{}\"\n", full(table));
    }
    let mappings = tables.iter().map(|table| as_it_is(&full(table)));
    FlowSpec {
        name: "movements".into(),
        source,
        format: String::new(),
        mapping: mappings.collect(),
        timeliness: "normal",
    }
}

fn begin(folder: &TempDir, flow: FlowSpec) -> (Site, Target) {
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    (site, erp)
}

/// Asks for a table; the exit code, and what was said.
fn ask(site: &Site, flow: &str, table: &str) -> (Option<i32>, String) {
    let told = run(
        "dray-agent",
        &site.agent_config(),
        &["load-again", flow, table],
    );
    let told = told.expect("it starts");
    let said = [told.stdout, told.stderr].concat();
    (
        told.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// What the flow does besides; `None`: the agent does not say.
fn doing(site: &Site) -> Option<String> {
    let told = run("dray-agent", &site.agent_config(), &["status", "--json"]).ok()?;
    let status: Value = serde_json::from_slice(&told.stdout).ok()?;
    Some(status["flows"][0]["doing"].as_str()?.to_owned())
}

/// Asks until it stands: a flow that has only begun refuses.
fn stands(site: &Site, table: &str) {
    wait("the request stands", || {
        let (code, said) = ask(site, "movements", table);
        code == Some(0) && said.contains("come once more")
    });
}

fn is_done(site: &Site) {
    wait("all rows came again", || doing(site).as_deref() == Some(""));
}

fn told(server: &impl Database, sql: &str) -> String {
    server.client()(sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
}

/// A row is there, and has come.
fn last(server: &impl Database, erp: &Target, table: &str, number: &str) {
    let schema = server.schema();
    told(
        server,
        &format!("INSERT INTO {schema}.{table} (number, n, quantity) VALUES ('{number}', 0, 0)"),
    );
    wait("the last row comes", || {
        erp.arrivals().iter().any(|arrival| arrival.key == number)
    });
}

/// Changes rows until it is told to stop. Each change of a key has a higher `n` than all before.
fn write(client: &Client, schema: &str, (me, rows): (u64, u64), stop: &AtomicBool) {
    let key = |number: u64| format!("S{number:07}");
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        let mut all = String::new();
        for _ in 0..20 {
            n += 1;
            let one = (rand::random::<u64>() % rows) * WRITERS + me;
            let other = (rand::random::<u64>() % rows) * WRITERS + me;
            let may_move =
                !one.is_multiple_of(LARGE) && !other.is_multiple_of(LARGE) && one != other;
            let (one, other) = (key(one), key(other));
            let change = match n % 10 {
                0 => format!("DELETE FROM {schema}.stock WHERE number = '{one}';"),
                1 | 2 => format!(
                    "DELETE FROM {schema}.stock WHERE number = '{one}'; INSERT INTO {schema}.stock (number, n, quantity, note) VALUES ('{one}', {n}, {n}, 'new {n}');"
                ),
                3 | 4 if may_move => format!(
                    "DELETE FROM {schema}.stock WHERE number = '{other}'; UPDATE {schema}.stock SET number = '{other}', n = {n} WHERE number = '{one}';"
                ),
                _ => format!(
                    "UPDATE {schema}.stock SET quantity = quantity + 1, n = {n} WHERE number = '{one}'; UPDATE {schema}.stock SET quantity = quantity - 1, n = {n} WHERE number = '{other}';"
                ),
            };
            all += &format!("BEGIN; {change} COMMIT; ");
        }
        // The server may be down just then.
        let _ = client(&all);
    }
}

type Row = [Option<String>; 3];

/// What somebody has who began with nothing and heard all that the log says; no key goes back on the way.
fn replayed(site: &Site) -> (BTreeMap<String, Row>, u64) {
    let (mut rows, mut newest, mut reads) = (BTreeMap::<String, Row>::new(), BTreeMap::new(), 0);
    for event in site.log_records().expect("the log") {
        let fields = &event["data"]["fields"];
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        let key = text("number").unwrap_or_else(|| panic!("{event}"));
        let op = text("_op").expect("an operation");
        if op == "delete" {
            rows.remove(&key);
            continue;
        }
        reads += u64::from(op == "read");
        let before = text("before.number").filter(|before| op == "update" && *before != key);
        let moved = before.and_then(|before| rows.remove(&before));
        let known = match &*op {
            "create" => None,
            _ => moved.or_else(|| rows.remove(&key)),
        };
        let n: u64 = text("n").expect("a number").parse().expect("a number");
        let last = newest.entry(key.clone()).or_insert(n);
        assert!(*last <= n, "{key} goes back from {last} to {n}: {event}");
        *last = n;
        let known = known.unwrap_or_default();
        // What is not told is as it was.
        let note = match fields.get("note") {
            Some(Value::Null) => None,
            Some(note) => note.as_str().map(str::to_owned),
            None => known[2].clone(),
        };
        rows.insert(key, [text("n"), text("quantity"), note]);
    }
    (rows, reads)
}

fn table(server: &impl Database) -> BTreeMap<String, Row> {
    let schema = server.schema();
    let rows = told(
        server,
        &format!(
            "SELECT CONCAT_WS('|', number, n, quantity, COALESCE(note, '~')) FROM {schema}.stock"
        ),
    );
    let row = |line: &str| {
        let mut cells = line
            .split('|')
            .map(|cell| (cell != "~").then(|| cell.to_owned()));
        let mut cell = || cells.next().expect("four columns");
        (cell().expect("a key"), [cell(), cell(), cell()])
    };
    rows.lines().map(row).collect()
}

fn is_what_the_table_has(server: &impl Database, site: &Site, rows: u64) {
    let (found, reads) = replayed(site);
    let table = table(server);
    let keys = |rows: &BTreeMap<String, Row>| rows.keys().cloned().collect::<BTreeSet<_>>();
    let (mine, theirs) = (keys(&found), keys(&table));
    let missing: Vec<_> = theirs.difference(&mine).take(5).collect();
    let more: Vec<_> = mine.difference(&theirs).take(5).collect();
    assert!(
        missing.is_empty() && more.is_empty(),
        "missing {missing:?}, gone {more:?}"
    );
    for (key, row) in &table {
        assert_eq!(found.get(key), Some(row), "{key}");
    }
    assert!(reads > rows / 2, "{reads} of {rows} rows were read");
    println!(
        "{} rows are what the table has, {reads} were read again",
        table.len()
    );
}

/// Rows that change, appear, go, and get other keys, while agent and server are killed.
fn beside_writers(mut server: impl Database, fill: &str, rows: u64) {
    told(&server, fill);
    let folder = folder("again");
    let (mut site, erp) = begin(&folder, flow(&server, &["stock"]));
    let schema = server.schema();
    let stock = format!("{schema}.stock");
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|me| {
            let (stop, client) = (Arc::clone(&stop), server.client());
            thread::spawn(move || write(&client, schema, (me, rows / WRITERS), &stop))
        })
        .collect();
    let (rounds, mut went_on) = (if soak() { 12 } else { 4 }, 0);
    for round in 0..rounds {
        if doing(&site).as_deref() == Some("") {
            stands(&site, &stock);
        }
        wait("some rows are read", || {
            doing(&site).is_some_and(|doing| !doing.contains(": 0 rows"))
        });
        if round == 1 {
            told(
                &server,
                &format!("ALTER TABLE {stock} ADD COLUMN lot varchar(9) DEFAULT 'L'"),
            );
        }
        if round % 2 == 1 {
            server.crash();
        }
        let agent = site.agent.as_mut().expect("it runs");
        agent.kill().expect("a kill");
        site.start_agent().expect("an agent");
        let agent = site.agent.as_ref().expect("it runs");
        agent.wait_log("the source is open").expect("it opens");
        if !wait_for_doing(&site).is_empty() {
            went_on += 1;
        }
    }
    assert!(went_on > 0, "none was killed within");
    stands_or_goes_on(&site, &stock);
    is_done(&site);
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.join().expect("it wrote");
    }
    last(&server, &erp, "stock", "last");
    is_what_the_table_has(&server, &site, rows);
    is_small(&site);
    let changed = site.log_events().expect("the log");
    let changed = changed
        .iter()
        .filter(|event| event["type"] == "schema_change");
    assert_eq!(
        changed.count(),
        2,
        "the first shape, and the other, each told once"
    );
}

fn wait_for_doing(site: &Site) -> String {
    let mut said = None;
    wait("the agent says what it does", || {
        said = doing(site);
        said.is_some()
    });
    said.unwrap_or_default()
}

/// One more whole round at the end, unless one goes on.
fn stands_or_goes_on(site: &Site, table: &str) {
    wait("it stands", || {
        let (code, said) = ask(site, "movements", table);
        code == Some(0) && said.contains("come once more") || said.contains("asked for already")
    });
}

#[test]
fn a_table_of_postgresql_comes_again_beside_writers_whoever_is_killed() {
    let rows: u64 = if soak() { 60_000 } else { 9_000 };
    let server = postgres::Server::start();
    let fill = format!(
        "CREATE TABLE stock (number text PRIMARY KEY, n bigint, quantity bigint, note text); ALTER TABLE stock OWNER TO dray; ALTER TABLE stock ALTER note SET STORAGE EXTERNAL; \
         INSERT INTO stock SELECT 'S' || lpad(n::text, 7, '0'), 0, 0, CASE n % {LARGE} WHEN 0 THEN repeat('n', 3000) || n END FROM generate_series(0, {rows} - 1) n"
    );
    beside_writers(server, &fill, rows);
}

#[test]
fn a_table_of_mariadb_comes_again_beside_writers_whoever_is_killed() {
    let rows: u64 = if soak() { 600_000 } else { 90_000 };
    let server = mariadb::Server::start();
    let fill = format!(
        "CREATE TABLE wms.stock (number varchar(20) PRIMARY KEY, n bigint, quantity bigint, note mediumtext) ENGINE = InnoDB; \
         INSERT INTO wms.stock SELECT CONCAT('S', LPAD(seq, 7, '0')), 0, 0, CASE seq % {LARGE} WHEN 0 THEN CONCAT(REPEAT('n', 3000), seq) END FROM wms.seq_0_to_{}",
        rows - 1
    );
    beside_writers(server, &fill, rows);
}

/// Nobody writes: the stream passes all the same, and a table comes as often as it is asked for.
fn nobody_writes(server: &impl Database, fill: &str) {
    told(server, fill);
    let folder = folder("again-idle");
    let (mut site, erp) = begin(&folder, flow(server, &["stock", "parts"]));
    let schema = server.schema();
    for round in 1..=2 {
        for (table, count) in [("stock", 500), ("parts", 300)] {
            let before = erp.events();
            stands(&site, &format!("{schema}.{table}"));
            assert!(
                erp.wait(PATIENCE, |events| events >= before + count),
                "{table} comes in round {round}"
            );
        }
        is_done(&site);
        let agent = site.agent.as_mut().expect("it runs");
        agent.terminate().expect("it ends");
        site.start_agent().expect("an agent");
    }
    let events = site.log_records().expect("the log");
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(
        (events.len(), ids.len()),
        (1_600, 1_600),
        "each has an id of its own"
    );
    for (at, event) in events.iter().enumerate() {
        let fields = &event["data"]["fields"];
        assert_eq!(fields["_op"], "read");
        let within = at % 800;
        let ordinal = if within < 500 { within } else { within - 500 };
        assert_eq!(fields["_ordinal"], ordinal.to_string(), "{event}");
    }
    let first: Vec<_> = events
        .iter()
        .take(500)
        .map(|event| event["key"].to_string())
        .collect();
    assert!(first.is_sorted(), "in the order of the key");
}

#[test]
fn an_idle_table_of_postgresql_comes_as_often_as_it_is_asked_for() {
    let server = postgres::Server::start();
    let fill = "CREATE TABLE stock (number text COLLATE \"C\" PRIMARY KEY, n bigint, quantity bigint, twice bigint GENERATED ALWAYS AS (n * 2) STORED); ALTER TABLE stock OWNER TO dray; \
                INSERT INTO stock SELECT 'S' || lpad(n::text, 4, '0'), n, 0 FROM generate_series(1, 500) n; \
                CREATE TABLE parts (number text, day date, n bigint, PRIMARY KEY (day, number)) PARTITION BY RANGE (day); ALTER TABLE parts OWNER TO dray; \
                CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2027-01-01'); \
                ALTER TABLE parts_1 OWNER TO dray; ALTER TABLE parts_2 OWNER TO dray; \
                INSERT INTO parts SELECT 'P' || n % 7, date '2026-01-01' + n, n FROM generate_series(1, 300) n";
    nobody_writes(&server, fill);
}

#[test]
fn an_idle_table_of_mariadb_comes_as_often_as_it_is_asked_for() {
    let server = mariadb::Server::start();
    let fill = "CREATE TABLE wms.stock (number varchar(20) PRIMARY KEY, n bigint, quantity bigint, twice bigint AS (n * 2) STORED) ENGINE = InnoDB; \
                INSERT INTO wms.stock (number, n, quantity) SELECT CONCAT('S', LPAD(seq, 4, '0')), seq, 0 FROM wms.seq_1_to_500; \
                CREATE TABLE wms.parts (number varchar(20), day date, n bigint, PRIMARY KEY (day, number)) ENGINE = InnoDB PARTITION BY RANGE COLUMNS (day) (PARTITION p1 VALUES LESS THAN ('2026-02-01'), PARTITION p2 VALUES LESS THAN MAXVALUE); \
                INSERT INTO wms.parts SELECT CONCAT('P', seq % 7), DATE '2026-01-01' + INTERVAL seq DAY, seq FROM wms.seq_1_to_300";
    nobody_writes(&server, fill);
}

/// Somebody who does this until he is told to stop, from when `begun` says that he does.
fn hold(server: &impl Database, sql: &str, begun: &str) -> thread::JoinHandle<()> {
    let (client, sql) = (server.client(), sql.to_owned());
    let holds = thread::spawn(move || drop(client(&sql)));
    wait("it is held", || told(server, begun) == "1");
    holds
}
