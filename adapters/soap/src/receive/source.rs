//! The flow's side of an endpoint: decodes calls, and answers them once they are appended.
//!
//! A position is a number that counts batches: nothing has to be found again by it, as a call that was not answered is made again by its
//! caller. What was appended of it is found by its [`marks`](super::marks).

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dray_adapter::{
    BATCH_RECORDS_MAX, Batch, Calls, IdScope, Mark, MarkState, Origin, Polled, Position, Seen,
    Source, SourceError,
};
use dray_edges::edge;
use dray_formats::Gather;
use tokio::sync::oneshot;
use tracing::{debug, info};

use super::exchange::{Answer, ENDED, Exchange, FULL, Message, UNREADABLE, tell};
use super::found::Found;
use super::marks;
#[cfg(feature = "fuzzing")]
use super::serve::Desk;
use super::serve::{Server, Settings};
use super::{Call, Identity, Spoken};
use crate::reading::{Fault, Reading, at_once, count};

/// How long to wait before an address is tried again that could not be listened at.
const AGAIN: Duration = Duration::from_secs(5);
/// Calls wake the flow: it looks by itself only in case.
const IDLE: Duration = Duration::from_secs(60);

/// What becomes of a call some of whose records can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRecords {
    /// The call is refused, whole, with the reason.
    #[default]
    Refuse,
    /// They become dead letters, the others go on.
    DeadLetter,
}

/// An endpoint as a source.
pub struct Receiver {
    flow: Arc<str>,
    spoken: Spoken,
    bad_records: BadRecords,
    /// Of a batch.
    records_max: usize,
    settings: Settings,
    exchange: Arc<Exchange>,
    calls: Arc<Calls>,
    server: Option<Server>,
    seen: Option<Arc<dyn Seen>>,
    /// Told apart from every other start of the agent.
    life: [u8; 16],
    counter: u64,
    /// A call of which there is more than was handed out.
    long: Option<Long>,
    appending: VecDeque<Appending>,
    /// Of what is being appended, by id.
    ids: HashMap<String, ([u8; 32], u64)>,
}

/// A call that is taken.
struct Taken {
    call: Arc<Call>,
    scope: IdScope,
    received_us: i64,
    records: u64,
    reply: oneshot::Sender<Answer>,
}

struct Long {
    taken: Taken,
    reading: Reading,
}

/// A call whose last batch is polled and not committed.
struct Appending {
    counter: u64,
    id: Option<String>,
    records: u64,
    replies: Vec<oneshot::Sender<Answer>>,
}

impl Receiver {
    pub(crate) fn new(
        flow: &str,
        spoken: Spoken,
        bad_records: BadRecords,
        settings: Settings,
    ) -> Self {
        Self {
            flow: flow.into(),
            spoken,
            bad_records,
            records_max: BATCH_RECORDS_MAX,
            settings,
            exchange: Arc::default(),
            calls: Arc::new(Calls::served()),
            server: None,
            seen: None,
            life: rand::random(),
            counter: 0,
            long: None,
            appending: VecDeque::new(),
            ids: HashMap::new(),
        }
    }

    /// Where calls that are not short wait.
    #[must_use]
    pub fn with_own_folder(mut self, own: PathBuf) -> Self {
        self.settings.folder = Arc::new(own);
        self
    }

    /// Smaller batches than the contract allows.
    #[must_use]
    pub fn with_batches_of(mut self, records_max: usize) -> Self {
        self.records_max = records_max;
        self
    }

    /// Forgets all calls.
    pub(super) fn start_over(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) {
        let counted =
            |position: &Position| Some(u64::from_be_bytes(position.0[..].try_into().ok()?));
        let resumed = resume.as_ref().and_then(counted);
        self.counter = self.counter.max(resumed.unwrap_or(0));
        self.seen = Some(seen);
        (self.long, self.exchange) = (None, Arc::default());
        self.appending.clear();
        self.ids.clear();
        self.exchange.wakes(wake);
    }

