//! `dray-agent run`: everything is put together, started and ended here.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dray_buffer::Buffer;
use dray_proto::FlowName;
use dray_uplink::Identity;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, info_span, warn};

use crate::admin::Socket;
use crate::again::{self, Again};
use crate::bell::Bell;
use crate::board::{Board, VERSION, Who};
use crate::config::{Config, FlowConfig};
use crate::failure::Failure;
use crate::flow_state::{FlowState, Health};
use crate::metrics::Metrics;
use crate::pipeline::{DRAIN_MAX, Pipeline};
use crate::uplink::{self, Links};
use crate::{heap, identity, metrics_server};

/// Threads of the runtime: the uplink, the metrics page and the local socket need no more.
const WORKERS: usize = 2;
/// Threads for what blocks (reads of the buffer); each costs memory.
const BLOCKING_MAX: usize = 4;
/// How long the uplink may take to end once it is asked to.
const UPLINK_END_MAX: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`Failure`] where it can't even begin; what happens later stands in the log and in `status`.
pub fn run(config: Config) -> Result<(), Failure> {
    let identity = identity::load(&config).map_err(|error| Failure::Config(error.to_string()))?;
    make_data_dir(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_MAX)
        .thread_name("dray-io")
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the runtime does not start: {error}")))?;
    let ended = runtime.block_on(serve(&config, identity));
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended? {
        Ended::Asked => Ok(()),
        Ended::Again => Err(Failure::Failed(format!(
            "it can't start itself again: {}; start it again",
            heap::start_again()
        ))),
    }
}

fn make_data_dir(config: &Config) -> Result<(), Failure> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir);
    made.map_err(|error| {
        Failure::Config(format!(
            "data_dir {} can't be made: {error}; make it and give it to this user",
            config.data_dir.display()
        ))
    })
}

/// How it ended.
enum Ended {
    /// The agent ends.
    Asked,
    /// Everything is to be opened again.
    Again,
}

async fn serve(config: &Config, identity: Identity) -> Result<Ended, Failure> {
    let mut signals = Signals::new()?;
    let socket = bind_socket(config).await?;
    let metrics_listener = bind_metrics(config).await?;
    let buffer = uplink::open_buffer(config)?;
    let metrics = Metrics::new().map_err(|error| Failure::Failed(error.to_string()))?;
    let again = Again::default();
    let flows: Vec<Flow> = config
        .flows
        .iter()
        .map(|flow| {
            let own = config.source_dir(&flow.name);
            Flow::prepare(flow, &own, &buffer, &metrics, &again)
        })
        .collect::<Result<_, _>>()?;
    let who = Who {
        site: config.site.clone(),
        agent: identity.agent.clone(),
        collector: config.collector.clone(),
        certificate_ends_s: identity.ends_s,
    };
    let mut states: Vec<_> = flows.iter().map(|flow| Arc::clone(&flow.state)).collect();
    states.extend(left_over(config, buffer.as_ref(), &metrics));
    let board = Arc::new(Board::new(who, Arc::clone(&buffer), metrics, states));
    let bells: Vec<Arc<Bell>> = flows.iter().map(|flow| Arc::clone(&flow.bell)).collect();

    let (stop, stopped) = watch::channel(false);
    let links = Links {
        board: Arc::clone(&board),
        bells: bells.clone(),
        again: again.clone(),
    };
    let sending = uplink::start(config, identity, buffer, links, stopped.clone());
    let answering = tokio::spawn(socket.serve(Arc::clone(&board), until(stopped)));
    let showing = metrics_listener
        .map(|listener| tokio::spawn(metrics_server::serve(listener, Arc::clone(&board))));
    let threads = start_flows(flows)?;
    info!(
        version = VERSION,
        site = config.site,
        flows = threads.len(),
        "started"
    );

    let buffer_dir = config.buffer_dir();
    let ended = tokio::select! {
        name = signals.next() => {
            info!(signal = name, "ending");
            None
        }
        reason = again.asked() => Some(reason),
    };
    let ended = match ended {
        None => None,
        // Until then `status` says why.
        Some(reason) => tokio::select! {
            () = again::pause(&buffer_dir, |why| board.disconnected(why)) => {
                info!(reason, "everything is opened again");
                Some(())
            }
            name = signals.next() => {
                info!(signal = name, "ending");
                None
            }
        },
    };
    let ended = match ended {
        Some(()) => Ended::Again,
        None => {
            tokio::spawn(async move {
                signals.next().await;
                warn!("ended at once, as the second signal asks");
                process::exit(1);
            });
            Ended::Asked
        }
    };
    bells.iter().for_each(|bell| bell.stop());
    join(threads).await;
    // The receiver is there until the end of this function.
    let _ = stop.send(true);
    if tokio::time::timeout(UPLINK_END_MAX, sending).await.is_err() {
        warn!("the uplink did not end in time");
    }
    let _ = tokio::time::timeout(UPLINK_END_MAX, answering).await;
    if let Some(showing) = showing {
        showing.abort();
    }
    info!("ended");
    Ok(ended)
}

async fn bind_socket(config: &Config) -> Result<Socket, Failure> {
    let path = config.socket();
    Socket::bind(&path).await.map_err(|error| {
        let shown = path.display();
        if error.kind() == io::ErrorKind::AddrInUse {
            Failure::Failed(format!(
                "another agent runs with data_dir {}; \"dray-agent status\" shows it. A second agent needs its own data_dir",
                config.data_dir.display()
            ))
        } else {
            Failure::Config(format!("{shown} can't be made: {error}; data_dir must belong to the agent's user"))
        }
    })
}

