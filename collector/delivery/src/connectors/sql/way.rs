//! The way to a database's server.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::TargetConfig;
use crate::config::sql::SqlConfig;
use crate::connectors::trust;
use crate::outcome::Outcome;

/// See the module.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) config: SqlConfig,
    /// Authorities to trust beside the system's; empty: none.
    pub(super) ca_file: PathBuf,
    /// The target has values that nobody may read.
    pub(super) hides: bool,
    /// Where it is encrypted.
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
}

impl Way {
    /// Reads the authorities and the secret, to say early that they cannot be read.
    pub(super) fn new(config: &TargetConfig, sql: &SqlConfig) -> Result<Self, String> {
        let tls = match sql.is_encrypted() {
            true => Some(Arc::new(trust::client(&config.ca_file)?)),
            false => None,
        };
        let way = Self {
            config: sql.clone(),
            ca_file: config.ca_file.clone(),
            hides: !config.mask.is_empty(),
            tls,
        };
        read(&way.config.password_file)?;
        Ok(way)
    }

    /// Read for each connection, so that it can change while dray runs.
    pub(super) async fn password(&self) -> Result<Option<String>, Outcome> {
        let file = self.config.password_file.clone();
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        let read = read.unwrap_or_else(|error| Err(error.to_string()));
        read.map_err(Outcome::Auth)
    }

    /// "sql.host db.example:5432", for sentences.
    pub(super) fn name(&self) -> String {
        match self.config.server() {
            Some((host, port)) => format!("{host}:{port}"),
            None => self.config.file.display().to_string(),
        }
    }
}

fn read(file: &std::path::Path) -> Result<Option<String>, String> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    trust::read_password("sql.password_file", file).map(Some)
}
