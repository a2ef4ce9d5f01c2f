//! SQL Server, by its own protocol (TDS). Values are written as the other databases' are.
//!
//! Untested on a real server.

mod packet;
mod secured;
mod value;

use std::time::Duration;

use dray_adapter::secret;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::config::SqlConfig;
use super::page::{Column, Page};
use crate::reader::Trouble;

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(300);
/// How long the server may be silent in one.
const SILENCE_MAX: Duration = Duration::from_secs(290);
/// What indexes of computed columns need; how long another's lock is waited for; and that no value comes with more than 32 MiB, which is more than is
/// taken of any.
const SETTINGS: &str = "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON; \
    SET NUMERIC_ROUNDABORT OFF; SET LOCK_TIMEOUT 10000; SET TEXTSIZE 33554436; SET NOCOUNT OFF";

/// What the session goes over.
trait Way: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Way for T {}

/// A session.
pub(super) struct Session {
    server: String,
    client: Client<Compat<Box<dyn Way>>>,
}

impl Session {
    pub(super) async fn open(config: &SqlConfig) -> Result<Self, Trouble> {
        let host = config.host.as_deref().unwrap_or_default();
        let port = config.port.unwrap_or(1_433);
        let server = format!("{host}:{port}");
        let connected = timeout(CONNECT_MAX, connect(config, host, port)).await;
        let connected = connected.map_err(|_| silent(&server, CONNECT_MAX))?;
        let mut session = Self {
            client: connected?,
            server,
        };
        session.change(SETTINGS).await?;
        Ok(session)
    }

    /// As many rows as a page holds, `rows_max` at most. What is left of the answer is passed over when the next one is asked.
    pub(super) async fn ask(&mut self, sql: &str, rows_max: usize) -> Result<Page, Trouble> {
        let read = timeout(ANSWER_MAX, read(&mut self.client, sql, rows_max)).await;
        let read = read.map_err(|_| silent(&self.server, ANSWER_MAX))?;
        read.map_err(|error| trouble(&self.server, &error))
    }

    /// How many rows were changed.
    pub(super) async fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        let changing = async {
            // A batch, not a call with parameters: what is set, or begun, lasts.
            let told = self.client.simple_query(sql).await?;
            told.into_results().await.map(drop)?;
            let counted = self.client.simple_query("SELECT ROWCOUNT_BIG()").await?;
            let row = counted.into_row().await?;
            row.map_or(Ok(None), |row| row.try_get::<i64, _>(0))
        };
        let told = timeout(ANSWER_MAX, changing).await;
        let told = told.map_err(|_| silent(&self.server, ANSWER_MAX))?;
        let rows = told.map_err(|error| trouble(&self.server, &error))?;
        Ok(rows.unwrap_or_default().unsigned_abs())
    }
}

async fn connect(
    config: &SqlConfig,
    host: &str,
    port: u16,
) -> Result<Client<Compat<Box<dyn Way>>>, Trouble> {
    let server = format!("{host}:{port}");
    let failed = |error: std::io::Error| {
        Trouble::Passing(format!(
            "the server {server}: {error}; look at host, port and firewalls, and whether TCP/IP is on in SQL Server's network configuration"
        ))
    };
    let way: Box<dyn Way> = match &config.tls {
        Some(tls) => Box::new(secured::connect(host, port, tls).await?),
        None => {
            let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            Box::new(stream)
        }
    };
    let mut to = Config::new();
    to.host(host);
    to.port(port);
    to.database(config.database.as_deref().unwrap_or_default());
    to.application_name("dray");
    // What it goes over is secured, or is not to be.
    to.encryption(EncryptionLevel::NotSupported);
    to.handshake_timeout(Some(CONNECT_MAX));
    to.command_timeout(Some(SILENCE_MAX));
    let password = config.password_file.as_ref();
    let password = password.map(|file| secret::read("password_file", file));
    let password = password.transpose().map_err(Trouble::Passing)?;
    to.authentication(AuthMethod::sql_server(
        config.user.as_deref().unwrap_or_default(),
        password.unwrap_or_default(),
    ));
    // It would warn that nothing is encrypted, of which it knows nothing.
    let connected = Client::connect(to, way.compat()).with_subscriber(NoSubscriber::default());
    let connected = connected.await;
    connected.map_err(|error| trouble(&server, &error))
}

async fn read(
    client: &mut Client<Compat<Box<dyn Way>>>,
    sql: &str,
    rows_max: usize,
) -> Result<Page, tiberius::error::Error> {
    let mut told = client.simple_query(sql).await?;
    let mut page = Page::default();
    while let Some(item) = told.next().await {
        let row = match item? {
            QueryItem::Metadata(described) if page.columns.is_empty() => {
                page = Page::new(described.columns().iter().map(column).collect());
                continue;
            }
            // A procedure may answer more than was asked for.
            QueryItem::Metadata(_) => break,
            QueryItem::Row(row) => row,
        };
        for (column, data) in row.cells() {
            value::put(&mut page, column.column_type(), data);
        }
        if page.is_full() || page.rows() >= rows_max {
            page.is_cut = true;
            break;
        }
    }
    Ok(page)
}

fn column(told: &tiberius::Column) -> Column {
    Column {
        name: told.name().to_owned(),
        kind: value::kind(told.column_type()),
    }
}

fn silent(server: &str, most: Duration) -> Trouble {
    Trouble::Passing(format!(
        "the server {server} did not answer within {} s; look at host, port and firewalls, and whether the table has an index on the columns that order it",
        most.as_secs()
    ))
}

/// What an error means: who is refused may be let in later.
fn trouble(server: &str, error: &tiberius::error::Error) -> Trouble {
    use tiberius::error::Error;
    let said = match error {
        Error::Server(said) => format!("{} ({})", said.message(), said.code()),
        Error::Utf16 | Error::Utf8 | Error::Encoding(_) => format!(
            "{error}: a text can't be read; ask for the other columns by a query, or mend the row"
        ),
        Error::Routing { host, port } => {
            format!("the server is at {host}:{port}; write these as host and port")
        }
        other => other.to_string(),
    };
    Trouble::Passing(format!("the server {server}: {said}"))
}

#[cfg(test)]
mod tests;
