//! What a server says of itself, and whether its log can be read.

use mysql_async::Conn;

use super::config::MySqlConfig;
use super::session::all;
use crate::reader::Trouble;

/// A log that is kept for less is worth a word: a weekend is longer.
const KEPT_S_MIN: u64 = 4 * 86_400;

/// Whether what changes here comes from another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replicates {
    No,
    /// It did once.
    Before,
    Yes,
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) is_maria: bool,
    pub(super) version: String,
    pub(super) has_log: bool,
    /// `ROW`, `STATEMENT` or `MIXED`.
    pub(super) format: String,
    /// `FULL`, `MINIMAL`, `NOBLOB` or `FULL_NODUP`.
    pub(super) image: String,
    /// `FULL`, `MINIMAL` or `NO_LOG`; empty: the server does not know it.
    pub(super) metadata: String,
    /// Of MySQL: `ON`, `OFF` or between.
    pub(super) gtid_mode: String,
    /// What it replicates from another server stands in its log, too.
    pub(super) logs_replicated: bool,
    /// Whether it replicates.
    pub(super) replicates: Replicates,
    /// After so many seconds a file of the log is dropped; 0: never.
    pub(super) kept_s: u64,
}

/// A setting of the server; empty where it has none of this name.
pub(super) async fn setting(
    config: &MySqlConfig,
    conn: &mut Conn,
    name: &str,
) -> Result<String, Trouble> {
    let sql = format!("SHOW GLOBAL VARIABLES LIKE '{name}'");
    let rows: Vec<(String, String)> = all(config, conn, &sql).await?;
    Ok(rows
        .into_iter()
        .next()
        .map_or_else(String::new, |row| row.1))
}

/// Asks the server what it is.
pub(super) async fn facts(config: &MySqlConfig, conn: &mut Conn) -> Result<Facts, Trouble> {
    let version = setting(config, conn, "version").await?;
    let is_maria = version.to_ascii_lowercase().contains("mariadb");
    let facts = Facts {
        is_maria,
        version,
        has_log: setting(config, conn, "log_bin").await? == "ON",
        format: setting(config, conn, "binlog_format").await?,
        image: setting(config, conn, "binlog_row_image").await?,
        metadata: setting(config, conn, "binlog_row_metadata").await?,
        gtid_mode: setting(config, conn, "gtid_mode").await?,
        logs_replicated: logs_replicated(config, conn).await?,
        replicates: replicates(config, conn, is_maria).await?,
        kept_s: kept_s(config, conn).await?,
    };
    match facts.fault() {
        None => Ok(facts),
        Some(sentence) => Err(Trouble::Person(sentence)),
    }
}

/// The second name is MySQL's, since 8.0.26.
async fn logs_replicated(config: &MySqlConfig, conn: &mut Conn) -> Result<bool, Trouble> {
    let mut said = setting(config, conn, "log_slave_updates").await?;
    if said.is_empty() {
        said = setting(config, conn, "log_replica_updates").await?;
    }
    Ok(said != "OFF")
}

async fn replicates(
    config: &MySqlConfig,
    conn: &mut Conn,
    is_maria: bool,
) -> Result<Replicates, Trouble> {
    let is_read_only = matches!(&*setting(config, conn, "read_only").await?, "ON" | "1");
    if !is_maria {
        // Which servers it follows the flow's user may not ask.
        return Ok(match is_read_only {
            true => Replicates::Yes,
            false => Replicates::No,
        });
    }
    let rows: Vec<(String, String)> =
        all(config, conn, "SHOW GLOBAL STATUS LIKE 'Slaves_running'").await?;
    let is_running = rows.first().is_some_and(|(_, count)| count != "0");
    let has_followed = !setting(config, conn, "gtid_slave_pos").await?.is_empty();
    Ok(match (is_running, has_followed) {
        (true, _) => Replicates::Yes,
        (false, true) if is_read_only => Replicates::Yes,
        (false, true) => Replicates::Before,
        (false, false) => Replicates::No,
    })
}

/// MariaDB has the first name from 10.6 on; before, and with MySQL's older versions, there are days.
async fn kept_s(config: &MySqlConfig, conn: &mut Conn) -> Result<u64, Trouble> {
    let seconds = setting(config, conn, "binlog_expire_logs_seconds").await?;
    if let Ok(seconds) = seconds.parse() {
        return Ok(seconds);
    }
    let days = setting(config, conn, "expire_logs_days").await?;
    Ok(days
        .parse::<f64>()
        .map_or(0, |days| (days * 86_400.0) as u64))
}

