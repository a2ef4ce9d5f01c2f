//! Reads the log: the tables' rows first if that is wanted, then what the server streams.

use std::path::{Path, PathBuf};

use dray_adapter::{GapCourse, GapReason, GapReport, Heartbeat, IdScope, Report, Source};
use jiff::Timestamp;
use mysql_async::binlog::BinlogChecksumAlg;
use mysql_async::binlog::events::Event as RawEvent;
use mysql_async::{BinlogStream, Conn};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_stream::StreamExt as _;
use tracing::{info, warn};

use super::DATABASE;
use super::again::Reader;
use super::assembly::{Assembly, Step};
use super::config::MySqlConfig;
use super::event::Event;
use super::gtid::Gtids;
use super::load::{Ended, Loader, Snapshot};
use super::place::{Load, Place};
use super::session::{self, SILENCE_MAX, connect, facts, gap, server, trouble};
use super::sql;
use super::table_map::TableMap;
use crate::again::{Join, Joined as _, Pump};
use crate::columns::TableConfig;
use crate::reader::{Log, Talk, Told, Trouble, now_us, scope_of_said};
use crate::shapes::Shapes;
use crate::silence::{END_ASKED_MAX, Looked, Silence};
use crate::source::LogSource;
use crate::watch::Watch;

/// A database whose log is read.
struct MySqlLog {
    config: MySqlConfig,
    id: u32,
    own: PathBuf,
}

impl MySqlConfig {
    /// The source, not opened. `flow`: its full name. `own`: a folder of its own, which need not be there.
    #[must_use]
    pub fn make(&self, flow: &str, own: &Path) -> Box<dyn Source> {
        let log = MySqlLog {
            id: self.server_id(flow),
            own: own.to_owned(),
            config: self.clone(),
        };
        Box::new(LogSource::new(flow, log))
    }
}

impl Log for MySqlLog {
    type Place = Place;

    const THREAD: &'static str = "mysql-log";

    fn tables(&self) -> &[TableConfig] {
        &self.config.tables
    }

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
            own: &self.own,
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
    own: &'r Path,
    talk: &'r Talk<Place>,
}

