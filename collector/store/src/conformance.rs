//! What every store does, whatever it is made of: one suite for all.

mod agents;
mod remembering;
mod replays;
mod shadow;

use bytes::Bytes;
use dray_proto::v1::{Block, BlockHeader};
use dray_proto::{FlowName, Offset, Sequence};
use roaring::RoaringBitmap;

use crate::api::{
    AppendError, AuditEntry, Change, Cursor, Exception, ExceptionQuery, ExceptionState, Held, Step,
    Store, StoreError,
};

/// A flow of site "north".
///
/// # Panics
/// If `name` is no name.
#[must_use]
pub fn flow(name: &str) -> FlowName {
    FlowName::new("north", name).expect("a name")
}

/// Blocks of one epoch, chained: `counts` events each, the first at sequence `first` after `chain`.
#[must_use]
pub fn blocks(epoch: u64, first: u64, chain: u64, counts: &[u32]) -> Vec<Block> {
    let (mut first, mut chain) = (first, chain);
    let mut made = Vec::new();
    for count in counts {
        let chain_after = chain.wrapping_mul(31).wrapping_add(first ^ epoch);
        let payload = Bytes::from(vec![*count as u8; 100 + *count as usize]);
        made.push(Block {
            header: Some(BlockHeader {
                epoch,
                first_sequence: first,
                count: *count,
                chain,
                chain_after,
                crc32c: first as u32 + count,
                last_captured_us: first as i64,
                position: Bytes::from(format!("p{first}")),
                ..Default::default()
            }),
            payload,
        });
        (first, chain) = (first + u64::from(*count), chain_after);
    }
    made
}

fn append(
    store: &impl Store,
    agent: &str,
    name: &str,
    blocks: Vec<Block>,
) -> Result<Held, AppendError> {
    store
        .append(agent, &flow(name), blocks)
        .wait()
        .expect("the writer lives")
}

/// Runs the suite; `make` gives an empty store each time.
///
/// # Panics
/// Where the store breaks its contract.
pub fn run<S: Store>(mut make: impl FnMut() -> S) {
    offsets_have_no_gaps_over_epochs_and_flows(&make());
    repeats_change_nothing_and_the_rest_is_refused(&make());
    a_block_without_a_position_leaves_the_one_before(&make());
    reads_begin_in_the_block_that_holds_the_offset(&make());
    a_step_is_whole(&make());
    agents::tokens_work_once(&make());
    what_was_done_is_kept_in_order(&make());
    a_flow_that_was_moved_is_the_other_agents(&make());
    agents::a_renewal_moves_the_end_and_nothing_else(&make());
    replays::a_replay_is_approved_by_somebody_else_for_what_stands_and_in_time(&make());
    replays::a_replay_moves_only_from_the_states_that_are_named(&make());
    replays::a_step_takes_a_replay_on_and_ends_it_with_its_entry(&make());
    shadow::each_offset_is_counted_once_and_the_report_is_bounded(&make());
    remembering::what_waits_is_due_when_its_reference_is_learnt(&make());
    remembering::waits_are_counted_and_a_detached_target_is_forgotten(&make());
    remembering::values_are_kept_by_key_and_the_oldest_make_room(&make());
}

fn offsets_have_no_gaps_over_epochs_and_flows(store: &impl Store) {
    let first = append(store, "a-1", "x", blocks(7, 1, 0, &[3, 4])).expect("it fits");
    assert_eq!(
        (first.next_sequence, first.newest_offset, first.epoch),
        (Sequence(8), Offset(7), 7)
    );
    let other = append(store, "a-1", "y", blocks(7, 1, 0, &[2])).expect("it fits");
    assert_eq!(other.newest_offset, Offset(2));
    let second = append(store, "a-1", "x", blocks(8, 1, 0, &[5])).expect("a new epoch begins at 1");
    assert_eq!(
        (second.next_sequence, second.newest_offset, second.epoch),
        (Sequence(6), Offset(12), 8)
    );
    assert_eq!(store.held(&flow("x")), second);
    assert_eq!(store.flows(), [flow("x"), flow("y")]);
    let none = store.held(&flow("z"));
    assert_eq!(
        (none.next_sequence, none.newest_offset),
        (Sequence(1), Offset(0))
    );
    let read = store
        .read(&flow("x"), Offset(1), usize::MAX)
        .expect("all of it");
    assert_eq!(
        read.iter()
            .map(|block| block.first_offset.0)
            .collect::<Vec<_>>(),
        [1, 4, 8]
    );
}

fn a_block_without_a_position_leaves_the_one_before(store: &impl Store) {
    let mut all = blocks(7, 1, 0, &[3, 4, 5]);
    for silent in &mut all[1..] {
        let header = silent.header.as_mut().expect("it has one");
        header.position = Bytes::new();
    }
    let held = append(store, "a-1", "x", all).expect("it fits");
    assert_eq!(
        (held.next_sequence, &*held.position),
        (Sequence(13), &b"p1"[..])
    );
    assert_eq!(store.held(&flow("x")).position, "p1");
    // Nor does another epoch forget it: its source was opened there.
    let mut other = blocks(8, 1, 0, &[2]);
    other[0].header.as_mut().expect("it has one").position = Bytes::new();
    let held = append(store, "a-1", "x", other).expect("a new epoch begins at 1");
    assert_eq!((held.epoch, &*held.position), (8, &b"p1"[..]));
}

