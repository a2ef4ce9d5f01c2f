//! Events that are delivered once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::erp::{Ask, Erp, Reply};
use crate::support::memory::Memory;
use crate::support::{
    Disk, LIMIT, append, append_block, block_of, config, cursor, event, exceptions, flow, id_of,
    open, start, start_agreed, states, wait,
};
use dray_delivery::TargetHandle;
use dray_delivery::replay::{self, Asked, EXPIRES_DEFAULT, Filter, Plan, RATE_MAX};
use dray_store::ExceptionState::Dead;
use dray_store::{Replay, ReplayProgress, ReplayState, Store};

const PLANNER: &str = "uid 1001";
const APPROVER: &str = "uid 1002";
const NOW_US: i64 = 1_790_000_000_000_000;

pub(crate) fn asked(filter: Filter) -> Asked {
    Asked {
        filter,
        older: false,
        rate: RATE_MAX,
        expires: EXPIRES_DEFAULT,
        by: PLANNER.into(),
    }
}

pub(crate) fn keys(keys: &[&str]) -> Filter {
    Filter {
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        ..Filter::default()
    }
}

/// One flow's offsets.
fn offsets(from: u64, to: u64) -> Filter {
    Filter {
        flows: vec!["north/shipments".into()],
        from,
        to,
        ..Filter::default()
    }
}

pub(crate) async fn plan(store: &Disk, asked: Asked) -> Result<u64, String> {
    replay::plan(store, &config("http://erp.example/", ""), asked, NOW_US).await
}

pub(crate) fn found(store: &Disk, id: u64) -> Replay {
    let found = store.replay(id).expect("the store answers");
    found.expect("it was planned")
}

pub(crate) async fn approve(store: &Disk, target: &TargetHandle, id: u64) {
    let hash = hex::encode(found(store, id).hash);
    let approved = replay::approve(store, id, &hash, APPROVER, NOW_US).await;
    assert_eq!(approved.as_deref(), Ok("erp"));
    target.look_at_replays().await;
}

pub(crate) async fn becomes(
    store: &Disk,
    target: &TargetHandle,
    id: u64,
    state: ReplayState,
) -> ReplayProgress {
    let is_so = || found(store, id).state == state;
    wait(target, &format!("{state:?}"), |metrics| {
        is_so() && metrics.replay.0 != id
    })
    .await;
    found(store, id).progress
}

/// Waits until the store knows that the flow's first so many events were delivered: what a plan is made from.
pub(crate) async fn on_disk(store: &Disk, target: &TargetHandle, events: u64) {
    let is_so =
        || cursor(store, "north/shipments").is_some_and(|cursor| cursor.through.0 >= events);
    wait(target, "the cursor on disk", |_| is_so()).await;
}

/// All of these keys, delivered.
pub(crate) async fn delivered(more: &str, keys: &[&str]) -> (Disk, Erp, TargetHandle) {
    let (store, erp) = (open(), Erp::start().await);
    append(&store, "north/shipments", keys).await;
    let target = start(&store, &erp.url(), more);
    erp.wait_arrivals(keys.len()).await;
    on_disk(&store, &target, keys.len() as u64).await;
    (store, erp, target)
}

#[tokio::test]
async fn a_replay_sends_exactly_what_was_planned_with_the_same_ids_and_in_order() {
    let (store, erp, target) = delivered("", &["A", "B", "A", "C", "B", "A"]).await;
    let before = erp.arrivals();
    let id = plan(&store, asked(keys(&["A", "C"])))
        .await
        .expect("a plan");
    let planned = Plan::read(&found(&store, id).plan);
    assert_eq!((planned.events, planned.keys, planned.newer), (4, 2, 0));
    append(&store, "north/shipments", &["D"]).await;
    erp.wait_arrivals(7).await;
    approve(&store, &target, id).await;
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    assert_eq!((progress.delivered, progress.through), (4, 4));
    target.stop().await;
    let again: Vec<_> = erp.arrivals().split_off(7);
    let of = |key: &str| {
        let all = again.iter().filter(|arrival| arrival.key == key);
        all.map(|arrival| arrival.offset).collect::<Vec<_>>()
    };
    assert_eq!((of("A"), of("C"), again.len()), (vec![1, 3, 6], vec![4], 4));
    for arrival in again {
        assert!(
            before.contains(&arrival),
            "{arrival:?} came with another id"
        );
    }
}