/// Why it can't read on.
enum Stop {
    /// The log behind this place is not there.
    Gap(Box<Place>, (GapReason, String)),
    Trouble(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Reading<'_> {
    /// Reads until the flow ends, or something is wrong.
    async fn run(&self, place: Option<Place>) -> Result<(), Trouble> {
        let mut conn = connect(self.config).await?;
        let is_maria = facts(self.config, &mut conn).await?.is_maria;
        session::may_log(self.config, &mut conn, is_maria).await?;
        for table in &self.config.tables {
            session::may_read(self.config, &mut conn, &table.name).await?;
        }
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
        loop {
            match self.read_on(place, is_maria).await {
                Ok(()) => return Ok(()),
                Err(Stop::Trouble(trouble)) => return Err(trouble),
                Err(Stop::Gap(before, gap)) => {
                    let Some(behind) = self.bridge(*before, gap).await? else {
                        return Ok(());
                    };
                    place = behind;
                }
            }
        }
    }

    /// Reads what the tables hold, if that is wanted, and then the log, until nobody listens any more.
    async fn read_on(&self, mut place: Place, is_maria: bool) -> Result<(), Stop> {
        while let Some(load) = place.load.clone() {
            let snapshot = Snapshot::take(self.config, is_maria).await?;
            if load.begun {
                let Some(reached) = self.stream(place, Some(&snapshot.at)).await? else {
                    return Ok(());
                };
                place = reached;
            } else {
                self.may_load().await?;
            }
            place.at = snapshot.at.clone();
            let mut watch = self.watch();
            let mut loader = Loader::new(self.flow, self.config, self.talk, place, &mut watch);
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

    fn watch(&self) -> Watch {
        Watch::new(DATABASE, &self.config.tables, Shapes::kept_in(self.own))
    }

    /// Where the flow begins behind a gap, which is said in the same append. If the agent ends before that, the same is found again.
    async fn bridge(
        &self,
        before: Place,
        (reason, sentence): (GapReason, String),
    ) -> Result<Option<Place>, Trouble> {
        let course = self
            .config
            .on_gap
            .course(before.load.is_some(), &sentence)?;
        let mut place = Place::at(self.log_end(before.at.is_maria()).await?);
        place.load = (course == GapCourse::LoadsAgain).then(Load::default);
        place.schemas = before.schemas;
        place.gaps = before.gaps + 1;
        place.again = before.again;
        if place.load.is_some() {
            // All of them come.
            place.again.clear();
        }
        let (from, to) = (before.at.to_string(), place.at.to_string());
        warn!(gap = sentence, from, to, "a part of the log is gone");
        let scope = self.scope(&["gap", &place.gaps.to_string(), &from, &to]);
        let report = Report::Gap(GapReport {
            database: DATABASE,
            reason,
            from,
            to,
            sentence,
            course,
        });
        Ok(self.talk.say(scope, report, &place).await.then_some(place))
    }

    fn scope(&self, parts: &[&str]) -> IdScope {
        scope_of_said(self.flow, DATABASE, parts)
    }

    /// Says that there was nothing to say; whether anybody listens.
    async fn beat(&self, place: &Place, heard_us: i64) -> bool {
        // It may be asked in vain: whether the server is well is the stream's to say.
        let end = timeout(END_ASKED_MAX, self.log_end(place.at.is_maria())).await;
        let end = end.ok().and_then(Result::ok);
        let position = place.at.to_string();
        let scope = self.scope(&["heartbeat", &position, &now_us().to_string()]);
        let heartbeat = Heartbeat {
            database: DATABASE,
            heard_us,
            end: end.map_or_else(String::new, |end| end.to_string()),
            // Numbers of transactions don't tell.
            behind_bytes: 0,
            position,
        };
        self.talk
            .say(scope, Report::Heartbeat(heartbeat), place)
            .await
    }

    async fn log_end(&self, is_maria: bool) -> Result<Gtids, Trouble> {
        let mut conn = connect(self.config).await?;
        session::end(self.config, &mut conn, is_maria).await
    }

    /// That a snapshot holds the tables' rows.
    async fn may_load(&self) -> Result<(), Trouble> {
        let mut conn = connect(self.config).await?;
        for table in &self.config.tables {
            let rows: Vec<(String, String)> =
                session::all(self.config, &mut conn, &sql::engine(&table.name)).await?;
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
    async fn stream(&self, place: Place, until: Option<&Gtids>) -> Result<Option<Place>, Stop> {
        if until.is_some_and(|until| place.at.covers(until)) && place.within.is_none() {
            return Ok(Some(place));
        }
        // Questions are asked beside the log.
        let mut conn = connect(self.config).await?;
        let charsets = session::charsets(self.config, &mut conn).await?;
        let (mut stream, server) = session::stream(self.config, self.id, &place).await?;
        info!(from = %place.at, "the log is read");
        let known = (charsets, self.watch());
        let mut assembly = Assembly::new(self.flow, &self.config.tables, known, place);
        let mut looked = Looked::new();
        let mut silence = Silence::new(self.config.heartbeat_every);
        let (mut heard_us, mut heard) = (now_us(), Instant::now());
        let is_maria = assembly.newest().at.is_maria();
        let mut pump = Pump::new(
            self.flow,
            Reader::new(self.config, is_maria, &server),
            self.talk,
        );
        loop {
            // On the way to a snapshot of a first load all rows come anyway.
            if until.is_none() && !pump.step(&mut assembly, self.talk).await? {
                return Ok(None);
            }
            let has_room = assembly.join().as_ref().is_none_or(Join::has_room);
            let raw = tokio::select! {
                raw = self.next(&mut stream, heard), if has_room => raw,
                news = pump.next(self.talk), if until.is_none() => {
                    if !has_room {
                        // Nobody listened meanwhile.
                        heard = Instant::now();
                    }
                    if !pump.take(news, &mut assembly, self.talk).await {
                        return Ok(None);
                    }
                    continue;
                }
                () = sleep_until(looked.due), if looked.is_news && assembly.place().is_some() => {
                    looked.told();
                    if let Some(place) = assembly.place()
                        && !pump.tell(self.talk, Told::Looked(Box::new(place.clone()), now_us())).await
                    {
                        return Ok(None);
                    }
                    continue;
                }
                () = silence.lasts(), if assembly.place().is_some() => {
                    silence.broken();
                    if let Some(place) = assembly.place()
                        && !pump.beside(self.beat(place, heard_us)).await
                    {
                        return Ok(None);
                    }
                    continue;
                }
            };
            let raw = raw.map_err(|why| match why {
                Missing::Gap(gap) => Stop::Gap(Box::new(assembly.newest().clone()), gap),
                Missing::Trouble(trouble) => Stop::Trouble(trouble),
            })?;
            (heard_us, heard) = (now_us(), Instant::now());
            let ready = match self.step(&mut assembly, &raw)? {
                Step::Nothing => continue,
                Step::Passed => {
                    looked.news(true);
                    None
                }
                Step::New(map) => {
                    let map = self.known(&mut conn, map).await?;
                    assembly.know(map).map_err(|reason| self.wrong(&reason))?;
                    continue;
                }
                Step::Ready(ready) => {
                    looked.news(false);
                    Some(ready)
                }
            };
            if let Some(ready) = ready {
                if !pump.tell(self.talk, Told::Ready(ready, now_us())).await {
                    return Ok(None);
                }
                silence.broken();
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

    /// `heard`: when the server last said something.
    async fn next(&self, stream: &mut BinlogStream, heard: Instant) -> Result<RawEvent, Missing> {
        let event = timeout_at(heard + SILENCE_MAX, stream.next())
            .await
            .map_err(|_| {
                Trouble::Passing(format!(
                    "the server {} said nothing for {} s",
                    server(self.config),
                    SILENCE_MAX.as_secs()
                ))
            })?;
        let event = event.ok_or_else(|| {
            Trouble::Passing(format!("the server {} ended the log", server(self.config)))
        })?;
        let event = event.map_err(|error| match gap(self.config, &error) {
            Some(gap) => Missing::Gap(gap),
            None => Missing::Trouble(trouble(self.config, &error)),
        })?;
        match is_whole(&event) {
            true => Ok(event),
            false => Err(Missing::Trouble(Trouble::Passing(format!(
                "an event of the log of {} is not what was written: its checksum is another",
                server(self.config)
            )))),
        }
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
        let columns = session::columns(self.config, conn, &map.name).await?;
        map.tell_types(&columns);
        Ok(map)
    }
}

/// Whether an event is what the server wrote, where it says by which sum.
fn is_whole(event: &RawEvent) -> bool {
    let by = event.footer().get_checksum_alg().ok().flatten();
    match (by, event.checksum()) {
        (Some(by @ BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_CRC32), Some(sum)) => {
            event.calc_checksum(by) == u32::from_le_bytes(sum)
        }
        _ => true,
    }
}

/// Why there is no next event.
enum Missing {
    Gap((GapReason, String)),
    Trouble(Trouble),
}

impl From<Trouble> for Missing {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}
