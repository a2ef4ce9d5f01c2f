//! What the catalogue says of a table: its columns, as a message of the log would have them, and where its rows are.

use pgwire_replication::{QueryRow, ReplicationClient};

use super::answer::{query_long, text};
use super::config::PostgresConfig;
use super::kinds::Kinds;
use super::message::{Column, Identity, Relation};
use super::session::Names;
use super::sql;
use super::table::Table;
use crate::columns::TableConfig;
use crate::reader::Trouble;
use crate::schema::Described;

/// A table, and where its rows are.
pub(super) struct FoundTable {
    pub(super) table: Table,
    pub(super) columns: Vec<Described>,
    pub(super) parts: Vec<Part>,
}

/// Where a table's rows are.
pub(super) struct Part {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) file: u64,
    pub(super) has_large: bool,
}

/// Finds a table within a transaction.
pub(super) async fn find(
    config: &PostgresConfig,
    names: &Names,
    kinds: &mut Kinds,
    client: &mut ReplicationClient,
    wanted: &TableConfig,
) -> Result<FoundTable, Trouble> {
    let rows = query_long(config, client, &sql::columns(&wanted.name)).await?;
    let relation = relation(&wanted.name, &rows);
    let relation = relation.ok_or_else(|| unsaid(&format!("what {} is", wanted.name)))?;
    kinds.learn(config, names, &relation).await?;
    let columns = kinds.describe(&relation);
    let table = Table::new(relation, wanted.wanted()).map_err(Trouble::Person)?;
    let rows = query_long(config, client, &sql::parts(&wanted.name)).await?;
    let parts: Option<Vec<_>> = rows.iter().map(part).collect();
    let parts = parts.ok_or_else(|| unsaid(&format!("where {} is", wanted.name)))?;
    for found in &parts {
        if !found.is_readable {
            return Err(Trouble::Passing(format!(
                "the role {} may not read {}, a partition of {}: let its owner run: GRANT SELECT ON {} TO {};",
                config.user,
                found.part.name,
                wanted.name,
                sql::table(&found.part.name),
                sql::name(&config.user)
            )));
        }
        if found.seen_file != found.part.file {
            // A snapshot from before sees nothing of the new file.
            return Err(Trouble::Passing(format!(
                "{} was written anew just when it was to be read",
                found.part.name
            )));
        }
    }
    Ok(FoundTable {
        table,
        columns,
        parts: parts.into_iter().map(|found| found.part).collect(),
    })
}

/// A part, and what is to be asked of it.
struct FoundPart {
    part: Part,
    /// Its file as the transaction sees it.
    seen_file: u64,
    is_readable: bool,
}

fn part(row: &QueryRow) -> Option<FoundPart> {
    let number = |at| text(row, at)?.parse::<u64>().ok();
    Some(FoundPart {
        part: Part {
            oid: text(row, 0)?.parse().ok()?,
            name: text(row, 1)?.to_owned(),
            file: number(3)?,
            has_large: text(row, 4)? == "t",
        },
        seen_file: number(2)?,
        is_readable: text(row, 5)? == "t",
    })
}

/// What the catalogue says of a table, as a message of the log would.
pub(super) fn relation(table: &str, rows: &[QueryRow]) -> Option<Relation> {
    let (schema, name) = table.split_once('.')?;
    let first = rows.first()?;
    let column = |row: &QueryRow| {
        Some(Column {
            name: text(row, 1)?.to_owned(),
            type_oid: text(row, 2)?.parse().ok()?,
            modifier: text(row, 3)?.parse().ok()?,
            is_key: text(row, 4)? == "t",
        })
    };
    Some(Relation {
        oid: text(first, 0)?.parse().ok()?,
        schema: schema.to_owned(),
        name: name.to_owned(),
        identity: Identity::Default,
        columns: rows.iter().map(column).collect::<Option<_>>()?,
    })
}

/// The server left something out.
pub(super) fn unsaid(what: &str) -> Trouble {
    Trouble::Passing(format!("the server did not say {what}"))
}
