//! Reads the log: the tables' rows first if that is wanted, then what the server streams.

use std::collections::HashMap;
use std::time::Duration;

use dray_adapter::Source;
use jiff::Timestamp;
use mysql_async::binlog::events::Event as RawEvent;
use mysql_async::{BinlogStream, Conn};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::StreamExt as _;
use tracing::info;

use super::assembly::{Assembly, Step};
use super::config::MySqlConfig;
use super::event::Event;
use super::gtid::Gtids;
use super::load::{Ended, Loader, Snapshot};
use super::place::{Load, Place};
use super::session::{self, SILENCE_MAX, connect, facts, server, trouble};
use super::sql;
use super::table_map::TableMap;
use crate::reader::{Log, Talk, Told, Trouble, now_us};
use crate::source::LogSource;

/// How often a place is told behind transactions that hold nothing for us: the server drops its log some day.
const LOOKED_EVERY: Duration = Duration::from_secs(10);

/// A database whose log is read.
struct MySqlLog {
    config: MySqlConfig,
    id: u32,
}

impl MySqlConfig {
    /// The source, not opened. `flow`: its full name.
    #[must_use]
    pub fn make(&self, flow: &str) -> Box<dyn Source> {
        let log = MySqlLog {
            id: self.server_id(flow),
            config: self.clone(),
        };
        Box::new(LogSource::new(flow, log))
    }
}

impl Log for MySqlLog {
    type Place = Place;

    const THREAD: &'static str = "mysql-log";

    fn span(&self) -> tracing::Span {
        tracing::info_span!("log", host = %self.config.host, server_id = self.id)
    }

    async fn read(
        &self,
        flow: &str,
        place: Option<Place>,
        talk: &Talk<Place>,
        _: watch::Receiver<Option<Place>>,
    ) -> Result<(), Trouble> {
        let reading = Reading {
            flow,
            config: &self.config,
            id: self.id,
            talk,
        };
        tokio::select! {
            read = reading.run(place) => read,
            () = talk.closed() => Ok(()),
        }
    }
}

/// A flow that reads.
struct Reading<'r> {
    flow: &'r str,
    config: &'r MySqlConfig,
    id: u32,
    talk: &'r Talk<Place>,
}

