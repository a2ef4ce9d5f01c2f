//! SQLite, by its file.

use std::fmt::Write as _;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

use super::classes::Classes;
use super::config::SqlConfig;
use super::dialect::Dialect;
use super::page::{Column, Page};
use super::value::{self, Kind};
use crate::reader::Trouble;

/// How long another's transaction is waited for.
const LOCKED_MAX: Duration = Duration::from_secs(10);

/// An open file.
pub(super) struct Session {
    file: String,
    connection: Connection,
    from: String,
    classes: Classes,
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
            from: config.from(Dialect::Sqlite),
            classes: Classes::new(config.found_by()),
        })
    }

    pub(super) fn ask(&mut self, sql: &str) -> Result<Page, Trouble> {
        let failed = |error| trouble(&self.file, &error);
        for name in self.classes.unknown() {
            let name = Dialect::Sqlite.name(&name);
            let one = format!(
                "SELECT {name} FROM {} WHERE {name} IS NOT NULL LIMIT 1",
                self.from
            );
            read(&self.connection, &one, &mut self.classes).map_err(failed)?;
        }
        let page = read(&self.connection, sql, &mut self.classes).map_err(failed)?;
        match self.classes.mixed() {
            None => Ok(page),
            Some(said) => Err(Trouble::Person(format!("{}: {said}", self.file))),
        }
    }

    /// How many rows were changed.
    pub(super) fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        let changed = self.connection.execute(sql, []);
        let rows = changed.map_err(|error| trouble(&self.file, &error))?;
        Ok(rows as u64)
    }

    /// A value of the column, as SQL.
    ///
    /// # Errors
    /// A sentence: it is none.
    pub(super) fn value(&self, column: &Column, text: &str) -> Result<String, String> {
        match self.classes.of(&column.name) {
            Some(class) => class.value(text),
            None => Dialect::Sqlite.value(column.kind, text),
        }
    }
}

fn read(
    connection: &Connection,
    sql: &str,
    classes: &mut Classes,
) -> Result<Page, rusqlite::Error> {
    let mut asked = connection.prepare(sql)?;
    let mut rows = asked.query([])?;
    let mut row = rows.next()?;
    // Once it runs: a table that is altered before is read as it is then, whatever was prepared.
    let described = row.map(|row| columns(row.as_ref(), classes));
    let Some((columns, watched)) = described else {
        drop(rows);
        return Ok(Page::new(columns(&asked, classes).0));
    };
    let mut page = Page::new(columns);
    while let Some(found) = row {
        for at in 0..page.columns.len() {
            put(&mut page, found.get_ref(at)?);
        }
        for at in &watched {
            classes.saw(&page.columns[*at].name, found.get_ref(*at)?);
        }
        if page.is_full() {
            page.is_cut = true;
            break;
        }
        row = rows.next()?;
    }
    Ok(page)
}

fn put(page: &mut Page, value: ValueRef<'_>) {
    match value {
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

/// The columns, and the places of those whose values say by themselves what they are.
fn columns(asked: &Statement<'_>, classes: &mut Classes) -> (Vec<Column>, Vec<usize>) {
    let mut watched = Vec::new();
    let mut columns = Vec::new();
    for (at, column) in asked.columns().enumerate() {
        let declared = column.decl_type().unwrap_or_default();
        if classes.watches(column.name(), declared) {
            watched.push(at);
        }
        columns.push(Column {
            name: column.name().to_owned(),
            kind: kind(declared),
        });
    }
    (columns, watched)
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
