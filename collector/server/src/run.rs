//! The daemon: opens everything, serves until told to stop, and puts everything away.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dray_proto::v1::collector_admin_server::CollectorAdminServer;
use dray_proto::v1::enrolment_server::EnrolmentServer;
use dray_proto::v1::feed_server::FeedServer;
use dray_proto::v1::uplink_server::UplinkServer;
use dray_store::{Options, SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::Server;

use crate::admin::Admin;
use crate::audit::Refusals;
use crate::config::Config;
use crate::core::{Shared, Stop, Stopping, now_s, now_us};
use crate::enrol::{self, EnrolService};
use crate::failure::Failure;
use crate::feed::FeedService;
use crate::gaps::Gaps;
use crate::identity::{self, AllowList, Authority};
use crate::ingest::{self, Ingest};
use crate::metrics::Metrics;
use crate::seats::Seats;
use crate::targets::Targets;
use crate::tls::Door;
use crate::{dead_letters, fullness, incoming, local, metrics_page};

/// HTTP/2 pings find a dead link: after 10 s of silence, lost 10 s later.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The same on the local socket, where nothing but a process that stands still is slow: a command that somebody stopped for a
/// moment is not cut off.
const LOCAL_KEEPALIVE: Duration = Duration::from_secs(60);
/// What an agent may have on its way, a stream and a connection: several blocks of 64 KiB over a
/// long line.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// A block of 64 KiB travels in one frame, not in four.
const FRAME_BYTES: u32 = 256 * 1024;
/// Calls at once on one connection: an agent has one stream.
const STREAMS_MAX: u32 = 64;
/// How often the log is trimmed.
const RETENTION_EVERY: Duration = Duration::from_secs(3600);
/// Files of the log at its cap, at least.
const FILES_MIN: u64 = 8;
/// How long streams may take to end once asked to.
const GOODBYE: Duration = Duration::from_secs(10);

/// A collector that serves.
pub struct Running {
    /// Where agents and readers connect.
    pub listen: SocketAddr,
    /// Where Prometheus reads.
    pub metrics: Option<SocketAddr>,
    shared: Arc<Shared>,
    tasks: JoinSet<Result<(), String>>,
    put_away: mpsc::Receiver<()>,
}

/// Runs a collector until it is told to stop.
///
/// # Errors
/// [`Failure`], if it can't start or a part of it fails.
pub async fn run(config: Config, stopping: Stopping) -> Result<(), Failure> {
    Running::start(config, stopping).await?.ended().await
}

/// The same, until SIGTERM or SIGINT.
pub(crate) async fn until_signal(config: Config) -> Result<(), Failure> {
    let (stop, stopping) = Stop::new();
    let caught = |kind| {
        signal(kind).map_err(|error| Failure::Failed(format!("signals cannot be caught: {error}")))
    };
    let (mut term, mut int) = (
        caught(SignalKind::terminate())?,
        caught(SignalKind::interrupt())?,
    );
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("stopping");
        stop.stop();
    });
    run(config, stopping).await
}

