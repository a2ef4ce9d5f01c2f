//! What a table's target does with what a database does not want, and what a person reads.

use std::sync::Arc;

use dray_delivery::detail::Detail;
use dray_delivery::{State, actions};
use dray_store::ExceptionState::{Dead, Held};
use dray_store::Store;

use crate::servers::mariadb::Mariadb;
use crate::servers::postgres::Postgres;
use crate::servers::sqlite::Sqlite;
use crate::servers::{Server, config_as, finished, movement, put, start_as, wait_for};
use crate::support::{exceptions, open, states};

const OWN: &str = "kind = \"sql\"\nbatch = 50\n";
const STOCK: &str = "table = \"stock\"\nkey = [\"sku\"]\ncolumns = { sku = \"key\", qty = \"data.quantity\", moved_at = \"data.moved_at\", note = \"{{ site }}/{{ data.movement_number }}\" }\n";
const TABLE: &str = "CREATE TABLE stock (sku varchar(10) PRIMARY KEY, qty decimal(12,3) CHECK (qty < 1000), moved_at timestamp NULL, note varchar(40))";

fn made<S: Server>(server: S) -> S {
    server.sql(TABLE);
    server.sql("CREATE TABLE movement (number varchar(20))");
    server.hand_over();
    server
}

fn stock(server: &impl Server, more: &str) -> String {
    format!("{OWN}{more}{}{STOCK}", server.table())
}

