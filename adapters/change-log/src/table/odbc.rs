//! Whatever has an ODBC driver. Texts come as UTF-16, whatever the process's locale is, and in parts until they are whole: a cell is never cut.
//!
//! A driver may wait for its network without an end, so it has a thread of its own, which is given up where it doesn't answer.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dray_adapter::secret;
use odbc_api::buffers::Indicator;
use odbc_api::parameter::{Binary, VarCell, WideText};
use odbc_api::{
    Connection, ConnectionOptions, Cursor, CursorRow, DataType, Error, ResultSetMetadata,
    escape_attribute_value,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::config::SqlConfig;
use super::dialect::Dialect;
use super::hung::Hung;
use super::page::{CELL_BYTES_MAX, Column, Page};
use super::value::{self, Kind};
use crate::reader::Trouble;
use crate::words;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// UTF-16 units, or bytes, of a cell that are fetched at once.
const PART: usize = 4_096;

/// What the thread is asked for.
enum Request {
    Ask { sql: String, rows_max: usize },
    Change(String),
}

/// What it answers.
enum Answer {
    Page(Page),
    Changed(u64),
}

type Asked = (Request, oneshot::Sender<Result<Answer, String>>);

/// A session.
pub(super) struct Session {
    name: String,
    pub(super) dialect: Dialect,
    asked: mpsc::Sender<Asked>,
    hung: Hung,
    answer_max: Duration,
}

impl Session {
    pub(super) async fn open(config: &SqlConfig) -> Result<Self, Trouble> {
        let name = config
            .database
            .clone()
            .unwrap_or_else(|| "the database".into());
        let connection = connection_string(config).map_err(Trouble::Passing)?;
        let (mut hung, thread_ends) = Hung::new().map_err(Trouble::Passing)?;
        let (asked, asks) = mpsc::channel();
        let (tell, told) = oneshot::channel();
        // A driver is asked to give up a little before the agent does, where it can.
        let seconds = config.statement_max().as_secs().max(1) as usize;
        let run = move || {
            let _ends = thread_ends;
            serve(&connection, tell, &asks, seconds);
        };
        let started = thread::Builder::new().name("odbc".into()).spawn(run);
        started.map_err(|error| Trouble::Passing(format!("no thread can be started: {error}")))?;
        hung.waits(true);
        let told = timeout(CONNECT_MAX + Duration::from_secs(1), told).await;
        let Ok(told) = told else {
            return Err(silent(&name, CONNECT_MAX));
        };
        hung.waits(false);
        let dialect = told.map_err(|_| ended(&name))?;
        let dialect = dialect.map_err(|said| Trouble::Passing(format!("{name}: {said}")))?;
        Ok(Self {
            name,
            dialect,
            asked,
            hung,
            answer_max: config.answer_max,
        })
    }

    /// As many rows as a page holds, `rows_max` at most.
    pub(super) async fn ask(&mut self, sql: &str, rows_max: usize) -> Result<Page, Trouble> {
        let sql = sql.to_owned();
        match self.answer(Request::Ask { sql, rows_max }).await? {
            Answer::Page(page) => Ok(page),
            Answer::Changed(_) => Ok(Page::default()),
        }
    }

    /// How many rows were changed.
    pub(super) async fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        match self.answer(Request::Change(sql.to_owned())).await? {
            Answer::Changed(rows) => Ok(rows),
            Answer::Page(_) => Ok(0),
        }
    }

    async fn answer(&mut self, request: Request) -> Result<Answer, Trouble> {
        let (tell, told) = oneshot::channel();
        let sent = self.asked.send((request, tell));
        sent.map_err(|_| ended(&self.name))?;
        self.hung.waits(true);
        let Ok(told) = timeout(self.answer_max, told).await else {
            return Err(silent(&self.name, self.answer_max));
        };
        self.hung.waits(false);
        let answer = told.map_err(|_| ended(&self.name))?;
        answer.map_err(|said| match words::is_no_utf_8(&said) {
            true => Trouble::Person(format!("{}: {said}{}", self.name, words::NO_UTF_8)),
            false => Trouble::Passing(format!("{}: {said}", self.name)),
        })
    }
}

