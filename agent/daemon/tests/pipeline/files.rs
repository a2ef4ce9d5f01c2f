//! Dropped files, through a real source and, where the agent dies, a real buffer.

use std::sync::Arc;

use dray_adapter::{Batch, Mark, Polled, Seen, Source};
use dray_buffer::{Append, Buffer, MemoryBuffer};

use crate::place::{PATIENCE, Place, events};

#[test]
fn a_dropped_file_becomes_events_and_moves_as_it_is_appended_and_acked() {
    let place = Place::new();
    let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
    let running = place.start(&buffer);
    place.drop_file("a.txt", &["A|1", "B|broken|line", "C|3"]);
    running.wait_appended(3);
    assert_eq!(
        events(buffer.as_ref()),
        [
            "inventory_movement A 2",
            "dead_letter a.txt:3 3",
            "inventory_movement C 4"
        ]
    );
    let state = running.end();
    assert!(
        place.has("archive/pending/a.txt") && !place.has("a.txt"),
        "appended, not acked"
    );
    let counted = (
        state.metrics.appended_events.get(),
        state.metrics.dead_letters.get(),
    );
    assert_eq!(counted, (3, 1));

    let running = place.start(&buffer);
    running.ack_all();
    running.end();
    assert!(
        place.has("archive/a.txt") && !place.has("archive/pending/a.txt"),
        "acked"
    );
    assert_eq!(
        buffer.depth("stock").appended.0,
        3,
        "nothing was read twice"
    );
}

#[test]
fn an_ack_reaches_the_source_of_a_running_flow() {
    let place = Place::new();
    let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
    let running = place.start(&buffer);
    place.drop_file("a.txt", &["A|1"]);
    place.drop_file("b.txt", &["B|1"]);
    running.wait_appended(2);
    running.ack_all();
    let state = running.end();
    assert!(place.has("archive/a.txt") && place.has("archive/b.txt"));
    assert!(state.metrics.capture_to_ack.get_sample_count() >= 1);
}

#[test]
fn what_was_appended_when_the_agent_was_killed_is_neither_lost_nor_read_again() {
    let place = Place::new();
    place.drop_file("a.txt", &["A|1", "B|2"]);
    {
        // The first life ends between the append and the commit: the file is where it was dropped.
        let buffer = place.sled();
        let mut source = place.source();
        let mut maker = place.maker();
        source
            .open(None, Arc::new(NothingSeen), Arc::new(|| ()))
            .expect("it opens");
        let batch = poll_batch(source.as_mut());
        let made = maker.make(&batch);
        let append = Append {
            flow: "stock".into(),
            blocks: made.blocks,
            position: batch.position.0,
            marks: batch.marks.into_iter().map(|Mark(mark)| mark).collect(),
        };
        buffer.append(append).wait().expect("an append");
        std::mem::forget(source);
    }
    assert!(place.has("a.txt"));
    let buffer = place.sled();
    let running = place.start(&buffer);
    place.drop_file("b.txt", &["C|3"]);
    running.wait_appended(3);
    let expected = [
        "inventory_movement A 2",
        "inventory_movement B 3",
        "inventory_movement C 2",
    ];
    assert_eq!(events(buffer.as_ref()), expected);
    running.end();
    assert!(
        !place.has("a.txt") && !place.has("b.txt"),
        "both were moved"
    );
    drop(buffer);

    let buffer = place.sled();
    let running = place.start(&buffer);
    place.drop_file("c.txt", &["D|4"]);
    running.wait_appended(4);
    running.ack_all();
    running.end();
    assert_eq!(buffer.depth("stock").appended.0, 4);
    for name in ["a.txt", "b.txt", "c.txt"] {
        assert!(place.has(&format!("archive/{name}")), "{name} is acked");
    }
}

/// A file that was there before the source takes a moment of quiet.
fn poll_batch(source: &mut dyn Source) -> Batch {
    let end = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < end {
        if let Polled::Batch(batch) = source.poll().expect("a poll") {
            return *batch;
        }
        std::thread::yield_now();
    }
    panic!("the file was never read");
}

struct NothingSeen;

impl Seen for NothingSeen {
    fn seen(&self, _mark: &Mark) -> dray_adapter::MarkState {
        dray_adapter::MarkState::New
    }
}
