//! PostgreSQL's log, of a private server of each test.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dray_tests::site::{FlowSpec, Site, free_port};
use dray_tests::target::Target;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{PATIENCE, folder, kill_one, soak, target_table, these_arrive_whole, wait};

const MAPPING: &str = r#"
[[flow.mapping]]
record_type = "public.movement"
body = "inventory_movement"
key = "sku"
[flow.mapping.fields]
movement_number = { from = "number", required = true }
item_number = "sku"
location = "location"
quantity = "quantity"
reference = "place"
moved_at = { from = "moved_at", format = "iso8601" }
"#;

const TABLE: &str = "CREATE TABLE movement (number text PRIMARY KEY, sku text NOT NULL, location text, quantity numeric(12,3), place bigint, moved_at timestamptz DEFAULT now())";

const PASSWORD: &str = "it's a secret";

/// A server with a database `wms`, whose role `dray` may read its log.
struct Server {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

/// Where the server's programs are: Debian keeps each version's apart.
fn programs() -> &'static PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let versions = fs::read_dir("/usr/lib/postgresql");
        let versions = versions.expect("PostgreSQL is installed: make tools");
        let newest = versions
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .max();
        newest.expect("a version of PostgreSQL")
    })
}

/// One of them, as the user that the package made: a server does not run as root.
fn command(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(programs().join(name));
    command
}

impl Server {
    fn start() -> Self {
        let folder = folder("postgres");
        let made = Command::new("chown")
            .arg("postgres")
            .arg(folder.path())
            .status();
        assert!(made.expect("chown").success());
        let secret = folder.path().join("secret");
        fs::write(&secret, PASSWORD).expect("a file");
        let data = folder.path().join("data");
        let made = command("initdb")
            .args([
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ])
            .arg(format!("--pwfile={}", secret.display()))
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb").success());
        let mut server = Self {
            folder,
            port: free_port().expect("a port"),
            process: None,
        };
        server.run();
        server.sql_in("postgres", "CREATE DATABASE wms");
        server.sql(&format!(
            "CREATE ROLE dray LOGIN REPLICATION PASSWORD '{}'; {TABLE}; ALTER TABLE movement OWNER TO dray; GRANT CREATE ON DATABASE wms TO dray",
            PASSWORD.replace('\'', "''")
        ));
        server
    }

    /// Starts it, again if need be: after a kill the memory of the one before may still be in use.
    fn run(&mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(
                Instant::now() < end,
                "the server does not start: see {}",
                self.folder.path().display()
            );
            let mut process = self.spawn();
            while process.try_wait().is_ok_and(|ended| ended.is_none()) {
                let mut asked = self.psql("postgres");
                if asked
                    .args(["-c", "SELECT 1"])
                    .output()
                    .is_ok_and(|told| told.status.success())
                {
                    self.process = Some(process);
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
    }

    fn spawn(&self) -> Child {
        let folder = self.folder.path();
        let process = command("postgres")
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-p", &self.port.to_string()])
            .arg("-k")
            .arg(folder)
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "wal_level=logical",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log")).expect("a file"))
            .spawn();
        process.expect("a server")
    }

    /// kill -9, and a start.
    fn crash(&mut self) {
        self.signal(Signal::KILL);
        self.run();
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(mut process) = self.process.take() {
            let pid = Pid::from_child(&process);
            kill_process(pid, signal).expect("it runs");
            process.wait().expect("it ends");
        }
    }

    fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(programs().join("psql"));
        command
            .args(["-h", "127.0.0.1", "-U", "postgres", "-d", database])
            .args(["-p", &self.port.to_string()])
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1"])
            .env("PGPASSWORD", PASSWORD);
        command
    }

    fn sql_in(&self, database: &str, sql: &str) -> String {
        let told = self
            .psql(database)
            .args(["-c", sql])
            .output()
            .expect("psql");
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{sql}: {said}");
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }

    fn sql(&self, sql: &str) -> String {
        self.sql_in("wms", sql)
    }

    fn flow(&self) -> FlowSpec {
        let secret = self.folder.path().join("secret");
        FlowSpec {
            name: "movements".into(),
            source: format!(
                "kind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"wms\"\nuser = \"dray\"\npassword_file = \"{}\"\n[[flow.source.table]]\nname = \"public.movement\"\n",
                self.port,
                secret.display()
            ),
            format: String::new(),
            mapping: MAPPING.into(),
            timeliness: "normal",
        }
    }

    /// Movements of these numbers, in one transaction.
    fn insert(&self, numbers: std::ops::Range<u64>) {
        let last = numbers.end - 1;
        self.sql(&format!(
            "INSERT INTO movement SELECT 'MV' || lpad(n::text, 10, '0'), 'SKU-' || n % 97, 'A-01', n % 1000 + 0.5, n FROM generate_series({}, {last}) n",
            numbers.start
        ));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| format!("MV{number:010}")).collect()
}

/// A site that reads the server's log, and its target.
fn site(server: &Server, folder: &TempDir) -> (Site, Target) {
    let erp = Target::start(false).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[server.flow()], &table).expect("a site");
    // What is written before the slot is there is not in the log that it keeps.
    wait("the slot is made", || {
        server.sql("SELECT count(*) FROM pg_replication_slots WHERE active") == "1"
    });
    (site, erp)
}

