//! How the parts fit together: replays with phases, breakers, budgets and waits; waits with somebody's word; what a detached
//! target leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::replaying::{approve, asked, becomes, delivered, found, keys, plan};
use crate::support::erp::{Ask, Erp, Reply};
use crate::support::{
    append, append_as, append_block, block_of, config, cursor, event_with, exceptions, flow, id_of,
    open, start, start_agreed, states, wait,
};
use dray_delivery::replay::{self, Filter};
use dray_delivery::{Catalogue, FlowConfig, Phase, TargetHandle, actions};
use dray_store::ExceptionState::{Awaits, Dead, Held};
use dray_store::{ReplayState, Store};

const NOW_US: i64 = 1_790_000_000_000_000;

/// Lines of shipments name items.
const LINES: &str =
    "[[reference]]\nbody = \"shipment\"\nfield = \"line.item_number\"\nof = \"item\"\n";

fn in_phase(phase: &str) -> String {
    format!("[[flow]]\nname = \"*\"\nphase = \"{phase}\"\n")
}

fn switch(on: bool) -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(on));
    (Arc::clone(&switch), switch)
}

/// A shipment of this key that names this item.
async fn ship(store: &Arc<dyn Store>, key: &str, item: &str) {
    let name = flow("north/shipments");
    let sequence = store.held(&name).next_sequence.0.max(1);
    let event = event_with(sequence, key, "shipment", &[(10, 2, item)]);
    append_block(store, &name, block_of(&**store, &name, &[event])).await;
}

#[tokio::test]
async fn a_replay_sends_nothing_of_a_flow_that_is_not_sent_and_says_so() {
    for phase in ["off", "shadow", "rollback"] {
        let (store, erp, target) = delivered("", &["A", "B"]).await;
        let id = plan(&store, asked(Filter::default()))
            .await
            .expect("a plan");
        target.stop().await;
        let target = start_agreed(&store, &erp.url(), "", &in_phase(phase));
        approve(&store, &target, id).await;
        let progress = becomes(&store, &target, id, ReplayState::Done).await;
        target.stop().await;
        assert_eq!((progress.held, progress.delivered), (2, 0), "{phase}");
        let notes = store.replay_notes(id, 10).expect("notes");
        let said = format!("its flow is in phase {phase} at this target");
        assert!(notes[0].reason.contains(&said), "{:?}", notes[0]);
        assert_eq!(erp.arrivals().len(), 2, "{phase}: nothing came again");
        // Nor is one planned.
        let table = FlowConfig {
            name: "*".into(),
            phase: Some(match phase {
                "off" => Phase::Off,
                "shadow" => Phase::Shadow,
                _ => Phase::Rollback,
            }),
            ..FlowConfig::default()
        };
        let mut closed = config("http://erp.example/", "");
        closed.catalogue = Arc::new(Catalogue::new(&[table], &Default::default()));
        let refused = replay::plan(&store, &closed, asked(Filter::default()), NOW_US).await;
        let why = refused.expect_err("nothing is sent");
        assert!(why.contains(&format!("in phase {phase}")), "{why}");
    }
}

#[tokio::test]
async fn a_replay_of_a_flow_in_parallel_is_marked_as_such() {
    let (store, erp, target) = delivered("", &["A"]).await;
    target.stop().await;
    let target = start_agreed(&store, &erp.url(), "", &in_phase("parallel"));
    let id = plan(&store, asked(Filter::default()))
        .await
        .expect("a plan");
    approve(&store, &target, id).await;
    becomes(&store, &target, id, ReplayState::Done).await;
    target.stop().await;
    let last = erp.kept_asks().pop().expect("a request");
    assert_eq!(last.events[0]["phase"], "parallel");
}

