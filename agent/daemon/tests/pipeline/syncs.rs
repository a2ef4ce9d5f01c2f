//! Batches that wait while an append is synced: how many, and what becomes of them.

use bytes::Bytes;
use dray_adapter::{Polled, SourceError};
use dray_agent::bell::Bell;
use dray_agent::flow_state::Health;
use dray_agent::pipeline::SMALL_IN_FLIGHT_MAX;
use dray_buffer::{MarkState, Sequence};

use crate::gate::gate;
use crate::place::{PATIENCE, Place};
use crate::script::{Script, large, medium, one};

/// The source is asked for so many batches while the buffer takes none, and is told of them together.
fn held_at(batches: &[&'static str], batch: fn(&'static str) -> Result<Polled, SourceError>) {
    let place = Place::new();
    let (open, buffer) = gate();
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    for name in batches {
        script.say(batch(name));
    }
    script.say(batch("last"));
    script.expect(&["open new"]);
    script.expect(&vec!["poll"; batches.len()]);
    script.expect(&["refuse the buffer is full; make room"]);
    assert_eq!(
        running.state.get(),
        (Health::Waiting, "the buffer is full; make room".into())
    );
    let newest = batches.last().expect("there are some");
    running.bell.acked(Bytes::from_static(newest.as_bytes()));
    open.send(Ok(())).expect("it waits");
    let (commit, acked) = (format!("commit {newest}"), format!("acked {newest}"));
    script.expect(&[&commit, &acked, "poll", "commit last"]);
    drop(script.say);
    running.end();
}

#[test]
fn a_full_buffer_holds_the_source_at_two_large_batches_and_tells_it() {
    held_at(&["1", "2"], large);
}

#[test]
fn small_batches_wait_for_one_sync_together_and_are_committed_together() {
    let names = (1..=SMALL_IN_FLIGHT_MAX).map(|n| &*n.to_string().leak());
    let names: Vec<&'static str> = names.collect();
    held_at(&names, one);
}

#[test]
fn small_batches_that_wait_for_one_sync_share_a_block_with_the_position_of_the_last() {
    let place = Place::new();
    let (open, buffer) = gate();
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    for name in ["1", "2", "3", "4"] {
        script.say(one(name));
    }
    script.expect(&["open new", "poll", "poll", "poll", "poll"]);
    open.send(Ok(())).expect("it waits");
    running.wait_appended(4);
    let blocks = buffer.read("stock", Sequence(1), usize::MAX);
    let blocks: Vec<(u32, Bytes)> = blocks
        .expect("the blocks")
        .into_iter()
        .map(|stored| (stored.block.count, stored.block.position))
        .collect();
    assert_eq!(blocks, [(1, "1".into()), (3, "4".into())]);
    for name in ["1", "2", "3", "4"] {
        assert_ne!(buffer.seen("stock", name.as_bytes()), MarkState::New);
    }
    drop(script.say);
    running.end();
}

/// Three batches, of which two wait while the first is synced; then the flow is told to end or to begin anew, and the sync returns.
fn ended_while_batches_wait(tell: impl FnOnce(&Bell), last: &str) -> (Vec<String>, u64) {
    let place = Place::new();
    let (open, buffer) = gate();
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    for name in ["1", "2", "3"] {
        script.say(one(name));
    }
    script.expect(&["open new", "poll", "poll", "poll"]);
    tell(&running.bell);
    open.send(Ok(())).expect("it waits");
    let mut told = Vec::new();
    while told.last().is_none_or(|call| call != last) {
        told.push(script.calls.recv_timeout(PATIENCE).expect("a call"));
    }
    told.retain(|call| call != "poll");
    let appended = buffer.depth("stock").appended.0;
    drop(script.say);
    running.end();
    (told, appended)
}

#[test]
fn what_waits_for_a_sync_when_the_flow_ends_is_appended_before_it_ends() {
    let (told, appended) = ended_while_batches_wait(Bell::stop, "close");
    assert_eq!(
        told.last_chunk(),
        Some(&["commit 3".into(), "close".into()])
    );
    assert_eq!(appended, 3);
    let (told, appended) = ended_while_batches_wait(|bell| bell.reopen(None), "open 3");
    let expected = ["commit 3", "close", "open 3"].map(String::from);
    assert_eq!(told.last_chunk(), Some(&expected));
    assert_eq!(appended, 3);
}

/// Nineteen of 57 KB are a mebibyte.
#[test]
fn small_batches_that_wait_for_room_are_a_mebibyte_together() {
    let place = Place::new();
    let (open, buffer) = gate();
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    for _ in 0..20 {
        script.say(medium("some"));
    }
    script.expect(&["open new"]);
    script.expect(&["poll"; 19]);
    script.expect(&["refuse the buffer is full; make room"]);
    open.send(Ok(())).expect("it waits");
    script.expect(&["poll"]);
    drop(script.say);
    running.end();
}
