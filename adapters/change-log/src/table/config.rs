//! `kind = "sql"`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::page::Page;
use super::session::NO_ODBC;
use crate::columns::{Mask, Wanted};
use crate::server::{self, TlsConfig};

/// Who speaks to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// A file of SQLite.
    Sqlite,
    /// PostgreSQL, with a plain role.
    Postgres,
    /// MariaDB or MySQL.
    Mysql,
    /// Whatever has an ODBC driver.
    Odbc,
}

/// How rows that are new are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// By the transaction that wrote them, below the oldest one that is open.
    Fence,
    /// By an id that grows, and again where one is missing.
    Overlap,
    /// By a column that says so, which is set once they are appended.
    MarkProcessed,
    /// All there are, which are deleted once they are appended.
    DeleteAfterRead,
    /// By the time at which they were changed.
    Timestamp,
    /// By comparing all rows with what they were.
    FullCompare,
}

/// How a column writes times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeUnit {
    /// As times, or texts of them.
    #[default]
    Time,
    /// Seconds since 1970.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
}

/// The time at which a row was changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangedConfig {
    /// The column.
    pub column: String,
    /// The longest time from when a transaction takes the time until it is committed.
    #[serde(default = "five_seconds", with = "humantime_serde")]
    pub lag: Duration,
    /// Whose time it is, where the column does not say that itself.
    #[serde(default = "utc")]
    pub zone: String,
    /// How it is written.
    #[serde(default)]
    pub unit: TimeUnit,
    /// That the database's clock may have gone back, and rows may be missing.
    #[serde(default)]
    pub accept_clock_back: bool,
}

impl Default for ChangedConfig {
    fn default() -> Self {
        Self {
            column: String::new(),
            lag: five_seconds(),
            zone: utc(),
            unit: TimeUnit::Time,
            accept_clock_back: false,
        }
    }
}

/// The column that says whether a row was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessedConfig {
    /// Its name.
    pub column: String,
    /// What it holds before; default: NULL.
    pub unread: Option<String>,
    /// What it holds after.
    pub done: String,
}

/// A table that is asked for new rows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlConfig {
    /// "sql".
    pub kind: String,
    /// Who speaks to the database.
    pub driver: Driver,
    /// SQLite's file.
    pub file: Option<PathBuf>,
    /// The server: a name, an address, or the folder of its socket.
    pub host: Option<String>,
    /// Default: the database's own.
    pub port: Option<u16>,
    /// The database.
    pub database: Option<String>,
    /// A role that may read the table.
    pub user: Option<String>,
    /// Its password, in the first line of this file.
    pub password_file: Option<PathBuf>,
    /// That rows and passwords may go over a network as they are.
    #[serde(default)]
    pub in_clear_text: bool,
    /// TLS to the server.
    pub tls: Option<TlsConfig>,
    /// ODBC: the driver and what it needs to know, but for the password.
    pub connection: Option<String>,
    /// ODBC: the statement that tells the clock, where the agent does not know it.
    pub clock: Option<String>,
    /// The table, with its schema if need be.
    pub table: Option<String>,
    /// Or a SELECT in its place.
    pub query: Option<String>,
    /// What its records are called; default the table's name.
    pub record_type: Option<String>,
    /// The columns that are taken; default: all.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Columns that are not.
    #[serde(default)]
    pub without: Vec<String>,
    /// Columns whose values are hidden before anything touches the disk.
    #[serde(default)]
    pub mask: BTreeMap<String, Mask>,
    /// How rows that are new are found.
    pub mode: Mode,
    /// The column that tells rows apart.
    pub id: String,
    /// A column that tells a row from another one with its id: a time or a number that is set with it.
    pub version: Option<String>,
    /// The column that says what was done, and its codes.
    pub op: Option<OpConfig>,
    /// `fence`: the column with the number of the transaction that wrote the row.
    pub transaction: Option<String>,
    /// `timestamp`: the time at which a row was changed.
    pub changed: Option<ChangedConfig>,
    /// `mark-processed`: the column that says whether a row was read.
    pub processed: Option<ProcessedConfig>,
    /// How often it is asked, while there is nothing; default 1 s, of a whole comparison 10 minutes.
    #[serde(default, with = "humantime_serde")]
    pub every: Option<Duration>,
    /// The longest time from when a transaction takes an id until it is committed.
    #[serde(default = "ten_minutes", with = "humantime_serde")]
    pub transaction_max: Duration,
    /// Whether the rows that are there already come first.
    #[serde(default = "yes")]
    pub first_load: bool,
    /// That rows which were read may be deleted by others, the newest too.
    #[serde(default)]
    pub rows_are_deleted: bool,
}

