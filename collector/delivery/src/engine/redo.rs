//! Exceptions that are sent again.

use std::cmp::Reverse;
use std::sync::Arc;

use dray_proto::event::View;
use dray_proto::{FlowName, Sequence};
use dray_store::{Exception, ExceptionQuery, ExceptionState, Store, StoreError};

use super::Engine;
use super::persist::{Done, Op, failed};
use crate::batch::Item;
use crate::body::Place;
use crate::detail::Detail;
use crate::policy::{After, OLDER, Redo};
use crate::reader::meta;
use crate::window::{Again, Loaded, Meta, Spot};

/// Exceptions of a key that are read at once.
const KEY_PAGE: usize = 16;
/// Keys or single exceptions that are read at once.
const REDO_PAGE: usize = 64;
/// Bytes after which reading stops for now; one key more may come.
const REDO_BYTES: usize = 4 * 1024 * 1024;

impl Engine {
    /// These should be sent again, where they are not on the way already.
    pub(super) fn want(&mut self, redo: Vec<Redo>) {
        for redo in redo {
            let fresh = match &redo {
                Redo::One(id) => self.redoing.insert(*id),
                Redo::Key(..) => !self.redo.contains(&redo),
            };
            if fresh {
                self.redo.push_back(redo);
            }
        }
    }

    pub(super) fn load_redo(&mut self) -> Op {
        let wanted: Vec<_> = self.redo.drain(..self.redo.len().min(REDO_PAGE)).collect();
        let (store, target) = (Arc::clone(&self.store), self.config.name.clone());
        let holds = self.keys.holds();
        Box::pin(async move {
            let kept = wanted.clone();
            let loaded = move || load(&*store, &target, holds, wanted);
            match tokio::task::spawn_blocking(loaded).await {
                Ok(Ok((found, left))) => Done::Loaded { found, left },
                Ok(Err(error)) => failed(error.to_string(), kept).await,
                Err(error) => failed(error.to_string(), kept).await,
            }
        })
    }

    pub(super) fn take_redo(&mut self, redo: Redo, exceptions: Vec<Exception>) {
        let (catalogue, target) = (Arc::clone(&self.config.catalogue), self.config.name.clone());
        let sends = |flow: &FlowName| catalogue.phase(flow, &target).sends();
        match &redo {
            Redo::One(id) => {
                if !exceptions
                    .into_iter()
                    .filter(|found| sends(&found.flow))
                    .any(|found| self.push_again(found, 0))
                {
                    self.redoing.remove(id);
                }
            }
            Redo::Key(flow, key) => {
                let id = self.keys.id(flow, key);
                if self.keys.is_queued(id) {
                    return;
                }
                if !sends(flow) {
                    // It stays on disk as it is, until the flow is live again.
                    self.keys.pass_ends(id);
                    return;
                }
                if exceptions.is_empty() {
                    if self.pending.adds(id) {
                        self.pending.then_load.push(redo);
                    } else {
                        self.keys.open(id);
                    }
                    return;
                }
                let run = self.runnable(exceptions);
                let Some(pass) = self
                    .keys
                    .begin(id, run.len() as u32)
                    .filter(|_| !run.is_empty())
                else {
                    self.keys.pass_ends(id);
                    return;
                };
                for exception in run.into_iter().rev() {
                    if !self.push_again(exception, pass) {
                        // Its bytes are no event: nothing can send it, so the key waits for somebody.
                        self.keys.pass_ends(id);
                        return;
                    }
                }
            }
        }
    }

    /// One that was tried again alone is over. Where others of its key wait, they waited for that, too.
    pub(super) fn redone(&mut self, id: u64, loaded: &Loaded, meta: &Meta) {
        self.redoing.remove(&id);
        let (flow, key) = (&loaded.place.flow, loaded.key(meta));
        if self.keys.blocks(self.keys.id(flow, key)) {
            let rest = Redo::Key(flow.clone(), key.to_owned());
            self.pending.then_load.push(rest);
        }
    }

    /// Whether somebody discarded this one while it was among the lanes. It is over, whatever came of it, and its pass goes on: the
    /// caller opens its lane.
    pub(super) fn let_go(&mut self, loaded: &Loaded, meta: &Meta, again: Again) -> bool {
        let is_gone = self.gone.remove(&again.id);
        if is_gone {
            self.redoing.remove(&again.id);
            let (flow, key) = (&loaded.place.flow, loaded.key(meta));
            let id = self.keys.id(flow, key);
            if again.pass > 0 && self.keys.pass_gone(id) == After::Load {
                let rest = Redo::Key(flow.clone(), key.to_owned());
                self.pending.then_load.push(rest);
            }
        }
        is_gone
    }