fn silent(name: &str, most: Duration) -> Trouble {
    Trouble::Passing(format!(
        "{name} did not answer within {} s; look at the connection, at firewalls, and whether the table has an index on the columns that order it",
        most.as_secs()
    ))
}

fn ended(name: &str) -> Trouble {
    Trouble::Passing(format!(
        "the ODBC driver of {name} ended its thread; see what was logged before"
    ))
}

fn connection_string(config: &SqlConfig) -> Result<String, String> {
    let mut text = config.connection.clone().unwrap_or_default();
    let mut put = |name: &str, value: &str| {
        text.push_str(&format!(";{name}={}", escape_attribute_value(value)));
    };
    if let Some(user) = &config.user {
        put("UID", user);
    }
    if let Some(file) = &config.password_file {
        put("PWD", &secret::read("password_file", file)?);
    }
    Ok(text)
}

/// The thread: connects, and answers until nobody asks.
fn serve(
    connection: &str,
    tell: oneshot::Sender<Result<Dialect, String>>,
    asks: &mpsc::Receiver<Asked>,
    seconds: usize,
) {
    let connected = connect(connection, seconds);
    let connection = match connected {
        Ok((connection, dialect)) => {
            if tell.send(Ok(dialect)).is_err() {
                return;
            }
            connection
        }
        Err(error) => {
            let _ = tell.send(Err(words::of_odbc(&error.to_string())));
            return;
        }
    };
    let limit = limit(&connection, seconds);
    for (request, tell) in asks {
        let answer = match request {
            Request::Ask { sql, rows_max } => {
                read(&connection, &sql, rows_max, limit).map(Answer::Page)
            }
            Request::Change(sql) => change(&connection, &sql, limit).map(Answer::Changed),
        };
        let _ = tell.send(answer.map_err(|error| words::of_odbc(&error.to_string())));
    }
}

/// The database itself is told of the limit where its driver does not pass it on, as MariaDB's.
fn connect(text: &str, seconds: usize) -> Result<(Connection<'static>, Dialect), Error> {
    let options = ConnectionOptions {
        login_timeout_sec: Some(CONNECT_MAX.as_secs() as u32),
        packet_size: None,
    };
    let environment = odbc_api::environment()?;
    let connection = environment.connect_with_connection_string(text, options)?;
    let dialect = Dialect::of(&connection.database_management_system_name()?);
    let postgres_limit = format!("SET statement_timeout = '{seconds}s'");
    let maria_limits = format!(
        "SET time_zone = '+00:00', SESSION innodb_lock_wait_timeout = 10 /*M!100100 , SESSION max_statement_time = {seconds} */"
    );
    let settings: &[&str] = match dialect {
        Dialect::Postgres => &[
            "SET TimeZone = 'UTC'",
            "SET extra_float_digits = 1",
            "SET row_security = off",
            "SET standard_conforming_strings = on",
            "SET lock_timeout = '10s'",
            &postgres_limit,
        ],
        Dialect::Mysql => &[&maria_limits],
        Dialect::SqlServer => &["SET LOCK_TIMEOUT 10000"],
        Dialect::Oracle => &["ALTER SESSION SET TIME_ZONE = 'UTC'"],
        Dialect::Sqlite | Dialect::Db2 | Dialect::Other => &[],
    };
    for setting in settings {
        connection.execute(setting, (), None)?;
    }
    Ok((connection, dialect))
}

/// Not every driver takes a limit to its statements' time.
fn limit(connection: &Connection<'_>, seconds: usize) -> Option<usize> {
    let mut statement = connection.preallocate().ok()?;
    let set = statement.set_query_timeout_sec(seconds);
    set.is_ok().then_some(seconds)
}

fn change(connection: &Connection<'_>, sql: &str, limit: Option<usize>) -> Result<u64, Error> {
    let mut statement = connection.preallocate()?;
    if let Some(seconds) = limit {
        statement.set_query_timeout_sec(seconds)?;
    }
    statement.execute(sql, ())?;
    // Some drivers know no count, or not of every statement.
    let rows = statement.row_count().ok().flatten();
    Ok(rows.unwrap_or_default() as u64)
}