/// Scenario 30 of the collector's note.
#[tokio::test]
async fn a_replay_without_an_approval_is_not_run_and_nobody_approves_his_own() {
    let (store, erp, target) = delivered("", &["A", "B"]).await;
    let id = plan(&store, asked(Filter::default()))
        .await
        .expect("a plan");
    target.look_at_replays().await;
    let replay = found(&store, id);
    let hash = hex::encode(&replay.hash);
    for (by, hash, now_us, said) in [
        (PLANNER, &*hash, NOW_US, "somebody else must approve"),
        (APPROVER, &hash[..8], NOW_US, "at least the first 12 digits"),
        (APPROVER, "0123456789ab", NOW_US, "another hash"),
        (APPROVER, &hash, replay.expires_us, "expired"),
    ] {
        let refused = replay::approve(&store, id, hash, by, now_us).await;
        let why = refused.expect_err(said);
        assert!(why.contains(said), "{said}: {why}");
    }
    append(&store, "north/shipments", &["C"]).await;
    erp.wait_arrivals(3).await;
    target.stop().await;
    assert_eq!(erp.arrivals().len(), 3, "nothing of the replay was sent");
    assert_eq!(found(&store, id).state, ReplayState::Planned);
    let actions: Vec<_> = store
        .audit_entries(10)
        .expect("entries")
        .into_iter()
        .map(|entry| (entry.actor, entry.action))
        .collect();
    assert_eq!(actions, [(PLANNER.to_owned(), "replay plan".to_owned())]);
}

/// Scenario 32.
#[tokio::test]
async fn a_replay_older_than_the_newest_is_warned_of_and_blocked_without_an_override() {
    let (store, erp, target) = delivered("", &["A", "B", "A"]).await;
    let refused = plan(&store, asked(offsets(1, 1))).await;
    assert!(refused.expect_err("A has a newer one").contains("--older"));
    let id = plan(&store, asked(offsets(1, 2)))
        .await
        .expect("B has none");
    let planned = Plan::read(&found(&store, id).plan);
    assert_eq!(
        (planned.events, planned.newer, planned.newer_keys),
        (1, 1, 1)
    );
    let newer = &planned.newer_shown[0];
    assert_eq!(
        (newer.key.as_str(), newer.offset, newer.delivered),
        ("A", 1, 3)
    );
    let older = Asked {
        older: true,
        ..asked(offsets(1, 1))
    };
    let id = plan(&store, older).await.expect("it is asked for");
    let planned = Plan::read(&found(&store, id).plan);
    assert_eq!((planned.events, planned.newer, planned.older), (1, 1, true));
    approve(&store, &target, id).await;
    becomes(&store, &target, id, ReplayState::Done).await;
    target.stop().await;
    assert_eq!(erp.offsets("A"), [1, 3, 1]);
}

#[tokio::test]
async fn what_was_delivered_since_the_plan_is_not_put_back() {
    for restarts in [false, true] {
        let (store, erp, mut target) = delivered("", &["A", "B"]).await;
        let id = plan(&store, asked(Filter::default()))
            .await
            .expect("a plan");
        append(&store, "north/shipments", &["A"]).await;
        wait(&target, "the newer one", |metrics| {
            metrics.backlog == 0 && metrics.delivered == 3
        })
        .await;
        if restarts {
            target.stop().await;
            target = start(&store, &erp.url(), "");
        }
        approve(&store, &target, id).await;
        let progress = becomes(&store, &target, id, ReplayState::Done).await;
        assert_eq!((progress.delivered, progress.overtaken), (1, 1));
        let notes = store.replay_notes(id, 10).expect("notes");
        assert_eq!(
            (notes.len(), notes[0].key.as_str(), notes[0].offset.0),
            (1, "A", 1)
        );
        assert!(notes[0].reason.contains("offset 3"), "{:?}", notes[0]);
        target.stop().await;
        assert_eq!(
            (erp.offsets("A"), erp.offsets("B")),
            (vec![1, 3], vec![2, 2])
        );
    }
}

