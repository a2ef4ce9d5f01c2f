//! Events that name what the target has not got: they wait, with their key, and go on by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::erp::{Erp, Reply};
use crate::support::memory::Memory;
use crate::support::{
    append_as, append_block, block_of, cursor, event_with, exceptions, flow, id_of, open, start,
    start_agreed, states, wait,
};
use dray_delivery::detail::Detail;
use dray_delivery::outcome::Class;
use dray_delivery::{TargetHandle, actions};
use dray_store::ExceptionState::{Awaits, Dead, Held};
use dray_store::Store;

/// Lines of shipments name items.
pub(crate) const LINES: &str = r#"
[[reference]]
body = "shipment"
field = "line.item_number"
of = "item"
"#;

/// Appends a shipment of each (key, item).
pub(crate) async fn ship(store: &Arc<dyn Store>, name: &str, lines: &[(&str, &str)]) {
    let name = flow(name);
    let first = store.held(&name).next_sequence.0.max(1);
    let events: Vec<_> = (first..)
        .zip(lines)
        .map(|(sequence, (key, item))| event_with(sequence, key, "shipment", &[(10, 2, item)]))
        .collect();
    let block = block_of(&**store, &name, &events);
    append_block(store, &name, block).await;
}

pub(crate) async fn items(store: &Arc<dyn Store>, keys: &[&str]) -> u64 {
    append_as(store, "north/items", "item", keys).await
}

pub(crate) async fn waiting(target: &TargetHandle, waiting: u64, held: u64) {
    wait(target, "those that wait", |metrics| {
        (metrics.waiting, metrics.held) == (waiting, held)
    })
    .await;
}

#[tokio::test]
async fn an_event_waits_for_the_item_that_it_names_and_its_key_waits_with_it() {
    for policy in ["hold", "park"] {
        let (store, erp) = (open(), Erp::start().await);
        let target = start(
            &store,
            &erp.url(),
            &format!("on_reject = \"{policy}\"{LINES}"),
        );
        ship(
            &store,
            "north/shipments",
            &[("S1", "SKU-1"), ("S1", "SKU-2"), ("S2", "SKU-2")],
        )
        .await;
        items(&store, &["SKU-2"]).await;
        wait(&target, "what has all it names", |metrics| {
            metrics.delivered == 2
        })
        .await;
        waiting(&target, 1, 1).await;
        assert_eq!(erp.offsets("S2"), [3]);
        let mut found = states(&store);
        assert_eq!(found, [(1, Awaits), (2, Held)], "{policy}");
        let reason = exceptions(&store)[0].reason.clone();
        assert_eq!(
            reason,
            "it names item \"SKU-1\" (line.item_number), which this target has not got: it waits for that"
        );
        assert!(
            erp.kept_asks().iter().all(|ask| !ask.has_key("S1")),
            "it was not tried"
        );
        items(&store, &["SKU-1"]).await;
        wait(&target, "all of it", |metrics| metrics.delivered == 5).await;
        waiting(&target, 0, 0).await;
        found = states(&store);
        assert_eq!(found, [], "{policy}");
        assert_eq!(erp.offsets("S1"), [1, 2], "in order");
    }
}

#[tokio::test]
async fn what_waits_is_waited_for_after_a_kill_and_what_came_meanwhile_is_found() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start(&store, &erp.url(), LINES);
    ship(
        &store,
        "north/shipments",
        &[("S1", "SKU-1"), ("S1", "SKU-1"), ("S2", "SKU-9")],
    )
    .await;
    waiting(&target, 2, 1).await;
    target.kill().await;
    items(&store, &["SKU-1"]).await;
    let target = start(&store, &erp.url(), LINES);
    wait(&target, "what came", |metrics| metrics.delivered == 3).await;
    assert_eq!(erp.offsets("S1"), [1, 2]);
    waiting(&target, 1, 0).await;
    assert_eq!(states(&store), [(3, Awaits)]);
    target.kill().await;
    // Nothing of what was known is asked again.
    let target = start(&store, &erp.url(), LINES);
    ship(&store, "north/shipments", &[("S3", "SKU-1")]).await;
    wait(&target, "the next", |metrics| metrics.delivered == 1).await;
}

