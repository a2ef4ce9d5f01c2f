//! A private PostgreSQL server, with TLS beside.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Server, certify, free_port, up};

const PASSWORD: &str = "it's a secret";

pub struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

/// Where Debian's newest is.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    newest.max().expect("a version of PostgreSQL")
}

/// As the user that the package made: a server does not run as root.
fn command(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(programs().join(name));
    command
}

impl Postgres {
    pub fn start() -> Self {
        let made = tempfile::Builder::new().prefix("dray-sinks-").tempdir();
        let folder = made.expect("a folder");
        fs::write(folder.path().join("secret"), PASSWORD).expect("a file");
        certify(folder.path());
        let owner = Command::new("chown")
            .args(["-R", "postgres"])
            .arg(folder.path())
            .status();
        assert!(owner.expect("chown").success());
        let made = command("initdb")
            .args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"])
            .arg("--locale=C.UTF-8")
            .arg(format!(
                "--pwfile={}",
                folder.path().join("secret").display()
            ))
            .arg("-D")
            .arg(folder.path().join("data"))
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb").success());
        let mut server = Self {
            folder,
            port: free_port(),
            process: None,
        };
        server.run();
        server.sql(&format!(
            "CREATE ROLE dray LOGIN PASSWORD '{}'; GRANT CREATE ON DATABASE postgres TO dray; GRANT CREATE ON SCHEMA public TO dray",
            PASSWORD.replace('\'', "''")
        ));
        server
    }

    /// The authority that signed for "db.example".
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn run(&mut self) {
        let folder = self.folder.path().to_owned();
        let port = self.port;
        let spawn = || {
            command("postgres")
                .arg("-D")
                .arg(folder.join("data"))
                .args(["-p", &port.to_string()])
                .arg("-k")
                .arg(&folder)
                .args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"])
                .arg("-c")
                .arg(format!(
                    "ssl_cert_file={}",
                    folder.join("cert.pem").display()
                ))
                .arg("-c")
                .arg(format!("ssl_key_file={}", folder.join("key.pem").display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(folder.join("log")).expect("a file"))
                .spawn()
                .expect("a server")
        };
        self.process = Some(up(spawn, || ask(port, "SELECT 1").is_ok()));
    }
}

fn ask(port: u16, sql: &str) -> Result<String, String> {
    let told = Command::new("psql")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres"])
        .args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            "postgres",
        ])
        .env("PGPASSWORD", PASSWORD)
        .env("PGTZ", "UTC")
        .output()
        .expect("psql");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    match told.status.success() {
        true => Ok(text(&told.stdout)),
        false => Err(text(&told.stderr)),
    }
}

impl Server for Postgres {
    fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
        self.run();
    }

    fn sql(&self, sql: &str) -> String {
        ask(self.port, sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    fn hand_over(&self) {
        self.sql("ALTER TABLE movement OWNER TO dray; ALTER TABLE stock OWNER TO dray");
    }

    fn widen(&self) {
        self.sql("ALTER TABLE stock DROP CONSTRAINT stock_qty_check");
    }

    fn table(&self) -> String {
        format!(
            "[sql]\nserver = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"dray\"\npassword_file = \"{}\"\ndatabase = \"postgres\"\n",
            self.port,
            self.folder.path().join("secret").display()
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