#[tokio::test]
async fn what_comes_live_while_a_replay_runs_is_never_put_back() {
    let names: Vec<String> = (0..40).map(|number| format!("K{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (store, erp, target) = delivered("batch = 1\nconcurrency = 8", &names).await;
    let slow = Asked {
        rate: 100,
        ..asked(Filter::default())
    };
    let id = plan(&store, slow).await.expect("a plan");
    approve(&store, &target, id).await;
    erp.wait_arrivals(45).await;
    append(&store, "north/shipments", &names).await;
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    assert_eq!(progress.delivered + progress.overtaken, 40);
    assert!(progress.overtaken > 0, "{progress:?}");
    let all = 80 + progress.delivered;
    wait(&target, "what is live", |metrics| metrics.delivered == all).await;
    target.stop().await;
    for (number, key) in names.iter().enumerate() {
        let came = erp.offsets(key);
        let (first, newest) = (number as u64 + 1, number as u64 + 41);
        let good = [vec![first, newest], vec![first, first, newest]];
        assert!(good.contains(&came), "{key}: {came:?}");
    }
}

/// Scenario 33.
#[tokio::test]
async fn a_replay_of_a_million_events_keeps_its_rate_and_can_be_cancelled() {
    const EVENTS: u64 = 1_000_000;
    const RATE: u32 = 500;
    let (store, erp) = (open(), Erp::start().await);
    let name = flow("north/shipments");
    for block in 0..EVENTS / 1_000 {
        let events: Vec<_> = (0..1_000)
            .map(|at| event(block * 1_000 + at + 1, &format!("K{at}"), "shipment"))
            .collect();
        append_block(&store, &name, block_of(&**store, &name, &events)).await;
    }
    // All of it was delivered, as far as the target's cursor says.
    let cursor = dray_store::Cursor {
        through: dray_proto::Offset(EVENTS),
        ..dray_store::Cursor::default()
    };
    let step = dray_store::Step {
        consumer: "target:erp".into(),
        cursors: vec![(name, cursor)],
        ..dray_store::Step::default()
    };
    store
        .step(step)
        .await
        .expect("it lives")
        .expect("it is taken");
    let slow = Asked {
        rate: RATE,
        ..asked(Filter::default())
    };
    let id = plan(&store, slow).await.expect("a plan");
    assert_eq!(Plan::read(&found(&store, id).plan).events, EVENTS);
    let target = start(&store, &erp.url(), "");
    approve(&store, &target, id).await;
    tokio::time::timeout(LIMIT * 4, erp.wait_arrivals(1))
        .await
        .expect("it runs");
    let began = Instant::now();
    erp.wait_arrivals(RATE as usize * 2).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1_800),
        "{} events in {took:?}",
        RATE * 2
    );
    replay::cancel(&store, id, PLANNER, NOW_US)
        .await
        .expect("it runs");
    target.look_at_replays().await;
    let progress = becomes(&store, &target, id, ReplayState::Cancelled).await;
    let came = erp.arrivals().len() as u64;
    assert_eq!(progress.delivered, came, "what came is counted");
    append(&store, "north/shipments", &["live"]).await;
    wait(&target, "what is live", |metrics| {
        metrics.delivered == came + 1
    })
    .await;
    target.stop().await;
    assert_eq!(
        erp.arrivals().len() as u64,
        came + 1,
        "nothing more of it came"
    );
}