#[tokio::test]
async fn an_event_of_a_replay_that_is_refused_as_a_breakers_try_leaves_it_open_for_the_next() {
    let more = "batch = 1\nconcurrency = 1\n[breaker]\nrejects = 3\n[retry]\nfirst = \"5ms\"\nmax = \"10ms\"\n";
    let (store, erp, target) = delivered(more, &["A", "B", "C"]).await;
    let id = plan(&store, asked(Filter::default()))
        .await
        .expect("a plan");
    let (refuses, reads) = switch(true);
    erp.script(move |_| {
        Reply::Status(if reads.load(Ordering::Relaxed) {
            422
        } else {
            200
        })
    });
    append(&store, "north/shipments", &["D", "E", "F"]).await;
    wait(&target, "the breaker", |metrics| metrics.broken.is_some()).await;
    approve(&store, &target, id).await;
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    assert_eq!(progress.refused, 3);
    refuses.store(false, Ordering::Relaxed);
    append(&store, "north/shipments", &["G"]).await;
    wait(&target, "what is live", |metrics| {
        metrics.delivered == 4 && metrics.broken.is_none()
    })
    .await;
}

#[tokio::test]
async fn an_event_of_a_replay_that_gets_no_good_answer_is_given_up_whatever_its_class_says() {
    let (store, erp, target) = delivered("batch = 1\nconcurrency = 1", &["BAD", "B", "C"]).await;
    let id = plan(&store, asked(Filter::default()))
        .await
        .expect("a plan");
    target.stop().await;
    erp.script(|ask: &Ask| {
        let is_bad = ask.has_key("BAD") && ask.events[0]["offset"] == 1;
        Reply::Status(if is_bad { 500 } else { 200 })
    });
    let agreed = "[budgets.normal]\nretry = \"1ms\"\nthen = \"hold\"\n";
    let more = "batch = 1\nconcurrency = 1";
    let target = start_agreed(&store, &erp.url(), more, agreed);
    approve(&store, &target, id).await;
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    assert_eq!((progress.refused, progress.delivered), (1, 2));
    append(&store, "north/shipments", &["BAD"]).await;
    wait(&target, "what is live", |metrics| metrics.delivered == 3).await;
    assert_eq!(exceptions(&store).len(), 0, "no dead letter came of it");
}

#[tokio::test]
async fn while_a_breaker_is_open_a_failure_is_the_targets_and_each_try_waits() {
    let (store, erp) = (open(), Erp::start().await);
    let (refuses, reads) = switch(false);
    erp.script(move |ask: &Ask| {
        let is_refused = reads.load(Ordering::Relaxed);
        Reply::Status(match ask.has_key("BAD") {
            true => 500,
            false if is_refused => 422,
            false => 200,
        })
    });
    let more = "batch = 1\nconcurrency = 1\n[breaker]\nrejects = 3\nprobe_max = \"200ms\"\n";
    let target = start(&store, &erp.url(), more);
    append(&store, "north/stock", &["A", "BAD", "C", "D"]).await;
    wait(&target, "the others", |metrics| metrics.delivered == 3).await;
    refuses.store(true, Ordering::Relaxed);
    append(&store, "north/stock", &["E", "F", "G"]).await;
    wait(&target, "the breaker", |metrics| metrics.broken.is_some()).await;
    let before = erp.kept_asks().len();
    // Only the one with waits of its own is left to try.
    wait(&target, "tries", |metrics| {
        metrics
            .broken
            .as_ref()
            .is_some_and(|broken| broken.probes >= 4)
    })
    .await;
    let tries = erp.kept_asks().len() - before;
    assert!(tries < 15, "{tries} tries");
    target.stop().await;
}

/// Taken with 202 and a job that is asked about.
const SUBMIT_AND_POLL: &str = r#"
batch = 1
[calls]
first = "submit"
[calls.call.submit]
url = "jobs"
rule = [{ status = ["202"], outcome = "accepted", go = "ask", after = "5ms" }]
[calls.call.ask]
method = "GET"
url = "jobs/{{ key }}"
"#;

#[tokio::test]
async fn what_the_target_took_by_somebodys_word_is_asked_about_and_not_looked_at_once_more() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask: &Ask| Reply::Status(if ask.method == "POST" { 202 } else { 200 }));
    let target = start(&store, &erp.url(), &format!("{SUBMIT_AND_POLL}{LINES}"));
    ship(&store, "S1", "SKU-1").await;
    wait(&target, "the wait", |metrics| metrics.waiting == 1).await;
    assert_eq!(states(&store), [(1, Awaits)]);
    actions::approve(&store, id_of(&store, 1), "uid 1")
        .await
        .expect("it waits");
    target.wake().await;
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    assert_eq!(erp.lines(), ["POST /jobs", "GET /jobs/S1"]);
}

