//! Who may write a flow: forged writes, moves, revocation, and the trail that they leave.

use std::time::{Duration, Instant};

use dray_proto::v1::site_act_request::Act;
use dray_proto::v1::{AuditEntry, AuditRequest, RefusalCause, SiteActRequest};
use tonic::{Code, Status};

use crate::blocks::block_of;
use crate::support::{Collector, Identity, Stream};

async fn trail(collector: &Collector) -> Vec<AuditEntry> {
    let answer = collector
        .admin()
        .await
        .audit(AuditRequest { limit: 0 })
        .await;
    answer.expect("the trail").into_inner().entries
}

async fn act(collector: &Collector, act: Act, flow: &str, agent: &str) -> Result<String, Status> {
    let request = SiteActRequest {
        act: act as i32,
        agent: agent.into(),
        flow: flow.into(),
    };
    let answer = collector.admin().await.site_act(request).await;
    answer.map(|reply| reply.into_inner().said)
}

async fn open(collector: &Collector, agent: &Identity, flow: &str) -> Stream {
    Stream::open(collector, agent, &[flow])
        .await
        .expect("welcome")
}

#[tokio::test]
async fn forged_writes_to_other_sites_flows_are_refused_and_noted() {
    let collector = Collector::start().await;
    let (owner, forger) = (
        collector.enrol("north").await,
        collector.enrol("south").await,
    );
    let mut stream = open(&collector, &owner, "stock").await;
    stream.send(block_of("stock", 1, 2)).await;
    stream.acked("stock", 2).await;
    for number in 0..20 {
        let name = match number % 4 {
            0 => "north/stock".to_owned(),
            1 => "../north/stock".to_owned(),
            2 => format!("north/flow{number}"),
            _ => format!("north%2Fstock{number}"),
        };
        let mut stream = open(&collector, &forger, "own").await;
        stream.send(block_of(&name, 3, 1)).await;
        let (_, cause, reason) = stream.refused().await;
        assert_eq!(cause, RefusalCause::Malformed, "{name}: {reason}");
    }
    let flows = collector.store().flows();
    assert_eq!(flows.len(), 1, "nothing of it was stored: {flows:?}");
    let noted = trail(&collector).await;
    let noted: Vec<_> = noted
        .iter()
        .filter(|entry| entry.action == "refused" && entry.actor == forger.agent)
        .collect();
    // Ten flows had names of their own; the other two were told once for all their tries.
    assert_eq!(noted.len(), 12, "{noted:?}");
}

#[tokio::test]
async fn a_flow_is_the_other_agents_once_it_is_moved_and_after_a_restart() {
    let mut collector = Collector::start().await;
    let (first, second) = (
        collector.enrol("north").await,
        collector.enrol("north").await,
    );
    let south = collector.enrol("south").await;
    let mut stream = open(&collector, &first, "stock").await;
    stream.send(block_of("stock", 1, 2)).await;
    stream.acked("stock", 2).await;
    let mut refused = open(&collector, &second, "stock").await;
    refused.send(block_of("stock", 3, 2)).await;
    let (_, cause, reason) = refused.refused().await;
    assert_eq!(cause, RefusalCause::NotOwner);
    assert!(reason.contains("sites move north/stock --to"), "{reason}");

    for (flow, agent, words) in [
        ("north/stock", "a-none", "there is no agent a-none"),
        ("stock", second.agent.as_str(), "is no flow"),
        ("north/orders", second.agent.as_str(), "nobody has written"),
        ("north/stock", south.agent.as_str(), "is of site south"),
    ] {
        let status = act(&collector, Act::Move, flow, agent).await;
        let status = status.expect_err(words);
        assert!(status.message().contains(words), "{}", status.message());
    }
    let said = act(&collector, Act::Move, "north/stock", &second.agent).await;
    let said = said.expect("moved");
    assert!(
        said.contains(&first.agent) && said.contains(&second.agent),
        "{said}"
    );
    assert_eq!(
        stream.ended().await.code(),
        Code::Aborted,
        "it begins again"
    );
    for round in 0..2 {
        let mut stream = open(&collector, &second, "stock").await;
        let next = stream.welcome.flows[0].next_sequence;
        stream.send(block_of("stock", next, 2)).await;
        stream.acked("stock", next + 1).await;
        let mut stream = open(&collector, &first, "stock").await;
        stream.send(block_of("stock", next + 2, 1)).await;
        assert_eq!(stream.refused().await.1, RefusalCause::NotOwner, "{round}");
        drop(stream);
        collector.restart().await;
    }
    let noted = trail(&collector).await;
    let moved = noted.iter().find(|entry| entry.action == "move");
    let moved = moved.expect("it is noted");
    assert!(moved.actor.starts_with("uid ") && moved.subject == "north/stock");
}

#[tokio::test]
async fn revoking_cuts_a_live_stream_within_five_seconds_and_is_noted() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = open(&collector, &agent, "stock").await;
    stream.send(block_of("stock", 1, 2)).await;
    stream.acked("stock", 2).await;
    let began = Instant::now();
    let said = act(&collector, Act::Revoke, "", &agent.agent).await;
    assert!(said.expect("revoked").contains("cut off"));
    assert_eq!(stream.ended().await.code(), Code::PermissionDenied);
    assert!(began.elapsed() < Duration::from_secs(5));
    let again = Stream::open(&collector, &agent, &["stock"]).await;
    assert_eq!(
        again.err().expect("turned away").code(),
        Code::PermissionDenied
    );
    let noted: Vec<_> = trail(&collector).await;
    let actions: Vec<&str> = noted.iter().map(|entry| entry.action.as_str()).collect();
    assert!(
        ["revoke", "cut off", "refused"]
            .iter()
            .all(|action| actions.contains(action)),
        "{actions:?}"
    );
    assert!(
        actions.contains(&"invite") && actions.contains(&"enrol"),
        "{actions:?}"
    );
}
