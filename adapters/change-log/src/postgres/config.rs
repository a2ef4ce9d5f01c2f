//! `kind = "postgres"`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::columns::{self, TableConfig};
use crate::policy::{self, OnGap};
use crate::server::{self, TlsConfig};

/// PostgreSQL's own limit on names, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// A database whose changes are read from its write-ahead log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// "postgres".
    pub kind: String,
    /// The server: a name, an address, or the folder of its socket.
    pub host: String,
    /// Default 5432.
    #[serde(default = "port")]
    pub port: u16,
    /// The database.
    pub database: String,
    /// A role with REPLICATION, and SELECT on the tables.
    pub user: String,
    /// Its password, in the first line of this file. Without it the server lets the role in by other means.
    pub password_file: Option<PathBuf>,
    /// How the connection is kept secret, and its server is known.
    pub tls: Option<TlsConfig>,
    /// That rows and passwords may go over a network as they are.
    #[serde(default)]
    pub in_clear_text: bool,
    /// The replication slot; default `dray_` and the flow's name.
    pub slot: Option<String>,
    /// That standbys have the slot too, so that the flow goes on where one takes over: PostgreSQL 17 and later.
    #[serde(default)]
    pub failover: bool,
    /// The publication; default as the slot.
    pub publication: Option<String>,
    /// Whether the agent makes publication and slot where they are missing; otherwise a sentence says what the DBA runs.
    #[serde(default = "yes")]
    pub create: bool,
    /// That the server may keep its log for us without an end, though its disk may be full then.
    #[serde(default)]
    pub unlimited_wal: bool,
    /// Whether the rows that the tables have already come first.
    #[serde(default = "yes")]
    pub first_load: bool,
    /// What the flow does when a part of the log is gone that it has not read.
    #[serde(default)]
    pub on_gap: OnGap,
    /// After how long without any event an event says that the flow lives; `"0s"`: none does.
    #[serde(default = "policy::heartbeat_every", with = "humantime_serde")]
    pub heartbeat_every: Duration,
    /// The tables.
    #[serde(rename = "table")]
    pub tables: Vec<TableConfig>,
}

fn port() -> u16 {
    5_432
}

fn yes() -> bool {
    true
}

impl PostgresConfig {
    /// The slot's name, where `flow` is the flow's.
    #[must_use]
    pub fn slot(&self, flow: &str) -> String {
        self.slot.clone().unwrap_or_else(|| made_name(flow))
    }

    /// The publication's name.
    #[must_use]
    pub fn publication(&self, flow: &str) -> String {
        self.publication.clone().unwrap_or_else(|| self.slot(flow))
    }

    /// What is wrong with it by itself: the setting and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault =
            |setting: &str, sentence: String| faults.push((setting.to_owned(), sentence));
        for (setting, text) in [
            ("host", &self.host),
            ("database", &self.database),
            ("user", &self.user),
        ] {
            if text.is_empty() {
                fault(setting, "is empty".into());
            }
        }
        if let Some(slot) = &self.slot {
            let is_plain = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
            if slot.is_empty() || slot.len() > NAME_BYTES_MAX || !slot.chars().all(is_plain) {
                fault(
                    "slot",
                    format!(
                        "\"{slot}\" is no slot's name: PostgreSQL takes a to z, 0 to 9 and _, {NAME_BYTES_MAX} at most"
                    ),
                );
            }
        }
        faults.extend(server::faults(
            &self.host,
            self.tls.as_ref(),
            self.in_clear_text,
        ));
        faults.extend(policy::fault(self.heartbeat_every));
        faults.extend(columns::faults(&self.tables, "public.stock"));
        faults
    }
}

/// A slot's name of a flow's. Two flows at one database whose names differ only in what is left out name their slots themselves.
fn made_name(flow: &str) -> String {
    let plain = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9') => letter,
        _ => '_',
    };
    let name: String = flow.chars().map(plain).collect();
    let mut made = format!("dray_{name}");
    made.truncate(NAME_BYTES_MAX);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_all_settings() {
        let page = include_str!("../../../../docs/change-logs.md");
        let (_, table) = page
            .split_once("| setting of `[flow.source]` |")
            .expect("the table");
        let (table, _) = table.split_once("\n\n").expect("its end");
        let cells = table
            .lines()
            .skip(2)
            .filter_map(|line| line.split('|').nth(1));
        let mut shown: Vec<_> = cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        let unknown = toml::from_str::<PostgresConfig>("nothing = 1").expect_err("unknown");
        let said = unknown.to_string();
        let (_, known) = said.split_once("expected one of").expect("the settings");
        let mut known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known);
    }

    fn config(text: &str) -> PostgresConfig {
        let head = "kind = 'postgres'\ndatabase = 'wms'\nuser = 'dray'\n";
        toml::from_str(&format!("{head}{text}")).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn what_is_wrong_by_itself_is_told_with_its_setting() {
        let table = "[[table]]\nname = 'public.stock'\n";
        for (head, tables, expected) in [
            ("host = '127.0.0.1'\n", table, ""),
            ("host = '/run/postgresql'\n", table, ""),
            ("host = 'db'\nin_clear_text = true\n", table, ""),
            (
                "host = 'db'\n",
                "[tls]\nca_file = 'ca.pem'\n[[table]]\nname = 'public.stock'\n",
                "",
            ),
            ("host = 'db'\n", table, "host: \"db\" is another machine"),
            (
                "host = '::1'\nslot = 'Dray'\n",
                table,
                "slot: \"Dray\" is no slot's name",
            ),
            (
                "host = '::1'\n",
                "[[table]]\nname = 'stock'\n",
                "table 1: \"stock\" is no table",
            ),
            ("host = '::1'\ntable = []\n", "", "table: none is named"),
            (
                "host = '::1'\nheartbeat_every = '10ms'\n",
                table,
                "heartbeat_every: 10ms is too often",
            ),
            (
                "host = '::1'\nheartbeat_every = '0s'\non_gap = 'load-again'\n",
                table,
                "",
            ),
        ] {
            let text = format!("{head}{tables}");
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
    fn the_example_of_the_documentation_is_good() {
        let page = include_str!("../../../../docs/change-logs.md");
        let block = page
            .split("```")
            .find_map(|part| part.strip_prefix("toml\n"));
        let example: toml::Table = toml::from_str(block.expect("an example")).expect("TOML");
        let source = example["flow"][0]["source"].clone();
        let config: PostgresConfig = source.try_into().expect("a source");
        assert_eq!(config.faults(), []);
        assert_eq!(config.tables[0].without, ["entered_by"]);
    }

    #[test]
    fn a_slot_is_named_after_its_flow() {
        let config = config("host = '::1'\ntable = []\n");
        assert_eq!(config.slot("Stock-Nord/2"), "dray_stock_nord_2");
        assert_eq!(config.publication("stock"), "dray_stock");
        assert_eq!(config.slot(&"x".repeat(100)).len(), NAME_BYTES_MAX);
    }
}
