use super::loader::REDO_MAX;
use super::*;
use ExceptionState::{Accepted, Confirm, Dead, Held, Overtaken, Retry};

fn flow() -> FlowName {
    FlowName::parse("north/stock").expect("a name")
}

fn loaded(rows: &[(u64, &str, ExceptionState)], before: &Keys) -> (Keys, Vec<Redo>) {
    let mut loader = Loader::new(before);
    for (id, key, state) in rows {
        loader.add(&Row {
            id: *id,
            flow: &flow(),
            offset: Offset(id * 10),
            key,
            state: *state,
            due_us: 7,
            goes_on: false,
        });
    }
    let found = loader.finish(before);
    (found.keys, found.redo)
}

#[test]
fn a_refused_event_blocks_its_key_only_under_hold() {
    for (policy, admission, overtakes) in [
        (OnReject::Hold, Admission::Hold, false),
        (OnReject::Park, Admission::Send, true),
        (OnReject::Latest, Admission::Send, true),
    ] {
        let mut keys = Keys::new(policy);
        let (bad, good) = (keys.id(&flow(), "A"), keys.id(&flow(), "B"));
        keys.rejected(bad);
        assert_eq!(keys.admit(bad), admission, "{policy:?}");
        assert_eq!(keys.admit(good), Admission::Send);
        assert!(!keys.delivered(good, Offset(9)));
        assert_eq!(keys.delivered(bad, Offset(9)), overtakes, "{policy:?}");
        assert_eq!(keys.is_overtaken(bad, Offset(8)), overtakes);
        assert!(!keys.is_overtaken(bad, Offset(9)));
    }
}

#[test]
fn the_same_key_of_another_flow_is_another_key() {
    let keys = Keys::new(OnReject::Hold);
    let other = FlowName::parse("south/stock").expect("a name");
    assert_ne!(keys.id(&flow(), "A"), keys.id(&other, "A"));
    assert_eq!(keys.id(&flow(), "A"), keys.id(&flow(), "A"));
}

#[test]
fn a_blocked_key_opens_when_its_last_exception_was_delivered() {
    let mut keys = Keys::new(OnReject::Hold);
    let key = keys.id(&flow(), "A");
    keys.rejected(key);
    assert_eq!(keys.admit(key), Admission::Hold);
    let pass = keys.begin(key, 1).expect("it is blocked");
    assert!(keys.is_current(key, pass) && keys.is_running(key));
    assert_eq!(
        keys.pass_delivered(key, Dead),
        After::Load,
        "the held one is still on disk"
    );
    assert_eq!(keys.begin(key, 1), Some(pass));
    assert_eq!(keys.admit(key), Admission::Hold, "one more came meanwhile");
    assert_eq!(keys.pass_delivered(key, Held), After::Load);
    keys.begin(key, 1);
    assert_eq!(keys.pass_delivered(key, Held), After::Nothing);
    assert_eq!(keys.admit(key), Admission::Send);
    assert_eq!(keys.counts, Counts::default());
}

#[test]
fn a_refusal_in_a_pass_voids_the_rest_of_it() {
    let mut keys = Keys::new(OnReject::Hold);
    let key = keys.id(&flow(), "A");
    keys.rejected(key);
    keys.admit(key);
    let pass = keys.begin(key, 2).expect("it is blocked");
    keys.pass_rejected(key, Retry);
    assert!(!keys.is_current(key, pass));
    let next = keys.begin(key, 2).expect("somebody asked again");
    assert_ne!(next, pass, "what is left of the first pass stays void");
}

#[test]
fn what_the_store_holds_decides_what_is_blocked_parked_and_sent_again() {
    let rows: &[(u64, &str, ExceptionState)] = &[
        (1, "dead", Dead),
        (2, "dead", Held),
        (3, "asked", Retry),
        (4, "asked", Held),
        (5, "discarded", Held),
        (6, "overtaken", Overtaken),
        (7, "", Dead),
        (8, "single", Retry),
    ];
    let key = |keys: &Keys, name: &str| keys.id(&flow(), name);
    let sorted = |mut redo: Vec<Redo>| {
        redo.sort_by_key(|redo| format!("{redo:?}"));
        redo
    };
    let before = Keys::new(OnReject::Hold);
    let (mut keys, redo) = loaded(rows, &before);
    let whole = |name: &str| Redo::Key(flow(), name.into());
    assert_eq!(
        sorted(redo),
        [whole("asked"), whole("discarded"), whole("single")]
    );
    assert_eq!(
        keys.counts,
        Counts {
            total: 8,
            dead: 5,
            held: 3,
            waiting: 0
        }
    );
    for (name, expected) in [
        ("dead", Admission::Hold),
        ("single", Admission::Hold),
        ("overtaken", Admission::Send),
        ("new", Admission::Send),
    ] {
        assert_eq!(keys.admit(key(&keys, name)), expected, "{name}");
    }
    let before = Keys::new(OnReject::Park);
    let (mut keys, redo) = loaded(rows, &before);
    assert_eq!(
        sorted(redo),
        [
            whole("asked"),
            whole("dead"),
            whole("discarded"),
            Redo::One(8)
        ],
        "what was held goes on, in order, and what is dead is parked"
    );
    assert_eq!(keys.admit(key(&keys, "dead")), Admission::Hold);
    assert_eq!(keys.admit(key(&keys, "single")), Admission::Send);
}

