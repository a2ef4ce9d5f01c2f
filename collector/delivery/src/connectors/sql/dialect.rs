//! The statements, in each database's words. Every value is a parameter, and every parameter a text.

use crate::config::sql::Server;

/// Where it is kept what a target has: in the database itself, written in the transaction of the rows.
pub(super) const MARKS: &str = "dray_delivered";
/// Rows in a statement: few different ones, so that they are prepared once.
pub(super) const ROWS: [usize; 4] = [512, 64, 8, 1];
/// Parameters in a statement: below SQLite's 32,766 and the others' 65,535.
const PARAMETERS_MAX: usize = 30_000;

/// A table and what is written of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// Quoted.
    pub(super) table: String,
    pub(super) columns: Vec<String>,
    /// Indexes of the key's columns; none: rows are only added.
    pub(super) key: Vec<usize>,
}

/// How many of these rows the next statement holds.
pub(super) fn next(rows: usize, columns: usize) -> usize {
    let fits = |size: &&usize| **size <= rows && **size * columns <= PARAMETERS_MAX;
    ROWS.iter().find(fits).copied().unwrap_or(1)
}

/// A table's name, quoted part by part.
pub(super) fn table(server: Server, name: &str) -> String {
    let parts: Vec<_> = name.split('.').map(|part| quoted(server, part)).collect();
    parts.join(".")
}

