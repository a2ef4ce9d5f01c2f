//! New epochs, and what damage took: what is held is numbered anew, and what is missing is named.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::{Entry, Ledger};
use crate::api::{Loss, NewBlock, Sequence};
use crate::layout::{Renewal, Renewed, Renumbered, Standing, chain_after};

impl Ledger {
    /// What was appended here can't be read any more. A file that began in it and ended behind it is read again, so the mark
    /// that it left is not believed, unless a renewal follows: then that was done.
    pub(crate) fn tear(&mut self) {
        self.torn.get_or_insert_default().passed.clear();
    }

    /// A renewal follows what is torn, and whoever it told has read files again.
    pub(crate) fn believe(&mut self) {
        for (flow, mark, newest, at_s) in self.torn.take().unwrap_or_default().marks {
            let held = self.oldest_held(&flow);
            self.marks.add(&flow, mark, newest, at_s, held);
        }
    }

    /// Nothing more is read: what is torn stays so.
    pub(crate) fn end_reading(&mut self) {
        self.torn = None;
    }

    /// Events of a flow can't be read any more. What joins the loss before it is one with it.
    pub(crate) fn lost(&mut self, flow: &str, epoch: u64, first: u64, last: Option<u64>) {
        let before = self.losses.last_mut();
        let joined = before.filter(|loss| {
            *loss.flow == *flow
                && loss.epoch == epoch
                && loss.last.is_some_and(|last| last.0 + 1 == first)
        });
        if let (Some(joined), Some(last)) = (joined, last) {
            joined.last = Some(Sequence(last));
            return;
        }
        self.losses.push(Loss {
            flow: flow.into(),
            epoch,
            first: Sequence(first),
            last: last.map(Sequence),
        });
    }

    /// Whether events of a flow were lost since the epoch began: its sequences have a hole.
    pub(crate) fn has_lost(&self, flow: &str) -> bool {
        self.losses.iter().any(|loss| *loss.flow == *flow)
    }

    /// The newest part of all flows can't be read any more.
    pub(crate) fn lost_end(&mut self) {
        let ends: Vec<(Arc<str>, u64)> = self
            .flows
            .iter()
            .map(|(name, flow)| (Arc::clone(name), flow.next))
            .collect();
        let epoch = self.epoch;
        if ends.is_empty() {
            // Whose they were cannot be read either.
            self.lost("", epoch, 1, None);
        }
        for (flow, next) in ends {
            self.lost(&flow, epoch, next, None);
        }
    }

    /// What the next epoch is to say: every held block under a new number. `headers`: all blocks on disk, in order.
    pub(crate) fn plan(
        &self,
        epoch: u64,
        headers: impl Iterator<Item = (String, u64, NewBlock)>,
    ) -> Result<Renewal, String> {
        let mut planned: HashMap<&str, (Renewed, usize)> = HashMap::new();
        for (name, flow) in &self.flows {
            let standing = Standing {
                flow: name.to_string(),
                next: Sequence(1),
                chain: 0,
                position: flow.position.clone().unwrap_or_default(),
            };
            let blocks = Vec::with_capacity(flow.held.len());
            planned.insert(name, (Renewed { standing, blocks }, 0));
        }
        for (name, number, block) in headers {
            let Some((renewed, at)) = planned.get_mut(name.as_str()) else {
                continue;
            };
            let entry = self.flows[name.as_str()].held.get(*at);
            if entry.is_none_or(|entry| entry.number != number) {
                continue;
            }
            *at += 1;
            let Standing { next, chain, .. } = &mut renewed.standing;
            renewed.blocks.push(Renumbered {
                number,
                first: *next,
                chain: *chain,
            });
            *chain = chain_after(*chain, epoch, *next, &block);
            next.0 += u64::from(block.count);
        }
        for (name, (_, at)) in &planned {
            if *at != self.flows[*name].held.len() {
                return Err(format!("blocks of flow {name} have no header on disk"));
            }
        }
        let mut flows: Vec<Renewed> = planned.into_values().map(|(renewed, _)| renewed).collect();
        flows.sort_by(|a, b| a.standing.flow.cmp(&b.standing.flow));
        Ok(Renewal {
            epoch,
            flows,
            losses: self.losses.clone(),
        })
    }

    /// A new epoch begins. Blocks that it does not name are acked; returns their numbers.
    pub(crate) fn renew(&mut self, renewal: &Renewal) -> Vec<u64> {
        let mut acked = Vec::new();
        (self.epoch, self.losses) = (renewal.epoch, Vec::new());
        for Renewed { standing, blocks } in &renewal.flows {
            let flow = self.flow(&standing.flow);
            let mut chain_after = standing.chain;
            let mut held = VecDeque::with_capacity(blocks.len());
            for new in blocks.iter().rev() {
                while let Some(entry) = flow.held.pop_back_if(|entry| entry.number >= new.number) {
                    if entry.number != new.number {
                        acked.push(entry.number);
                        continue;
                    }
                    held.push_front(Entry {
                        first: new.first,
                        chain: new.chain,
                        chain_after,
                        ..entry
                    });
                }
                chain_after = new.chain;
            }
            acked.extend(flow.held.drain(..).map(|entry| entry.number));
            (flow.next, flow.chain) = (standing.next.0, standing.chain);
            flow.acked = held.front().map_or(flow.next, |entry| entry.first.0) - 1;
            flow.held_bytes = held
                .iter()
                .map(|entry| u64::from(entry.payload_bytes))
                .sum();
            flow.held = held;
            if !standing.position.is_empty() {
                flow.position = Some(standing.position.clone());
            }
            for (at, name) in holes(&self.flows[standing.flow.as_str()].held, &standing.flow) {
                self.lost(name, renewal.epoch, at.0, Some(at.1));
            }
        }
        acked
    }

    /// Blocks of these numbers can't be read any more, but for `left`.
    pub(crate) fn lose(&mut self, numbers: std::ops::Range<u64>, left: &HashSet<u64>) {
        let gone = |entry: &Entry| numbers.contains(&entry.number) && !left.contains(&entry.number);
        let mut losses = Vec::new();
        for (name, flow) in &mut self.flows {
            let held = flow.held.front().map(|entry| entry.number);
            self.marks.settle(name, held);
            for entry in flow.held.iter().filter(|entry| gone(entry)) {
                losses.push((Arc::clone(name), entry.first.0, entry.last().0));
                flow.held_bytes -= u64::from(entry.payload_bytes);
            }
            flow.held.retain(|entry| !gone(entry));
        }
        let torn: HashSet<&Arc<str>> = losses.iter().map(|(flow, ..)| flow).collect();
        for flow in torn {
            self.marks.forget_first(flow, numbers.end);
        }
        let epoch = self.epoch;
        for (flow, first, last) in losses {
            self.lost(&flow, epoch, first, Some(last));
        }
        self.marks.forget(numbers);
    }
}

/// Sequences between blocks that should join.
fn holes<'n>(
    held: &VecDeque<Entry>,
    flow: &'n str,
) -> impl Iterator<Item = ((u64, u64), &'n str)> + use<'n> {
    let mut found = Vec::new();
    for (before, after) in held.iter().zip(held.iter().skip(1)) {
        let (end, first) = (before.last().0 + 1, after.first.0);
        if end < first {
            found.push(((end, first - 1), flow));
        }
    }
    found.into_iter()
}
