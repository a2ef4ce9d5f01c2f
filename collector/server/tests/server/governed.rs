//! What is agreed about flows, as the commands and the metrics tell it.

use std::time::Duration;

use dray_proto::v1::{
    AuditRequest, CollectorStatusRequest, DeadLettersRequest, FlowAtTarget, ShadowReply,
    ShadowRequest,
};
use tonic::Code;

use crate::blocks::{block_of, dead_letters_of};
use crate::support::{Collector, Stream, soon};

const AGREED: &str = r#"
[[target]]
name = "erp"
url = "http://127.0.0.1:9/"
[[flow]]
name = "north/*"
owner = "wms"
runbook = "https://wiki.example/stock"
class = "urgent"
phase = "shadow"
"#;

async fn report(collector: &Collector, request: ShadowRequest) -> ShadowReply {
    let reply = collector.admin().await.shadow(request).await;
    reply.expect("a report").into_inner()
}

#[tokio::test]
async fn owners_are_named_and_a_report_of_shadow_is_paged_counted_and_begun_anew() {
    let mut collector = Collector::with(AGREED).await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    stream.send(block_of("stock", 1, 3)).await;
    stream.send(dead_letters_of("stock", 4, 1)).await;
    stream.acked("stock", 4).await;
    let ask = |after: u64, limit: u32| ShadowRequest {
        target: "erp".into(),
        flow: "north/stock".into(),
        after,
        limit,
        ..ShadowRequest::default()
    };
    let mut wait = tokio::time::interval(Duration::from_millis(20));
    let all = soon(async {
        loop {
            wait.tick().await;
            let all = report(&collector, ask(0, 10)).await;
            if all.entries.len() == 3 {
                return all;
            }
        }
    })
    .await;
    assert_eq!((all.tallies.len(), all.tallies[0].count), (1, 3));
    assert!(all.entries.iter().all(|entry| entry.verdict == "rendered"));
    assert!(
        all.entries[0]
            .request
            .starts_with("POST http://127.0.0.1:9/\n")
    );
    let last = report(&collector, ask(all.entries[1].id, 10)).await;
    assert_eq!(last.entries, all.entries[2..]);
    assert_eq!(report(&collector, ask(0, 0)).await.entries, []);

    let mut admin = collector.admin().await;
    let status = admin
        .status(CollectorStatusRequest {})
        .await
        .expect("a status");
    let flows = status.into_inner().flows_at_targets;
    let FlowAtTarget {
        owner,
        phase,
        standing,
        class,
        sla_ms,
        ..
    } = &flows[0];
    assert_eq!(
        (
            owner.as_str(),
            phase.as_str(),
            standing.as_str(),
            class.as_str(),
            *sla_ms
        ),
        ("wms", "shadow", "from offset 1", "urgent", 300_000)
    );
    let letters = soon(async {
        loop {
            wait.tick().await;
            let request = DeadLettersRequest::default();
            let found = admin
                .dead_letters(request)
                .await
                .expect("a list")
                .into_inner();
            if found.total == 1 {
                return found.entries;
            }
        }
    })
    .await;
    let named = (letters[0].owner.as_str(), letters[0].runbook.as_str());
    assert_eq!(named, ("wms", "https://wiki.example/stock"));

    // It outlives a restart, and ends when somebody says so, who is named for it.
    drop((stream, admin));
    collector.restart().await;
    assert_eq!(report(&collector, ask(0, 10)).await, all);
    let clear = ShadowRequest {
        target: "erp".into(),
        clear: true,
        ..ShadowRequest::default()
    };
    report(&collector, clear.clone()).await;
    assert_eq!(report(&collector, ask(0, 10)).await, ShadowReply::default());
    let mut admin = collector.admin().await;
    let request = AuditRequest::default();
    let trail = admin.audit(request).await.expect("a trail").into_inner();
    let last = trail.entries.last().expect("an entry");
    assert_eq!(
        (last.action.as_str(), last.subject.as_str()),
        ("clear shadow", "erp")
    );
    assert!(last.actor.starts_with("uid "), "{}", last.actor);
    let unknown = ShadowRequest {
        target: "lake".into(),
        ..ShadowRequest::default()
    };
    let refused = admin.shadow(unknown).await.expect_err("there is none");
    assert_eq!(refused.code(), Code::NotFound);
    let partly = ShadowRequest {
        flow: "north/stock".into(),
        ..clear
    };
    let refused = admin.shadow(partly).await.expect_err("it is whole");
    assert_eq!(refused.code(), Code::InvalidArgument);
}
