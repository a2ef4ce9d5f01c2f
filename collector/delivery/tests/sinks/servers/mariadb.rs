//! A private MariaDB server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Server, certify, free_port, up};

const PASSWORD: &str = "it's a secret";

pub struct Mariadb {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Mariadb {
    pub fn start() -> Self {
        let made = tempfile::Builder::new().prefix("dray-sinks-").tempdir();
        let folder = made.expect("a folder");
        certify(folder.path());
        let owner = Command::new("chown")
            .args(["-R", "mysql"])
            .arg(folder.path())
            .status();
        assert!(owner.expect("chown").success());
        fs::write(folder.path().join("secret"), PASSWORD).expect("a file");
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=mysql", "--skip-test-db"])
            .arg("--auth-root-authentication-method=normal")
            .arg(format!(
                "--datadir={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--tmpdir={}", folder.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("mariadb-install-db").success());
        let mut server = Self {
            folder,
            port: free_port(),
            process: None,
        };
        server.run();
        let made = ask(
            server.folder.path(),
            "mysql",
            &format!(
                "CREATE DATABASE erp; CREATE USER dray@'127.0.0.1' IDENTIFIED BY '{}'; GRANT ALL ON erp.* TO dray@'127.0.0.1'",
                PASSWORD.replace('\'', "''")
            ),
        );
        made.expect("a user");
        server
    }

    /// The authority that signed for "db.example".
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn run(&mut self) {
        let folder = self.folder.path().to_owned();
        let path = |name: &str| folder.join(name).display().to_string();
        let spawn = || {
            Command::new("mariadbd")
                .args(["--no-defaults", "--user=mysql", "--bind-address=127.0.0.1"])
                .arg(format!("--datadir={}", path("data")))
                // A server that starts removes the temporary tables that it finds, another one's too.
                .arg(format!("--tmpdir={}", folder.display()))
                .arg(format!("--socket={}", path("socket")))
                .arg(format!("--pid-file={}", path("data/pid")))
                .arg(format!("--port={}", self.port))
                .args(["--skip-name-resolve", "--innodb-buffer-pool-size=64M"])
                .arg("--innodb-log-file-size=32M")
                .arg(format!("--ssl-cert={}", path("cert.pem")))
                .arg(format!("--ssl-key={}", path("key.pem")))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(folder.join("log")).expect("a file"))
                .spawn()
                .expect("a server")
        };
        self.process = Some(up(spawn, || ask(&folder, "mysql", "SELECT 1").is_ok()));
    }
}

fn ask(folder: &Path, database: &str, sql: &str) -> Result<String, String> {
    let told = Command::new("mariadb")
        .args(["--no-defaults", "-uroot", "-N", "-B", "--raw"])
        .arg("--default-character-set=utf8mb4")
        .arg(format!("--socket={}", folder.join("socket").display()))
        .args(["-e", sql, database])
        .output()
        .expect("mariadb");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    match told.status.success() {
        true => Ok(text(&told.stdout).replace('\t', "|")),
        false => Err(text(&told.stderr)),
    }
}

impl Server for Mariadb {
    fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
        self.run();
    }

    fn sql(&self, sql: &str) -> String {
        ask(self.folder.path(), "erp", sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    fn hand_over(&self) {}

    fn widen(&self) {
        self.sql("ALTER TABLE stock MODIFY qty decimal(12,3)");
    }

    fn table(&self) -> String {
        format!(
            "[sql]\nserver = \"mariadb\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"dray\"\npassword_file = \"{}\"\ndatabase = \"erp\"\n",
            self.port,
            self.folder.path().join("secret").display()
        )
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
