//! Which events are meant, and of which keys the target got something newer. Blocks.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use dray_proto::event::View;
use dray_proto::{FlowName, Offset};
use dray_store::{Cursor, ExceptionQuery, ExceptionState, Store, StoreError};
use roaring::RoaringTreemap;

use super::walk::walk;
use super::{EVENTS_MAX, NEWER_SHOWN_MAX, Newer, Picker};
use crate::phase::passed::Passed;
use crate::policy::{KeyHasher, KeyId};

/// Exceptions that are read at once.
const PAGE: usize = 1_000;

/// What a target has finished, and what of that it did not take or never got. A million exceptions are 2 MB of offsets.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    cursors: HashMap<FlowName, Cursor>,
    exceptions: HashMap<FlowName, RoaringTreemap>,
    passed: HashMap<FlowName, Passed>,
}

impl Ground {
    /// As the store has it.
    pub(crate) fn read(store: &dyn Store, target: &str) -> Result<Self, StoreError> {
        // First the cursors: what became an exception before they were written is among the exceptions.
        let cursors: HashMap<_, _> = store
            .cursors(&crate::consumer(target))?
            .into_iter()
            .collect();
        let mut passed = HashMap::new();
        for flow in cursors.keys() {
            let of_flow = Passed::read(store, target, flow)?;
            if !of_flow.is_empty() {
                passed.insert(flow.clone(), of_flow);
            }
        }
        Ok(Self {
            cursors,
            // The target took what it works on.
            exceptions: exceptions_but(store, target, Some(ExceptionState::Accepted))?,
            passed,
        })
    }

    /// What passed by of each flow, where anything did.
    pub(crate) fn into_passed(self) -> HashMap<FlowName, Passed> {
        self.passed
    }

    fn is_finished(&self, flow: &FlowName, offset: Offset) -> bool {
        self.cursors.get(flow).is_some_and(|cursor| {
            let above = offset.0.checked_sub(cursor.through.0);
            above.is_none_or(|above| {
                above == 0 || u32::try_from(above).is_ok_and(|above| cursor.above.contains(above))
            })
        })
    }

    fn is_exception(&self, flow: &FlowName, offset: Offset) -> bool {
        let of_flow = self.exceptions.get(flow);
        of_flow.is_some_and(|offsets| offsets.contains(offset.0))
    }

    fn is_passed(&self, flow: &FlowName, offset: Offset) -> bool {
        let of_flow = self.passed.get(flow);
        of_flow.is_some_and(|passed| passed.has(offset))
    }
}

/// Offsets of a target's exceptions, without those in one state.
pub(crate) fn exceptions_but(
    store: &dyn Store,
    target: &str,
    but: Option<ExceptionState>,
) -> Result<HashMap<FlowName, RoaringTreemap>, StoreError> {
    let mut query = ExceptionQuery {
        target: Some(target.to_owned()),
        limit: PAGE,
        without_events: true,
        ..ExceptionQuery::default()
    };
    let mut offsets: HashMap<FlowName, RoaringTreemap> = HashMap::new();
    loop {
        let page = store.exceptions(&query)?;
        query.after = page.last().map_or(query.after, |last| last.id);
        let is_last = page.len() < PAGE;
        for found in page.into_iter().filter(|found| Some(found.state) != but) {
            offsets
                .entry(found.flow)
                .or_default()
                .insert(found.offset.0);
        }
        if is_last {
            return Ok(offsets);
        }
    }
}

/// What a survey found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// What is meant, and was delivered or left to the old way.
    pub(super) picked: Vec<(FlowName, RoaringTreemap)>,
    /// What of that was left to the old way.
    pub(super) unsent: Vec<(FlowName, RoaringTreemap)>,
    /// Of each key of what is picked: the newest offset that was delivered, or left to the old way, and is not picked; 0: none. The old
    /// way delivers too: what is older would put the target back just so.
    pub(crate) newest: HashMap<KeyId, u64>,
    /// Keys of which that one was left to the old way.
    newest_unsent: HashSet<KeyId>,
    /// Of what is picked: events that are older than that, and some of their keys.
    pub(super) overtaken: Vec<(FlowName, RoaringTreemap)>,
    pub(super) overtaken_keys: u64,
    pub(super) newer_shown: Vec<Newer>,
    pub(super) waiting: u64,
    pub(super) exceptions: u64,
    pub(super) lost: u64,
}

/// A picked event.
struct Pick {
    offset: u64,
    key: KeyId,
    /// The target never got it.
    unsent: bool,
}

/// What is asked of each event of a flow.
pub(crate) enum Question<'a> {
    /// Whether somebody means it.
    Filter(&'a Picker),
    /// Whether it is one of these, of a target that takes what the picker says.
    Set(&'a Picker, &'a [(FlowName, RoaringTreemap)]),
}

