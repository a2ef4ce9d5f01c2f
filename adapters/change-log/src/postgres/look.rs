//! What a server says before anything is read or made there.

use pgwire_replication::{Lsn, QueryRow, ReplicationClient};

use super::config::PostgresConfig;
use super::place::Place;
use super::session::{Names, connect, query, text};
use super::slot::{Facts, Slot};
use super::sql;
use super::timeline::{Left, read_history};
use crate::reader::Trouble;

/// The version from which on standbys may have slots.
const FAILOVER_VERSION: u32 = 170_000;

/// What was found.
pub(super) struct Found {
    pub(super) facts: Facts,
    /// The publication is there, with all tables.
    pub(super) is_published: bool,
    /// Slots may keep so much of the log that the server's disk is full.
    pub(super) keeps_all: bool,
    /// Slots of standbys, in words; empty: none.
    pub(super) standbys: String,
    /// Standbys may have our slot: the server is new enough.
    pub(super) can_fail_over: bool,
    /// The log is told only when standbys have it.
    pub(super) waits_for_standbys: bool,
}

/// What the server says of itself, of the slot and of the publication.
/// `reads_tables`: their rows are to be read, too. `place`: where the flow stands.
pub(super) async fn look(
    config: &PostgresConfig,
    names: &Names,
    reads_tables: bool,
    place: Option<&Place>,
) -> Result<Found, Trouble> {
    let mut client = connect(config, names, Lsn::ZERO).await?;
    let identity = super::session::identify(config, &mut client).await?;
    let server = Server::ask(config, &mut client).await?;
    server.is_fit(config)?;
    let history = match place {
        Some(place) if place.timeline != identity.timeline => {
            history(config, &mut client, identity.timeline).await?
        }
        _ => Vec::new(),
    };
    if reads_tables {
        for table in &config.tables {
            may_read(config, &mut client, &table.name).await?;
        }
    }
    let slots = query(config, &mut client, &sql::slot(&names.slot)).await?;
    let slot = slots.first().map(read_slot).transpose();
    let slot = slot.map_err(Trouble::Person)?;
    let is_published = is_published(config, names, &mut client, reads_tables).await?;
    if !is_published && slot.is_some() {
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
            history,
            end: identity.xlogpos,
            slot,
        },
        is_published,
        keeps_all: server.slots_keep == "-1",
        standbys: server.standbys,
        can_fail_over: server.version >= FAILOVER_VERSION,
        waits_for_standbys: !server.waits_for.is_empty(),
    })
}

/// What a server says of itself.
struct Server {
    version: u32,
    is_standby: bool,
    level: String,
    slots_keep: String,
    waits_for: String,
    standbys: String,
}

impl Server {
    async fn ask(config: &PostgresConfig, client: &mut ReplicationClient) -> Result<Self, Trouble> {
        let rows = query(config, client, sql::SERVER).await?;
        let column = |at| {
            let found = rows.first().and_then(|row| text(row, at));
            found.unwrap_or_default().to_owned()
        };
        Ok(Self {
            version: column(0).parse().unwrap_or(0),
            is_standby: column(1) == "t",
            level: column(2),
            slots_keep: column(3),
            waits_for: column(4),
            standbys: column(5),
        })
    }

    fn is_fit(&self, config: &PostgresConfig) -> Result<(), Trouble> {
        if self.is_standby {
            return Err(Trouble::Passing(format!(
                "the server {}:{} is a standby: the flow waits until it has taken over; if it is not to, let host and port lead to the server that is written to",
                config.host, config.port
            )));
        }
        if self.level != "logical" {
            return Err(Trouble::Person(format!(
                "the server's wal_level is {}: let the DBA run ALTER SYSTEM SET wal_level = 'logical'; and restart the server",
                self.level
            )));
        }
        if config.failover && self.version < FAILOVER_VERSION {
            return Err(Trouble::Person(format!(
                "failover = true needs PostgreSQL 17 or later, and the server is version {}: without it the slot is gone where a standby takes over, and the flow says so as on_gap says; leave failover out",
                self.version / 10_000
            )));
        }
        Ok(())
    }
}

/// The timelines before the server's own. None where the server has lost that file: then nothing goes on from them.
async fn history(
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
        Err(Trouble::Passing(said)) if said.contains("58P01") => Ok(Vec::new()),
        Err(trouble) => Err(trouble),
    }
}

/// Whether the publication is there. What there is must fit.
async fn is_published(
    config: &PostgresConfig,
    names: &Names,
    client: &mut ReplicationClient,
    reads_tables: bool,
) -> Result<bool, Trouble> {
    let published = query(config, client, &sql::published(&names.publication)).await?;
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
    let publishes = query(config, client, &sql::publishes(&names.publication)).await?;
    if let (true, Some(row)) = (reads_tables, publishes.first())
        && (text(row, 0), text(row, 1)) != (Some("t"), Some("f"))
    {
        return Err(Trouble::Person(format!(
            "the publication {} leaves out rows, columns or kinds of changes: a first load would read what the log does not tell of. Let its owner make it whole, \
             or write first_load = false",
            names.publication
        )));
    }
    Ok(!published.is_empty())
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
        lost_by: column(4),
        failover: column(5) == "true",
    })
}
