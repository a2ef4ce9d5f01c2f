//! A session with a server: made, asked what it must say, and brought to the log.

use std::time::Duration;

use dray_adapter::secret;
use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn, Error, OptsBuilder, Row, Sid, SslOpts};
use tokio::time::timeout;

use super::charset::Charset;
use super::config::MySqlConfig;
use super::facts::setting;
use super::gtid::Gtids;
use super::kinds::Catalogued;
use super::meaning::trouble;
use super::place::Place;
use super::sql;
use super::table_map::Charsets;
use crate::reader::Trouble;
use crate::server::TlsConfig;

/// How long a connection and each question may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The same of a question that waits for others, as a snapshot may.
pub(super) const LONG_ANSWER_MAX: Duration = Duration::from_secs(600);
/// The largest packet, which bounds a row: the server's own limit.
const PACKET_BYTES_MAX: usize = 1 << 30;
/// Seconds that the server waits for us to read on; while the flow is held up we don't.
const WRITE_TIMEOUT_S: u64 = 3_600;
/// Seconds that it keeps a session that says nothing.
const WAIT_TIMEOUT_S: usize = 86_400;
/// How often a server that has nothing new says that it lives.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// After so long without a word the connection is dead: while it has nothing, the server says so every 5 s.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);
/// TLS as its library wants it.
pub(crate) fn tls(config: &TlsConfig) -> SslOpts {
    let options = SslOpts::default()
        .with_root_certs(vec![config.ca_file.clone().into()])
        .with_disable_built_in_roots(true);
    match &config.server_name {
        // It is checked; only the name that it is checked against is another.
        Some(name) => options.with_danger_tls_hostname_override(Some(name.clone())),
        None => options,
    }
}

/// Makes a connection.
pub(super) async fn connect(config: &MySqlConfig) -> Result<Conn, Trouble> {
    let password = match &config.password_file {
        None => None,
        Some(file) => Some(secret::read("password_file", file).map_err(Trouble::Passing)?),
    };
    let socket = config.host.starts_with('/').then(|| config.host.clone());
    let host = match &socket {
        Some(_) => "localhost".to_owned(),
        None => config.host.clone(),
    };
    let options = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(config.port)
        .user(Some(config.user.clone()))
        .pass(password)
        .socket(socket)
        .prefer_socket(false)
        .ssl_opts(config.tls.as_ref().map(tls))
        .max_allowed_packet(Some(PACKET_BYTES_MAX))
        .wait_timeout(Some(WAIT_TIMEOUT_S))
        .stmt_cache_size(0)
        .setup(vec![
            "SET NAMES utf8mb4".to_owned(),
            format!(
                "SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = {WRITE_TIMEOUT_S}, wait_timeout = {WAIT_TIMEOUT_S}"
            ),
        ]);
    answered(config, ANSWER_MAX, Conn::new(options)).await
}

/// The first row of an answer.
pub(super) async fn first<T: FromRow + Send + 'static>(
    config: &MySqlConfig,
    conn: &mut Conn,
    sql: &str,
) -> Result<T, Trouble> {
    let row = answered(config, LONG_ANSWER_MAX, conn.query_first(sql)).await?;
    row.ok_or_else(|| Trouble::Passing(format!("the server has no answer to {sql}")))
}

/// All rows of a short answer.
pub(super) async fn all<T: FromRow + Send + 'static>(
    config: &MySqlConfig,
    conn: &mut Conn,
    sql: &str,
) -> Result<Vec<T>, Trouble> {
    answered(config, ANSWER_MAX, conn.query(sql)).await
}

/// A table's columns as the catalogue has them; none: there is no such table, or it may not be read.
pub(super) async fn columns(
    config: &MySqlConfig,
    conn: &mut Conn,
    table: &str,
) -> Result<Vec<Catalogued>, Trouble> {
    type Catalogue = (
        String,
        String,
        String,
        Option<u64>,
        Option<u64>,
        Option<u64>,
        Option<u64>,
        String,
    );
    let rows: Vec<Catalogue> = all(config, conn, &sql::columns(table)).await?;
    let columns = rows.into_iter().map(|row| Catalogued {
        name: row.0,
        data_type: row.1,
        column_type: row.2,
        bytes: row.3,
        precision: row.4,
        scale: row.5,
        digits: row.6,
        is_key: row.7 == "PRI",
    });
    Ok(columns.collect())
}

