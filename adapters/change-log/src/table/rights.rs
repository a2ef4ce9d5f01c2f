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
