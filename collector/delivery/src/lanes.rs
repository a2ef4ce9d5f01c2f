//! Lanes: what waits for what.
//!
//! A lane is one business key. Its first event may leave; the others wait in the order in which they
//! came until [`Lanes::open`] says that the outcome of the one before is on disk. Lanes are told apart
//! by a hash of the key, over all flows: so one event per key is in flight across flows, a key stands at
//! most once in a batch, and two keys that share a hash merely wait for each other.

use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

const NONE: u32 = u32::MAX;

/// An event's place among the lanes, until its lane is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot(u32);

/// Events by lane. `T` says where an event's bytes are.
#[derive(Debug)]
pub struct Lanes<T> {
    slots: Vec<Held<T>>,
    free: Vec<u32>,
    /// The lanes that have any event.
    lanes: HashMap<u64, Ends, BuildHasherDefault<Identity>>,
    /// First slots of lanes, not yet taken, oldest first.
    ready: VecDeque<u32>,
}

/// First and last slot of a lane.
#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

#[derive(Debug, Clone, Copy)]
struct Held<T> {
    item: T,
    lane: u64,
    next: u32,
    taken: bool,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            lanes: HashMap::default(),
            ready: VecDeque::new(),
        }
    }
}

impl<T: Copy> Lanes<T> {
    /// Adds an event behind all of its lane.
    pub fn push(&mut self, lane: u64, item: T) {
        let slot = self.entry(lane, item);
        match self.lanes.entry(lane) {
            Occupied(mut ends) => {
                let last = std::mem::replace(&mut ends.get_mut().last, slot);
                self.slots[last as usize].next = slot;
            }
            Vacant(ends) => {
                ends.insert(Ends {
                    first: slot,
                    last: slot,
                });
                self.ready.push_back(slot);
            }
        }
    }

    /// Adds an event before all of its lane that is not in flight.
    pub fn push_first(&mut self, lane: u64, item: T) {
        let Some(&Ends { first, last }) = self.lanes.get(&lane) else {
            return self.push(lane, item);
        };
        let slot = self.entry(lane, item);
        if !self.slots[first as usize].taken {
            // The first slot stands in `ready`: it keeps its place there and changes what it holds.
            let before = std::mem::replace(&mut self.slots[first as usize].item, item);
            self.slots[slot as usize].item = before;
        }
        self.slots[slot as usize].next =
            std::mem::replace(&mut self.slots[first as usize].next, slot);
        if last == first {
            self.lanes.insert(lane, Ends { first, last: slot });
        }
    }

    /// Adds an event right behind the first of its lane that `is_before` says so of; where there is none, as
    /// [`Self::push_first`].
    pub fn push_behind(&mut self, lane: u64, item: T, is_before: impl Fn(T) -> bool) {
        let mut at = self.lanes.get(&lane).map_or(NONE, |ends| ends.first);
        while at != NONE && !is_before(self.slots[at as usize].item) {
            at = self.slots[at as usize].next;
        }
        if at == NONE {
            return self.push_first(lane, item);
        }
        let slot = self.entry(lane, item);
        let next = std::mem::replace(&mut self.slots[at as usize].next, slot);
        self.slots[slot as usize].next = next;
        if next == NONE
            && let Some(ends) = self.lanes.get_mut(&lane)
        {
            ends.last = slot;
        }
    }

    /// The next event that may leave.
    pub fn take(&mut self) -> Option<(Slot, T)> {
        let slot = self.ready.pop_front()?;
        let entry = &mut self.slots[slot as usize];
        entry.taken = true;
        Some((Slot(slot), entry.item))
    }

    /// The lane that became ready last goes before all others.
    pub fn newest_first(&mut self) {
        if !self.ready.is_empty() {
            self.ready.rotate_right(1);
        }
    }

    /// Another item for an event that is taken; what it was.
    pub fn exchange(&mut self, slot: Slot, item: T) -> T {
        std::mem::replace(&mut self.slots[slot.0 as usize].item, item)
    }

    /// Undoes a [`Self::take`]: the event leaves next.
    pub fn put_back(&mut self, slot: Slot) {
        self.slots[slot.0 as usize].taken = false;
        self.ready.push_front(slot.0);
    }

    /// The event is over, on disk; the next of its lane may leave. Returns what it was.
    pub fn open(&mut self, slot: Slot) -> T {
        let Held {
            item, lane, next, ..
        } = self.slots[slot.0 as usize];
        if next == NONE {
            self.lanes.remove(&lane);
        } else {
            if let Some(ends) = self.lanes.get_mut(&lane) {
                ends.first = next;
            }
            self.ready.push_back(next);
        }
        self.free.push(slot.0);
        item
    }

    /// The events of its lane that wait behind it, in order.
    pub fn behind(&self, slot: Slot) -> impl Iterator<Item = T> {
        let mut next = self.slots[slot.0 as usize].next;
        std::iter::from_fn(move || {
            let held = self.slots.get(next as usize)?;
            next = held.next;
            Some(held.item)
        })
    }

