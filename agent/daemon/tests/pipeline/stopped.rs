//! A buffer that stops under the flow, or lost what it held.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dray_adapter::Polled;
use dray_agent::flow_state::Health;
use dray_buffer::{Buffer, BufferError, Loss, MemoryBuffer, Sequence};

use crate::gate::{Gate, gate};
use crate::place::{PATIENCE, Place, events};
use crate::script::{Script, one};

/// A buffer stops under an append; how the flow is after that.
fn under_a_buffer_that_stops(reopen: bool) -> (Health, String) {
    let place = Place::new();
    let (open, buffer) = gate();
    let (script, source) = Script::new();
    let running = place.start_with(Box::new(source), &buffer);
    // Two of them wait for the append of the first.
    for name in ["1", "2", "3"] {
        script.say(one(name));
    }
    script.expect(&["open new", "poll", "poll", "poll"]);
    let stopped = BufferError::Stopped {
        folder: "/data/buffer".into(),
        reason: "fdatasync: I/O error; replace the disk".into(),
        reopen,
    };
    // Said before the buffer stops: afterwards the flow may be gone.
    script.say(Ok(Polled::Idle(Duration::ZERO)));
    script.say(Ok(Polled::Idle(PATIENCE)));
    open.send(Err(stopped)).expect("it waits");
    running.thread.join().expect("it ends by itself");
    assert!(
        !script
            .calls
            .try_iter()
            .any(|call| call.starts_with("commit"))
    );
    assert_eq!(buffer.depth("stock").appended.0, 1, "none after it");
    let (health, detail) = running.state.get();
    assert!(
        detail.contains("/data/buffer") && detail.contains("replace the disk"),
        "{detail}"
    );
    (health, detail)
}

#[test]
fn a_buffer_that_stops_stops_the_flow_and_commits_nothing() {
    assert_eq!(under_a_buffer_that_stops(false).0, Health::Stopped);
}

#[test]
fn a_flow_waits_for_a_buffer_that_is_opened_again() {
    assert_eq!(under_a_buffer_that_stops(true).0, Health::Waiting);
}

#[test]
fn what_the_disk_lost_is_told_once_as_a_dead_letter() {
    let place = Place::new();
    let loss = Loss {
        flow: "stock".into(),
        epoch: 5,
        first: Sequence(11),
        last: Some(Sequence(20)),
    };
    let other = Loss {
        flow: "shipments".into(),
        ..loss.clone()
    };
    let buffer: Arc<dyn Buffer> = Arc::new(Gate {
        inner: MemoryBuffer::new(),
        open: Mutex::new(None),
        losses: vec![loss, other],
    });
    for _ in 0..2 {
        let (script, source) = Script::new();
        let running = place.start_with(Box::new(source), &buffer);
        script.expect(&["open new"]);
        drop(script.say);
        running.end();
        let told = events(buffer.as_ref());
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("dead_letter"), "{told:?}");
    }
}