/// Walks all flows that are asked about.
pub(crate) fn survey(
    store: &dyn Store,
    ground: &Ground,
    hasher: &KeyHasher,
    question: &Question<'_>,
) -> Result<Survey, String> {
    let mut survey = Survey::default();
    match question {
        Question::Filter(picker) => {
            for flow in store
                .flows()
                .into_iter()
                .filter(|flow| picker.takes_flow(flow))
            {
                let takes = |offset: Offset, view: &View<'_>| picker.takes(offset, view);
                survey.take_flow(
                    store,
                    ground,
                    hasher,
                    &flow,
                    picker,
                    picker.first(),
                    &takes,
                    true,
                )?;
            }
        }
        Question::Set(picker, picked) => {
            for (flow, offsets) in *picked {
                let takes = |offset: Offset, _: &View<'_>| offsets.contains(offset.0);
                let first = Offset(offsets.min().unwrap_or(1));
                survey.take_flow(store, ground, hasher, flow, picker, first, &takes, false)?;
            }
        }
    }
    Ok(survey)
}

impl Survey {
    #[allow(clippy::too_many_arguments)] // All of them are what one walk looks at.
    fn take_flow(
        &mut self,
        store: &dyn Store,
        ground: &Ground,
        hasher: &KeyHasher,
        flow: &FlowName,
        picker: &Picker,
        first: Offset,
        takes: &dyn Fn(Offset, &View<'_>) -> bool,
        plans: bool,
    ) -> Result<(), String> {
        let mut picks: Vec<Pick> = Vec::new();
        let mut names: HashMap<KeyId, String> = HashMap::new();
        let before: u64 = self.picked.iter().map(|(_, offsets)| offsets.len()).sum();
        let any = Cell::new(false);
        let mut too_many = false;
        let lost = walk(
            store,
            flow,
            first,
            // Before anything is picked, what is too old says nothing.
            |header, _| !any.get() && picker.is_before(header.last_captured_us),
            |found| {
                let Ok(view) = View::of(found.event) else {
                    return ControlFlow::Continue(());
                };
                if !picker.is_targets(&view) {
                    return ControlFlow::Continue(());
                }
                let is_finished = ground.is_finished(flow, found.offset);
                let is_exception = is_finished && ground.is_exception(flow, found.offset);
                let key = hasher.id(flow, view.key);
                if !takes(found.offset, &view) {
                    if is_finished
                        && !is_exception
                        && let Some(newest) = self.newest.get_mut(&key)
                    {
                        *newest = found.offset.0;
                        if plans {
                            if ground.is_passed(flow, found.offset) {
                                self.newest_unsent.insert(key);
                            } else {
                                self.newest_unsent.remove(&key);
                            }
                            if names.len() < NEWER_SHOWN_MAX * 2 {
                                let shown = || picker.shown_key(flow, found, view.key);
                                names.entry(key).or_insert_with(shown);
                            }
                        }
                    }
                } else if plans && !is_finished {
                    self.waiting += 1;
                } else if plans && is_exception {
                    self.exceptions += 1;
                } else {
                    any.set(true);
                    self.newest.entry(key).or_insert(0);
                    if plans {
                        picks.push(Pick {
                            offset: found.offset.0,
                            key,
                            unsent: ground.is_passed(flow, found.offset),
                        });
                    }
                    too_many = before + picks.len() as u64 > EVENTS_MAX;
                }
                if too_many {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        )
        .map_err(|error| error.to_string())?;
        if too_many {
            return Err(format!(
                "more than {EVENTS_MAX} events fit: name a shorter time, fewer flows or keys, and make several plans"
            ));
        }
        self.lost += lost;
        if plans && !picks.is_empty() {
            self.sort(flow, &picks, &names);
        }
        Ok(())
    }

    /// Which of a flow's picks are overtaken.
    fn sort(&mut self, flow: &FlowName, picks: &[Pick], names: &HashMap<KeyId, String>) {
        let mut overtaken = RoaringTreemap::new();
        let mut last: HashMap<KeyId, u64> = HashMap::new();
        for pick in picks {
            let newest = self.newest.get(&pick.key).copied().unwrap_or(0);
            if newest > pick.offset {
                overtaken.insert(pick.offset);
                last.insert(pick.key, pick.offset);
            }
        }
        self.overtaken_keys += last.len() as u64;
        let mut shown: Vec<Newer> = last
            .into_iter()
            .filter_map(|(key, offset)| {
                Some(Newer {
                    flow: flow.to_string(),
                    key: names.get(&key)?.clone(),
                    offset,
                    delivered: self.newest.get(&key).copied()?,
                    unsent: self.newest_unsent.contains(&key),
                })
            })
            .collect();
        shown.sort_by_key(|newer| newer.offset);
        shown.truncate(NEWER_SHOWN_MAX - self.newer_shown.len().min(NEWER_SHOWN_MAX));
        self.newer_shown.extend(shown);
        let picked = picks.iter().map(|pick| pick.offset).collect();
        self.picked.push((flow.clone(), picked));
        let unsent = picks.iter().filter(|pick| pick.unsent);
        let unsent: RoaringTreemap = unsent.map(|pick| pick.offset).collect();
        if !unsent.is_empty() {
            self.unsent.push((flow.clone(), unsent));
        }
        if !overtaken.is_empty() {
            self.overtaken.push((flow.clone(), overtaken));
        }
    }
}
