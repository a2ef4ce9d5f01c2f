//! A session with a server: made, asked what it must say, and brought to the stream.

use std::time::Duration;

use dray_adapter::{GapReport, secret};
use pgwire_replication::{Lsn, PgWireError, QueryRow, ReplicationClient, ReplicationConfig};
use tokio::time::timeout;

use super::config::PostgresConfig;
use super::gap;
use super::place::{Load, Place};
use super::slot::{Course, Facts, Slot, course};
use super::sql;
use crate::policy::OnGap;
use crate::reader::Trouble;
use crate::relay::Relay;

/// How long a connection and each question may take. A slot waits for transactions that are open where it is made.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The same of rows of a table, and of a snapshot, which waits for transactions that are open: the server gives up a little earlier.
const LONG_ANSWER_MAX: Duration = Duration::from_secs(600);
/// How values are written, whatever the server's and the role's settings are; and that rows are refused, not left out, where a policy hides
/// them.
const SETTINGS: &str = "-c client_encoding=UTF8 -c DateStyle=ISO -c IntervalStyle=iso_8601 -c TimeZone=UTC -c extra_float_digits=1 -c bytea_output=hex -c row_security=off";
/// How often the server is told what is confirmed, and that we live.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// Messages that wait for us: they are bounded by their number alone, and one holds a row.
const MESSAGES_MAX: usize = 512;

/// What the flow's name makes of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) slot: String,
    pub(super) publication: String,
}

impl Names {
    /// `flow`: its name without the site's.
    pub(super) fn of(config: &PostgresConfig, flow: &str) -> Self {
        Self {
            slot: config.slot(flow),
            publication: config.publication(flow),
        }
    }
}

/// Where the flow goes on: behind `place`, or where the slot begins, which is made if need be. With what is to be said of a gap between the
/// two.
pub(super) async fn settle(
    config: &PostgresConfig,
    names: &Names,
    place: Option<Place>,
) -> Result<(Place, Option<GapReport>), Trouble> {
    let reads_tables = match &place {
        None => config.first_load,
        Some(place) => place.load().is_some() || config.on_gap == OnGap::LoadAgain,
    };
    let found = look(config, names, reads_tables).await?;
    let facts = &found.facts;
    let fresh = |end: Lsn| {
        let mut place = Place::at(&facts.system, facts.timeline, &names.slot, end);
        place.set_load(config.first_load.then(Load::default));
        place
    };
    let place = match course(&names.slot, &config.database, place.as_ref(), facts) {
        Course::Make => {
            // A slot knows a publication only if that was there before it.
            if !found.is_published {
                publish(config, names).await?;
            }
            fresh(make(config, names).await?)
        }
        Course::Begin(at) => fresh(at),
        Course::GoOn => place.unwrap_or_else(|| fresh(Lsn::ZERO)),
        Course::Gap(reason, said) => {
            let bridged = gap::bridge(config, names, place, &found, (reason, said)).await?;
            return Ok((bridged.0, Some(bridged.1)));
        }
        Course::Wrong(said) => return Err(Trouble::Person(said)),
    };
    Ok((place, None))
}

/// Where the server's log ends now.
pub(super) async fn log_end(config: &PostgresConfig, names: &Names) -> Result<Lsn, Trouble> {
    let mut client = connect(config, names, Lsn::ZERO).await?;
    let identity = answered(config, client.identify_system()).await?;
    Ok(identity.xlogpos)
}

/// Opens the stream behind a place.
pub(super) async fn stream(
    config: &PostgresConfig,
    names: &Names,
    place: &Place,
) -> Result<ReplicationClient, Trouble> {
    let mut client = connect(config, names, place.end).await?;
    let started = async {
        client.start().await?;
        client.wait_started().await
    };
    answered(config, started).await?;
    Ok(client)
}

