use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use dray_collector::{Running, Stop};
use dray_proto::v1::dead_letter_act_request::Act;
use dray_proto::v1::{
    AuditRequest, CollectorStatusRequest, ConsumerActRequest, DeadLetterActRequest,
    DeadLettersReply, DeadLettersRequest, InviteRequest, SiteActRequest, SitesRequest,
    TargetActRequest, site_act_request,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;

use crate::blocks::{block_of, dead_letters_of};
use crate::support::{Collector, Stream, soon};

async fn dead_letters(collector: &Collector, target: &str) -> DeadLettersReply {
    let request = DeadLettersRequest {
        target: target.into(),
        ..Default::default()
    };
    collector
        .admin()
        .await
        .dead_letters(request)
        .await
        .expect("a list")
        .into_inner()
}

#[tokio::test]
async fn what_an_agent_could_not_read_is_listed_shown_and_discarded() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    stream.send(block_of("stock", 1, 3)).await;
    stream.send(dead_letters_of("stock", 4, 2)).await;
    stream.acked("stock", 5).await;
    let mut wait = tokio::time::interval(Duration::from_millis(20));
    let found = soon(async {
        loop {
            let found = dead_letters(&collector, "agents").await;
            if found.total == 2 {
                return found;
            }
            wait.tick().await;
        }
    })
    .await;
    let first = &found.entries[0];
    assert_eq!(
        (first.state.as_str(), first.target.as_str(), first.offset),
        ("agent", "", 4)
    );
    assert!(first.reason.contains("column 7 (QTY)"), "{}", first.reason);

    let mut admin = collector.admin().await;
    let one = DeadLettersRequest {
        id: first.id,
        ..Default::default()
    };
    let shown = admin
        .dead_letters(one)
        .await
        .expect("one")
        .into_inner()
        .entries
        .remove(0);
    let json: serde_json::Value = serde_json::from_str(&shown.event_json).expect("JSON");
    assert_eq!(
        (json["type"].as_str(), json["offset"].as_u64()),
        (Some("dead_letter"), Some(4))
    );

    let act = |act: Act, id: u64, target: &str| DeadLetterActRequest {
        act: act as i32,
        id,
        target: target.into(),
        ..DeadLetterActRequest::default()
    };
    let refused = admin
        .dead_letter_act(act(Act::Retry, first.id, ""))
        .await
        .expect_err("it was never an event");
    assert!(
        refused.message().contains("at the site"),
        "{}",
        refused.message()
    );
    assert_eq!(
        admin
            .dead_letter_act(act(Act::Discard, first.id, ""))
            .await
            .expect("done")
            .into_inner()
            .done,
        1
    );
    assert_eq!(
        admin
            .dead_letter_act(act(Act::Discard, 0, "agents"))
            .await
            .expect("done")
            .into_inner()
            .done,
        1
    );
    assert_eq!(dead_letters(&collector, "").await.total, 0);
    let trail = admin.audit(AuditRequest { limit: 3 }).await;
    let trail = trail.expect("a trail").into_inner();
    let trail: Vec<_> = trail
        .entries
        .into_iter()
        .map(|entry| (entry.action, entry.subject, entry.detail))
        .collect();
    let entry = |subject: &str, detail: &str| {
        let action = "discard".to_owned();
        (action, subject.to_owned(), detail.to_owned())
    };
    let expected = [
        entry(&format!("dead letter {}", first.id), &first.reason),
        entry("agents", "all of them"),
        entry("agents", "1 of them"),
    ];
    assert_eq!(trail, expected);
    let gone = admin
        .dead_letter_act(act(Act::Discard, first.id, ""))
        .await
        .expect_err("gone");
    assert!(
        gone.message().contains("dead-letters list"),
        "{}",
        gone.message()
    );
}

