//! A session with a server: made, asked what it must say, and brought to the stream.

use std::time::Duration;

use dray_adapter::{GapReport, secret};
use pgwire_replication::{
    IdentifySystem, Lsn, PgWireError, QueryRow, ReplicationClient, ReplicationConfig,
};
use tokio::time::timeout;
use tracing::{info, warn};

use super::config::PostgresConfig;
use super::gap;
use super::look::look;
use super::place::{Load, Place};
use super::slot::{Course, Slot, course};
use super::sql;
use crate::policy::OnGap;
use crate::reader::Trouble;
use crate::relay::Relay;
use crate::words;

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
    let found = look(config, names, reads_tables, place.as_ref()).await?;
    let facts = &found.facts;
    let fresh = |end: Lsn| {
        let mut place = Place::at(&facts.system, facts.timeline, &names.slot, end);
        place.set_load(config.first_load.then(Load::default));
        place
    };
    let course = course(&names.slot, &config.database, place.as_ref(), facts);
    let settled = match course {
        Course::Make => {
            // A slot knows a publication only if that was there before it.
            if !found.is_published {
                publish(config, names).await?;
            }
            (fresh(make(config, names).await?), None)
        }
        Course::Begin(at) => (fresh(at), None),
        Course::GoOn(at) => match place {
            Some(place) => (gone_on(place, at, facts.timeline), None),
            None => (fresh(at), None),
        },
        Course::Gap(what) => {
            let (place, said) = gap::bridge(config, names, place, &found, what).await?;
            (place, Some(said))
        }
        Course::Wrong(said) => return Err(Trouble::Person(said)),
    };
    // One that is lost was made again.
    if let Some(slot) = &facts.slot
        && config.failover
        && !slot.is_lost()
    {
        let_standbys_have(config, names, slot).await?;
    }
    Ok(settled)
}

/// The flow's place in the log of a server that may have taken over.
fn gone_on(mut place: Place, at: Lsn, timeline: u32) -> Place {
    if place.timeline != timeline {
        info!(
            before = place.timeline,
            now = timeline,
            end = %place.end,
            at = %at,
            "another server took over, and has all that was read"
        );
        place.timeline = timeline;
    }
    if at < place.end {
        place.set_back(at);
    }
    place
}

/// A slot that was made before the flow was to fail over is let to standbys too.
async fn let_standbys_have(
    config: &PostgresConfig,
    names: &Names,
    slot: &Slot,
) -> Result<(), Trouble> {
    if slot.failover {
        return Ok(());
    }
    let change = sql::let_standbys_have(&names.slot);
    if !config.create {
        warn!(
            statement = change,
            "standbys don't have the flow's slot, though failover = true: let the DBA run the statement over a replication connection (psql \"dbname=... replication=database\")"
        );
        return Ok(());
    }
    let mut client = connect(config, names, Lsn::ZERO).await?;
    query(config, &mut client, &change).await?;
    info!("standbys may have the flow's slot from now on");
    Ok(())
}

/// Which server it is, and where its log ends.
pub(super) async fn identify(
    config: &PostgresConfig,
    client: &mut ReplicationClient,
) -> Result<IdentifySystem, Trouble> {
    answered(config, client.identify_system()).await
}

/// That a session is with the server on whose timeline a place is: an address may lead to another one from one connection to the next.
pub(super) async fn is_same(
    config: &PostgresConfig,
    client: &mut ReplicationClient,
    place: &Place,
) -> Result<(), Trouble> {
    let identity = identify(config, client).await?;
    match (&identity.system_id, identity.timeline) == (&place.system, place.timeline) {
        true => Ok(()),
        false => Err(Trouble::Passing(
            "another server took over while this one was asked: it is asked anew".into(),
        )),
    }
}

/// Where the server's log ends now.
pub(super) async fn log_end(config: &PostgresConfig, names: &Names) -> Result<Lsn, Trouble> {
    let mut client = connect(config, names, Lsn::ZERO).await?;
    Ok(identify(config, &mut client).await?.xlogpos)
}

/// Opens the stream behind a place, of which the server may only be told up to `appended`.
pub(super) async fn stream(
    config: &PostgresConfig,
    names: &Names,
    place: &Place,
    appended: Lsn,
) -> Result<ReplicationClient, Trouble> {
    let mut client = connect_at(config, names, place.end, appended).await?;
    is_same(config, &mut client, place).await?;
    let started = async {
        client.start().await?;
        client.wait_started().await
    };
    answered(config, started).await?;
    Ok(client)
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
    let make = sql::make_slot(&names.slot, config.failover);
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

pub(super) fn text(row: &QueryRow, at: usize) -> Option<&str> {
    let bytes = row.get(at)?.as_ref()?;
    std::str::from_utf8(bytes).ok()
}

pub(super) async fn connect(
    config: &PostgresConfig,
    names: &Names,
    start: Lsn,
) -> Result<ReplicationClient, Trouble> {
    connect_at(config, names, start, Lsn::ZERO).await
}

/// `appended`: what the server is told until it is told more; zero tells it nothing.
async fn connect_at(
    config: &PostgresConfig,
    names: &Names,
    start: Lsn,
    appended: Lsn,
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
    .with_ack_lsn(appended)
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
    let said = words::of(&error.to_string());
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
        // insufficient_privilege.
        () if has("permission denied for table") => {
            "; let its owner run GRANT SELECT ON the table TO the flow's user;"
        }
        () => "",
    };
    Trouble::Passing(format!("the server {server}: {said}{way_out}"))
}
