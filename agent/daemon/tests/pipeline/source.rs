//! What a source says, and what the flow then tells it and says of itself.

use std::sync::Arc;
use std::time::Duration;

use dray_adapter::{Batch, Polled, Records, SourceError};
use dray_agent::flow_state::Health;
use dray_buffer::{Buffer, MemoryBuffer};

use crate::place::{PATIENCE, Place};
use crate::script::{Script, one};

#[test]
fn a_source_that_must_wait_says_so_and_goes_on() {
    let place = Place::new();
    let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    script.expect(&["open new"]);
    script.say(Err(SourceError::Retry {
        reason: "the share is away".into(),
        after: PATIENCE,
    }));
    running.wait_state(Health::Waiting, "the share is away");
    script.say(Ok(Polled::Idle(Duration::ZERO)));
    running.bell.wake_source();
    running.wait_state(Health::Running, "");
    script.say(one("1"));
    script.say(Ok(Polled::Idle(PATIENCE)));
    running.wait_appended(1);
    running.end();
    let calls: Vec<String> = script
        .calls
        .try_iter()
        .filter(|call| call != "poll")
        .collect();
    assert_eq!(calls, ["commit 1", "close"]);
}

#[test]
fn a_batch_without_events_is_acked_with_the_events_before_it() {
    let place = Place::new();
    let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    let empty = |name| match one(name) {
        Ok(Polled::Batch(batch)) => Ok(Polled::Batch(Box::new(Batch {
            records: Records::default(),
            ..*batch
        }))),
        other => other,
    };
    let until = |last: &str| {
        let mut told = Vec::new();
        while told.last().is_none_or(|call| call != last) {
            told.push(script.calls.recv_timeout(PATIENCE).expect("a call"));
        }
        told
    };
    script.say(empty("0"));
    script.say(Ok(Polled::Idle(PATIENCE)));
    until("acked 0");
    script.say(one("1"));
    script.say(empty("2"));
    script.say(Ok(Polled::Idle(PATIENCE)));
    running.bell.wake_source();
    let told = until("commit 2");
    assert!(!told.iter().any(|call| call == "acked 2"), "{told:?}");
    script.say(Ok(Polled::Idle(PATIENCE)));
    running.ack_all();
    until("acked 2");
    running.end();
}

#[test]
fn a_source_that_needs_a_person_stops_with_its_sentence() {
    let place = Place::new();
    let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    script.say(Err(SourceError::Operator {
        reason: "/srv/out: no permission; chown it".into(),
    }));
    script.expect(&["open new", "poll", "close"]);
    assert_eq!(
        running.end().get(),
        (Health::Stopped, "/srv/out: no permission; chown it".into())
    );
}

#[test]
fn a_commit_that_fails_is_repeated_before_the_ack() {
    let place = Place::new();
    let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
    let (script, mut source) = Script::new();
    source.commit_fails = true;
    let running = place.start_with(Box::new(source), &buffer);
    script.say(one("1"));
    // It is polled before the commit, or after it, or both.
    script.say(Ok(Polled::Idle(PATIENCE)));
    script.say(Ok(Polled::Idle(PATIENCE)));
    running.wait_appended(1);
    running.ack_all();
    let told: Vec<String> = std::iter::from_fn(|| script.calls.recv_timeout(PATIENCE).ok())
        .filter(|call| call != "poll")
        .take(4)
        .collect();
    assert_eq!(told, ["open new", "commit 1", "commit 1", "acked 1"]);
    running.end();
}
