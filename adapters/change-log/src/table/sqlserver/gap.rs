//! Changes are gone that the flow has not read: what its policy makes of it.

use dray_adapter::{GapCourse, GapReason, GapReport, Report};

use super::super::place::At;
use super::super::poller::Poller;
use crate::reader::Trouble;

const DATABASE: &str = "sqlserver";

/// What is missing.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) reason: GapReason,
    /// The last place that was read, and the first that is still there.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) sentence: String,
}

impl Gap {
    /// Whether the rows of the table are read anew.
    ///
    /// # Errors
    /// The flow is to stop.
    pub(super) fn course(
        &self,
        poller: &Poller<'_>,
        is_loading: bool,
    ) -> Result<GapCourse, Trouble> {
        let policy = poller.config.on_gap.unwrap_or_default();
        policy.course(is_loading, &self.sentence)
    }

    /// Tells it, with the place behind it; whether anybody listens.
    pub(super) async fn tell(self, poller: &mut Poller<'_>, course: GapCourse, at: At) -> bool {
        let Self {
            reason,
            from,
            to,
            sentence,
        } = self;
        let parts = ["gap".to_owned(), from.clone(), to.clone()];
        let parts = parts.each_ref().map(String::as_str);
        let report = Report::Gap(GapReport {
            database: DATABASE,
            reason,
            from,
            to,
            sentence,
            course,
        });
        poller.say(&parts, report, at).await
    }
}
