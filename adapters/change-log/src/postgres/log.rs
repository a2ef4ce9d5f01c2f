//! Reads the log: the tables' rows first if that is wanted, then what the server streams.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use dray_adapter::{Heartbeat, IdScope, KeptLog, Report, Source};
use jiff::Timestamp;
use pgwire_replication::{Lsn, ReplicationClient, ReplicationEvent};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

use super::DATABASE;
use super::again::Reader;
use super::answer::trouble;
use super::assembly::Assembly;
use super::config::PostgresConfig;
use super::kept;
use super::kinds::Kinds;
use super::load::Loader;
use super::place::Place;
use super::published;
use super::session::{self, Names};
use crate::again::{Join, Joined as _, Pump};
use crate::columns::TableConfig;
use crate::reader::{Log, Place as _, Ready, Talk, Told, Trouble, now_us, scope_of_said};
use crate::shapes::Shapes;
use crate::silence::{END_ASKED_MAX, Looked, Silence};
use crate::source::LogSource;
use crate::watch::Watch;

/// Microseconds from 1970 to 2000, from which PostgreSQL counts.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// A database whose log is read.
struct PostgresLog {
    config: PostgresConfig,
    names: Names,
    own: PathBuf,
    kept: Arc<KeptLog>,
    watched: Once,
}

impl PostgresConfig {
    /// The source, not opened. `flow`: its full name, of which the last part names slot and publication. `own`: a folder of its own, which
    /// need not be there.
    #[must_use]
    pub fn make(&self, flow: &str, own: &Path) -> Box<dyn Source> {
        let name = flow.rsplit('/').next().unwrap_or(flow);
        let log = PostgresLog {
            names: Names::of(self, name),
            config: self.clone(),
            own: own.to_owned(),
            kept: Arc::default(),
            watched: Once::new(),
        };
        Box::new(LogSource::new(flow, log))
    }
}

impl Log for PostgresLog {
    type Place = Place;

    const THREAD: &'static str = "postgres-log";

    fn tables(&self) -> &[TableConfig] {
        &self.config.tables
    }

    fn kept_log(&self) -> Option<Arc<KeptLog>> {
        Some(Arc::clone(&self.kept))
    }

    fn watch_kept(&self) {
        self.watched
            .call_once(|| kept::watch(&self.config, &self.names, self.span(), &self.kept));
    }

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
        let reading = Reading {
            flow,
            config: &self.config,
            names: &self.names,
            own: &self.own,
            talk,
        };
        reading.run(place, confirmed).await
    }
}

/// A flow that reads.
struct Reading<'r> {
    flow: &'r str,
    config: &'r PostgresConfig,
    names: &'r Names,
    own: &'r Path,
    talk: &'r Talk<Place>,
}

/// A stream that is open.
struct Begun {
    client: ReplicationClient,
    assembly: Assembly,
    /// Where it begins.
    place: Place,
    is_behind_gap: bool,
}

