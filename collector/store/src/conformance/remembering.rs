//! What a store remembers of targets.

use dray_proto::Offset;

use super::{exception, flow};
use crate::api::{Change, ExceptionState, Kept, Reference, Remember, Step, Store, Wait, Waits};

fn item(name: &str) -> Reference {
    Reference {
        of: "item".into(),
        name: name.into(),
    }
}

fn take(store: &impl Store, step: Step) {
    let taken = store.step(step).wait().expect("the writer lives");
    taken.expect("it fits");
}

fn remember(store: &impl Store, remember: Remember) {
    let remember = Remember {
        target: "erp".into(),
        ..remember
    };
    take(
        store,
        Step {
            consumer: "target:erp".into(),
            remember,
            ..Step::default()
        },
    );
}

fn wait(offset: u64, name: &str, unless_known: bool) -> Wait {
    Wait {
        flow: flow("x"),
        offset: Offset(offset),
        reference: Some(item(name)),
        due_us: 1_000,
        alarm_us: 500,
        unless_known,
    }
}

fn due(store: &impl Store, now_us: i64) -> Vec<String> {
    let found = store.due_waits("erp", now_us, 0, 10).expect("an answer");
    found.into_iter().map(|due| due.key).collect()
}

fn id(store: &impl Store, key: &str) -> u64 {
    let query = crate::api::ExceptionQuery {
        key: Some(key.into()),
        limit: 1,
        ..Default::default()
    };
    store.exceptions(&query).expect("an answer")[0].id
}

/// Three exceptions wait: two for SKU-1, one for SKU-2.
fn three_wait(store: &impl Store) {
    let added = [(1, "a"), (2, "b"), (3, "c")];
    let add = added.map(|(offset, key)| exception("erp", offset, key, ExceptionState::Awaits));
    take(
        store,
        Step {
            consumer: "target:erp".into(),
            add: add.into(),
            remember: Remember {
                target: "erp".into(),
                wait: vec![
                    wait(1, "SKU-1", true),
                    wait(2, "SKU-1", true),
                    wait(3, "SKU-2", true),
                ],
                ..Remember::default()
            },
            ..Step::default()
        },
    );
}

pub(super) fn what_waits_is_due_when_its_reference_is_learnt(store: &impl Store) {
    three_wait(store);
    assert_eq!(due(store, 999), [""; 0]);
    assert_eq!(due(store, 1_000), ["a", "b", "c"], "it is time anyway");
    let learn = vec![item("SKU-1"), item("SKU-1")];
    remember(
        store,
        Remember {
            learn,
            ..Remember::default()
        },
    );
    assert_eq!(due(store, 1), ["a", "b"]);
    let page = store.due_waits("erp", 1, id(store, "a"), 1);
    assert_eq!(page.expect("an answer")[0].key, "b", "page by page");
    let known = store.knows("erp", &[item("SKU-1"), item("SKU-2")]);
    assert_eq!(known.expect("an answer"), [true, false]);
    let other = store.knows("other", &[item("SKU-1")]);
    assert_eq!(other.expect("an answer"), [false], "each target by itself");
    // Another state, or none: it waits no longer.
    take(
        store,
        Step {
            consumer: "target:erp".into(),
            change: vec![Change::new(id(store, "a"), ExceptionState::Retry, "asked")],
            remove: vec![id(store, "b")],
            ..Step::default()
        },
    );
    assert_eq!(due(store, 1_000), ["c"]);
    // One that waits for what came meanwhile is due at once, unless it was the target that did not know it.
    for (unless_known, expected) in [(true, &["a"][..]), (false, &[])] {
        let change = Change::new(id(store, "a"), ExceptionState::Awaits, "again");
        take(
            store,
            Step {
                consumer: "target:erp".into(),
                change: vec![change],
                remember: Remember {
                    target: "erp".into(),
                    wait: vec![wait(1, "SKU-1", unless_known)],
                    ..Remember::default()
                },
                ..Step::default()
            },
        );
        assert_eq!(due(store, 1), expected);
    }
}

