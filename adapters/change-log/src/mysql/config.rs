//! `kind = "mariadb"` and `kind = "mysql"`.

use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::columns::TableConfig;
use crate::server::{self, TlsConfig};

/// A database whose changes are read from its binary log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MySqlConfig {
    /// "mariadb" or "mysql".
    pub kind: String,
    /// The server: a name, an address, or its socket's path.
    pub host: String,
    /// Default 3306.
    #[serde(default = "port")]
    pub port: u16,
    /// A user with REPLICATION SLAVE, and SELECT on the tables.
    pub user: String,
    /// Its password, in the first line of this file.
    pub password_file: Option<PathBuf>,
    /// How the connection is kept secret, and its server is known.
    pub tls: Option<TlsConfig>,
    /// That rows and passwords may go over a network as they are.
    #[serde(default)]
    pub in_clear_text: bool,
    /// The number by which the server knows the flow among its replicas; no two readers of a server may have the same. Default: one made of
    /// the flow's name.
    pub server_id: Option<u32>,
    /// Whether the rows that the tables have already come first.
    #[serde(default = "yes")]
    pub first_load: bool,
    /// The tables, with their schemas: `wms.stock`.
    #[serde(rename = "table")]
    pub tables: Vec<TableConfig>,
}

fn port() -> u16 {
    3_306
}

fn yes() -> bool {
    true
}

impl MySqlConfig {
    /// The number of the flow among the server's replicas; `flow`: its full name.
    #[must_use]
    pub fn server_id(&self, flow: &str) -> u32 {
        self.server_id.unwrap_or_else(|| {
            let digest = Sha256::digest(flow);
            let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
            // Above those that people give.
            number | 1 << 31
        })
    }

    /// What is wrong with it by itself: the setting and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault =
            |setting: &str, sentence: String| faults.push((setting.to_owned(), sentence));
        for (setting, text) in [("host", &self.host), ("user", &self.user)] {
            if text.is_empty() {
                fault(setting, "is empty".into());
            }
        }
        if !server::is_local(&self.host) && self.tls.is_none() && !self.in_clear_text {
            fault(
                "host",
                format!(
                    "\"{}\" is another machine: add [flow.source.tls] with ca_file, or write in_clear_text = true where the network is trusted",
                    self.host
                ),
            );
        }
        if self.tls.is_some() && self.host.starts_with('/') {
            fault("tls", "a socket has none; take it away".into());
        }
        if self.server_id == Some(0) {
            fault("server_id", "0 is no replica's number".into());
        }
        faults.extend(crate::columns::faults(&self.tables, "wms.stock"));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> MySqlConfig {
        let head = "kind = 'mariadb'\nuser = 'dray'\n";
        toml::from_str(&format!("{head}{text}")).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn what_is_wrong_by_itself_is_told_with_its_setting() {
        let table = "[[table]]\nname = 'wms.stock'\n";
        let tls = "[tls]\nca_file = 'ca.pem'\n";
        for (head, rest, expected) in [
            ("host = '127.0.0.1'\n", table.to_owned(), ""),
            ("host = 'db'\nin_clear_text = true\n", table.to_owned(), ""),
            ("host = 'db'\n", format!("{tls}{table}"), ""),
            (
                "host = 'db'\n",
                table.to_owned(),
                "host: \"db\" is another machine",
            ),
            (
                "host = '/run/s.sock'\n",
                format!("{tls}{table}"),
                "tls: a socket",
            ),
            (
                "host = '::1'\nserver_id = 0\n",
                table.to_owned(),
                "server_id: 0",
            ),
            (
                "host = '::1'\n",
                "[[table]]\nname = 'stock'\n".to_owned(),
                "table 1: \"stock\" is no table",
            ),
            (
                "host = '::1'\ntable = []\n",
                String::new(),
                "table: none is named",
            ),
        ] {
            let text = format!("{head}{rest}");
            let faults = config(&text).faults();
            let told: Vec<_> = faults
                .iter()
                .map(|(setting, said)| format!("{setting}: {said}"))
                .collect();
            let told = told.join("; ");
            assert!(
                told.starts_with(expected) && told.is_empty() == expected.is_empty(),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn a_flow_has_a_number_of_its_own() {
        let config = config("host = '::1'\ntable = []\n");
        let numbers = ["nord/stock", "nord/orders"].map(|flow| config.server_id(flow));
        assert_ne!(numbers[0], numbers[1]);
        assert!(numbers.iter().all(|number| *number >= 1 << 31));
    }
}
