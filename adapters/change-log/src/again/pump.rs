//! When what is asked of the database, while its stream is read.
//!
//! Questions are futures that are polled beside the stream: whether a table can be read again, what its key is, its next chunk. Nothing that
//! goes wrong with them ends the stream: what may pass is tried again, after the other tables that wait, and what does not ends the load. Both
//! stand in the place, so that `status` shows them, and in the agent's log once.

use std::mem;

use tokio::time::sleep;
use tracing::{error, info, warn};

use super::given::give;
use super::join::{Arrived, Join, Landed, Track};
use super::question::{Question, beside};
use super::stream::{Chunks, Joined, Stands};
use super::waits::Waits;
use super::wishes::{Checked, Wishes};
use super::{Again, Chunk, Key};
use crate::reader::{Talk, Told, Trouble, Wish, now_us};

/// What happened beside the stream.
pub(crate) enum News<C: Chunks> {
    /// Somebody wants something.
    Asked(Wish),
    /// A table can be read, or can't.
    Checked(Checked),
    /// The database answers.
    Answered(C, Answer<C::Sight>),
    /// It may be tried again.
    Rested,
    /// A chunk has waited for its place for too long.
    Held,
}

/// What it was asked.
pub(crate) enum Answer<S> {
    Looked(Result<(Key, S), Trouble>),
    Read(Result<(Chunk, S), Trouble>),
}

/// Asks a database for the tables that are wanted again.
pub(crate) struct Pump<'c, C: Chunks> {
    flow: &'c str,
    /// What others are made of.
    model: C,
    /// Away while it is asked.
    chunks: Option<C>,
    asking: Question<'c, (C, Answer<C::Sight>)>,
    wishes: Wishes<'c>,
    waits: Waits,
    /// Why the table at hand is to be ended at the next place.
    ends: Option<String>,
    /// Another table is to go first.
    turns: bool,
}

