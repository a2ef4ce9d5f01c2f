//! Flows that are off, in parallel, live or rolled back at a target.

use crate::support::erp::{Erp, Reply};
use crate::support::{append, cursor, id_of, open, start, start_agreed, states, wait};
use dray_delivery::{Phase, actions};
use dray_store::ExceptionState::{Dead, Held};
use dray_store::Store;

const OFF: &str = "[[flow]]\nname = \"north/*\"\nphase = \"off\"\n";
const ROLLBACK: &str = "[[flow]]\nname = \"*\"\nphases = { erp = \"rollback\" }\n";

/// What the audit trail says of phases.
fn trail(store: &dyn Store) -> Vec<String> {
    let entries = store.audit_entries(100).expect("the store answers");
    assert_eq!(dray_store::AuditEntry::first_broken(&entries), None);
    let line = |entry: &dray_store::AuditEntry| {
        assert_eq!(
            (entry.actor.as_str(), entry.action.as_str()),
            ("configuration", "phase")
        );
        format!("{}: {}", entry.subject, entry.detail)
    };
    entries.iter().map(line).collect()
}

#[tokio::test]
async fn an_event_that_came_while_its_flow_was_off_is_never_sent_and_the_next_one_is() {
    let (store, erp) = (open(), Erp::start().await);
    append(&store, "north/stock", &["A", "B"]).await;
    let target = start_agreed(&store, &erp.url(), "", OFF);
    append(&store, "south/stock", &["S"]).await;
    append(&store, "north/stock", &["A", "C", "D"]).await;
    wait(&target, "the other site's", |metrics| {
        metrics.delivered == 1 && metrics.flows.len() == 2 && metrics.backlog == 0
    })
    .await;
    target.stop().await;
    let passed = cursor(&store, "north/stock").expect("it has a place");
    assert_eq!((passed.through.0, passed.above.is_empty()), (5, true));

    let target = start(&store, &erp.url(), "");
    append(&store, "north/stock", &["A"]).await;
    wait(&target, "the next one", |metrics| metrics.delivered == 1).await;
    target.stop().await;
    assert_eq!(erp.offsets("A"), [6]);
    assert_eq!(erp.arrivals().len(), 2);
    assert_eq!(
        trail(&**store),
        [
            "north/stock at erp: live → off: from offset 1",
            "north/stock at erp: off → live: from offset 6",
        ]
    );
}

#[tokio::test]
async fn a_rollback_says_where_the_old_way_goes_on_and_sends_nothing_not_even_what_is_retried() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| Reply::Status(if ask.has_key("BAD") { 422 } else { 200 }));
    append(&store, "north/stock", &["A", "BAD", "BAD", "C"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "the refusal", |metrics| {
        (metrics.delivered, metrics.dead, metrics.held) == (2, 1, 1)
    })
    .await;
    target.stop().await;
    let before = erp.kept_asks().len();

    let target = start_agreed(&store, &erp.url(), "", ROLLBACK);
    append(&store, "north/stock", &["A", "E"]).await;
    actions::retry(&store, id_of(&store, 2), false, None)
        .await
        .expect("it is dead");
    target.wake().await;
    let metrics = wait(&target, "all is passed by", |metrics| {
        metrics.flows.len() == 1 && metrics.backlog == 0
    })
    .await;
    let flow = &metrics.flows[0];
    assert_eq!(flow.phase, Phase::Rollback);
    let standing = flow.standing.as_ref().expect("it was live before");
    assert_eq!(
        standing.sentence(),
        "the old way goes on from offset 5, and with 2 before it that the target did not take (dray-collector dead-letters list)"
    );
    target.stop().await;
    assert_eq!(erp.kept_asks().len(), before, "nothing is sent");

    // Live again: what was left to the old way stays so; what was retried meanwhile goes.
    erp.script(|_| Reply::Status(200));
    let target = start(&store, &erp.url(), "");
    append(&store, "north/stock", &["F"]).await;
    wait(&target, "the rest", |metrics| {
        metrics.delivered == 3 && metrics.dead == 0 && metrics.held == 0
    })
    .await;
    target.stop().await;
    assert_eq!(erp.offsets("BAD"), [2, 3]);
    assert_eq!((erp.offsets("E"), erp.offsets("F")), (vec![], vec![7]));
    let trail = trail(&**store);
    assert_eq!(
        trail[1],
        "north/stock at erp: rollback → live: from offset 7; the offsets 5 to 6 were left to the old way"
    );
}

#[tokio::test]
async fn a_dead_letter_and_what_it_holds_stay_as_they_are_while_their_flow_is_off() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| Reply::Status(422));
    append(&store, "north/stock", &["A", "A"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "the refusal", |metrics| metrics.held == 1).await;
    target.stop().await;
    let target = start_agreed(&store, &erp.url(), "", OFF);
    append(&store, "north/stock", &["A"]).await;
    wait(&target, "it is passed by", |metrics| {
        metrics.flows.len() == 1 && metrics.backlog == 0 && metrics.held == 1
    })
    .await;
    target.stop().await;
    assert_eq!(states(&store), [(1, Dead), (2, Held)]);
}

#[tokio::test]
async fn in_parallel_the_target_gets_everything_and_sees_that_it_is_the_second_way() {
    let (store, erp) = (open(), Erp::start().await);
    let agreed = "[[flow]]\nname = \"north/*\"\nphase = \"parallel\"\n";
    let target = start_agreed(&store, &erp.url(), "batch = 1", agreed);
    append(&store, "north/stock", &["A"]).await;
    append(&store, "south/stock", &["B"]).await;
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    for ask in erp.kept_asks() {
        let expected = if ask.has_key("A") { "parallel" } else { "" };
        assert_eq!(ask.events[0]["phase"].as_str().unwrap_or(""), expected);
    }
    // A template may say it in the target's own words.
    let marked = "batch = 1\ntemplate = '{\"key\": {{ key | tojson }}, \"source\": \"dray{{ phase and \"-trial\" }}\"}'";
    target.stop().await;
    let target = start_agreed(&store, &erp.url(), marked, agreed);
    append(&store, "north/stock", &["C"]).await;
    wait(&target, "the third", |metrics| metrics.delivered == 1).await;
    let last = erp.kept_asks().pop().expect("a request");
    assert_eq!(last.events[0]["source"], "dray-trial");
}