#[tokio::test]
async fn status_and_sites_show_what_runs() {
    let collector =
        Collector::with("[[target]]\nname = \"erp\"\nurl = \"http://127.0.0.1:9/\"").await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    stream.send(block_of("stock", 1, 3)).await;
    stream.acked("stock", 3).await;
    let mut admin = collector.admin().await;
    let status = admin
        .status(CollectorStatusRequest {})
        .await
        .expect("status")
        .into_inner();
    let flow = &status.flows[0];
    assert_eq!(
        (flow.flow.as_str(), flow.newest_offset, flow.connected),
        ("north/stock", 3, true)
    );
    assert_eq!(status.targets[0].target, "erp");
    collector.seen().await;
    let sites = admin
        .sites(SitesRequest {})
        .await
        .expect("sites")
        .into_inner()
        .sites;
    assert_eq!(
        (
            sites[0].agent.as_str(),
            sites[0].connected,
            sites[0].version.as_str()
        ),
        (agent.agent.as_str(), true, "0.1.0")
    );
    assert!(sites[0].last_seen_s > 0);

    let act = |act: i32, target: &str| TargetActRequest {
        act,
        target: target.into(),
    };
    for (number, words) in [(1, "is paused"), (2, "goes on"), (3, "resume erp")] {
        let said = admin
            .target_act(act(number, "erp"))
            .await
            .expect("done")
            .into_inner()
            .said;
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(
        admin
            .target_act(act(1, "crm"))
            .await
            .expect_err("unknown")
            .code(),
        Code::NotFound
    );
    let consumer = ConsumerActRequest {
        act: 1,
        consumer: "nobody".into(),
    };
    assert_eq!(
        admin
            .consumer_act(consumer)
            .await
            .expect_err("unknown")
            .code(),
        Code::NotFound
    );
    let invite = InviteRequest {
        site: "North Pole".into(),
    };
    assert_eq!(
        admin.invite(invite).await.expect_err("no name").code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn an_agent_is_revoked_at_once_and_others_stay() {
    let collector = Collector::start().await;
    let (lost, kept) = (
        collector.enrol("north").await,
        collector.enrol("north").await,
    );
    let mut cut = Stream::open(&collector, &lost, &["stock"])
        .await
        .expect("welcome");
    let mut stays = Stream::open(&collector, &kept, &["orders"])
        .await
        .expect("welcome");
    let mut admin = collector.admin().await;
    let revoke = |agent: &str| SiteActRequest {
        flow: String::new(),
        act: site_act_request::Act::Revoke as i32,
        agent: agent.into(),
    };
    let unknown = admin.site_act(revoke("a-0")).await.expect_err("unknown");
    assert_eq!(unknown.code(), Code::NotFound);
    let began = Instant::now();
    let said = admin.site_act(revoke(&lost.agent)).await.expect("done");
    assert!(said.into_inner().said.contains("revoked"));
    let status = cut.ended().await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(began.elapsed() < Duration::from_secs(5));
    stays.send(block_of("orders", 1, 3)).await;
    stays.acked("orders", 3).await;
    let sites = admin.sites(SitesRequest {}).await.expect("sites");
    let sites = sites.into_inner().sites;
    let state = |agent: &str| sites.iter().find(|site| site.agent == agent);
    assert!(state(&lost.agent).is_some_and(|site| site.revoked && !site.connected));
    assert!(state(&kept.agent).is_some_and(|site| !site.revoked && site.connected));
}

#[tokio::test]
async fn the_socket_is_its_owners_and_the_folder_one_collectors() {
    let mut collector = Collector::start().await;
    let mode = std::fs::metadata(collector.config().admin_socket())
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let listening =
        std::fs::read_to_string(collector.config().data_dir.join("listening")).expect("written");
    assert_eq!(
        listening,
        format!(
            "listen {}\nmetrics {}\n",
            collector.listen, collector.metrics
        )
    );
    let (_stop, stopping) = Stop::new();
    let Err(failure) = Running::start(collector.config(), stopping).await else {
        panic!("two in one folder")
    };
    assert_eq!(failure.exit_code(), 78);
    assert!(
        failure
            .to_string()
            .contains("another dray-collector uses it"),
        "{failure}"
    );
    collector.restart().await;
}

/// Its parts end as soon as they are told to, and may be gone before the whole looks at them: rounds are coin's throws.
#[tokio::test]
async fn a_collector_that_is_told_to_stop_ends_well() {
    for _ in 0..8 {
        let mut collector = Collector::start().await;
        let running = collector.told_to_stop();
        while tokio::net::TcpStream::connect(collector.metrics)
            .await
            .is_ok()
        {}
        soon(running.ended()).await.expect("it ends well");
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let collector =
        Collector::with("[[target]]\nname = \"erp\"\nurl = \"http://127.0.0.1:9/\"").await;
    let agent = collector.enrol("north").await;
    let mut stream = Stream::open(&collector, &agent, &["stock"])
        .await
        .expect("welcome");
    stream.send(block_of("stock", 1, 3)).await;
    stream.acked("stock", 3).await;
    let mut damaged = block_of("stock", 4, 1);
    damaged.payload = vec![1; damaged.payload.len()].into();
    stream.send(damaged).await;
    stream.refused().await;

    let mut connection = tokio::net::TcpStream::connect(collector.metrics)
        .await
        .expect("it listens");
    connection
        .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        .await
        .expect("sent");
    let mut page = String::new();
    soon(connection.read_to_string(&mut page))
        .await
        .expect("text");
    for line in [
        "dray_collector_ingested_events_total{flow=\"north/stock\"} 3",
        "dray_collector_log_newest_offset{flow=\"north/stock\"} 3",
        "dray_collector_refused_blocks_total{cause=\"malformed\",flow=\"north/stock\"} 1",
        "dray_collector_capture_to_log_seconds_count{flow=\"north/stock\"} 1",
        "dray_collector_agents_connected 1",
        "dray_collector_target_paused{target=\"erp\"} 0",
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "{line} is not in\n{page}"
        );
    }
}