#[tokio::test]
async fn a_new_rule_knows_what_was_delivered_before_it_came_and_what_was_not() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match ask.has_key("SKU-2") {
        true => Reply::Status(422),
        false => Reply::Status(200),
    });
    let target = start(&store, &erp.url(), "");
    items(&store, &["SKU-1", "SKU-2", "SKU-3"]).await;
    wait(&target, "the items", |metrics| {
        (metrics.delivered, metrics.dead) == (2, 1)
    })
    .await;
    target.stop().await;
    let target = start(&store, &erp.url(), LINES);
    ship(
        &store,
        "north/shipments",
        &[("S1", "SKU-1"), ("S2", "SKU-2"), ("S3", "SKU-3")],
    )
    .await;
    wait(&target, "two shipments", |metrics| metrics.delivered == 2).await;
    waiting(&target, 1, 0).await;
    assert_eq!((erp.offsets("S1").len(), erp.offsets("S3").len()), (1, 1));
    // Mended at the target: the dead item is taken, and the shipment that waits for it goes.
    erp.script(|_| Reply::Status(200));
    let dead = exceptions(&store).into_iter().find(|one| one.state == Dead);
    let dead = dead.expect("the item").id;
    actions::retry(&store, dead, false, None)
        .await
        .expect("it is dead");
    target.wake().await;
    wait(&target, "all", |metrics| metrics.delivered == 4).await;
    assert_eq!(erp.offsets("S2").len(), 1);
}

#[tokio::test]
async fn a_target_that_has_its_items_from_elsewhere_knows_those_of_the_log_and_of_a_file() {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("items");
    std::fs::write(&list, "SKU-8\n").expect("written");
    let config = format!(
        "bodies = [\"shipment\"]\n{LINES}seed = \"log\"\nknown_file = \"{}\"\n",
        list.display()
    );
    items(&store, &["SKU-1"]).await;
    let target = start(&store, &erp.url(), &config);
    let lines = [("S1", "SKU-1"), ("S2", "SKU-8"), ("S3", "SKU-3")];
    ship(&store, "north/shipments", &lines).await;
    wait(&target, "two", |metrics| metrics.delivered == 2).await;
    waiting(&target, 1, 0).await;
    assert_eq!(states(&store), [(3, Awaits)]);
}

/// What waits too long is told, and becomes a dead letter in the end.
#[tokio::test]
async fn an_item_that_never_comes_is_told_and_ends_in_words() {
    let (store, erp) = (open(), Erp::start().await);
    let budgets = "[holds]\nalarm_after = \"1ms\"\ngive_up_after = \"1h\"\n";
    let target = start(&store, &erp.url(), &format!("{LINES}{budgets}"));
    ship(
        &store,
        "north/shipments",
        &[("S1", "SKU-1"), ("S1", "SKU-1")],
    )
    .await;
    let metrics = wait(&target, "the alarm", |metrics| metrics.missing_overdue == 1).await;
    assert_eq!(
        metrics.last_error,
        "1 event(s) wait longer than 1ms for what the target has not got, the first for item \"SKU-1\"; \
         \"dray-collector dead-letters list\" shows them"
    );
    target.kill().await;
    let budgets = "[holds]\nalarm_after = \"0s\"\ngive_up_after = \"1ms\"\n";
    let target = start(&store, &erp.url(), &format!("{LINES}{budgets}"));
    // The wait on disk has the hour of the budget before: somebody asks.
    actions::retry(&store, id_of(&store, 1), false, None)
        .await
        .expect("it waits");
    target.wake().await;
    wait(&target, "the end", |metrics| {
        (metrics.dead, metrics.held) == (1, 1)
    })
    .await;
    let dead = exceptions(&store).remove(0);
    assert_eq!(
        Detail::read(&dead.detail).class,
        Some(Class::MissingReference)
    );
    assert!(
        dead.reason
            .starts_with("it waited for 1ms, which never came: it names item \"SKU-1\""),
        "{}",
        dead.reason
    );
    wait(&target, "no alarm", |metrics| metrics.missing_overdue == 0).await;
    assert!(erp.kept_asks().is_empty(), "nothing was tried");
}

