//! MariaDB and MySQL.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, OptsBuilder, Params, Row, SslOpts, Value};
use tokio::time::timeout;

use super::dialect::ROWS;
use super::fault::meaning_of_code;
use super::session::Text;
use super::way::Way;
use crate::connectors::http::CONNECT_MAX;
use crate::outcome::Outcome;

/// The largest packet that is sent; the server's own limit is told with an error, and the delivery is halved.
const PACKET_BYTES_MAX: usize = 1 << 30;
/// Seconds that the server keeps a session of ours that says nothing: longer than we do.
const WAIT_TIMEOUT_S: u64 = 300;

/// A session.
#[derive(Debug)]
pub(super) struct MySql(Conn);

impl MySql {
    pub(super) async fn connect(way: &Way, wait: Duration) -> Result<Self, Outcome> {
        let (host, port) = way.config.server().unwrap_or_default();
        let wait_s = wait.as_secs().max(1);
        let options = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(way.config.user.clone()))
            .pass(way.password().await?)
            .db_name(Some(way.config.database.clone()))
            .prefer_socket(false)
            .ssl_opts(way.tls.is_some().then(|| tls(way)))
            .max_allowed_packet(Some(PACKET_BYTES_MAX))
            .wait_timeout(Some(WAIT_TIMEOUT_S as usize))
            .stmt_cache_size(ROWS.len() * 4)
            .setup(vec![
                "SET NAMES utf8mb4".to_owned(),
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
                // Strict: what a column cannot hold is refused.
                format!(
                    "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', innodb_lock_wait_timeout = {wait_s}, wait_timeout = {}",
                    WAIT_TIMEOUT_S.max(wait_s * 2)
                ),
            ]);
        match timeout(CONNECT_MAX, Conn::new(options)).await {
            Ok(Ok(conn)) => Ok(Self(conn)),
            Ok(Err(Error::Server(error))) => Err(outcome(Error::Server(error))),
            Ok(Err(error)) => {
                let said = format!("no connection to {}: {error}", way.name());
                match is_tls(&error) {
                    true => Err(Outcome::Misconfigured(format!(
                        "{said}; look at ca_file, at sql.server_name if the certificate is for another name, and at the server's ssl_cert"
                    ))),
                    false => Err(Outcome::Unreachable(said)),
                }
            }
            Err(_) => Err(Outcome::Unreachable(format!(
                "{} does not answer",
                way.name()
            ))),
        }
    }

    pub(super) async fn plain(&mut self, sql: &str) -> Result<(), Outcome> {
        self.0.query_drop(sql).await.map_err(outcome)
    }

    pub(super) async fn run(&mut self, sql: &str, texts: Vec<Text>) -> Result<u64, Outcome> {
        let done = self.0.exec_drop(sql, parameters(texts)).await;
        done.map_err(outcome)?;
        Ok(self.0.affected_rows())
    }

    pub(super) async fn ask(
        &mut self,
        sql: &str,
        texts: Vec<Text>,
    ) -> Result<Vec<Vec<Text>>, Outcome> {
        let rows: Vec<Row> = self.0.exec(sql, parameters(texts)).await.map_err(outcome)?;
        let text = |value: Value| match value {
            Value::NULL => None,
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
        };
        let texts = |mut row: Row| {
            (0..row.len())
                .map(|at| row.take(at).and_then(text))
                .collect()
        };
        Ok(rows.into_iter().map(texts).collect())
    }
}

/// The server's name is checked; what is trusted is what other targets trust.
fn tls(way: &Way) -> SslOpts {
    let mut roots: Vec<_> = rustls_native_certs::load_native_certs()
        .certs
        .into_iter()
        .map(|certificate| certificate.to_vec().into())
        .collect();
    if !way.ca_file.as_os_str().is_empty() {
        roots.push(way.ca_file.clone().into());
    }
    let options = SslOpts::default()
        .with_root_certs(roots)
        .with_disable_built_in_roots(true);
    match &way.config.server_name {
        // It is checked; only the name that it is checked against is another.
        Some(name) => options.with_danger_tls_hostname_override(Some(name.clone())),
        None => options,
    }
}

fn parameters(texts: Vec<Text>) -> Params {
    if texts.is_empty() {
        return Params::Empty;
    }
    let value = |text: Text| text.map_or(Value::NULL, |text| Value::Bytes(text.into_bytes()));
    Params::Positional(texts.into_iter().map(value).collect())
}

fn is_tls(error: &Error) -> bool {
    match error {
        Error::Io(mysql_async::IoError::Tls(_)) => true,
        // rustls' own refusals come as errors of the stream.
        Error::Io(mysql_async::IoError::Io(error)) => {
            error.kind() == std::io::ErrorKind::InvalidData
        }
        Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer) => true,
        _ => false,
    }
}

fn outcome(error: Error) -> Outcome {
    match error {
        Error::Server(said) => meaning_of_code(said.code, &said.state)
            .outcome(said.message, &format!("{} ({})", said.code, said.state)),
        Error::Driver(mysql_async::DriverError::PacketTooLarge) => {
            Outcome::TooLarge("the packet is larger than the server takes".into())
        }
        other => Outcome::Unknown(format!("the connection broke: {other}")),
    }
}