fn repeats_change_nothing_and_the_rest_is_refused(store: &impl Store) {
    let all = blocks(7, 1, 0, &[3, 4, 5]);
    let held = append(store, "a-1", "x", all.clone()).expect("it fits");
    assert_eq!(
        append(store, "a-1", "x", all.clone()).expect("a repeat"),
        held
    );
    assert_eq!(
        append(store, "a-1", "x", all[1..2].to_vec()).expect("a repeat"),
        held
    );
    let mut other = all[1].clone();
    other.header.as_mut().expect("a header").crc32c ^= 1;
    let forked = |result: Result<Held, AppendError>| {
        matches!(
            result,
            Err(AppendError::Forked {
                at: Sequence(4),
                ..
            })
        )
    };
    assert!(
        forked(append(store, "a-1", "x", vec![other])),
        "the same numbers, other bytes"
    );
    let gap = append(store, "a-1", "x", blocks(7, 20, 9, &[1]));
    assert!(
        matches!(
            gap,
            Err(AppendError::Gap {
                expected: Sequence(13),
                found: Sequence(20),
                ..
            })
        ),
        "{gap:?}"
    );
    let stranger = append(store, "a-2", "x", blocks(7, 13, held.chain, &[1]));
    assert!(
        matches!(stranger, Err(AppendError::NotOwner { .. })),
        "{stranger:?}"
    );
    // All or none: a good block before a bad one is not kept.
    let mut mixed = blocks(7, 13, held.chain, &[1, 1]);
    mixed[1].header.as_mut().expect("a header").chain ^= 1;
    assert!(append(store, "a-1", "x", mixed).is_err());
    assert_eq!(store.held(&flow("x")), held);
    // Calls of one commit don't hurt each other, and a repeat within it is one.
    let next = blocks(7, 13, held.chain, &[2]);
    let calls = [
        store.append("a-1", &flow("x"), next.clone()),
        store.append("a-2", &flow("x"), next.clone()),
        store.append("a-1", &flow("x"), next),
        store.append("a-2", &flow("y"), blocks(9, 1, 0, &[1])),
    ];
    let answers: Vec<bool> = calls
        .into_iter()
        .map(|call| call.wait().expect("the writer lives").is_ok())
        .collect();
    assert_eq!(answers, [true, false, true, true]);
    assert_eq!(store.held(&flow("x")).newest_offset, Offset(14));
}

fn reads_begin_in_the_block_that_holds_the_offset(store: &impl Store) {
    append(store, "a-1", "x", blocks(7, 1, 0, &[10, 10, 10])).expect("it fits");
    let firsts = |from: u64, bytes: usize| -> Vec<u64> {
        let read = store
            .read(&flow("x"), Offset(from), bytes)
            .expect("an answer");
        read.iter().map(|block| block.first_offset.0).collect()
    };
    assert_eq!(firsts(1, usize::MAX), [1, 11, 21]);
    assert_eq!(firsts(15, usize::MAX), [11, 21]);
    assert_eq!(firsts(11, 1), [11]);
    assert_eq!(firsts(31, 1), [0; 0]);
    assert!(
        store
            .read(&flow("none"), Offset(1), 1)
            .expect("an answer")
            .is_empty()
    );
    assert!(matches!(
        store.read(&flow("x"), Offset(0), 1),
        Err(StoreError::Dropped { .. })
    ));
}

fn exception(target: &str, offset: u64, key: &str, state: ExceptionState) -> Exception {
    Exception {
        id: 0,
        target: target.into(),
        flow: flow("x"),
        offset: Offset(offset),
        key: key.into(),
        state,
        reason: "why".into(),
        at_us: 5,
        event: Bytes::from_static(b"event"),
        detail: "told".into(),
    }
}

