//! What is looked at before an event is sent: what the target demands, whether it has what the event names, and what is
//! kept of the event's key.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dray_proto::FlowName;
use dray_proto::event::View;
use dray_proto::v1::Operation;
use dray_store::{KNOWN_MAX, Reference, Store, StoreError};

use crate::batch::{Batch, Item};
use crate::config::TargetConfig;
use crate::demands::{Demands, codes};
use crate::outcome::Missing;
use crate::references::{Named, References, Seed};
use crate::window::Loaded;

/// Hashes of references that are known, in memory: 4 MB. When there are more, it is emptied.
const CACHE_MAX: usize = 200_000;
/// How long to wait after the store could not be read.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What a target's configuration says of it.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    demands: Demands,
    references: References,
    /// Templates and calls may ask for what is kept.
    keeps: bool,
}

impl Rules {
    /// Compiles them. `reads_files`: lists that stand in files, too.
    pub(crate) fn compile(config: &TargetConfig, reads_files: bool) -> Result<Self, String> {
        let read: &dyn Fn(&std::path::Path) -> Result<String, String> = &codes::text_of;
        let read = reads_files.then_some(read);
        let rules = || config.all_rules();
        let named = rules().filter_map(|rule| rule.reference.as_ref()?.of.as_deref());
        let plain: Vec<&str> = named.collect();
        let references = References::compile(&config.references, &config.bodies, &plain, read)?;
        Ok(Self {
            demands: Demands::compile(&config.demands, read)?,
            references,
            keeps: rules().any(|rule| !rule.keep.is_empty()),
        })
    }
}

/// See the module.
pub(crate) struct Vetting {
    target: String,
    store: Arc<dyn Store>,
    rules: Rules,
    hasher: RandomState,
    known: Mutex<HashSet<u64>>,
    /// The target knows so much that nothing more can be noted: nobody can say any more what it lacks.
    full: AtomicBool,
}

/// Events that are not sent, and why.
#[derive(Debug, Default)]
pub(crate) struct Unfit {
    pub(crate) invalid: Vec<(Item, String)>,
    pub(crate) missing: Vec<(Item, Missing)>,
}

impl Vetting {
    pub(crate) fn new(target: &str, store: Arc<dyn Store>, rules: Rules) -> Self {
        Self {
            target: target.to_owned(),
            store,
            rules,
            hasher: RandomState::new(),
            known: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// Takes out of a batch what is not sent, and gives it what is kept of its key.
    pub(crate) async fn look_at(self: &Arc<Self>, batch: &mut Batch) -> Unfit {
        let mut unfit = Unfit::default();
        if !self.rules.demands.is_empty() {
            unfit.invalid = batch.take_out(|event, loaded| match loaded.goes_on() {
                true => None,
                false => self.broken(event),
            });
        }
        if self.rules.references.has_rules() && !self.full.load(Relaxed) {
            unfit.missing = self.missing(batch).await;
        }
        self.remind(batch).await;
        unfit
    }

    fn broken(&self, event: &[u8]) -> Option<String> {
        let view = View::of(event).ok()?;
        let (body, bytes) = view.body?;
        if view.operation == Operation::Delete as i32 {
            return None;
        }
        self.rules.demands.broken(body.number, bytes)
    }

    /// The events that name something that the target has not got.
    async fn missing(self: &Arc<Self>, batch: &mut Batch) -> Vec<(Item, Missing)> {
        let unsure = |named: &Named| !self.known().contains(&self.hash(&named.reference));
        let asked: HashSet<Reference> = batch
            .events()
            .filter(|(loaded, _)| !is_past_looks(loaded))
            .flat_map(|(loaded, meta)| self.rules.references.named(loaded.event(meta)))
            .filter(unsure)
            .map(|named| named.reference)
            .collect();
        if asked.is_empty() {
            return Vec::new();
        }
        let asked: Vec<Reference> = asked.into_iter().collect();
        let (target, wanted) = (self.target.clone(), asked.clone());
        let known = self.read(move |store| store.knows(&target, &wanted)).await;
        let mut lacking = HashSet::new();
        for (reference, known) in asked.into_iter().zip(known) {
            if known {
                self.note(&reference);
            } else {
                lacking.insert(reference);
            }
        }
        batch.take_out(|event, loaded| {
            if is_past_looks(loaded) {
                return None;
            }
            let named = self.rules.references.named(event);
            let first = named
                .into_iter()
                .find(|named| lacking.contains(&named.reference))?;
            let Reference { of, name } = &first.reference;
            let reason = format!(
                "it names {} {:?} ({}), which this target has not got",
                of, name, first.field
            );
            Some(Missing {
                reference: Some(first.reference),
                reason,
                told: false,
            })
        })
    }

    /// Gives a batch what is kept of the key of its one event.
    pub(crate) async fn remind(self: &Arc<Self>, batch: &mut Batch) {
        if !self.rules.keeps {
            return;
        }
        let Some((flow, key)) = batch
            .events()
            .next()
            .map(|(loaded, meta)| (loaded.place.flow.clone(), loaded.key(meta).to_owned()))
        else {
            return;
        };
        let target = self.target.clone();
        let mut kept: BTreeMap<String, String> = self
            .read(move |store| store.kept(&target, &flow, &key))
            .await;
        // What this very conversation told may not be on disk yet.
        kept.append(&mut batch.kept);
        batch.kept = kept;
    }

    /// Asks the store, until it answers.
    async fn read<T: Send + 'static>(
        &self,
        ask: impl Fn(&dyn Store) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> T {
        loop {
            let (store, ask) = (Arc::clone(&self.store), ask.clone());
            match tokio::task::spawn_blocking(move || ask(&*store)).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => tracing::error!(%error, "what a target knows cannot be read"),
                Err(error) => tracing::error!(%error, "what a target knows cannot be read"),
            }
            tokio::time::sleep(STORE_RETRY).await;
        }
    }

    /// Whether deliveries make something known.
    pub(crate) fn learns(&self) -> bool {
        self.rules.references.learns() && !self.full.load(Relaxed)
    }

    /// What a delivery makes known that was not noted as known before.
    pub(crate) fn learnt(&self, flow: &FlowName, event: &[u8]) -> Vec<Reference> {
        let mut learnt = self.rules.references.learnt(flow, event, None);
        learnt.retain(|reference| self.note(reference));
        learnt
    }

    /// What deliveries of an event of these kinds make known.
    pub(crate) fn learnt_of(
        &self,
        flow: &FlowName,
        event: &[u8],
        labels: &[String],
    ) -> Vec<Reference> {
        self.rules.references.learnt(flow, event, Some(labels))
    }

    /// The kinds of references, and what of the log is known at first.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, Seed)> {
        self.rules.references.labels()
    }

    /// How much the target knows.
    pub(crate) fn counted(&self, known: u64) {
        if known >= KNOWN_MAX && self.learns() && !self.full.swap(true, Relaxed) {
            tracing::error!(
                known,
                "the target knows so many references that no more can be noted: events are sent without a look at what they name"
            );
        }
    }

    /// False: it was noted before.
    fn note(&self, reference: &Reference) -> bool {
        let mut known = self.known();
        if known.len() >= CACHE_MAX {
            known.clear();
        }
        known.insert(self.hash(reference))
    }

    fn hash(&self, reference: &Reference) -> u64 {
        self.hasher.hash_one(reference)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What it names is not looked for: somebody said so, or the target has the event already.
fn is_past_looks(loaded: &Loaded) -> bool {
    loaded.is_unchecked() || loaded.goes_on()
}
