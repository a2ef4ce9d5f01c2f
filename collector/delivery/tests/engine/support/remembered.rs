//! What the store in memory remembers of its one target.

use std::collections::{BTreeMap, BTreeSet};

use dray_proto::FlowName;
use dray_store::{DueWait, Exception, Reference, Remember, Remembers, StoreError, Waits};

use super::memory::Memory;

#[derive(Debug, Default)]
pub(super) struct Remembered {
    known: BTreeSet<Reference>,
    /// By exception.
    waits: BTreeMap<u64, dray_store::Wait>,
    kept: BTreeMap<(FlowName, String), BTreeMap<String, String>>,
}

impl Remembered {
    pub(super) fn over(&mut self, ids: impl Iterator<Item = u64>) {
        for id in ids {
            self.waits.remove(&id);
        }
    }

    pub(super) fn take(&mut self, remember: Remember, exceptions: &BTreeMap<u64, Exception>) {
        for reference in remember.learn {
            for wait in self.waits.values_mut() {
                if wait.reference.as_ref() == Some(&reference) {
                    wait.due_us = 0;
                }
            }
            self.known.insert(reference);
        }
        for mut wait in remember.wait {
            let known = wait
                .reference
                .as_ref()
                .is_some_and(|one| self.known.contains(one));
            if wait.unless_known && known {
                wait.due_us = 0;
            }
            let same = |(_, held): &(&u64, &Exception)| {
                held.flow == wait.flow && held.offset == wait.offset
            };
            let (id, _) = exceptions
                .iter()
                .find(same)
                .expect("what waits is an exception");
            self.waits.insert(*id, wait);
        }
        for kept in remember.keep {
            let of_key = self.kept.entry((kept.flow, kept.key)).or_default();
            of_key.insert(kept.name, kept.value);
        }
    }
}

impl Remembers for Memory {
    fn knows(&self, _: &str, references: &[Reference]) -> Result<Vec<bool>, StoreError> {
        let kept = self.kept();
        let known = |reference| kept.remembered.known.contains(reference);
        Ok(references.iter().map(known).collect())
    }

    fn due_waits(
        &self,
        _: &str,
        now_us: i64,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DueWait>, StoreError> {
        let kept = self.kept();
        let due = kept.remembered.waits.range(after + 1..);
        let due = due.filter(|(_, wait)| wait.due_us <= now_us).take(limit);
        let found = due.map(|(id, wait)| DueWait {
            id: *id,
            flow: wait.flow.clone(),
            key: kept.exceptions[id].key.clone(),
        });
        Ok(found.collect())
    }

    fn waits(&self, _: &str, now_us: i64) -> Result<Waits, StoreError> {
        self.counts
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let kept = self.kept();
        let waits = || kept.remembered.waits.values();
        let times = waits().flat_map(|wait| [wait.due_us, wait.alarm_us]);
        Ok(Waits {
            total: waits().count() as u64,
            overdue: waits().filter(|wait| wait.alarm_us <= now_us).count() as u64,
            next_us: times.filter(|time| *time > now_us).min(),
            oldest: None,
        })
    }

    fn kept(
        &self,
        _: &str,
        flow: &FlowName,
        key: &str,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let kept = Memory::kept(self);
        let of_key = kept.remembered.kept.get(&(flow.clone(), key.to_owned()));
        Ok(of_key.cloned().unwrap_or_default())
    }

    fn remembered(&self, _: &str) -> Result<(u64, u64), StoreError> {
        let kept = self.kept();
        let values = kept
            .remembered
            .kept
            .values()
            .map(BTreeMap::len)
            .sum::<usize>();
        Ok((kept.remembered.known.len() as u64, values as u64))
    }
}