/// A name as the server takes any.
pub(super) fn quoted(server: Server, name: &str) -> String {
    match server {
        Server::Mariadb | Server::Mysql => format!("`{}`", name.replace('`', "``")),
        Server::Postgres | Server::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn list(server: Server, names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let quoted: Vec<_> = names.map(|name| quoted(server, name.as_ref())).collect();
    quoted.join(", ")
}

/// `($1, $2), ($3, $4)`
fn values(server: Server, rows: usize, columns: usize) -> String {
    let mut number = 0;
    let mut mark = || {
        number += 1;
        match server {
            Server::Postgres => format!("${number}"),
            _ => "?".to_owned(),
        }
    };
    let rows: Vec<_> = (0..rows)
        .map(|_| {
            let row: Vec<_> = (0..columns).map(|_| mark()).collect();
            format!("({})", row.join(", "))
        })
        .collect();
    rows.join(", ")
}

/// Adds rows, or changes those of the same key.
pub(super) fn write(server: Server, shape: &Shape, rows: usize) -> String {
    let columns = list(server, shape.columns.iter());
    let values = values(server, rows, shape.columns.len());
    let insert = format!("INSERT INTO {} ({columns}) VALUES {values}", shape.table);
    if shape.key.is_empty() {
        return insert;
    }
    let is_mysql = matches!(server, Server::Mariadb | Server::Mysql);
    let set: Vec<_> = (0..shape.columns.len())
        .filter(|column| !shape.key.contains(column))
        .map(|column| quoted(server, &shape.columns[column]))
        .map(|name| match is_mysql {
            true => format!("{name} = VALUES({name})"),
            false => format!("{name} = EXCLUDED.{name}"),
        })
        .collect();
    let key = list(
        server,
        shape.key.iter().map(|column| &shape.columns[*column]),
    );
    match (is_mysql, set.is_empty()) {
        (true, true) => {
            let name = quoted(server, &shape.columns[shape.key[0]]);
            format!("{insert} ON DUPLICATE KEY UPDATE {name} = {name}")
        }
        (true, false) => format!("{insert} ON DUPLICATE KEY UPDATE {}", set.join(", ")),
        (false, true) => format!("{insert} ON CONFLICT ({key}) DO NOTHING"),
        (false, false) => format!(
            "{insert} ON CONFLICT ({key}) DO UPDATE SET {}",
            set.join(", ")
        ),
    }
}

/// Takes the row of a key away.
pub(super) fn delete(server: Server, shape: &Shape) -> String {
    let parts: Vec<_> = (1..)
        .zip(&shape.key)
        .map(|(number, column)| {
            let name = quoted(server, &shape.columns[*column]);
            match server {
                Server::Postgres => format!("{name} = ${number}"),
                _ => format!("{name} = ?"),
            }
        })
        .collect();
    format!("DELETE FROM {} WHERE {}", shape.table, parts.join(" AND "))
}

/// Columns of a mark, as parameters.
pub(super) const MARK_COLUMNS: usize = 5;

/// Marks events. But for MariaDB and MySQL it answers with those that had no mark.
pub(super) fn mark(server: Server, rows: usize) -> String {
    let values = values(server, rows, MARK_COLUMNS);
    let insert =
        format!("INSERT INTO {MARKS} (target, flow, event_id, log_offset, again) VALUES {values}");
    match server {
        Server::Mariadb | Server::Mysql => insert,
        Server::Postgres | Server::Sqlite => {
            format!("{insert} ON CONFLICT DO NOTHING RETURNING flow, event_id")
        }
    }
}

/// Which of these events (flow and id) of a target have a mark.
pub(super) fn marked(server: Server, rows: usize) -> String {
    let values = values(server, rows, 2);
    format!(
        "SELECT flow, event_id FROM {MARKS} WHERE target = ? AND (flow, event_id) IN ({values})"
    )
}

/// What stands in place of an event's id where it is kept up to which offset marks went, and how such a row is told apart:
/// `again` is 0 in a mark that goes in its time, and 1 in one that stays.
const FORGOTTEN: &str = "forgotten";
const IS_FORGOTTEN: &str = "2";

/// Takes the marks of a target's flow away that nobody asks for any more.
pub(super) fn forget(server: Server) -> String {
    let [target, flow, offset] = parameters(server);
    format!(
        "DELETE FROM {MARKS} WHERE target = {target} AND flow = {flow} AND log_offset <= {offset} AND again <> 1"
    )
}

/// Keeps up to where they went. In the transaction of [`forget`], which leaves what says more.
pub(super) fn keep_forgotten(server: Server) -> String {
    let [target, flow, offset] = parameters(server);
    let values = format!("VALUES ({target}, {flow}, '{FORGOTTEN}', {offset}, {IS_FORGOTTEN})");
    let columns = "(target, flow, event_id, log_offset, again)";
    match server {
        Server::Mariadb | Server::Mysql => {
            format!("INSERT IGNORE INTO {MARKS} {columns} {values}")
        }
        Server::Postgres | Server::Sqlite => {
            format!("INSERT INTO {MARKS} {columns} {values} ON CONFLICT DO NOTHING")
        }
    }
}

/// Up to where a target's flow has lost its marks, as a text.
pub(super) fn forgotten(server: Server) -> String {
    let [target, flow, _] = parameters(server);
    let text = match server {
        Server::Mariadb | Server::Mysql => "char",
        Server::Postgres | Server::Sqlite => "text",
    };
    format!(
        "SELECT CAST(log_offset AS {text}) FROM {MARKS} WHERE target = {target} AND flow = {flow} AND event_id = '{FORGOTTEN}'"
    )
}

fn parameters(server: Server) -> [&'static str; 3] {
    match server {
        Server::Postgres => ["$1", "$2", "$3"],
        _ => ["?", "?", "?"],
    }
}

/// Makes the table of marks.
pub(super) fn create_marks(server: Server) -> &'static str {
    match server {
        Server::Postgres | Server::Sqlite => {
            "CREATE TABLE dray_delivered (target varchar(63) NOT NULL, flow varchar(200) NOT NULL, event_id char(32) NOT NULL, log_offset bigint NOT NULL, again smallint NOT NULL, delivered_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (target, flow, event_id))"
        }
        Server::Mariadb | Server::Mysql => {
            "CREATE TABLE dray_delivered (target varchar(63) NOT NULL, flow varchar(200) NOT NULL, event_id char(32) NOT NULL, log_offset bigint NOT NULL, again smallint NOT NULL, delivered_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (target, flow, event_id)) ENGINE = InnoDB CHARACTER SET ascii COLLATE ascii_bin"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(server: Server, key: &[usize]) -> Shape {
        Shape {
            table: table(server, "wms.st\"o`ck"),
            columns: vec!["sku".into(), "qty".into()],
            key: key.to_vec(),
        }
    }

    #[test]
    fn rows_are_written_in_the_words_of_each_database() {
        for (server, key, expected) in [
            (
                Server::Postgres,
                &[0][..],
                r#"INSERT INTO "wms"."st""o`ck" ("sku", "qty") VALUES ($1, $2), ($3, $4) ON CONFLICT ("sku") DO UPDATE SET "qty" = EXCLUDED."qty""#,
            ),
            (
                Server::Sqlite,
                &[0, 1],
                r#"INSERT INTO "wms"."st""o`ck" ("sku", "qty") VALUES (?, ?), (?, ?) ON CONFLICT ("sku", "qty") DO NOTHING"#,
            ),
            (
                Server::Mariadb,
                &[0],
                r#"INSERT INTO `wms`.`st"o``ck` (`sku`, `qty`) VALUES (?, ?), (?, ?) ON DUPLICATE KEY UPDATE `qty` = VALUES(`qty`)"#,
            ),
            (
                Server::Mysql,
                &[],
                r#"INSERT INTO `wms`.`st"o``ck` (`sku`, `qty`) VALUES (?, ?), (?, ?)"#,
            ),
        ] {
            assert_eq!(write(server, &shape(server, key), 2), expected);
        }
        assert_eq!(
            delete(Server::Postgres, &shape(Server::Postgres, &[0, 1])),
            r#"DELETE FROM "wms"."st""o`ck" WHERE "sku" = $1 AND "qty" = $2"#
        );
    }

    #[test]
    fn statements_come_in_few_sizes() {
        for (rows, columns, expected) in [
            (1, 5, 1),
            (7, 5, 1),
            (9, 5, 8),
            (200, 5, 64),
            (10_000, 5, 512),
            (10_000, 100, 64),
            (1, 500, 1),
        ] {
            assert_eq!(next(rows, columns), expected, "{rows} of {columns}");
        }
    }
}
