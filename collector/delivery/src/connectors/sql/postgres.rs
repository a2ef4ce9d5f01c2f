//! PostgreSQL. TLS is made here, with the collector's own provider of cryptography; the library speaks inside it.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use tokio_rustls::TlsConnector;

use super::fault::{Meaning, meaning_of_state};
use super::measured::Measured;
use super::session::Text;
use super::way::Way;
use crate::connectors::http::CONNECT_MAX;
use crate::outcome::Outcome;

/// PostgreSQL's request for TLS: length and code (its protocol's message SSLRequest).
const REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// That the server agrees.
const AGREED: u8 = b'S';

/// A session.
#[derive(Debug)]
pub(super) struct Postgres {
    client: Client,
    prepared: HashMap<String, Statement>,
    /// Whether the server's detail may be told: it shows whole rows, its values in the server's own form.
    tells_rows: bool,
}

/// A value as the server reads it of any type.
#[derive(Debug)]
struct Plain<'a>(&'a str);

impl ToSql for Plain<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl Postgres {
    pub(super) async fn connect(way: &Way, wait: Duration) -> Result<Self, Outcome> {
        let late = |_| Outcome::Unreachable(format!("{} does not answer", way.name()));
        timeout(CONNECT_MAX, Self::open(way, wait))
            .await
            .unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    async fn open(way: &Way, wait: Duration) -> Result<Self, Outcome> {
        let (host, port) = way.config.server().unwrap_or_default();
        let unreachable = |error: io::Error| {
            Outcome::Unreachable(format!("no connection to {}: {error}", way.name()))
        };
        let stream = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let mut config = Config::new();
        config
            .user(&way.config.user)
            .dbname(&way.config.database)
            .application_name("dray")
            .ssl_mode(SslMode::Disable);
        if let Some(password) = way.password().await? {
            config.password(password);
        }
        let client = match &way.tls {
            None => attach(&config, stream).await?,
            Some(tls) => {
                let name = way.config.server_name.as_ref().unwrap_or(&host).clone();
                let stream = encrypt(way, stream, TlsConnector::from(tls.clone()), name).await?;
                attach(&config, stream).await?
            }
        };
        let mut session = Self {
            client,
            prepared: HashMap::new(),
            tells_rows: !way.hides,
        };
        let wait_ms = wait.as_millis().max(1);
        session
            .plain(&format!(
                "SET TIME ZONE 'UTC'; SET synchronous_commit = on; SET statement_timeout = {wait_ms}; SET idle_in_transaction_session_timeout = {}",
                wait_ms * 2
            ))
            .await?;
        Ok(session)
    }

    pub(super) async fn plain(&mut self, sql: &str) -> Result<(), Outcome> {
        let done = self.client.batch_execute(sql).await;
        done.map_err(|error| self.outcome(error))
    }

    pub(super) async fn run(&mut self, sql: &str, texts: &[Text]) -> Result<u64, Outcome> {
        let statement = self.statement(sql).await?;
        let plain = plain(texts);
        let parameters: Vec<_> = plain
            .iter()
            .map(|text| text as &(dyn ToSql + Sync))
            .collect();
        let done = self.client.execute(&statement, &parameters).await;
        done.map_err(|error| self.outcome(error))
    }

    pub(super) async fn ask(
        &mut self,
        sql: &str,
        texts: &[Text],
    ) -> Result<Vec<Vec<Text>>, Outcome> {
        let statement = self.statement(sql).await?;
        let plain = plain(texts);
        let parameters: Vec<_> = plain
            .iter()
            .map(|text| text as &(dyn ToSql + Sync))
            .collect();
        let rows = self.client.query(&statement, &parameters).await;
        let texts = |row: &Row| -> Result<Vec<Text>, tokio_postgres::Error> {
            (0..row.len()).map(|column| row.try_get(column)).collect()
        };
        rows.and_then(|rows| rows.iter().map(texts).collect())
            .map_err(|error| self.outcome(error))
    }

    async fn statement(&mut self, sql: &str) -> Result<Statement, Outcome> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let prepared = self.client.prepare(sql).await;
        let statement = prepared.map_err(|error| self.outcome(error))?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn outcome(&self, error: tokio_postgres::Error) -> Outcome {
        outcome(error, self.tells_rows)
    }
}

fn plain(texts: &[Text]) -> Vec<Option<Plain<'_>>> {
    texts
        .iter()
        .map(|text| text.as_deref().map(Plain))
        .collect()
}

/// Asks the server for TLS and checks who it is.
async fn encrypt(
    way: &Way,
    mut stream: TcpStream,
    connector: TlsConnector,
    name: String,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Outcome> {
    let broke = |error: io::Error| Outcome::Unreachable(format!("{}: {error}", way.name()));
    let server = ServerName::try_from(name.clone())
        .map_err(|_| Outcome::Misconfigured(format!("sql.server_name: {name:?} is no name")))?;
    stream.write_all(&REQUEST).await.map_err(broke)?;
    if stream.read_u8().await.map_err(broke)? != AGREED {
        return Err(Outcome::Misconfigured(format!(
            "{} has no TLS: let its DBA set ssl = on, ssl_cert_file and ssl_key_file; or write sql.in_clear_text = true where the network is trusted",
            way.name()
        )));
    }
    connector.connect(server, stream).await.map_err(|error| {
        Outcome::Misconfigured(format!(
            "{} does not prove who it is: {error}; look at ca_file, and at sql.server_name if its certificate is for another name",
            way.name()
        ))
    })
}

async fn attach<S>(config: &Config, stream: S) -> Result<Client, Outcome>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = config
        .connect_raw(Measured::new(stream), NoTls)
        .await
        .map_err(|error| match error.as_db_error() {
            Some(_) => outcome(error, false),
            None if error.to_string().contains("authentication") => {
                Outcome::Auth(format!("the database does not know us: {}", chain(&error)))
            }
            None => Outcome::Unreachable(chain(&error)),
        })?;
    tokio::spawn(async move {
        // The client's next call says what became of it.
        let _ = connection.await;
    });
    Ok(client)
}

fn chain(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn outcome(error: tokio_postgres::Error, tells_rows: bool) -> Outcome {
    let Some(said) = error.as_db_error() else {
        if error.is_closed()
            || error
                .source()
                .is_some_and(|source| source.is::<io::Error>())
        {
            return Outcome::Unknown(format!("the connection broke: {}", chain(&error)));
        }
        return Outcome::Transient(chain(&error));
    };
    let mut words = said.message().to_owned();
    let meaning = meaning_of(said.code());
    if meaning == Meaning::Rejected
        && tells_rows
        && let Some(detail) = said.detail()
    {
        words = format!("{words}: {detail}");
    }
    meaning.outcome(words, said.code().code())
}

fn meaning_of(state: &SqlState) -> Meaning {
    match state {
        &SqlState::ADMIN_SHUTDOWN
        | &SqlState::CRASH_SHUTDOWN
        | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Meaning::Lost,
        other => meaning_of_state(other.code()),
    }
}