#[test]
fn loading_again_lets_a_pass_go_on() {
    let mut keys = Keys::new(OnReject::Hold);
    let key = keys.id(&flow(), "A");
    keys.rejected(key);
    let pass = keys.begin(key, 1).expect("it is blocked");
    let (keys, redo) = loaded(&[(1, "A", Retry), (2, "A", Held)], &keys);
    assert_eq!(redo, []);
    assert!(keys.is_current(key, pass));
}

#[test]
fn a_key_waits_for_what_the_target_works_on_under_any_policy() {
    for policy in [OnReject::Hold, OnReject::Park] {
        let mut keys = Keys::new(policy);
        let key = keys.id(&flow(), "A");
        keys.put_off(key);
        assert_eq!(keys.admit(key), Admission::Hold, "{policy:?}");
        keys.begin(key, 1);
        keys.put_off_again(key, true, Accepted);
        let counts = (keys.counts.total, keys.counts.held, keys.counts.waiting);
        assert_eq!(counts, (2, 1, 1));
        keys.begin(key, 1);
        assert_eq!(keys.pass_delivered(key, Accepted), After::Load);
        keys.begin(key, 1);
        assert_eq!(keys.pass_delivered(key, Held), After::Nothing);
        assert_eq!(keys.counts, Counts::default());
        assert_eq!(keys.admit(key), Admission::Send);
    }
}

#[test]
fn a_refusal_in_a_pass_is_parked_where_the_policy_says_so() {
    let mut keys = Keys::new(OnReject::Park);
    let key = keys.id(&flow(), "A");
    keys.put_off(key);
    keys.admit(key);
    keys.begin(key, 1);
    assert_eq!(
        keys.pass_rejected(key, Accepted),
        After::Load,
        "the held one goes on"
    );
    keys.begin(key, 1);
    assert_eq!(keys.pass_delivered(key, Held), After::Nothing);
    assert_eq!(keys.admit(key), Admission::Send);
    assert_eq!((keys.counts.total, keys.counts.dead), (1, 1));
}

#[test]
fn after_a_start_the_first_of_a_key_says_when_it_goes_on() {
    for policy in [OnReject::Hold, OnReject::Park] {
        let rows: &[(u64, &str, ExceptionState)] = &[
            (1, "posted soon", Accepted),
            (2, "posted soon", Held),
            (3, "asks", Confirm),
            (4, "asks", Held),
            (5, "approved", Retry),
        ];
        let mut loader = Loader::new(&Keys::new(policy));
        for (id, key, state) in rows {
            loader.add(&Row {
                id: *id,
                flow: &flow(),
                offset: Offset(*id),
                key,
                state: *state,
                due_us: 7,
                goes_on: *key == "approved",
            });
        }
        let found = loader.finish(&Keys::new(policy));
        assert_eq!(found.waits, [(7, flow(), "posted soon".to_owned())]);
        assert_eq!(
            found.redo,
            [Redo::Key(flow(), "approved".into())],
            "{policy:?}"
        );
        for key in ["posted soon", "asks", "approved"] {
            assert!(found.keys.blocks(found.keys.id(&flow(), key)), "{key}");
        }
    }
}

#[test]
fn of_a_million_that_are_to_be_sent_again_a_part_is_found_and_the_rest_by_another_reading() {
    for policy in [OnReject::Hold, OnReject::Park] {
        let before = Keys::new(policy);
        let find = |from: usize| {
            let mut loader = Loader::new(&before);
            for id in from..REDO_MAX + 7 {
                loader.add(&Row {
                    id: id as u64 + 1,
                    flow: &flow(),
                    offset: Offset(id as u64 + 1),
                    key: &format!("K{id}"),
                    state: Retry,
                    due_us: 0,
                    goes_on: false,
                });
            }
            loader.finish(&before)
        };
        let first = find(0);
        assert_eq!(first.redo.len(), REDO_MAX, "{policy:?}");
        assert_eq!(first.more, Some(REDO_MAX as u64 + 7));
        let rest = find(REDO_MAX);
        assert_eq!((rest.redo.len(), rest.more), (7, None), "{policy:?}");
    }
}
