//! A session with a server: made, asked what it must say, and brought to the stream.

use std::time::Duration;

use dray_adapter::{GapReason, GapReport, secret};
use pgwire_replication::{IdentifySystem, Lsn, ReplicationClient, ReplicationConfig};
use tracing::{info, warn};

use super::answer::{answered, query, text};
use super::config::PostgresConfig;
use super::facts::{Facts, Slot};
use super::gap;
use super::look::look;
use super::place::Place;
use super::progress::Load;
use super::slot::{Course, Gap, course};
use super::timeline::{self, Left, came_so, read_history};
use super::{plain, published, sql};
use crate::policy::OnGap;
use crate::reader::Trouble;
use crate::relay::Relay;

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
        let mut place = facts.begins(&names.slot, end);
        place.set_load(config.first_load.then(Load::default));
        place
    };
    let course = course(&names.slot, &config.database, place.as_ref(), facts);
    let told = match found.is_published {
        true => Some(published::ask(config, names).await?),
        false => None,
    };
    let mut settled = match course {
        Course::Make => {
            // A slot knows a publication only if that was there before it.
            if !found.is_published {
                publish(config, names).await?;
            }
            (fresh(make(config, names).await?), None)
        }
        Course::Begin(at) => (fresh(at), None),
        Course::GoOn(at) => match place {
            Some(place) => match told
                .as_ref()
                .and_then(|told| place.published.differs(told, &config.tables))
            {
                Some(what) => {
                    let sentence = format!(
                        "{what}: what changed meanwhile may not have been told by the publication {}",
                        names.publication
                    );
                    let what = Gap {
                        reason: GapReason::NotTold,
                        sentence,
                        read_through: at,
                    };
                    let bridged = gap::bridge(config, names, Some(place), &found, what).await?;
                    (bridged.0, Some(bridged.1))
                }
                None => (gone_on(place, at, facts), None),
            },
            None => (fresh(at), None),
        },
        Course::Gap(what) => {
            let (place, said) = gap::bridge(config, names, place, &found, what).await?;
            (place, Some(said))
        }
        Course::Wrong(said) => return Err(Trouble::Person(said)),
    };
    settled.0.published = match told {
        Some(told) => told,
        // It was made just now.
        None => published::ask(config, names).await?,
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
fn gone_on(mut place: Place, at: Lsn, facts: &Facts) -> Place {
    if !facts.is_line_of(&place) {
        info!(
            before = place.timeline,
            now = facts.timeline,
            end = %place.end,
            at = %at,
            "another server took over, and has all that was read"
        );
    }
    place.timeline = facts.timeline;
    // What an older agent did not keep is taken as it is now.
    if !facts.history.is_empty() || facts.timeline == 1 {
        place.came = timeline::kept(&facts.history);
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
    // In this order: what takes over between the two is on its new timeline by the second.
    let stood = query(config, client, sql::IS_STANDBY).await?;
    let is_standby = stood.first().and_then(|row| text(row, 0)) == Some("t");
    let identity = identify(config, client).await?;
    let mut is_same =
        (&identity.system_id, identity.timeline) == (&place.system, place.timeline) && !is_standby;
    if is_same && !place.came.is_empty() {
        let history = history(config, client, identity.timeline).await?;
        is_same = came_so(place, &history);
    }
    match is_same {
        true => Ok(()),
        false => Err(Trouble::Passing(
            "another server took over while this one was asked: it is asked anew".into(),
        )),
    }
}

/// The timelines before the server's own.
///
/// # Errors
/// Also that the server has lost that file.
pub(super) async fn history(
    config: &PostgresConfig,
    client: &mut ReplicationClient,
    timeline: u32,
) -> Result<Vec<Left>, Trouble> {
    // The first one has none before it.
    if timeline <= 1 {
        return Ok(Vec::new());
    }
    let rows = query(config, client, &format!("TIMELINE_HISTORY {timeline}")).await;
    match rows {
        Ok(rows) => {
            let content = rows.first().and_then(|row| text(row, 1));
            read_history(content.unwrap_or_default()).map_err(Trouble::Person)
        }
        // undefined_file
        Err(Trouble::Passing(said)) if said.contains("58P01") => {
            let server = format!("{}:{}", config.host, config.port);
            Err(Trouble::Person(timeline::lost(&server, timeline)))
        }
        Err(trouble) => Err(trouble),
    }
}

/// Where the server's log ends now.
pub(super) async fn log_end(config: &PostgresConfig) -> Result<Lsn, Trouble> {
    let row = plain::ask(config, sql::LOG_END).await?;
    let end = row.and_then(|row| row.into_iter().next().flatten());
    let end = end.and_then(|end| Lsn::parse(&end).ok());
    end.ok_or_else(|| Trouble::Passing("the server does not say where its log ends".into()))
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
