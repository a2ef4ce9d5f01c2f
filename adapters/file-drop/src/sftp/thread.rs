//! The pickup's thread: rounds, waits between them, and what `status` shows.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::config::FileDropConfig;

use super::Failure;
use super::config::SftpConfig;
use super::pickup::Round;
use super::session::Session;

/// Waits after a line that broke off.
const AWAY_WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// Waits after a refusal: servers lock accounts after some.
const REFUSED_WAITS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1_800));
/// A connection is kept between rounds that are not further apart.
const KEPT_MAX: Duration = Duration::from_secs(60);

/// The pickup of one flow, at work until it is dropped.
pub(crate) struct Pickup {
    board: Arc<Board>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the flow's own thread sees.
struct Board {
    trouble: Mutex<Option<String>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Board {
    fn say(&self, trouble: Option<String>) {
        let mut said = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != trouble {
            *said = trouble;
            (self.wake)();
        }
    }
}

impl Pickup {
    /// Begins. `wake` is called when what [`Self::trouble`] says changes.
    pub(crate) fn start(
        flow: &str,
        config: &FileDropConfig,
        sftp: &SftpConfig,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, String> {
        let board = Arc::new(Board {
            trouble: Mutex::new(None),
            wake,
        });
        let (stop, stopped) = oneshot::channel();
        let key = hex::encode(&Sha256::digest(flow.as_bytes())[..4]);
        let (config, sftp, said) = (config.clone(), sftp.clone(), Arc::clone(&board));
        let thread = std::thread::Builder::new()
            .name("dray-sftp".into())
            .spawn(move || work(&key, &config, &sftp, &said, stopped))
            .map_err(|error| format!("no thread for the SFTP pickup: {error}"))?;
        Ok(Self {
            board,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Why nothing, or not everything, is picked up.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.board.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Pickup {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // Its own panics are caught; nothing of it is left to be told.
            let _ = thread.join();
        }
    }
}

fn work(
    key: &str,
    config: &FileDropConfig,
    sftp: &SftpConfig,
    board: &Board,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut waits = waits(AWAY_WAITS);
    loop {
        let life = AssertUnwindSafe(|| live(key, config, sftp, board, &mut stopped));
        let said = match catch_unwind(life) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("the SFTP pickup has no runtime: {error}"),
            Err(_) => "the SFTP pickup failed by a fault of dray; it begins again. Please report it, with the log".into(),
        };
        tracing::error!(reason = said, "the pickup begins again");
        board.say(Some(said));
        let wait = waits.next().unwrap_or(AWAY_WAITS.1);
        // Nothing wakes it but the end of the wait.
        std::thread::park_timeout(wait);
        if !matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            return;
        }
    }
}

fn live(
    key: &str,
    config: &FileDropConfig,
    sftp: &SftpConfig,
    board: &Board,
    stopped: &mut oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut round = Round::new(key, config, sftp).map_err(io::Error::other)?;
    runtime.block_on(async {
        tokio::select! {
            () = rounds(&mut round, sftp, board) => {}
            _ = stopped => {}
        }
    });
    // A name that is being looked up must not hold the flow's end.
    runtime.shutdown_background();
    Ok(())
}

fn waits((min, max): (Duration, Duration)) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(min)
        .with_max_delay(max)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Rounds without end.
async fn rounds(round: &mut Round, sftp: &SftpConfig, board: &Board) {
    let (mut away, mut refused) = (waits(AWAY_WAITS), waits(REFUSED_WAITS));
    let mut kept: Option<Session> = None;
    let mut was_away = false;
    loop {
        let was_kept = kept.is_some();
        let listed = || {
            if was_away {
                board.say(None);
            }
        };
        let (session, done) = one(round, sftp, kept.take(), listed).await;
        let wait = match done {
            Ok(wait) => {
                (away, refused) = (waits(AWAY_WAITS), waits(REFUSED_WAITS));
                was_away = false;
                board.say(round.trouble());
                kept = session;
                wait
            }
            // Servers close what was idle: that is no trouble.
            Err(Failure::Away(_)) if was_kept => continue,
            Err(failure) => {
                board.say(Some(failure.sentence().to_owned()));
                was_away = !matches!(failure, Failure::Here(_));
                match failure {
                    Failure::Refused(_) => refused.next().unwrap_or(REFUSED_WAITS.1),
                    Failure::Away(_) => away.next().unwrap_or(AWAY_WAITS.1),
                    Failure::Here(_) => {
                        kept = session;
                        away.next().unwrap_or(AWAY_WAITS.1)
                    }
                }
            }
        };
        if wait > KEPT_MAX
            && let Some(session) = kept.take()
        {
            session.close().await;
        }
        tokio::time::sleep(wait).await;
    }
}

async fn one(
    round: &mut Round,
    sftp: &SftpConfig,
    kept: Option<Session>,
    listed: impl Fn(),
) -> (Option<Session>, Result<Duration, Failure>) {
    let session = match kept {
        Some(session) => session,
        None => match Session::open(sftp).await {
            Ok(session) => session,
            Err(failure) => return (None, Err(failure)),
        },
    };
    let done = round.run(&session, listed).await;
    (Some(session), done)
}