    /// A call's first batch; `None` where it was answered at once.
    fn begin(&mut self, mut message: Message) -> Option<Batch> {
        // Its caller was told to come again, or is gone: nothing of it is stored.
        if message.reply.is_closed() {
            return None;
        }
        if let Some(reason) = message.call.too_long() {
            return refuse(message.reply, Fault::Call(reason));
        }
        if let Some(answer) = self.known(&message.call) {
            return self.again(answer, message);
        }
        let operation = message.call.operation;
        let format = &self.spoken.formats[operation];
        let at_once = match at_once(format, &message.content, self.records_max) {
            Ok(at_once) => at_once,
            Err(fault) => return refuse(message.reply, fault),
        };
        let found = match &at_once {
            Some(gather) => Found::of(gather),
            // Twice over it, so that nothing of a call can be seen that turns out to be wrong.
            None => match count(format, &mut message.content, self.bad_max()) {
                Ok(tally) => tally.into(),
                Err(fault) => return refuse(message.reply, fault),
            },
        };
        if let Some(reason) = found.wrong(self.bad_max(), self.spoken.may_be_empty[operation]) {
            return refuse(message.reply, Fault::Call(reason));
        }
        let taken = Taken {
            scope: self.scope(message.call.identity.as_ref()),
            call: message.call,
            received_us: message.received_us,
            records: found.records + found.rejects,
            reply: message.reply,
        };
        match at_once {
            Some(gather) => Some(self.hand_out_last(taken, gather)),
            None => self.go_on(Long {
                reading: Reading::new(format, message.content, self.records_max),
                taken,
            }),
        }
    }

    fn bad_max(&self) -> u64 {
        self.bad_records.allowed()
    }

    /// Answers a call whose id is known.
    fn again(&mut self, known: Known, mut message: Message) -> Option<Batch> {
        match known {
            Known::Other => {
                let reason =
                    "its key or message id was used before, by a message with other content";
                refuse(message.reply, Fault::Call(reason.into()))
            }
            Known::Under(counter) => {
                self.attach(counter, message.reply);
                None
            }
            Known::Stored => {
                let format = &self.spoken.formats[message.call.operation];
                let tally = match count(format, &mut message.content, u64::MAX) {
                    Ok(tally) => tally,
                    Err(fault) => return refuse(message.reply, fault),
                };
                let _ = message.reply.send(Answer::Stored {
                    records: tally.records + tally.rejects,
                    repeated: true,
                });
                None
            }
        }
    }

    /// What is known of a call under its id.
    fn known(&self, call: &Call) -> Option<Known> {
        let identity = call.identity.as_ref()?;
        if let Some((content, counter)) = self.ids.get(&identity.id) {
            let same = *content == identity.content;
            return Some(if same {
                Known::Under(*counter)
            } else {
                Known::Other
            });
        }
        if self.is_seen(&marks::content(identity)) {
            return Some(Known::Stored);
        }
        self.is_seen(&marks::id(identity)).then_some(Known::Other)
    }

    fn is_seen(&self, mark: &Mark) -> bool {
        let seen = self.seen.as_ref();
        seen.is_some_and(|seen| seen.seen(mark) != MarkState::New)
    }

    /// A further try of a call that is being appended waits with the first.
    fn attach(&mut self, counter: u64, reply: oneshot::Sender<Answer>) {
        let mut appending = self.appending.iter_mut();
        if let Some(found) = appending.find(|appending| appending.counter == counter) {
            found.replies.push(reply);
        }
    }

    fn scope(&self, identity: Option<&Identity>) -> IdScope {
        let flow = self.flow.as_bytes();
        match identity {
            // The content too: where a key comes again after its marks are forgotten, a new message must not look like the old one.
            Some(Identity { id, content }) => IdScope::of(&[flow, b"call", id.as_bytes(), content]),
            None => {
                let counter = (self.counter + 1).to_be_bytes();
                IdScope::of(&[flow, b"call without id", &self.life, &counter])
            }
        }
    }

