//! What the commands show of events that wait for others, and of what is kept.

use dray_proto::event::number;
use dray_proto::v1::dead_letter_act_request::Act;
use dray_proto::v1::{
    AuditRequest, CollectorStatusRequest, DeadLetterActRequest, DeadLetterEntry,
    DeadLettersRequest, TargetActRequest, target_act_request,
};
use dray_proto::{EventId, FlowName, Offset, schema, wire};
use dray_store::{Cursor, Exception, ExceptionState, Kept, Reference, Remember, Step, Wait};

use crate::blocks::captured_us;
use crate::support::Collector;

fn flow() -> FlowName {
    FlowName::parse("north/shipments").expect("a name")
}

fn exception(offset: u64, state: ExceptionState) -> Exception {
    Exception {
        id: 0,
        target: "old-erp".into(),
        flow: flow(),
        offset: Offset(offset),
        key: "SHP-1".into(),
        state,
        reason: "it names item \"SKU-1\"".into(),
        at_us: 5,
        event: bytes::Bytes::new(),
        detail: String::new(),
    }
}

async fn entry(collector: &Collector, id: u64) -> DeadLetterEntry {
    let request = DeadLettersRequest {
        id,
        ..Default::default()
    };
    let reply = collector.admin().await.dead_letters(request).await;
    reply.expect("one").into_inner().entries.remove(0)
}

#[tokio::test]
async fn an_event_that_waits_is_shown_with_what_is_kept_of_its_key_and_can_be_sent_all_the_same() {
    let collector = Collector::start().await;
    let wait = Wait {
        flow: flow(),
        offset: Offset(1),
        reference: Some(Reference {
            of: "item".into(),
            name: "SKU-1".into(),
        }),
        due_us: i64::MAX,
        alarm_us: i64::MAX,
        unless_known: true,
    };
    let kept = Kept {
        flow: flow(),
        key: "SHP-1".into(),
        name: "document_id".into(),
        value: "4711".into(),
    };
    let step = Step {
        consumer: "target:old-erp".into(),
        add: vec![
            exception(1, ExceptionState::Awaits),
            exception(2, ExceptionState::Held),
        ],
        remember: Remember {
            target: "old-erp".into(),
            wait: vec![wait],
            keep: vec![kept],
            ..Remember::default()
        },
        ..Step::default()
    };
    let written = collector.store().step(step).await;
    written.expect("it lives").expect("it fits");
    let shown = entry(&collector, 1).await;
    assert_eq!((shown.state.as_str(), shown.held_behind), ("awaits", 1));
    assert_eq!(shown.kept["document_id"], "4711");
    let mut admin = collector.admin().await;
    let act = DeadLetterActRequest {
        act: Act::Approve as i32,
        id: 2,
        ..Default::default()
    };
    let refused = admin.dead_letter_act(act.clone()).await;
    refused.expect_err("it waits for the first");
    let approved = admin
        .dead_letter_act(DeadLetterActRequest { id: 1, ..act })
        .await;
    assert_eq!(approved.expect("it waits").into_inner().done, 1);
    let shown = entry(&collector, 1).await;
    assert_eq!(shown.state, "retry");
    assert!(
        shown.reason.starts_with("approved by uid "),
        "{}",
        shown.reason
    );
    let waits = collector.store().waits("old-erp", 0).expect("an answer");
    assert_eq!(waits.total, 0, "it waits no longer");
}

/// A shipment whose key is its number, with something before and after it.
fn shipment(offset: u64, key: &str) -> Exception {
    let mut event = Vec::new();
    let id = EventId::new([9; 10], offset, 0);
    wire::put_bytes(&mut event, number::ID, id.as_bytes());
    wire::put_text(&mut event, number::KEY, key);
    wire::put_integer(&mut event, number::OPERATION, 1);
    wire::put_timestamp(&mut event, number::CAPTURED_AT, captured_us(offset));
    wire::put_integer(&mut event, number::SCHEMA_VERSION, 1);
    let body = schema::body("shipment").expect("a body").number;
    wire::put_message(&mut event, body, |out| wire::put_text(out, 1, "SECRET-1"));
    Exception {
        target: "erp".into(),
        key: key.into(),
        event: event.into(),
        reason: "no".into(),
        ..exception(offset, ExceptionState::Dead)
    }
}