impl Reading<'_> {
    /// Reads until the flow ends, or something is wrong.
    async fn run(&self, place: Option<Place>) -> Result<(), Trouble> {
        let mut conn = connect(self.config).await?;
        let is_maria = facts(self.config, &mut conn).await?.is_maria;
        let mut place = match place {
            Some(place) if place.at.is_maria() != is_maria => {
                return Err(Trouble::Person(
                    "the server is of another kind than before (MariaDB or MySQL): give the flow another name".into(),
                ));
            }
            Some(place) => place,
            None => {
                let mut place = Place::at(session::end(self.config, &mut conn, is_maria).await?);
                place.load = self.config.first_load.then(Load::default);
                // Nobody but us remembers where the flow began.
                let begun = Told::Looked(Box::new(place.clone()), now_us());
                if place.load.is_none() && !self.talk.tell(begun).await {
                    return Ok(());
                }
                place
            }
        };
        while let Some(load) = &place.load {
            let snapshot = Snapshot::take(self.config, is_maria).await?;
            if load.begun {
                let Some(reached) = self.stream(place, Some(&snapshot.at)).await? else {
                    return Ok(());
                };
                place = reached;
            } else {
                self.may_load(&mut conn).await?;
            }
            place.at = snapshot.at.clone();
            let mut loader = Loader::new(self.flow, self.config, self.talk, place);
            let ended = loader.read(snapshot).await?;
            place = loader.place;
            match ended {
                Ended::HeldUp => {}
                Ended::Alone => return Ok(()),
                Ended::Done => {
                    place.load = None;
                    let done = Told::Looked(Box::new(place.clone()), now_us());
                    if !self.talk.tell(done).await {
                        return Ok(());
                    }
                }
            }
        }
        self.stream(place, None).await.map(drop)
    }

    /// That a snapshot holds the tables' rows.
    async fn may_load(&self, conn: &mut Conn) -> Result<(), Trouble> {
        for table in &self.config.tables {
            let rows: Vec<(String, String)> =
                session::all(self.config, conn, &sql::engine(&table.name)).await?;
            if let Some((engine, _)) = rows.first().filter(|(_, knows)| knows != "YES") {
                return Err(Trouble::Person(format!(
                    "{} is kept by {engine}, which knows no transactions, so that its rows can't be read as they were at one place of the log: \
                     let the DBA run ALTER TABLE {} ENGINE = InnoDB; or write first_load = false",
                    table.name,
                    sql::table(&table.name)
                )));
            }
        }
        Ok(())
    }

    /// Reads the log behind a place; where it stood when all of `until` were behind it. `None`: nobody listens any more.
    async fn stream(&self, place: Place, until: Option<&Gtids>) -> Result<Option<Place>, Trouble> {
        if until.is_some_and(|until| place.at.covers(until)) && place.within.is_none() {
            return Ok(Some(place));
        }
        // Questions are asked beside the log.
        let mut conn = connect(self.config).await?;
        let charsets = session::charsets(self.config, &mut conn).await?;
        let mut stream = session::stream(self.config, self.id, &place).await?;
        info!(from = %place.at, "the log is read");
        let mut assembly = Assembly::new(self.flow, &self.config.tables, charsets, place);
        let mut looked = Looked::new();
        loop {
            let raw = tokio::select! {
                raw = self.next(&mut stream) => raw?,
                () = sleep_until(looked.due), if looked.is_news && assembly.place().is_some() => {
                    looked = Looked::new();
                    if let Some(place) = assembly.place()
                        && !self.talk.tell(Told::Looked(Box::new(place.clone()), now_us())).await
                    {
                        return Ok(None);
                    }
                    continue;
                }
            };
            let ready = match self.step(&mut assembly, &raw)? {
                Step::Nothing => continue,
                Step::Passed => {
                    looked.is_news = true;
                    None
                }
                Step::New(map) => {
                    let map = self.known(&mut conn, map).await?;
                    assembly.know(map).map_err(|reason| self.wrong(&reason))?;
                    continue;
                }
                Step::Ready(ready) => {
                    looked.is_news = false;
                    Some(ready)
                }
            };
            if let Some(ready) = ready
                && !self.talk.tell(Told::Ready(ready, now_us())).await
            {
                return Ok(None);
            }
            if let (Some(until), Some(place)) = (until, assembly.place())
                && place.at.covers(until)
            {
                return Ok(Some(place.clone()));
            }
        }
    }

    fn wrong(&self, reason: &str) -> Trouble {
        Trouble::Person(format!("the log of {}: {reason}", server(self.config)))
    }

    async fn next(&self, stream: &mut BinlogStream) -> Result<RawEvent, Trouble> {
        let event = timeout(SILENCE_MAX, stream.next()).await.map_err(|_| {
            Trouble::Passing(format!(
                "the server {} said nothing for {} s",
                server(self.config),
                SILENCE_MAX.as_secs()
            ))
        })?;
        let event = event.ok_or_else(|| {
            Trouble::Passing(format!("the server {} ended the log", server(self.config)))
        })?;
        event.map_err(|error| trouble(self.config, &error))
    }

    fn step(&self, assembly: &mut Assembly, raw: &RawEvent) -> Result<Step, Trouble> {
        let header = raw.header();
        let event = Event::read(
            header.event_type_raw(),
            header.flags_raw(),
            header.server_id(),
            raw.data(),
        );
        let committed_at = || {
            let seconds = i64::from(header.timestamp());
            Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
        };
        let step = event.and_then(|event| assembly.event(event, committed_at));
        step.map_err(|reason| self.wrong(&reason))
    }

    /// What the log does not say of a table: which of its columns of bytes are something else.
    async fn known(&self, conn: &mut Conn, mut map: TableMap) -> Result<TableMap, Trouble> {
        if !map.has_bytes() {
            return Ok(map);
        }
        let columns: Vec<(String, String)> =
            session::all(self.config, conn, &sql::columns(&map.name)).await?;
        let types: HashMap<String, String> = columns.into_iter().collect();
        map.tell_types(&types);
        Ok(map)
    }
}

/// When to say how far the log was read, though there was nothing.
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
}
