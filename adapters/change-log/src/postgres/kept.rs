//! How much of its log the server keeps for the flow's slot.
//!
//! It is asked from a thread of its own, over an ordinary connection for each time, so also while the flow is held up, waits or stopped: that is
//! when it grows. A server that does not answer is asked less and less often. The thread ends when nobody holds the figure any more.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use dray_adapter::{Kept, KeptLog};
use tokio::runtime;
use tokio::time::sleep;
use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{info, warn};

use super::config::PostgresConfig;
use super::session::Names;
use super::{plain, sql};
use crate::reader::Trouble;

/// How often it is asked.
const ASKED_EVERY: Duration = Duration::from_secs(15);
/// The same of a server that has not answered for long.
const ASKED_AGAIN_MAX: Duration = Duration::from_secs(300);
const MIB: u64 = 1024 * 1024;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Well,
    /// More than half of the limit.
    Half,
    /// More than the server keeps by itself (`max_wal_size`).
    Extended,
    /// The limit is reached.
    Unreserved,
    Lost,
}

impl Level {
    fn worry(self) -> &'static str {
        match self {
            Self::Well => "",
            Self::Half => "that is more than half of max_slot_wal_keep_size",
            Self::Extended => "that is more than max_wal_size",
            Self::Unreserved => {
                "max_slot_wal_keep_size is reached, and the server drops it with its next checkpoint"
            }
            Self::Lost => "the server dropped what the flow has not read",
        }
    }
}

/// What the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    bytes: u64,
    left_bytes: Option<u64>,
    limit_bytes: Option<u64>,
    level: Level,
}

impl Answer {
    fn read(row: &[Option<String>]) -> Self {
        let text = |at: usize| row.get(at).and_then(Option::as_deref);
        let number = |at| text(at).and_then(|text| text.parse::<i64>().ok());
        // Beyond a limit nothing is left, and a slot that is made needs nothing yet.
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        let limit = number(3).and_then(|mib| u64::try_from(mib).ok());
        let status = text(1).unwrap_or_default();
        Self::of(
            number(0).map_or(0, whole),
            status,
            number(2).map(whole),
            limit.map(|mib| mib.saturating_mul(MIB)),
        )
    }

    fn of(bytes: u64, status: &str, left_bytes: Option<u64>, limit_bytes: Option<u64>) -> Self {
        let level = match status {
            "lost" => Level::Lost,
            "unreserved" => Level::Unreserved,
            "extended" => Level::Extended,
            _ if limit_bytes.is_some_and(|limit| bytes > limit / 2) => Level::Half,
            _ => Level::Well,
        };
        Self {
            bytes,
            left_bytes,
            limit_bytes,
            level,
        }
    }

    /// Whether it is well enough to say so where it was not: a figure about the half would be told again and again.
    fn is_well_again(&self) -> bool {
        self.level == Level::Well && self.limit_bytes.is_none_or(|limit| self.bytes < limit / 4)
    }

    fn figure(&self) -> Kept {
        let (bytes, left_bytes) = match self.level {
            Level::Lost => (0, Some(0)),
            _ => (self.bytes, self.left_bytes),
        };
        Kept {
            bytes,
            left_bytes,
            worry: self.level.worry(),
        }
    }
}

/// What was told last.
#[derive(Debug)]
struct Told(Level);

impl Told {
    /// Whether this is to be told: it is worse than what was, or well again.
    fn is_news(&mut self, answer: &Answer) -> bool {
        let is_news = answer.level > self.0 || (self.0 > Level::Well && answer.is_well_again());
        if is_news {
            self.0 = answer.level;
        }
        is_news
    }
}

/// When the server is asked next.
#[derive(Debug)]
struct Pace {
    wait: Duration,
    is_refused: bool,
}

/// What is to be said of an answer that came or did not.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Same,
    /// It does not answer any more.
    Refused,
    /// It does again.
    Answered,
}

impl Pace {
    const fn new() -> Self {
        Self {
            wait: ASKED_EVERY,
            is_refused: false,
        }
    }

    fn take(&mut self, is_answered: bool) -> Turn {
        let was_refused = std::mem::replace(&mut self.is_refused, !is_answered);
        self.wait = match (is_answered, was_refused) {
            (true, _) | (false, false) => ASKED_EVERY,
            (false, true) => (2 * self.wait).min(ASKED_AGAIN_MAX),
        };
        match (was_refused, self.is_refused) {
            (false, true) => Turn::Refused,
            (true, false) => Turn::Answered,
            _ => Turn::Same,
        }
    }
}

