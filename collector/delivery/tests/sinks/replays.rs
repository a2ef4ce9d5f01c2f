//! Events that a table gets once more: what stands in it then, whoever is killed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use dray_delivery::TargetHandle;
use dray_delivery::replay::{self, Asked, EXPIRES_DEFAULT, Filter};
use dray_store::{ReplayProgress, ReplayState, Store};

use crate::servers::mariadb::Mariadb;
use crate::servers::postgres::Postgres;
use crate::servers::sqlite::Sqlite;
use crate::servers::{Server, config_as, finished, movement, movements, put, start_as, wait_for};
use crate::support::memory::Memory;

const KEYS: u64 = 37;
const FLOW: &str = "north/moves";
const NOW_US: i64 = 1_790_000_000_000_000;

/// Each movement is a row.
const ADDED: &str = "table = \"movement\"\nmode = \"insert\"\ncolumns = { number = \"data.movement_number\", sku = \"key\" }\n";
/// Each item is a row: its last movement.
const LAST: &str = "table = \"stock\"\nkey = [\"sku\"]\ncolumns = { number = \"data.movement_number\", sku = \"key\" }\n";

const COMMON: &str = "kind = \"sql\"\nbatch = 20\nconcurrency = 4\ntimeout = \"10s\"\n";

fn made<S: Server>(server: S) -> S {
    server.sql("CREATE TABLE movement (number varchar(40), sku varchar(40))");
    server.sql("CREATE TABLE stock (sku varchar(40) PRIMARY KEY, number varchar(40))");
    server.hand_over();
    server
}

/// Plans a replay of these offsets and approves it; the target is to be told.
async fn approved(
    store: &Arc<dyn Store>,
    (name, more): (&str, &str),
    of: Range<u64>,
    rate: u32,
) -> u64 {
    let asked = Asked {
        // Where rows are only added nothing is put back.
        older: name == "added",
        filter: Filter {
            flows: vec![FLOW.into()],
            from: of.start,
            to: of.end - 1,
            ..Filter::default()
        },
        rate,
        expires: EXPIRES_DEFAULT,
        by: "uid 1001".into(),
    };
    let planned = replay::plan(store, &config_as(name, more), asked, NOW_US).await;
    let id = planned.expect("a plan");
    let found = store.replay(id).expect("the store answers");
    let hash = hex::encode(found.expect("it was planned").hash);
    let agreed = replay::approve(store, id, &hash, "uid 1002", NOW_US).await;
    agreed.expect("somebody else agrees");
    id
}

fn progress(store: &Arc<dyn Store>, id: u64) -> (ReplayState, ReplayProgress) {
    let found = store.replay(id).expect("the store answers");
    let found = found.expect("it was planned");
    (found.state, found.progress)
}

async fn done(store: &Arc<dyn Store>, target: &TargetHandle, id: u64) -> ReplayProgress {
    let is_done = |_: &_| progress(store, id).0 == ReplayState::Done;
    wait_for(target, "the replay's end", is_done).await;
    progress(store, id).1
}

fn rows(server: &impl Server, sql: &str) -> Vec<(String, String)> {
    let rows = server.sql(sql);
    let pair = |row: &str| {
        let (first, second) = row.split_once('|').expect("two columns");
        (first.to_owned(), second.to_owned())
    };
    rows.lines().map(pair).collect()
}

