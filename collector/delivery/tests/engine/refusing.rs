//! Events that the target refuses, and what an operator does about them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::erp::{Ask, Erp, Reply};
use crate::support::{append, append_as, exceptions, id_of, open, start, states, wait};
use dray_delivery::actions::Which;
use dray_delivery::{State, actions};
use dray_store::ExceptionState::{Dead, Held, Overtaken};

/// Refuses requests that hold the key, while the switch is on.
fn refuse(key: &'static str) -> (Arc<AtomicBool>, impl FnMut(&Ask) -> Reply) {
    let on = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&on);
    let script = move |ask: &Ask| {
        Reply::Status(if ask.has_key(key) && switch.load(Ordering::Relaxed) {
            422
        } else {
            200
        })
    };
    (on, script)
}

#[tokio::test]
async fn one_refused_key_holds_only_its_own_lane_and_a_retry_delivers_it_in_order() {
    let (store, erp) = (open(), Erp::start().await);
    let (refusing, script) = refuse("BAD");
    erp.script(script);
    let target = start(&store, &erp.url(), "");
    append(
        &store,
        "north/shipments",
        &["A", "B", "BAD", "C", "BAD", "A", "BAD"],
    )
    .await;
    append(&store, "south/shipments", &["D", "D"]).await;
    let metrics = wait(&target, "the rest", |metrics| {
        (metrics.delivered, metrics.dead, metrics.held) == (6, 1, 2)
    })
    .await;
    assert_eq!((metrics.state, metrics.backlog), (State::Running, 0));
    assert_eq!(states(&store), [(3, Dead), (5, Held), (7, Held)]);
    assert!(
        exceptions(&store)[0].reason.contains("422"),
        "{:?}",
        exceptions(&store)[0]
    );

    let held = id_of(&store, 5);
    assert!(
        actions::retry(&store, held, false, None)
            .await
            .expect_err("held")
            .contains("is held behind dead letter")
    );
    assert!(
        actions::discard(&store, held, None)
            .await
            .expect_err("held")
            .contains("is held behind dead letter")
    );
    assert!(
        actions::retry(&store, 99, true, None)
            .await
            .expect_err("absent")
            .contains("no dead letter 99")
    );

    // Still refused: it is dead again, the others stay where they are.
    let dead = id_of(&store, 3);
    assert_eq!(
        actions::retry(&store, dead, false, None).await.as_deref(),
        Ok("erp")
    );
    target.wake().await;
    wait(&target, "the second refusal", |metrics| {
        metrics.rejected == 2 && metrics.dead == 1
    })
    .await;
    append(&store, "north/shipments", &["BAD", "A"]).await;
    wait(&target, "one more held", |metrics| {
        metrics.held == 3 && metrics.delivered == 7
    })
    .await;

    refusing.store(false, Ordering::Relaxed);
    actions::retry(&store, dead, false, None)
        .await
        .expect("it is dead");
    target.wake().await;
    wait(&target, "all", |metrics| {
        metrics.delivered == 11 && metrics.held == 0 && metrics.dead == 0
    })
    .await;
    append(&store, "north/shipments", &["BAD"]).await;
    wait(&target, "the lane is open", |metrics| {
        metrics.delivered == 12
    })
    .await;
    target.stop().await;
    assert_eq!(erp.offsets("BAD"), [3, 5, 7, 8, 10]);
    assert_eq!((erp.check_order(), exceptions(&store).len()), (12, 0));
}