    /// How many events are here, waiting or in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many may leave now.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    fn entry(&mut self, lane: u64, item: T) -> u32 {
        let entry = Held {
            item,
            lane,
            next: NONE,
            taken: false,
        };
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = entry;
            return slot;
        }
        self.slots.push(entry);
        (self.slots.len() - 1) as u32
    }
}

/// Keys are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(lanes: &mut Lanes<u32>) -> Vec<u32> {
        std::iter::from_fn(|| lanes.take().map(|(_, item)| item)).collect()
    }

    #[test]
    fn one_of_a_lane_leaves_and_the_next_waits_until_it_is_opened() {
        let mut lanes = Lanes::default();
        for (lane, item) in [(7, 1), (7, 2), (8, 3), (7, 4)] {
            lanes.push(lane, item);
        }
        let (first, item) = lanes.take().expect("lane 7");
        assert_eq!(item, 1);
        assert_eq!(taken(&mut lanes), [3]);
        assert_eq!(lanes.behind(first).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(lanes.open(first), 1);
        let (second, item) = lanes.take().expect("lane 7 is open");
        assert_eq!(item, 2);
        lanes.put_back(second);
        let (second, _) = lanes.take().expect("it was put back");
        lanes.open(second);
        assert_eq!(taken(&mut lanes), [4]);
        assert_eq!(lanes.len(), 2);
    }

    #[test]
    fn the_lane_that_became_ready_last_goes_first_and_the_others_keep_their_order() {
        let mut lanes = Lanes::default();
        lanes.newest_first();
        for (lane, item) in [(7, 1), (8, 2), (9, 3), (9, 4)] {
            lanes.push(lane, item);
        }
        lanes.newest_first();
        assert_eq!(taken(&mut lanes), [3, 1, 2]);
    }

    #[test]
    fn what_is_pushed_first_goes_behind_what_is_in_flight_and_before_the_rest() {
        for in_flight in [false, true] {
            let mut lanes = Lanes::default();
            lanes.push(7, 2);
            lanes.push(7, 3);
            let mut seen = Vec::new();
            if in_flight {
                let (slot, item) = lanes.take().expect("it is there");
                lanes.push_first(7, 1);
                lanes.push_first(7, 0);
                seen.push(item);
                lanes.open(slot);
            } else {
                lanes.push_first(7, 1);
                lanes.push_first(7, 0);
            }
            lanes.push(7, 9);
            while let Some((slot, item)) = lanes.take() {
                seen.push(item);
                lanes.open(slot);
            }
            assert_eq!(
                seen,
                if in_flight {
                    vec![2, 0, 1, 3, 9]
                } else {
                    vec![0, 1, 2, 3, 9]
                }
            );
            assert!(lanes.is_empty() && lanes.lanes.is_empty());
        }
    }

    #[test]
    fn what_is_pushed_behind_another_comes_right_after_it() {
        for (before, expected) in [
            (2, vec![2, 1, 3, 9]),
            (3, vec![2, 3, 1, 9]),
            (7, vec![1, 2, 3, 9]),
        ] {
            let mut lanes = Lanes::default();
            lanes.push(7, 2);
            lanes.push(7, 3);
            lanes.push_behind(7, 1, |item| item == before);
            lanes.push(7, 9);
            let mut seen = Vec::new();
            while let Some((slot, item)) = lanes.take() {
                seen.push(item);
                lanes.open(slot);
            }
            assert_eq!(seen, expected, "behind {before}");
        }
        let mut lanes = Lanes::default();
        lanes.push_behind(7, 1, |_| true);
        assert_eq!(taken(&mut lanes), [1], "of an empty lane");
    }

    proptest! {
        #[test]
        fn any_run_keeps_the_order_of_each_lane_and_loses_nothing(
            steps in proptest::collection::vec((0_u8..5, 0_u64..5, 0_usize..8), 1..400)
        ) {
            let mut lanes = Lanes::default();
            let mut pushed = Vec::new();
            let mut flying: Vec<(Slot, (u64, u32))> = Vec::new();
            let mut seen = Vec::new();
            for (step, lane, at) in steps {
                match step {
                    0 => {
                        let item = (lane, pushed.len() as u32);
                        lanes.push(lane, item);
                        pushed.push(item);
                    }
                    1 => if let Some((slot, item)) = lanes.take() {
                        prop_assert!(flying.iter().all(|(_, other)| other.0 != item.0), "two of a lane");
                        flying.push((slot, item));
                    },
                    2 if !flying.is_empty() => {
                        let (slot, _) = flying.swap_remove(at % flying.len());
                        seen.push(lanes.open(slot));
                    }
                    3 if !flying.is_empty() => {
                        let (slot, _) = flying.swap_remove(at % flying.len());
                        lanes.put_back(slot);
                    }
                    4 => lanes.newest_first(),
                    _ => {}
                }
            }
            for (slot, _) in flying {
                seen.push(lanes.open(slot));
            }
            while let Some((slot, item)) = lanes.take() {
                seen.push(item);
                lanes.open(slot);
            }
            for lane in 0..5 {
                let of = |items: &[(u64, u32)]| items.iter().filter(|item| item.0 == lane).copied().collect::<Vec<_>>();
                prop_assert_eq!(of(&seen), of(&pushed));
            }
            prop_assert!(lanes.is_empty());
        }
    }
}
