//! The thread that reads a database: it keeps the session alive while the flow is held up, and learns what is appended.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dray_adapter::{IdScope, KeptLog, Position, Records, Reject, Report, Reported};
use jiff::Timestamp;
use tokio::runtime;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;

use crate::again::{ASKED_MAX, Queue};
use crate::columns::TableConfig;

/// Batches that wait to be polled.
const BATCHES_MAX: usize = 2;

/// Wishes that wait to be heard: each table may be asked for and taken back.
const WISHES_MAX: usize = 2 * ASKED_MAX;

/// How long the transaction of a first load stays open while the flow is held up: what it sees keeps the server from cleaning up.
pub(crate) const HELD_UP_MAX: Duration = Duration::from_secs(60);

/// Why nothing can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may pass by itself.
    Passing(String),
    /// A person is needed.
    Person(String),
}

impl Trouble {
    /// The sentence.
    pub(crate) fn into_words(self) -> String {
        match self {
            Self::Passing(reason) | Self::Person(reason) => reason,
        }
    }
}

/// Where a source stands between two batches, with all that is needed to go on exactly there.
pub(crate) trait Place: Clone + Send + Sync + 'static {
    /// What the agent keeps.
    fn position(&self) -> Position;

    /// Reads what was kept.
    ///
    /// # Errors
    /// A sentence with the way out.
    fn read(position: &Position) -> Result<Self, String>;

    /// The same as the database writes it.
    fn written(&self) -> Arc<str>;

    /// Whether the rows that were there before are still being read.
    fn is_loading(&self) -> bool {
        false
    }

    /// The tables whose rows are to come again; `None`: that can't be.
    fn queue(&self) -> Option<&Queue> {
        None
    }

    /// The same, to be changed.
    fn queue_mut(&mut self) -> Option<&mut Queue> {
        None
    }
}

/// A database that is read.
pub(crate) trait Log: Send + Sync + 'static {
    /// Where a flow stands in it.
    type Place: Place;

    /// The thread's name.
    const THREAD: &'static str;

    /// The tables that are read and whose rows may come again; none: they can't.
    fn tables(&self) -> &[TableConfig] {
        &[]
    }

    /// How much of its log the database keeps for the flow, where it does.
    fn kept_log(&self) -> Option<Arc<KeptLog>> {
        None
    }

    /// Looks from now on how much that is. May be called again.
    fn watch_kept(&self) {}

    /// What its lines in the agent's log have in common.
    fn span(&self) -> tracing::Span;

    /// Reads from `place` on until nobody listens, or something is wrong. `flow`: its full name. `confirmed`: the newest place that is
    /// appended, from the first one on; only of that may the database be told. `place` itself may not be appended yet.
    fn read(
        &self,
        flow: &str,
        place: Option<Self::Place>,
        talk: &Talk<Self::Place>,
        confirmed: watch::Receiver<Option<Self::Place>>,
    ) -> impl Future<Output = Result<(), Trouble>>;
}

/// Records with what is said of all of them.
#[derive(Debug)]
pub(crate) struct Ready<P> {
    pub(crate) records: Records,
    /// What is no record, each with its place among them.
    pub(crate) rejects: Vec<Reject>,
    /// What is said before some of them.
    pub(crate) reports: Vec<Reported>,
    pub(crate) scope: IdScope,
    /// Where the transaction stands in the log.
    pub(crate) change_position: Arc<str>,
    /// After these records.
    pub(crate) place: P,
    /// The transaction ends with them.
    pub(crate) ends: bool,
}

/// Something that is said between two transactions.
#[derive(Debug)]
pub(crate) struct Said<P> {
    pub(crate) report: Report,
    /// No other report's.
    pub(crate) scope: IdScope,
    /// Where the flow stands from then on.
    pub(crate) place: P,
}

/// What the flow wants of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// All its rows once more.
    Load(String),
    /// Not any more.
    Cancel(String),
}

/// What the thread has for the flow.
#[derive(Debug)]
pub(crate) enum Told<P> {
    /// Records of a transaction, and when they came: microseconds since 1970.
    Ready(Box<Ready<P>>, i64),
    /// Nothing came, up to here, and when that was said.
    Looked(Box<P>, i64),
    /// Nothing came, and this is said; and when.
    Said(Box<Said<P>>, i64),
    /// That this table's rows come again is refused, and why.
    Refused(String, String),
    /// That they are to come is taken back, in the place that was told last.
    Cancelled(String),
    /// It has ended.
    Ended(Trouble),
}

type Wake = Arc<dyn Fn() + Send + Sync>;

/// A thread that reads. Dropped, it ends.
pub(crate) struct Reader<P> {
    told: mpsc::Receiver<Told<P>>,
    confirmed: watch::Sender<Option<P>>,
    ask: mpsc::Sender<Wish>,
    is_well: Arc<AtomicBool>,
}

impl<P: Place> Reader<P> {
    pub(crate) fn start<L: Log<Place = P>>(
        flow: &str,
        log: Arc<L>,
        place: Option<P>,
        appended: Option<P>,
        wake: Wake,
    ) -> Result<Self, String> {
        let failed =
            |error: std::io::Error| format!("no thread can be started to read the log: {error}");
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (tell, told) = mpsc::channel(BATCHES_MAX);
        let (confirmed, watched) = watch::channel(appended);
        let (ask, asked) = mpsc::channel(WISHES_MAX);
        let is_well = Arc::<AtomicBool>::default();
        let well = Arc::clone(&is_well);
        let flow = flow.to_owned();
        let run = move || {
            let span = log.span();
            let _inside = span.enter();
            runtime.block_on(async {
                let asked = Mutex::new(asked);
                let talk = Talk {
                    tell,
                    wake,
                    asked,
                    unanswered: RefCell::default(),
                    well,
                };
                if let Err(trouble) = log.read(&flow, place, &talk, watched).await {
                    talk.tell(Told::Ended(trouble)).await;
                }
            });
        };
        thread::Builder::new()
            .name(L::THREAD.into())
            .spawn(run)
            .map_err(failed)?;
        Ok(Self {
            told,
            confirmed,
            ask,
            is_well,
        })
    }