    /// The same of one that was sent; its lane is opened.
    pub(super) fn has_let_go(&mut self, item: &Item, loaded: &Loaded, meta: &Meta) -> bool {
        let is_gone = loaded
            .redo
            .is_some_and(|again| self.let_go(loaded, meta, again));
        if is_gone {
            self.pending.open(item.slot);
        }
        is_gone
    }

    /// Whether it was discarded, as far as is known.
    pub(super) fn is_gone(&self, loaded: &Loaded) -> bool {
        loaded
            .redo
            .is_some_and(|again| self.gone.contains(&again.id))
    }

    /// What may be sent of a key's exceptions: in order, up to the first that waits for somebody or for its time.
    fn runnable(&mut self, exceptions: Vec<Exception>) -> Vec<Exception> {
        use ExceptionState::{Accepted, Awaits, Confirm, Dead, Retry};
        let now_us = jiff::Timestamp::now().as_microsecond();
        let mut run: Vec<Exception> = Vec::new();
        for found in exceptions {
            match found.state {
                Dead | Confirm => break,
                // It is on its way already, alone.
                Retry if self.redoing.contains(&found.id) => break,
                // It is looked at whether what it names has come.
                Awaits if !run.is_empty() => break,
                Accepted => {
                    let due_us = Detail::read(&found.detail).due_us;
                    if !run.is_empty() || due_us > now_us {
                        self.waits.push(Reverse((due_us, found.flow, found.key)));
                        break;
                    }
                    run.push(found);
                }
                _ => run.push(found),
            }
        }
        run
    }

    /// Puts an exception before its lane; false if its bytes are no event.
    fn push_again(&mut self, exception: Exception, pass: u32) -> bool {
        let told = Detail::read(&exception.detail);
        let bytes = told.edited().unwrap_or_else(|| exception.event.to_vec());
        let Ok(view) = View::of(&bytes) else {
            return false;
        };
        let meta = meta(&self.lane_hash, &bytes, &view, 0, 0..bytes.len() as u32);
        let again = Again {
            id: exception.id,
            pass,
            older: exception.state == ExceptionState::Retry && exception.reason.starts_with(OLDER),
            was: exception.state,
        };
        let loaded = Loaded {
            flow: None,
            place: Arc::new(Place::marked(
                exception.flow.clone(),
                self.config
                    .catalogue
                    .phase(&exception.flow, &self.config.name),
            )),
            first_offset: exception.offset,
            first_sequence: Sequence(0),
            epoch: 0,
            bytes,
            events: vec![meta],
            redo: Some(again),
            told: Some(Box::new(told)),
            replayed: None,
        };
        let block = self.window.add(loaded, 1);
        let spot = Spot { block, event: 0 };
        if pass == 0 {
            self.push_before(spot);
        } else {
            // What is behind one of these was never sent.
            self.lanes.push_first(meta.lane, spot);
        }
        true
    }
}

type Found = (Vec<(Redo, Vec<Exception>)>, Vec<Redo>);

/// `holds`: a dead one blocks its key. Else it is parked, and none of those that are read: many would hide what waits behind them.
fn load(
    store: &dyn Store,
    target: &str,
    holds: bool,
    wanted: Vec<Redo>,
) -> Result<Found, StoreError> {
    use ExceptionState::{Accepted, Awaits, Confirm, Dead, Held, Retry};
    let mut states = vec![Held, Retry, Accepted, Confirm, Awaits];
    states.extend(holds.then_some(Dead));
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut wanted = wanted.into_iter();
    for redo in wanted.by_ref() {
        let mut query = ExceptionQuery {
            target: Some(target.to_owned()),
            states: states.clone(),
            ..ExceptionQuery::default()
        };
        match &redo {
            Redo::Key(flow, key) => {
                (query.flow, query.key, query.limit) =
                    (Some(flow.clone()), Some(key.clone()), KEY_PAGE);
            }
            Redo::One(id) => (query.after, query.limit) = (id - 1, 1),
        }
        let mut exceptions = store.exceptions(&query)?;
        if let Redo::One(id) = redo {
            exceptions
                .retain(|exception| exception.id == id && exception.state == ExceptionState::Retry);
        }
        exceptions.sort_by_key(|exception| exception.offset);
        bytes += exceptions
            .iter()
            .map(|exception| exception.event.len())
            .sum::<usize>();
        found.push((redo, exceptions));
        if bytes > REDO_BYTES {
            break;
        }
    }
    Ok((found, wanted.collect()))
}
