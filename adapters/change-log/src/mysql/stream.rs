//! Reads the log behind a place.

use dray_adapter::GapReason;
use jiff::Timestamp;
use mysql_async::binlog::BinlogChecksumAlg;
use mysql_async::binlog::events::Event as RawEvent;
use mysql_async::{BinlogStream, Conn};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_stream::StreamExt as _;
use tracing::{info, warn};

use super::again::Reader;
use super::assembly::{Assembly, Step};
use super::event::Event;
use super::facts::facts;
use super::gtid::Gtids;
use super::lag::Lag;
use super::log::Reading;
use super::meaning::{gap, trouble};
use super::place::Place;
use super::session::{self, SILENCE_MAX, connect, server};
use super::table_map::TableMap;
use crate::again::{Join, Joined as _, Pump};
use crate::reader::{Told, Trouble, now_us};
use crate::silence::{Looked, Silence};

/// Why it can't read on.
pub(super) enum Stop {
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
    /// Reads the log behind a place; where it stood when all of `until` were behind it. `None`: nobody listens any more.
    pub(super) async fn stream(
        &self,
        place: Place,
        until: Option<&Gtids>,
    ) -> Result<Option<Place>, Stop> {
        if until.is_some_and(|until| place.at.covers(until)) && place.within.is_none() {
            return Ok(Some(place));
        }
        // Questions are asked beside the log.
        let mut conn = connect(self.config).await?;
        let charsets = session::charsets(self.config, &mut conn).await?;
        let mut lag = Lag::behind(facts(self.config, &mut conn).await?.kept_s);
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
            self.talk.is_well();
            if let Some(hours) = lag.take(
                heard_us,
                raw.header().event_type_raw(),
                raw.header().timestamp(),
            ) {
                warn!(
                    behind_h = hours,
                    dropped_after_h = lag.kept_s / 3_600,
                    "the flow is so far behind that the server may soon drop what it has not read; let the DBA raise binlog_expire_logs_seconds"
                );
            }
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
