//! An endpoint with the agent's side played in a thread.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dray_adapter::conformance::{Agent, PolledOnce};
use dray_adapter::{BATCH_RECORDS_MAX, Calls, Source};
use dray_soap::receive::{Patience, Receiver, SoapReceiveConfig};
use rand::RngExt as _;

use crate::caller::{Answer, Caller};

/// Two operations: one with a key, one that answers nothing.
pub(crate) const OPERATIONS: &str = r#"
namespaces = { w = "urn:example:wms" }
[[operation]]
name = "PutMovements"
root = "w:PutMovements"
action = "urn:example:wms/PutMovements"
record = "w:Movement"
key = "w:BatchNo"
response = "FOLDER/answer.xml"
[operation.fields]
ID = "w:Id"
QTY = "w:Quantity"
BATCH = "../w:BatchNo"
[[operation]]
name = "ReportShipment"
root = "w:ReportShipment"
one_way = true
fields = { NO = "w:ShipNo" }
"#;

/// The answer of the first.
const ANSWER: &str = "<PutMovementsResponse xmlns=\"urn:example:wms\"><Accepted>{{ records }}</Accepted><Again>{{ repeated | lower }}</Again></PutMovementsResponse>";

/// The ports that this process was given: their numbers at UDP, so that no other test is given one meanwhile.
static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port of the loopback below those that the kernel gives to connections.
pub(crate) fn free_port() -> u16 {
    let mut random = rand::rng();
    loop {
        let port = random.random_range(20_000..32_000);
        let Ok(held) = UdpSocket::bind(("127.0.0.1", port)) else {
            continue;
        };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().expect("nobody panics holding it").push(held);
            return port;
        }
    }
}

/// Tries until it is so; files are looked at every 2 seconds.
pub(crate) fn becomes(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
    }
}

/// A folder with what a configuration names, and the configuration.
pub(crate) struct Laid {
    pub(crate) folder: tempfile::TempDir,
    port: u16,
    make: Arc<Make>,
}

/// Makes a source whose own folder is that.
type Make = dyn Fn(&Path) -> Box<dyn Source> + Send + Sync;

/// `settings` stand before [`OPERATIONS`]; `FOLDER` in them is the folder.
pub(crate) fn lay_out(settings: &str) -> Laid {
    lay_out_with(settings, BATCH_RECORDS_MAX)
}

/// The same in batches of so many records.
pub(crate) fn lay_out_with(settings: &str, records_max: usize) -> Laid {
    laid(settings, move |source| source.with_batches_of(records_max))
}

/// The same for callers who are waited for so long.
pub(crate) fn lay_out_for(settings: &str, patience: Patience) -> Laid {
    laid(settings, move |source| source.with_patience(patience))
}

fn laid(settings: &str, made: impl Fn(Receiver) -> Receiver + Send + Sync + 'static) -> Laid {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("answer.xml"), ANSWER).expect("a file");
    let port = free_port();
    let text = format!(
        "kind = \"soap-receive\"\nlisten = \"127.0.0.1:{port}\"\npath = \"/wms\"\n{settings}\n{OPERATIONS}"
    );
    let text = text.replace("FOLDER", &folder.path().display().to_string());
    let config: SoapReceiveConfig =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(config.faults(), [], "{text}");
    let make = move |own: &Path| -> Box<dyn Source> {
        let source = config.make("north/calls").expect("a good configuration");
        Box::new(made(source.with_own_folder(own.to_owned())))
    };
    Laid::new(folder, port, Arc::new(make))
}

impl Laid {
    pub(crate) fn new(folder: tempfile::TempDir, port: u16, make: Arc<Make>) -> Self {
        Self { folder, port, make }
    }

    pub(crate) fn source(&self) -> Box<dyn Source> {
        (self.make)(&self.own())
    }

    pub(crate) fn own(&self) -> PathBuf {
        self.folder.path().join("own")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

/// What the played agent does.
const RUNS: u8 = 0;
const HOLDS: u8 = 1;
const ENDS: u8 = 2;

/// A served endpoint.
pub(crate) struct Endpoint {
    pub(crate) laid: Laid,
    mode: Arc<AtomicU8>,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) calls: Arc<Calls>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    pub(crate) fn start(settings: &str) -> Self {
        Self::over(lay_out(settings))
    }

    pub(crate) fn over(laid: Laid) -> Self {
        let (mode, log) = (
            Arc::new(AtomicU8::new(RUNS)),
            Arc::<Mutex<Vec<String>>>::default(),
        );
        let (source, shared, kept) = (laid.source(), Arc::clone(&mode), Arc::clone(&log));
        let calls = source.calls().expect("it is called");
        let (opened, open) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut agent = Agent::open(source);
            opened.send(()).expect("the test waits");
            let mut refused = false;
            loop {
                match shared.load(Ordering::SeqCst) {
                    ENDS => return agent.source().close(),
                    // As where the buffer is full: what is polled waits, and the source is told once.
                    HOLDS => {
                        let is_held = matches!(agent.poll(), PolledOnce::Batch);
                        if is_held && !refused {
                            agent.source().refuse("the buffer is full");
                            refused = true;
                        }
                    }
                    _ => {
                        refused = false;
                        agent.poll();
                        while agent.append() {
                            // Before the commit: with it, the test's caller is answered and looks here.
                            let new = agent.log.drain(..).map(|entry| entry.shown);
                            kept.lock().expect("nobody panics holding it").extend(new);
                            agent.commit();
                        }
                    }
                }
            }
        });
        open.recv().expect("it opens");
        Self {
            laid,
            mode,
            log,
            calls,
            thread: Some(thread),
        }
    }

    /// Appends wait, or go on.
    pub(crate) fn holds(&self, holds: bool) {
        self.mode
            .store(if holds { HOLDS } else { RUNS }, Ordering::SeqCst);
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::new(self.laid.address()).expect("a connection")
    }

    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut caller = self.caller();
        caller
            .post("/wms", headers, body.as_bytes())
            .expect("an answer")
    }

    /// What was appended so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("nobody panics holding it").clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.mode.store(ENDS, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the agent's side panicked"
            );
        }
    }
}
