//! Exact streams into tables: whoever is killed, whenever, each event is in once, and in the order of its key.

use std::sync::Arc;
use std::time::Duration;

use dray_store::Store;

use crate::servers::mariadb::Mariadb;
use crate::servers::postgres::Postgres;
use crate::servers::sqlite::Sqlite;
use crate::servers::{Server, finished, movements, start_as};
use crate::support::memory::Memory;

const KEYS: u64 = 37;
const ROUNDS: u64 = 24;
/// Events that come between two kills.
const EVENTS: u64 = 1_200;

/// Each movement is a row, by the database's own number.
const ADDED: &str = "table = \"movement\"\nmode = \"insert\"\ncolumns = { number = \"data.movement_number\", sku = \"key\", qty = \"data.quantity\", moved_at = \"data.moved_at\" }\n";
/// Each item is a row: its last movement.
const LAST: &str = "table = \"stock\"\nkey = [\"sku\"]\ncolumns = { number = \"data.movement_number\", sku = \"key\", qty = \"data.quantity\" }\n";

const COMMON: &str = "kind = \"sql\"\nbatch = 60\nconcurrency = 4\ntimeout = \"10s\"\n";

async fn stay_exact(mut server: impl Server, number_type: &str) {
    server.sql(&format!(
        "CREATE TABLE movement (n {number_type}, number varchar(40), sku varchar(40), qty decimal(12,3), moved_at timestamp NULL)"
    ));
    server.sql(
        "CREATE TABLE stock (sku varchar(40) PRIMARY KEY, number varchar(40), qty decimal(12,3))",
    );
    server.hand_over();
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
    for round in 0..ROUNDS {
        for block in 0..4 {
            let first = round * EVENTS + block * EVENTS / 4;
            movements(&store, "north/moves", first..first + EVENTS / 4, KEYS).await;
        }
        // Somewhere in the middle of it, at another moment each time.
        let some = (round * 7919) % (EVENTS / 3);
        let wait = targets[0].wait_for(|metrics| metrics.delivered >= some);
        let _ = tokio::time::timeout(Duration::from_secs(2), wait).await;
        if round % 8 == 5 {
            server.crash();
        }
        for target in targets {
            target.kill().await;
        }
        memory.crash(round % 2 == 0);
        targets = start();
    }
    let total = ROUNDS * EVENTS;
    for target in &targets {
        finished(&store, target, "north/moves", total).await;
    }
    assert_eq!(
        server.sql("SELECT COUNT(*), COUNT(DISTINCT number) FROM movement"),
        format!("{total}|{total}"),
        "none lost, none doubled"
    );
    let marks = "SELECT COUNT(*) FROM dray_delivered WHERE target = 'added'";
    let marks: u64 = server.sql(marks).parse().expect("a number");
    assert!(marks < total, "marks go: {marks}");
    let gone = "SELECT COUNT(*) FROM dray_delivered WHERE target = 'added' AND again = 2";
    assert_eq!(server.sql(gone), "1", "and it is said up to where");
    // As the database numbered them, each key's movements come in their order.
    let rows = server.sql("SELECT sku, number FROM movement ORDER BY n");
    let mut last = std::collections::HashMap::new();
    for row in rows.lines() {
        let (sku, number) = row.split_once('|').expect("two columns");
        let before = last.insert(sku.to_owned(), number.to_owned());
        assert!(
            before.is_none_or(|before| before.as_str() < number),
            "{sku}: {number}"
        );
    }
    assert_eq!(last.len() as u64, KEYS);
    let rows = server.sql("SELECT sku, number FROM stock");
    assert_eq!(rows.lines().count() as u64, KEYS);
    for row in rows.lines() {
        let (sku, number) = row.split_once('|').expect("two columns");
        assert_eq!(last[sku], number, "the newest of {sku}");
    }
    assert_eq!(crate::support::exceptions(&store), []);
    for target in targets {
        target.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_has_each_event_once_whoever_is_killed() {
    stay_exact(Postgres::start(), "bigserial").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_has_each_event_once_whoever_is_killed() {
    stay_exact(Mariadb::start(), "bigint AUTO_INCREMENT PRIMARY KEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_has_each_event_once_whoever_is_killed() {
    stay_exact(Sqlite::make(), "integer PRIMARY KEY AUTOINCREMENT").await;
}