#[tokio::test]
async fn a_key_that_is_made_of_a_masked_field_is_hidden_in_dead_letters() {
    let target = "[[target]]\nname = \"erp\"\nurl = \"http://127.0.0.1:9/\"\nmask = [\"/data/shipment_number\"]";
    let collector = Collector::with(target).await;
    let plain = Exception {
        target: "old-erp".into(),
        ..shipment(3, "SECRET-1")
    };
    let step = Step {
        consumer: "target:erp".into(),
        add: vec![shipment(1, "N-SECRET-1"), shipment(2, "PLAIN"), plain],
        ..Step::default()
    };
    let written = collector.store().step(step).await;
    written.expect("it lives").expect("it fits");
    let mut admin = collector.admin().await;
    let listed = admin.dead_letters(DeadLettersRequest::default()).await;
    let listed = listed.expect("all").into_inner().entries;
    let keys: Vec<_> = listed.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["N-***", "PLAIN", "SECRET-1"]);
    let shown = entry(&collector, listed[0].id).await;
    assert_eq!(shown.key, "N-***");
    // In the event, too, where the key stands as a member of its own.
    assert!(
        !shown.event_json.contains("SECRET-1"),
        "{}",
        shown.event_json
    );
    let act = DeadLetterActRequest {
        act: Act::Approve as i32,
        id: listed[0].id,
        ..Default::default()
    };
    let refused = admin.dead_letter_act(act).await.expect_err("it is dead");
    assert!(!refused.message().contains("SECRET"), "{refused}");
}

#[tokio::test]
async fn several_are_settled_at_once_and_a_target_that_was_taken_out_is_named_until_it_is_detached()
{
    let collector = Collector::start().await;
    let step = Step {
        consumer: "target:old-erp".into(),
        cursors: vec![(flow(), Cursor::default())],
        add: (1..=4)
            .map(|offset| exception(offset, ExceptionState::Dead))
            .collect(),
        ..Step::default()
    };
    let written = collector.store().step(step).await;
    written.expect("it lives").expect("it fits");
    let mut admin = collector.admin().await;
    let act = DeadLetterActRequest {
        act: Act::Retry as i32,
        ..Default::default()
    };
    let several = DeadLetterActRequest {
        ids: vec![1, 3],
        ..act.clone()
    };
    let done = admin.dead_letter_act(several).await.expect("they are dead");
    assert_eq!(done.into_inner().done, 2);
    let again = DeadLetterActRequest {
        ids: vec![2, 3, 4],
        ..act.clone()
    };
    let refused = admin
        .dead_letter_act(again)
        .await
        .expect_err("of the second");
    assert!(
        refused.message().starts_with("1 done, then: dead letter 3"),
        "{refused}"
    );
    assert_eq!(entry(&collector, 4).await.state, "dead");
    let elsewhere = DeadLetterActRequest {
        target: "old-erp".into(),
        flow: "nowhere/*".into(),
        ..act
    };
    let done = admin
        .dead_letter_act(elsewhere)
        .await
        .expect("it is a flow");
    assert_eq!(done.into_inner().done, 0);
    let audited = admin.audit(AuditRequest::default()).await.expect("entries");
    let audited: Vec<_> = audited
        .into_inner()
        .entries
        .into_iter()
        .map(|entry| (entry.subject, entry.detail))
        .collect();
    assert_eq!(
        audited,
        [
            (
                "dead letter 1, north/shipments offset 1 at old-erp",
                "it names item \"SKU-1\""
            ),
            (
                "dead letter 3, north/shipments offset 3 at old-erp",
                "it names item \"SKU-1\""
            ),
            (
                "dead letter 2, north/shipments offset 2 at old-erp",
                "it names item \"SKU-1\""
            ),
            ("old-erp nowhere/*", "all of them"),
            ("old-erp nowhere/*", "0 of them"),
        ]
        .map(|(subject, detail)| (subject.to_owned(), detail.to_owned()))
    );

    let status = admin
        .status(CollectorStatusRequest {})
        .await
        .expect("a status");
    let left = status.into_inner().targets.remove(0);
    assert_eq!(
        (left.target.as_str(), left.state.as_str()),
        ("old-erp", "removed")
    );
    assert!(
        left.detail.contains("dray-collector target detach old-erp"),
        "{}",
        left.detail
    );
    let detach = TargetActRequest {
        act: target_act_request::Act::Detach as i32,
        target: "old-erp".into(),
    };
    admin.target_act(detach).await.expect("it is there");
    let status = admin
        .status(CollectorStatusRequest {})
        .await
        .expect("a status");
    assert_eq!(status.into_inner().targets, []);
}