async fn bind_metrics(config: &Config) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = config.metrics else {
        return Ok(None);
    };
    TcpListener::bind(address).await.map(Some).map_err(|error| {
        Failure::Config(format!(
            "{}: metrics = \"{address}\" can't be listened on: {error}; choose another port, or metrics = \"off\"",
            config.file.display()
        ))
    })
}

/// A flow before its thread is started.
struct Flow {
    state: Arc<FlowState>,
    bell: Arc<Bell>,
    pipeline: Pipeline,
}

impl Flow {
    fn prepare(
        config: &FlowConfig,
        own: &Path,
        buffer: &Arc<dyn Buffer>,
        metrics: &Metrics,
        again: &Again,
    ) -> Result<Self, Failure> {
        let name = &config.name;
        let source = config
            .source
            .make(name, own)
            .map_err(|reason| Failure::Config(format!("flow \"{}\": {reason}", name.flow())))?;
        let maker = config
            .maker()
            .map_err(|reason| Failure::Config(format!("flow \"{}\": {reason}", name.flow())))?;
        let bell = Arc::new(Bell::default());
        let state = FlowState::new(name.clone(), metrics.flow(name))
            .with_calls(source.calls())
            .with_kept_log(source.kept_log())
            .with_bell(Arc::clone(&bell));
        let state = Arc::new(state);
        let pipeline = Pipeline::new(
            source,
            maker,
            Arc::clone(buffer),
            Arc::clone(&bell),
            Arc::clone(&state),
        )
        .asking_the_collector()
        .telling(again.clone());
        Ok(Self {
            state,
            bell,
            pipeline,
        })
    }
}

/// Flows that are configured no more, but not all of whose events are sent: what was accepted is sent.
fn left_over(config: &Config, buffer: &dyn Buffer, metrics: &Metrics) -> Vec<Arc<FlowState>> {
    let is_configured = |flow: &str| config.flows.iter().any(|known| known.name.flow() == flow);
    let unsent = |flow: &Arc<str>| {
        let depth = buffer.depth(flow);
        let left = depth.appended.0 - depth.acked.0;
        let name = FlowName::new(&config.site, flow)?;
        (left > 0 && !is_configured(flow)).then_some((name, left))
    };
    let state = |(name, left): (FlowName, u64)| {
        let reason = "it is not in the configuration any more: the collector gets what it lacks of it; its files stay in archive/pending";
        warn!(
            flow = name.flow(),
            held = left,
            reason,
            "a flow is left over"
        );
        let state = FlowState::new(name.clone(), metrics.flow(&name)).left_over();
        state.set(Health::Waiting, reason);
        Arc::new(state)
    };
    buffer
        .flows()
        .iter()
        .filter_map(unsent)
        .map(state)
        .collect()
}

fn start_flows(flows: Vec<Flow>) -> Result<Vec<JoinHandle<()>>, Failure> {
    let start = |flow: Flow| {
        let name = flow.state.name.clone();
        let thread = thread::Builder::new().name(name.flow().chars().take(15).collect());
        let started = thread.spawn(move || {
            let _span = info_span!("flow", flow = name.flow()).entered();
            run_flow(flow);
        });
        started.map_err(|error| Failure::Failed(format!("a flow's thread does not start: {error}")))
    };
    flows.into_iter().map(start).collect()
}

/// A defect in a source or mapper stops its flow and no other.
fn run_flow(flow: Flow) {
    let Flow {
        state, pipeline, ..
    } = flow;
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || pipeline.run()));
    if ran.is_err() {
        let reason = "a defect of the agent ended it; what is not sent yet is kept. Please report the log lines before this one, and restart the agent";
        state.set(Health::Stopped, reason);
        error!(reason, "the flow stopped");
    }
}

/// Waits for the flows' threads, a little longer than they may take.
async fn join(threads: Vec<JoinHandle<()>>) {
    let joined = tokio::task::spawn_blocking(move || {
        threads.into_iter().for_each(|thread| drop(thread.join()))
    });
    if tokio::time::timeout(DRAIN_MAX + Duration::from_secs(2), joined)
        .await
        .is_err()
    {
        warn!("a flow did not end in time; what it was doing is done again at the next start");
    }
}

/// Done when `stopped` says so, or nobody can say it any more.
pub(crate) async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::Failed(format!("signals can't be listened for: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use dray_buffer::MemoryBuffer;

    use super::*;

    #[test]
    fn what_a_source_counts_of_its_calls_is_what_the_flow_shows() {
        let text = "site = \"north\"\ndata_dir = \"/nowhere\"\ncollector = \"localhost:1\"\n\
             [[flow]]\nname = \"shop\"\n[flow.source]\nkind = \"webhook\"\nlisten = \"127.0.0.1:0\"\n\
             [[flow.source.hook]]\nname = \"order\"\nformat = { kind = \"json\", record = \"\", fields = { ID = \"id\" } }\n\
             [[flow.mapping]]\nbody = \"generic\"\nkey = \"ID\"\nfields = { \"*\" = \"*\" }\n";
        let config =
            Config::parse(Path::new("agent.toml"), text).unwrap_or_else(|error| panic!("{error}"));
        let buffer: Arc<dyn Buffer> = Arc::new(MemoryBuffer::new());
        let metrics = Metrics::new().expect("metrics");
        let own = Path::new("/nowhere/shop");
        let flow = Flow::prepare(&config.flows[0], own, &buffer, &metrics, &Again::default());
        let flow = flow.unwrap_or_else(|_| panic!("it can be made"));
        let counts = flow.state.calls().expect("it is called").counts();
        assert!(counts.iter().all(|one| one.count == 0) && counts.len() == 6);
    }
}