async fn refuse_one(server: impl Server, places: bool) {
    let server = made(server);
    let store = open();
    let target = start_as(&store, "erp", &stock(&server, ""));
    let mut events: Vec<_> = (1..=40)
        .map(|at| movement(at, &format!("S{at:02}"), 1, "7.125"))
        .collect();
    events[6] = movement(7, "S07", 1, "1000");
    events[9] = movement(10, "longer than ten", 1, "1");
    events[20] = movement(21, "S21", 1, "0.0625");
    events.push(movement(41, "S07", 1, "8"));
    put(&store, "north/moves", &events).await;
    finished(&store, &target, "north/moves", 41).await;
    // SQLite knows neither lengths nor decimal places.
    let mut dead = vec![(7, Dead)];
    if places {
        dead.extend([(10, Dead), (21, Dead)]);
    }
    dead.push((41, Held));
    assert_eq!(states(&store), dead);
    let count = 41 - dead.len();
    assert_eq!(server.sql("SELECT COUNT(*) FROM stock"), count.to_string());
    let row = server.sql("SELECT sku, qty, moved_at, note FROM stock WHERE sku = 'S03'");
    assert!(
        row.starts_with("S03|7.125|2026-09-21") && row.ends_with("|north/MV000000003"),
        "{row}"
    );
    let found = exceptions(&store);
    let first = found
        .iter()
        .find(|found| found.offset.0 == 7)
        .expect("the seventh");
    assert!(
        first.reason.to_lowercase().contains("constraint"),
        "{}",
        first.reason
    );
    let detail = Detail::read(&first.detail);
    assert!(first.detail.contains("INSERT INTO"), "{detail:?}");
    // What was wrong is mended: the dead letter goes first, then what waited behind it.
    server.sql("DELETE FROM stock WHERE sku = 'S07'");
    server.widen();
    let id = first.id;
    actions::retry(&(Arc::clone(&store) as Arc<dyn Store>), id, false, None)
        .await
        .expect("it is dead");
    target.wake().await;
    wait_for(&target, "the key", |metrics| metrics.held == 0).await;
    assert_eq!(
        server
            .sql("SELECT qty FROM stock WHERE sku = 'S07'")
            .trim_end_matches(".000"),
        "8"
    );
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_refuses_the_bad_event_alone_and_rounds_nothing() {
    refuse_one(Postgres::start(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_refuses_the_bad_event_alone_and_rounds_nothing() {
    refuse_one(Mariadb::start(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_refuses_the_bad_event_alone() {
    refuse_one(Sqlite::make(), false).await;
}

/// A type of somebody's own is the type that it was made of, and keeps no more decimal places than that.
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_rounds_nothing_in_a_domain_either() {
    let server = Postgres::start();
    server.sql("CREATE DOMAIN amount AS numeric(12,2)");
    server.sql("CREATE DOMAIN price AS amount CHECK (VALUE > 0)");
    server.sql("CREATE TABLE movement (number text)");
    server
        .sql("CREATE TABLE stock (sku text PRIMARY KEY, qty price, moved_at timestamp, note text)");
    server.hand_over();
    let store = open();
    let target = start_as(&store, "erp", &stock(&server, ""));
    let events = [movement(1, "A", 1, "1.50"), movement(2, "B", 1, "1.125")];
    put(&store, "north/moves", &events).await;
    finished(&store, &target, "north/moves", 2).await;
    assert_eq!(server.sql("SELECT sku, qty FROM stock"), "A|1.50");
    let found = exceptions(&store);
    assert!(found[0].reason.contains("nothing is rounded"), "{found:?}");
    target.stop().await;
}

/// Under whatever column a masked value was sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_masked_value_is_not_shown_in_the_row_that_was_refused() {
    let server = made(Postgres::start());
    server.sql("ALTER TABLE stock ADD CONSTRAINT no_such CHECK (note <> 'north/MV000000001')");
    let store = open();
    let more = "mask = [\"movement_number\", \"/data/quantity\"]\n";
    let target = start_as(&store, "erp", &stock(&server, more));
    put(&store, "north/moves", &[movement(1, "A", 1, "7.1")]).await;
    finished(&store, &target, "north/moves", 1).await;
    let found = exceptions(&store);
    let kept = format!("{} {}", found[0].reason, found[0].detail);
    assert!(
        kept.contains("INSERT INTO") && kept.contains("no_such"),
        "{kept}"
    );
    for hidden in ["MV000000001", "\"7.1\"", "\\\"7.1\\\"", "7.100"] {
        assert!(!kept.contains(hidden), "{hidden} stands in {kept}");
    }
    target.stop().await;
}

async fn take_away(server: impl Server) {
    let server = made(server);
    let store = open();
    let target = start_as(&store, "erp", &stock(&server, ""));
    let event = |at, key, operation| movement(at, key, operation, "1");
    put(
        &store,
        "north/moves",
        &[event(1, "A", 1), event(2, "B", 1), event(3, "A", 3)],
    )
    .await;
    put(&store, "north/moves", &[event(4, "C", 3), event(5, "B", 2)]).await;
    finished(&store, &target, "north/moves", 5).await;
    assert_eq!(
        server.sql("SELECT sku, note FROM stock"),
        "B|north/MV000000005"
    );
    assert_eq!(states(&store), []);
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_takes_the_row_of_its_key_away() {
    take_away(Postgres::start()).await;
    take_away(Mariadb::start()).await;
    take_away(Sqlite::make()).await;
}

/// Until somebody resumes it, or until it is let in.
fn is_stopped(metrics: &dray_delivery::Metrics) -> bool {
    metrics.state == State::Paused || metrics.broken.is_some()
}

async fn mend(server: impl Server, steps: &[(&str, &str)]) {
    let store = open();
    put(&store, "north/moves", &[movement(1, "A", 1, "1")]).await;
    let target = start_as(&store, "erp", &stock(&server, ""));
    for (said, mends) in steps {
        wait_for(&target, said, |metrics| {
            is_stopped(metrics) && metrics.detail.contains(said)
        })
        .await;
        mends.split(';').for_each(|sql| drop(server.sql(sql)));
        target.resume().await.expect("it runs");
    }
    finished(&store, &target, "north/moves", 1).await;
    assert_eq!(server.sql("SELECT sku FROM stock"), "A");
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgresql_lacks_is_said_with_the_statement_that_mends_it() {
    let server = Postgres::start();
    server.sql("REVOKE CREATE ON SCHEMA public FROM dray");
    let steps = [
        (
            "has no table \"stock\"",
            "CREATE TABLE stock (sku text, qty numeric, moved_at timestamptz)",
        ),
        (
            "ALTER TABLE \"stock\" ADD COLUMN \"note\"",
            "ALTER TABLE stock ADD COLUMN note text",
        ),
        (
            "CREATE TABLE dray_delivered",
            "GRANT CREATE ON SCHEMA public TO dray",
        ),
        (
            "CREATE UNIQUE INDEX ON \"stock\" (sku)",
            "CREATE UNIQUE INDEX ON stock (sku)",
        ),
        (
            "GRANT SELECT, INSERT, UPDATE, DELETE ON \"stock\" TO dray",
            "GRANT ALL ON stock TO dray",
        ),
    ];
    mend(server, &steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mariadb_lacks_is_said_with_the_statement_that_mends_it() {
    let steps = [
        (
            "has no table `stock`",
            "CREATE TABLE stock (sku varchar(9), qty decimal(9,2), moved_at datetime) ENGINE = MyISAM",
        ),
        (
            "ADD COLUMN `note`",
            "ALTER TABLE stock ADD COLUMN note varchar(40) UNIQUE",
        ),
        ("ENGINE = InnoDB", "ALTER TABLE stock ENGINE = InnoDB"),
        ("ADD UNIQUE (`sku`)", "ALTER TABLE stock ADD UNIQUE (sku)"),
        ("the unique index note", "ALTER TABLE stock DROP INDEX note"),
    ];
    mend(Mariadb::start(), &steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqlite_lacks_is_said_with_the_statement_that_mends_it() {
    let steps = [
        (
            "has no table \"stock\"",
            "CREATE TABLE stock (sku, qty, moved_at)",
        ),
        ("ADD COLUMN \"note\"", "ALTER TABLE stock ADD COLUMN note"),
        (
            "CREATE UNIQUE INDEX ON \"stock\" (sku)",
            "CREATE UNIQUE INDEX one ON stock (sku)",
        ),
    ];
    mend(Sqlite::make(), &steps).await;
}

async fn wait_for_lock(server: &impl Server, hold: &str, release: &str, session: impl Fn(&str)) {
    let store = open();
    let target = start_as(&store, "erp", &stock(server, "timeout = \"500ms\"\n"));
    put(&store, "north/moves", &[movement(1, "A", 1, "1")]).await;
    finished(&store, &target, "north/moves", 1).await;
    session(hold);
    put(&store, "north/moves", &[movement(2, "A", 1, "2")]).await;
    let held = wait_for(&target, "a failure", |metrics| metrics.failures > 0).await;
    assert!(
        matches!(held.state, State::Waiting | State::Running),
        "{held:?}"
    );
    session(release);
    finished(&store, &target, "north/moves", 2).await;
    assert_eq!(states(&store), []);
    assert_eq!(server.sql("SELECT note FROM stock"), "north/MV000000002");
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_somebody_else_is_waited_for() {
    let server = made(Sqlite::make());
    let holder = std::sync::Mutex::new(rusqlite::Connection::open(server.file()).expect("a file"));
    wait_for_lock(&server, "BEGIN IMMEDIATE", "COMMIT", |sql| {
        let holder = holder.lock().expect("one thread");
        holder.execute_batch(sql).expect(sql);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_must_prove_its_name() {
    let (postgres, mariadb) = (made(Postgres::start()), made(Mariadb::start()));
    for (table, ca_file) in [
        (stock(&postgres, ""), postgres.ca_file()),
        (stock(&mariadb, ""), mariadb.ca_file()),
    ] {
        let store = open();
        put(&store, "north/moves", &[movement(1, "A", 1, "1")]).await;
        let with = |name: &str| {
            let named = table.replace("[sql]\n", &format!("[sql]\nserver_name = \"{name}\"\n"));
            format!("ca_file = \"{}\"\n{named}", ca_file.display())
        };
        let target = start_as(&store, "erp", &with("other.example"));
        let paused = wait_for(&target, "a pause", |metrics| metrics.state == State::Paused).await;
        assert!(
            paused.detail.contains("sql.server_name"),
            "{}",
            paused.detail
        );
        target.kill().await;
        let target = start_as(&store, "erp", &with("db.example"));
        target.resume().await.expect("it runs");
        finished(&store, &target, "north/moves", 1).await;
        target.stop().await;
    }
    let encrypted = postgres.sql("SELECT COUNT(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'dray' AND NOT ssl");
    assert_eq!(encrypted, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_pauses_and_is_not_told() {
    let server = made(Postgres::start());
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "wrong-s3cret\n").expect("a file");
    let mut config = config_as("erp", &stock(&server, ""));
    let right = std::mem::replace(
        &mut config.sql.as_mut().expect("a table").password_file,
        secret.clone(),
    );
    let store = open();
    put(&store, "north/moves", &[movement(1, "A", 1, "1")]).await;
    let target = dray_delivery::Target::start(config, Arc::clone(&store)).expect("it starts");
    let paused = wait_for(&target, "a pause", is_stopped).await;
    assert!(paused.detail.contains("28P01"), "{}", paused.detail);
    assert!(!format!("{paused:?}").contains("s3cret"));
    std::fs::copy(right, &secret).expect("the password");
    target.resume().await.expect("it runs");
    finished(&store, &target, "north/moves", 1).await;
    target.stop().await;
}
