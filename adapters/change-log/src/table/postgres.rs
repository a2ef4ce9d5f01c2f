//! PostgreSQL, by a plain role's session: values come as its texts.

use std::pin::pin;
use std::time::Duration;

use dray_adapter::secret;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use tokio_stream::StreamExt as _;

use super::config::SqlConfig;
use super::page::{BEHIND_BYTES_MAX, Column, Page};
use super::value::Kind;
use crate::reader::Trouble;
use crate::relay::Relay;
use crate::words;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// How values are written, whatever the server's and the role's settings are; that rows are refused, not left out, where a policy hides
/// them; that a backslash in a text is one;
/// and how long another's lock is waited for.
const SETTINGS: &str = "-c client_encoding=UTF8 -c DateStyle=ISO -c IntervalStyle=iso_8601 -c TimeZone=UTC -c extra_float_digits=1 \
    -c bytea_output=hex -c row_security=off -c standard_conforming_strings=on -c default_transaction_isolation=read\\ committed -c lock_timeout=10s";

/// A session.
pub(super) struct Session {
    server: String,
    client: Client,
    connection: JoinHandle<Result<(), Error>>,
    answer_max: Duration,
    /// The rest of its newest answer is not read.
    pub(super) is_given_up: bool,
}

impl Session {
    pub(super) async fn open(config: &SqlConfig) -> Result<Self, Trouble> {
        let host = config.host.as_deref().unwrap_or_default();
        let port = config.port.unwrap_or(5_432);
        let server = format!("{host}:{port}");
        let relay = match &config.tls {
            None => None,
            Some(tls) => Some(Relay::start(host, port, tls).await?),
        };
        let way = relay.as_ref().map_or_else(|| host.to_owned(), Relay::host);
        let mut to = Config::new();
        to.host(way)
            .port(port)
            .dbname(config.database.as_deref().unwrap_or_default())
            .user(config.user.as_deref().unwrap_or_default())
            .application_name("dray")
            .options(settings(config))
            .connect_timeout(CONNECT_MAX);
        if let Some(file) = &config.password_file {
            to.password(secret::read("password_file", file).map_err(Trouble::Passing)?);
        }
        let connected = timeout(CONNECT_MAX, to.connect(NoTls)).await;
        let connected = connected.map_err(|_| silent(&server, CONNECT_MAX))?;
        let (client, connection) = connected.map_err(|error| trouble(&server, &error))?;
        // It ends with the client, and says to the client why if it ends before.
        let connection = tokio::spawn(connection);
        Ok(Self {
            server,
            client,
            connection,
            answer_max: config.answer_max,
            is_given_up: false,
        })
    }

    /// `like`: a statement with the same columns.
    pub(super) async fn ask(&mut self, sql: &str, like: &str) -> Result<Page, Trouble> {
        let read = timeout(self.answer_max, read(&self.client, sql, like)).await;
        let read = read.map_err(|_| silent(&self.server, self.answer_max))?;
        let read = read.map_err(|error| trouble(&self.server, &error))?;
        let Some((page, is_behind)) = read else {
            return Err(Trouble::Passing(
                "the table's columns changed: it is asked anew".into(),
            ));
        };
        if is_behind {
            // Else all the rest would come here first.
            self.connection.abort();
            self.is_given_up = true;
        }
        Ok(page)
    }

    /// How many rows were changed.
    pub(super) async fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        let told = timeout(self.answer_max, self.client.simple_query(sql)).await;
        let told = told.map_err(|_| silent(&self.server, self.answer_max))?;
        let told = told.map_err(|error| trouble(&self.server, &error))?;
        let rows = told.iter().map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => *rows,
            _ => 0,
        });
        Ok(rows.sum())
    }
}

/// The server gives a statement up a little before the agent does.
fn settings(config: &SqlConfig) -> String {
    let ms = config.statement_max().as_millis();
    format!("{SETTINGS} -c statement_timeout={ms}")
}

/// A page, and whether more is behind it than is let go. `None`: the answer has other columns than `like`.
async fn read(client: &Client, sql: &str, like: &str) -> Result<Option<(Page, bool)>, Error> {
    // The answer itself does not say what its columns hold.
    let described = client.prepare(like).await?;
    let columns = described.columns().iter().map(|column| Column {
        name: column.name().to_owned(),
        kind: kind(column.type_().oid()),
    });
    let mut page = Page::new(columns.collect());
    let width = page.columns.len();
    let mut told = pin!(client.simple_query_raw(sql).await?);
    let mut behind = 0;
    while let Some(message) = told.next().await {
        let row = match message? {
            SimpleQueryMessage::Row(row) => row,
            SimpleQueryMessage::RowDescription(told) => {
                let told = told.iter().map(|column| column.name());
                if !told.eq(page.columns.iter().map(|column| &*column.name)) {
                    return Ok(None);
                }
                continue;
            }
            _ => continue,
        };
        if page.is_full() {
            page.is_cut = true;
            for at in 0..width {
                behind += row.try_get(at)?.map_or(0, str::len);
            }
            if behind > BEHIND_BYTES_MAX {
                return Ok(Some((page, true)));
            }
            continue;
        }
        for at in 0..width {
            match row.try_get(at)? {
                Some(text) => page.text(text),
                None => page.null(),
            }
        }
    }
    Ok(Some((page, false)))
}

/// By a type's number in `pg_type`.
fn kind(oid: u32) -> Kind {
    match oid {
        16 => Kind::Boolean,
        17 => Kind::Bytes,
        20 | 21 | 23 | 26 => Kind::Integer,
        25 | 1_042 | 1_043 => Kind::Text,
        1_114 => Kind::Time,
        1_184 => Kind::TimeUtc,
        1_266 => Kind::DayTimeUtc,
        1_700 => Kind::Decimal,
        _ => Kind::Other,
    }
}

fn silent(server: &str, most: Duration) -> Trouble {
    Trouble::Passing(format!(
        "the server {server} did not answer within {} s; look at host, port and firewalls, and whether the table has an index on the columns that order it",
        most.as_secs()
    ))
}

/// What an error means: who is refused may be let in later.
fn trouble(server: &str, error: &Error) -> Trouble {
    let said = match error.as_db_error() {
        Some(said) => {
            let (message, code) = (said.message(), said.code().code());
            format!("{message} ({code}){}", way_out(message, code))
        }
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    };
    match words::is_no_utf_8(&said) {
        true => Trouble::Person(format!("the server {server}: {said}{}", words::NO_UTF_8)),
        false => Trouble::Passing(format!("the server {server}: {said}")),
    }
}

/// What to do where a server refuses what is asked.
fn way_out(message: &str, code: &str) -> &'static str {
    match code {
        // Of pgbouncer, which knows some of a session's settings.
        _ if message.contains("unsupported startup parameter") => {
            "; a connection pooler (pgbouncer) stands between, and a flow's session has settings that it does not hand on: let host and port lead to the server itself"
        }
        // read_only_sql_transaction
        "25006" => {
            "; the server is a standby, or read only: let host and port lead to the server that is written to"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooler_and_a_standby_are_told_with_the_way_out() {
        for (message, code, expected) in [
            (
                "unsupported startup parameter in options: row_security",
                "08P01",
                "lead to the server itself",
            ),
            (
                "cannot execute UPDATE in a read-only transaction",
                "25006",
                "that is written to",
            ),
            ("relation \"a\" does not exist", "42P01", ""),
        ] {
            let told = way_out(message, code);
            assert_eq!(told.is_empty(), expected.is_empty(), "{message}");
            assert!(told.contains(expected), "{told}");
        }
    }
}
