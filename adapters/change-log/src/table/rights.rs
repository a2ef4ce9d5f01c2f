//! What is asked of a database before anything is read: the table's columns, what the role may do, and which database it is.

use super::config::{Mode, SqlConfig};
use super::dialect::{Dialect, Select};
use super::page::Page;
use super::session::Session;
use crate::reader::Trouble;

/// A statement with the columns of what is asked, and no rows.
pub(super) fn like(dialect: Dialect, from: &str) -> String {
    dialect.select(&Select {
        columns: "*",
        from,
        filter: "1 = 0",
        order: "",
        rows: None,
    })
}

/// The columns of what is asked.
pub(super) async fn described(
    session: &mut Session,
    config: &SqlConfig,
    like: &str,
) -> Result<Page, Trouble> {
    match session.ask(like, like, 1).await {
        Err(Trouble::Passing(said)) if said.contains("denied") => {
            let grant = grant(session, config, "SELECT").await;
            Err(Trouble::Passing(format!("{said}; let the DBA run {grant}")))
        }
        told => told,
    }
}

/// The statement that gives the role this right, so that it can be run as it stands: MariaDB and MySQL want the schema, and from where the user comes.
async fn grant(session: &mut Session, config: &SqlConfig, right: &str) -> String {
    let dialect = session.dialect();
    let mut table = config.from(dialect);
    let mut user = config.user.clone().unwrap_or("the flow's user".to_owned());
    if dialect == Dialect::Mysql {
        let who = "SELECT CURRENT_USER(), DATABASE()";
        let told = session.ask(who, who, 1).await.ok();
        let says = |at| told.as_ref().and_then(|page| page.get(0, at));
        if let Some((name, host)) = says(0).and_then(|account| account.rsplit_once('@')) {
            user = format!("{}@{}", dialect.name(name), dialect.name(host));
        }
        let is_bare = config
            .table
            .as_ref()
            .is_some_and(|name| !name.contains('.'));
        if let (true, Some(schema)) = (is_bare, says(1)) {
            table = format!("{}.{table}", dialect.name(schema));
        }
    }
    format!("GRANT {right} ON {table} TO {user};")
}

/// Whether a change would be allowed: its statement changes no row, and is not run where the server explains it.
pub(super) async fn may_write(
    session: &mut Session,
    config: &SqlConfig,
    nothing: &str,
) -> Result<(), Trouble> {
    let tried = match session.dialect() {
        // Triggers of a statement fire also where it finds nothing.
        Dialect::Postgres | Dialect::Mysql => format!("EXPLAIN {nothing}"),
        _ => nothing.to_owned(),
    };
    let Err(Trouble::Passing(said) | Trouble::Person(said)) = session.change(&tried).await else {
        return Ok(());
    };
    let right = match &config.processed {
        Some(processed) => format!("UPDATE ({})", session.dialect().name(&processed.column)),
        None => "DELETE".to_owned(),
    };
    let way_out = match session.dialect() {
        Dialect::Sqlite => "let the agent's user write the file and its folder".to_owned(),
        _ => format!("let the DBA run {}", grant(session, config, &right).await),
    };
    Err(Trouble::Passing(format!(
        "rows can't be marked with mode = \"{}\", and without that nothing is read: {said}; {way_out}",
        config.mode.name()
    )))
}

/// What tells the database from a restored one, where a position would mean something else there: the numbers of transactions. Empty where
/// they do not matter, or can't be told.
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

impl Identity {
    pub(super) async fn of(session: &mut Session, config: &SqlConfig) -> Result<Self, Trouble> {
        if config.mode != Mode::Fence || session.dialect() != Dialect::Postgres {
            return Ok(Self::default());
        }
        let page = session.ask(SYSTEM, SYSTEM, 1).await?;
        let database = page.only().unwrap_or_default().to_owned();
        let page = session.ask(TIMELINE, TIMELINE, 1).await?;
        let timeline = page.only().and_then(|told| told.parse().ok());
        let timeline = timeline.ok_or_else(|| {
            Trouble::Passing("the database does not say on which timeline it is".into())
        })?;
        Ok(Self { database, timeline })
    }

    /// Whether a place of `before` means here what it meant. `accepted`: the timeline on which a person knows it does.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub(super) fn is_of(&self, before: &Self, accepted: Option<u32>) -> Result<(), String> {
        if before.database != self.database {
            return Err(format!(
                "the flow stands in the database {}, and this is {}: the numbers of its transactions are others. Give the flow another name, which reads the table from its beginning",
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