#[tokio::test]
async fn a_dead_letter_that_a_replay_tries_again_does_not_open_a_key_that_waits() {
    let (store, erp) = (open(), Erp::start().await);
    let (refuses, reads) = switch(true);
    erp.script(move |ask: &Ask| {
        let is_refused = ask.has_key("S1") && reads.load(Ordering::Relaxed);
        Reply::Status(if is_refused { 422 } else { 200 })
    });
    append_as(&store, "north/items", "item", &["SKU-1"]).await;
    let more = format!("on_reject = \"park\"\nbatch = 1\n{LINES}");
    let target = start(&store, &erp.url(), &more);
    wait(&target, "the item", |metrics| metrics.delivered == 1).await;
    ship(&store, "S1", "SKU-1").await;
    wait(&target, "the dead letter", |metrics| metrics.dead == 1).await;
    ship(&store, "S1", "SKU-2").await;
    wait(&target, "the wait", |metrics| metrics.waiting == 1).await;
    assert_eq!(states(&store)[1..], [(1, Dead), (2, Awaits)][1..]);
    refuses.store(false, Ordering::Relaxed);
    let letters = Filter {
        dead_letters: true,
        ..keys(&["S1"])
    };
    let id = plan(&store, asked(letters)).await.expect("a plan");
    approve(&store, &target, id).await;
    becomes(&store, &target, id, ReplayState::Done).await;
    wait(&target, "the dead letter", |metrics| metrics.delivered == 2).await;
    ship(&store, "S1", "SKU-1").await;
    wait(&target, "the third, behind the second", |metrics| {
        (metrics.waiting, metrics.held, metrics.delivered) == (1, 1, 2)
    })
    .await;
    assert_eq!(states(&store), [(2, Awaits), (3, Held)]);
    append_as(&store, "north/items", "item", &["SKU-2"]).await;
    wait(&target, "all", |metrics| metrics.delivered == 5).await;
    assert_eq!(erp.offsets("S1"), [1, 2, 3]);
}

#[tokio::test]
async fn what_is_held_goes_on_where_what_is_before_it_is_given_up_while_it_is_asked_about() {
    let (store, erp) = (open(), Erp::start().await);
    let meeting = Arc::new(tokio::sync::Barrier::new(2));
    let (first, met) = (AtomicBool::new(true), Arc::clone(&meeting));
    erp.script(move |ask: &Ask| match ask.method.as_str() {
        "POST" => Reply::Status(202),
        _ if first.swap(false, Ordering::Relaxed) => Reply::Meet(200, Arc::clone(&met)),
        _ => Reply::Status(200),
    });
    append(&store, "north/orders", &["a", "a"]).await;
    let target = start(&store, &erp.url(), SUBMIT_AND_POLL);
    erp.wait_asks(2).await;
    wait(&target, "the one behind", |metrics| {
        (metrics.waiting, metrics.held) == (1, 1)
    })
    .await;
    actions::discard(&store, id_of(&store, 1), None)
        .await
        .expect("it waits");
    target.wake().await;
    wait(&target, "what is left", |metrics| {
        (metrics.waiting, metrics.held, metrics.dead) == (0, 0, 1)
    })
    .await;
    meeting.wait().await;
    wait(&target, "the second", |metrics| metrics.delivered == 2).await;
    let posted = erp.lines();
    assert_eq!(
        posted.iter().filter(|line| line.contains("POST")).count(),
        2
    );
    target.stop().await;
    assert_eq!(exceptions(&store).len(), 0);
}