/// That a table can be read as its rows are.
pub(super) async fn may_read(
    config: &MySqlConfig,
    conn: &mut Conn,
    table: &str,
) -> Result<(), Trouble> {
    if columns(config, conn, table).await?.is_empty() {
        let small = table.to_lowercase();
        if small != table && setting(config, conn, "lower_case_table_names").await? == "1" {
            return Err(Trouble::Person(format!(
                "the server keeps the names of tables in small letters (lower_case_table_names = 1), in its log, too: write name = \"{small}\" instead of \"{table}\", and so in the mappings"
            )));
        }
        return Err(Trouble::Passing(format!(
            "there is no table {table} (letters large and small as they are in the database), or the user {} may not read it: let the DBA run GRANT SELECT ON {} TO {};",
            config.user,
            sql::table(table),
            account(config, conn).await?
        )));
    }
    let kind: String = first(config, conn, &sql::kind(table)).await?;
    match &*kind {
        "SYSTEM VERSIONED" => Err(Trouble::Person(format!(
            "{table} keeps its own history (system-versioned): its log shows deletions as updates, and old rows as new ones, so this version does not read it; read it by kind = \"sql\""
        ))),
        _ => Ok(()),
    }
}

/// Who the server takes the flow for, as a GRANT names it.
pub(super) async fn account(config: &MySqlConfig, conn: &mut Conn) -> Result<String, Trouble> {
    let account: String = first(config, conn, "SELECT CURRENT_USER()").await?;
    let (user, host) = account.rsplit_once('@').unwrap_or((&account, "%"));
    Ok(format!("{}@{}", sql::name(user), sql::name(host)))
}

/// That the server's log holds what happens in the schemas of these tables.
pub(super) async fn may_log(
    config: &MySqlConfig,
    conn: &mut Conn,
    is_maria: bool,
) -> Result<(), Trouble> {
    let sql = match is_maria {
        true => "SHOW MASTER STATUS",
        // MySQL 8.2 has a new name for it, and 8.4 that alone.
        false => "SHOW BINARY LOG STATUS",
    };
    let asked = answered(config, ANSWER_MAX, conn.query_first::<Row, _>(sql)).await;
    let row = match (asked, is_maria) {
        (Ok(row), _) => row,
        (Err(_), false) => {
            answered(config, ANSWER_MAX, conn.query_first("SHOW MASTER STATUS")).await?
        }
        (Err(trouble), true) => return Err(trouble),
    };
    let column = |at| row.as_ref().and_then(|row| row.get::<String, _>(at));
    let (only, not) = (column(2).unwrap_or_default(), column(3).unwrap_or_default());
    let names = |list: &str, schema: &str| list.split(',').any(|one| one == schema);
    for table in &config.tables {
        let schema = table.name.split('.').next().unwrap_or_default();
        if names(&not, schema) || (!only.is_empty() && !names(&only, schema)) {
            return Err(Trouble::Person(format!(
                "the server's log leaves out the schema {schema} (binlog_do_db, binlog_ignore_db): let the DBA take that out of its configuration, and restart it"
            )));
        }
    }
    Ok(())
}

/// What has no answer.
pub(super) async fn run(config: &MySqlConfig, conn: &mut Conn, sql: &str) -> Result<(), Trouble> {
    answered(config, LONG_ANSWER_MAX, conn.query_drop(sql)).await
}