#[test]
fn what_is_committed_arrives_once_and_in_order_whoever_is_killed() {
    let (rounds, rows) = if soak() { (60, 2_000) } else { (12, 500) };
    let mut server = Server::start();
    let folder = folder("log");
    let (mut site, erp) = site(&server, &folder);
    let mut sent = 0;
    for round in 0..rounds {
        server.insert(sent..sent + rows);
        sent += rows;
        match round % 3 {
            2 => server.crash(),
            _ => kill_one(&mut site, 0.7),
        }
    }
    these_arrive_whole(
        &site,
        &erp,
        &numbers(0..sent),
        "kills of agent, collector and server",
    );
}

#[test]
fn a_transaction_that_is_rolled_back_says_nothing_and_a_long_one_comes_in_parts() {
    let server = Server::start();
    let folder = folder("long");
    let (site, erp) = site(&server, &folder);
    server.sql("BEGIN; INSERT INTO movement (number, sku) VALUES ('MV9999999999', 'X'); ROLLBACK");
    server.insert(0..100_000);
    these_arrive_whole(
        &site,
        &erp,
        &numbers(0..100_000),
        "one transaction of 100,000 rows",
    );
}

#[test]
fn a_slot_that_was_made_anew_stops_the_flow_in_words() {
    let server = Server::start();
    let folder = folder("anew");
    let (mut site, erp) = site(&server, &folder);
    server.insert(0..10);
    these_arrive_whole(&site, &erp, &numbers(0..10), "before");
    site.agent
        .as_mut()
        .expect("it runs")
        .terminate()
        .expect("it ends");
    server.insert(10..20);
    server.sql("SELECT pg_drop_replication_slot('dray_movements'); SELECT pg_create_logical_replication_slot('dray_movements', 'pgoutput')");
    site.start_agent().expect("an agent");
    let agent = site.agent.as_ref().expect("it runs");
    let told = agent.wait_log("the flow stopped").expect("it stops");
    assert!(
        told.contains("was made anew, or another reader used it"),
        "{told}"
    );
    assert_eq!(erp.events(), 10);
}

#[test]
fn what_was_there_comes_once_and_before_what_is_written_meanwhile() {
    let (before, kills) = if soak() {
        (1_000_000, 20)
    } else {
        (120_000, 4)
    };
    let server = Server::start();
    server.insert(0..before);
    let folder = folder("first");
    let erp = Target::start(false).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let mut site = Site::start(folder.path(), &[server.flow()], &table).expect("a site");
    let mut sent = before;
    for kill in 1..=kills {
        let some = before / (kills + 2) * kill;
        assert!(erp.wait(PATIENCE, |events| events >= some), "{some} come");
        server.insert(sent..sent + 500);
        sent += 500;
        let agent = site.agent.as_mut().expect("it runs");
        agent.kill().expect("a kill");
        assert!(erp.events() < before, "it was killed while it read them");
        server.insert(sent..sent + 500);
        sent += 500;
        site.start_agent().expect("an agent");
    }
    these_arrive_whole(
        &site,
        &erp,
        &numbers(0..sent),
        "a first load, killed again and again beside a writer",
    );
}

#[test]
fn after_a_first_load_beside_writers_the_target_has_what_the_table_has() {
    let rows = 60_000;
    let server = Server::start();
    server.sql("ALTER TABLE movement ADD note text");
    server.insert(0..rows);
    // Too long to be repeated in the log when another column changes.
    server.sql("ALTER TABLE movement ALTER note SET STORAGE EXTERNAL; UPDATE movement SET note = repeat('n', 3000) || number WHERE place % 100 = 0");
    server.sql("VACUUM FULL movement");
    let folder = folder("equal");
    let erp = Target::start(true).expect("a target");
    let table = target_table("erp", &erp.url(), "");
    let mut site = Site::start(folder.path(), &[server.flow()], &table).expect("a site");
    for round in 0..6 {
        let some = rows / 8 * (round + 1);
        assert!(erp.wait(PATIENCE, |events| events >= some), "{some} come");
        server.sql(&format!(
            "UPDATE movement SET quantity = quantity + 1000 WHERE place % 6 = {round}; DELETE FROM movement WHERE place % 1000 = {}",
            500 + round
        ));
        if round % 2 == 1 {
            let agent = site.agent.as_mut().expect("it runs");
            agent.kill().expect("a kill");
            site.start_agent().expect("an agent");
        }
    }
    server.insert(rows..rows + 1);
    let last = numbers(rows..rows + 1).remove(0);
    wait("the last row comes", || erp.document(&last).is_some());
    let table = server.sql("SELECT number || ' ' || quantity FROM movement ORDER BY number");
    assert_eq!(table.lines().count() as u64, rows + 1 - 6 * rows / 1_000);
    for line in table.lines() {
        let (number, quantity) = line.split_once(' ').expect("two columns");
        let document = erp.document(number);
        let document = document.unwrap_or_else(|| panic!("{number} is missing"));
        let arrived = document["data"]["quantity"].to_string();
        assert!(
            same_number(&arrived, quantity),
            "{number} has {quantity}, and {arrived} came"
        );
    }
}

/// Whether two decimals are one number.
fn same_number(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim_matches('"');
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text.to_owned(),
        }
    };
    plain(one) == plain(other)
}
