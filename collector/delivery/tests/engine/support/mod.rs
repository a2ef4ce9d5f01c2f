//! What the engine's tests stand on: a store, a way to fill it, and an ERP that does as it is told.
#![allow(dead_code, unreachable_pub)] // Each test binary uses a part.

pub mod erp;
pub mod memory;
mod remembered;

use std::sync::Arc;
use std::time::Duration;

use dray_delivery::budget::Budgets;
use dray_delivery::{Catalogue, FlowConfig, Metrics, Target, TargetConfig, TargetHandle};
use dray_proto::event::number;
use dray_proto::v1::{Block, BlockHeader};
use dray_proto::{EventId, FlowName, block, schema, wire};
use dray_store::{Cursor, Exception, ExceptionQuery, ExceptionState, Options, SqliteStore, Store};

/// Longer than anything here takes; only a broken test waits for it.
pub const LIMIT: Duration = Duration::from_secs(30);
pub const CAPTURED_US: i64 = 1_790_000_000_000_000;

/// A store on disk, in a folder that goes with it.
pub struct Disk {
    store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for Disk {
    type Target = Arc<dyn Store>;

    fn deref(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

pub fn open() -> Disk {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(Options::in_folder(folder.path())).expect("an empty folder");
    Disk {
        store: Arc::new(store),
        _folder: folder,
    }
}

pub fn flow(name: &str) -> FlowName {
    FlowName::parse(name).expect("a name")
}

/// The event of this flow and sequence.
pub fn event(sequence: u64, key: &str, body: &str) -> Vec<u8> {
    let mut out = envelope(sequence, key);
    let number = schema::body(body).map_or(60, |body| body.number);
    wire::put_message(&mut out, number, |out| {
        wire::put_text(out, 1, &format!("{key} {sequence}"))
    });
    out
}

fn envelope(sequence: u64, key: &str) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_bytes(
        &mut out,
        number::ID,
        EventId::new([7; 10], sequence, 0).as_bytes(),
    );
    wire::put_text(&mut out, number::KEY, key);
    wire::put_integer(&mut out, number::OPERATION, 1);
    wire::put_timestamp(&mut out, number::CAPTURED_AT, CAPTURED_US);
    wire::put_integer(&mut out, number::SCHEMA_VERSION, 1);
    out
}

/// The same with texts in these fields of its body: the field's number, and that of a field within it, or 0.
pub fn event_with(sequence: u64, key: &str, body: &str, fields: &[(u32, u32, &str)]) -> Vec<u8> {
    let mut out = envelope(sequence, key);
    let body = schema::body(body).expect("a body");
    wire::put_message(&mut out, body.number, |out| {
        wire::put_text(out, 1, &format!("{key} {sequence}"));
        for (number, within, text) in fields {
            match within {
                0 => wire::put_text(out, *number, text),
                within => wire::put_message(out, *number, |out| wire::put_text(out, *within, text)),
            }
        }
    });
    out
}

pub fn block_of(store: &dyn Store, name: &FlowName, events: &[Vec<u8>]) -> Block {
    let mut builder = block::Builder::default();
    events
        .iter()
        .for_each(|event| builder.push(event, CAPTURED_US));
    let encoded = builder.close().expect("at least one event");
    let held = store.held(name);
    let first_sequence = held.next_sequence.0.max(1);
    Block {
        header: Some(BlockHeader {
            flow: name.flow().to_owned(),
            epoch: 42,
            first_sequence,
            count: encoded.count,
            first_captured_us: encoded.first_captured_us,
            last_captured_us: encoded.last_captured_us,
            codec: encoded.codec as i32,
            decoded_bytes: encoded.decoded_bytes,
            crc32c: encoded.crc32c,
            position: first_sequence.to_string().into(),
            chain: held.chain,
            chain_after: held.chain.wrapping_mul(31) + first_sequence,
            dead_letters: 0,
        }),
        payload: encoded.payload,
    }
}

/// Appends one block of events with these keys and returns the newest offset.
pub async fn append_as(store: &Arc<dyn Store>, name: &str, body: &str, keys: &[&str]) -> u64 {
    let name = flow(name);
    let first = store.held(&name).next_sequence.0.max(1);
    let events: Vec<_> = (first..)
        .zip(keys)
        .map(|(sequence, key)| event(sequence, key, body))
        .collect();
    let block = block_of(&**store, &name, &events);
    append_block(store, &name, block).await
}

pub async fn append_block(store: &Arc<dyn Store>, name: &FlowName, block: Block) -> u64 {
    let held = store
        .append("a-1", name, vec![block])
        .await
        .expect("the writer runs")
        .expect("it is taken");
    held.newest_offset.0
}

pub async fn append(store: &Arc<dyn Store>, name: &str, keys: &[&str]) -> u64 {
    append_as(store, name, "shipment", keys).await
}

/// A target's table; short waits.
pub fn config(url: &str, more: &str) -> TargetConfig {
    let retry = if more.contains("[retry]") {
        ""
    } else {
        "\n[retry]\nfirst = \"20ms\"\nmax = \"100ms\"\n"
    };
    toml::from_str(&format!("name = \"erp\"\nurl = \"{url}\"\n{more}{retry}")).expect("a table")
}

pub fn start(store: &Arc<dyn Store>, url: &str, more: &str) -> TargetHandle {
    Target::start(config(url, more), Arc::clone(store)).expect("a good configuration")
}

/// Starts it with `[[flow]]` and `[budgets]` tables.
pub fn start_agreed(store: &Arc<dyn Store>, url: &str, more: &str, agreed: &str) -> TargetHandle {
    #[derive(serde::Deserialize)]
    struct Agreed {
        #[serde(default)]
        flow: Vec<FlowConfig>,
        #[serde(default)]
        budgets: Budgets,
    }
    let agreed: Agreed = toml::from_str(agreed).expect("tables");
    let mut config = config(url, more);
    config.catalogue = Arc::new(Catalogue::new(&agreed.flow, &agreed.budgets));
    Target::start(config, Arc::clone(store)).expect("a good configuration")
}

/// Waits for figures; panics with what they are instead.
pub async fn wait(handle: &TargetHandle, what: &str, enough: impl Fn(&Metrics) -> bool) -> Metrics {
    let waited = tokio::time::timeout(LIMIT, handle.wait_for(&enough)).await;
    let metrics = waited.unwrap_or_else(|_| panic!("{what} did not come: {:#?}", handle.status()));
    assert!(enough(&metrics), "{what}: the engine ended: {metrics:#?}");
    metrics
}

pub fn exceptions(store: &Arc<dyn Store>) -> Vec<Exception> {
    let query = ExceptionQuery {
        limit: 10_000,
        ..ExceptionQuery::default()
    };
    store.exceptions(&query).expect("the store answers")
}

/// (offset, state) of all exceptions, by offset.
pub fn states(store: &Arc<dyn Store>) -> Vec<(u64, ExceptionState)> {
    let mut states: Vec<_> = exceptions(store)
        .iter()
        .map(|found| (found.offset.0, found.state))
        .collect();
    states.sort_by_key(|(offset, _)| *offset);
    states
}

pub fn cursor(store: &Arc<dyn Store>, name: &str) -> Option<Cursor> {
    let cursors = store.cursors("target:erp").expect("the store answers");
    cursors
        .into_iter()
        .find(|(found, _)| found.as_str() == name)
        .map(|(_, cursor)| cursor)
}

/// The exception of this offset.
pub fn id_of(store: &Arc<dyn Store>, offset: u64) -> u64 {
    exceptions(store)
        .iter()
        .find(|found| found.offset.0 == offset)
        .expect("it is an exception")
        .id
}
