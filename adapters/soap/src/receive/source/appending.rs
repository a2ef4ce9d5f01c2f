//! Calls that were handed out whole and are not committed yet, and who waits for each.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use super::super::Identity;
use super::super::exchange::{Answer, Told};

/// A call whose last batch is polled and not committed.
struct One {
    /// Of that batch.
    counter: u64,
    id: Option<String>,
    records: u64,
    replies: Vec<oneshot::Sender<Answer>>,
}

/// What became of an id that is being appended.
pub(super) enum Under {
    /// It is that of the same call, under this number.
    Same(u64),
    /// It is that of another content.
    Other,
}

/// In the order in which they were handed out.
#[derive(Default)]
pub(super) struct Appending {
    calls: VecDeque<One>,
    /// By id: the content, and the call's number.
    ids: HashMap<String, ([u8; 32], u64)>,
}

impl Appending {
    /// A call was handed out whole.
    pub(super) fn push(
        &mut self,
        counter: u64,
        identity: Option<&Identity>,
        records: u64,
        reply: oneshot::Sender<Answer>,
    ) {
        if let Some(Identity { id, content }) = identity {
            self.ids.insert(id.clone(), (*content, counter));
        }
        self.calls.push_back(One {
            counter,
            id: identity.map(|identity| identity.id.clone()),
            records,
            replies: vec![reply],
        });
    }

    /// Whether a call of this id is among them.
    pub(super) fn under(&self, identity: &Identity) -> Option<Under> {
        let (content, counter) = self.ids.get(&identity.id)?;
        Some(if *content == identity.content {
            Under::Same(*counter)
        } else {
            Under::Other
        })
    }

    /// A further try of a call that is being appended waits with the first.
    pub(super) fn attach(&mut self, counter: u64, reply: oneshot::Sender<Answer>) {
        let mut calls = self.calls.iter_mut();
        if let Some(found) = calls.find(|one| one.counter == counter) {
            found.replies.push(reply);
        }
    }

    /// All batches up to this one are stored: what to tell to whom.
    pub(super) fn committed(&mut self, through: u64) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(first) = self.calls.pop_front_if(|first| first.counter <= through) {
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
        told
    }

    /// Who has an id, and waits no longer.
    pub(super) fn leave_known(&mut self) -> impl Iterator<Item = oneshot::Sender<Answer>> {
        let known = self.calls.iter_mut().filter(|one| one.id.is_some());
        known.flat_map(|one| one.replies.drain(..))
    }

    /// All who wait, and do no longer: nothing is being appended any more.
    pub(super) fn leave(&mut self) -> impl Iterator<Item = oneshot::Sender<Answer>> {
        self.ids.clear();
        self.calls.drain(..).flat_map(|one| one.replies)
    }
}
