//! SQLite, by its file.

use std::fmt::Write as _;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

use super::config::SqlConfig;
use super::page::{Column, Page};
use super::value::{self, Kind};
use crate::reader::Trouble;

/// How long another's transaction is waited for.
const LOCKED_MAX: Duration = Duration::from_secs(10);

/// An open file.
pub(super) struct Session {
    file: String,
    connection: Connection,
}

impl Session {
    pub(super) fn open(config: &SqlConfig) -> Result<Self, Trouble> {
        let file = config.file.clone().unwrap_or_default();
        let access = match config.mode.writes() {
            true => OpenFlags::SQLITE_OPEN_READ_WRITE,
            false => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let name = file.display().to_string();
        let opened = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX);
        let connection = opened.map_err(|error| trouble(&name, &error))?;
        let waits = connection.busy_timeout(LOCKED_MAX);
        waits.map_err(|error| trouble(&name, &error))?;
        Ok(Self {
            file: name,
            connection,
        })
    }

    pub(super) fn ask(&mut self, sql: &str) -> Result<Page, Trouble> {
        let mut page = Page::default();
        let asked = read(&self.connection, sql, &mut page);
        asked.map_err(|error| trouble(&self.file, &error))?;
        Ok(page)
    }

    /// How many rows were changed.
    pub(super) fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        let changed = self.connection.execute(sql, []);
        let rows = changed.map_err(|error| trouble(&self.file, &error))?;
        Ok(rows as u64)
    }
}

fn read(connection: &Connection, sql: &str, page: &mut Page) -> Result<(), rusqlite::Error> {
    let mut asked = connection.prepare_cached(sql)?;
    *page = Page::new(columns(&asked));
    let width = page.columns.len();
    let mut rows = asked.query([])?;
    while let Some(row) = rows.next()? {
        for at in 0..width {
            match row.get_ref(at)? {
                ValueRef::Null => page.null(),
                ValueRef::Integer(number) => page.value(|out| {
                    let _ = write!(out, "{number}");
                }),
                ValueRef::Real(number) => page.value(|out| put_real(out, number)),
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(text) => page.text(text),
                    Err(_) => page.lost(None),
                },
                ValueRef::Blob(bytes) => page.value(|out| value::put_bytes(out, bytes)),
            }
        }
        if page.is_full() {
            page.is_cut = true;
            break;
        }
    }
    Ok(())
}

fn columns(asked: &Statement<'_>) -> Vec<Column> {
    let columns = asked.columns();
    let columns = columns.map(|column| Column {
        name: column.name().to_owned(),
        kind: kind(column.decl_type().unwrap_or_default()),
    });
    columns.collect()
}

/// By the declared type, which says what a value should be: SQLite itself holds any value in any column.
fn kind(declared: &str) -> Kind {
    let upper = declared.to_ascii_uppercase();
    match &*upper {
        "BOOLEAN" | "BOOL" => Kind::Boolean,
        _ if upper.contains("INT") => Kind::Integer,
        _ if upper.starts_with("DATETIME") || upper.starts_with("TIMESTAMP") => Kind::Time,
        _ if upper.starts_with("BLOB") => Kind::Bytes,
        _ => Kind::Other,
    }
}

/// With all digits that tell it from the next one.
fn put_real(out: &mut String, number: f64) {
    let _ = match number {
        number if number.is_infinite() => {
            write!(out, "{}Infinity", if number < 0.0 { "-" } else { "" })
        }
        number => write!(out, "{number:?}"),
    };
}

/// What no time mends stops the flow.
fn trouble(file: &str, error: &rusqlite::Error) -> Trouble {
    let said = format!("{file}: {error}");
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Trouble::Passing(format!(
            "{said}; rows are marked or deleted here: let the agent's user write the file and its folder"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Passing(format!(
            "{said}: somebody's transaction held it for {} s",
            LOCKED_MAX.as_secs()
        )),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Trouble::Person(said),
        _ => Trouble::Passing(said),
    }
}
