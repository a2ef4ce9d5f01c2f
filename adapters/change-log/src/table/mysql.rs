//! MariaDB and MySQL: values come as the server's texts.

use std::fmt::Write as _;
use std::time::Duration;

use dray_adapter::secret;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};
use tokio::time::timeout;

use super::config::SqlConfig;
use super::page::{BEHIND_BYTES_MAX, Column, Page};
use super::value::{self, Kind};
use crate::mysql;
use crate::reader::Trouble;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// The character set of bytes.
const BINARY: u16 = 63;

/// A session.
pub(super) struct Session {
    server: String,
    connection: Conn,
    answer_max: Duration,
    /// The rest of its newest answer is not read.
    pub(super) is_given_up: bool,
}

impl Session {
    pub(super) async fn open(config: &SqlConfig) -> Result<Self, Trouble> {
        let host = config.host.as_deref().unwrap_or_default();
        let port = config.port.unwrap_or(3_306);
        let server = format!("{host}:{port}");
        let connecting = Conn::new(options(config, host, port)?);
        let connected = timeout(CONNECT_MAX, connecting).await;
        let connected = connected.map_err(|_| silent(&server, CONNECT_MAX))?;
        Ok(Self {
            connection: connected.map_err(|error| trouble(&server, &error))?,
            server,
            answer_max: config.answer_max,
            is_given_up: false,
        })
    }

    pub(super) async fn ask(&mut self, sql: &str) -> Result<Page, Trouble> {
        let read = timeout(self.answer_max, read(&mut self.connection, sql)).await;
        let read = read.map_err(|_| silent(&self.server, self.answer_max))?;
        let (page, is_behind) = read.map_err(|error| trouble(&self.server, &error))?;
        self.is_given_up |= is_behind;
        Ok(page)
    }

    /// Ends another one of this user. The library reads the rest of an answer before it hangs up: without this all of it would still come.
    pub(super) async fn end(&mut self, other: &Self) {
        let _ = self
            .change(&format!("KILL {}", other.connection.id()))
            .await;
    }

    /// How many rows were changed.
    pub(super) async fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        let told = timeout(self.answer_max, self.connection.query_drop(sql)).await;
        let told = told.map_err(|_| silent(&self.server, self.answer_max))?;
        told.map_err(|error| trouble(&self.server, &error))?;
        Ok(self.connection.affected_rows())
    }
}

/// How values are written, whatever the server's settings are; how long another's lock is waited for; and that MariaDB gives a statement up a little before the
/// agent does: MySQL has no such limit, and a comment there.
fn settings(config: &SqlConfig) -> Vec<String> {
    let seconds = config.statement_max().as_secs_f64();
    vec![
        format!(
            "SET NAMES utf8mb4, time_zone = '+00:00', SESSION innodb_lock_wait_timeout = 10 /*M!100100 , SESSION max_statement_time = {seconds:.3} */"
        ),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
    ]
}

fn options(config: &SqlConfig, host: &str, port: u16) -> Result<Opts, Trouble> {
    let password = config.password_file.as_ref();
    let password = password.map(|file| secret::read("password_file", file));
    let password = password.transpose().map_err(Trouble::Passing)?;
    let options = OptsBuilder::default()
        .user(config.user.clone())
        .pass(password)
        .db_name(config.database.clone())
        .tcp_keepalive(Some(CONNECT_MAX))
        .prefer_socket(false)
        .setup(settings(config));
    let options = match host.starts_with('/') {
        true => options.socket(Some(host)),
        false => options.ip_or_hostname(host).tcp_port(port),
    };
    Ok(options.ssl_opts(config.tls.as_ref().map(mysql::tls)).into())
}

