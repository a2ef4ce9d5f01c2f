use super::*;
use ExceptionState::{Dead, Held, Overtaken, Retry};

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
        });
    }
    loader.finish(before)
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
        keys.pass_delivered(key, false),
        After::Load,
        "the held one is still on disk"
    );
    assert_eq!(keys.begin(key, 1), Some(pass));
    assert_eq!(keys.admit(key), Admission::Hold, "one more came meanwhile");
    assert_eq!(keys.pass_delivered(key, true), After::Load);
    keys.begin(key, 1);
    assert_eq!(keys.pass_delivered(key, true), After::Nothing);
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
    keys.pass_rejected(key, false);
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
            held: 3
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
        [whole("asked"), whole("discarded"), Redo::One(8)],
        "what holds others stays blocked"
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
