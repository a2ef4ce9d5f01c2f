//! When what is asked of the database, while its stream is read.
//!
//! Questions are futures that are polled beside the stream: whether a table can be read again, what its key is, its next chunk. Nothing that
//! goes wrong with them ends the stream: what may pass is tried again, and what does not ends the load, with a line in the agent's log.

use std::pin::Pin;
use std::time::Duration;

use dray_adapter::IdScope;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::given::give;
use super::join::{Chunk, Join, Landed, Track};
use super::{Again, Queue, stands_already};
use crate::reader::{Place, Talk, Told, Trouble, now_us};
use crate::watch::{Prints, Watch};

/// The wait before the database is asked again after something went wrong.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The wait before a chunk is read again that did not see what was told before it.
const SETTLES_AFTER: Duration = Duration::from_millis(200);

type Question<'c, T> = Pin<Box<dyn Future<Output = T> + 'c>>;

/// A database that is asked for chunks, over a connection of its own.
pub(crate) trait Chunks: Sized {
    /// What it says of what a question sees.
    type Sight;

    /// The same, with another connection.
    fn another(&self) -> Self;

    /// The columns of a table's key, and what the database sees now.
    ///
    /// # Errors
    /// [`Trouble::Person`]: the table can't be read again, in words.
    async fn look(&mut self, table: &str) -> Result<(Vec<String>, Self::Sight), Trouble>;

    /// The next rows.
    ///
    /// # Errors
    /// As of [`Self::look`].
    async fn read(&mut self, again: &Again) -> Result<(Chunk, Self::Sight), Trouble>;
}

/// A place that holds which tables are wanted again.
pub(crate) trait Stands: Place {
    fn wanted(&self) -> &Queue;

    fn wanted_mut(&mut self) -> &mut Queue;

    /// The shape of each table that was told last.
    fn schemas_mut(&mut self) -> &mut Prints;

    /// Rows are given here: what they say holds up to this place, also where no transaction ends.
    fn told_here(&mut self) {}

    /// The part of event ids that names a unit of the flow. `parts`: what tells it from the others.
    fn scope(&self, flow: &str, parts: &[&[u8]]) -> IdScope;
}

/// A stream that chunks are joined to.
pub(crate) trait Joined {
    type Place: Stands;
    type Track: Track<Place = Self::Place>;

    /// The tables that wait.
    fn queue(&self) -> &Queue;

    /// What may be touched between two transactions, no part of which is appended; `None` within one.
    fn between(&mut self) -> Option<Parts<'_, Self::Place, Self::Track>>;

    /// The table at hand on its way; `None`: none is.
    fn join(&mut self) -> &mut Option<Join<Self::Track>>;

    /// A track of what comes from now on.
    fn track(&self) -> Self::Track;
}

/// Parts of a stream.
pub(crate) struct Parts<'p, P, T: Track> {
    pub(crate) place: &'p mut P,
    pub(crate) watch: &'p mut Watch,
    pub(crate) join: &'p mut Option<Join<T>>,
}

/// What happened beside the stream.
pub(crate) enum News<C: Chunks> {
    /// Somebody wants this table.
    Asked(String),
    /// It can be read, or can't.
    Checked(String, Result<(), Trouble>),
    Looked(Result<(Vec<String>, C::Sight), Trouble>),
    Read(Result<(Chunk, C::Sight), Trouble>),
    /// It may be tried again.
    Rested,
}

enum Answer<C: Chunks> {
    Looked(Result<(Vec<String>, C::Sight), Trouble>),
    Read(Result<(Chunk, C::Sight), Trouble>),
}

/// Asks a database for the tables that are wanted again.
pub(crate) struct Pump<'c, C: Chunks> {
    flow: &'c str,
    /// What others are made of.
    model: C,
    /// Away while it is asked.
    chunks: Option<C>,
    asking: Option<Question<'c, (C, Answer<C>)>>,
    checking: Option<Question<'c, (String, Result<(), Trouble>)>>,
    /// Tables that can be read, and stand in no place yet.
    accepted: Vec<String>,
    rests_until: Option<Instant>,
    /// Chunks in a row that were of no use.
    unsettled: u32,
    /// What was said last of why it does not go on.
    said: String,
}

