//! A private PostgreSQL server with a table of movements.

mod takeover;

use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::daemon::PATIENCE;
use crate::database::{Client, Database};
use crate::mould;
use crate::site::{FlowSpec, free_port};

/// What becomes of a movement.
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
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    /// Where its programs are.
    programs: PathBuf,
    port: u16,
    process: Option<Child>,
}

/// What a server's database has.
fn setup() -> String {
    format!(
        "CREATE ROLE dray LOGIN REPLICATION PASSWORD '{}'; {TABLE}; ALTER TABLE movement OWNER TO dray; GRANT CREATE ON DATABASE wms TO dray",
        PASSWORD.replace('\'', "''")
    )
}

/// Where Debian's programs are: it keeps each version's apart. Its clients speak to newer servers too.
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

/// A server's program, as the user that the package made: a server does not run as root.
fn command(programs: &Path, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(programs.join(name));
    command
}

/// A folder of its own for a server.
fn new_folder() -> TempDir {
    let made = tempfile::Builder::new().prefix("dray-postgres-").tempdir();
    let folder = made.expect("a folder");
    let made = Command::new("chown")
        .arg("postgres")
        .arg(folder.path())
        .status();
    assert!(made.expect("chown").success());
    folder
}

impl Server {
    /// Makes one in a folder of its own and starts it. To PostgreSQL all of them are one system: see [`Self::another`].
    ///
    /// # Panics
    /// Where PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_from(programs())
    }

    /// The same with the server's programs of another place.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_from(programs: &Path) -> Self {
        let mut server = Self::in_new_folder(programs);
        let program = programs.join("postgres");
        let changed = fs::metadata(&program).and_then(|file| file.modified());
        let changed = format!("{:?}", changed.expect("PostgreSQL is installed"));
        let of = [&*program.to_string_lossy(), &changed, &setup()];
        mould::cast(&of, &server.data(), |data| {
            let mut first = Self::in_new_folder(programs);
            first.make();
            first.stop();
            let moved = Command::new("mv").args([&first.data(), data]).status();
            assert!(moved.expect("mv").success());
        });
        server.run();
        server
    }

    /// One that is another system than the others, with the same tables.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn another() -> Self {
        let mut server = Self::in_new_folder(programs());
        server.make();
        server
    }

    /// Not made yet.
    fn in_new_folder(programs: &Path) -> Self {
        let folder = new_folder();
        fs::write(folder.path().join("secret"), PASSWORD).expect("a file");
        Self {
            folder,
            programs: programs.to_owned(),
            port: free_port().expect("a port"),
            process: None,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Makes its data, and starts it.
    fn make(&mut self) {
        let made = command(&self.programs, "initdb")
            .args([
                "--no-sync",
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ])
            .arg(format!("--pwfile={}", self.secret().display()))
            .arg("-D")
            .arg(self.data())
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb").success());
        self.run();
        self.sql_in("postgres", "CREATE DATABASE wms");
        self.sql(&setup());
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
                if ask_in(self.port, "postgres", "SELECT 1").is_ok() {
                    self.process = Some(process);
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
    }

    fn spawn(&self) -> Child {
        let folder = self.folder.path();
        let process = command(&self.programs, "postgres")
            .arg("-D")
            .arg(self.data())
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
    pub fn crash(&mut self) {
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

    /// The same in another database.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn sql_in(&self, database: &str, sql: &str) -> String {
        let told = ask_in(self.port, database, sql);
        told.unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// What the superuser is told in the database.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn sql(&self, sql: &str) -> String {
        self.sql_in("wms", sql)
    }

    fn secret(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// A flow's source that reads a table.
    #[must_use]
    pub fn source(&self, table: &str) -> String {
        let secret = self.secret();
        format!(
            "kind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"wms\"\nuser = \"dray\"\npassword_file = \"{}\"\n[[flow.source.table]]\nname = \"{table}\"\n",
            self.port,
            secret.display()
        )
    }

    /// A flow that reads its movements.
    #[must_use]
    pub fn flow(&self) -> FlowSpec {
        FlowSpec {
            name: "movements".into(),
            source: self.source("public.movement"),
            format: String::new(),
            mapping: MAPPING.into(),
            timeliness: "normal",
        }
    }

    /// Makes this transaction so many times a second for so many seconds, over eight connections (`pgbench`, which comes with the server).
    ///
    /// # Panics
    /// Where it can't, or not so often.
    pub fn pace(&self, script: &str, a_second: u64, seconds: u64) {
        let file = self.folder.path().join("script.sql");
        fs::write(&file, script).expect("a file");
        let told = Command::new(programs().join("pgbench"))
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                "postgres",
            ])
            .args(["-n", "-c", "8", "-R", &a_second.to_string()])
            .args(["-T", &seconds.to_string(), "-f"])
            .arg(&file)
            .arg("wms")
            .env("PGPASSWORD", PASSWORD)
            .output()
            .expect("pgbench");
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "pgbench: {said}");
    }

    /// Where it listens, on the loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// From now on it is spoken to over TLS alone, with `server.pem` and `key.pem` of its folder.
    ///
    /// # Panics
    /// Where it can't be.
    pub fn secure(&mut self) {
        let file = |name: &str| self.folder.path().join(name);
        let key = file("key.pem");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a key");
        let owned = Command::new("chown").arg("postgres").arg(&key).status();
        assert!(owned.expect("chown").success());
        for (setting, value) in [
            ("ssl_cert_file", file("server.pem").display().to_string()),
            ("ssl_key_file", key.display().to_string()),
            ("ssl", "on".to_owned()),
        ] {
            self.sql(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        }
        fs::write(
            file("data/pg_hba.conf"),
            "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl replication all 127.0.0.1/32 scram-sha-256\n",
        )
        .expect("a file");
        self.stop();
        self.start_again();
    }

    /// Ends it as a DBA would.
    pub fn stop(&mut self) {
        self.signal(Signal::INT);
    }

    /// Starts it after [`Self::stop`].
    pub fn start_again(&mut self) {
        self.run();
    }

    /// Movements of these numbers, in one transaction.
    pub fn insert(&self, numbers: Range<u64>) {
        let last = numbers.end - 1;
        self.sql(&format!(
            "INSERT INTO movement SELECT 'MV' || lpad(n::text, 10, '0'), 'SKU-' || n % 97, 'A-01', n % 1000 + 0.5, n FROM generate_series({}, {last}) n",
            numbers.start
        ));
    }
}

/// What the superuser is told in the database `wms` of the server at a port.
///
/// # Errors
/// What the server says instead, or the client.
pub fn ask(port: u16, sql: &str) -> Result<String, String> {
    ask_in(port, "wms", sql)
}

/// What the superuser is told.
fn ask_in(port: u16, database: &str, sql: &str) -> Result<String, String> {
    let told = Command::new(programs().join("psql"))
        .args(["-h", "127.0.0.1", "-U", "postgres", "-d", database])
        .args(["-p", &port.to_string()])
        .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql])
        .env("PGPASSWORD", PASSWORD)
        .output()
        .expect("psql");
    match told.status.success() {
        true => Ok(String::from_utf8_lossy(&told.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&told.stderr).into_owned()),
    }
}

impl Database for Server {
    fn schema(&self) -> &'static str {
        "public"
    }

    fn crash(&mut self) {
        self.crash();
    }

    fn client(&self) -> Client {
        let port = self.port;
        Box::new(move |sql| ask(port, sql))
    }

    fn insert(&self, numbers: Range<u64>) {
        self.insert(numbers);
    }

    fn flow(&self) -> FlowSpec {
        self.flow()
    }

    fn source(&self, table: &str) -> String {
        self.source(table)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}