impl Facts {
    /// What keeps its log from being read, and the statement that mends it.
    pub(super) fn fault(&self) -> Option<String> {
        if !self.has_log {
            return Some("the server writes no binary log: let the DBA add log_bin and server_id to its configuration, and restart it".into());
        }
        if self.format != "ROW" {
            return Some(format!(
                "the server's binlog_format is {}: let the DBA run SET GLOBAL binlog_format = 'ROW'; and write it into the configuration; sessions that are open keep theirs",
                self.format
            ));
        }
        match &*self.metadata {
            "FULL" => {}
            "" => {
                return Some(format!(
                    "the server {} does not name columns in its log: MariaDB does from version 10.5 on, MySQL from 8.0.1; read its tables another way",
                    self.version
                ));
            }
            other => {
                return Some(format!(
                    "the server's binlog_row_metadata is {other}, so its log does not name the columns: let the DBA run SET GLOBAL binlog_row_metadata = 'FULL'; and write it into the configuration"
                ));
            }
        }
        if !self.is_maria && self.gtid_mode != "ON" {
            return Some(format!(
                "the server's gtid_mode is {}: let the DBA turn it on (enforce_gtid_consistency, then gtid_mode step by step to ON)",
                self.gtid_mode
            ));
        }
        if !self.logs_replicated && self.replicates == Replicates::Yes {
            return Some(
                "the server is a replica, and what it replicates does not stand in its own log (log_slave_updates is OFF): let the DBA write log_slave_updates = ON into its configuration (MySQL: log_replica_updates) and restart it, \
                 or let host lead to the server that is written to"
                    .into(),
            );
        }
        None
    }

    /// What may surprise.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.image != "FULL" {
            notes.push(format!(
                "the server's binlog_row_image is {}: what an update did not touch is unchanged in its record, not there; for whole rows let the DBA run SET GLOBAL binlog_row_image = 'FULL';",
                self.image
            ));
        }
        if !self.logs_replicated && self.replicates == Replicates::Before {
            notes.push(
                "the server was a replica once, and log_slave_updates is OFF: if it becomes one again, what it replicates won't stand in its log; let the DBA write log_slave_updates = ON into its configuration"
                    .into(),
            );
        }
        if (1..KEPT_S_MIN).contains(&self.kept_s) {
            notes.push(format!(
                "the server drops its log after {} h: a flow that stands for longer, as the line is down or a person is waited for, has a gap; let the DBA run SET GLOBAL binlog_expire_logs_seconds = 1209600; and write it into the configuration",
                self.kept_s / 3_600
            ));
        }
        if !self.is_maria {
            notes.push(
                "this is MySQL, and dray was never tried with a real one: only with MariaDB. A first load locks all tables for a moment (FLUSH TABLES WITH READ LOCK), which waits for statements that are running, and others then wait for it"
                    .into(),
            );
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            is_maria: true,
            version: "10.11.6-MariaDB-log".into(),
            has_log: true,
            format: "ROW".into(),
            image: "FULL".into(),
            metadata: "FULL".into(),
            gtid_mode: String::new(),
            logs_replicated: false,
            replicates: Replicates::No,
            kept_s: 0,
        }
    }

    #[test]
    fn a_replica_whose_log_lacks_what_it_replicates_is_refused() {
        for (logs_replicated, replicates, is_refused, notes) in [
            (false, Replicates::No, false, 0),
            (false, Replicates::Before, false, 1),
            (false, Replicates::Yes, true, 0),
            (true, Replicates::Yes, false, 0),
            (true, Replicates::Before, false, 0),
        ] {
            let facts = Facts {
                logs_replicated,
                replicates,
                ..facts()
            };
            let fault = facts.fault();
            assert_eq!(fault.is_some(), is_refused, "{replicates:?}");
            assert!(fault.is_none_or(|said| said.contains("log_slave_updates = ON")));
            assert_eq!(facts.notes().len(), notes, "{replicates:?}");
        }
    }

    #[test]
    fn a_log_that_is_kept_for_less_than_a_flow_may_stand_is_told() {
        for (kept_s, expected) in [
            (0, None),
            (7_200, Some("after 2 h")),
            (345_599, Some("after 95 h")),
            (345_600, None),
        ] {
            let facts = Facts { kept_s, ..facts() };
            let notes = facts.notes().concat();
            assert_eq!(notes.is_empty(), expected.is_none(), "{notes}");
            assert!(notes.contains(expected.unwrap_or_default()), "{notes}");
        }
    }
}
