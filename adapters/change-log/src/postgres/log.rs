//! Reads the log: the tables' rows first if that is wanted, then what the server streams.

use std::time::Duration;

use dray_adapter::Source;
use jiff::Timestamp;
use pgwire_replication::{ReplicationClient, ReplicationEvent};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::assembly::Assembly;
use super::config::PostgresConfig;
use super::load::Loader;
use super::place::Place;
use super::session::{self, Names, trouble};
use crate::reader::{Log, Talk, Told, Trouble, now_us};
use crate::source::LogSource;

/// How often a server that has nothing for us is taken at its word that it looked through its log: it may then drop it.
const LOOKED_EVERY: Duration = Duration::from_secs(10);
/// Microseconds from 1970 to 2000, from which PostgreSQL counts.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// A database whose log is read.
struct PostgresLog {
    config: PostgresConfig,
    names: Names,
}

impl PostgresConfig {
    /// The source, not opened. `flow`: its full name, of which the last part names slot and publication.
    #[must_use]
    pub fn make(&self, flow: &str) -> Box<dyn Source> {
        let name = flow.rsplit('/').next().unwrap_or(flow);
        let log = PostgresLog {
            names: Names::of(self, name),
            config: self.clone(),
        };
        Box::new(LogSource::new(flow, log))
    }
}

impl Log for PostgresLog {
    type Place = Place;

    const THREAD: &'static str = "postgres-log";

    fn span(&self) -> tracing::Span {
        tracing::info_span!("log", host = %self.config.host, slot = %self.names.slot)
    }

    async fn read(
        &self,
        flow: &str,
        place: Option<Place>,
        talk: &Talk<Place>,
        confirmed: watch::Receiver<Option<Place>>,
    ) -> Result<(), Trouble> {
        read(flow, &self.config, &self.names, place, talk, confirmed).await
    }
}

/// Goes to where the flow stood, reads what the tables hold if that is wanted, and opens the stream; `None`: nobody listens any more.
async fn begin(
    flow: &str,
    config: &PostgresConfig,
    names: &Names,
    place: Option<Place>,
    talk: &Talk<Place>,
) -> Result<Option<(ReplicationClient, Place)>, Trouble> {
    let place = session::settle(config, names, place).await?;
    let loaded = match place.load() {
        Some(_) => Loader::new(flow, config, names, place, talk).run().await?,
        None => Some(place),
    };
    let Some(place) = loaded else {
        return Ok(None);
    };
    let client = session::stream(config, names, &place).await?;
    Ok(Some((client, place)))
}

/// Reads until the flow ends, or something is wrong.
async fn read(
    flow: &str,
    config: &PostgresConfig,
    names: &Names,
    place: Option<Place>,
    talk: &Talk<Place>,
    mut confirmed: watch::Receiver<Option<Place>>,
) -> Result<(), Trouble> {
    let server = format!("{}:{}", config.host, config.port);
    let begun = tokio::select! {
        begun = begin(flow, config, names, place, talk) => begun?,
        () = talk.closed() => return Ok(()),
    };
    let Some((mut client, place)) = begun else {
        return Ok(());
    };
    info!(from = %place.end, "the log is read");
    let mut assembly = Assembly::new(flow, &config.tables, place);
    let mut looked = Looked::new();
    loop {
        let event = tokio::select! {
            event = client.recv() => event,
            Ok(()) = confirmed.changed() => {
                if let Some(place) = &*confirmed.borrow_and_update() {
                    client.update_applied_lsn(place.end);
                }
                continue;
            }
            () = sleep_until(looked.due), if looked.is_news && assembly.place().is_some() => {
                looked.told();
                if let Some(place) = assembly.place()
                    && !talk.tell(Told::Looked(Box::new(place.clone()), now_us())).await
                {
                    return Ok(());
                }
                continue;
            }
            () = talk.closed() => return Ok(()),
        };
        let event = event.map_err(|error| trouble(&server, &error))?;
        let Some(event) = event else {
            return Err(Trouble::Passing(format!(
                "the server {server} ended the stream"
            )));
        };
        let wrong = |reason: String| Trouble::Person(format!("the log of {server}: {reason}"));
        let ready = match event {
            ReplicationEvent::Begin {
                final_lsn,
                xid,
                commit_time_micros,
            } => {
                let begun = assembly.begin(final_lsn, xid, committed_at(commit_time_micros));
                begun.map_err(wrong)?;
                None
            }
            ReplicationEvent::XLogData { data, .. } => {
                if let Some(drifted) = assembly.message(&data).map_err(wrong)? {
                    let changes: Vec<_> = drifted.drifts.iter().map(ToString::to_string).collect();
                    warn!(
                        table = drifted.table,
                        changes = changes.join("; "),
                        "a table changed"
                    );
                }
                assembly.full()
            }
            ReplicationEvent::Commit { end_lsn, .. } => {
                let ready = assembly.commit(end_lsn);
                looked.news(ready.is_none());
                ready
            }
            ReplicationEvent::KeepAlive { wal_end, .. } => {
                let is_news = assembly.looked_through(wal_end);
                looked.news(looked.is_news || is_news);
                None
            }
            ReplicationEvent::Message { .. } | ReplicationEvent::StoppedAt { .. } => None,
        };
        if let Some(ready) = ready
            && !talk.tell(Told::Ready(Box::new(ready), now_us())).await
        {
            return Ok(());
        }
    }
}

/// When to say how far the server has looked, though there was nothing.
struct Looked {
    is_news: bool,
    due: Instant,
}

impl Looked {
    fn new() -> Self {
        Self {
            is_news: false,
            due: Instant::now() + LOOKED_EVERY,
        }
    }

    fn news(&mut self, is_news: bool) {
        self.is_news = is_news;
    }

    fn told(&mut self) {
        *self = Self::new();
    }
}

/// A server's time in ISO 8601; empty where it is none.
fn committed_at(micros: i64) -> String {
    let us = micros.saturating_add(EPOCH_2000_US);
    Timestamp::from_microsecond(us).map_or_else(|_| String::new(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_time_counts_from_2000() {
        assert_eq!(committed_at(0), "2000-01-01T00:00:00Z");
        assert_eq!(
            committed_at(849_082_500_000_001),
            "2026-11-27T08:15:00.000001Z"
        );
        assert_eq!(committed_at(i64::MAX), "");
    }
}
