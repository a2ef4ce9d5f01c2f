//! What fits a filter, as an exact selection. Blocks.

use std::collections::HashSet;
use std::sync::Arc;

use dray_proto::FlowName;
use dray_proto::event::View;
use dray_store::{ExceptionQuery, ExceptionState, Store};
use roaring::RoaringTreemap;

use super::{Asked, said};
use crate::config::TargetConfig;
use crate::policy::KeyHasher;
use crate::replay::survey::{Ground, Question, Survey, survey};
use crate::replay::{EVENTS_MAX, Picked, Picker, Plan, PlannedFlow};

/// Exceptions that are read at once, with their events: few, as these may be large.
const PAGE: usize = 100;

/// Events that the target got.
pub(super) fn pick_events(
    store: &Arc<dyn Store>,
    target: &TargetConfig,
    asked: &Asked,
) -> Result<(Picked, Plan), String> {
    let ground = Ground::read(&**store, &target.name).map_err(said)?;
    let picker = Picker::new(&asked.filter, target);
    let found = survey(
        &**store,
        &ground,
        &KeyHasher::default(),
        &Question::Filter(&picker),
    )?;
    let Survey {
        mut picked,
        newest,
        overtaken,
        ..
    } = found;
    let newer = overtaken.iter().map(|(_, offsets)| offsets.len()).sum();
    let mut keys = newest.len() as u64;
    if !asked.older {
        for (flow, left_out) in &overtaken {
            if let Some((_, offsets)) = picked.iter_mut().find(|(other, _)| other == flow) {
                *offsets -= left_out;
            }
        }
        picked.retain(|(_, offsets)| !offsets.is_empty());
        keys = keys.saturating_sub(found.overtaken_keys);
    }
    let of_flow = |flow: &FlowName| picked.iter().find(|(other, _)| other == flow);
    let unsent = found.unsent.iter().filter_map(|(flow, unsent)| {
        let (_, offsets) = of_flow(flow)?;
        Some(offsets.intersection_len(unsent))
    });
    let unsent = unsent.sum();
    let plan = Plan {
        keys,
        unsent,
        flows: picked.iter().map(planned).collect(),
        newer,
        newer_keys: found.overtaken_keys,
        newer_shown: found.newer_shown,
        waiting: found.waiting,
        exceptions: found.exceptions,
        lost: found.lost,
        ..Plan::default()
    };
    if picked.is_empty() {
        return Err(nothing(&plan));
    }
    refuse_closed(target, picked.iter().map(|(flow, _)| flow))?;
    let picked = Picked {
        flows: picked,
        ..Picked::default()
    };
    Ok((picked, plan))
}

/// Where no flow that fits is sent, nothing is planned. Where some are, a run says of the others' events that they were not.
fn refuse_closed<'a>(
    target: &TargetConfig,
    flows: impl Iterator<Item = &'a FlowName>,
) -> Result<(), String> {
    let mut closed = None;
    for flow in flows {
        let phase = target.catalogue.phase(flow, &target.name);
        if phase.sends() {
            return Ok(());
        }
        closed.get_or_insert((flow, phase));
    }
    closed.map_or(Ok(()), |(flow, phase)| {
        Err(format!(
            "{flow} is in phase {phase} at {}, as are all flows that fit: nothing of them is sent",
            target.name
        ))
    })
}

/// Why nothing can be sent.
fn nothing(plan: &Plan) -> String {
    if plan.newer > 0 {
        return format!(
            "all {} events that fit are older than what was delivered of their keys since; --older sends them all the same",
            plan.newer
        );
    }
    if plan.exceptions > 0 {
        return format!(
            "the {} events that fit are dead letters, or wait behind one: see \"dray-collector dead-letters list\"",
            plan.exceptions
        );
    }
    if plan.waiting > 0 {
        return format!(
            "the {} events that fit were not delivered yet, and will be",
            plan.waiting
        );
    }
    "no event in the log fits".into()
}

/// Its dead letters.
pub(super) fn pick_letters(
    store: &Arc<dyn Store>,
    target: &TargetConfig,
    asked: &Asked,
) -> Result<(Picked, Plan), String> {
    let picker = Picker::new(&asked.filter, target);
    let mut query = ExceptionQuery {
        target: Some(target.name.clone()),
        states: vec![ExceptionState::Dead, ExceptionState::Overtaken],
        limit: PAGE,
        ..ExceptionQuery::default()
    };
    let (mut letters, mut plan) = (RoaringTreemap::new(), Plan::default());
    let mut flows: Vec<(FlowName, RoaringTreemap)> = Vec::new();
    // A million keys are 16 MB so; as texts they would be 100.
    let (hasher, mut keys) = (KeyHasher::default(), HashSet::new());
    loop {
        let page = store.exceptions(&query).map_err(said)?;
        let is_last = page.len() < PAGE;
        query.after = page.last().map_or(query.after, |last| last.id);
        for found in page.into_iter().filter(|found| !found.key.is_empty()) {
            let Ok(view) = View::of(&found.event) else {
                continue;
            };
            if !picker.takes_flow(&found.flow) || !picker.takes(found.offset, &view) {
                continue;
            }
            if found.state == ExceptionState::Overtaken {
                plan.newer += 1;
                if !asked.older {
                    continue;
                }
            }
            letters.insert(found.id);
            keys.insert(hasher.id(&found.flow, &found.key));
            match flows.iter_mut().find(|(flow, _)| *flow == found.flow) {
                Some((_, offsets)) => drop(offsets.insert(found.offset.0)),
                None => flows.push((found.flow, [found.offset.0].into_iter().collect())),
            }
        }
        if is_last {
            break;
        }
    }
    if letters.len() > EVENTS_MAX {
        return Err(format!(
            "more than {EVENTS_MAX} dead letters fit: name fewer"
        ));
    }
    plan.keys = keys.len() as u64;
    plan.newer_keys = plan.newer;
    plan.flows = flows.iter().map(planned).collect();
    if letters.is_empty() {
        return Err(match plan.newer {
            0 => "no dead letter fits".into(),
            _ => nothing(&plan),
        });
    }
    refuse_closed(target, flows.iter().map(|(flow, _)| flow))?;
    let picked = Picked {
        letters,
        ..Picked::default()
    };
    Ok((picked, plan))
}

fn planned((flow, offsets): &(FlowName, RoaringTreemap)) -> PlannedFlow {
    PlannedFlow {
        flow: flow.to_string(),
        first: offsets.min().unwrap_or(0),
        last: offsets.max().unwrap_or(0),
        events: offsets.len(),
    }
}
