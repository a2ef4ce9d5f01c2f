//! What a server says before anything is read or made there.

use pgwire_replication::{IdentifySystem, Lsn, QueryRow, ReplicationClient};

use super::answer::{query, text};
use super::config::PostgresConfig;
use super::facts::{Facts, Slot};
use super::place::Place;
use super::session::{Names, connect, history, identify};
use super::sql;
use crate::reader::Trouble;

/// The oldest version that is read: those before it don't say whether a slot's log is lost.
const VERSION_MIN: u32 = 130_000;
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
    may_be_asked(config, &mut client).await?;
    let server = Server::ask(config, &mut client).await?;
    server.is_fit(config)?;
    let identity = identify(config, &mut client).await?;
    let history = match history(config, &mut client, identity.timeline).await {
        Ok(history) => history,
        // Nothing was read yet that it could be held against.
        Err(Trouble::Person(_)) if !place.is_some_and(|place| needs_history(place, &identity)) => {
            Vec::new()
        }
        Err(trouble) => return Err(trouble),
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
            end: server
                .written
                .unwrap_or(identity.xlogpos)
                .max(identity.xlogpos),
            slot,
        },
        is_published,
        keeps_all: server.slots_keep == "-1",
        standbys: server.standbys,
        can_fail_over: server.version >= FAILOVER_VERSION,
        waits_for_standbys: !server.waits_for.is_empty(),
    })
}

/// Whether it takes the server's history to know where a place stands in its log.
fn needs_history(place: &Place, identity: &IdentifySystem) -> bool {
    let is_other = place.timeline != identity.timeline || !place.came.is_empty();
    place.system == identity.system_id && is_other
}

/// That it knows what it will be asked, and is no standby. That comes before it says on which timeline it is: else it could say that as a standby
/// yet, and then take over.
async fn may_be_asked(
    config: &PostgresConfig,
    client: &mut ReplicationClient,
) -> Result<(), Trouble> {
    let rows = query(config, client, sql::VERSION).await?;
    let column = |at| rows.first().and_then(|row| text(row, at));
    let number = column(0).and_then(|number| number.parse().ok());
    if let Some(said) = too_old(number.unwrap_or(0), column(1).unwrap_or_default()) {
        return Err(Trouble::Person(said));
    }
    match column(2) {
        Some("t") => Err(Trouble::Passing(format!(
            "the server {}:{} is a standby: the flow waits until it has taken over; if it is not to, let host and port lead to the server that is written to",
            config.host, config.port
        ))),
        _ => Ok(()),
    }
}

/// That a server's version is one that can't be read; `version`: in its words.
fn too_old(number: u32, version: &str) -> Option<String> {
    let version = version.split_whitespace().next().unwrap_or_default();
    (number < VERSION_MIN).then(|| {
        format!(
            "PostgreSQL {} or newer is needed; this is {version}. Read its tables by kind = \"sql\" until it is upgraded",
            VERSION_MIN / 10_000
        )
    })
}

/// What a server says of itself.
struct Server {
    version: u32,
    level: String,
    slots_keep: String,
    waits_for: String,
    standbys: String,
    /// Where its log is written, perhaps ahead of its disk: a transaction may have seen what is written there.
    written: Option<Lsn>,
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
            level: column(1),
            slots_keep: column(2),
            waits_for: column(3),
            standbys: column(4),
            written: Lsn::parse(&column(5)).ok(),
        })
    }

    fn is_fit(&self, config: &PostgresConfig) -> Result<(), Trouble> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_told_so_and_no_other() {
        for (number, version, expected) in [
            (90_624, "9.6.24", Some("this is 9.6.24.")),
            (
                120_022,
                "12.22 (Debian 12.22-1.pgdg120+1)",
                Some("PostgreSQL 13 or newer is needed; this is 12.22."),
            ),
            (130_000, "13.0", None),
            (180_001, "18.1", None),
        ] {
            let said = too_old(number, version);
            assert_eq!(said.is_some(), expected.is_some(), "{said:?}");
            let said = said.unwrap_or_default();
            assert!(said.contains(expected.unwrap_or_default()), "{said}");
        }
    }
}
