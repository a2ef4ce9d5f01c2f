//! A private Tryton, the real ERP, over a database of its own (`peers/tryton`).

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::peer::{Process, installed};
use crate::site::free_port;

/// The user that dray signs in as, and its password.
pub const LOGIN: (&str, &str) = ("agent", "agent-pw-of-a-test");

/// A running Tryton. It ends with its value.
#[derive(Debug)]
pub struct Tryton {
    folder: TempDir,
    port: u16,
    /// `None` while it is down.
    process: Option<Process>,
}

impl Tryton {
    /// Installs it where it isn't, and starts one.
    ///
    /// # Panics
    /// Where it can't.
    #[must_use]
    pub fn start() -> Self {
        let peer = installed("tryton");
        let folder = tempfile::Builder::new().prefix("dray-tryton-").tempdir();
        let folder = folder.expect("a folder");
        let port = free_port().expect("a port");
        fs::copy(peer.join("template"), folder.path().join("erp.sqlite")).expect("a copy");
        let config = folder.path().join("trytond.conf");
        let text = format!(
            "[database]\nuri = sqlite://\npath = {}\n[web]\nlisten = 127.0.0.1:{port}\n[session]\nauthentications = password\n",
            folder.path().display()
        );
        fs::write(&config, text).expect("a file");
        fs::write(folder.path().join("password"), LOGIN.1).expect("a file");
        let mut tryton = Self {
            folder,
            port,
            process: None,
        };
        tryton.start_again();
        tryton
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it over its database, where it was killed.
    ///
    /// # Panics
    /// Where it can't.
    pub fn start_again(&mut self) {
        let mut command = Command::new(installed("tryton").join("venv/bin/trytond"));
        let config = self.folder.path().join("trytond.conf");
        command.arg("-c").arg(config).args(["-d", "erp"]);
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&mut command, &log, self.port, "/"));
    }

    /// Where its database stands.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}/erp/", self.port)
    }

    /// Where it takes calls.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}rpc/", self.base())
    }

    /// The file with the password of [`LOGIN`].
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Its database.
    ///
    /// # Panics
    /// Where it can't be opened.
    #[must_use]
    pub fn database(&self) -> Connection {
        let made = Connection::open(self.folder.path().join("erp.sqlite")).expect("a database");
        made.busy_timeout(crate::daemon::PATIENCE)
            .expect("a setting");
        made
    }
}