#[tokio::test]
async fn two_that_wait_for_each_other_end_by_themselves_or_by_somebodys_word() {
    let (store, erp) = (open(), Erp::start().await);
    let each_other =
        "[[reference]]\nbody = \"shipment\"\nfield = \"order_number\"\nof = \"shipment\"\n";
    let target = start(&store, &erp.url(), each_other);
    let name = flow("north/shipments");
    let events = [
        event_with(1, "A", "shipment", &[(2, 0, "B")]),
        event_with(2, "B", "shipment", &[(2, 0, "A")]),
        event_with(3, "C", "shipment", &[(2, 0, "C")]),
    ];
    let block = block_of(&**store, &name, &events);
    append_block(&store, &name, block).await;
    wait(&target, "the one that names itself", |metrics| {
        metrics.delivered == 1
    })
    .await;
    waiting(&target, 2, 0).await;
    // One of them is sent all the same: that frees the other.
    actions::approve(&store, id_of(&store, 1), "uid 1")
        .await
        .expect("it waits");
    target.wake().await;
    wait(&target, "both", |metrics| metrics.delivered == 3).await;
    waiting(&target, 0, 0).await;
    let keys: Vec<_> = erp
        .arrivals()
        .iter()
        .map(|arrival| arrival.key.clone())
        .collect();
    assert_eq!(keys, ["C", "A", "B"]);
    assert_eq!(states(&store), []);
}

#[tokio::test]
async fn one_that_waits_can_be_given_up_and_what_is_behind_it_goes_on() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start(&store, &erp.url(), LINES);
    ship(
        &store,
        "north/shipments",
        &[("S1", "SKU-1"), ("S1", "SKU-2")],
    )
    .await;
    items(&store, &["SKU-2"]).await;
    wait(&target, "the item", |metrics| metrics.delivered == 1).await;
    waiting(&target, 1, 1).await;
    actions::discard(&store, id_of(&store, 1), None)
        .await
        .expect("it waits");
    target.wake().await;
    wait(&target, "the second", |metrics| metrics.delivered == 2).await;
    assert_eq!(erp.offsets("S1"), [2]);
}

/// The target alone knows what it has: it says so, and which one it lacks.
const TOLD: &str = r#"
[[rule]]
status = ["422"]
when = [{ at = "/error", matches = "unknown item" }]
outcome = "missing_reference"
reference = { of = "item", at = "/error", matches = "unknown item ([^ ]+)" }
[holds]
ask_first = "1h"
ask_max = "1h"
"#;

fn unknown(item: &str) -> Reply {
    let body = format!("{{\"error\": \"unknown item {item} in line 1\"}}");
    Reply::With(422, "x-a", "b".into(), body)
}

#[tokio::test]
async fn what_the_target_lacks_by_its_own_words_holds_one_event_of_a_batch_until_it_is_delivered() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(
        |ask| match ask.events.iter().any(|event| event["key"] == "S2") {
            true => unknown("SKU-2"),
            false => Reply::Status(200),
        },
    );
    let target = start(&store, &erp.url(), TOLD);
    ship(
        &store,
        "north/shipments",
        &[("S1", "SKU-1"), ("S2", "SKU-2"), ("S3", "SKU-3")],
    )
    .await;
    wait(&target, "the others", |metrics| metrics.delivered == 2).await;
    waiting(&target, 1, 0).await;
    let held = exceptions(&store).remove(0);
    let awaited = Detail::read(&held.detail)
        .awaits
        .expect("what it waits for");
    assert_eq!(
        (awaited.of.as_str(), awaited.name.as_str()),
        ("item", "SKU-2")
    );
    erp.script(|_| Reply::Status(200));
    items(&store, &["SKU-2"]).await;
    wait(&target, "both", |metrics| metrics.delivered == 4).await;
    assert_eq!(erp.offsets("S2"), [2]);
    assert_eq!(target.status().rejected, 0);
}

#[tokio::test]
async fn what_only_the_target_knows_is_asked_again_at_growing_intervals() {
    let (store, erp) = (open(), Erp::start().await);
    let has_it = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&has_it);
    erp.script(move |_| match told.load(Ordering::Relaxed) {
        false => unknown("SKU-1"),
        true => Reply::Status(200),
    });
    let config = TOLD
        .replace("\"1h\"\nask_max", "\"1ms\"\nask_max")
        .replace("= \"1h\"", "= \"20ms\"");
    let target = start(&store, &erp.url(), &config);
    ship(
        &store,
        "north/shipments",
        &[("S1", "SKU-1"), ("S1", "SKU-1")],
    )
    .await;
    erp.wait_asks(4).await;
    waiting(&target, 1, 1).await;
    has_it.store(true, Ordering::Relaxed);
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    assert_eq!(erp.offsets("S1"), [1, 2]);
    let failed = erp.kept_asks().len() - 2;
    assert!(failed < 60, "{failed} tries");
}

