//! `check`: can the log be read?

use mysql_async::{Conn, Row};
use tokio::runtime;

use super::config::MySqlConfig;
use super::facts::facts;
use super::session::{self, connect, server};
use super::sql;
use crate::reader::Trouble;

/// What `check` found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is as it should be.
    pub fine: String,
    /// What may surprise.
    pub notes: Vec<String>,
}

impl MySqlConfig {
    /// Asks the server and changes nothing there. `flow`: its full name.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub fn preflight(&self, flow: &str) -> Result<Findings, String> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the server can't be asked: {error}"))?;
        runtime
            .block_on(self.ask(self.server_id(flow)))
            .map_err(|trouble| match trouble {
                Trouble::Passing(reason) | Trouble::Person(reason) => reason,
            })
    }

    async fn ask(&self, id: u32) -> Result<Findings, Trouble> {
        let mut conn = connect(self).await?;
        let facts = facts(self, &mut conn).await?;
        self.may_replicate(&mut conn, facts.is_maria).await?;
        session::may_log(self, &mut conn, facts.is_maria).await?;
        for table in &self.tables {
            session::may_read(self, &mut conn, &table.name).await?;
        }
        let end = session::end(self, &mut conn, facts.is_maria).await?;
        let end = match end.to_string() {
            end if end.is_empty() => "holds no transaction yet".to_owned(),
            end => format!("stands at {end}"),
        };
        let fine = format!(
            "{} answers ({}); its log {end}, and the flow reads it as replica {id}",
            server(self),
            facts.version
        );
        let mut notes = facts.notes();
        for table in &self.tables {
            notes.extend(self.cascades(&mut conn, &table.name).await?);
        }
        Ok(Findings { fine, notes })
    }

    /// That the user may read the log, and ask where it stands.
    async fn may_replicate(&self, conn: &mut Conn, is_maria: bool) -> Result<(), Trouble> {
        let grants: Vec<String> = session::all(self, conn, "SHOW GRANTS").await?;
        let has = |names: &[&str]| {
            grants.iter().any(|grant| {
                let grant = grant.to_ascii_uppercase();
                let mut names = names.iter().chain(&["ALL PRIVILEGES"]);
                grant.contains("ON *.*") && names.any(|name| grant.contains(name))
            })
        };
        if has(&["REPLICATION SLAVE", "REPLICATION REPLICA"])
            && has(&["BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"])
        {
            return Ok(());
        }
        let monitor = match is_maria {
            true => "BINLOG MONITOR",
            false => "REPLICATION CLIENT",
        };
        Err(Trouble::Passing(format!(
            "the user {} may not read the log: let the DBA run GRANT REPLICATION SLAVE, {monitor} ON *.* TO {};",
            self.user,
            session::account(self, conn).await?
        )))
    }
}

impl MySqlConfig {
    /// That rows may change without the log.
    async fn cascades(&self, conn: &mut Conn, table: &str) -> Result<Option<String>, Trouble> {
        let row: Row = session::first(self, conn, &sql::made_by(table)).await?;
        let made = row.get::<String, _>(1).unwrap_or_default();
        let cascades = ["DELETE", "UPDATE"].iter().any(|on| {
            let says = |what| made.contains(&format!(" ON {on} {what}"));
            says("CASCADE") || says("SET NULL")
        });
        Ok(cascades.then(|| {
            format!(
                "{table} has foreign keys that cascade: what InnoDB changes or deletes by them does not stand in the server's log, so the flow won't tell of it; delete the rows by statements, or compare by kind = \"sql\" with mode = \"full-compare\""
            )
        }))
    }
}
