//! A private MariaDB server with a table of movements.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
record_type = "wms.movement"
body = "inventory_movement"
key = "sku"
[flow.mapping.fields]
movement_number = { from = "number", required = true }
item_number = "sku"
location = "location"
quantity = "quantity"
reference = "place"
moved_at = { from = "moved_at", format = "iso8601", zone = "Europe/Berlin" }
"#;

const TABLE: &str = "CREATE TABLE wms.movement (number varchar(20) PRIMARY KEY, sku varchar(40) NOT NULL, location varchar(10), quantity decimal(12,3), place bigint, moved_at datetime(3) DEFAULT current_timestamp(3)) ENGINE = InnoDB";

/// What its files are made for.
const SIZES: [&str; 2] = [
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
];

const PASSWORD: &str = "it's a secret";

/// A server with a database `wms`, whose user `dray` may read its log.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
    options: Vec<String>,
}

impl Server {
    /// Makes one in a folder of its own and starts it.
    ///
    /// # Panics
    /// Where MariaDB is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with these options.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn with(options: &[&str]) -> Self {
        let folder = new_folder();
        fs::write(folder.path().join("secret"), PASSWORD).expect("a file");
        let mut server = Self {
            folder,
            port: free_port().expect("a port"),
            process: None,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        let program = which("mariadbd");
        let changed = fs::metadata(&program).and_then(|file| file.modified());
        let changed = format!("{:?}", changed.expect("MariaDB is installed"));
        let of = [&*program.to_string_lossy(), &changed, &SIZES.concat()];
        mould::cast(&of, &server.data(), |data| {
            let folder = new_folder();
            let made = folder.path().join("data");
            install(&made);
            let moved = Command::new("mv").args([&made, data]).status();
            assert!(moved.expect("mv").success());
        });
        server.run();
        // Flushed: Aria keeps what it is told of users in its memory for a while, and a crash may take it along.
        server.sql(&format!(
            "CREATE USER dray@'127.0.0.1' IDENTIFIED BY '{}'; GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO dray@'127.0.0.1'; CREATE DATABASE wms; GRANT SELECT ON wms.* TO dray@'127.0.0.1'; {TABLE}; FLUSH TABLES",
            PASSWORD.replace('\'', "''")
        ));
        server
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it, again if need be.
    fn run(&mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(
                Instant::now() < end,
                "the server does not start: {}",
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            let mut process = self.spawn();
            while process.try_wait().is_ok_and(|ended| ended.is_none()) {
                if self.ask("SELECT 1").is_ok() {
                    self.process = Some(process);
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
    }

    fn spawn(&self) -> Child {
        let folder = self.folder.path();
        let data = self.data();
        let path = |name: &str| folder.join(name).display().to_string();
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--user=mysql", "--bind-address=127.0.0.1"])
            .arg(format!("--datadir={}", data.display()))
            // A server that starts removes the temporary tables that it finds: where folders are shared, those of another one, which crashes.
            .arg(format!("--tmpdir={}", folder.display()))
            .arg(format!("--socket={}", path("socket")))
            .arg(format!("--pid-file={}", path("data/pid")))
            .arg(format!("--port={}", self.port))
            .arg(format!("--log-bin={}", data.join("bin").display()))
            .args([
                "--server-id=1",
                "--skip-name-resolve",
                "--binlog-format=ROW",
                "--binlog-row-metadata=FULL",
                "--gtid-strict-mode=1",
                "--sync-binlog=1",
                "--max-allowed-packet=64M",
            ])
            .args(SIZES)
            .args(&self.options)
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

    fn ask(&self, sql: &str) -> Result<String, String> {
        ask(&self.folder.path().join("socket"), sql)
    }

    /// What root is told.
    ///
    /// # Panics
    /// Where the server refuses it.
    pub fn sql(&self, sql: &str) -> String {
        self.ask(sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// From now on it replicates another server, whose log it takes from where that ends now.
    ///
    /// # Panics
    /// Where it can't.
    pub fn replicate(&self, other: &Self) {
        let stands = other.sql("SELECT @@GLOBAL.gtid_binlog_pos");
        self.sql(&format!(
            "SET GLOBAL gtid_strict_mode = 0; SET GLOBAL gtid_slave_pos = '{stands}'; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'dray', MASTER_PASSWORD = '{}', MASTER_USE_GTID = slave_pos; START SLAVE",
            other.port,
            PASSWORD.replace('\'', "''")
        ));
    }

    /// A flow's source that reads a table.
    #[must_use]
    pub fn source(&self, table: &str) -> String {
        let secret = self.folder.path().join("secret");
        format!(
            "kind = \"mariadb\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"dray\"\npassword_file = \"{}\"\n[[flow.source.table]]\nname = \"{table}\"\n",
            self.port,
            secret.display()
        )
    }

    /// A flow that reads its movements.
    #[must_use]
    pub fn flow(&self) -> FlowSpec {
        FlowSpec {
            name: "movements".into(),
            source: self.source("wms.movement"),
            format: String::new(),
            mapping: MAPPING.into(),
            timeliness: "normal",
        }
    }

    /// Movements of these numbers, in one transaction.
    pub fn insert(&self, numbers: Range<u64>) {
        let last = numbers.end - 1;
        self.sql(&format!(
            "INSERT INTO wms.movement (number, sku, location, quantity, place) SELECT CONCAT('MV', LPAD(seq, 10, '0')), CONCAT('SKU-', seq % 97), 'A-01', seq % 1000 + 0.5, seq FROM wms.seq_{}_to_{last}",
            numbers.start
        ));
    }

    /// Ends it as a DBA would.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Starts it after [`Self::stop`], with these options besides.
    pub fn start_again(&mut self, options: &[&str]) {
        self.options
            .extend(options.iter().map(|option| (*option).to_owned()));
        self.run();
    }
}

/// A folder of its own for a server.
fn new_folder() -> TempDir {
    let made = tempfile::Builder::new().prefix("dray-mariadb-").tempdir();
    let folder = made.expect("a folder");
    let made = Command::new("chown")
        .arg("mysql")
        .arg(folder.path())
        .status();
    assert!(made.expect("chown").success());
    folder
}

/// Where a program is.
fn which(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name));
    // Debian has servers where root's PATH leads, and not everybody's.
    let found = found.chain([Path::new("/usr/sbin").join(name)]);
    { found }
        .find(|file| file.is_file())
        .expect("MariaDB is installed: make tools")
}

/// Makes the data of a new server. On a busy machine that fails now and then, so it may be tried again.
fn install(data: &Path) {
    const TRIES: usize = 3;
    let folder = data.parent().expect("it has its folder");
    let mut said = String::new();
    for _ in 0..TRIES {
        let _ = fs::remove_dir_all(data);
        let told = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=mysql", "--skip-test-db"])
            .arg("--auth-root-authentication-method=normal")
            .args(SIZES)
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", folder.display()))
            .output()
            .expect("mariadb-install-db");
        if told.status.success() {
            return;
        }
        said = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    }
    panic!("mariadb-install-db: {said}");
}

/// What root is told.
fn ask(socket: &Path, sql: &str) -> Result<String, String> {
    let told = Command::new("mariadb")
        .args(["--no-defaults", "-uroot", "-N", "-B", "--raw"])
        .args([
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=64M",
        ])
        .arg(format!("--socket={}", socket.display()))
        .args(["-e", sql])
        .output()
        .expect("mariadb");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match told.status.success() {
        true => Ok(text(&told.stdout).trim_end_matches('\n').to_owned()),
        false => Err(text(&told.stderr)),
    }
}

impl Database for Server {
    fn schema(&self) -> &'static str {
        "wms"
    }

    fn crash(&mut self) {
        self.crash();
    }

    fn client(&self) -> Client {
        let socket = self.folder.path().join("socket");
        Box::new(move |sql| ask(&socket, sql))
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
        self.signal(Signal::TERM);
    }
}