/// A column that says what was done to a row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpConfig {
    /// Its name.
    pub column: String,
    /// Codes of new rows.
    #[serde(default)]
    pub create: Vec<String>,
    /// Codes of changed rows.
    #[serde(default)]
    pub update: Vec<String>,
    /// Codes of rows that are gone.
    #[serde(default)]
    pub delete: Vec<String>,
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn utc() -> String {
    "UTC".to_owned()
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

fn yes() -> bool {
    true
}

/// Between two questions, at least: each is a statement at somebody's database.
const EVERY_MIN: Duration = Duration::from_millis(50);

impl SqlConfig {
    /// What its records are called.
    #[must_use]
    pub fn record_type(&self) -> &str {
        let named = self.record_type.as_ref().or(self.table.as_ref());
        named.map_or("", String::as_str)
    }

    /// How often it is asked, while there is nothing.
    #[must_use]
    pub fn every(&self) -> Duration {
        let default = match self.mode {
            Mode::FullCompare => ten_minutes(),
            _ => Duration::from_secs(1),
        };
        self.every.unwrap_or(default)
    }

    /// The places of the columns that are taken.
    pub(super) fn taken(&self, page: &Page) -> Result<Vec<usize>, String> {
        let names = page.columns.iter().map(|column| column.name.as_str());
        let names: Vec<_> = names.collect();
        let taken = self.wanted().of(self.record_type(), &names)?;
        Ok(taken.iter().map(|column| column.at).collect())
    }

    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            columns: &self.columns,
            without: &self.without,
            mask: &self.mask,
        }
    }

    /// Where it is, in words.
    #[must_use]
    pub fn place(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let place = match self.driver {
            Driver::Sqlite => self
                .file
                .as_ref()
                .map_or_else(String::new, |file| file.display().to_string()),
            Driver::Postgres | Driver::Mysql => {
                format!("{} at {}", text(&self.database), text(&self.host))
            }
            Driver::Odbc => match &self.database {
                Some(database) => database.clone(),
                None => "a database by ODBC".to_owned(),
            },
        };
        format!("{} in {place}", self.record_type())
    }

    /// What is wrong with it by itself: the setting and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault =
            |setting: &str, sentence: String| faults.push((setting.to_owned(), sentence));
        match (&self.table, &self.query) {
            (Some(_), Some(_)) => fault("query", "stands beside table; write one of them".into()),
            (None, None) => fault(
                "table",
                "is missing; write e.g. table = \"stock_change\"".into(),
            ),
            (None, Some(_)) if self.record_type.is_none() => fault(
                "record_type",
                "is missing: it names the records of query; write e.g. record_type = \"stock\""
                    .into(),
            ),
            _ => {}
        }
        for (setting, text) in [("table", &self.table), ("query", &self.query)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                fault(setting, "is empty".into());
            }
        }
        if self.query.as_ref().is_some_and(|query| query.contains(';')) {
            fault(
                "query",
                "holds a semicolon; write one SELECT without it".into(),
            );
        }
        if self.id.is_empty() {
            fault("id", "is empty".into());
        }
        if self.every() < EVERY_MIN {
            fault("every", format!("is less than {EVERY_MIN:?}"));
        }
        if let Some(op) = &self.op
            && [&op.create, &op.update, &op.delete]
                .iter()
                .all(|codes| codes.is_empty())
        {
            fault(
                "op",
                "names no codes; write e.g. create = [\"I\"], update = [\"U\"], delete = [\"D\"]"
                    .into(),
            );
        }
        faults.extend(self.faults_of_mode());
        faults.extend(self.faults_of_driver());
        faults
    }

    /// What each mode needs, and what says nothing in it.
    fn faults_of_mode(&self) -> Vec<(String, String)> {
        let mode = self.mode;
        let name = mode.name();
        let needed: [(&str, bool, Mode, &str); 3] = [
            (
                "transaction",
                self.transaction.is_some(),
                Mode::Fence,
                "transaction = \"written_by\", a column of the type xid8 with DEFAULT pg_current_xact_id()",
            ),
            (
                "changed",
                self.changed.is_some(),
                Mode::Timestamp,
                "changed = { column = \"changed_at\", lag = \"5s\" }",
            ),
            (
                "processed",
                self.processed.is_some(),
                Mode::MarkProcessed,
                "processed = { column = \"state\", unread = \"N\", done = \"P\" }",
            ),
        ];
        let mut faults = Vec::new();
        for (setting, is_there, of, example) in needed {
            match (is_there, mode == of) {
                (false, true) => {
                    let sentence =
                        format!("is missing: mode = \"{name}\" needs it; write e.g. {example}");
                    faults.push((setting.to_owned(), sentence));
                }
                (true, false) => {
                    let sentence = format!("says nothing where mode = \"{name}\"; leave it out");
                    faults.push((setting.to_owned(), sentence));
                }
                _ => {}
            }
        }
        if mode.writes() && self.query.is_some() {
            let sentence =
                format!("can't be marked or deleted, as mode = \"{name}\" does; write table");
            faults.push(("query".to_owned(), sentence));
        }
        if mode == Mode::MarkProcessed
            && let Some(processed) = &self.processed
            && processed.unread.as_ref() == Some(&processed.done)
        {
            let sentence = "unread and done are the same: every row would come again and again";
            faults.push(("processed".to_owned(), sentence.to_owned()));
        }
        if mode == Mode::Overlap && self.transaction_max < EVERY_MIN {
            let sentence = format!(
                "is less than {EVERY_MIN:?}; write how long a transaction may take, and more"
            );
            faults.push(("transaction_max".to_owned(), sentence));
        }
        faults
    }

    fn faults_of_driver(&self) -> Vec<(String, String)> {
        let file = ("file", self.file.is_some());
        let host = ("host", self.host.is_some());
        let database = ("database", self.database.is_some());
        let user = ("user", self.user.is_some());
        let connection = ("connection", self.connection.is_some());
        let tls = ("tls", self.tls.is_some());
        let (needs, knows_not) = match self.driver {
            Driver::Sqlite => (vec![file], vec![host, database, user, connection, tls]),
            Driver::Postgres => (vec![host, database, user], vec![file, connection, tls]),
            Driver::Mysql => (vec![host, database, user], vec![file, connection]),
            Driver::Odbc => (vec![connection], vec![file, host, tls]),
        };
        let mut faults = Vec::new();
        if self.driver == Driver::Odbc && cfg!(not(feature = "odbc")) {
            faults.push(("driver".to_owned(), NO_ODBC.to_owned()));
        }
        for (setting, is_there) in needs {
            if !is_there {
                let example = match setting {
                    "file" => "file = \"/var/lib/wms/wms.db\"",
                    "host" => "host = \"127.0.0.1\"",
                    "database" => "database = \"wms\"",
                    "user" => "user = \"dray\"",
                    _ => {
                        "connection = \"Driver={ODBC Driver 18 for SQL Server};Server=127.0.0.1;Database=wms\""
                    }
                };
                let sentence = format!("is missing; write e.g. {example}");
                faults.push((setting.to_owned(), sentence));
            }
        }
        for (setting, is_there) in knows_not {
            if is_there {
                let sentence = match (setting, self.driver) {
                    ("tls", Driver::Postgres) => {
                        "this version has no TLS to PostgreSQL; put a tunnel on 127.0.0.1"
                            .to_owned()
                    }
                    _ => "says nothing to this driver; leave it out".to_owned(),
                };
                faults.push((setting.to_owned(), sentence));
            }
        }
        if let (Driver::Postgres | Driver::Mysql, Some(host)) = (self.driver, &self.host)
            && !server::is_local(host)
            && self.tls.is_none()
            && !self.in_clear_text
        {
            let tls = match self.driver {
                Driver::Mysql => "write tls = { ca_file = \"/etc/dray/db-ca.pem\" }",
                _ => {
                    "this version has no TLS to it: put the agent beside it, or a tunnel on 127.0.0.1"
                }
            };
            let sentence = format!(
                "\"{host}\" is another machine: {tls}, or write in_clear_text = true where the network is trusted"
            );
            faults.push(("host".to_owned(), sentence));
        }
        let is_secret = |text: &String| {
            let lower = text.to_ascii_lowercase();
            lower.contains("pwd=") || lower.contains("password=")
        };
        if self.connection.as_ref().is_some_and(is_secret) {
            let sentence =
                "holds a password; put it into the first line of a file and write password_file";
            faults.push(("connection".to_owned(), sentence.to_owned()));
        }
        faults
    }
}

