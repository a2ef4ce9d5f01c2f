//! What tells a database from a restored one, where a position would mean something else there: numbers of transactions, LSNs, versions.
//!
//! PostgreSQL has its system's number and its timeline. SQL Server has the recovery fork, a new one with each restore. Its `database_guid` is no use: replicas of
//! an availability group have each their own, and the fork in common.

use super::config::{Mode, SqlConfig};
use super::dialect::Dialect;
use super::session::Session;
use crate::reader::Trouble;

/// Which database it is. Empty where that does not matter, or can't be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Identity {
    pub(super) database: String,
    pub(super) timeline: u32,
}

/// Which cluster it is.
const SYSTEM: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";
/// And which timeline is written. The control file has it only from the next checkpoint on, so it is read from the name of the file that is
/// written; a standby writes none.
const TIMELINE: &str = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()) \
    ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int END";

/// Whether it is a standby, which may take over.
const IS_STANDBY: &str = "SELECT pg_catalog.pg_is_in_recovery()";

/// SQL Server's recovery fork.
const FORK: &str =
    "SELECT recovery_fork_guid FROM sys.database_recovery_status WHERE database_id = DB_ID()";
/// What it says where it has no such view, as Azure SQL Database has none.
const NO_VIEW: &str = "(208)";

impl Identity {
    pub(super) async fn of(session: &mut Session, config: &SqlConfig) -> Result<Self, Trouble> {
        match (config.mode, session.dialect()) {
            (Mode::Fence, Dialect::Postgres) => Self::of_postgres(session).await,
            (Mode::Fence, Dialect::SqlServer) | (Mode::Cdc | Mode::ChangeTracking, _) => {
                Self::of_sql_server(session).await
            }
            _ => Ok(Self::default()),
        }
    }

    async fn of_sql_server(session: &mut Session) -> Result<Self, Trouble> {
        let database = match session.ask(FORK, FORK, 1).await {
            Err(Trouble::Passing(said)) if said.contains(NO_VIEW) => String::new(),
            told => told?.only().unwrap_or_default().to_ascii_lowercase(),
        };
        Ok(Self {
            database,
            timeline: 0,
        })
    }

    async fn of_postgres(session: &mut Session) -> Result<Self, Trouble> {
        let page = session.ask(SYSTEM, SYSTEM, 1).await?;
        let database = page.only().unwrap_or_default().to_owned();
        let page = session.ask(TIMELINE, TIMELINE, 1).await?;
        let timeline = page.only().and_then(|told| told.parse().ok());
        let timeline = timeline.ok_or_else(|| {
            Trouble::Passing("the database does not say on which timeline it is".into())
        })?;
        Ok(Self { database, timeline })
    }

    /// Whether it may become another one in the midst of a session: one that a standby of PostgreSQL took before it took over stays open.
    pub(super) async fn may_change(
        session: &mut Session,
        config: &SqlConfig,
    ) -> Result<bool, Trouble> {
        if (config.mode, session.dialect()) != (Mode::Fence, Dialect::Postgres) {
            return Ok(false);
        }
        let page = session.ask(IS_STANDBY, IS_STANDBY, 1).await?;
        // As its own driver and ODBC write it.
        Ok(matches!(page.only(), Some("t" | "true" | "1")))
    }

    /// Whether nothing tells it from a restored one.
    pub(super) fn is_unknown(&self) -> bool {
        self.database.is_empty()
    }

    /// What was known before, where it can't be told any more.
    pub(super) fn or(self, before: &Self) -> Self {
        match self.is_unknown() {
            true => before.clone(),
            false => self,
        }
    }

    /// That it is another one than was read, for who goes on behind a gap.
    pub(super) fn restored(&self, before: &Self) -> String {
        format!(
            "the database is on the recovery fork {}, and was read on {}: it was restored, or is another one",
            self.database, before.database
        )
    }

    /// Whether a place of `before` means here what it meant. `accepted`: the timeline on which a person knows it does.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub(super) fn is_of(&self, before: &Self, accepted: Option<u32>) -> Result<(), String> {
        if before.is_unknown() || self.is_unknown() {
            return Ok(());
        }
        if before.database != self.database {
            return Err(format!(
                "the flow stands in the database {}, and this is {}: it was restored, or is another one, and numbers that were read mean something else here. Give the flow another name, which reads the table from its beginning",
                before.database, self.database
            ));
        }
        let (before, now) = (before.timeline, self.timeline);
        match before == 0 || before == now || accepted == Some(now) {
            true => Ok(()),
            false => Err(format!(
                "the server is on timeline {now}, and the flow has read on timeline {before}: a standby took over, or a backup was restored. If the server lost nothing by that, as with synchronous replication or a planned change, write accepted_timeline = {now}; otherwise numbers of transactions come again, whose rows would be left out: give the flow another name, which reads the table from its beginning. Then restart the agent"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_means_the_same_on_its_own_timeline_or_on_one_that_is_accepted() {
        let on = |database: &str, timeline| Identity {
            database: database.into(),
            timeline,
        };
        for (before, now, accepted, expected) in [
            (on("73", 1), on("73", 1), None, ""),
            // Written before there were timelines in places; and of databases that have none.
            (on("73", 0), on("73", 2), None, ""),
            (on("", 0), on("", 0), None, ""),
            (
                on("73", 1),
                on("73", 2),
                None,
                "write accepted_timeline = 2",
            ),
            (on("73", 1), on("73", 2), Some(2), ""),
            (
                on("73", 1),
                on("73", 3),
                Some(2),
                "on timeline 3, and the flow has read on timeline 1",
            ),
            // It was not known before, or is not now.
            (on("", 0), on("73", 0), None, ""),
            (on("73", 0), on("", 0), None, ""),
            // The one before came back.
            (
                on("73", 2),
                on("73", 1),
                None,
                "write accepted_timeline = 1",
            ),
            (
                on("73", 1),
                on("74", 1),
                Some(1),
                "in the database 73, and this is 74",
            ),
        ] {
            let told = now.is_of(&before, accepted).err().unwrap_or_default();
            assert!(
                told.contains(expected) && told.is_empty() == expected.is_empty(),
                "{before:?} {now:?}: {told}"
            );
        }
    }
}