/// All transactions of the log so far.
pub(super) async fn end(
    config: &MySqlConfig,
    conn: &mut Conn,
    is_maria: bool,
) -> Result<Gtids, Trouble> {
    let sql = match is_maria {
        true => "SELECT @@GLOBAL.gtid_binlog_pos",
        false => "SELECT @@GLOBAL.gtid_executed",
    };
    let text: String = first(config, conn, sql).await?;
    Gtids::read(&text.replace('\n', ""), is_maria).map_err(Trouble::Passing)
}

/// Character sets by the numbers of their collations.
pub(super) async fn charsets(config: &MySqlConfig, conn: &mut Conn) -> Result<Charsets, Trouble> {
    let tables = ["COLLATIONS", "COLLATION_CHARACTER_SET_APPLICABILITY"];
    let mut charsets = Charsets::new();
    for table in tables {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = '{table}' AND COLUMN_NAME = 'ID'"
        );
        let count: u64 = first(config, conn, &sql).await?;
        // MariaDB 10.10 and later have collations whose numbers stand in the second alone.
        if count > 0 {
            let sql = format!(
                "SELECT ID, CHARACTER_SET_NAME FROM information_schema.{table} WHERE ID IS NOT NULL AND CHARACTER_SET_NAME IS NOT NULL"
            );
            let rows: Vec<(u64, String)> = all(config, conn, &sql).await?;
            charsets.extend(
                rows.into_iter()
                    .map(|(id, name)| (id, Charset::named(&name))),
            );
        }
    }
    Ok(charsets)
}

/// What tells a server from the others that an address may lead to.
pub(super) async fn identity(config: &MySqlConfig, conn: &mut Conn) -> Result<String, Trouble> {
    first(
        config,
        conn,
        "SELECT CONCAT_WS(' ', @@GLOBAL.server_id, @@GLOBAL.hostname, @@GLOBAL.port)",
    )
    .await
}

/// Opens the log behind a place, and says which server it is of. `id`: the flow's number among the server's replicas.
///
/// # Errors
/// As of [`trouble`]; that the log is not there is said by the stream.
pub(super) async fn stream(
    config: &MySqlConfig,
    id: u32,
    place: &Place,
) -> Result<(BinlogStream, String), Trouble> {
    let mut conn = connect(config).await?;
    let server = identity(config, &mut conn).await?;
    let period = HEARTBEAT_EVERY.as_nanos();
    let set =
        format!("SET @master_heartbeat_period = {period}, @source_heartbeat_period = {period}");
    run(config, &mut conn, &set).await?;
    let request = BinlogStreamRequest::new(id);
    let request = match &place.at {
        Gtids::Maria(_) => {
            // The server then sends its own events; it goes on behind these transactions, and refuses if it does not have them.
            let set = format!(
                "SET @mariadb_slave_capability = 4, @slave_connect_state = '{}', @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0",
                place.at
            );
            run(config, &mut conn, &set).await?;
            request
        }
        Gtids::MySql(all) => {
            let sids = all.keys().map(|source| {
                let one = Gtids::MySql([(source.clone(), all[source].clone())].into());
                one.to_string().parse::<Sid<'static>>()
            });
            let sids: Result<Vec<_>, _> = sids.collect();
            let sids = sids.map_err(|error| Trouble::Person(error.to_string()))?;
            request.with_gtid().with_gtid_set(sids)
        }
    };
    let stream = answered(config, ANSWER_MAX, conn.get_binlog_stream(request)).await?;
    Ok((stream, server))
}

/// An answer of the server, or why there is none.
pub(super) async fn answered<T>(
    config: &MySqlConfig,
    most: Duration,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Trouble> {
    match timeout(most, asked).await {
        Ok(answer) => answer.map_err(|error| trouble(config, &error)),
        Err(_) => Err(Trouble::Passing(format!(
            "the server {} did not answer within {} s; look at host, port and firewalls, and for sessions that hold locks",
            server(config),
            most.as_secs()
        ))),
    }
}

/// The server's name in what is said.
pub(super) fn server(config: &MySqlConfig) -> String {
    match config.host.starts_with('/') {
        true => config.host.clone(),
        false => format!("{}:{}", config.host, config.port),
    }
}
