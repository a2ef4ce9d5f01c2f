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
        self.may_replicate(&mut conn).await?;
        session::may_log(self, &mut conn, facts.is_maria).await?;
        for table in &self.tables {
            session::may_read(self, &mut conn, &table.name).await?;
        }
        let end = session::end(self, &mut conn, facts.is_maria).await?;
        let fine = format!(
            "{} answers ({}); its log stands at \"{end}\", and the flow reads it as replica {id}",
            server(self),
            facts.version
        );
        let mut notes = facts.notes();
        for table in &self.tables {
            notes.extend(self.cascades(&mut conn, &table.name).await?);
        }
        Ok(Findings { fine, notes })
    }

    /// That the user may read the log.
    async fn may_replicate(&self, conn: &mut Conn) -> Result<(), Trouble> {
        let grants: Vec<String> = session::all(self, conn, "SHOW GRANTS").await?;
        let may = grants.iter().any(|grant| {
            let grant = grant.to_ascii_uppercase();
            grant.contains("ON *.*")
                && ["ALL PRIVILEGES", "REPLICATION SLAVE", "REPLICATION REPLICA"]
                    .iter()
                    .any(|privilege| grant.contains(privilege))
        });
        match may {
            true => Ok(()),
            false => Err(Trouble::Passing(format!(
                "the user {} may not read the log: let the DBA run GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO the flow's user; (MySQL: REPLICATION SLAVE, REPLICATION CLIENT)",
                self.user
            ))),
        }
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