    /// Whether its database has answered as it should.
    pub(crate) fn is_well(&self) -> bool {
        self.is_well.load(Ordering::Acquire)
    }

    /// What it has; `None`: nothing now.
    pub(crate) fn told(&mut self) -> Option<Told<P>> {
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
    pub(crate) fn confirm(&self, place: P) {
        self.confirmed.send_replace(Some(place));
    }

    /// Asks for something; whether that was taken.
    pub(crate) fn ask(&self, wish: Wish) -> bool {
        self.ask.try_send(wish).is_ok()
    }
}

/// What the thread tells the flow.
pub(crate) struct Talk<P> {
    tell: mpsc::Sender<Told<P>>,
    wake: Wake,
    asked: Mutex<mpsc::Receiver<Wish>>,
    /// What was heard and stands in no place yet: the stream that heard it may end before the thread does.
    unanswered: RefCell<Vec<Wish>>,
    /// Its database has answered as it should.
    well: Arc<AtomicBool>,
}

impl<P> Talk<P> {
    /// The database answers as it should, though it may have nothing: what hindered the flow before is over.
    pub(crate) fn is_well(&self) {
        if !self.well.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
    }

    /// Waits until something can be told at once, for so long at most; whether it can.
    pub(crate) async fn has_room_within(&self, time: Duration) -> bool {
        timeout(time, self.tell.reserve()).await.is_ok()
    }

    /// Whether anybody listens.
    pub(crate) async fn tell(&self, told: Told<P>) -> bool {
        let is_heard = self.tell.send(told).await.is_ok();
        (self.wake)();
        is_heard
    }

    /// The next thing that is wanted. May be dropped and called again.
    pub(crate) async fn asked(&self) -> Wish {
        match self.asked.lock().await.recv().await {
            Some(wish) => {
                self.unanswered.borrow_mut().push(wish.clone());
                wish
            }
            None => std::future::pending().await,
        }
    }

    /// What was heard and is not answered, in its order.
    pub(crate) fn unanswered(&self) -> Vec<Wish> {
        self.unanswered.borrow().clone()
    }

    /// It stands in a place, or is refused.
    pub(crate) fn answered(&self, wish: &Wish) {
        let mut unanswered = self.unanswered.borrow_mut();
        if let Wish::Cancel(table) = wish {
            // What was asked for before that is taken back with it.
            let load = Wish::Load(table.clone());
            let at = unanswered.iter().position(|one| one == wish).unwrap_or(0);
            let mut place = 0;
            unanswered.retain(|one| {
                place += 1;
                place > at || *one != load
            });
        }
        if let Some(at) = unanswered.iter().position(|one| one == wish) {
            unanswered.remove(at);
        }
    }

    /// Waits until nobody listens any more.
    pub(crate) async fn closed(&self) {
        self.tell.closed().await;
    }
}

impl<P: Clone> Talk<P> {
    /// Says something alone; whether anybody listens.
    pub(crate) async fn say(&self, scope: IdScope, report: Report, place: &P) -> bool {
        let said = Said {
            report,
            scope,
            place: place.clone(),
        };
        self.tell(Told::Said(Box::new(said), now_us())).await
    }
}

/// Of what is said alone. `parts`: what tells it from all else that is said of the flow.
pub(crate) fn scope_of_said(flow: &str, database: &str, parts: &[&str]) -> IdScope {
    let parts = [&[flow, database], parts].concat();
    let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
    IdScope::of(&parts)
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// A position that somebody has altered is read as another one, or refused in words.
#[cfg(test)]
pub(crate) fn is_read_or_refused<P: Place>(position: &Position) {
    for at in 0..position.0.len() {
        for byte in [
            None,
            Some(b'9'),
            Some(b'-'),
            Some(b'"'),
            Some(0),
            Some(0xff),
        ] {
            let mut bytes = position.0.to_vec();
            match byte {
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at),
            }
            match P::read(&Position(bytes.into())) {
                Ok(place) => drop((place.position(), place.written())),
                Err(said) => assert!(
                    said.contains("another name") || said.contains("install that one again"),
                    "{said}"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_heard_is_known_to_the_next_stream_until_it_is_answered() {
        let (tell, _told) = mpsc::channel::<Told<()>>(BATCHES_MAX);
        let (ask, asked) = mpsc::channel(WISHES_MAX);
        let talk = Talk {
            tell,
            wake: Arc::new(|| ()),
            asked: Mutex::new(asked),
            unanswered: RefCell::default(),
            well: Arc::default(),
        };
        let (load, cancel) = (
            |table: &str| Wish::Load(table.into()),
            Wish::Cancel("a".into()),
        );
        for wish in [load("a"), load("b"), cancel.clone(), load("a")] {
            ask.try_send(wish).expect("room");
        }
        for _ in 0..4 {
            talk.asked().await;
        }
        assert_eq!(talk.unanswered().len(), 4);
        talk.answered(&cancel);
        assert_eq!(talk.unanswered(), [load("b"), load("a")]);
        talk.answered(&load("a"));
        talk.answered(&load("c"));
        assert_eq!(talk.unanswered(), [load("b")]);
    }
}