    fn batch(&mut self, taken: &Taken, gather: Gather, marks: Vec<Mark>, last: bool) -> Batch {
        self.counter += 1;
        let call = &taken.call;
        let id = call.identity.as_ref().map(|identity| &identity.id);
        let shown = call.message_id.as_ref().or(id);
        Batch {
            origin: Origin {
                scope: taken.scope,
                file: "".into(),
                message_id: shown.map_or("", String::as_str).into(),
                change_position: "".into(),
            },
            records: gather.records,
            rejects: gather.rejects,
            marks,
            position: Position(Bytes::copy_from_slice(&self.counter.to_be_bytes())),
            captured_us: taken.received_us,
            ends_unit: last,
            report: None,
        }
    }

    /// What is left of a call. It is answered once that is committed.
    fn hand_out_last(&mut self, taken: Taken, gather: Gather) -> Batch {
        let identity = taken.call.identity.as_ref();
        let marks = identity.map_or(Vec::new(), |identity| {
            vec![marks::id(identity), marks::content(identity)]
        });
        let batch = self.batch(&taken, gather, marks, true);
        let identity = taken.call.identity.as_ref();
        if let Some(Identity { id, content }) = identity {
            self.ids.insert(id.clone(), (*content, self.counter));
        }
        self.appending.push_back(Appending {
            counter: self.counter,
            id: identity.map(|identity| identity.id.clone()),
            records: taken.records,
            replies: vec![taken.reply],
        });
        batch
    }

    /// The next part of a long call; parts that an earlier try left behind are not handed out again.
    /// Where its caller is gone, others are not held up by it: what is left comes with the next try.
    fn go_on(&mut self, mut long: Long) -> Option<Batch> {
        if long.taken.reply.is_closed() && long.taken.call.identity.is_some() {
            return None;
        }
        loop {
            let (gather, last) = match long.reading.next() {
                Ok(read) => read,
                Err(fault) => return refuse(long.taken.reply, fault),
            };
            if last {
                return Some(self.hand_out_last(long.taken, gather));
            }
            let identity = long.taken.call.identity.as_ref();
            let part = identity.map(|identity| marks::part(identity, &gather));
            if part.as_ref().is_some_and(|part| self.is_seen(part)) {
                continue;
            }
            let marks = part.into_iter().collect();
            let batch = self.batch(&long.taken, gather, marks, false);
            self.long = Some(long);
            return Some(batch);
        }
    }

    /// What connections share, without one.
    #[cfg(feature = "fuzzing")]
    pub(super) fn desk(&self) -> Desk {
        let dialect = Arc::clone(&self.spoken.dialect);
        Desk::new(
            &self.settings,
            dialect,
            Arc::clone(&self.exchange),
            Arc::clone(&self.calls),
        )
    }

    /// Who has an id comes again without harm. Others wait: what was taken of them may still be appended, and a second try would be
    /// appended too.
    fn turn_away(&mut self, why: &'static str) {
        self.exchange.set_busy(Some(why));
        let known = self.appending.iter_mut().filter(|one| one.id.is_some());
        let replies = known.flat_map(|one| one.replies.drain(..));
        tell(replies.map(|reply| (reply, Answer::Later(why))));
        // Of this one, what is appended is known by its marks.
        let has_id = |long: &mut Long| long.taken.call.identity.is_some();
        if let Some(long) = self.long.take_if(has_id) {
            let _ = long.taken.reply.send(Answer::Later(why));
        }
    }

    /// Whoever was not answered is told to come again, as far as there is time for it.
    fn end(&mut self) {
        self.turn_away(ENDED);
        let replies = self.appending.drain(..).flat_map(|one| one.replies);
        tell(replies.map(|reply| (reply, Answer::Later(ENDED))));
        if let Some(long) = self.long.take() {
            let _ = long.taken.reply.send(Answer::Later(ENDED));
        }
        if let Some(server) = self.server.take() {
            server.end();
        }
    }
}