/// A page, and whether more is behind it than is let go.
async fn read(connection: &mut Conn, sql: &str) -> Result<(Page, bool), mysql_async::Error> {
    let mut told = connection.query_iter(sql).await?;
    let described: Vec<(Column, Form)> = told.columns_ref().iter().map(column).collect();
    let (columns, forms): (Vec<_>, Vec<_>) = described.into_iter().unzip();
    let mut page = Page::new(columns);
    let mut behind = 0;
    while let Some(row) = told.next().await? {
        if page.is_full() {
            page.is_cut = true;
            behind += bytes(&row);
            if behind > BEHIND_BYTES_MAX {
                return Ok((page, true));
            }
            continue;
        }
        for (at, form) in forms.iter().enumerate() {
            put(&mut page, *form, row.as_ref(at).unwrap_or(&Value::NULL));
        }
    }
    told.drop_result().await?;
    Ok((page, false))
}

fn bytes(row: &Row) -> usize {
    let bytes = (0..row.len()).map(|at| match row.as_ref(at) {
        Some(Value::Bytes(bytes)) => bytes.len(),
        _ => 0,
    });
    bytes.sum()
}

/// How a text of the server's is to be read.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    Bytes,
    /// So many bits.
    Bits(usize),
}

fn column(told: &mysql_async::Column) -> (Column, Form) {
    let is_binary = told.character_set() == BINARY;
    let (kind, form) = match told.column_type() {
        ColumnType::MYSQL_TYPE_TINY
        | ColumnType::MYSQL_TYPE_SHORT
        | ColumnType::MYSQL_TYPE_INT24
        | ColumnType::MYSQL_TYPE_LONG
        | ColumnType::MYSQL_TYPE_LONGLONG => (Kind::Integer, Form::Text),
        ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2 => (Kind::DayTime, Form::Text),
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => {
            (Kind::Decimal, Form::Text)
        }
        ColumnType::MYSQL_TYPE_DATETIME | ColumnType::MYSQL_TYPE_DATETIME2 => {
            (Kind::Time, Form::Text)
        }
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => {
            (Kind::TimeUtc, Form::Text)
        }
        ColumnType::MYSQL_TYPE_BIT => (Kind::Other, Form::Bits(told.column_length() as usize)),
        ColumnType::MYSQL_TYPE_GEOMETRY => (Kind::Bytes, Form::Bytes),
        ColumnType::MYSQL_TYPE_STRING
        | ColumnType::MYSQL_TYPE_VAR_STRING
        | ColumnType::MYSQL_TYPE_VARCHAR
        | ColumnType::MYSQL_TYPE_BLOB
        | ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB
            if is_binary && told.flags().contains(ColumnFlags::BINARY_FLAG) =>
        {
            (Kind::Bytes, Form::Bytes)
        }
        ColumnType::MYSQL_TYPE_STRING
        | ColumnType::MYSQL_TYPE_VAR_STRING
        | ColumnType::MYSQL_TYPE_VARCHAR => (Kind::Text, Form::Text),
        _ => (Kind::Other, Form::Text),
    };
    let name = told.name_str().into_owned();
    (Column { name, kind }, form)
}

fn put(page: &mut Page, form: Form, value: &Value) {
    let bytes = match value {
        Value::NULL => return page.null(),
        Value::Bytes(bytes) => bytes,
        other => return page.text(&other.as_sql(true)),
    };
    match form {
        Form::Text => match std::str::from_utf8(bytes) {
            Ok(text) => page.text(text),
            Err(_) => page.lost(None),
        },
        Form::Bytes => page.value(|out| value::put_bytes(out, bytes)),
        Form::Bits(bits) => page.value(|out| {
            let number = bytes
                .iter()
                .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
            let _ = write!(out, "{number:0bits$b}");
        }),
    }
}

fn silent(server: &str, most: Duration) -> Trouble {
    Trouble::Passing(format!(
        "the server {server} did not answer within {} s; look at host, port and firewalls, and whether the table has an index on the columns that order it",
        most.as_secs()
    ))
}

/// What an error means: who is refused may be let in later.
fn trouble(server: &str, error: &mysql_async::Error) -> Trouble {
    let said = match error {
        mysql_async::Error::Server(said) => format!("{} ({})", said.message, said.code),
        other => other.to_string(),
    };
    Trouble::Passing(format!("the server {server}: {said}"))
}
