//! `[target.sql]`: rows of a table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use super::check::is_this_machine;

/// Columns that are written, at most.
pub const COLUMNS_MAX: usize = 500;
/// Letters of a table's or column's name, at most: PostgreSQL's and MariaDB's own limit.
pub const NAME_BYTES_MAX: usize = 63;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlConfig {
    /// Whose database it is.
    pub server: Server,
    /// The server's name or address.
    #[serde(default)]
    pub host: String,
    /// Its port; none: the usual one.
    pub port: Option<u16>,
    /// Who we are there.
    #[serde(default)]
    pub user: String,
    /// The password; a line break at its end is dropped. Read for each connection.
    #[serde(default)]
    pub password_file: PathBuf,
    /// The database's name.
    #[serde(default)]
    pub database: String,
    /// SQLite's file.
    #[serde(default)]
    pub file: PathBuf,
    /// The name in the server's certificate, where it is not `host`.
    pub server_name: Option<String>,
    /// No TLS to another machine.
    #[serde(default)]
    pub in_clear_text: bool,
    /// `stock` or `schema.stock`.
    pub table: String,
    /// The columns that tell a row from the others: a unique index must be on them.
    #[serde(default)]
    pub key: Vec<String>,
    /// Each column's value: a dotted name of the default JSON, or a template.
    pub columns: BTreeMap<String, String>,
    /// What an event does.
    #[serde(default)]
    pub mode: Mode,
    /// What an event does whose operation is `delete`.
    #[serde(default)]
    pub on_delete: OnDelete,
}

/// Whose database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// PostgreSQL, from 12.
    Postgres,
    /// MariaDB, from 10.5.
    Mariadb,
    /// MySQL, from 8.0.
    Mysql,
    /// A file of SQLite.
    Sqlite,
}

/// What an event does to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It makes its key's row, or changes it.
    #[default]
    Upsert,
    /// It is a row of its own.
    Insert,
}

/// What an event does whose operation is `delete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// It takes its key's row away; with `mode = "insert"` it is a row like others.
    #[default]
    Delete,
    /// The same as any other.
    Write,
    /// Nothing; it counts as delivered.
    Skip,
}

impl SqlConfig {
    /// Host and port; `None` for a file.
    #[must_use]
    pub fn server(&self) -> Option<(String, u16)> {
        let usual = match self.server {
            Server::Postgres => 5432,
            Server::Mariadb | Server::Mysql => 3306,
            Server::Sqlite => return None,
        };
        Some((self.host.clone(), self.port.unwrap_or(usual)))
    }

    /// Whether the connection is encrypted: always but to this machine, and where somebody said so.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.server != Server::Sqlite
            && !self.in_clear_text
            && (!is_this_machine(&self.host) || self.server_name.is_some())
    }

    /// What is wrong, a sentence each.
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if self.server == Server::Sqlite {
            self.check_file(wrong);
        } else {
            self.check_server(wrong);
        }
        for name in self
            .table
            .split('.')
            .chain(self.columns.keys().map(String::as_str))
        {
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
                wrong.push(format!(
                    "sql: {name:?} is no name of a table or column; write 1 to {NAME_BYTES_MAX} bytes"
                ));
            }
        }
        if self.table.split('.').count() > 2 {
            wrong.push("sql.table: write \"table\" or \"schema.table\"".into());
        }
        if !(1..=COLUMNS_MAX).contains(&self.columns.len()) {
            wrong.push(format!("sql.columns: write 1 to {COLUMNS_MAX}"));
        }
        for column in &self.key {
            if !self.columns.contains_key(column) {
                wrong.push(format!(
                    "sql.key: {column:?} is not among the columns; add it to sql.columns"
                ));
            }
        }
        if self.key.iter().collect::<BTreeSet<_>>().len() != self.key.len() {
            wrong.push("sql.key: a column stands there twice".into());
        }
        if self.mode == Mode::Upsert && self.key.is_empty() {
            wrong.push("sql.key: mode = \"upsert\" finds its row by it; name the columns of a unique index, or write mode = \"insert\"".into());
        }
        if self.mode == Mode::Insert && !self.key.is_empty() {
            wrong.push("sql.key: mode = \"insert\" looks for no row; take it away, or write mode = \"upsert\"".into());
        }
    }

    fn check_file(&self, wrong: &mut Vec<String>) {
        if self.file.as_os_str().is_empty() {
            wrong.push("sql.file: write the path of SQLite's file".into());
        }
        let is_server = !self.host.is_empty()
            || self.port.is_some()
            || !self.user.is_empty()
            || !self.database.is_empty()
            || !self.password_file.as_os_str().is_empty()
            || self.server_name.is_some();
        if is_server {
            wrong.push("sql.server: \"sqlite\" has a file alone; take host, port, user, password_file, database and server_name away".into());
        }
    }

    fn check_server(&self, wrong: &mut Vec<String>) {
        for (setting, value) in [
            ("host", &self.host),
            ("user", &self.user),
            ("database", &self.database),
        ] {
            if value.is_empty() {
                wrong.push(format!("sql.{setting}: it is missing"));
            }
        }
        if !self.file.as_os_str().is_empty() {
            wrong.push("sql.file: only server = \"sqlite\" has one".into());
        }
        if self.in_clear_text && self.server_name.is_some() {
            wrong.push(
                "sql.server_name: in clear text there is no certificate; take one of the two away"
                    .into(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let config: SqlConfig = toml::from_str(text).expect("it parses");
        let mut wrong = Vec::new();
        config.check(&mut wrong);
        assert_eq!(wrong.len(), expected.len(), "{text}: {wrong:?}");
        for (sentence, begin) in wrong.iter().zip(expected) {
            assert!(sentence.starts_with(begin), "{sentence}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence_that_names_the_setting() {
        let lite = "server = \"sqlite\"\nfile = \"/a\"\ntable = \"t\"\n";
        let full = "columns = { a = \"key\" }\nkey = [\"a\"]\n";
        check(&format!("{lite}{full}"), &[]);
        check(&format!("{lite}{full}host = \"h\""), &["sql.server: "]);
        check(
            &format!("{lite}columns = {{ a = \"key\" }}"),
            &["sql.key: mode"],
        );
        check(
            &format!("{lite}{full}mode = \"insert\""),
            &["sql.key: mode"],
        );
        check(
            &format!("{lite}columns = {{ a = \"key\" }}\nkey = [\"b\"]"),
            &["sql.key: \"b\""],
        );
        check(
            &format!("server = \"postgres\"\ntable = \"a.b.c\"\n{full}"),
            &["sql.host", "sql.user", "sql.database", "sql.table"],
        );
        assert!(toml::from_str::<SqlConfig>(&format!("{lite}{full}colour = 1")).is_err());
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_clear_text_unasked() {
        let config = |more: &str| -> SqlConfig {
            toml::from_str(&format!(
                "server = \"postgres\"\nuser = \"d\"\ndatabase = \"d\"\ntable = \"t\"\ncolumns = {{ a = \"key\" }}\nkey = [\"a\"]\n{more}"
            ))
            .expect("it parses")
        };
        assert!(config("host = \"db.example\"").is_encrypted());
        assert!(config("host = \"::1\"\nserver_name = \"db\"").is_encrypted());
        assert!(!config("host = \"127.0.0.1\"").is_encrypted());
        assert!(!config("host = \"db\"\nin_clear_text = true").is_encrypted());
    }
}