async fn come_again(server: impl Server) {
    const EVENTS: u64 = 600;
    const LIVE: u64 = 30;
    const ROUNDS: u64 = 6;
    let server = made(server);
    let memory = Memory::slow();
    let store: Arc<dyn Store> = memory.clone();
    let tables = [
        ("added", format!("{COMMON}{}{ADDED}", server.table())),
        ("last", format!("{COMMON}{}{LAST}", server.table())),
    ];
    let start = || {
        tables
            .each_ref()
            .map(|(name, more)| start_as(&store, name, more))
    };
    let mut targets = start();
    movements(&store, FLOW, 0..EVENTS, KEYS).await;
    for target in &targets {
        finished(&store, target, FLOW, EVENTS).await;
    }
    // One table was set back, with its marks; somebody emptied the other.
    server.sql("DELETE FROM movement WHERE number > 'MV000000400'");
    server.sql("DELETE FROM dray_delivered WHERE target = 'added' AND log_offset > 400");
    server.sql("DELETE FROM stock");
    let mut ids = Vec::new();
    for (name, more) in &tables {
        ids.push(approved(&store, (name, more), 1..EVENTS + 1, 400).await);
    }
    for round in 0..ROUNDS {
        for target in &targets {
            target.look_at_replays().await;
        }
        let first = EVENTS + round * LIVE;
        movements(&store, FLOW, first..first + LIVE, KEYS).await;
        let settled = progress(&store, ids[0]).1.through;
        let wait = targets[0].wait_for(|metrics| metrics.replay.1 > settled + 20);
        let _ = tokio::time::timeout(Duration::from_secs(2), wait).await;
        for target in targets {
            target.kill().await;
        }
        memory.crash(round % 2 == 0);
        targets = start();
    }
    let total = EVENTS + ROUNDS * LIVE;
    for (target, id) in targets.iter().zip(&ids) {
        target.look_at_replays().await;
        let progress = done(&store, target, *id).await;
        assert_eq!(progress.refused, 0, "{progress:?}");
        assert_eq!(progress.delivered + progress.overtaken, EVENTS);
        finished(&store, target, FLOW, total).await;
    }
    let all = rows(&server, "SELECT sku, number FROM movement ORDER BY number");
    let mut newest = HashMap::new();
    for (sku, number) in &all {
        newest.insert(sku.clone(), number.clone());
    }
    let different: std::collections::HashSet<_> = all.iter().map(|(_, number)| number).collect();
    assert_eq!(
        (all.len(), different.len()),
        (total as usize, total as usize),
        "none lost, none doubled"
    );
    let stock: HashMap<_, _> = rows(&server, "SELECT sku, number FROM stock")
        .into_iter()
        .collect();
    assert_eq!(stock, newest, "each item's row is its last movement's");
    for target in targets {
        target.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_to_postgresql_is_there_once_whoever_is_killed() {
    come_again(Postgres::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_to_mariadb_is_there_once_whoever_is_killed() {
    come_again(Mariadb::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_to_sqlite_is_there_once_whoever_is_killed() {
    come_again(Sqlite::make()).await;
}

/// Marks are not kept for ever: of what is older nobody knows whether its row is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_mark_any_more_is_not_added_a_second_time() {
    const EVENTS: u64 = 21_000;
    let server = made(Sqlite::make());
    let store: Arc<dyn Store> = Memory::slow();
    let more = format!(
        "kind = \"sql\"\nbatch = 500\ntimeout = \"10s\"\n{}{ADDED}",
        server.table()
    );
    let target = start_as(&store, "added", &more);
    for block in 0..EVENTS / 1_000 {
        movements(&store, FLOW, block * 1_000..block * 1_000 + 1_000, 1_000).await;
        finished(&store, &target, FLOW, block * 1_000 + 1_000).await;
    }
    let oldest = "SELECT MIN(log_offset) FROM dray_delivered WHERE again = 0";
    let kept: u64 = server.sql(oldest).parse().expect("a number");
    assert!(kept > 3_000, "marks went: {kept}");
    // The first of these are not known any more, the last are.
    let id = approved(&store, ("added", &more), kept - 5..kept + 5, 10_000).await;
    target.look_at_replays().await;
    let progress = done(&store, &target, id).await;
    assert_eq!((progress.refused, progress.delivered), (5, 5));
    let count = server.sql("SELECT COUNT(*), COUNT(DISTINCT number) FROM movement");
    assert_eq!(count, format!("{EVENTS}|{EVENTS}"), "none is doubled");
    target.stop().await;
}

/// What was sent before a kill and has no outcome on disk comes again, and changes nothing: so a replay of something
/// older must not come in between.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_a_replay_puts_nothing_in_front_of_what_may_be_there() {
    let server = made(Sqlite::make());
    let memory = Memory::slow();
    let store: Arc<dyn Store> = memory.clone();
    let more = format!(
        "kind = \"sql\"\nbatch = 1\nconcurrency = 2\ntimeout = \"300ms\"\n{}{LAST}",
        server.table()
    );
    let target = start_as(&store, "last", &more);
    let event = |at, key| movement(at, key, 1, "1");
    let first = [event(1, "A"), event(2, "B"), event(3, "C")];
    put(&store, FLOW, &first).await;
    finished(&store, &target, FLOW, 3).await;
    let id = approved(&store, ("last", &more), 1..2, 10_000).await;
    // Newer ones are in the table, and the disk of the collector does not know it when it is killed.
    memory.hold(true);
    let second = [event(4, "B"), event(5, "C"), event(6, "A")];
    put(&store, FLOW, &second).await;
    wait_for(&target, "the newer rows", |_| {
        server.sql("SELECT number FROM stock WHERE sku = 'A'") == "MV000000006"
    })
    .await;
    target.kill().await;
    memory.crash(false);
    memory.hold(false);
    // While nothing can be written, the replay finds its place in the lanes.
    let holder = rusqlite::Connection::open(server.file()).expect("a file");
    holder.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let target = start_as(&store, "last", &more);
    target.look_at_replays().await;
    wait_for(&target, "failures", |metrics| {
        metrics.failures >= 6 && metrics.replay.0 == id
    })
    .await;
    holder.execute_batch("COMMIT").expect("a lock");
    drop(holder);
    let progress = done(&store, &target, id).await;
    finished(&store, &target, FLOW, 6).await;
    assert_eq!(
        server.sql("SELECT number FROM stock WHERE sku = 'A'"),
        "MV000000006",
        "the newest stays"
    );
    assert_eq!((progress.overtaken, progress.delivered), (1, 0));
    target.stop().await;
}

/// Whoever fetched the file lost it: a list of what was in it is no reason to leave it out.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_to_files_is_in_a_file_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store: Arc<dyn Store> = Memory::slow();
    let more = format!(
        "kind = \"file\"\nbatch = 10\n[file]\nfolder = \"{}\"\nformat = \"jsonl\"\n[[file.field]]\nname = \"n\"\nvalue = \"offset\"\n",
        folder.path().display()
    );
    let target = start_as(&store, "files", &more);
    movements(&store, FLOW, 0..5, 5).await;
    finished(&store, &target, FLOW, 5).await;
    // Takes away what is there.
    let fetched = || {
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(folder.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let text = std::fs::read_to_string(&path).expect("a file");
                lines.extend(text.lines().map(str::to_owned));
                std::fs::remove_file(&path).expect("a file");
            }
        }
        lines.sort();
        lines
    };
    let first = fetched();
    assert_eq!(first.len(), 5);
    let id = approved(&store, ("files", &more), 1..6, 10_000).await;
    target.look_at_replays().await;
    assert_eq!(done(&store, &target, id).await.delivered, 5);
    assert_eq!(fetched(), first);
    target.stop().await;
}