#[tokio::test]
async fn after_a_kill_a_replay_goes_on_where_it_was() {
    let names: Vec<String> = (0..200).map(|number| format!("K{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let more = "batch = 1\nconcurrency = 4";
    let (store, erp, mut target) = delivered(more, &names).await;
    let slow = Asked {
        rate: 400,
        ..asked(Filter::default())
    };
    let id = plan(&store, slow).await.expect("a plan");
    approve(&store, &target, id).await;
    for killed_at in [230, 280, 330] {
        erp.wait_arrivals(killed_at).await;
        target.kill().await;
        target = start(&store, &erp.url(), more);
    }
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    assert_eq!((progress.through, progress.delivered), (200, 200));
    target.stop().await;
    let came = erp.arrivals().len();
    // What was in flight, or taken and not on disk yet: at 400 a second, what a few steps of a busy disk last.
    assert!(
        (400..550).contains(&came),
        "too much came twice: {came} of 400"
    );
    for (number, key) in names.iter().enumerate() {
        let offset = number as u64 + 1;
        let came = erp.offsets(key);
        assert!(
            came.len() >= 2 && came.iter().all(|one| *one == offset),
            "{key}: {came:?}"
        );
    }
}

#[tokio::test]
async fn a_paused_replay_sends_nothing_until_it_is_resumed() {
    let names: Vec<String> = (0..100).map(|number| format!("K{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (store, erp, target) = delivered("", &names).await;
    let slow = Asked {
        rate: 100,
        ..asked(Filter::default())
    };
    let id = plan(&store, slow).await.expect("a plan");
    approve(&store, &target, id).await;
    erp.wait_arrivals(110).await;
    replay::pause(&store, id, PLANNER, NOW_US)
        .await
        .expect("it runs");
    target.look_at_replays().await;
    let progress = becomes(&store, &target, id, ReplayState::Paused).await;
    let came = erp.arrivals().len() as u64;
    assert_eq!(progress.delivered, came - 100);
    assert!(came < 200);
    let twice = replay::pause(&store, id, PLANNER, NOW_US).await;
    assert!(twice.expect_err("it is paused").contains("is paused"));
    replay::resume(&store, id, PLANNER, NOW_US)
        .await
        .expect("it is paused");
    target.look_at_replays().await;
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    target.stop().await;
    assert_eq!(
        (progress.delivered, erp.arrivals().len()),
        (100, 200),
        "each once"
    );
}

#[tokio::test]
async fn what_a_target_refuses_of_a_replay_closes_no_key_and_pauses_the_replay_at_last() {
    let names: Vec<String> = (0..150).map(|number| format!("K{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (store, erp, target) = delivered("batch = 1", &names).await;
    let id = plan(&store, asked(Filter::default()))
        .await
        .expect("a plan");
    let live = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&live);
    erp.script(move |ask: &Ask| {
        // There already, but for what is newer.
        let is_live = ask.events[0]["offset"].as_u64() > Some(150);
        counted.fetch_add(u64::from(is_live), Ordering::Relaxed);
        Reply::Status(if is_live { 200 } else { 409 })
    });
    approve(&store, &target, id).await;
    let progress = becomes(&store, &target, id, ReplayState::Paused).await;
    assert!((100..=104).contains(&progress.refused), "{progress:?}");
    let notes = store.replay_notes(id, 1_000).expect("notes");
    assert_eq!(notes.len() as u64, progress.refused);
    assert!(notes[0].reason.contains("409"), "{:?}", notes[0]);
    append(&store, "north/shipments", &["K0", "K1"]).await;
    wait(&target, "what is live", |metrics| metrics.delivered == 152).await;
    target.stop().await;
    assert_eq!(live.load(Ordering::Relaxed), 2);
    assert_eq!(exceptions(&store).len(), 0, "no dead letter came of it");
}

#[tokio::test]
async fn events_of_a_key_that_waits_behind_a_dead_letter_are_passed_over() {
    let (store, erp, target) = delivered("", &["A", "B"]).await;
    let id = plan(&store, asked(Filter::default()))
        .await
        .expect("a plan");
    erp.script(|ask: &Ask| Reply::Status(if ask.has_key("A") { 422 } else { 200 }));
    append(&store, "north/shipments", &["A"]).await;
    wait(&target, "the dead letter", |metrics| metrics.dead == 1).await;
    approve(&store, &target, id).await;
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    target.stop().await;
    assert_eq!((progress.held, progress.delivered), (1, 1));
    assert_eq!(erp.offsets("B"), [2, 2]);
    // And they are left out of the next plan where they are dead letters themselves.
    let again = plan(&store, asked(offsets(3, 3))).await;
    assert!(
        again
            .expect_err("it was never delivered")
            .contains("dead letters")
    );
}

/// Refuses what holds "wrong", while the switch is on.
fn refuse_wrong(erp: &Erp) -> Arc<AtomicBool> {
    let on = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&on);
    erp.script(move |ask: &Ask| {
        let text = String::from_utf8_lossy(&ask.body);
        let is_refused = switch.load(Ordering::Relaxed) && text.contains("\"BAD ");
        Reply::Status(if is_refused { 422 } else { 200 })
    });
    on
}

/// Scenario 28: what a target cannot take is put right, and sent.
#[tokio::test]
async fn an_edited_dead_letter_is_sent_as_it_was_approved_and_the_original_is_kept() {
    let (store, erp) = (open(), Erp::start().await);
    refuse_wrong(&erp);
    append(&store, "north/shipments", &["BAD", "BAD", "A"]).await;
    let target = start(&store, &erp.url(), "");
    wait(&target, "the hold", |metrics| {
        metrics.held == 1 && metrics.delivered == 1
    })
    .await;
    let letter = exceptions(&store)[0].clone();
    let changes = |value: &str| vec![("shipment_number".to_owned(), value.to_owned())];
    let nothing = || asked(Filter::default());
    let wrong = vec![("no_such".to_owned(), "1".to_owned())];
    let refused = replay::edit(&store, letter.id, wrong, nothing(), NOW_US).await;
    assert!(refused.expect_err("no field").contains("has no field"));
    // The first edit is no better: it is dead again, and edited further.
    for (value, is_good) in [("BAD still", false), ("GOOD 1", true)] {
        let edited = replay::edit(&store, letter.id, changes(value), nothing(), NOW_US).await;
        let id = edited.expect("it is dead");
        approve(&store, &target, id).await;
        let progress = becomes(&store, &target, id, ReplayState::Done).await;
        assert_eq!(progress.accepted, 1);
        if is_good {
            break;
        }
        let is_dead = || exceptions(&store)[0].state == Dead;
        wait(&target, "the second refusal", |metrics| {
            metrics.rejected == 2 && is_dead()
        })
        .await;
        let found = &exceptions(&store)[0];
        assert_eq!(
            (found.state, &found.event),
            (Dead, &letter.event),
            "the original is kept"
        );
        assert!(found.reason.contains("422"), "{}", found.reason);
    }
    // What waited behind it is as wrong as it was.
    wait(&target, "the edited one", |metrics| {
        metrics.delivered == 2 && metrics.dead == 1
    })
    .await;
    target.stop().await;
    let asks = erp.kept_asks();
    let sent = asks
        .iter()
        .flat_map(|ask| &ask.events)
        .find(|event| event["data"]["shipment_number"] == "GOOD 1");
    let sent = sent.expect("the edited one");
    let original = asks
        .iter()
        .flat_map(|ask| &ask.events)
        .find(|event| event["offset"] == 1)
        .expect("the original");
    assert_eq!(sent["id"], original["id"], "under the same id");
    assert_eq!(states(&store), [(2, Dead)]);
}

#[tokio::test]
async fn dead_letters_are_replayed_at_a_pace_once_somebody_agrees() {
    let (store, erp) = (open(), Erp::start().await);
    let refusing = refuse_wrong(&erp);
    append(&store, "north/shipments", &["BAD", "BAD", "A"]).await;
    let target = start(&store, &erp.url(), "on_reject = \"park\"");
    wait(&target, "the dead letters", |metrics| {
        metrics.dead == 2 && metrics.backlog == 0
    })
    .await;
    let letters = Filter {
        dead_letters: true,
        ..Filter::default()
    };
    let id = plan(&store, asked(letters.clone())).await.expect("a plan");
    assert_eq!(Plan::read(&found(&store, id).plan).events, 2);
    refusing.store(false, Ordering::Relaxed);
    approve(&store, &target, id).await;
    let progress = becomes(&store, &target, id, ReplayState::Done).await;
    assert_eq!(progress.accepted, 2);
    wait(&target, "both", |metrics| {
        metrics.delivered == 3 && metrics.dead == 0
    })
    .await;
    target.stop().await;
    assert_eq!(erp.offsets("BAD"), [1, 2]);
    assert!(
        plan(&store, asked(letters))
            .await
            .expect_err("none is left")
            .contains("no dead letter")
    );
}

/// Scenario 40.
#[tokio::test]
async fn masked_fields_stand_in_no_dead_letter() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_: &Ask| {
        let said = "{\"error\": \"SECRET-7 1 is unknown\"}".to_owned();
        Reply::With(422, "x-reason", "no".into(), said)
    });
    append(&store, "north/shipments", &["SECRET-7"]).await;
    let target = start(
        &store,
        &erp.url(),
        "batch = 1\nmask = [\"key\", \"/data/shipment_number\"]",
    );
    wait(&target, "the dead letter", |metrics| metrics.dead == 1).await;
    let metrics = target.status();
    target.stop().await;
    let letter = &exceptions(&store)[0];
    for kept in [&letter.reason, &letter.detail, &metrics.last_error] {
        assert!(!kept.contains("SECRET-7"), "{kept}");
    }
    assert!(
        letter.detail.contains("***") && letter.detail.contains("is unknown"),
        "{}",
        letter.detail
    );
    assert_eq!(id_of(&store, 1), letter.id);
}

/// A replay's turn comes while a refusal is on its way to the disk.
#[tokio::test]
async fn a_dead_letter_that_is_not_on_disk_yet_is_not_taken_for_a_later_delivery() {
    let (memory, erp) = (Memory::slow(), Erp::start().await);
    let store: Arc<dyn Store> = memory.clone();
    append(&store, "north/shipments", &["A"]).await;
    let target = start(&store, &erp.url(), "on_reject = \"park\"");
    let is_so = || cursor(&store, "north/shipments").is_some_and(|cursor| cursor.through.0 == 1);
    wait(&target, "the first", |_| is_so()).await;
    let made = config("http://erp.example/", "");
    let id = replay::plan(&store, &made, asked(Filter::default()), NOW_US).await;
    let id = id.expect("a plan");
    erp.script(|ask| {
        Reply::Status(if ask.events[0]["offset"] == 2 {
            422
        } else {
            200
        })
    });
    memory.hold(true);
    append(&store, "north/shipments", &["A"]).await;
    wait(&target, "the refusal", |metrics| metrics.rejected == 1).await;
    let of = |id| store.replay(id).expect("an answer").expect("it is planned");
    let hash = hex::encode(of(id).hash);
    let approved = replay::approve(&store, id, &hash, APPROVER, NOW_US).await;
    assert_eq!(approved.as_deref(), Ok("erp"));
    target.look_at_replays().await;
    wait(&target, "its turn", |metrics| metrics.replay.0 == id).await;
    memory.hold(false);
    wait(&target, "its end", |_| of(id).state == ReplayState::Done).await;
    let progress = of(id).progress;
    assert_eq!((progress.delivered, progress.overtaken), (1, 0));
    assert_eq!(erp.offsets("A"), [1, 1]);
}

/// The old way delivered meanwhile, and this target got nothing: a replay sends it for the first time.
#[tokio::test]
async fn what_passed_by_while_its_flow_was_not_sent_is_planned_as_never_sent() {
    for phase in ["off", "shadow", "rollback"] {
        let agreed = format!("[[flow]]\nname = \"*\"\nphase = \"{phase}\"\n");
        let (store, erp, target) = delivered("", &["A", "B"]).await;
        target.stop().await;
        let target = start_agreed(&store, &erp.url(), "", &agreed);
        append(&store, "north/shipments", &["A", "C", "D", "E"]).await;
        on_disk(&store, &target, 6).await;
        // As long as nothing of it is sent, nothing is planned.
        let mut closed = config("http://erp.example/", "");
        closed.catalogue = {
            let flow: dray_delivery::FlowConfig =
                toml::from_str(&format!("name = \"*\"\nphase = \"{phase}\"")).expect("a table");
            Arc::new(dray_delivery::Catalogue::new(&[flow], &Default::default()))
        };
        let refused = replay::plan(&store, &closed, asked(Filter::default()), NOW_US).await;
        let refused = refused.expect_err("nothing is sent");
        assert!(refused.contains(&format!("in phase {phase}")), "{refused}");
        target.stop().await;

        let target = start(&store, &erp.url(), "");
        append(&store, "north/shipments", &["C"]).await;
        on_disk(&store, &target, 7).await;
        let id = plan(&store, asked(Filter::default())).await.expect("one");
        let planned = Plan::read(&found(&store, id).plan);
        assert_eq!((planned.events, planned.unsent, planned.newer), (7, 4, 0));
        // Of what is left to the old way a later one counts as newer: sending an older one would put the target back.
        let refused = plan(&store, asked(offsets(1, 1))).await;
        let refused = refused.expect_err("A has a newer one");
        assert!(refused.contains("--older"), "{refused}");
        let id = plan(&store, asked(offsets(1, 2))).await.expect("B");
        let newer = Plan::read(&found(&store, id).plan).newer_shown;
        assert_eq!(
            (newer[0].offset, newer[0].delivered, newer[0].unsent),
            (1, 3, true)
        );
        let id = plan(&store, asked(offsets(3, 6))).await.expect("the gap");
        let planned = Plan::read(&found(&store, id).plan);
        assert_eq!((planned.events, planned.unsent, planned.newer), (3, 3, 1));
        assert!(!planned.newer_shown[0].unsent, "C was sent since");
        approve(&store, &target, id).await;
        let progress = becomes(&store, &target, id, ReplayState::Done).await;
        assert_eq!(progress.delivered, 3);
        assert_eq!(erp.offsets("A"), [1, 3], "{phase}");
        // What a replay sent was sent.
        let id = plan(&store, asked(Filter::default())).await.expect("one");
        let planned = Plan::read(&found(&store, id).plan);
        assert_eq!((planned.events, planned.unsent), (7, 1));
        target.stop().await;
    }
}

/// A million of them may be there: what is read of them is little.
#[tokio::test]
async fn a_start_and_a_plan_read_no_bytes_of_the_dead_letters_beside_them() {
    const LETTERS: u64 = 300;
    let (memory, erp) = (Memory::slow(), Erp::start().await);
    let store: Arc<dyn Store> = memory.clone();
    append(&store, "north/shipments", &["A"; LETTERS as usize + 1]).await;
    let add = (1..=LETTERS).map(|offset| dray_store::Exception {
        id: 0,
        target: "erp".into(),
        flow: flow("north/shipments"),
        offset: dray_proto::Offset(offset),
        key: format!("K{offset}"),
        state: Dead,
        reason: "no".into(),
        at_us: NOW_US,
        event: vec![0; 16 * 1024].into(),
        detail: String::new(),
    });
    let cursor = dray_store::Cursor {
        through: dray_proto::Offset(LETTERS),
        ..dray_store::Cursor::default()
    };
    let step = dray_store::Step {
        consumer: "target:erp".into(),
        cursors: vec![(flow("north/shipments"), cursor)],
        add: add.collect(),
        ..dray_store::Step::default()
    };
    store.step(step).await.expect("it lives").expect("taken");
    let rule = "[[reference]]\nbody = \"shipment\"\nfield = \"order_number\"\nof = \"order\"\n";
    let target = start(&store, &erp.url(), rule);
    wait(&target, "the last", |metrics| metrics.delivered == 1).await;
    let is_so = || {
        let cursor = crate::support::cursor(&store, "north/shipments");
        cursor.is_some_and(|cursor| cursor.through.0 == LETTERS + 1)
    };
    wait(&target, "the cursor on disk", |_| is_so()).await;
    let made = config("http://erp.example/", "");
    let id = replay::plan(&store, &made, asked(Filter::default()), NOW_US).await;
    let id = id.expect("a plan");
    let planned = Plan::read(&store.replay(id).expect("an answer").expect("it").plan);
    assert_eq!((planned.events, planned.exceptions), (1, LETTERS));
    assert_eq!(memory.event_bytes(), 0);
    target.stop().await;
}
