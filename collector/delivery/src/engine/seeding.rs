//! What a target knows before anything is delivered under a new rule: what the log says that it has.

use std::collections::{BTreeMap, HashMap};

use dray_proto::event::View;
use dray_proto::{FlowName, Offset, block};
use dray_store::{Cursor, Reference, Remember, Step, Store, StoreError, alarm_setting};
use roaring::RoaringTreemap;

use super::holding::micros;
use crate::config::TargetConfig;
use crate::phase::passed::Passed;
use crate::references::{Label, Seed};
use crate::replay::exceptions_but;
use crate::select::Selection;
use crate::vet::Vetting;

/// References that are written in one step.
const STEP_MAX: usize = 1_000;
/// Payload bytes that are read at once.
const READ_BYTES: usize = 1024 * 1024;

/// The durable setting that names the kinds that were seeded.
pub(crate) fn seeded_setting(target: &str) -> String {
    format!("seeded:{target}")
}

/// Reads the log for what deliveries would have made known, for kinds of references that are new, and lets go what waits for
/// kinds that no rule names any more. Blocks. A kill has it begin anew: to know something twice changes nothing.
pub(super) fn seed(
    store: &dyn Store,
    config: &TargetConfig,
    vetting: &Vetting,
    cursors: &[(FlowName, Cursor)],
) -> Result<(), StoreError> {
    let target = config.name.as_str();
    let setting = seeded_setting(target);
    let before = store.setting(&setting)?.unwrap_or_default();
    let labels: Vec<Label> = vetting.labels().collect();
    let is_new = |label: &&Label| !before.lines().any(|seeded| seeded == label.label);
    let new: Vec<&Label> = labels.iter().filter(is_new).collect();
    let is_gone = |seeded: &&str| !labels.iter().any(|label| label.label == *seeded);
    let gone: Vec<String> = before.lines().filter(is_gone).map(str::to_owned).collect();
    if !new.is_empty() {
        let mut seeding = Seeding {
            store,
            target,
            vetting,
            log: Vec::new(),
            got: Vec::new(),
            learn: Vec::new(),
        };
        seeding.take_labels(&new, config, cursors)?;
        for flow in store.flows() {
            seeding.read(&flow)?;
        }
        seeding.write()?;
    }
    let alarm_after_us = micros(config.holds.alarm_after);
    let alarm_before = store.setting(&alarm_setting(target))?;
    if !gone.is_empty() || alarm_before.is_none_or(|before| before != alarm_after_us.to_string()) {
        let step = Step {
            consumer: crate::consumer(target),
            remember: Remember {
                target: target.to_owned(),
                release: gone.clone(),
                alarm_after_us: Some(alarm_after_us),
                ..Remember::default()
            },
            ..Step::default()
        };
        store.step(step).wait().unwrap_or(Ok(()))?;
    }
    if !new.is_empty() || !gone.is_empty() {
        let labels: Vec<&str> = labels.iter().map(|label| label.label).collect();
        store.set(&setting, Some(&labels.join("\n")))?;
    }
    vetting.counted(store.remembered(target)?.0);
    Ok(())
}

struct Seeding<'a> {
    store: &'a dyn Store,
    target: &'a str,
    vetting: &'a Vetting,
    /// Kinds that are known by all that stands in the log.
    log: Vec<String>,
    /// Kinds that are known by what a target got: this one, and others.
    got: Vec<Got>,
    learn: Vec<Reference>,
}

/// What a target got.
struct Got {
    target: String,
    labels: Vec<String>,
    selection: Selection,
    cursors: HashMap<FlowName, Cursor>,
    /// What the cursors have passed and the target has not taken.
    exceptions: HashMap<FlowName, RoaringTreemap>,
}

impl Got {
    fn new(
        store: &dyn Store,
        target: &str,
        selection: Selection,
        cursors: &[(FlowName, Cursor)],
    ) -> Result<Self, StoreError> {
        Ok(Self {
            target: target.to_owned(),
            labels: Vec::new(),
            selection,
            cursors: cursors.iter().cloned().collect(),
            exceptions: exceptions_but(store, target, None)?,
        })
    }

    /// The last offset of the flow that may have been delivered.
    fn newest(&self, flow: &FlowName) -> u64 {
        let end = |cursor: &Cursor| cursor.through.0 + u64::from(cursor.above.max().unwrap_or(0));
        self.cursors.get(flow).map_or(0, end)
    }

    /// What it has of a flow.
    fn of<'a>(
        &'a self,
        store: &dyn Store,
        flow: &FlowName,
    ) -> Result<Option<GotOf<'a>>, StoreError> {
        let Some(cursor) = self.cursors.get(flow) else {
            return Ok(None);
        };
        if !self.selection.takes_flow(flow) {
            return Ok(None);
        }
        Ok(Some(GotOf {
            got: self,
            cursor,
            exceptions: self.exceptions.get(flow),
            passed: Passed::read(store, &self.target, flow)?,
        }))
    }
}

