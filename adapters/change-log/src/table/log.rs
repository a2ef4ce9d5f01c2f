//! A table as a source: it is opened, and read as its mode says.

use std::path::{Path, PathBuf};

use dray_adapter::Source;
use tokio::sync::watch;

use super::config::{Mode, SqlConfig};
use super::dialect::Dialect;
use super::pace::Pace;
use super::place::Place;
use super::poller::Poller;
use super::sqlserver::{cdc, tracking};
use super::{compare, fence, mark, overlap, timestamp};
use crate::reader::{Log, Talk, Trouble};
use crate::source::LogSource;

/// A table that is asked.
struct SqlLog {
    config: SqlConfig,
    own: PathBuf,
    pace: Pace,
}

impl SqlConfig {
    /// The source, not opened. `flow`: its full name. `own`: a folder of its own, made when it is first needed.
    #[must_use]
    pub fn make(&self, flow: &str, own: &Path) -> Box<dyn Source> {
        let log = SqlLog {
            config: self.clone(),
            own: own.to_owned(),
            pace: Pace::default(),
        };
        Box::new(LogSource::new(flow, log))
    }
}

impl Log for SqlLog {
    type Place = Place;

    const THREAD: &'static str = "table";

    fn span(&self) -> tracing::Span {
        tracing::info_span!("table", of = %self.config.place())
    }

    async fn read(
        &self,
        flow: &str,
        place: Option<Place>,
        talk: &Talk<Place>,
        confirmed: watch::Receiver<Option<Place>>,
    ) -> Result<(), Trouble> {
        let at = place.as_ref().map(|place| place.at.clone());
        tokio::select! {
            ended = async {
                let mut poller = Poller::open(flow, &self.config, &self.pace, place, talk, confirmed).await?;
                match self.config.mode {
                    Mode::Fence => fence::run(&mut poller, at).await,
                    Mode::Overlap => overlap::run(&mut poller, at).await,
                    Mode::MarkProcessed | Mode::DeleteAfterRead => mark::run(&mut poller, at).await,
                    Mode::Timestamp => timestamp::run(&mut poller, at).await,
                    Mode::FullCompare => compare::run(&mut poller, at, &self.own).await,
                    Mode::Cdc => cdc::run(&mut poller, at).await,
                    Mode::ChangeTracking => tracking::run(&mut poller, at).await,
                }
            } => ended,
            () = talk.closed() => Ok(()),
        }
    }
}

impl SqlConfig {
    /// What stands behind FROM.
    pub(super) fn from(&self, dialect: Dialect) -> String {
        match (&self.query, &self.table) {
            // Oracle takes no AS here.
            (Some(query), _) => format!("({query}) dray_rows"),
            (None, Some(table)) => dialect.table(table),
            (None, None) => String::new(),
        }
    }
}