/// What a server says before anything is made there.
pub(super) struct Found {
    pub(super) facts: Facts,
    /// The publication is there, with all tables.
    pub(super) is_published: bool,
    /// Slots may keep so much of the log that the server's disk is full.
    pub(super) keeps_all: bool,
}

/// What the server says of itself, of the slot and of the publication.
/// `reads_tables`: their rows are to be read, too.
pub(super) async fn look(
    config: &PostgresConfig,
    names: &Names,
    reads_tables: bool,
) -> Result<Found, Trouble> {
    let mut client = connect(config, names, Lsn::ZERO).await?;
    let identity = answered(config, client.identify_system()).await?;
    let level = show(config, &mut client, "wal_level").await?;
    if level != "logical" {
        return Err(Trouble::Person(format!(
            "the server's wal_level is {level}: let the DBA run ALTER SYSTEM SET wal_level = 'logical'; and restart the server"
        )));
    }
    if reads_tables {
        for table in &config.tables {
            may_read(config, &mut client, &table.name).await?;
        }
    }
    let slots = query(config, &mut client, &sql::slot(&names.slot)).await?;
    let slot = slots.first().map(read_slot).transpose();
    let slot = slot.map_err(Trouble::Person)?;
    let published = query(config, &mut client, &sql::published(&names.publication)).await?;
    let has = |table: &str| published.iter().any(|row| text(row, 0) == Some(table));
    let tables = config.tables.iter().map(|table| table.name.as_str());
    let missing: Vec<_> = tables.filter(|table| !has(table)).collect();
    if let (false, Some(table)) = (published.is_empty(), missing.first()) {
        return Err(Trouble::Person(format!(
            "the publication {} lacks {}: let its owner run: ALTER PUBLICATION {} ADD TABLE {};",
            names.publication,
            missing.join(", "),
            sql::name(&names.publication),
            sql::table(table)
        )));
    }
    let publishes = query(config, &mut client, &sql::publishes(&names.publication)).await?;
    if let (true, Some(row)) = (reads_tables, publishes.first())
        && (text(row, 0), text(row, 1)) != (Some("t"), Some("f"))
    {
        return Err(Trouble::Person(format!(
            "the publication {} leaves out rows, columns or kinds of changes: a first load would read what the log does not tell of. Let its owner make it whole, \
             or write first_load = false",
            names.publication
        )));
    }
    if published.is_empty() && slot.is_some() {
        return Err(Trouble::Person(format!(
            "there is a replication slot {}, and no publication {} that was there before it: drop the slot (SELECT pg_drop_replication_slot({});), or name the publication that it belongs to",
            names.slot,
            names.publication,
            sql::value(&names.slot)
        )));
    }
    Ok(Found {
        facts: Facts {
            system: identity.system_id,
            timeline: identity.timeline,
            slot,
        },
        is_published: !published.is_empty(),
        keeps_all: show(config, &mut client, "max_slot_wal_keep_size").await? == "-1",
    })
}

/// A setting of the server.
async fn show(
    config: &PostgresConfig,
    client: &mut ReplicationClient,
    setting: &str,
) -> Result<String, Trouble> {
    let rows = query(config, client, &format!("SHOW {setting}")).await?;
    let found = rows.first().and_then(|row| text(row, 0));
    Ok(found.unwrap_or_default().to_owned())
}

/// That the rows of a table can be read.
async fn may_read(
    config: &PostgresConfig,
    client: &mut ReplicationClient,
    table: &str,
) -> Result<(), Trouble> {
    let rows = query(config, client, &sql::may_read(table)).await?;
    let said = match rows.first().and_then(|row| text(row, 0)) {
        Some("t") => return Ok(()),
        Some(_) => format!(
            "the role {} may not read {table}: let its owner run: GRANT SELECT ON {} TO {};",
            config.user,
            sql::table(table),
            sql::name(&config.user)
        ),
        None => format!("the database {} has no table {table}", config.database),
    };
    Err(Trouble::Passing(said))
}

