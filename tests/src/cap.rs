//! A private OData service, SAP CAP, that can be told to misbehave (`peers/cap`).

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::peer::{Process, ask, ask_as, installed};
use crate::site::free_port;

/// The user that it knows, and its password.
pub const LOGIN: (&str, &str) = ("agent", "agent-pw");

/// A running service over a database in memory. It ends with its value.
#[derive(Debug)]
pub struct Cap {
    folder: TempDir,
    port: u16,
    _process: Process,
}

impl Cap {
    /// Installs it where it isn't, and starts one.
    ///
    /// # Panics
    /// Where it can't.
    #[must_use]
    pub fn start() -> Self {
        let service = installed("cap").join("service");
        let folder = tempfile::Builder::new().prefix("dray-cap-").tempdir();
        let folder = folder.expect("a folder");
        let port = free_port().expect("a port");
        fs::write(folder.path().join("password"), LOGIN.1).expect("a file");
        let mut command = Command::new(service.join("node_modules/node/bin/node"));
        command
            .args(["node_modules/@sap/cds/bin/serve.js", "all", "--in-memory"])
            .current_dir(&service)
            .env("PORT", port.to_string())
            .env("CDS_ENV", "development");
        let log = folder.path().join("log");
        let process = Process::start(&mut command, &log, port, "/lab/log");
        Self {
            folder,
            port,
            _process: process,
        }
    }

    /// The service's root.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/odata/v4/erp/", self.port)
    }

    /// The root of the same service as version 2 shows it.
    #[must_use]
    pub fn old_url(&self) -> String {
        format!("http://127.0.0.1:{}/odata/v2/erp/", self.port)
    }

    /// The file with the password of [`LOGIN`].
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Tells it to misbehave: see `peers/cap/server.js`.
    ///
    /// # Panics
    /// Where it does not answer.
    pub fn lab(&self, what: &str, how: &str) {
        let (status, said) =
            ask(self.port, "POST", &format!("/lab/{what}"), how).expect("an answer");
        assert_eq!(status, 200, "{said}");
    }

    /// Puts an entity there, as somebody else would.
    ///
    /// # Panics
    /// Where it does not take it.
    pub fn put(&self, path: &str, json: &str) {
        let path = format!("/odata/v4/erp/{path}");
        // LOGIN in base64.
        let head = "Authorization: Basic YWdlbnQ6YWdlbnQtcHc=\r\n";
        let (status, said) = ask_as(self.port, "PUT", &path, head, json).expect("an answer");
        assert_eq!(status, 201, "{said}");
    }

    /// The requests that wanted to change something, in order, with the status of each answer.
    ///
    /// # Panics
    /// Where it does not answer.
    #[must_use]
    pub fn writes(&self) -> Vec<Value> {
        self.list("log")
    }

    /// What it wrote of an entity and what stands, in order: each with its `event` and `data`.
    ///
    /// # Panics
    /// Where it does not answer.
    #[must_use]
    pub fn history(&self, entity: &str) -> Vec<Value> {
        let mut all = self.list("history");
        all.retain(|row| row["entity"] == entity);
        all
    }

    /// What is there of an entity.
    ///
    /// # Panics
    /// Where it does not answer.
    #[must_use]
    pub fn rows(&self, entity: &str) -> Vec<Value> {
        self.list(&format!("rows?{entity}"))
    }

    fn list(&self, what: &str) -> Vec<Value> {
        let (status, said) = ask(self.port, "GET", &format!("/lab/{what}"), "").expect("an answer");
        assert_eq!(status, 200, "{said}");
        serde_json::from_str(&said).expect("a list")
    }
}