fn a_step_is_whole(store: &impl Store) {
    let cursor = Cursor {
        through: Offset(5),
        above: RoaringBitmap::from([3, 4, 900_000]),
    };
    let step = Step {
        consumer: "target:erp".into(),
        cursors: vec![(flow("x"), cursor.clone())],
        sent: vec![(flow("x"), Offset(900)), (flow("y"), Offset(0))],
        add: vec![
            exception("erp", 6, "k1", ExceptionState::Dead),
            exception("erp", 7, "k1", ExceptionState::Held),
            exception("", 8, "k2", ExceptionState::Agent),
        ],
        settings: vec![("of a step".into(), "1".into())],
        ..Step::default()
    };
    store
        .step(step)
        .wait()
        .expect("the writer lives")
        .expect("it fits");
    assert_eq!(
        store.cursors("target:erp").expect("an answer"),
        [(flow("x"), cursor)]
    );
    let set = store.setting("of a step").expect("an answer");
    assert_eq!(set.as_deref(), Some("1"));
    assert_eq!(store.consumers().expect("an answer"), ["target:erp"]);
    assert_eq!(
        store.sent("target:erp").expect("an answer"),
        [(flow("x"), Offset(900))]
    );
    let list = |query: ExceptionQuery| {
        store
            .exceptions(&ExceptionQuery { limit: 10, ..query })
            .expect("an answer")
    };
    let erp = list(ExceptionQuery {
        target: Some("erp".into()),
        ..Default::default()
    });
    assert_eq!(
        erp.iter().map(|one| one.offset.0).collect::<Vec<_>>(),
        [6, 7]
    );
    assert_eq!(
        list(ExceptionQuery {
            states: vec![ExceptionState::Agent],
            ..Default::default()
        })
        .len(),
        1
    );
    let bare = list(ExceptionQuery {
        target: Some("erp".into()),
        without_events: true,
        ..Default::default()
    });
    let without = |one: &Exception| Exception {
        event: Bytes::new(),
        ..one.clone()
    };
    assert_eq!(bare, erp.iter().map(without).collect::<Vec<_>>());
    assert_eq!(
        list(ExceptionQuery {
            key: Some("k1".into()),
            after: erp[0].id,
            ..Default::default()
        })
        .len(),
        1
    );
    assert_eq!(
        (
            store.exception_count(Some("erp")).expect("a count"),
            store.exception_count(None).expect("a count")
        ),
        (2, 3)
    );
    let step = Step {
        consumer: "target:erp".into(),
        change: vec![
            Change {
                detail: Some("more".into()),
                ..Change::new(erp[0].id, ExceptionState::Accepted, "taken")
            },
            Change {
                detail: Some("told".into()),
                ..Change::new(erp[0].id, ExceptionState::Confirm, "ask")
            },
            Change::new(erp[0].id, ExceptionState::Retry, "asked"),
        ],
        remove: vec![erp[1].id],
        add: vec![exception("", 8, "k3", ExceptionState::Agent)],
        ..Step::default()
    };
    store
        .step(step)
        .wait()
        .expect("the writer lives")
        .expect("it fits");
    let all = list(ExceptionQuery::default());
    assert!(all.iter().all(|one| one.detail == "told"), "it stays");
    let seen: Vec<_> = all
        .iter()
        .map(|one| (one.offset.0, one.state, one.key.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (6, ExceptionState::Retry, "k1"),
            (8, ExceptionState::Agent, "k3")
        ]
    );
    store.detach("target:erp").expect("done");
    assert!(store.cursors("target:erp").expect("an answer").is_empty());
    assert!(store.sent("target:erp").expect("an answer").is_empty());
    assert_eq!(
        store.exception_count(None).expect("a count"),
        1,
        "the agents' own stay"
    );
    store.set("paused:erp", Some("by hand")).expect("done");
    assert_eq!(
        store.setting("paused:erp").expect("an answer").as_deref(),
        Some("by hand")
    );
    store.set("paused:erp", None).expect("done");
    assert_eq!(store.setting("paused:erp").expect("an answer"), None);
}

fn what_was_done_is_kept_in_order(store: &impl Store) {
    let entry = |id: u64| AuditEntry {
        id,
        at_us: id as i64 * 10,
        actor: "uid 0".into(),
        action: "revoke".into(),
        subject: format!("a-{id}"),
        detail: String::new(),
        hash: Vec::new(),
    };
    for id in 1..=3 {
        store.audit(&entry(id)).expect("done");
    }
    let kept = store.audit_entries(2).expect("an answer");
    let plain = kept.iter().cloned().map(|kept| AuditEntry {
        hash: Vec::new(),
        ..kept
    });
    assert_eq!(plain.collect::<Vec<_>>(), [entry(2), entry(3)]);
    let mut all = store.audit_entries(9).expect("an answer");
    assert_eq!(AuditEntry::first_broken(&all), None);
    assert_eq!(all[0].hash, entry(1).hash_after(b""));
    all[1].subject = "a-9".into();
    assert_eq!(
        AuditEntry::first_broken(&all).map(|broken| broken.id),
        Some(2)
    );
    all.remove(1);
    assert_eq!(
        AuditEntry::first_broken(&all).map(|broken| broken.id),
        Some(3)
    );
}

fn a_flow_that_was_moved_is_the_other_agents(store: &impl Store) {
    let moved = |name: &str| {
        store
            .move_flow(&flow(name), "a-2")
            .wait()
            .expect("it lives")
    };
    assert_eq!(moved("x"), Ok(false), "nobody wrote it");
    append(store, "a-1", "x", blocks(7, 1, 0, &[3])).expect("it fits");
    assert_eq!(moved("x"), Ok(true));
    let next = || blocks(7, 4, store.held(&flow("x")).chain, &[2]);
    let refused = append(store, "a-1", "x", next());
    assert!(
        matches!(refused, Err(AppendError::NotOwner { .. })),
        "{refused:?}"
    );
    append(store, "a-2", "x", next()).expect("it is its own now");
    append(store, "a-2", "x", blocks(9, 1, 0, &[2])).expect("in an epoch of its own, too");
}
