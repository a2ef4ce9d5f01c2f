//! What a store does with replays.

use bytes::Bytes;
use dray_proto::Offset;

use super::flow;
use crate::api::{
    Approval, AuditEntry, Replay, ReplayMove, ReplayNote, ReplayProgress, ReplayState, ReplayStep,
    Step, Store,
};

const EXPIRES_US: i64 = 1_000;

fn planned(target: &str) -> Replay {
    Replay {
        id: 0,
        target: target.to_owned(),
        by: "uid 1001".into(),
        at_us: 1,
        expires_us: EXPIRES_US,
        state: ReplayState::Planned,
        plan: "{\"older\":false}".into(),
        selection: Bytes::from_static(b"which"),
        hash: vec![7; 32],
        approved_by: String::new(),
        approved_us: 0,
        ended_us: 0,
        progress: ReplayProgress::default(),
    }
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        actor: "uid 1001".into(),
        action: action.into(),
        ..AuditEntry::default()
    }
}

fn approval(id: u64) -> Approval {
    Approval {
        id,
        hash: vec![7; 32],
        by: "uid 1002".into(),
        at_us: EXPIRES_US - 1,
    }
}

/// The actions of the audit trail, and the subject of the newest.
fn audited(store: &impl Store) -> Vec<String> {
    let entries = store.audit_entries(100).expect("an answer");
    assert!(AuditEntry::first_broken(&entries).is_none());
    entries.into_iter().map(|entry| entry.action).collect()
}

pub(super) fn a_replay_is_approved_by_somebody_else_for_what_stands_and_in_time(
    store: &impl Store,
) {
    let id = store
        .add_replay(&planned("erp"), &entry("plan"))
        .expect("kept");
    let newest = store.audit_entries(1).expect("an answer");
    assert_eq!(newest[0].subject, format!("replay {id}"));
    let refused = [
        Approval {
            by: "uid 1001".into(),
            ..approval(id)
        },
        Approval {
            hash: vec![8; 32],
            ..approval(id)
        },
        Approval {
            at_us: EXPIRES_US,
            ..approval(id)
        },
        approval(id + 1),
    ];
    for approval in refused {
        let done = store.approve_replay(&approval, &entry("approve"));
        assert!(!done.expect("an answer"), "{approval:?}");
    }
    let done = store.approve_replay(&approval(id), &entry("approve"));
    assert!(done.expect("an answer"));
    let again = store.approve_replay(&approval(id), &entry("approve"));
    assert!(!again.expect("an answer"), "it is approved already");
    let found = store.replay(id).expect("an answer").expect("it is there");
    let expected = Replay {
        id,
        state: ReplayState::Approved,
        approved_by: "uid 1002".into(),
        approved_us: EXPIRES_US - 1,
        ..planned("erp")
    };
    assert_eq!(found, expected);
    assert_eq!(
        audited(store),
        ["plan", "approve"],
        "what was refused is not done"
    );
}

pub(super) fn a_replay_moves_only_from_the_states_that_are_named(store: &impl Store) {
    let id = store
        .add_replay(&planned("erp"), &entry("plan"))
        .expect("kept");
    store
        .add_replay(&planned("lake"), &entry("plan"))
        .expect("kept");
    let cancel = ReplayMove {
        id,
        from: vec![ReplayState::Approved, ReplayState::Paused],
        to: ReplayState::Cancelled,
        at_us: 5,
    };
    let moved = store.move_replay(&cancel, &entry("cancel"));
    assert!(!moved.expect("an answer"));
    let from = vec![ReplayState::Planned, ReplayState::Approved];
    let moved = store.move_replay(&ReplayMove { from, ..cancel }, &entry("cancel"));
    assert!(moved.expect("an answer"));
    let listed = store.replays(Some("erp"), 10).expect("a list");
    let shown: Vec<_> = listed
        .iter()
        .map(|one| (one.id, one.state, one.ended_us, one.selection.len()))
        .collect();
    assert_eq!(shown, [(id, ReplayState::Cancelled, 5, 0)]);
    let newest = store.replays(None, 1).expect("a list");
    assert_eq!(newest[0].target, "lake");
    assert_eq!(audited(store), ["plan", "plan", "cancel"]);
}

pub(super) fn a_step_takes_a_replay_on_and_ends_it_with_its_entry(store: &impl Store) {
    let id = store
        .add_replay(&planned("erp"), &entry("plan"))
        .expect("kept");
    let approved = store.approve_replay(&approval(id), &entry("approve"));
    assert!(approved.expect("an answer"));
    let note = |offset: u64| ReplayNote {
        flow: flow("x"),
        offset: Offset(offset),
        key: "A".into(),
        reason: "422".into(),
    };
    let step = |through: u64, notes: Vec<ReplayNote>, ends: bool| {
        let progress = ReplayProgress {
            through,
            above: [2, 5].into_iter().collect(),
            delivered: through,
            refused: notes.len() as u64,
            ..ReplayProgress::default()
        };
        let replay = ReplayStep {
            id,
            progress,
            notes,
            becomes: ends.then_some((ReplayState::Done, 9)),
        };
        let step = Step {
            consumer: "target:erp".into(),
            audit: ends.then(|| entry("end")).into_iter().collect(),
            replay: Some(replay),
            ..Step::default()
        };
        store.step(step).wait().expect("it lives").expect("it fits");
    };
    step(3, vec![note(1), note(2)], false);
    let found = store.replay(id).expect("an answer").expect("it is there");
    assert_eq!(found.state, ReplayState::Approved);
    step(4, vec![note(7)], true);
    let found = store.replay(id).expect("an answer").expect("it is there");
    assert_eq!((found.state, found.ended_us), (ReplayState::Done, 9));
    let progress = &found.progress;
    assert_eq!(
        (progress.through, progress.delivered, progress.refused),
        (4, 4, 1)
    );
    assert_eq!(progress.above, [2, 5].into_iter().collect());
    let notes = store.replay_notes(id, 2).expect("notes");
    assert_eq!(notes, [note(1), note(2)]);
    assert_eq!(store.replay_notes(id, 9).expect("notes").len(), 3);
    // Where somebody was first, it does not end once more, and nobody is told that it did.
    step(4, Vec::new(), true);
    assert_eq!(audited(store), ["plan", "approve", "end"]);
}