impl<'c, C: Chunks + 'c> Pump<'c, C> {
    pub(crate) fn new(flow: &'c str, chunks: C) -> Self {
        Self {
            flow,
            model: chunks.another(),
            chunks: Some(chunks),
            asking: None,
            checking: None,
            accepted: Vec::new(),
            rests_until: None,
            unsettled: 0,
            said: String::new(),
        }
    }

    /// Waits for news. May be dropped and called again.
    pub(crate) async fn next<P>(&mut self, talk: &Talk<P>) -> News<C> {
        let is_free = self.checking.is_none();
        tokio::select! {
            table = talk.asked(), if is_free => News::Asked(table),
            (table, checked) = answered(&mut self.checking) => News::Checked(table, checked),
            (chunks, answer) = answered(&mut self.asking) => {
                self.chunks = Some(chunks);
                match answer {
                    Answer::Looked(looked) => News::Looked(looked),
                    Answer::Read(read) => News::Read(read),
                }
            }
            () = rested(self.rests_until) => {
                self.rests_until = None;
                News::Rested
            }
        }
    }

    /// Takes news; whether anybody listens.
    pub(crate) async fn take<S>(
        &mut self,
        news: News<C>,
        stream: &mut S,
        talk: &Talk<S::Place>,
    ) -> bool
    where
        S: Joined,
        S::Track: Track<Sight = C::Sight>,
    {
        match news {
            News::Rested => {}
            News::Asked(table) if stream.queue().of(&table).is_some() => {
                let reason = stands_already(&table);
                return talk.tell(Told::Refused(table, reason)).await;
            }
            News::Asked(table) => self.check(table),
            News::Checked(table, Ok(())) => self.accepted.push(table),
            News::Checked(table, Err(Trouble::Person(reason) | Trouble::Passing(reason))) => {
                return talk.tell(Told::Refused(table, reason)).await;
            }
            News::Looked(Ok((key, sight))) => {
                if let Some(join) = stream.join() {
                    join.track.begin(&sight);
                    join.set_key(key);
                }
            }
            News::Read(Ok((chunk, sight))) => {
                let arrived = stream.join().as_mut().map(|join| join.arrive(chunk, sight));
                match arrived {
                    Some(false) => self.settle(),
                    _ => self.unsettled = 0,
                }
            }
            News::Looked(Err(trouble)) | News::Read(Err(trouble)) => {
                return self.failed(trouble, stream, talk).await;
            }
        }
        true
    }

    /// Does what can be done at this place of the stream; whether anybody listens.
    ///
    /// # Errors
    /// The flow is to stop before rows of a new shape.
    pub(crate) async fn step<S>(
        &mut self,
        stream: &mut S,
        talk: &Talk<S::Place>,
    ) -> Result<bool, Trouble>
    where
        S: Joined,
        S::Track: Track<Sight = C::Sight>,
    {
        if !stream.queue().has_any() && self.accepted.is_empty() {
            return Ok(true);
        }
        if !self.accept(stream, talk).await || !self.land(stream, talk).await? {
            return Ok(false);
        }
        self.ask(stream);
        Ok(true)
    }

    fn check(&mut self, table: String) {
        let mut chunks = self.model.another();
        self.checking = Some(Box::pin(async move {
            let looked = chunks.look(&table).await;
            (table, looked.map(drop))
        }));
    }

    /// What can be read stands in the place.
    async fn accept<S: Joined>(&mut self, stream: &mut S, talk: &Talk<S::Place>) -> bool {
        if self.accepted.is_empty() {
            return true;
        }
        let Some(parts) = stream.between() else {
            return true;
        };
        let mut told = Vec::new();
        for table in self.accepted.drain(..) {
            if let Err(reason) = parts.place.wanted_mut().add(&table, now_us()) {
                told.push(Told::Refused(table, reason));
            }
        }
        told.push(Told::Looked(Box::new(parts.place.clone()), now_us()));
        for told in told {
            if !talk.tell(told).await {
                return false;
            }
        }
        true
    }

    /// Gives a chunk whose place this is.
    async fn land<S: Joined>(
        &mut self,
        stream: &mut S,
        talk: &Talk<S::Place>,
    ) -> Result<bool, Trouble> {
        let Some(parts) = stream.between() else {
            return Ok(true);
        };
        let Some(join) = parts.join else {
            return Ok(true);
        };
        let landed = join.land(parts.place);
        let partial = join.partial();
        if let Some(first) = parts.place.wanted_mut().first_mut() {
            first.partial += partial;
        }
        let (ready, is_last) = match landed {
            None => return Ok(true),
            Some(Landed::Spoilt) => {
                // Its key may be another one now.
                join.set_key(Vec::new());
                info!(
                    table = join.table(),
                    "the table was altered while it was read: a part is read again"
                );
                self.rests_until = Some(Instant::now() + SETTLES_AFTER);
                return Ok(true);
            }
            Some(Landed::Emptied) => {
                info!(table = join.table(), "it was emptied meanwhile");
                (None, true)
            }
            Some(Landed::Rows(chunk, fates)) => {
                let is_last = chunk.is_last;
                let given = give(self.flow, chunk, fates, parts.place, parts.watch);
                (given.map_err(Trouble::Person)?, is_last)
            }
        };
        self.said.clear();
        if is_last && let Some(done) = parts.place.wanted_mut().end() {
            ended(&done);
        }
        // The end of a table stands in the same append as its last rows.
        let told = match ready {
            Some(mut ready) => {
                ready.place = parts.place.clone();
                Told::Ready(Box::new(ready), now_us())
            }
            None => Told::Looked(Box::new(parts.place.clone()), now_us()),
        };
        Ok(talk.tell(told).await)
    }

    /// Asks for what comes next, if nothing is being asked for.
    fn ask<S>(&mut self, stream: &mut S)
    where
        S: Joined,
        S::Track: Track<Sight = C::Sight>,
    {
        if self.rests_until.is_some() || self.chunks.is_none() {
            return;
        }
        let track = stream.join().is_none().then(|| stream.track());
        let Some(parts) = stream.between() else {
            return;
        };
        let Some(first) = parts.place.wanted().first().cloned() else {
            *parts.join = None;
            return;
        };
        if let Some(track) = track {
            *parts.join = Some(Join::new(&first.table, track));
        }
        let Some(join) = parts.join.as_mut().filter(|join| join.is_resting()) else {
            return;
        };
        if join.table() != first.table {
            join.turn_to(&first.table);
        }
        let is_known = !join.key().is_empty();
        if is_known {
            join.depart(parts.place);
        } else {
            info!(
                table = first.table,
                rows_before = first.rows,
                "its rows are read again"
            );
        }
        let Some(mut chunks) = self.chunks.take() else {
            return;
        };
        self.asking = Some(Box::pin(async move {
            let answer = match is_known {
                true => Answer::Read(chunks.read(&first).await),
                false => Answer::Looked(chunks.look(&first.table).await),
            };
            (chunks, answer)
        }));
    }

    async fn failed<S: Joined>(
        &mut self,
        trouble: Trouble,
        stream: &mut S,
        talk: &Talk<S::Place>,
    ) -> bool {
        // What is told until it is tried again need not be remembered.
        *stream.join() = None;
        match trouble {
            Trouble::Passing(reason) => {
                self.rest(RETRY_AFTER, &reason);
                true
            }
            Trouble::Person(reason) => self.end(&reason, stream, talk).await,
        }
    }

    /// The table at hand can't be read again.
    async fn end<S: Joined>(
        &mut self,
        reason: &str,
        stream: &mut S,
        talk: &Talk<S::Place>,
    ) -> bool {
        let is_within = stream.between().is_none();
        if is_within {
            // Once more when the transaction has ended.
            self.rest(SETTLES_AFTER, reason);
            return true;
        }
        let Some(parts) = stream.between() else {
            return true;
        };
        if let Some(done) = parts.place.wanted_mut().end() {
            error!(
                table = done.table,
                rows = done.rows,
                reason,
                "not all its rows came again: ask for it once more when that is mended"
            );
        }
        let told = Told::Looked(Box::new(parts.place.clone()), now_us());
        talk.tell(told).await
    }

    /// A chunk did not see all that was told before it, as happens for a moment: it is read again, less and less often.
    fn settle(&mut self) {
        let time = (SETTLES_AFTER * (1 << self.unsettled.min(10))).min(RETRY_AFTER);
        self.unsettled += 1;
        match self.unsettled {
            ..3 => self.rests_until = Some(Instant::now() + time),
            _ => self.rest(
                time,
                "transactions are open that have written, and perhaps were told already: it waits for their end",
            ),
        }
    }

    fn rest(&mut self, time: Duration, reason: &str) {
        self.rests_until = Some(Instant::now() + time);
        if self.said != reason {
            warn!(reason, "a table's rows can't be read again yet");
            reason.clone_into(&mut self.said);
        }
    }
}

fn ended(done: &Again) {
    info!(table = done.table, rows = done.rows, "its rows came again");
    if done.partial > 0 {
        warn!(
            table = done.table,
            rows = done.partial,
            "so many rows got another key meanwhile, and the log did not repeat their large values: they may not have come"
        );
    }
}

/// Waits for the answer; without a question, for ever.
async fn answered<T>(question: &mut Option<Question<'_, T>>) -> T {
    match question {
        None => std::future::pending().await,
        Some(asked) => {
            let answer = asked.await;
            *question = None;
            answer
        }
    }
}

async fn rested(until: Option<Instant>) {
    match until {
        None => std::future::pending().await,
        Some(until) => sleep_until(until).await,
    }
}
