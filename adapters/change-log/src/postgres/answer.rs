//! Questions to a server over a replication connection, and what its answers and errors mean.

use std::time::Duration;

use pgwire_replication::{PgWireError, QueryRow, ReplicationClient};
use tokio::time::timeout;

use super::config::PostgresConfig;
use crate::reader::Trouble;
use crate::words;

/// How long a connection and each question may take. A slot waits for transactions that are open where it is made.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The same of rows of a table, and of a snapshot, which waits for transactions that are open: the server gives up a little earlier.
const LONG_ANSWER_MAX: Duration = Duration::from_secs(600);

pub(super) async fn query(
    config: &PostgresConfig,
    client: &mut ReplicationClient,
    sql: &str,
) -> Result<Vec<QueryRow>, Trouble> {
    answered(config, client.simple_query(sql)).await
}

/// The same of what may take long.
pub(super) async fn query_long(
    config: &PostgresConfig,
    client: &mut ReplicationClient,
    sql: &str,
) -> Result<Vec<QueryRow>, Trouble> {
    answered_within(config, LONG_ANSWER_MAX, client.simple_query(sql)).await
}

/// A value of a row as text.
pub(super) fn text(row: &QueryRow, at: usize) -> Option<&str> {
    let bytes = row.get(at)?.as_ref()?;
    std::str::from_utf8(bytes).ok()
}

/// An answer of the server, or why there is none.
pub(super) async fn answered<T>(
    config: &PostgresConfig,
    asked: impl Future<Output = Result<T, PgWireError>>,
) -> Result<T, Trouble> {
    answered_within(config, ANSWER_MAX, asked).await
}

async fn answered_within<T>(
    config: &PostgresConfig,
    most: Duration,
    asked: impl Future<Output = Result<T, PgWireError>>,
) -> Result<T, Trouble> {
    let server = format!("{}:{}", config.host, config.port);
    match timeout(most, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(trouble(&server, &error)),
        Err(_) => Err(Trouble::Passing(format!(
            "the server {server} did not answer within {} s; look at host, port and firewalls, and for transactions that stay open",
            most.as_secs()
        ))),
    }
}

/// What an error means. Who is refused may be let in later, so only what no time mends stops the flow.
pub(super) fn trouble(server: &str, error: &PgWireError) -> Trouble {
    let said = words::of(&error.to_string());
    // Before version 16, and since.
    let is_role = ["superuser or replication role", "to start WAL sender"]
        .iter()
        .any(|words| said.contains(words));
    let has = |code: &str| said.contains(code);
    if words::is_no_utf_8(&said) {
        return Trouble::Person(format!(
            "the server {server}: {said}; a value is no UTF-8, which a database of the encoding SQL_ASCII takes: correct it in its table. If the log holds it already: correct it, \
             let the DBA drop the flow's replication slot, and write on_gap = \"load-again\""
        ));
    }
    let way_out = match () {
        // Of pgbouncer: it knows no replication connections before version 1.23, nor our settings.
        () if has("unsupported startup parameter") => {
            "; a connection pooler (pgbouncer) stands between, which does not hand on what reads the log: let host and port lead to the server itself"
        }
        // read_only_sql_transaction: also of one that became a standby meanwhile.
        () if has("25006") => {
            "; the server is a standby, or read only: let host and port lead to the server that is written to"
        }
        () if is_role => "; let the DBA run ALTER ROLE ... REPLICATION; for the flow's user",
        // invalid_password; invalid_authorization_specification: no such role, or pg_hba.conf has no line for it.
        () if has("28P01") => "; look at user and password_file",
        () if has("28000") => "; look at user, and let the DBA look at pg_hba.conf",
        // invalid_catalog_name.
        () if has("3D000") => "; look at database",
        // insufficient_privilege.
        () if has("permission denied for table") => {
            "; let its owner run GRANT SELECT ON the table TO the flow's user;"
        }
        () => "",
    };
    Trouble::Passing(format!("the server {server}: {said}{way_out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_utf_8_stops_the_flow() {
        let said = "ERROR: invalid byte sequence for encoding \"UTF8\": 0xff (22021)";
        let told = trouble("wms-db:5432", &PgWireError::Server(said.to_owned()));
        assert!(matches!(told, Trouble::Person(said) if said.contains("load-again")));
    }

    #[test]
    fn what_a_server_refuses_is_told_with_the_way_out() {
        for (said, expected) in [
            (
                "FATAL: unsupported startup parameter: replication (08P01)",
                "lead to the server itself",
            ),
            (
                "ERROR: cannot execute SELECT in a read-only transaction (25006)",
                "that is written to",
            ),
            (
                "FATAL: must be superuser or replication role to start walsender",
                "ALTER ROLE ... REPLICATION",
            ),
            ("FATAL: no such role (28000)", "pg_hba.conf"),
        ] {
            let told = trouble("wms-db:6432", &PgWireError::Server(said.into()));
            let Trouble::Passing(told) = told else {
                panic!("it may pass: {told:?}");
            };
            assert!(
                told.contains("wms-db:6432") && told.contains(expected),
                "{told}"
            );
        }
    }
}
