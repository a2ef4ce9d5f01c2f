//! The thread that reads the log: it keeps the session alive while the flow is held up, and tells the server only of what is appended.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use pgwire_replication::{Lsn, ReplicationClient, ReplicationEvent};
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::assembly::{Assembly, Ready};
use super::config::PostgresConfig;
use super::load::Loader;
use super::place::Place;
use super::session::{self, Names, Trouble, trouble};

/// Batches that wait to be polled.
const BATCHES_MAX: usize = 2;
/// How often a server that has nothing for us is taken at its word that it looked through its log: it may then drop it.
const LOOKED_EVERY: Duration = Duration::from_secs(10);
/// Microseconds from 1970 to 2000, from which PostgreSQL counts.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// What the thread has for the flow.
#[derive(Debug)]
pub(super) enum Told {
    /// Records of a transaction, and when they came: microseconds since 1970.
    Ready(Box<Ready>, i64),
    /// Nothing came, up to here, and when that was said.
    Looked(Box<Place>, i64),
    /// It has ended.
    Ended(Trouble),
}

/// A thread that reads. Dropped, it ends.
pub(super) struct Reader {
    told: mpsc::Receiver<Told>,
    confirmed: watch::Sender<Lsn>,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

impl Reader {
    pub(super) fn start(
        flow: &str,
        config: Arc<PostgresConfig>,
        names: Names,
        place: Option<Place>,
        wake: Wake,
    ) -> Result<Self, String> {
        let failed =
            |error: std::io::Error| format!("no thread can be started to read the log: {error}");
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (tell, told) = mpsc::channel(BATCHES_MAX);
        let (confirmed, watched) = watch::channel(Lsn::ZERO);
        let flow = flow.to_owned();
        let run = move || {
            let span = tracing::info_span!("log", host = %config.host, slot = %names.slot);
            let _inside = span.enter();
            runtime.block_on(async {
                let talk = Talk { tell, wake };
                let ended = read(&flow, &config, &names, place, &talk, watched).await;
                if let Err(trouble) = ended {
                    talk.tell(Told::Ended(trouble)).await;
                }
            });
        };
        thread::Builder::new()
            .name("postgres-log".into())
            .spawn(run)
            .map_err(failed)?;
        Ok(Self { told, confirmed })
    }

    /// What it has; `None`: nothing now.
    pub(super) fn told(&mut self) -> Option<Told> {
        match self.told.try_recv() {
            Ok(told) => Some(told),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => {
                let reason = "the thread that reads the log has ended; see what was logged before";
                Some(Told::Ended(Trouble::Passing(reason.into())))
            }
        }
    }

    /// All up to here is appended.
    pub(super) fn confirm(&self, end: Lsn) {
        self.confirmed.send_replace(end);
    }
}

pub(super) struct Talk {
    tell: mpsc::Sender<Told>,
    wake: Wake,
}

impl Talk {
    /// Waits until something can be told at once, for so long at most; whether it can.
    pub(super) async fn has_room_within(&self, time: Duration) -> bool {
        timeout(time, self.tell.reserve()).await.is_ok()
    }

    /// Whether anybody listens.
    pub(super) async fn tell(&self, told: Told) -> bool {
        let is_heard = self.tell.send(told).await.is_ok();
        (self.wake)();
        is_heard
    }
}

/// Goes to where the flow stood, reads what the tables hold if that is wanted, and opens the stream; `None`: nobody listens any more.
async fn begin(
    flow: &str,
    config: &PostgresConfig,
    names: &Names,
    place: Option<Place>,
    talk: &Talk,
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
    talk: &Talk,
    mut confirmed: watch::Receiver<Lsn>,
) -> Result<(), Trouble> {
    let server = format!("{}:{}", config.host, config.port);
    let begun = tokio::select! {
        begun = begin(flow, config, names, place, talk) => begun?,
        () = talk.tell.closed() => return Ok(()),
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
                client.update_applied_lsn(*confirmed.borrow_and_update());
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
            () = talk.tell.closed() => return Ok(()),
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

pub(super) fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
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