pub(super) fn what_another_target_got_is_known_here_and_what_nobody_asks_for_is_due(
    store: &impl Store,
) {
    three_wait(store);
    // Another target delivered it.
    take(
        store,
        Step {
            consumer: "target:other".into(),
            remember: Remember {
                target: "other".into(),
                teach: vec![("erp".into(), item("SKU-2")), ("erp".into(), item("SKU-2"))],
                ..Remember::default()
            },
            ..Step::default()
        },
    );
    assert_eq!(due(store, 1), ["c"]);
    let known = store.knows("erp", &[item("SKU-2"), item("SKU-1")]);
    assert_eq!(known.expect("an answer"), [true, false]);
    let other = store.knows("other", &[item("SKU-2")]);
    assert_eq!(other.expect("an answer"), [false]);
    assert_eq!(store.remembered("erp").expect("an answer"), (1, 0));
    for (kind, expected) in [("customer", &["c"][..]), ("item", &["a", "b", "c"])] {
        remember(
            store,
            Remember {
                release: vec![kind.into()],
                ..Remember::default()
            },
        );
        assert_eq!(due(store, 1), expected, "{kind}");
    }
}

pub(super) fn alarms_go_by_the_time_in_force(store: &impl Store) {
    let agree = |after_us: i64| {
        remember(
            store,
            Remember {
                alarm_after_us: Some(after_us),
                ..Remember::default()
            },
        );
    };
    let overdue = |now_us: i64| store.waits("erp", now_us).expect("an answer").overdue;
    agree(500);
    three_wait(store);
    assert_eq!((overdue(499), overdue(500)), (0, 3));
    agree(900);
    assert_eq!((overdue(899), overdue(900)), (0, 3));
    agree(900);
    assert_eq!((overdue(899), overdue(900)), (0, 3));
    agree(20);
    assert_eq!((overdue(19), overdue(20)), (0, 3));
}

pub(super) fn waits_are_counted_and_a_detached_target_is_forgotten(store: &impl Store) {
    assert_eq!(store.waits("erp", 1).expect("an answer"), Waits::default());
    three_wait(store);
    let early = store.waits("erp", 1).expect("an answer");
    assert_eq!(
        (early.total, early.overdue, early.next_us),
        (3, 0, Some(500))
    );
    let late = store.waits("erp", 700).expect("an answer");
    assert_eq!((late.overdue, late.next_us), (3, Some(1_000)));
    assert!(late.oldest.is_some_and(|oldest| oldest.of == "item"));
    let keep = vec![kept("k", "id", "1")];
    let learn = vec![item("SKU-9")];
    remember(
        store,
        Remember {
            learn,
            keep,
            ..Remember::default()
        },
    );
    assert_eq!(store.remembered("erp").expect("an answer"), (1, 1));
    store.detach("target:erp").expect("done");
    assert_eq!(store.remembered("erp").expect("an answer"), (0, 0));
    assert_eq!(store.waits("erp", 700).expect("an answer").total, 0);
    assert!(
        store
            .kept("erp", &flow("x"), "k")
            .expect("an answer")
            .is_empty()
    );
    let known = store.knows("erp", &[item("SKU-9")]).expect("an answer");
    assert_eq!(known, [false]);
}

fn kept(key: &str, name: &str, value: &str) -> Kept {
    Kept {
        flow: flow("x"),
        key: key.into(),
        name: name.into(),
        value: value.into(),
    }
}

pub(super) fn values_are_kept_by_key_and_the_oldest_make_room(store: &impl Store) {
    let keep = vec![
        kept("k", "id", "1"),
        kept("k", "etag", "a"),
        kept("l", "id", "2"),
    ];
    remember(
        store,
        Remember {
            keep,
            ..Remember::default()
        },
    );
    let keep = vec![kept("k", "etag", "b")];
    remember(
        store,
        Remember {
            keep,
            ..Remember::default()
        },
    );
    let found = |flow_name: &str, key: &str| {
        let found = store.kept("erp", &flow(flow_name), key).expect("an answer");
        found.into_iter().collect::<Vec<_>>()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(found("x", "k"), [pair("etag", "b"), pair("id", "1")]);
    assert_eq!(found("y", "k"), [], "each flow by itself");
    let keep = vec![kept("m", "id", "3")];
    remember(
        store,
        Remember {
            keep,
            kept_max: 3,
            ..Remember::default()
        },
    );
    assert_eq!(found("x", "k"), [pair("etag", "b")], "the oldest went");
    assert_eq!((found("x", "l").len(), found("x", "m").len()), (1, 1));
    let learn = vec![item("1"), item("2"), item("3")];
    remember(
        store,
        Remember {
            learn,
            known_max: 2,
            ..Remember::default()
        },
    );
    assert_eq!(store.remembered("erp").expect("an answer"), (2, 3));
}
