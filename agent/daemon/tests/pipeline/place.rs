//! A flow with a drop folder, its thread while it runs, and what that appended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dray_adapter::Source;
use dray_agent::bell::Bell;
use dray_agent::block_maker::BlockMaker;
use dray_agent::config::{Config, FlowConfig};
use dray_agent::flow_state::{FlowState, Health};
use dray_agent::metrics::Metrics;
use dray_agent::pipeline::Pipeline;
use dray_agent::render::Event;
use dray_buffer::{Buffer, Sequence, SledBuffer, StoredBlock};
use dray_mapping::Mapper;
use dray_proto::block;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a drop folder in it, and its flow.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    flow: FlowConfig,
}

impl Place {
    pub(crate) fn new() -> Self {
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
    pub(crate) fn drop_file(&self, name: &str, lines: &[&str]) {
        let hidden = self.drops().join(format!(".{name}"));
        std::fs::write(&hidden, format!("SKU|QTY\n{}\n", lines.join("\n"))).expect("a file");
        std::fs::rename(hidden, self.drops().join(name)).expect("a rename");
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.drops().join(path).exists()
    }

    pub(crate) fn sled(&self) -> Arc<dyn Buffer> {
        let options = dray_buffer::Options::in_folder(self.folder.path().join("buffer"));
        Arc::new(SledBuffer::open(options).expect("a buffer"))
    }

    pub(crate) fn source(&self) -> Box<dyn Source> {
        let own = self.folder.path().join("own");
        let source = self.flow.source.make(&self.flow.name, &own);
        source.expect("a source")
    }

    pub(crate) fn maker(&self) -> BlockMaker {
        let mapper = Mapper::compile(&self.flow.mappings, 1).expect("it compiles");
        BlockMaker::new(mapper, self.flow.otherwise)
    }

    pub(crate) fn start(&self, buffer: &Arc<dyn Buffer>) -> Running {
        self.start_with(self.source(), buffer)
    }

    pub(crate) fn start_with(&self, source: Box<dyn Source>, buffer: &Arc<dyn Buffer>) -> Running {
        self.start_as(source, buffer, |pipeline| pipeline)
    }

    pub(crate) fn start_as(
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

pub(crate) struct Running {
    pub(crate) state: Arc<FlowState>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) buffer: Arc<dyn Buffer>,
    pub(crate) thread: JoinHandle<()>,
}

impl Running {
    /// Waits until so many events are appended.
    pub(crate) fn wait_appended(&self, events: u64) {
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
    pub(crate) fn wait_state(&self, health: Health, detail: &str) {
        let end = Instant::now() + PATIENCE;
        while self.state.get() != (health, detail.to_owned()) {
            assert!(Instant::now() < end, "{:?}", self.state.get());
            std::thread::yield_now();
        }
    }

    /// What the uplink does with an ack of everything.
    pub(crate) fn ack_all(&self) {
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
    pub(crate) fn end(self) -> Arc<FlowState> {
        self.bell.stop();
        self.thread.join().expect("the thread ended by itself");
        self.state
    }
}

/// The flow's events as `body key line`, oldest first.
pub(crate) fn events(buffer: &dyn Buffer) -> Vec<String> {
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
