//! The server tells a transaction before others see it, as where a standby is to confirm it.

use super::*;

#[test]
fn what_postgresql_has_told_and_does_not_show_yet_is_not_told_older() {
    let server = postgres::Server::start();
    server.sql("CREATE TABLE stock (number text PRIMARY KEY, n bigint, quantity bigint, note text); ALTER TABLE stock OWNER TO dray; INSERT INTO stock SELECT 'S' || n, 1, 0 FROM generate_series(1, 100) n");
    let folder = folder("again-hidden");
    let (site, erp) = begin(&folder, flow(&server, &["stock"]));
    wait("the log is read", || crate::postgres::is_streaming(&server));
    // A commit waits for a standby that never comes: it stands in the log, and nobody sees it.
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.sql("SELECT pg_reload_conf()");
    let client = server.client();
    let waits = thread::spawn(move || client("UPDATE stock SET n = 2 WHERE number = 'S7'"));
    assert!(erp.wait(PATIENCE, |events| events == 1), "it is told");
    assert_eq!(server.sql("SELECT n FROM stock WHERE number = 'S7'"), "1");
    stands(&site, "public.stock");
    let agent = site.agent.as_ref().expect("it runs");
    agent.wait_log("it waits for their end").expect("it waits");
    assert_eq!(erp.events(), 1);
    server.sql("ALTER SYSTEM RESET synchronous_standby_names");
    server.sql("SELECT pg_reload_conf()");
    waits.join().expect("it ends").expect("it is committed");
    assert!(erp.wait(PATIENCE, |events| events == 101), "all come");
    is_what_the_table_has(&server, &site, 100);
}

#[test]
fn a_table_of_postgresql_comes_where_a_slow_standby_confirms_and_writes_never_end() {
    let mut server = postgres::Server::start();
    server.sql("CREATE TABLE stock (number text PRIMARY KEY, n bigint, quantity bigint, note text); ALTER TABLE stock OWNER TO dray; INSERT INTO stock SELECT 'S' || n, 1, 0 FROM generate_series(1, 1000) n");
    let follower = server.follower();
    let folder = folder("again-slow");
    let (site, erp) = begin(&folder, flow(&server, &["stock"]));
    wait("the log is read", || crate::postgres::is_streaming(&server));
    // Each commit is told at once, and seen when it is applied there.
    follower.set("recovery_min_apply_delay", "100ms");
    server.set("synchronous_commit", "remote_apply");
    server.set("synchronous_standby_names", "*");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for me in 0..8 {
            let (client, stop) = (server.client(), &stop);
            scope.spawn(move || {
                let mut n = 1;
                while !stop.load(Ordering::SeqCst) {
                    n += 1;
                    client(&format!("UPDATE stock SET n = {n} WHERE number = 'S{me}'"))
                        .expect("it writes");
                }
            });
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            assert!(erp.wait(PATIENCE, |events| events > 100), "writes go on");
            stands(&site, "public.stock");
            is_done(&site);
        }));
        stop.store(true, Ordering::SeqCst);
        done.expect("it is done");
    });
    last(&server, &erp, "stock", "last");
    is_what_the_table_has(&server, &site, 1_000);
}