/// Looks from now on, for as long as somebody holds the figure.
pub(super) fn watch(
    config: &PostgresConfig,
    names: &Names,
    span: tracing::Span,
    kept: &Arc<KeptLog>,
) {
    let (config, names, kept) = (config.clone(), names.clone(), Arc::downgrade(kept));
    let run = move || {
        let _inside = span.enter();
        look(&config, &names, &kept);
    };
    let started = thread::Builder::new()
        .name("postgres-kept".into())
        .spawn(run);
    if let Err(error) = started {
        warn!(%error, "what the server keeps of its log is not watched: no thread can be started");
    }
}

fn look(config: &PostgresConfig, names: &Names, kept: &Weak<KeptLog>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return warn!(%error, "what the server keeps of its log is not watched"),
    };
    let (mut told, mut pace) = (Told(Level::Well), Pace::new());
    while kept.strong_count() > 0 {
        let quiet = NoSubscriber::default();
        let answer = with_default(quiet, || {
            runtime.block_on(plain::ask(config, &sql::kept(&names.slot)))
        });
        match (pace.take(answer.is_ok()), &answer) {
            (Turn::Refused, Err(Trouble::Passing(reason) | Trouble::Person(reason))) => warn!(
                reason,
                "how much of its log the server keeps for the flow can't be asked; it is tried again"
            ),
            (Turn::Answered, _) => info!("the server says again what it keeps of its log"),
            _ => {}
        }
        let answer = answer.ok().flatten().map(|row| Answer::read(&row));
        let Some(kept) = kept.upgrade() else {
            return;
        };
        kept.set(answer.as_ref().map(Answer::figure));
        drop(kept);
        if let Some(answer) = answer
            && told.is_news(&answer)
        {
            tell(&answer);
        }
        with_default(quiet, || {
            runtime.block_on(async { sleep(pace.wait).await });
        });
    }
}

fn tell(answer: &Answer) {
    let Answer {
        bytes, left_bytes, ..
    } = *answer;
    match answer.level {
        Level::Well => info!(
            bytes,
            left_bytes, "the server keeps little of its log for the flow again"
        ),
        level => warn!(
            bytes,
            left_bytes,
            worry = level.worry(),
            "the server keeps much of its log for the flow"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_read_whatever_it_leaves_out() {
        let row = |cells: [&str; 4]| cells.map(|cell| (!cell.is_empty()).then(|| cell.to_owned()));
        for (cells, bytes, left, level) in [
            (["4096", "reserved", "", "-1"], 4_096, None, Level::Well),
            (["4096", "extended", "", "-1"], 4_096, None, Level::Extended),
            (["1048576", "reserved", "9", "2"], MIB, Some(9), Level::Well),
            (
                ["1048577", "reserved", "9", "2"],
                MIB + 1,
                Some(9),
                Level::Half,
            ),
            (
                ["5", "unreserved", "-7", "2"],
                5,
                Some(0),
                Level::Unreserved,
            ),
            (["7", "lost", "", "2"], 0, Some(0), Level::Lost),
        ] {
            let answer = Answer::read(&row(cells));
            let figure = answer.figure();
            assert_eq!(
                (figure.bytes, figure.left_bytes, answer.level),
                (bytes, left, level)
            );
            assert_eq!(figure.worry.is_empty(), level == Level::Well);
        }
    }

    #[test]
    fn a_server_that_does_not_answer_is_asked_less_often_and_that_is_told_once() {
        let mut pace = Pace::new();
        assert_eq!(pace.take(true), Turn::Same);
        let mut waits = Vec::new();
        for round in 0..7 {
            let expected = if round == 0 {
                Turn::Refused
            } else {
                Turn::Same
            };
            assert_eq!(pace.take(false), expected);
            waits.push(pace.wait.as_secs());
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 300, 300]);
        assert_eq!(pace.take(true), Turn::Answered);
        assert_eq!(pace.wait, ASKED_EVERY);
        assert_eq!(pace.take(true), Turn::Same);
    }

    #[test]
    fn what_gets_worse_is_told_once_and_so_is_that_it_is_well() {
        let at = |mib: u64, status| Answer::of(mib * MIB, status, Some(0), Some(100 * MIB));
        let mut told = Told(Level::Well);
        for (mib, status, is_news) in [
            (10, "reserved", false),
            (51, "reserved", true),
            (49, "reserved", false),
            (60, "reserved", false),
            (60, "extended", true),
            (60, "reserved", false),
            (90, "unreserved", true),
            (30, "reserved", false),
            (24, "reserved", true),
            (20, "reserved", false),
            (51, "reserved", true),
        ] {
            assert_eq!(told.is_news(&at(mib, status)), is_news, "{mib} {status}");
        }
        let endless = Answer::of(MIB, "extended", None, None);
        assert!(Told(Level::Well).is_news(&endless));
        assert!(Told(Level::Extended).is_news(&Answer::of(MIB, "reserved", None, None)));
    }
}