impl Reading<'_> {
    /// Goes to where the flow stood, reads what the tables hold if that is wanted, and opens the stream; `None`: nobody listens any more.
    async fn begin(
        &self,
        place: Option<Place>,
        confirmed: &watch::Receiver<Option<Place>>,
    ) -> Result<Option<Begun>, Trouble> {
        let (place, gap) = session::settle(self.config, self.names, place).await?;
        let is_behind_gap = gap.is_some();
        if let Some(gap) = gap {
            warn!(
                gap = gap.sentence,
                from = gap.from,
                to = gap.to,
                "a part of the log is gone"
            );
            let scope = self.scope(&["gap", &place.system, &gap.from, &gap.to, &place.fork]);
            if !self.talk.say(scope, Report::Gap(gap), &place).await {
                return Ok(None);
            }
        }
        let mut kinds = Kinds::default();
        let mut watch = Watch::new(DATABASE, &self.config.tables, Shapes::kept_in(self.own));
        let loaded = match place.load() {
            Some(_) => {
                let known = (&mut kinds, &mut watch);
                let loader =
                    Loader::new(self.flow, self.config, self.names, place, self.talk, known);
                loader.run().await?
            }
            None => Some(place),
        };
        let Some(place) = loaded else {
            return Ok(None);
        };
        let appended = confirmed.borrow().clone();
        let appended = appended.and_then(|appended| appended.confirms(&place, is_behind_gap));
        let appended = appended.unwrap_or(Lsn::ZERO);
        let client = session::stream(self.config, self.names, &place, appended).await?;
        info!(from = %place.end, "the log is read");
        self.talk.is_well();
        let known = (kinds, watch);
        let assembly = Assembly::new(self.flow, &self.config.tables, known, place.clone());
        Ok(Some(Begun {
            client,
            assembly,
            place,
            is_behind_gap,
        }))
    }

    fn scope(&self, parts: &[&str]) -> IdScope {
        scope_of_said(self.flow, DATABASE, parts)
    }

    /// Says that there was nothing to say; whether anybody listens.
    async fn beat(&self, place: &Place, heard_us: i64) -> bool {
        // It may be asked in vain: whether the server is well is the stream's to say.
        let end = session::log_end(self.config);
        let end = timeout(END_ASKED_MAX, end).await;
        let end = end.ok().and_then(Result::ok);
        let position = place.written().to_string();
        let scope = self.scope(&["heartbeat", &position, &now_us().to_string()]);
        let heartbeat = Heartbeat {
            database: DATABASE,
            heard_us,
            end: end.map_or_else(String::new, |end| end.to_string()),
            behind_bytes: end.map_or(0, |end| end.as_u64().saturating_sub(place.end.as_u64())),
            position,
        };
        self.talk
            .say(scope, Report::Heartbeat(heartbeat), place)
            .await
    }

    /// Reads until the flow ends, or something is wrong.
    async fn run(
        &self,
        place: Option<Place>,
        mut confirmed: watch::Receiver<Option<Place>>,
    ) -> Result<(), Trouble> {
        let talk = self.talk;
        let server = self.server();
        let begun = tokio::select! {
            begun = self.begin(place, &confirmed) => begun?,
            () = talk.closed() => return Ok(()),
        };
        let Some(Begun {
            mut client,
            mut assembly,
            place: begins,
            is_behind_gap,
        }) = begun
        else {
            return Ok(());
        };
        let mut altered = published::watch(self.config, self.names, &begins.published);
        let mut looked = Looked::new();
        let mut silence = Silence::new(self.config.heartbeat_every);
        let mut heard_us = now_us();
        let mut pump = Pump::new(
            self.flow,
            Reader::new(self.config, self.names, &begins),
            talk,
        );
        loop {
            if !pump.step(&mut assembly, talk).await? {
                return Ok(());
            }
            let has_room = assembly.join().as_ref().is_none_or(Join::has_room);
            let event = tokio::select! {
                event = client.recv(), if has_room => event,
                news = pump.next(talk) => {
                    if !pump.take(news, &mut assembly, talk).await {
                        return Ok(());
                    }
                    continue;
                }
                Ok(()) = confirmed.changed() => {
                    let place = confirmed.borrow_and_update();
                    let place = place.as_ref();
                    if let Some(end) = place.and_then(|place| place.confirms(&begins, is_behind_gap)) {
                        client.update_applied_lsn(end);
                    }
                    continue;
                }
                () = sleep_until(looked.due), if looked.is_news && assembly.place().is_some() => {
                    looked.told();
                    if let Some(place) = assembly.place()
                        && !pump.tell(talk, Told::Looked(Box::new(place.clone()), now_us())).await
                    {
                        return Ok(());
                    }
                    continue;
                }
                () = silence.lasts(), if assembly.place().is_some() => {
                    silence.broken();
                    if let Some(place) = assembly.place()
                        && !pump.beside(self.beat(place, heard_us)).await
                    {
                        return Ok(());
                    }
                    continue;
                }
                Some(Ok(what)) = altered.join_next() => {
                return Err(Trouble::Passing(format!("{what}: the log is looked at anew")));
            }
                () = talk.closed() => return Ok(()),
            };
            let event = event.map_err(|error| trouble(&server, &error))?;
            let Some(event) = event else {
                return Err(Trouble::Passing(format!(
                    "the server {server} ended the stream"
                )));
            };
            heard_us = now_us();
            let ready = self.take(&mut assembly, &mut looked, event).await?;
            if let Some(ready) = ready {
                if !pump
                    .tell(talk, Told::Ready(Box::new(ready), now_us()))
                    .await
                {
                    return Ok(());
                }
                silence.broken();
            }
        }
    }

    /// Takes what the server said; what is to be appended then.
    async fn take(
        &self,
        assembly: &mut Assembly,
        looked: &mut Looked,
        event: ReplicationEvent,
    ) -> Result<Option<Ready<Place>>, Trouble> {
        let wrong =
            |reason: String| Trouble::Person(format!("the log of {}: {reason}", self.server()));
        Ok(match event {
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
                if let Some(relation) = assembly.undescribed(&data).map_err(wrong)? {
                    let kinds = assembly.kinds();
                    kinds.learn(self.config, self.names, &relation).await?;
                }
                assembly.message(&data).map_err(wrong)?;
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
        })
    }

    fn server(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
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
