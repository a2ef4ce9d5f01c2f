//! Where a source is opened: after a restart, in a new buffer, in a new epoch.

use std::sync::Arc;

use bytes::Bytes;
use dray_adapter::Polled;
use dray_agent::pipeline::Pipeline;
use dray_buffer::{Buffer, MarkState, MemoryBuffer};

use crate::place::{PATIENCE, Place};
use crate::script::{Script, one};

#[test]
fn a_restart_opens_the_source_at_the_newest_append() {
    let place = Place::new();
    let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
    for (resume, next) in [("open new", "1"), ("open 1", "2"), ("open 2", "3")] {
        let (script, source) = Script::new();
        let running = place.start_with(Box::new(source), &buffer);
        script.expect(&[resume]);
        let before = buffer.depth("stock").appended.0;
        script.say(one(next));
        script.say(Ok(Polled::Idle(PATIENCE)));
        running.wait_appended(before + 1);
        running.end();
        assert_eq!(buffer.seen("stock", next.as_bytes()), MarkState::Pending);
    }
}

#[test]
fn a_flow_in_a_new_buffer_waits_for_the_collector_and_goes_on_where_it_stood() {
    let place = Place::new();
    for (held, opened) in [("", "open new"), ("7", "open 7")] {
        let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
        let (script, source) = Script::new();
        let running = place.start_as(Box::new(source), &buffer, Pipeline::asking_the_collector);
        assert!(script.calls.try_recv().is_err(), "nothing is opened yet");
        running.bell.held(Bytes::from_static(held.as_bytes()));
        script.expect(&[opened]);
        let stands = buffer.position("stock").unwrap_or_default();
        assert_eq!(stands, held, "the buffer knows it before the source does");
        drop(script.say);
        running.end();
        let (_script, source) = Script::new();
        place
            .start_as(Box::new(source), &buffer, Pipeline::asking_the_collector)
            .end();
    }
}

#[test]
fn a_new_epoch_opens_the_source_again_where_it_is_told_to_or_where_it_stands() {
    let place = Place::new();
    let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    script.say(one("1"));
    running.wait_appended(1);
    running.bell.reopen(None);
    script.say(Ok(Polled::Idle(PATIENCE)));
    let heard = |end: &str| -> Vec<String> {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|call| call != end) {
            heard.push(script.calls.recv_timeout(PATIENCE).expect("a call"));
        }
        heard.retain(|call| call != "poll");
        heard
    };
    assert_eq!(heard("open 1"), ["open new", "commit 1", "close", "open 1"]);
    running.bell.reopen(Some(Bytes::from_static(b"9")));
    script.say(Ok(Polled::Idle(PATIENCE)));
    assert_eq!(heard("open 9"), ["close", "open 9"]);
    assert_eq!(buffer.position("stock").as_deref(), Some(&b"9"[..]));
    drop(script.say);
    running.end();
}
