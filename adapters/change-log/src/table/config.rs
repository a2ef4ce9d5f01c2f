//! `kind = "sql"`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::page::Page;
use crate::columns::{Mask, Wanted};
use crate::policy::OnGap;
use crate::server::TlsConfig;

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
    /// Microsoft SQL Server.
    #[serde(rename = "sqlserver")]
    SqlServer,
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
    /// By SQL Server's change data capture: its log, as its capture job writes it into a table.
    Cdc,
    /// By SQL Server's change tracking: which rows changed, and what they are now.
    ChangeTracking,
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
    /// How long an answer may take: a page without an index is a scan of the table.
    #[serde(default = "five_minutes", with = "humantime_serde")]
    pub answer_max: Duration,
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
    /// The column that tells rows apart. Not needed where the database says it.
    #[serde(default)]
    pub id: String,
    /// A column that tells a row from another one with its id: a time or a number that is set with it.
    pub version: Option<String>,
    /// The column that says what was done, and its codes.
    pub op: Option<OpConfig>,
    /// `fence`: the column with the number of the transaction that wrote the row.
    pub transaction: Option<String>,
    /// `fence`: the timeline of a server that took over and has all that was read.
    pub accepted_timeline: Option<u32>,
    /// `timestamp`: the time at which a row was changed.
    pub changed: Option<ChangedConfig>,
    /// `mark-processed`: the column that says whether a row was read.
    pub processed: Option<ProcessedConfig>,
    /// `cdc`: the capture instance, e.g. `dbo_stock`.
    pub capture: Option<String>,
    /// `cdc` and `change-tracking`: what the flow does when changes are gone that it has not read.
    pub on_gap: Option<OnGap>,
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

fn five_minutes() -> Duration {
    Duration::from_secs(300)
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

    /// When the server itself is to give a statement up, a little before the agent does.
    pub(super) fn statement_max(&self) -> Duration {
        let before = (self.answer_max / 30).max(Duration::from_millis(500));
        self.answer_max.saturating_sub(before)
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

    /// The columns by which rows are found.
    pub(super) fn found_by(&self) -> Vec<String> {
        let columns = [
            Some(&self.id),
            self.version.as_ref(),
            self.transaction.as_ref(),
            self.changed.as_ref().map(|changed| &changed.column),
            self.processed.as_ref().map(|processed| &processed.column),
        ];
        columns.into_iter().flatten().cloned().collect()
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
            Driver::Postgres | Driver::Mysql | Driver::SqlServer => {
                format!("{} at {}", text(&self.database), text(&self.host))
            }
            Driver::Odbc => match &self.database {
                Some(database) => database.clone(),
                None => "a database by ODBC".to_owned(),
            },
        };
        format!("{} in {place}", self.record_type())
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
            Self::Cdc => "cdc",
            Self::ChangeTracking => "change-tracking",
        }
    }

    /// Whether SQL Server itself says what changed.
    #[must_use]
    pub fn is_told(self) -> bool {
        matches!(self, Self::Cdc | Self::ChangeTracking)
    }

    /// Whether rows are marked or deleted.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::MarkProcessed | Self::DeleteAfterRead)
    }
}