/// What a target got of a flow.
struct GotOf<'a> {
    got: &'a Got,
    cursor: &'a Cursor,
    exceptions: Option<&'a RoaringTreemap>,
    passed: Passed,
}

impl GotOf<'_> {
    /// A cursor passes by what its target does not take.
    fn has(&self, offset: u64, event: &[u8]) -> bool {
        let is_exception = self
            .exceptions
            .is_some_and(|offsets| offsets.contains(offset));
        if !has(self.cursor, offset) || is_exception || self.passed.has(Offset(offset)) {
            return false;
        }
        let body = View::of(event).ok().and_then(|view| view.body);
        let number = body.map(|(body, _)| body.number);
        self.got.selection.takes_body(number)
    }
}

impl Seeding<'_> {
    fn take_labels(
        &mut self,
        labels: &[&Label<'_>],
        config: &TargetConfig,
        cursors: &[(FlowName, Cursor)],
    ) -> Result<(), StoreError> {
        let mut others: BTreeMap<&str, Got> = BTreeMap::new();
        let selection = Selection::new(&config.flows, &config.bodies);
        let mut own = Got::new(self.store, self.target, selection, cursors)?;
        for Label { label, seed, at } in labels.iter().copied() {
            let label = (*label).to_owned();
            match (at, seed) {
                (None, Seed::Log) => self.log.push(label),
                (None, Seed::Delivered) => own.labels.push(label),
                (Some((other, takes)), _) => {
                    if !others.contains_key(other.as_str()) {
                        let selection = Selection::new(&takes.flows, &takes.bodies);
                        let cursors = self.store.cursors(&crate::consumer(other))?;
                        let got = Got::new(self.store, other, selection, &cursors)?;
                        others.insert(other, got);
                    }
                    if let Some(got) = others.get_mut(other.as_str()) {
                        got.labels.push(label);
                    }
                }
            }
        }
        let all = std::iter::once(own).chain(others.into_values());
        self.got = all.filter(|got| !got.labels.is_empty()).collect();
        Ok(())
    }

    fn read(&mut self, flow: &FlowName) -> Result<(), StoreError> {
        let held = self.store.held(flow);
        let newest = match self.log.is_empty() {
            false => held.newest_offset.0,
            true => self
                .got
                .iter()
                .map(|got| got.newest(flow))
                .max()
                .unwrap_or(0),
        };
        // Taken out for the time of the loop, in which what is learnt is noted.
        let got = std::mem::take(&mut self.got);
        let of_flow = got.iter().map(|got| got.of(self.store, flow));
        let of_flow: Vec<_> = of_flow.collect::<Result<_, _>>()?;
        let of_flow: Vec<GotOf> = of_flow.into_iter().flatten().collect();
        let (mut next, mut memory) = (held.oldest_offset.0.max(1), Vec::new());
        while next <= newest {
            let blocks = match self.store.read(flow, Offset(next), READ_BYTES) {
                Err(StoreError::Dropped { oldest, .. }) if oldest.0 > next => {
                    next = oldest.0;
                    continue;
                }
                blocks => blocks?,
            };
            if blocks.is_empty() {
                break;
            }
            for found in blocks {
                let Some(header) = &found.block.header else {
                    next += 1;
                    continue;
                };
                let first = found.first_offset.0;
                next = first + u64::from(header.count.max(1));
                let payload = &found.block.payload;
                let opened = block::open(payload, header.codec, header.decoded_bytes, &mut memory)
                    .and_then(|()| block::split(&memory, header.count));
                // What does not open was not delivered either.
                for (offset, range) in (first..).zip(opened.unwrap_or_default()) {
                    let event = &memory[range.start as usize..range.end as usize];
                    self.learn_of(flow, offset, event, &of_flow);
                }
            }
            if self.learn.len() >= STEP_MAX {
                self.write()?;
            }
        }
        drop(of_flow);
        self.got = got;
        Ok(())
    }

    fn learn_of(&mut self, flow: &FlowName, offset: u64, event: &[u8], of_flow: &[GotOf<'_>]) {
        if !self.log.is_empty() {
            let learnt = self.vetting.learnt_of(flow, event, &self.log);
            self.learn.extend(learnt);
        }
        for of in of_flow.iter().filter(|of| of.has(offset, event)) {
            let learnt = self.vetting.learnt_of(flow, event, &of.got.labels);
            self.learn.extend(learnt);
        }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let step = Step {
            consumer: crate::consumer(self.target),
            remember: Remember {
                target: self.target.to_owned(),
                learn: std::mem::take(&mut self.learn),
                ..Remember::default()
            },
            ..Step::default()
        };
        // The writer ended: what asked for this ends too.
        self.store.step(step).wait().unwrap_or(Ok(()))
    }
}

/// Whether the cursor says that it is finished.
fn has(cursor: &Cursor, offset: u64) -> bool {
    let above = || u32::try_from(offset - cursor.through.0).unwrap_or(u32::MAX);
    offset <= cursor.through.0 || cursor.above.contains(above())
}
