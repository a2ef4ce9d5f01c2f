//! A flow's thread, from its source to the buffer and back.

mod gate;
mod script;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dray_adapter::{Batch, Mark, Polled, Records, Seen, Source, SourceError};
use dray_agent::bell::Bell;
use dray_agent::block_maker::BlockMaker;
use dray_agent::config::{Config, FlowConfig};
use dray_agent::flow_state::{FlowState, Health};
use dray_agent::metrics::Metrics;
use dray_agent::pipeline::{Pipeline, SMALL_IN_FLIGHT_MAX};
use dray_agent::render::Event;
use dray_buffer::{
    Append, Buffer, BufferError, Loss, MarkState, MemoryBuffer, Sequence, SledBuffer, StoredBlock,
};
use dray_mapping::Mapper;
use dray_proto::block;

use gate::{Gate, gate};
use script::{Script, large, medium, one};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a drop folder in it, and its flow.
struct Place {
    folder: tempfile::TempDir,
    flow: FlowConfig,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let drops = folder.path().join("drops");
        std::fs::create_dir(&drops).expect("a folder");
        let text = format!(
            "site = \"north\"\ndata_dir = \"/nowhere\"\ncollector = \"localhost:1\"\n\
             [[flow]]\nname = \"stock\"\n[flow.source]\nkind = \"file-drop\"\nfolder = \"{}\"\npattern = \"*.txt\"\nquiet = \"1ms\"\nreport = false\n\
             [flow.source.format]\nkind = \"csv\"\ndelimiter = \"|\"\n\
             [[flow.mapping]]\nbody = \"inventory_movement\"\nkey = \"SKU\"\n\
             [flow.mapping.fields]\nitem_number = \"SKU\"\nquantity = \"QTY\"\n",
            drops.display()
        );
        let config =
            Config::parse(Path::new("agent.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
        let flow = config.flows.into_iter().next().expect("a flow");
        Self { folder, flow }
    }

    fn drops(&self) -> PathBuf {
        self.folder.path().join("drops")
    }

    /// As careful systems drop: under another name, then renamed.
    fn drop_file(&self, name: &str, lines: &[&str]) {
        let hidden = self.drops().join(format!(".{name}"));
        std::fs::write(&hidden, format!("SKU|QTY\n{}\n", lines.join("\n"))).expect("a file");
        std::fs::rename(hidden, self.drops().join(name)).expect("a rename");
    }

    fn has(&self, path: &str) -> bool {
        self.drops().join(path).exists()
    }

    fn sled(&self) -> Arc<dyn Buffer> {
        let options = dray_buffer::Options::in_folder(self.folder.path().join("buffer"));
        Arc::new(SledBuffer::open(options).expect("a buffer"))
    }

    fn source(&self) -> Box<dyn Source> {
        let own = self.folder.path().join("own");
        let source = self.flow.source.make(&self.flow.name, &own);
        source.expect("a source")
    }

    fn maker(&self) -> BlockMaker {
        let mapper = Mapper::compile(&self.flow.mappings, 1).expect("it compiles");
        BlockMaker::new(mapper, self.flow.otherwise)
    }

    fn start(&self, buffer: &Arc<dyn Buffer>) -> Running {
        self.start_with(self.source(), buffer)
    }

    fn start_with(&self, source: Box<dyn Source>, buffer: &Arc<dyn Buffer>) -> Running {
        self.start_as(source, buffer, |pipeline| pipeline)
    }

    fn start_as(
        &self,
        source: Box<dyn Source>,
        buffer: &Arc<dyn Buffer>,
        made: impl FnOnce(Pipeline) -> Pipeline,
    ) -> Running {
        let metrics = Metrics::new().expect("metrics");
        let state = Arc::new(FlowState::new(
            self.flow.name.clone(),
            metrics.flow(&self.flow.name),
        ));
        let bell = Arc::new(Bell::default());
        let maker = self.maker();
        let pipeline = Pipeline::new(
            source,
            maker,
            Arc::clone(buffer),
            Arc::clone(&bell),
            Arc::clone(&state),
        );
        Running {
            state,
            bell,
            buffer: Arc::clone(buffer),
            thread: std::thread::spawn({
                let pipeline = made(pipeline);
                move || pipeline.run()
            }),
        }
    }
}

struct Running {
    state: Arc<FlowState>,
    bell: Arc<Bell>,
    buffer: Arc<dyn Buffer>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Waits until so many events are appended.
    fn wait_appended(&self, events: u64) {
        let mut commits = self.buffer.watch();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let reached = commits.wait_for(|_| self.buffer.depth("stock").appended.0 >= events);
        let reached = runtime.block_on(async { tokio::time::timeout(PATIENCE, reached).await });
        let depth = self.buffer.depth("stock");
        assert!(
            reached.is_ok(),
            "{events} events were never appended: {depth:?}, {:?}",
            self.state.get()
        );
    }

    /// Waits until the flow says that it stands so.
    fn wait_state(&self, health: Health, detail: &str) {
        let end = Instant::now() + PATIENCE;
        while self.state.get() != (health, detail.to_owned()) {
            assert!(Instant::now() < end, "{:?}", self.state.get());
            std::thread::yield_now();
        }
    }

    /// What the uplink does with an ack of everything.
    fn ack_all(&self) {
        let through = self.buffer.depth("stock").appended;
        self.state.acked(through);
        if let Some(position) = self
            .buffer
            .ack("stock", self.buffer.epoch(), through)
            .expect("an ack")
        {
            self.bell.acked(position);
        }
    }

    /// Ends the thread; everything that was told before is done then.
    fn end(self) -> Arc<FlowState> {
        self.bell.stop();
        self.thread.join().expect("the thread ended by itself");
        self.state
    }
}

/// The flow's events as `body key line`, oldest first.
fn events(buffer: &dyn Buffer) -> Vec<String> {
    let blocks = buffer
        .read("stock", Sequence(1), usize::MAX)
        .expect("the blocks");
    let mut events = Vec::new();
    for StoredBlock { block: stored, .. } in blocks {
        let mut decoded = Vec::new();
        block::open(
            &stored.payload,
            i32::from(stored.codec),
            stored.decoded_bytes,
            &mut decoded,
        )
        .expect("our own block");
        for range in block::split(&decoded, stored.count).expect("our own events") {
            let event = Event::of(&decoded[range.start as usize..range.end as usize])
                .expect("our own event");
            events.push(format!("{} {} {}", event.body, event.key, event.line));
        }
    }
    events
}

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