impl Running {
    /// Opens everything; the collector serves when this returns.
    ///
    /// # Errors
    /// [`Failure`] with the way out.
    pub async fn start(config: Config, stopping: Stopping) -> Result<Self, Failure> {
        make_folder(&config.data_dir)?;
        for doubt in &config.doubts {
            tracing::warn!(
                line = doubt.line,
                what = doubt.what,
                "the configuration says something that is most likely not meant"
            );
        }
        // First of all: the store's lock keeps a second collector off everything else in the folder.
        let store = Arc::new(open_store(&config).await?);
        let authority = Authority::open_or_create(&config.ca_dir(), now_s()).map_err(setup)?;
        let door = Door::new(&authority, &config.names, now_s()).map_err(setup)?;
        let listener = bind("listen", config.listen).await?;
        let metrics_listener = match config.metrics {
            Some(address) => Some(bind("metrics", address).await?),
            None => None,
        };
        let local = local::bind(&config.admin_socket(), !config.operators.is_empty())
            .map_err(|error| setup(local::unbound(&config.admin_socket(), &error)))?;
        let (alive, put_away) = mpsc::channel(1);
        let shared = Shared {
            store: Arc::clone(&store) as Arc<dyn Store>,
            authority,
            certificate_days: config.certificate_days,
            allow: AllowList::default(),
            uplinks: Arc::new(Seats::default()),
            readers: Arc::new(Seats::default()),
            gaps: Gaps::default(),
            refusals: Refusals::default(),
            targets: Targets::start(
                &config.targets,
                &config.accounts,
                Arc::clone(&store) as Arc<dyn Store>,
            )
            .map_err(Failure::Setup)?,
            catalogue: Arc::clone(&config.catalogue),
            metrics: Metrics::new().map_err(setup)?,
            stopping,
            _alive: alive,
        };
        let shared = Arc::new(shared);
        identity::refresh(&shared).await.map_err(setup)?;
        for left in shared.targets.removed().await.map_err(setup)? {
            let (target, said) = (left.target, left.detail);
            tracing::warn!(
                target,
                said,
                backlog = left.backlog,
                "a target is left over"
            );
        }

        let listen = listener.local_addr().map_err(setup)?;
        let metrics = match &metrics_listener {
            Some(listener) => Some(listener.local_addr().map_err(setup)?),
            None => None,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_tls(listener, door, Arc::clone(&shared)));
        tasks.spawn(serve_local(
            local,
            config.operators.clone(),
            Arc::clone(&shared),
        ));
        if let Some(listener) = metrics_listener {
            tasks.spawn(done(metrics_page::serve(listener, Arc::clone(&shared))));
        }
        tasks.spawn(done(identity::keep_fresh(Arc::clone(&shared))));
        tasks.spawn(done(dead_letters::run(Arc::clone(&shared))));
        tasks.spawn(done(fullness::watch(Arc::clone(&shared))));
        tasks.spawn(done(retain(store, shared.stopping())));

        match say_where(&config.data_dir, listen, metrics) {
            // On a full disk it starts all the same: what is in the log is delivered, and agents hear why they wait.
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                tracing::warn!(data_dir = %config.data_dir.display(), "the disk is full: make room");
            }
            said => {
                said.map_err(|error| setup(format!("{}: {error}", config.data_dir.display())))?
            }
        }
        tracing::info!(
            %listen,
            metrics = metrics.map(tracing::field::display),
            data_dir = %config.data_dir.display(),
            targets = config.targets.len(),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        Ok(Self {
            listen,
            metrics,
            shared,
            tasks,
            put_away,
        })
    }

    /// The store, for tests.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.shared.store)
    }

    /// Returns when the collector was told to stop and everything is put away.
    ///
    /// # Errors
    /// [`Failure::Failed`] if a part ended by itself.
    pub async fn ended(mut self) -> Result<(), Failure> {
        let mut stopping = self.shared.stopping();
        let early = tokio::select! {
            () = stopping.wait() => None,
            ended = self.tasks.join_next() => match ended {
                // It was told to, and seen here before the word itself was.
                Some(Ok(Ok(()))) if self.shared.stopping.is_told() => None,
                Some(Ok(Ok(()))) | None => Some("a part of the collector ended by itself".to_owned()),
                Some(Ok(Err(reason))) => Some(reason),
                Some(Err(panic)) => Some(format!("a part of the collector failed: {panic}")),
            },
        };
        if early.is_none() {
            let goodbye = async { while self.tasks.join_next().await.is_some() {} };
            if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
                tracing::warn!("some streams did not end within 10 s and are cut off");
            }
        }
        self.tasks.shutdown().await;
        self.shared.targets.stop().await;
        if let Err(error) = identity::refresh(&self.shared).await {
            tracing::warn!(%error, "who was connected last could not be noted");
        }
        drop(self.shared);
        if tokio::time::timeout(GOODBYE, self.put_away.recv())
            .await
            .is_err()
        {
            tracing::warn!("something still uses the store after 10 s");
        }
        match early {
            None => {
                tracing::info!("stopped");
                Ok(())
            }
            Some(reason) => Err(Failure::Failed(format!(
                "{reason}; it stops, and is safe to start again"
            ))),
        }
    }
}

async fn done(part: impl Future<Output = ()>) -> Result<(), String> {
    part.await;
    Ok(())
}

