//! An ordinary session, for questions beside the stream: it takes none of the few places that the server has for replicas (`max_wal_senders`).

use std::time::Duration;

use dray_adapter::secret;
use tokio::time::timeout;
use tokio_postgres::{Config, Error, NoTls, SimpleQueryMessage};

use super::config::PostgresConfig;
use crate::reader::Trouble;
use crate::relay::Relay;

/// How long a connection and its question may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The first row of an answer; `None`: it has none.
pub(super) async fn ask(
    config: &PostgresConfig,
    sql: &str,
) -> Result<Option<Vec<Option<String>>>, Trouble> {
    let server = format!("{}:{}", config.host, config.port);
    match timeout(ANSWER_MAX, asked(config, sql)).await {
        Ok(answer) => answer?.map_err(|error| trouble(&server, &error)),
        Err(_) => Err(Trouble::Passing(format!(
            "the server {server} did not answer within {} s",
            ANSWER_MAX.as_secs()
        ))),
    }
}

async fn asked(
    config: &PostgresConfig,
    sql: &str,
) -> Result<Result<Option<Vec<Option<String>>>, Error>, Trouble> {
    let relay = match &config.tls {
        None => None,
        Some(tls) => Some(Relay::start(&config.host, config.port, tls).await?),
    };
    let host = relay
        .as_ref()
        .map_or_else(|| config.host.clone(), Relay::host);
    let mut to = Config::new();
    to.host(host)
        .port(config.port)
        .dbname(&config.database)
        .user(&config.user)
        .application_name("dray-agent");
    if let Some(file) = &config.password_file {
        to.password(secret::read("password_file", file).map_err(Trouble::Passing)?);
    }
    let (client, connection) = match to.connect(NoTls).await {
        Ok(both) => both,
        Err(error) => return Ok(Err(error)),
    };
    // It ends with the client, which ends here.
    let told = tokio::select! {
        told = client.simple_query(sql) => told,
        Err(error) = connection => return Ok(Err(error)),
    };
    Ok(told.map(|told| {
        told.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|at| row.get(at).map(str::to_owned));
                Some(cells.collect())
            }
            _ => None,
        })
    }))
}

fn trouble(server: &str, error: &Error) -> Trouble {
    let said = match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.to_string(),
    };
    Trouble::Passing(format!("the server {server}: {said}"))
}
