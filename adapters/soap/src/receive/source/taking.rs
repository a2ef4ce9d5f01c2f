//! What becomes of one call: whether it is taken, and the batches that it makes.

use std::sync::Arc;

use bytes::Bytes;
use bytesize::ByteSize;
use dray_adapter::{Batch, IdScope, Mark, MarkState, Origin, Position};
use dray_formats::Gather;
use tokio::sync::oneshot;
use tracing::debug;

use super::super::exchange::{Answer, Message, UNREADABLE};
use super::super::found::Found;
use super::super::{Call, Identity, marks};
use super::Receiver;
use super::appending::Under;
use crate::reading::{Fault, Reading, at_once, count};

/// A call that is taken.
pub(super) struct Taken {
    pub(super) call: Arc<Call>,
    scope: IdScope,
    received_us: i64,
    records: u64,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// One of which there is more than was handed out.
pub(super) struct Long {
    pub(super) taken: Taken,
    reading: Reading,
}

impl Receiver {
    /// A call's first batch; `None` where it was answered at once.
    pub(super) fn begin(&mut self, mut message: Message) -> Option<Batch> {
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
        let most = self.settings.limits.records_bytes_max();
        let found = match &at_once {
            Some(gather) => Found::of(gather),
            // Twice over it, so that nothing of a call can be seen that turns out to be wrong.
            None => match count(format, &mut message.content, self.bad_max(), most) {
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
                self.appending.attach(counter, message.reply);
                None
            }
            Known::Stored => {
                // It was measured before it was stored.
                let all = ByteSize(u64::MAX);
                let format = &self.spoken.formats[message.call.operation];
                let tally = match count(format, &mut message.content, u64::MAX, all) {
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
        match self.appending.under(identity) {
            Some(Under::Same(counter)) => return Some(Known::Under(counter)),
            Some(Under::Other) => return Some(Known::Other),
            None => {}
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
            reports: Vec::new(),
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
        self.appending
            .push(self.counter, identity, taken.records, taken.reply);
        batch
    }

    /// The next part of a long call; parts that an earlier try left behind are not handed out again.
    /// Where its caller is gone, others are not held up by it: what is left comes with the next try.
    pub(super) fn go_on(&mut self, mut long: Long) -> Option<Batch> {
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
