use std::sync::Mutex;
use std::time::Duration;

use dray_proto::event::number;
use dray_proto::v1::{Block, BlockHeader};
use dray_proto::{EventId, FlowName, Offset, block, schema, wire};
use dray_store::{Exception, ExceptionQuery, ExceptionState, Options, SqliteStore};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::{Control, Parts};
use super::*;
use crate::batch::Renderer;
use crate::config::TargetConfig;
use crate::connectors::{Connector, Delivery, Promise, Rendered, Told};
use crate::outcome::Outcome;
use crate::shadow::Shadow;
use crate::status::Metrics;
use crate::vet::{Rules, Vetting};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Takes everything; a part of it has a fault.
#[derive(Debug, Default)]
struct Faulty {
    /// It panics at events of this key, as often as is said.
    key: &'static str,
    times: Mutex<u32>,
    /// It panics where the engine tells it what is on disk.
    at_settled: bool,
    /// Key and doubt of what came, in order.
    came: Mutex<Vec<(String, bool)>>,
}

impl Connector for Faulty {
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            for piece in &delivery.events {
                let json: serde_json::Value =
                    serde_json::from_slice(&delivery.body[piece.json.clone()]).expect("JSON");
                let key = json["key"].as_str().expect("a key").to_owned();
                let is_bad = key == self.key;
                let came = (key, delivery.in_doubt);
                self.came
                    .lock()
                    .expect("nobody panics holding it")
                    .push(came);
                let mut times = self.times.lock().expect("nobody panics holding it");
                if is_bad && *times > 0 {
                    *times -= 1;
                    drop(times);
                    panic!("with the word SECRET-7");
                }
            }
            Told::from(Outcome::Done)
        })
    }

    fn render(self: Arc<Self>, _: Delivery) -> Promise<'static, Result<Rendered, Outcome>> {
        Box::pin(std::future::ready(Err(Outcome::Transient(
            "nothing is rendered here".into(),
        ))))
    }

    fn settled(&self, through: &[(FlowName, Offset)]) {
        let is_bad = self.at_settled && through.iter().any(|(_, through)| through.0 > 0);
        assert!(!is_bad, "with the word SECRET-7");
    }

    fn knock(&self, _: Duration) -> Promise<'_, bool> {
        Box::pin(std::future::ready(true))
    }
}

struct Ran {
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    connector: Arc<Faulty>,
    _controls: mpsc::Sender<Control>,
    _task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

async fn run(connector: Faulty, keys: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(Options::in_folder(folder.path())).expect("an empty folder");
    let store: Arc<dyn Store> = Arc::new(store);
    append(&store, keys).await;
    let config: TargetConfig = toml::from_str(
        "name = \"erp\"\nurl = \"http://erp.example/\"\n[retry]\nfirst = \"5ms\"\nmax = \"20ms\"\n",
    )
    .expect("a table");
    let shared = Arc::new(Shared::new("erp"));
    let connector = Arc::new(connector);
    let (controls, received) = mpsc::channel(1);
    let rules = Rules::compile(&config, true).expect("no rules");
    let parts = Parts {
        connector: connector.clone(),
        renderer: Renderer::Plan,
        shadow: Shadow::build(&config, None).expect("none"),
        vetting: Vetting::new("erp", Arc::clone(&store), rules),
        account: None,
    };
    let (kept, shown) = (Arc::clone(&store), Arc::clone(&shared));
    let engine = Engine::new(config, kept, shown, received, parts);
    Ran {
        store,
        shared,
        connector,
        _controls: controls,
        _task: tokio::spawn(guarded(engine)),
        _folder: folder,
    }
}

async fn append(store: &Arc<dyn Store>, keys: &[&str]) {
    let flow = FlowName::parse("north/items").expect("a name");
    let held = store.held(&flow);
    let first = held.next_sequence.0.max(1);
    let mut builder = block::Builder::default();
    for (sequence, key) in (first..).zip(keys) {
        let mut event = Vec::new();
        let id = EventId::new([7; 10], sequence, 0);
        wire::put_bytes(&mut event, number::ID, id.as_bytes());
        wire::put_text(&mut event, number::KEY, key);
        wire::put_integer(&mut event, number::OPERATION, 1);
        wire::put_integer(&mut event, number::SCHEMA_VERSION, 1);
        let body = schema::body("item").expect("a body").number;
        wire::put_message(&mut event, body, |out| wire::put_text(out, 1, key));
        builder.push(&event, 1);
    }
    let encoded = builder.close().expect("at least one event");
    let block = Block {
        header: Some(BlockHeader {
            flow: flow.flow().to_owned(),
            epoch: 42,
            first_sequence: first,
            count: encoded.count,
            first_captured_us: encoded.first_captured_us,
            last_captured_us: encoded.last_captured_us,
            codec: encoded.codec as i32,
            decoded_bytes: encoded.decoded_bytes,
            crc32c: encoded.crc32c,
            position: first.to_string().into(),
            chain: held.chain,
            chain_after: held.chain + first,
            dead_letters: 0,
        }),
        payload: encoded.payload,
    };
    let appended = store.append("a-1", &flow, vec![block]).await;
    appended.expect("the writer runs").expect("it is taken");
}

impl Ran {
    async fn wait(&self, what: &str, enough: impl Fn(&Metrics) -> bool) -> Metrics {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !enough(&self.shared.snapshot()) {
                changed.changed().await.expect("it lives as long as this");
            }
        };
        if tokio::time::timeout(LIMIT, waiting).await.is_err() {
            panic!("{what} did not come: {:#?}", self.shared.snapshot());
        }
        self.shared.snapshot()
    }