/// What became of an id.
enum Known {
    /// It is appended.
    Stored,
    /// It is being appended, under this number.
    Under(u64),
    /// It was that of another content.
    Other,
}

fn refuse(reply: oneshot::Sender<Answer>, fault: Fault) -> Option<Batch> {
    let answer = match fault {
        Fault::Call(reason) => Answer::Refused(reason),
        Fault::Disk(error) => {
            debug!(%error, "a call that waits could not be read");
            Answer::Later(UNREADABLE)
        }
    };
    let _ = reply.send(answer);
    None
}

impl Source for Receiver {
    fn calls(&self) -> Option<Arc<Calls>> {
        Some(Arc::clone(&self.calls))
    }

    fn open(
        &mut self,
        resume: Option<Position>,
        seen: Arc<dyn Seen>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(), SourceError> {
        self.start_over(resume, seen, wake);
        let dialect = Arc::clone(&self.spoken.dialect);
        let (exchange, calls) = (Arc::clone(&self.exchange), Arc::clone(&self.calls));
        let server = Server::start(&self.settings, dialect, exchange, calls);
        let server = server.map_err(|reason| SourceError::Retry {
            reason,
            after: AGAIN,
        })?;
        info!(address = %server.address(), "listening");
        self.server = Some(server);
        Ok(())
    }

    fn poll(&mut self) -> Result<Polled, SourceError> {
        if let Some(long) = self.long.take()
            && let Some(batch) = self.go_on(long)
        {
            return Ok(Polled::Batch(Box::new(batch)));
        }
        while let Some(message) = self.exchange.next() {
            if let Some(batch) = self.begin(message) {
                return Ok(Polled::Batch(Box::new(batch)));
            }
        }
        Ok(Polled::Idle(IDLE))
    }

    fn commit(&mut self, position: &Position) -> Result<(), SourceError> {
        let Ok(through) = position.0[..].try_into().map(u64::from_be_bytes) else {
            return Ok(());
        };
        // There was room for it.
        self.exchange.set_busy(None);
        edge!("soap.before_answer");
        let mut told = Vec::new();
        while let Some(first) = self
            .appending
            .pop_front_if(|first| first.counter <= through)
        {
            if let Some(id) = &first.id {
                self.ids.remove(id);
            }
            let records = first.records;
            let of_try = |(try_, reply)| {
                let repeated = try_ > 0;
                (reply, Answer::Stored { records, repeated })
            };
            told.extend(first.replies.into_iter().enumerate().map(of_try));
        }
        self.exchange.answer(told);
        Ok(())
    }

    fn is_waited_for(&self) -> bool {
        true
    }

    fn acked(&mut self, _: &Position) -> Result<(), SourceError> {
        Ok(())
    }

    fn refuse(&mut self, why: &str) {
        info!(why, "callers are told to come again later");
        self.turn_away(FULL);
    }

    fn close(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::SoapReceiveConfig;

    #[test]
    fn a_key_that_comes_again_with_other_content_makes_other_ids() {
        let config: SoapReceiveConfig = toml::from_str(
            "kind = \"soap-receive\"\nlisten = \"127.0.0.1:0\"\n[[operation]]\nname = \"Put\"\nroot = \"Put\"\nfields = { ID = \"Id\" }",
        )
        .expect("a configuration");
        let receiver = config.make("north/calls").expect("an endpoint");
        let scope = |id: &str, content: u8| {
            let id = id.to_owned();
            receiver.scope(Some(&Identity {
                id,
                content: [content; 32],
            }))
        };
        assert_eq!(scope("B1", 1), scope("B1", 1), "a retry");
        assert_ne!(scope("B1", 1), scope("B1", 2), "another year's B1");
        assert_ne!(scope("B1", 1), scope("B2", 1));
    }
}
