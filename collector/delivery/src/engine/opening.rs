//! What the store holds of a target, at its start and after a change from outside.

use std::cmp::Reverse;
use std::sync::Arc;

use dray_proto::{FlowName, Offset};
use dray_store::{ExceptionQuery, Store, StoreError};

use super::seeding::seed;
use super::{Engine, STORE_RETRY, paused_setting};
use crate::config::Start;
use crate::detail::Detail;
use crate::policy::{Loader, Row};
use crate::reader::Reader;
use crate::select::Selection;

/// Exceptions that are read at once.
const PAGE: usize = 200;

impl Engine {
    /// Reads what the store holds of the target. Tries until it can.
    pub(super) async fn begin(&mut self) {
        loop {
            let (store, consumer, name) = (
                Arc::clone(&self.store),
                self.consumer.clone(),
                self.config.name.clone(),
            );
            let (keys, start) = (Loader::new(&self.keys), self.config.start);
            let vetting = Arc::clone(&self.vetting);
            let config = self.config.clone();
            let read = tokio::task::spawn_blocking(move || {
                let opening = opening(&*store, &consumer, &name, keys, start)?;
                seed(&*store, &config, &vetting, &opening.cursors)?;
                Ok::<_, StoreError>(opening)
            })
            .await;
            match read {
                Ok(Ok(opening)) => return self.open_with(opening),
                Ok(Err(error)) => self.shared.note_error(&error.to_string()),
                Err(error) => self.shared.note_error(&error.to_string()),
            }
            tracing::error!("the store cannot be read");
            tokio::time::sleep(STORE_RETRY).await;
        }
    }

    fn open_with(&mut self, opening: Opening) {
        self.doubts = opening.doubts.into_iter().collect();
        self.take_keys(opening.keys);
        if let Some(why) = opening.paused {
            self.detached = why.starts_with(crate::actions::DETACHED);
            self.gate.pause(&why);
        }
        let selection = Selection::new(&self.config.flows, &self.config.bodies);
        let store = Arc::clone(&self.store);
        self.reader = Some(Box::new(Reader::new(
            store,
            selection,
            self.phases(),
            self.lane_hash.clone(),
            opening.cursors,
            opening.start,
        )));
    }

    pub(super) fn take_keys(&mut self, loader: Loader) {
        self.keys.keep_running();
        let found = loader.finish(&self.keys);
        (self.counts_on_disk, self.keys) = (found.keys.counts, found.keys);
        self.gone = found.gone;
        let is_less = |left| self.redo_left.is_none_or(|before| left < before);
        self.redo_more = found.more.is_some_and(is_less);
        self.redo_left = found.more;
        self.waits = found.waits.into_iter().map(Reverse).collect();
        self.want(found.redo);
    }
}

/// What the store holds of a target.
struct Opening {
    doubts: Vec<(FlowName, Offset)>,
    cursors: Vec<(FlowName, dray_store::Cursor)>,
    keys: Loader,
    paused: Option<String>,
    start: Start,
}

fn opening(
    store: &dyn Store,
    consumer: &str,
    name: &str,
    keys: Loader,
    start: Start,
) -> Result<Opening, StoreError> {
    let cursors = store.cursors(consumer)?;
    let paused = store.setting(&paused_setting(name))?;
    // "newest" is for a target that was never started: what comes while the collector is down is not skipped.
    let started = crate::actions::started_setting(name);
    let is_new = store.setting(&started)?.is_none();
    if is_new {
        store.set(&started, Some("yes"))?;
    }
    let start = match is_new && cursors.is_empty() {
        true => start,
        false => Start::Oldest,
    };
    Ok(Opening {
        doubts: store.sent(consumer)?,
        cursors,
        keys: load_keys(store, name, keys)?,
        paused,
        start,
    })
}

/// All of a target's exceptions, without their events.
pub(super) fn load_keys(
    store: &dyn Store,
    target: &str,
    mut loader: Loader,
) -> Result<Loader, StoreError> {
    let mut query = ExceptionQuery {
        target: Some(target.to_owned()),
        limit: PAGE,
        without_events: true,
        ..ExceptionQuery::default()
    };
    loop {
        let page = store.exceptions(&query)?;
        for found in &page {
            let detail = Detail::read(&found.detail);
            loader.add(&Row {
                id: found.id,
                flow: &found.flow,
                offset: found.offset,
                key: &found.key,
                state: found.state,
                due_us: detail.due_us,
                goes_on: detail.later.is_some() || detail.awaits.is_some(),
            });
        }
        match page.last() {
            Some(last) if page.len() == PAGE => query.after = last.id,
            _ => return Ok(loader),
        }
    }
}