fn setup(reason: impl ToString) -> Failure {
    Failure::Setup(reason.to_string())
}

async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        setup(format!("{setting} = \"{address}\" cannot be used: {error}; choose another address or port, or stop what uses it"))
    })
}

/// Makes the data folder, for its owner alone.
fn make_folder(data_dir: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|error| {
        let shown = data_dir.display();
        setup(format!("data_dir {shown} cannot be made: {error}; create it, owned by the user that runs the collector"))
    })
}

async fn open_store(config: &Config) -> Result<SqliteStore, Failure> {
    let bytes_max = config.log.bytes_max.as_u64();
    let defaults = Options::in_folder(&config.data_dir);
    // Files are dropped whole: a small log is kept in smaller ones.
    let file_bytes = defaults.file_bytes.min(bytes_max / FILES_MIN);
    let options = Options {
        bytes_max,
        keep: config.log.keep,
        file_bytes: dray_edges::bytes(dray_edges::Bytes::LogFile, file_bytes),
        ..defaults
    };
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(options))
        .await
        .map_err(setup)?;
    opened.map_err(setup)
}

async fn serve_tls(listener: TcpListener, door: Door, shared: Arc<Shared>) -> Result<(), String> {
    let incoming = incoming::accept(listener, door, Arc::clone(&shared));
    let uplink = UplinkServer::new(Ingest::new(Arc::clone(&shared)))
        .max_decoding_message_size(ingest::MESSAGE_BYTES_MAX);
    let enrolment = EnrolmentServer::new(EnrolService::new(Arc::clone(&shared)))
        .max_decoding_message_size(enrol::MESSAGE_BYTES_MAX);
    let mut stopping = shared.stopping();
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .add_service(uplink)
        .add_service(enrolment)
        .add_service(FeedServer::new(FeedService::new(shared)))
        .serve_with_incoming_shutdown(incoming, async move { stopping.wait().await })
        .await
        .map_err(|error| format!("the TLS port failed: {error}"))
}

async fn serve_local(
    listener: tokio::net::UnixListener,
    operators: Vec<u32>,
    shared: Arc<Shared>,
) -> Result<(), String> {
    let incoming = local::accept(listener, operators, Arc::clone(&shared));
    let mut stopping = shared.stopping();
    Server::builder()
        .http2_keepalive_interval(Some(LOCAL_KEEPALIVE))
        .http2_keepalive_timeout(Some(LOCAL_KEEPALIVE))
        .max_concurrent_streams(STREAMS_MAX)
        .add_service(CollectorAdminServer::with_interceptor(
            Admin::new(Arc::clone(&shared)),
            local::admit,
        ))
        .add_service(FeedServer::with_interceptor(
            FeedService::new(shared),
            local::admit,
        ))
        .serve_with_incoming_shutdown(incoming, async move { stopping.wait().await })
        .await
        .map_err(|error| format!("the local socket failed: {error}"))
}

async fn retain(store: Arc<SqliteStore>, mut stopping: Stopping) {
    loop {
        let trimmed = {
            let store = Arc::clone(&store);
            tokio::task::spawn_blocking(move || store.retain(now_us())).await
        };
        match trimmed {
            Ok(Ok(0)) => {}
            Ok(Ok(files)) => tracing::info!(files, "old files of the log were dropped"),
            Ok(Err(error)) => tracing::error!(%error, "the log could not be trimmed"),
            Err(panic) => tracing::error!(%panic, "the log could not be trimmed"),
        }
        tokio::select! {
            () = tokio::time::sleep(RETENTION_EVERY) => {}
            () = stopping.wait() => return,
        }
    }
}

/// Writes the real addresses where programs that chose port 0 find them: `data_dir/listening`, a
/// line each.
fn say_where(
    data_dir: &Path,
    listen: SocketAddr,
    metrics: Option<SocketAddr>,
) -> std::io::Result<()> {
    let fresh = data_dir.join("listening.new");
    let metrics = metrics.map_or("off".to_owned(), |metrics| metrics.to_string());
    let mut file = File::create(&fresh)?;
    write!(file, "listen {listen}\nmetrics {metrics}\n")?;
    drop(file);
    fs::rename(&fresh, data_dir.join("listening"))
}
