//! What waits longer than agreed.

use crate::support::erp::{Erp, Reply};
use crate::support::{append, open, start_agreed, wait};

const AGREED: &str = "[[flow]]\nname = \"north/*\"\nsla = \"1s\"\nowner = \"wms\"\nrunbook = \"https://wiki.example\"\n\
                      [[flow]]\nname = \"south/*\"\nsla = \"3650d\"\n[[flow]]\nname = \"west/*\"\nsla = \"1s\"\nphase = \"off\"\n";

#[tokio::test]
async fn what_waits_longer_than_its_flow_may_is_overdue_until_it_is_delivered() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| Reply::Hang);
    // They were captured long ago: see `support::CAPTURED_US`.
    for flow in ["north/stock", "south/stock", "west/stock"] {
        append(&store, flow, &["A", "B", "A"]).await;
    }
    let target = start_agreed(&store, &erp.url(), "timeout = \"200ms\"", AGREED);
    let overdue = |metrics: &dray_delivery::Metrics| {
        let mut flows: Vec<_> = metrics
            .flows
            .iter()
            .map(|flow| (flow.flow.to_string(), flow.overdue))
            .collect();
        flows.sort();
        flows
    };
    let expected = |count: u64| {
        [
            ("north/stock", count),
            ("south/stock", 0),
            ("west/stock", 0),
        ]
        .map(|(flow, count)| (flow.to_owned(), count))
    };
    let metrics = wait(&target, "what is overdue", |metrics| {
        overdue(metrics) == expected(3)
    })
    .await;
    let north = metrics
        .flows
        .iter()
        .find(|flow| flow.overdue > 0)
        .expect("one");
    assert_eq!(
        (north.agreed.owner.as_str(), north.agreed.runbook.as_str()),
        ("wms", "https://wiki.example")
    );
    erp.script(|_| Reply::Status(200));
    wait(&target, "nothing is any more", |metrics| {
        metrics.delivered == 6 && overdue(metrics) == expected(0)
    })
    .await;
}

#[tokio::test]
async fn a_paused_target_tells_of_all_that_is_overdue_also_of_what_it_has_not_read() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start_agreed(&store, &erp.url(), "", AGREED);
    target.pause("for the night").await.expect("it runs");
    let keys = ["A", "B", "C", "D", "E"].repeat(200);
    for _ in 0..6 {
        append(&store, "north/stock", &keys).await;
    }
    // By its age in the log: a paused target reads only the beginning of what waits.
    wait(&target, "all", |metrics| {
        metrics
            .flows
            .first()
            .is_some_and(|flow| flow.overdue == 6_000)
    })
    .await;
    target.resume().await.expect("it is paused");
    wait(&target, "nothing", |metrics| {
        metrics.delivered == 6_000 && metrics.flows.iter().all(|flow| flow.overdue == 0)
    })
    .await;
}