impl Mode {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Overlap => "overlap",
            Self::MarkProcessed => "mark-processed",
            Self::DeleteAfterRead => "delete-after-read",
            Self::Timestamp => "timestamp",
            Self::FullCompare => "full-compare",
        }
    }

    /// Whether rows are marked or deleted.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::MarkProcessed | Self::DeleteAfterRead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        let config: SqlConfig = toml::from_str(&format!("kind = 'sql'\nid = 'id'\n{text}"))
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        let faults = config.faults();
        let told: Vec<_> = faults
            .iter()
            .map(|(setting, said)| format!("{setting}: {said}"))
            .collect();
        told.join("; ")
    }

    #[test]
    fn what_is_wrong_by_itself_is_told_with_its_setting() {
        let sqlite = "driver = 'sqlite'\nfile = 'f'\n";
        let mysql = "driver = 'mysql'\ndatabase = 'wms'\nuser = 'dray'\n";
        let overlap = "table = 't'\nmode = 'overlap'\n";
        for (head, rest, expected) in [
            (sqlite, overlap, ""),
            (mysql, &*format!("host = '::1'\n{overlap}"), ""),
            (
                mysql,
                &*format!("host = 'db'\ntls = {{ ca_file = 'ca' }}\n{overlap}"),
                "",
            ),
            (
                mysql,
                &*format!("host = 'db'\n{overlap}"),
                "host: \"db\" is another machine",
            ),
            (mysql, overlap, "host: is missing"),
            (sqlite, "mode = 'overlap'\n", "table: is missing"),
            (
                sqlite,
                "query = 'SELECT 1'\nmode = 'overlap'\n",
                "record_type: is missing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'timestamp'\n",
                "changed: is missing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'fence'\n",
                "transaction: is missing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'mark-processed'\n",
                "processed: is missing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'overlap'\nprocessed = { column = 'c', done = 'P' }\n",
                "processed: says nothing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'mark-processed'\nprocessed = { column = 'c', unread = 'P', done = 'P' }\n",
                "processed: unread and done are the same",
            ),
            (
                sqlite,
                "query = 'SELECT 1'\nrecord_type = 't'\nmode = 'delete-after-read'\n",
                "query: can't be marked",
            ),
            #[cfg(feature = "odbc")]
            (
                "driver = 'odbc'\nconnection = 'DSN=wms;PWD=secret'\n",
                overlap,
                "connection: holds a password",
            ),
            #[cfg(not(feature = "odbc"))]
            (
                "driver = 'odbc'\nconnection = 'DSN=wms'\n",
                overlap,
                "driver: this agent was built without ODBC",
            ),
            (
                "driver = 'postgres'\nhost = '::1'\ndatabase = 'wms'\nuser = 'dray'\ntls = { ca_file = 'ca' }\n",
                overlap,
                "tls: this version has no TLS",
            ),
        ] {
            let told = faults(&format!("{head}{rest}"));
            assert!(
                told.starts_with(expected) && told.is_empty() == expected.is_empty(),
                "{head}{rest}: {told}"
            );
        }
    }
}
