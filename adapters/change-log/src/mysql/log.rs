//! Reads the log: the tables' rows first if that is wanted, then what the server streams.

use std::path::{Path, PathBuf};

use dray_adapter::{GapCourse, GapReason, GapReport, Heartbeat, IdScope, Report, Source};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::warn;

use super::DATABASE;
use super::config::MySqlConfig;
use super::facts::facts;
use super::gtid::Gtids;
use super::load::{Ended, Loader, Snapshot};
use super::meaning;
use super::place::{Load, Place};
use super::session::{self, connect};
use super::sql;
use super::stream::Stop;
use crate::columns::TableConfig;
use crate::reader::{Log, Talk, Told, Trouble, now_us, scope_of_said};
use crate::shapes::Shapes;
use crate::silence::END_ASKED_MAX;
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
        let read = async {
            match reading.run(place).await {
                Ok(()) => Ok(()),
                Err(trouble) => Err(meaning::with_account(&self.config, trouble).await),
            }
        };
        tokio::select! {
            read = read => read,
            () = talk.closed() => Ok(()),
        }
    }
}

/// A flow that reads.
pub(super) struct Reading<'r> {
    pub(super) flow: &'r str,
    pub(super) config: &'r MySqlConfig,
    pub(super) id: u32,
    own: &'r Path,
    pub(super) talk: &'r Talk<Place>,
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

    pub(super) fn watch(&self) -> Watch {
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
    pub(super) async fn beat(&self, place: &Place, heard_us: i64) -> bool {
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
}