pub(super) async fn publish(config: &PostgresConfig, names: &Names) -> Result<(), Trouble> {
    let tables = config.tables.iter().map(|table| table.name.as_str());
    let make = sql::make_publication(&names.publication, tables);
    if !config.create {
        return Err(Trouble::Person(format!(
            "there is no publication {}: let the DBA run: {make};",
            names.publication
        )));
    }
    let mut client = connect(config, names, Lsn::ZERO).await?;
    let made = query(config, &mut client, &make).await;
    made.map(drop).map_err(|trouble| match trouble {
        Trouble::Passing(said) => Trouble::Passing(format!(
            "{said}; the publication could not be made: let the owner of the tables run: {make};"
        )),
        person @ Trouble::Person(_) => person,
    })
}

pub(super) async fn make(config: &PostgresConfig, names: &Names) -> Result<Lsn, Trouble> {
    let make = sql::make_slot(&names.slot);
    if !config.create {
        return Err(Trouble::Person(format!(
            "there is no replication slot {}: let the DBA run: {make};",
            names.slot
        )));
    }
    let mut client = connect(config, names, Lsn::ZERO).await?;
    let rows = query(config, &mut client, &make).await?;
    let at = rows.first().and_then(|row| text(row, 0));
    let at = at.and_then(|at| Lsn::parse(at).ok());
    at.ok_or_else(|| Trouble::Passing("the server did not say where the new slot begins".into()))
}

fn read_slot(row: &QueryRow) -> Result<Slot, String> {
    let column = |at| text(row, at).unwrap_or_default().to_owned();
    let confirmed = column(2);
    Ok(Slot {
        plugin: column(0),
        database: column(1),
        confirmed: match confirmed.as_str() {
            "" => Lsn::ZERO,
            at => Lsn::parse(at).map_err(|error| error.to_string())?,
        },
        wal_status: column(3),
    })
}

pub(super) fn text(row: &QueryRow, at: usize) -> Option<&str> {
    let bytes = row.get(at)?.as_ref()?;
    std::str::from_utf8(bytes).ok()
}

pub(super) async fn connect(
    config: &PostgresConfig,
    names: &Names,
    start: Lsn,
) -> Result<ReplicationClient, Trouble> {
    let password = match &config.password_file {
        None => String::new(),
        Some(file) => secret::read("password_file", file).map_err(Trouble::Passing)?,
    };
    let relay = match &config.tls {
        None => None,
        Some(tls) => Some(Relay::start(&config.host, config.port, tls).await?),
    };
    let host = relay
        .as_ref()
        .map_or_else(|| config.host.clone(), Relay::host);
    let settings = ReplicationConfig::new(
        &host,
        &config.user,
        password,
        &config.database,
        &names.slot,
        names.publication.as_str(),
    )
    .with_port(config.port)
    .with_start_lsn(start)
    .with_status_interval(STATUS_EVERY)
    .with_wakeup_interval(STATUS_EVERY)
    .with_buffer_size(MESSAGES_MAX)
    .with_options(SETTINGS)
    .with_application_name("dray-agent");
    answered(config, ReplicationClient::connect_gated(settings)).await
}

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

/// An answer of the server, or why there is none.
async fn answered<T>(
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
    let said = error.to_string();
    // Before version 16, and since.
    let is_role = ["superuser or replication role", "to start WAL sender"]
        .iter()
        .any(|words| said.contains(words));
    let has = |code: &str| said.contains(code);
    let way_out = match () {
        () if is_role => "; let the DBA run ALTER ROLE ... REPLICATION; for the flow's user",
        // invalid_password; invalid_authorization_specification: no such role, or pg_hba.conf has no line for it.
        () if has("28P01") => "; look at user and password_file",
        () if has("28000") => "; look at user, and let the DBA look at pg_hba.conf",
        // invalid_catalog_name.
        () if has("3D000") => "; look at database",
        () => "",
    };
    Trouble::Passing(format!("the server {server}: {said}{way_out}"))
}