impl<'c, C: Chunks + 'c> Pump<'c, C> {
    /// `talk`: has what was asked for and is not answered yet.
    pub(crate) fn new<P>(flow: &'c str, chunks: C, talk: &Talk<P>) -> Self {
        let mut wishes = Wishes::new();
        talk.unanswered()
            .into_iter()
            .for_each(|wish| wishes.add(wish));
        wishes.check(&chunks);
        Self {
            flow,
            model: chunks.another(),
            chunks: Some(chunks),
            asking: Question::none(),
            wishes,
            waits: Waits::default(),
            ends: None,
            turns: false,
        }
    }

    /// Waits for news. May be dropped and called again.
    pub(crate) async fn next<P>(&mut self, talk: &Talk<P>) -> News<C> {
        tokio::select! {
            wish = talk.asked() => News::Asked(wish),
            checked = self.wishes.checking.answered() => News::Checked(checked),
            (chunks, answer) = self.asking.answered() => News::Answered(chunks, answer),
            is_held = self.waits.over() => match is_held {
                true => News::Held,
                false => News::Rested,
            },
        }
    }

    /// Waits for something else, as for a flow that is held up, and lets what is asked go on.
    pub(crate) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        beside(work, &mut self.asking, &mut self.wishes.checking).await
    }

    /// Tells the flow something; whether it listens.
    pub(crate) async fn tell<P>(&mut self, talk: &Talk<P>, told: Told<P>) -> bool {
        self.beside(talk.tell(told)).await
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
            News::Held => {
                if let Some(join) = stream.join().as_mut().filter(|join| join.is_held()) {
                    join.give_up();
                    self.waits.was_held();
                }
            }
            News::Asked(wish) => {
                self.wishes.add(wish);
                self.wishes.check(&self.model);
            }
            News::Checked(checked) => {
                let refused = self.wishes.checked(checked);
                self.wishes.check(&self.model);
                if let Some((table, reason)) = refused {
                    talk.answered(&Wish::Load(table.clone()));
                    return self.tell(talk, Told::Refused(table, reason)).await;
                }
            }
            News::Answered(chunks, answer) => {
                self.chunks = Some(chunks);
                self.answered(answer, stream);
            }
        }
        true
    }

    fn answered<S>(&mut self, answer: Answer<C::Sight>, stream: &mut S)
    where
        S: Joined,
        S::Track: Track<Sight = C::Sight>,
    {
        match answer {
            Answer::Looked(Ok((key, sight))) => {
                if let Some(join) = stream.join() {
                    join.track.begin(&sight);
                    join.set_key(key);
                }
            }
            Answer::Read(Ok((chunk, sight))) => {
                match stream.join().as_mut().map(|join| join.arrive(chunk, sight)) {
                    Some(Arrived::Held) => self.waits.holds(),
                    Some(Arrived::Unseen) => self.waits.is_unseen(C::UNSEEN),
                    Some(Arrived::OtherKey) | None => {}
                }
            }
            Answer::Looked(Err(trouble)) | Answer::Read(Err(trouble)) => {
                // What is told until it is tried again need not be remembered.
                *stream.join() = None;
                match trouble {
                    Trouble::Passing(reason) => self.turns |= self.waits.has_failed(&reason),
                    Trouble::Person(reason) => self.ends = Some(reason),
                }
            }
        }
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
        if !stream.queue().has_any() && self.wishes.is_idle() {
            if stream.join().is_some() {
                self.leave(stream);
            }
            return Ok(true);
        }
        for told in self.stand(stream, talk) {
            if !self.tell(talk, told).await {
                return Ok(false);
            }
        }
        if !self.land(stream, talk).await? {
            return Ok(false);
        }
        self.ask(stream);
        Ok(true)
    }

    /// What is wanted, and how it is with that, stands in the place; what is to be told.
    fn stand<S: Joined>(&mut self, stream: &mut S, talk: &Talk<S::Place>) -> Vec<Told<S::Place>> {
        let Some(parts) = stream.between() else {
            return Vec::new();
        };
        let queue = parts.place.wanted_mut();
        let mut is_news = false;
        if let Some(reason) = self.ends.take() {
            self.waits.goes_on();
            if let Some(ended) = queue.fail(&reason) {
                is_news = true;
                error!(
                    table = ended.table,
                    rows = ended.rows,
                    reason,
                    "not all its rows came again: ask for it once more when that is mended"
                );
            }
        }
        let (done, mut told) = self.wishes.stand(queue);
        done.iter().for_each(|wish| talk.answered(wish));
        is_news |= !done.is_empty();
        if mem::take(&mut self.turns) && queue.turn() {
            self.waits.says_nothing();
            is_news = true;
        }
        let is_same = {
            let joined = parts.join.as_ref();
            joined.is_none_or(|joined| queue.first().is_some_and(|first| joined.is_of(first)))
        };
        if !is_same {
            self.waits.says_nothing();
        }
        is_news |= queue
            .first_mut()
            .is_some_and(|first| first.waits(self.waits.said()));
        if is_news {
            told.insert(0, Told::Looked(Box::new(parts.place.clone()), now_us()));
        }
        if !is_same {
            self.leave(stream);
        }
        told
    }

    /// The table that is being read is not wanted now.
    fn leave<S: Joined>(&mut self, stream: &mut S) {
        *stream.join() = None;
        self.asking = Question::none();
        self.chunks.get_or_insert_with(|| self.model.another());
        self.waits.leave();
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
        let Some(landed) = landed else {
            return Ok(true);
        };
        self.waits.holds_no_more();
        if let Landed::Spoilt = landed {
            // Its key may be another one now.
            join.set_key(Key::new());
            self.waits.was_spoilt();
            return Ok(true);
        }
        self.waits.goes_on();
        if let Some(first) = parts.place.wanted_mut().first_mut() {
            first.waits("");
        }
        let (ready, is_last) = match landed {
            Landed::Rows(chunk, fates) => {
                let is_last = chunk.is_last;
                let given = give(self.flow, *chunk, fates, parts.place, parts.watch);
                (given.map_err(Trouble::Person)?, is_last)
            }
            Landed::Emptied | Landed::Spoilt => {
                info!(table = join.table(), "it was emptied meanwhile");
                (None, true)
            }
        };
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
        Ok(self.tell(talk, told).await)
    }

    /// Asks for what comes next, if nothing is being asked for.
    fn ask<S>(&mut self, stream: &mut S)
    where
        S: Joined,
        S::Track: Track<Sight = C::Sight>,
    {
        if self.waits.is_resting() || self.chunks.is_none() {
            return;
        }
        if let Some(join) = stream.join().take_if(|join| join.is_lost()) {
            info!(
                table = join.table(),
                "much was told while it waited: it is looked at anew"
            );
        }
        let track = stream.join().is_none().then(|| stream.track());
        let Some(parts) = stream.between() else {
            return;
        };
        let Some(first) = parts.place.wanted_mut().first_mut() else {
            return;
        };
        if let Some(track) = track {
            *parts.join = Some(Join::new(&first.table, first.number, track));
        }
        let Some(join) = parts.join.as_mut().filter(|join| join.is_resting()) else {
            return;
        };
        if !join.is_of(first) {
            return;
        }
        let is_known = !join.key().is_empty();
        if is_known && first.settle_key(join.key()) {
            warn!(
                table = first.table,
                rows_before = first.rows,
                "it has another key than before, by columns, types or order: its rows are read from the first one on once more"
            );
        } else if !is_known {
            info!(
                table = first.table,
                rows_before = first.rows,
                "its rows are read again"
            );
        }
        let first = first.clone();
        if is_known {
            join.depart(parts.place);
        }
        let Some(mut chunks) = self.chunks.take() else {
            return;
        };
        let lead = self.waits.lead();
        self.asking.ask(async move {
            let answer = match is_known {
                true => {
                    sleep(lead).await;
                    Answer::Read(chunks.read(&first).await)
                }
                false => Answer::Looked(chunks.look(&first.table).await),
            };
            (chunks, answer)
        });
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