fn read(
    connection: &Connection<'_>,
    sql: &str,
    rows_max: usize,
    limit: Option<usize>,
) -> Result<Page, Error> {
    let Some(mut cursor) = connection.execute(sql, (), limit)? else {
        return Ok(Page::default());
    };
    let mut columns = Vec::new();
    for number in 1..=cursor.num_result_cols()?.unsigned_abs() {
        columns.push(Column {
            name: cursor.col_name(number)?,
            kind: kind(cursor.col_data_type(number)?),
        });
    }
    let mut page = Page::new(columns);
    let mut parts = Parts::default();
    while let Some(mut row) = cursor.next_row()? {
        for at in 0..page.columns.len() {
            let number = at as u16 + 1;
            match page.columns[at].kind {
                Kind::Bytes => parts.bytes(&mut row, number, &mut page)?,
                _ => parts.text(&mut row, number, &mut page)?,
            }
        }
        if page.is_full() || page.rows() >= rows_max {
            page.is_cut = true;
            break;
        }
    }
    Ok(page)
}

/// What is fetched of a cell.
struct Parts {
    units: Vec<u16>,
    bytes: Vec<u8>,
    unit_part: Vec<u16>,
    byte_part: Vec<u8>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            units: Vec::new(),
            bytes: Vec::new(),
            unit_part: vec![0; PART],
            byte_part: vec![0; PART],
        }
    }
}

impl Parts {
    fn text(&mut self, row: &mut CursorRow<'_>, at: u16, page: &mut Page) -> Result<(), Error> {
        self.units.clear();
        loop {
            // What is left of the part before would be taken for a text without its end.
            self.unit_part.fill(0);
            let part = self.unit_part.as_mut_slice();
            let mut cell = VarCell::<&mut [u16], WideText>::from_buffer(part, Indicator::NoTotal);
            row.get_data(at, &mut cell)?;
            let Some(units) = cell.as_slice() else {
                page.null();
                return Ok(());
            };
            self.units.extend_from_slice(units);
            if self.units.len() > CELL_BYTES_MAX {
                page.lost(total(cell.indicator(), self.units.len(), units.len(), 2));
                return Ok(());
            }
            if cell.is_complete() {
                break;
            }
        }
        match String::from_utf16(&self.units) {
            Ok(text) => page.text(&text),
            Err(_) => page.lost(None),
        }
        Ok(())
    }

    fn bytes(&mut self, row: &mut CursorRow<'_>, at: u16, page: &mut Page) -> Result<(), Error> {
        self.bytes.clear();
        loop {
            self.byte_part.fill(0);
            let part = self.byte_part.as_mut_slice();
            let mut cell = VarCell::<&mut [u8], Binary>::from_buffer(part, Indicator::NoTotal);
            row.get_data(at, &mut cell)?;
            let Some(bytes) = cell.as_slice() else {
                page.null();
                return Ok(());
            };
            self.bytes.extend_from_slice(bytes);
            if self.bytes.len() > CELL_BYTES_MAX / 2 {
                page.lost(total(cell.indicator(), self.bytes.len(), bytes.len(), 1));
                return Ok(());
            }
            if cell.is_complete() {
                break;
            }
        }
        page.value(|out| value::put_bytes(out, &self.bytes));
        Ok(())
    }
}

/// How long a cell is: what was fetched, and what the driver says is left of it.
fn total(indicator: Indicator, fetched: usize, newest: usize, unit: usize) -> Option<usize> {
    match indicator {
        Indicator::Length(left) => Some((fetched - newest) * unit + left),
        Indicator::NoTotal | Indicator::Null => None,
    }
}

fn kind(told: DataType) -> Kind {
    match told {
        DataType::Integer | DataType::SmallInt | DataType::BigInt | DataType::TinyInt => {
            Kind::Integer
        }
        DataType::Numeric { .. } | DataType::Decimal { .. } => Kind::Decimal,
        DataType::Bit => Kind::Boolean,
        DataType::Timestamp { .. } => Kind::Time,
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::LongVarbinary { .. } => {
            Kind::Bytes
        }
        DataType::Char { .. }
        | DataType::WChar { .. }
        | DataType::Varchar { .. }
        | DataType::WVarchar { .. }
        | DataType::LongVarchar { .. }
        | DataType::WLongVarchar { .. } => Kind::Text,
        _ => Kind::Other,
    }
}
