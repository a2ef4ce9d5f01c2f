//! SQL Server, by its own protocol (TDS). Values are written as the other databases' are.
//!
//! Untested on a real server.

mod meter;
mod packet;
mod secured;
mod value;

use std::sync::Arc;
use std::time::Duration;

use dray_adapter::secret;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};
use tracing::instrument::{WithDispatch, WithSubscriber as _};
use tracing::subscriber::NoSubscriber;

use super::config::SqlConfig;
use super::page::{BEHIND_BYTES_MAX, Column, Page};
use crate::reader::Trouble;
use meter::{Meter, Metered};

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// Bytes that may come for one row: the library holds it whole, about twice.
const ROW_BYTES_MAX: usize = 128 * 1024 * 1024;
/// What indexes of computed columns need; how long another's lock is waited for; and that no value comes with more than 32 MiB, which is more than is
/// taken of any.
const SETTINGS: &str = "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON; \
    SET NUMERIC_ROUNDABORT OFF; SET LOCK_TIMEOUT 10000; SET TEXTSIZE 33554436; SET NOCOUNT OFF";

/// What the session goes over.
trait Way: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Way for T {}

/// What the library reads from.
type Carried = Compat<Metered<Box<dyn Way>>>;

/// A session.
pub(super) struct Session {
    server: String,
    /// `None`: the rest of its newest answer was not worth reading.
    client: Option<Client<Carried>>,
    meter: Arc<Meter>,
    row_bytes_max: usize,
    answer_max: Duration,
}

impl Session {
    pub(super) async fn open(config: &SqlConfig) -> Result<Self, Trouble> {
        let host = config.host.as_deref().unwrap_or_default();
        let port = config.port.unwrap_or(1_433);
        let server = format!("{host}:{port}");
        let meter = Arc::new(Meter::default());
        meter.allow(ROW_BYTES_MAX);
        let connected = connect(config, host, port, Arc::clone(&meter));
        let connected = timeout(CONNECT_MAX, connected).await;
        let connected = connected.map_err(|_| silent(&server, CONNECT_MAX))?;
        let mut session = Self {
            client: Some(connected?),
            server,
            meter,
            row_bytes_max: ROW_BYTES_MAX,
            answer_max: config.answer_max,
        };
        session.change(SETTINGS).await?;
        Ok(session)
    }

    /// Whether another one is to take its place.
    pub(super) fn is_given_up(&self) -> bool {
        self.client.is_none()
    }

    /// As many rows as a page holds, `rows_max` at most.
    pub(super) async fn ask(&mut self, sql: &str, rows_max: usize) -> Result<Page, Trouble> {
        let client = self.client.as_mut().ok_or_else(given_up)?;
        let reads = read(client, &self.meter, self.row_bytes_max, sql, rows_max);
        let read = timeout(self.answer_max, quiet(reads)).await;
        let read = read.map_err(|_| silent(&self.server, self.answer_max))?;
        if read.is_err() && self.meter.is_over() {
            return Err(Trouble::Person(format!(
                "a row of the server {} takes more than {} MiB, and is held in memory whole: leave its large columns out, by a query, or with mode = \"cdc\" by @captured_column_list",
                self.server,
                self.row_bytes_max / 1024 / 1024
            )));
        }
        let (page, is_behind) = read.map_err(|error| trouble(&self.server, &error))?;
        if is_behind {
            // Closed now: the server would wait for somebody to take the rest.
            self.client = None;
        }
        Ok(page)
    }

    /// How many rows were changed.
    pub(super) async fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        let client = self.client.as_mut().ok_or_else(given_up)?;
        self.meter.allow(self.row_bytes_max);
        let changing = async {
            // A batch, not a call with parameters: what is set, or begun, lasts.
            let told = client.simple_query(sql).await?;
            told.into_results().await.map(drop)?;
            let counted = client.simple_query("SELECT ROWCOUNT_BIG()").await?;
            let row = counted.into_row().await?;
            row.map_or(Ok(None), |row| row.try_get::<i64, _>(0))
        };
        let told = timeout(self.answer_max, quiet(changing)).await;
        let told = told.map_err(|_| silent(&self.server, self.answer_max))?;
        let rows = told.map_err(|error| trouble(&self.server, &error))?;
        Ok(rows.unwrap_or_default().unsigned_abs())
    }
}

/// Without the library's own logs: a warning for each thing that the server says besides, that a database was chosen or a language, and each error as one,
/// which comes back here and is told with its way out.
fn quiet<F: Future>(asks: F) -> WithDispatch<F> {
    asks.with_subscriber(NoSubscriber::default())
}

fn given_up() -> Trouble {
    Trouble::Passing("the session was given up: another one is begun".to_owned())
}

async fn connect(
    config: &SqlConfig,
    host: &str,
    port: u16,
    meter: Arc<Meter>,
) -> Result<Client<Carried>, Trouble> {
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
    to.command_timeout(Some(config.statement_max()));
    let password = config.password_file.as_ref();
    let password = password.map(|file| secret::read("password_file", file));
    let password = password.transpose().map_err(Trouble::Passing)?;
    to.authentication(AuthMethod::sql_server(
        config.user.as_deref().unwrap_or_default(),
        password.unwrap_or_default(),
    ));
    // It would warn that nothing is encrypted, of which it knows nothing.
    let connected = quiet(Client::connect(to, Metered { way, meter }.compat())).await;
    connected.map_err(|error| trouble(&server, &error))
}

/// A page, and whether more is behind it than is let go.
async fn read(
    client: &mut Client<Carried>,
    meter: &Meter,
    row_bytes_max: usize,
    sql: &str,
    rows_max: usize,
) -> Result<(Page, bool), tiberius::error::Error> {
    meter.allow(row_bytes_max);
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
        meter.allow(row_bytes_max);
        for (column, data) in row.cells() {
            value::put(&mut page, column.column_type(), data);
        }
        if page.is_full() || page.rows() >= rows_max {
            page.is_cut = true;
            break;
        }
    }
    meter.allow(BEHIND_BYTES_MAX);
    while let Some(item) = told.next().await {
        match item {
            Ok(_) => {}
            Err(_) if meter.is_over() => return Ok((page, true)),
            Err(error) => return Err(error),
        }
    }
    Ok((page, false))
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