#[tokio::test]
async fn what_a_cursor_only_passed_by_is_not_what_the_target_got() {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("items");
    std::fs::write(&list, "SKU-8\n").expect("written");
    let target = start(&store, &erp.url(), "bodies = [\"shipment\"]");
    items(&store, &["SKU-1"]).await;
    ship(&store, "north/shipments", &[("S1", "SKU-1")]).await;
    wait(&target, "the shipment", |metrics| {
        (metrics.delivered, metrics.backlog) == (1, 0)
    })
    .await;
    target.stop().await;
    let list = list.display();
    let config = format!("bodies = [\"shipment\"]\n{LINES}known_file = \"{list}\"\n");
    let target = start(&store, &erp.url(), &config);
    ship(
        &store,
        "north/shipments",
        &[("S2", "SKU-1"), ("S3", "SKU-8")],
    )
    .await;
    wait(&target, "the one that is listed", |metrics| {
        (metrics.delivered, metrics.waiting) == (1, 1)
    })
    .await;
    assert_eq!(states(&store), [(2, Awaits)]);
}

#[tokio::test]
async fn what_passed_by_while_its_flow_was_not_sent_is_not_what_the_target_got() {
    // In the last nothing of it is taken: its cursor follows in long strides.
    for phase in ["off", "shadow", "rollback", "live"] {
        let agreed = format!("[[flow]]\nname = \"*/items\"\nphase = \"{phase}\"\n");
        let taken = match phase {
            "live" => "flows = [\"*/shipments\"]",
            _ => "",
        };
        let (store, erp) = (open(), Erp::start().await);
        items(&store, &["SKU-1"]).await;
        let target = start(&store, &erp.url(), "");
        wait(&target, "the first", |metrics| metrics.delivered == 1).await;
        target.stop().await;
        let target = start_agreed(&store, &erp.url(), taken, &agreed);
        items(&store, &["SKU-2"]).await;
        let newest = match phase {
            "live" => items(&store, &["SKU-3"; 10_000]).await,
            _ => 2,
        };
        let is_past =
            || cursor(&store, "north/items").is_some_and(|cursor| cursor.through.0 == newest);
        if phase == "live" {
            // Something of its own, so that it looks.
            ship(&store, "north/shipments", &[("S0", "SKU-1")]).await;
        }
        wait(&target, "it passes by", |_| is_past()).await;
        target.stop().await;
        let target = start(&store, &erp.url(), LINES);
        let lines = [("S1", "SKU-1"), ("S2", "SKU-2")];
        ship(&store, "north/shipments", &lines).await;
        wait(&target, "the one whose item was sent", |metrics| {
            (metrics.delivered, metrics.waiting) == (1, 1)
        })
        .await;
        let states = states(&store);
        assert_eq!((states.len(), states[0].1), (1, Awaits), "{phase}");
        assert!(erp.offsets("S2").is_empty(), "{phase}");
        target.stop().await;
    }
}

/// What is due of it stays due: there is nothing to be done about it before the next start.
#[tokio::test]
async fn what_waits_of_a_flow_that_is_off_is_not_loaded_over_and_over() {
    let (memory, erp) = (Memory::slow(), Erp::start().await);
    let store: Arc<dyn Store> = memory.clone();
    let config = format!("{LINES}[holds]\nalarm_after = \"1ms\"\n");
    let target = start(&store, &erp.url(), &config);
    ship(&store, "north/shipments", &[("S1", "SKU-1")]).await;
    waiting(&target, 1, 0).await;
    target.stop().await;
    // Off, and then its item comes.
    let off = "[[flow]]\nname = \"*/shipments\"\nphase = \"off\"\n";
    let target = start_agreed(&store, &erp.url(), &config, off);
    items(&store, &["SKU-1"]).await;
    wait(&target, "the item", |metrics| metrics.delivered == 1).await;
    let (reads, counts) = (memory.key_reads(), memory.counts());
    wait(&target, "some looks", |_| memory.counts() >= counts + 3).await;
    assert_eq!(memory.key_reads(), reads);
    target.stop().await;
    let target = start(&store, &erp.url(), &config);
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    assert_eq!(erp.offsets("S1"), [1]);
}
