//! What a target demands is looked at before an event is sent.

use crate::support::erp::Erp;
use crate::support::{
    append_block, block_of, event_with, exceptions, flow, id_of, open, start, states, wait,
};
use dray_delivery::actions;
use dray_delivery::detail::Detail;
use dray_delivery::outcome::Class;
use dray_store::ExceptionState::{Dead, Held};

const UNITS: &str = r#"
[[demand]]
body = "shipment"
field = "line.unit"
required = true
one_of = ["EA", "CS"]
"#;

#[tokio::test]
async fn an_event_that_breaks_a_demand_is_a_dead_letter_and_never_sent() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start(&store, &erp.url(), UNITS);
    let name = flow("north/shipments");
    let mut events = vec![
        event_with(1, "S1", "shipment", &[(10, 4, "PCE")]),
        event_with(2, "S2", "shipment", &[(10, 4, "EA")]),
        event_with(3, "S1", "shipment", &[(10, 4, "EA")]),
        event_with(4, "S3", "shipment", &[]),
        event_with(5, "S4", "shipment", &[(10, 4, "CS")]),
    ];
    // One that deletes has a key only, and needs no more.
    let mut deletes = event_with(6, "S5", "shipment", &[]);
    dray_proto::wire::put_integer(&mut deletes, dray_proto::event::number::OPERATION, 3);
    events.push(deletes);
    let block = block_of(&**store, &name, &events);
    append_block(&store, &name, block).await;
    wait(&target, "the good ones", |metrics| {
        (metrics.delivered, metrics.dead, metrics.held) == (3, 2, 1)
    })
    .await;
    assert_eq!(states(&store), [(1, Dead), (3, Held), (4, Dead)]);
    let dead = exceptions(&store).remove(0);
    assert_eq!(
        dead.reason,
        "demand 1 (line.unit, one_of) is broken: \"PCE\" is not among EA, CS; it was not sent: mend it at its source, or the \
         demand, then retry"
    );
    let detail = Detail::read(&dead.detail);
    assert_eq!(
        (detail.class, detail.request.as_str()),
        (Some(Class::Invalid), "")
    );
    let none = exceptions(&store)
        .into_iter()
        .find(|one| one.key == "S3")
        .expect("it is dead");
    assert!(
        none.reason
            .contains("(line.unit, required) is broken: there is no value"),
        "{}",
        none.reason
    );
    assert!(
        erp.kept_asks()
            .iter()
            .all(|ask| !ask.has_key("S1") && !ask.has_key("S3"))
    );
    // The demand is mended: a retry sends it, and what is behind it.
    target.stop().await;
    let target = start(
        &store,
        &erp.url(),
        &UNITS.replace("\"EA\"", "\"EA\", \"PCE\""),
    );
    actions::retry(&store, id_of(&store, 1), false, None)
        .await
        .expect("it is dead");
    target.wake().await;
    wait(&target, "both", |metrics| metrics.delivered == 2).await;
    assert_eq!(erp.offsets("S1"), [1, 3]);
}

#[tokio::test]
async fn a_batch_that_is_all_invalid_sends_nothing_and_what_follows_is_sent() {
    let (store, erp) = (open(), Erp::start().await);
    let target = start(
        &store,
        &erp.url(),
        &format!("on_reject = \"park\"\n{UNITS}"),
    );
    let name = flow("north/shipments");
    // More than pause a target that refuses: these were refused by nobody.
    let bad: Vec<_> = (1..=150)
        .map(|sequence| {
            event_with(
                sequence,
                &format!("S{sequence}"),
                "shipment",
                &[(10, 4, "X")],
            )
        })
        .collect();
    let block = block_of(&**store, &name, &bad);
    append_block(&store, &name, block).await;
    wait(&target, "all of them", |metrics| metrics.dead == 150).await;
    assert!(erp.kept_asks().is_empty());
    let good = [event_with(151, "S1", "shipment", &[(10, 4, "EA")])];
    let block = block_of(&**store, &name, &good);
    append_block(&store, &name, block).await;
    wait(&target, "the good one", |metrics| metrics.delivered == 1).await;
    assert_eq!(target.status().state, dray_delivery::State::Running);
}