    fn came(&self, wanted: &str) -> Vec<bool> {
        let came = self
            .connector
            .came
            .lock()
            .expect("nobody panics holding it");
        let of = came.iter().filter(|(key, _)| key == wanted);
        of.map(|(_, in_doubt)| *in_doubt).collect()
    }

    fn letters(&self) -> Vec<Exception> {
        let query = ExceptionQuery {
            limit: 100,
            ..ExceptionQuery::default()
        };
        self.store.exceptions(&query).expect("the store answers")
    }
}

#[tokio::test]
async fn an_event_at_which_dray_fails_each_time_is_a_dead_letter_and_the_target_goes_on() {
    let connector = Faulty {
        key: "BAD",
        times: Mutex::new(u32::MAX),
        ..Faulty::default()
    };
    let ran = run(connector, &["A", "B", "BAD", "C", "D"]).await;
    let metrics = ran
        .wait("the rest", |metrics| {
            (metrics.delivered, metrics.dead, metrics.backlog) == (4, 1, 0)
        })
        .await;
    assert_eq!(metrics.state, State::Running);
    let letters = ran.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].key.as_str(), letters[0].state),
        ("BAD", ExceptionState::Dead)
    );
    assert_eq!(letters[0].reason, FAULT);
    // What was sent of it may have had its effect: from the second try on it is looked up first.
    let came = ran.came("BAD");
    assert!(came.len() > FAULTS_MAX as usize, "{came:?}");
    assert!(!came[0] && came[1..].iter().all(|doubt| *doubt), "{came:?}");
    // The next event is delivered too.
    append(&ran.store, &["E"]).await;
    ran.wait("it", |metrics| metrics.delivered == 5).await;
}

#[tokio::test]
async fn a_fault_that_comes_of_chance_is_tried_again_and_delivered() {
    let connector = Faulty {
        key: "BAD",
        times: Mutex::new(2),
        ..Faulty::default()
    };
    let ran = run(connector, &["A", "BAD"]).await;
    let metrics = ran.wait("both", |metrics| metrics.delivered == 2).await;
    assert_eq!((metrics.dead, metrics.state), (0, State::Running));
    assert_eq!(ran.came("BAD"), [false, true, true]);
}

#[tokio::test]
async fn an_engine_that_ends_by_a_fault_says_why_and_goes_on_counting_what_waits() {
    let connector = Faulty {
        at_settled: true,
        ..Faulty::default()
    };
    let ran = run(connector, &["A", "B", "C"]).await;
    let is_counted = |backlog| {
        move |metrics: &Metrics| (metrics.state, metrics.backlog) == (State::Stopped, backlog)
    };
    // Its step is on disk: what it told of it, nobody heard.
    let metrics = ran.wait("its end", is_counted(0)).await;
    assert_eq!(
        (metrics.detail.as_str(), metrics.last_error.as_str()),
        (FELL, FELL)
    );
    append(&ran.store, &["D", "E"]).await;
    ran.wait("what came since", is_counted(2)).await;
}

#[tokio::test]
async fn what_panics_is_caught_wherever_it_does() {
    assert_eq!(caught(async { 1 }).await, Some(1));
    let late = async {
        tokio::task::yield_now().await;
        panic!("late");
    };
    assert_eq!(caught(late).await.map(|()| 1), None);
    assert_eq!(unwound(|| 1), Some(1));
    assert_eq!(unwound(|| -> u8 { panic!("at once") }), None);
}
