//! What a flow does where its database is not what it was, and how long it is silent.

use std::time::Duration;

use dray_adapter::GapCourse;
use serde::Deserialize;

use crate::reader::Trouble;

/// Between two signs of life, at least: each is an event.
const HEARTBEAT_MIN: Duration = Duration::from_secs(1);
/// And by default.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// What becomes of a flow when a part of the log is gone that it has not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnGap {
    /// It stops, with a sentence.
    #[default]
    Stop,
    /// An event says what is missing, and it goes on behind it.
    GoOn,
    /// An event says what is missing, and then all rows that the tables have come again.
    LoadAgain,
}

impl OnGap {
    /// What the flow does behind a gap. The log tells no more of rows that a load which is not done would leave out, so that has to begin anew in
    /// any case.
    ///
    /// # Errors
    /// It is to stop: `sentence` with the way out.
    pub(crate) fn course(self, is_loading: bool, sentence: &str) -> Result<GapCourse, Trouble> {
        match self {
            Self::GoOn if !is_loading => Ok(GapCourse::WentOn),
            Self::GoOn | Self::LoadAgain => Ok(GapCourse::LoadsAgain),
            Self::Stop => Err(Trouble::Person(format!(
                "{sentence}; what is missing must come another way: write on_gap = \"load-again\" to have all rows that the tables have now, or \"go-on\" to go on without it, and restart the agent"
            ))),
        }
    }
}

/// What becomes of a flow when a table is another than it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSchemaChange {
    /// An event says so before the first row of the new shape.
    #[default]
    GoOn,
    /// It stops before that row, unless the new shape is accepted.
    Stop,
}

/// What `heartbeat_every` is where it is not written.
pub(crate) fn heartbeat_every() -> Duration {
    HEARTBEAT
}

/// What is wrong with `heartbeat_every`: the setting and a sentence.
pub(crate) fn fault(every: Duration) -> Option<(String, String)> {
    (!every.is_zero() && every < HEARTBEAT_MIN).then(|| {
        let sentence = format!(
            "{every:?} is too often, as each heartbeat is an event: write {HEARTBEAT_MIN:?} or more, or \"0s\" for none"
        );
        ("heartbeat_every".to_owned(), sentence)
    })
}