#[tokio::test]
async fn a_blocked_key_stays_blocked_over_a_restart_and_a_discard_lets_the_held_go_on() {
    let (store, erp) = (open(), Erp::start().await);
    let (refusing, script) = refuse("BAD");
    erp.script(script);
    append(&store, "north/shipments", &["BAD", "BAD", "A"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "the hold", |metrics| {
        metrics.held == 1 && metrics.delivered == 1
    })
    .await;
    target.stop().await;
    append(&store, "north/shipments", &["BAD", "A"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "the hold, after a restart", |metrics| {
        metrics.held == 2 && metrics.delivered == 1
    })
    .await;
    refusing.store(false, Ordering::Relaxed);
    assert_eq!(
        actions::discard(&store, id_of(&store, 1), None)
            .await
            .as_deref(),
        Ok("erp")
    );
    target.wake().await;
    wait(&target, "the held", |metrics| {
        metrics.delivered == 3 && metrics.held == 0
    })
    .await;
    target.stop().await;
    assert_eq!(
        (erp.offsets("BAD"), exceptions(&store).len()),
        (vec![2, 4], 0)
    );
}

#[tokio::test]
async fn what_comes_while_held_events_are_sent_again_waits_for_them() {
    let (store, erp) = (open(), Erp::start().await);
    let (refusing, script) = refuse("BAD");
    erp.script(script);
    let target = start(&store, &erp.url(), "batch = 3");
    append(&store, "north/shipments", &["BAD"; 100]).await;
    wait(&target, "the hold", |metrics| metrics.held == 99).await;
    refusing.store(false, Ordering::Relaxed);
    actions::retry(&store, id_of(&store, 1), false, None)
        .await
        .expect("it is dead");
    target.wake().await;
    for _ in 0..20 {
        append(&store, "north/shipments", &["BAD", "A"]).await;
        target.wake().await;
    }
    wait(&target, "all", |metrics| {
        metrics.delivered == 140 && metrics.held == 0 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    assert_eq!(
        (
            erp.check_order(),
            erp.arrivals().len(),
            exceptions(&store).len()
        ),
        (140, 140, 0)
    );
}

#[tokio::test]
async fn a_parked_event_is_overtaken_by_the_next_of_its_key() {
    let (store, erp) = (open(), Erp::start().await);
    let (refusing, script) = refuse("BAD");
    erp.script(script);
    let target = start(&store, &erp.url(), "on_reject = \"park\"");
    append(&store, "north/shipments", &["BAD", "A", "BAD"]).await;
    wait(&target, "both are dead", |metrics| {
        (metrics.delivered, metrics.dead) == (1, 2)
    })
    .await;
    refusing.store(false, Ordering::Relaxed);

    // Not overtaken yet: a plain retry is fine, and overtakes the one before.
    let (first, second) = (id_of(&store, 1), id_of(&store, 3));
    actions::retry(&store, second, false, None)
        .await
        .expect("it is dead");
    target.wake().await;
    wait(&target, "the second", |metrics| {
        (metrics.delivered, metrics.dead) == (2, 1)
    })
    .await;
    append(&store, "north/shipments", &["BAD"]).await;
    wait(&target, "a later one", |metrics| metrics.delivered == 3).await;
    target.stop().await;
    assert_eq!(states(&store), [(1, Overtaken)]);

    let target = start(&store, &erp.url(), "on_reject = \"park\"");
    assert!(
        actions::retry(&store, first, false, None)
            .await
            .expect_err("overtaken")
            .contains("use --older")
    );
    assert_eq!(
        actions::retry_all(&store, &Which::of("erp")).await,
        Ok(0),
        "what is overtaken is left out"
    );
    actions::retry(&store, first, true, None)
        .await
        .expect("older is asked for");
    target.wake().await;
    wait(&target, "the older", |metrics| {
        metrics.delivered == 1 && metrics.dead == 0
    })
    .await;
    target.stop().await;
    assert_eq!(
        (erp.offsets("BAD"), exceptions(&store).len()),
        (vec![3, 4, 1], 0)
    );
}

#[tokio::test]
async fn scenario_34_latest_wins_sends_only_the_newest_stock() {
    let (store, erp) = (open(), Erp::start().await);
    let config = "on_reject = \"latest\"\nbodies = [\"inventory_level\"]";
    let keys = ["A", "A", "B", "A", "C", "B", "A"];
    append_as(&store, "north/stock", "inventory_level", &keys).await;
    let target = start(&store, &erp.url(), config);
    let metrics = wait(&target, "the newest", |metrics| metrics.delivered == 3).await;
    assert_eq!(metrics.outdated, 4);
    let newest = [("A", [7]), ("B", [6]), ("C", [5])];
    for (key, offset) in newest {
        assert_eq!(erp.offsets(key), offset, "{key}");
    }
    // What was passed over is finished: a restart sends nothing of it.
    target.kill().await;
    let target = start(&store, &erp.url(), config);
    append_as(&store, "north/stock", "inventory_level", &["C"]).await;
    wait(&target, "the next", |metrics| metrics.delivered == 1).await;
    assert_eq!(erp.arrivals().len(), 4);
    assert_eq!(erp.offsets("C"), [5, 8]);
    // The same item of another flow is another stock, though both share a lane.
    append_as(&store, "south/stock", "inventory_level", &["D"]).await;
    append_as(&store, "north/stock", "inventory_level", &["D", "D"]).await;
    wait(&target, "both", |metrics| {
        metrics.delivered + metrics.outdated == 4 && metrics.backlog == 0
    })
    .await;
    let south = erp.arrivals();
    assert!(south.iter().any(|one| one.flow == "south/stock"));
}

#[tokio::test]
async fn many_dead_letters_are_retried_at_once() {
    let (store, erp) = (open(), Erp::start().await);
    let bad = Arc::new(AtomicBool::new(true));
    let refusing = Arc::clone(&bad);
    erp.script(move |ask| {
        let odd = ask.events.iter().any(|event| {
            event["offset"]
                .as_u64()
                .is_some_and(|offset| offset % 4 == 0)
        });
        Reply::Status(if odd && refusing.load(Ordering::Relaxed) {
            400
        } else {
            200
        })
    });
    let keys: Vec<String> = (0..300).map(|n| format!("K{n}")).collect();
    append(
        &store,
        "north/shipments",
        &keys.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    let target = start(&store, &erp.url(), "batch = 64");
    wait(&target, "the refusals", |metrics| {
        (metrics.delivered, metrics.dead) == (225, 75)
    })
    .await;
    bad.store(false, Ordering::Relaxed);
    assert_eq!(actions::retry_all(&store, &Which::of("erp")).await, Ok(75));
    target.wake().await;
    wait(&target, "all", |metrics| {
        metrics.delivered == 300 && metrics.dead == 0
    })
    .await;
    target.stop().await;
    assert_eq!((erp.check_order(), exceptions(&store).len()), (300, 0));
}

#[tokio::test]
async fn a_hundred_refusals_without_a_success_open_the_breaker_and_the_first_that_is_taken_closes_it()
 {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| Reply::With(409, "x-reason", "none".into(), "no such company".into()));
    let keys: Vec<String> = (0..300).map(|n| format!("K{n}")).collect();
    append(
        &store,
        "north/shipments",
        &keys.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    let target = start(&store, &erp.url(), "batch = 8");
    // The breaker shows at once, the count of the dead once they are on disk.
    let metrics = wait(&target, "the breaker", |metrics| {
        metrics.broken.is_some() && metrics.in_flight == 0 && metrics.dead >= 100
    })
    .await;
    let broken = metrics.broken.expect("it is open");
    assert_eq!(broken.cause, "it refused 100 events one after the other");
    assert!(
        metrics.detail.contains("no such company"),
        "{}",
        metrics.detail
    );
    assert!((100..110).contains(&metrics.dead), "{}", metrics.dead);
    erp.script(|_| Reply::Status(200));
    // Its next try would heal it; somebody who can't wait for that says so.
    target.resume().await.expect("it runs");
    wait(&target, "the rest", |metrics| {
        metrics.delivered + metrics.dead == 300 && metrics.backlog == 0 && metrics.broken.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_detached_target_is_forgotten_and_starts_anew_when_resumed() {
    let (store, erp) = (open(), Erp::start().await);
    append(&store, "north/shipments", &["A", "B"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    target.stop().await;
    actions::detach(&store, "erp")
        .await
        .expect("the store answers");
    assert_eq!(store.consumers().expect("the store answers"), [""; 0]);
    let target = start(&store, &erp.url(), "start = \"newest\"");
    let metrics = wait(&target, "the pause", |metrics| {
        metrics.state == State::Paused
    })
    .await;
    assert!(
        metrics.detail.starts_with("detached by an operator"),
        "{}",
        metrics.detail
    );
    target.resume().await.expect("it is paused");
    wait(&target, "its first scan", |metrics| {
        metrics.flows.len() == 1
    })
    .await;
    append(&store, "north/shipments", &["C"]).await;
    wait(&target, "the new one", |metrics| metrics.delivered == 1).await;
    assert_eq!(erp.arrivals().len(), 3);
}

#[tokio::test]
async fn who_settled_a_dead_letter_is_on_disk_with_what_was_done() {
    let (store, erp) = (open(), Erp::start().await);
    let (_, script) = refuse("BAD");
    erp.script(script);
    append(&store, "north/shipments", &["BAD"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "a dead letter", |metrics| metrics.dead == 1).await;
    let id = id_of(&store, 1);
    let retried = actions::retry(&store, id, false, Some("uid 7")).await;
    retried.expect("it is dead");
    // It is about to be tried: nothing is done, so nothing is noted.
    let refused = actions::discard(&store, id, Some("uid 9")).await;
    refused.expect_err("it is on its way");
    target.wake().await;
    wait(&target, "the second refusal", |metrics| {
        metrics.rejected == 2 && metrics.dead == 1
    })
    .await;
    target.stop().await;
    let discarded = actions::discard(&store, id, Some("uid 8")).await;
    discarded.expect("it is dead");
    let entries = store.audit_entries(10).expect("entries").into_iter();
    let trail: Vec<_> = entries
        .map(|entry| (entry.actor, entry.action, entry.subject))
        .collect();
    let entry = |by: &str, action: &str| {
        let subject = format!("dead letter {id}, north/shipments offset 1 at erp");
        (by.to_owned(), action.to_owned(), subject)
    };
    assert_eq!(trail, [entry("uid 7", "retry"), entry("uid 8", "discard")]);
}

#[tokio::test]
async fn a_page_of_dead_letters_is_discarded_at_once_and_what_each_held_goes_on() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let first = ask
            .events
            .iter()
            .any(|event| event["offset"].as_u64() <= Some(3));
        Reply::Status(if first { 422 } else { 200 })
    });
    let target = start(&store, &erp.url(), "batch = 1");
    append(&store, "north/shipments", &["A", "B", "C", "A", "B", "A"]).await;
    wait(&target, "all refused or held", |metrics| {
        (metrics.dead, metrics.held) == (3, 3)
    })
    .await;
    let mut page = exceptions(&store);
    page.retain(|found| found.state == Dead);
    actions::discard_page(&store, "erp", page)
        .await
        .expect("it is written");
    target.wake().await;
    wait(&target, "what was held", |metrics| {
        (metrics.delivered, metrics.held, metrics.dead) == (3, 0, 0)
    })
    .await;
    assert_eq!(erp.offsets("A"), [4, 6]);
    assert!(exceptions(&store).is_empty());
}
