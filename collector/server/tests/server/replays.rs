//! Replays over the local socket.

use std::time::Duration;

use dray_proto::v1::replay_act_request::Act;
use dray_proto::v1::{
    AuditRequest, PlanReplayRequest, ReplayActRequest, ReplayEntry, ReplaysRequest,
};
use dray_proto::{FlowName, Offset};
use dray_store::{Cursor, Step};
use tonic::Code;

use crate::blocks::{block_of, captured_us};
use crate::support::{Collector, Stream, soon};

/// A collector whose target, as far as the store knows, got the six events of a flow.
async fn delivered() -> Collector {
    let target =
        "[[target]]\nname = \"erp\"\nurl = \"http://127.0.0.1:9/\"\nmask = [\"shipment_number\"]";
    let collector = Collector::with(target).await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    stream.send(block_of("stock", 1, 6)).await;
    stream.acked("stock", 6).await;
    let (store, mut wait) = (
        collector.store(),
        tokio::time::interval(Duration::from_millis(20)),
    );
    // After the target's own first cursor.
    soon(async {
        while store.cursors("target:erp").expect("an answer").is_empty() {
            wait.tick().await;
        }
    })
    .await;
    let cursor = Cursor {
        through: Offset(6),
        ..Cursor::default()
    };
    let step = Step {
        consumer: "target:erp".into(),
        cursors: vec![(FlowName::parse("north/stock").expect("a name"), cursor)],
        ..Step::default()
    };
    let taken = collector.store().step(step).await;
    taken.expect("it lives").expect("it is taken");
    collector
}

fn all() -> PlanReplayRequest {
    PlanReplayRequest {
        target: "erp".into(),
        ..PlanReplayRequest::default()
    }
}

fn act(act: Act, replay: &ReplayEntry) -> ReplayActRequest {
    ReplayActRequest {
        act: act as i32,
        id: replay.id,
        hash: replay.hash.clone(),
    }
}

#[tokio::test]
async fn a_plan_says_what_it_would_send_and_who_made_it_cannot_approve_it() {
    let collector = delivered().await;
    let mut admin = collector.admin().await;
    let planned = admin.plan_replay(all()).await.expect("a plan").into_inner();
    let us = format!("uid {}", rustix::process::getuid().as_raw());
    assert_eq!(
        (planned.state.as_str(), &planned.planned_by),
        ("planned", &us)
    );
    assert_eq!((planned.events, planned.keys, planned.rate), (6, 3, 50));
    let flow = &planned.flows[0];
    assert_eq!(
        (flow.flow.as_str(), flow.first, flow.last),
        ("north/stock", 1, 6)
    );

    let refused = admin.replay_act(act(Act::Approve, &planned)).await;
    let refused = refused.expect_err("it is ours");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("somebody else"), "{refused}");
    for (change, said) in [
        (Act::Resume, "is planned"),
        (Act::Pause, "is planned"),
        (Act::Unspecified, "no act"),
    ] {
        let refused = admin.replay_act(act(change, &planned)).await;
        let refused = refused.expect_err("it is not for that");
        assert!(refused.message().contains(said), "{said}: {refused}");
    }
    let done = admin.replay_act(act(Act::Cancel, &planned)).await;
    assert!(done.expect("done").into_inner().said.contains("cancelled"));
    let request = ReplaysRequest {
        target: "erp".into(),
        ..ReplaysRequest::default()
    };
    let listed = admin.replays(request).await.expect("a list").into_inner();
    assert_eq!(listed.replays[0].state, "cancelled");

    let entries = admin.audit(AuditRequest { limit: 10 }).await;
    let entries = entries.expect("entries").into_inner();
    assert_eq!(entries.broken_id, 0);
    let last: Vec<_> = entries.entries.iter().rev().take(5).rev().collect();
    let actions: Vec<_> = last.iter().map(|entry| entry.action.as_str()).collect();
    let expected = [
        "replay plan",
        "replay approve",
        "replay resume",
        "replay pause",
        "replay cancel",
    ];
    assert_eq!(actions, expected);
    assert!(
        last[1].detail.starts_with("refused: "),
        "{}",
        last[1].detail
    );
    assert!(last.iter().all(|entry| entry.actor == us));
}

#[tokio::test]
async fn a_plan_takes_what_its_filter_names_and_refuses_what_cannot_be_meant() {
    let collector = delivered().await;
    let mut admin = collector.admin().await;
    let since = PlanReplayRequest {
        since_us: captured_us(4),
        ..all()
    };
    let planned = admin.plan_replay(since).await.expect("a plan").into_inner();
    assert_eq!((planned.events, planned.flows[0].first), (3, 4));
    let early = PlanReplayRequest {
        flows: vec!["north/stock".into()],
        to_offset: 3,
        ..all()
    };
    let older = PlanReplayRequest {
        older: true,
        ..early.clone()
    };
    let planned = admin.plan_replay(older).await.expect("a plan").into_inner();
    assert_eq!(
        (planned.events, planned.newer, planned.newer_keys),
        (3, 3, 3)
    );
    assert_eq!(
        (
            planned.newer_shown[0].key.as_str(),
            planned.newer_shown[0].delivered
        ),
        ("K-1", 4)
    );
    for (request, said) in [
        (early, "--older"),
        (
            PlanReplayRequest {
                target: "crm".into(),
                ..all()
            },
            "no target crm",
        ),
        (
            PlanReplayRequest {
                bodies: vec!["ship".into()],
                ..all()
            },
            "--body",
        ),
        (
            PlanReplayRequest {
                rate: 20_000,
                ..all()
            },
            "--rate",
        ),
        (
            PlanReplayRequest {
                expires_s: 700_000,
                ..all()
            },
            "--expires",
        ),
        (
            PlanReplayRequest {
                keys: vec!["K-9".into()],
                ..all()
            },
            "no event in the log fits",
        ),
        (
            PlanReplayRequest {
                dead_letters: true,
                ..all()
            },
            "no dead letter fits",
        ),
        (PlanReplayRequest { edit: 7, ..all() }, "no dead letter 7"),
    ] {
        let refused = admin.plan_replay(request).await.expect_err(said);
        assert!(refused.message().contains(said), "{said}: {refused}");
    }
    let none = ReplaysRequest {
        id: 99,
        ..ReplaysRequest::default()
    };
    let refused = admin.replays(none).await.expect_err("there is none");
    assert_eq!(refused.code(), Code::NotFound);
}
