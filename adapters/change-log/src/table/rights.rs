//! What is asked of a database before anything is read: the table's columns, and what the role may do.

use super::config::SqlConfig;
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
    let told = session.ask(like, like, 1).await;
    told.map_err(|trouble| match trouble {
        Trouble::Passing(said) if said.contains("denied") => Trouble::Passing(format!(
            "{said}; let the DBA run GRANT SELECT ON {} TO {};",
            config.from(session.dialect()),
            config.user.as_deref().unwrap_or("the flow's user")
        )),
        other => other,
    })
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
    let grant = match &config.processed {
        Some(processed) => format!("UPDATE ({})", session.dialect().name(&processed.column)),
        None => "DELETE".to_owned(),
    };
    let table = config.from(session.dialect());
    let way_out = match (config.user.as_deref(), session.dialect()) {
        (_, Dialect::Sqlite) => "let the agent's user write the file and its folder".to_owned(),
        (user, _) => format!(
            "let the DBA run GRANT {grant} ON {table} TO {};",
            user.unwrap_or("the flow's user")
        ),
    };
    Err(Trouble::Passing(format!(
        "rows can't be marked with mode = \"{}\", and without that nothing is read: {said}; {way_out}",
        config.mode.name()
    )))
}
