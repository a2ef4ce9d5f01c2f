//! A flow that is held up while it reads a table again.

use dray_tests::disk::{Disk, Kind};

use super::*;
use crate::changes::{DISK_MIB, many_rows, narrow};

/// By then the server has given up to wait for the table, and the agent has heard that.
const ENDS_WITHIN_S: u64 = 20;

#[test]
fn a_flow_of_postgresql_that_is_held_up_leaves_no_transaction_open() {
    let server = postgres::Server::start();
    server.sql("CREATE TABLE stock (number text PRIMARY KEY, n bigint, quantity bigint); ALTER TABLE stock OWNER TO dray; INSERT INTO stock SELECT 'S' || n, n, 0 FROM generate_series(1, 9) n");
    let folder = folder("again-held-up");
    let disk = Disk::new(folder.path(), Kind::Ext4, DISK_MIB).expect("a disk");
    let (site, erp) = narrow(&folder, &disk, flow(&server, &["stock", "movement"]));
    stands(&site, "public.stock");
    is_done(&site);
    // A large transaction that is committed at a word: until then the table does not come.
    let word = "SELECT pg_advisory_lock(7); SELECT pg_sleep(600)";
    let waits = |is: bool| {
        format!("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = {is}")
    };
    let word = hold(&server, word, &waits(true));
    let client = server.client();
    let rows = many_rows();
    let insert = format!(
        "BEGIN; INSERT INTO movement (number, sku) SELECT 'M' || n, 'X' FROM generate_series(1, {rows}) n; SELECT pg_advisory_xact_lock(7); COMMIT"
    );
    let large = thread::spawn(move || client(&insert));
    wait("it is ready", || server.sql(&waits(false)) == "1");
    stands(&site, "public.stock");
    let locks = "BEGIN; LOCK TABLE stock IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(601)";
    let of = |sleep: u64| {
        format!(
            "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%pg_sleep({sleep})'"
        )
    };
    let table = hold(&server, locks, &format!("SELECT COUNT(*) {}", of(601)));
    disk.fill().expect("it fills");
    let asks = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%ACCESS SHARE%'";
    wait("a chunk has just been asked for", || {
        server.sql(&format!(
            "SELECT COUNT(*) {asks} AND now() - query_start < interval '1 s'"
        )) == "1"
    });
    let end = |sleep: u64| server.sql(&format!("SELECT pg_terminate_backend(pid) {}", of(sleep)));
    end(600);
    word.join().expect("it ended");
    large.join().expect("it ends").expect("it is committed");
    let agent = site.agent.as_ref().expect("it runs");
    agent
        .wait_log("\"waiting\",\"reason\":\"the disk of")
        .expect("it is held up");
    wait("the server gives up", || {
        server.sql(&format!("SELECT COUNT(*) {asks}")) == "0"
    });
    let clock = || {
        let seconds = server.sql("SELECT extract(epoch FROM now())::bigint");
        seconds.parse::<u64>().expect("seconds")
    };
    let since = clock();
    wait("no transaction is open", || {
        server.sql("SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'dray' AND state LIKE 'idle in transaction%'") == "0"
    });
    assert!(clock() - since < ENDS_WITHIN_S, "the agent ended it");
    disk.make_room().expect("there is room");
    end(601);
    table.join().expect("it ended");
    is_done(&site);
    assert!(erp.wait(PATIENCE, |events| events == rows + 18), "all come");
}