#[tokio::test]
async fn a_detached_target_leaves_no_replay_and_no_phase_behind() {
    let (store, erp, target) = delivered("", &["A", "B"]).await;
    let approved = plan(&store, asked(keys(&["A"]))).await.expect("a plan");
    let planned = plan(&store, asked(keys(&["B"]))).await.expect("a plan");
    target.stop().await;
    let target = start_agreed(&store, &erp.url(), "", &in_phase("off"));
    wait(&target, "the phase", |metrics| {
        metrics
            .flows
            .first()
            .is_some_and(|flow| flow.phase == Phase::Off)
    })
    .await;
    target.stop().await;
    let hash = hex::encode(found(&store, approved).hash);
    replay::approve(&store, approved, &hash, "uid 1002", NOW_US)
        .await
        .expect("it is planned");
    actions::detach(&store, "erp").await.expect("it is there");
    for id in [approved, planned] {
        assert_eq!(found(&store, id).state, ReplayState::Cancelled);
    }
    let setting = "phase:erp:north/shipments";
    assert_eq!(store.setting(setting).expect("the store answers"), None);
    let entries = store.audit_entries(100).expect("entries");
    assert_eq!(dray_store::AuditEntry::first_broken(&entries), None);
    let last = entries.last().expect("the cancellation");
    assert_eq!(last.detail, "its target was detached");
}

/// Two steps go to disk, one after the other: what was due before them is loaded by then.
async fn two_steps(store: &Arc<dyn Store>, target: &TargetHandle) {
    for _ in 0..2 {
        let newest = append(store, "south/stock", &["X"]).await;
        let is_so =
            || cursor(store, "south/stock").is_some_and(|cursor| cursor.through.0 >= newest);
        wait(target, "a step", |_| is_so()).await;
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_tried_again_is_not_sent_twice_where_its_key_waits_meanwhile() {
    let (store, erp) = (open(), Erp::start().await);
    let meeting = || Arc::new(tokio::sync::Barrier::new(2));
    let (second, again) = (meeting(), meeting());
    let (met_second, met_again) = (Arc::clone(&second), Arc::clone(&again));
    let (lacks, reads) = switch(true);
    let mut tries = [0, 0];
    erp.script(move |ask: &Ask| {
        let offset = ask.events[0]["offset"].as_u64().unwrap_or(0);
        if !ask.has_key("A") || offset > 2 {
            return Reply::Status(200);
        }
        let tried = &mut tries[offset as usize - 1];
        *tried += 1;
        match (offset, *tried) {
            (1, 1) => Reply::Status(422),
            (1, 2) => Reply::Meet(200, Arc::clone(&met_again)),
            (2, 1) => Reply::Meet(424, Arc::clone(&met_second)),
            (2, _) if reads.load(Ordering::Relaxed) => Reply::Status(424),
            _ => Reply::Status(200),
        }
    });
    let more = "batch = 1\non_reject = \"park\"\n[[rule]]\nstatus = [\"424\"]\noutcome = \"missing_reference\"\n\
                [holds]\nalarm_after = \"1ms\"\nask_first = \"1ms\"\nask_max = \"20ms\"\n";
    let target = start(&store, &erp.url(), more);
    append(&store, "north/stock", &["A"]).await;
    wait(&target, "the dead letter", |metrics| metrics.dead == 1).await;
    append(&store, "north/stock", &["A"]).await;
    erp.wait_asks(2).await;
    actions::retry(&store, id_of(&store, 1), false, None)
        .await
        .expect("it is dead");
    target.wake().await;
    two_steps(&store, &target).await;
    second.wait().await;
    wait(&target, "the second is due", |metrics| {
        metrics.missing_overdue == 1
    })
    .await;
    two_steps(&store, &target).await;
    append(&store, "north/stock", &["A"]).await;
    again.wait().await;
    wait(&target, "the third waits", |metrics| {
        (metrics.dead, metrics.waiting, metrics.held) == (0, 1, 1)
    })
    .await;
    lacks.store(false, Ordering::Relaxed);
    wait(&target, "all", |metrics| {
        (metrics.waiting, metrics.held, metrics.backlog) == (0, 0, 0)
    })
    .await;
    target.stop().await;
    assert_eq!(erp.offsets("A"), [1, 2, 3], "each once, in order");
}
