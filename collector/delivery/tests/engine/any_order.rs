//! Random answers, random retries and discards, random ends of the process: nothing lost, and never an event after a
//! later one of its key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::erp::{Ask, Erp, Reply};
use crate::support::memory::Memory;
use crate::support::{append, cursor, exceptions, start, wait};
use dray_delivery::{State, TargetHandle, actions};
use dray_store::{Exception, ExceptionState, Store};
use proptest::prelude::*;

/// A generator that a seed decides: the script runs on the server's side, away from proptest's own.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[derive(Debug, Clone)]
enum Act {
    /// To flow 0 or 1, events of these keys.
    Append(u8, Vec<u8>),
    Kill,
    Stop,
    RetryAll,
    Discard,
    PauseAndResume,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0_u8..2, proptest::collection::vec(0_u8..3, 1..60)).prop_map(|(flow, keys)| Act::Append(flow, keys)),
        2 => Just(Act::Kill),
        1 => Just(Act::Stop),
        5 => Just(Act::RetryAll),
        1 => Just(Act::Discard),
        1 => Just(Act::PauseAndResume),
    ];
    proptest::collection::vec(act, 3..25)
}

const FLOWS: [&str; 2] = ["north/shipments", "south/shipments"];
const KEYS: [&str; 3] = ["A", "B", "C"];
const MORE: &str =
    "batch = 7\nconcurrency = 3\ntimeout = \"100ms\"\n[retry]\nfirst = \"2ms\"\nmax = \"10ms\"";

fn script(seed: u64, calm: Arc<AtomicBool>) -> impl FnMut(&Ask) -> Reply {
    let mut dice = Dice(seed | 1);
    move |_| {
        if calm.load(Ordering::Relaxed) {
            return Reply::Status(200);
        }
        match dice.roll(20) {
            0 => Reply::Status(500),
            1 => Reply::TakeAndReset,
            2 => Reply::Reset,
            3 => Reply::Status(413),
            4..=7 => Reply::Status(422),
            8 => Reply::With(429, "retry-after", "0".into(), String::new()),
            9 if dice.roll(5) == 0 => Reply::Hang,
            _ => Reply::Status(200),
        }
    }
}

async fn play(seed: u64, acts: &[Act], policy: &str) {
    let (memory, erp) = (Memory::slow(), Erp::start().await);
    let store: Arc<dyn Store> = memory.clone();
    let calm = Arc::new(AtomicBool::new(false));
    erp.script(script(seed, Arc::clone(&calm)));
    let more = format!("on_reject = \"{policy}\"\n{MORE}");
    let mut target = start(&store, &erp.url(), &more);
    let mut dice = Dice(seed.rotate_left(17) | 1);
    let (mut appended, mut discarded) = (BTreeMap::new(), BTreeSet::new());
    for act in acts {
        match act {
            Act::Append(flow, keys) => {
                let name = FLOWS[usize::from(*flow)];
                let keys: Vec<&str> = keys.iter().map(|key| KEYS[usize::from(*key)]).collect();
                let newest = append(&store, name, &keys).await;
                let first = newest - keys.len() as u64 + 1;
                appended.extend(
                    (first..)
                        .zip(keys)
                        .map(|(offset, key)| ((name, offset), key)),
                );
            }
            Act::Kill => {
                target.kill().await;
                memory.crash(dice.roll(2) == 0);
                target = start(&store, &erp.url(), &more);
            }
            Act::Stop => {
                target.stop().await;
                target = start(&store, &erp.url(), &more);
            }
            Act::RetryAll => retry_all(&store, &target).await,
            Act::Discard => {
                let found = exceptions(&store);
                if !found.is_empty() {
                    let one = &found[dice.roll(found.len() as u64) as usize];
                    if actions::discard(&store, one.id, None).await.is_ok() {
                        discarded.insert((one.flow.as_str().to_owned(), one.offset.0));
                    }
                }
                target.wake().await;
            }
            Act::PauseAndResume => {
                target.pause("for a moment").await.expect("it runs");
                target.resume().await.expect("it is paused");
            }
        }
        // Let some of it happen, how much is chance.
        for _ in 0..dice.roll(2000) {
            tokio::task::yield_now().await;
        }
    }
    calm.store(true, Ordering::Relaxed);
    finish(&store, &target).await;
    target.stop().await;

    let arrived = if policy == "hold" {
        erp.check_order()
    } else {
        erp.arrivals()
            .iter()
            .map(|arrival| (&arrival.flow, arrival.offset))
            .collect::<BTreeSet<_>>()
            .len()
    };
    let overtaken: BTreeSet<_> = exceptions(&store)
        .iter()
        .inspect(|left| assert_eq!(left.state, ExceptionState::Overtaken, "{left:?}"))
        .map(|left| (left.flow.as_str().to_owned(), left.offset.0))
        .collect();
    let came: BTreeSet<_> = erp
        .arrivals()
        .into_iter()
        .map(|arrival| (arrival.flow, arrival.offset))
        .collect();
    assert_eq!(arrived, came.len());
    for ((flow, offset), key) in &appended {
        let place = ((*flow).to_owned(), *offset);
        let known =
            came.contains(&place) || overtaken.contains(&place) || discarded.contains(&place);
        assert!(known, "{flow} {offset} of key {key} is lost");
    }
    assert!(policy == "park" || overtaken.is_empty());
}

async fn retry_all(store: &Arc<dyn Store>, target: &TargetHandle) {
    actions::retry_all(store, "erp")
        .await
        .expect("the store answers");
    target.wake().await;
}

/// Retries until nothing is left to retry.
async fn finish(store: &Arc<dyn Store>, target: &TargetHandle) {
    loop {
        target.resume().await.expect("it runs");
        retry_all(store, target).await;
        wait(target, "the end", |metrics| {
            metrics.state == State::Running && is_settled(store)
        })
        .await;
        if exceptions(store)
            .iter()
            .all(|left| left.state == ExceptionState::Overtaken)
        {
            return;
        }
    }
}

/// On disk, all is finished, and no exception is on its way: what the figures say may be of before the first scan.
fn is_settled(store: &Arc<dyn Store>) -> bool {
    let behind = |name: &dray_proto::FlowName| {
        cursor(store, name.as_str())
            .is_none_or(|cursor| cursor.through < store.held(name).newest_offset)
    };
    let left = exceptions(store);
    let moves = |one: &Exception| match one.state {
        ExceptionState::Retry => true,
        ExceptionState::Held => !left.iter().any(|dead| {
            dead.state == ExceptionState::Dead && dead.flow == one.flow && dead.key == one.key
        }),
        _ => false,
    };
    !store.flows().iter().any(behind) && !left.iter().any(moves)
}

fn check(seed: u64, acts: &[Act], policy: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(play(seed, acts, policy));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn held_keys_keep_their_order_whatever_happens(seed in any::<u64>(), acts in acts()) {
        check(seed, &acts, "hold");
    }

    #[test]
    fn parked_events_are_delivered_overtaken_or_discarded_whatever_happens(seed in any::<u64>(), acts in acts()) {
        check(seed, &acts, "park");
    }
}
