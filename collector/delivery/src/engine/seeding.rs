//! What a target knows before anything is delivered under a new rule: what the log says that it has.

use std::collections::HashMap;

use dray_proto::event::View;
use dray_proto::{FlowName, Offset, block};
use dray_store::{Cursor, Reference, Remember, Step, Store, StoreError};
use roaring::RoaringTreemap;

use crate::phase::passed::Passed;
use crate::references::Seed;
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

/// Reads the log for what deliveries would have made known, for kinds of references that are new. Blocks. A kill has it begin
/// anew: to know something twice changes nothing.
pub(super) fn seed(
    store: &dyn Store,
    target: &str,
    vetting: &Vetting,
    selection: &Selection,
    cursors: &[(FlowName, Cursor)],
) -> Result<(), StoreError> {
    let setting = seeded_setting(target);
    let before = store.setting(&setting)?.unwrap_or_default();
    let is_new = |label: &str| !before.lines().any(|seeded| seeded == label);
    let of = |wanted: Seed| -> Vec<String> {
        let labels = vetting.labels();
        let new = labels.filter(|(label, seed)| *seed == wanted && is_new(label));
        new.map(|(label, _)| label.to_owned()).collect()
    };
    let (delivered, log) = (of(Seed::Delivered), of(Seed::Log));
    if !delivered.is_empty() || !log.is_empty() {
        let cursors: HashMap<_, _> = cursors.iter().cloned().collect();
        let mut seeding = Seeding {
            store,
            target,
            vetting,
            selection,
            exceptions: exceptions_but(store, target, None)?,
            learn: Vec::new(),
        };
        for flow in store.flows() {
            seeding.read(&flow, cursors.get(&flow), &delivered, &log)?;
        }
        seeding.write()?;
        let labels: Vec<&str> = vetting.labels().map(|(label, _)| label).collect();
        store.set(&setting, Some(&labels.join("\n")))?;
    }
    vetting.counted(store.remembered(target)?.0);
    Ok(())
}

struct Seeding<'a> {
    store: &'a dyn Store,
    target: &'a str,
    vetting: &'a Vetting,
    selection: &'a Selection,
    /// What the cursors have passed and the target has not taken.
    exceptions: HashMap<FlowName, RoaringTreemap>,
    learn: Vec<Reference>,
}

impl Seeding<'_> {
    fn read(
        &mut self,
        flow: &FlowName,
        cursor: Option<&Cursor>,
        delivered: &[String],
        log: &[String],
    ) -> Result<(), StoreError> {
        let held = self.store.held(flow);
        let newest = match (log.is_empty(), cursor) {
            (false, _) => held.newest_offset.0,
            (true, Some(cursor)) => cursor.through.0 + u64::from(cursor.above.max().unwrap_or(0)),
            (true, None) => return Ok(()),
        };
        let exceptions = self.exceptions.remove(flow).unwrap_or_default();
        let passed = Passed::read(self.store, self.target, flow)?;
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
                    self.learn_of(flow, event, log);
                    let is_over = cursor.is_some_and(|cursor| has(cursor, offset));
                    let is_there =
                        is_over && !exceptions.contains(offset) && !passed.has(Offset(offset));
                    if is_there && self.takes(flow, event) {
                        self.learn_of(flow, event, delivered);
                    }
                }
            }
            if self.learn.len() >= STEP_MAX {
                self.write()?;
            }
        }
        Ok(())
    }

    fn learn_of(&mut self, flow: &FlowName, event: &[u8], labels: &[String]) {
        if !labels.is_empty() {
            let learnt = self.vetting.learnt_of(flow, event, labels);
            self.learn.extend(learnt);
        }
    }

    /// A cursor passes by what its target does not take.
    fn takes(&self, flow: &FlowName, event: &[u8]) -> bool {
        let body = View::of(event).ok().and_then(|view| view.body);
        let number = body.map(|(body, _)| body.number);
        self.selection.takes_flow(flow) && self.selection.takes_body(number)
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
