//! What the database's catalogue says of the table, before anything is written: what a wrong table would do without a word.

use std::collections::{BTreeMap, BTreeSet};

use super::dialect;
use super::fit::Fit;
use super::plan::Plan;
use super::session::Session;
use crate::config::sql::{Server, SqlConfig};
use crate::outcome::Outcome;

/// Name, type and scale of each column; a domain's are those of what it was made of.
const POSTGRES: &str = "WITH RECURSIVE made_of AS (SELECT a.attname, a.atttypid AS kind, a.atttypmod AS modifier FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped UNION ALL SELECT m.attname, t.typbasetype, CASE WHEN m.modifier < 0 THEN t.typtypmod ELSE m.modifier END FROM made_of m JOIN pg_type t ON t.oid = m.kind WHERE t.typtype = 'd') SELECT m.attname::text, m.kind::regtype::text, CASE WHEN m.kind = 'numeric'::regtype AND m.modifier > 0 THEN (((m.modifier - 4) & 2047 # 1024) - 1024)::text WHEN m.kind IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN '0' END FROM made_of m JOIN pg_type t ON t.oid = m.kind WHERE t.typtype <> 'd'";
const MYSQL: &str = "SELECT column_name, data_type, CAST(numeric_scale AS CHAR) FROM information_schema.columns WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";
const SQLITE: &str = "SELECT name, type, NULL FROM pragma_table_info(?)";
/// Unique indexes with their columns.
const UNIQUE: &str = "SELECT index_name, column_name FROM information_schema.statistics WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0";
const ENGINE: &str = "SELECT engine FROM information_schema.tables WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";

/// Looks at the table, and makes the one of the marks where there is none. What each column asks of its values.
pub(super) async fn look(
    session: &mut Session,
    config: &SqlConfig,
    plan: &Plan,
) -> Result<Vec<Fit>, Outcome> {
    let found = columns(session, config.server, &config.table).await?;
    if found.is_empty() {
        return Err(Outcome::Misconfigured(format!(
            "the database has no table {} that {} may see: create it, or mend sql.table",
            plan.shape.table,
            who(config)
        )));
    }
    let mut fits = Vec::new();
    for column in &plan.shape.columns {
        let Some(fit) = found.get(column) else {
            return Err(Outcome::Misconfigured(format!(
                "the table has no column {column}: ALTER TABLE {} ADD COLUMN {} ...; or mend sql.columns",
                plan.shape.table,
                dialect::quoted(config.server, column)
            )));
        };
        fits.push(*fit);
    }
    if matches!(config.server, Server::Mariadb | Server::Mysql) {
        unique(session, config, plan).await?;
    }
    make_marks(session, config).await?;
    Ok(fits)
}

async fn columns(
    session: &mut Session,
    server: Server,
    table: &str,
) -> Result<BTreeMap<String, Fit>, Outcome> {
    let (sql, texts) = match server {
        Server::Postgres => (POSTGRES, vec![Some(dialect::table(server, table))]),
        Server::Mariadb | Server::Mysql => (MYSQL, place(table)),
        Server::Sqlite => (SQLITE, vec![Some(table.to_owned())]),
    };
    let rows = session.ask(sql, texts).await?;
    let fit = |row: Vec<Option<String>>| {
        let [name, kind, scale] = <[_; 3]>::try_from(row).ok()?;
        let scale = scale.and_then(|scale| scale.parse().ok());
        Some((name?, Fit::of(server, &kind.unwrap_or_default(), scale)))
    };
    Ok(rows.into_iter().filter_map(fit).collect())
}

/// Schema and table, as MariaDB's catalogue is asked.
fn place(table: &str) -> Vec<Option<String>> {
    match table.split_once('.') {
        Some((schema, table)) => vec![Some(schema.to_owned()), Some(table.to_owned())],
        None => vec![None, Some(table.to_owned())],
    }
}

/// MariaDB adds a second row where no unique index is on the key, and changes another row where a second one is there.
async fn unique(session: &mut Session, config: &SqlConfig, plan: &Plan) -> Result<(), Outcome> {
    let table = &plan.shape.table;
    for name in [config.table.as_str(), dialect::MARKS] {
        let engine = session.ask(ENGINE, place(name)).await?.pop();
        if let Some([Some(engine)]) = engine.as_deref()
            && !engine.eq_ignore_ascii_case("innodb")
        {
            return Err(Outcome::Misconfigured(format!(
                "the table {name} has the engine {engine}, which knows no transactions: ALTER TABLE {name} ENGINE = InnoDB"
            )));
        }
    }
    if plan.shape.key.is_empty() {
        return Ok(());
    }
    let mut indexes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in session.ask(UNIQUE, place(&config.table)).await? {
        if let [Some(index), Some(column)] = row.as_slice() {
            let columns = indexes.entry(index.clone()).or_default();
            columns.insert(column.clone());
        }
    }
    let key: BTreeSet<_> = config.key.iter().cloned().collect();
    if !indexes.values().any(|columns| *columns == key) {
        let list: Vec<_> = config
            .key
            .iter()
            .map(|name| dialect::quoted(config.server, name))
            .collect();
        return Err(Outcome::Misconfigured(format!(
            "no unique index is on the key, so that each event would add a row: ALTER TABLE {table} ADD UNIQUE ({})",
            list.join(", ")
        )));
    }
    let written = |columns: &BTreeSet<String>| {
        columns
            .iter()
            .all(|column| config.columns.contains_key(column))
    };
    let other = indexes
        .iter()
        .find(|(_, columns)| **columns != key && written(columns));
    match other {
        None => Ok(()),
        Some((index, _)) => Err(Outcome::Misconfigured(format!(
            "the unique index {index} of {table} is on other columns than sql.key: the server would change whatever row it finds by it; drop it, or take its columns out of sql.columns"
        ))),
    }
}

async fn make_marks(session: &mut Session, config: &SqlConfig) -> Result<(), Outcome> {
    if !columns(session, config.server, dialect::MARKS)
        .await?
        .is_empty()
    {
        return Ok(());
    }
    let create = dialect::create_marks(config.server);
    let Err(outcome) = session.run(create, Vec::new()).await else {
        return Ok(());
    };
    // Another target may have made it meanwhile.
    if !columns(session, config.server, dialect::MARKS)
        .await?
        .is_empty()
    {
        return Ok(());
    }
    Err(match outcome {
        Outcome::Misconfigured(said) => Outcome::Misconfigured(format!(
            "{said}; {} may not make the table that says what was delivered. Let the database's owner do it: {create}; then GRANT SELECT, INSERT, DELETE ON {} TO {}",
            who(config),
            dialect::MARKS,
            who(config)
        )),
        other => other,
    })
}

/// The user, for sentences.
pub(super) fn who(config: &SqlConfig) -> &str {
    match config.server {
        Server::Sqlite => "dray",
        _ => &config.user,
    }
}
