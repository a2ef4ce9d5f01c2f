//! The table is emptied or altered while it is read.

use super::*;

/// The table is emptied while it is read: what it has then is what the stream tells.
fn emptied(server: &impl Database, fill: &str) {
    told(server, fill);
    let schema = server.schema();
    let folder = folder("again-emptied");
    let (site, erp) = begin(&folder, flow(server, &["stock"]));
    stands(&site, &format!("{schema}.stock"));
    wait("some rows are read", || {
        doing(&site).is_some_and(|doing| !doing.contains(": 0 rows"))
    });
    told(server, &format!("TRUNCATE TABLE {schema}.stock"));
    told(
        server,
        &format!(
            "INSERT INTO {schema}.stock (number, n, quantity) VALUES ('A', 1, 1), ('B', 1, 1)"
        ),
    );
    is_done(&site);
    last(server, &erp, "stock", "last");
    let events = site.log_events().expect("the log");
    let letter = events.iter().position(|event| {
        event["type"]
            .as_str()
            .is_some_and(|kind| kind.contains("dead"))
    });
    let letter = letter.unwrap_or_else(|| panic!("no truncation: {:?}", events.last()));
    let behind = events[letter + 1..].iter();
    let behind: Vec<_> = behind
        .map(|event| (&event["key"], &event["data"]["fields"]["_op"]))
        .collect();
    let told: Vec<_> = behind
        .iter()
        .map(|(key, op)| format!("{key} {op}"))
        .collect();
    assert!(
        told.iter().all(|one| !one.contains("\"S")),
        "rows that are gone come behind that: {told:?}"
    );
    assert!(told.len() >= 3, "{told:?}");
}

#[test]
fn a_table_of_postgresql_that_is_emptied_while_it_is_read_stays_empty() {
    let server = postgres::Server::start();
    emptied(
        &server,
        "CREATE TABLE stock (number text PRIMARY KEY, n bigint, quantity bigint, note text); ALTER TABLE stock OWNER TO dray; \
         INSERT INTO stock SELECT 'S' || n, 0, 0, CASE n WHEN 1 THEN (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i) END FROM generate_series(1, 20000) n",
    );
}

#[test]
fn a_table_of_mariadb_that_is_emptied_while_it_is_read_stays_empty() {
    let server = mariadb::Server::start();
    emptied(
        &server,
        "CREATE TABLE wms.stock (number varchar(20) PRIMARY KEY, n bigint, quantity bigint, note mediumtext) ENGINE = InnoDB; \
         INSERT INTO wms.stock SELECT CONCAT('S', seq), 0, 0, REPEAT('n', 100) FROM wms.seq_1_to_200000",
    );
}

/// The table's key is another one while it is read, in another order: what is behind the last row is not what is left. All rows come all the same.
fn another_key(server: &impl Database, fill: &str, alter: &str) {
    told(server, fill);
    let schema = server.schema();
    let folder = folder("again-key");
    let (site, erp) = begin(&folder, flow(server, &["stock"]));
    stands(&site, &format!("{schema}.stock"));
    wait("some rows are read", || {
        doing(&site).is_some_and(|doing| !doing.contains(": 0 rows"))
    });
    told(server, alter);
    let agent = site.agent.as_ref().expect("it runs");
    let expected = "it has another key than before";
    agent.wait_log(expected).expect("it begins anew");
    is_done(&site);
    last(server, &erp, "stock", "last");
    is_what_the_table_has(server, &site, 2_000);
}

/// Rows whose order by `n` is the other way round, one of them large, so that chunks are small.
fn postgresql_rows(key: &str) -> String {
    format!(
        "CREATE TABLE stock (number text {key} PRIMARY KEY, n bigint NOT NULL, quantity bigint, note text); ALTER TABLE stock OWNER TO dray; \
         INSERT INTO stock SELECT CASE n % 2 WHEN 0 THEN 's' ELSE 'S' END || n, 100000 - n, 0, CASE n WHEN 1 THEN (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i) END FROM generate_series(1, 20000) n"
    )
}

#[test]
fn a_table_of_postgresql_whose_key_is_other_columns_meanwhile_comes_whole() {
    let server = postgres::Server::start();
    let alter = "BEGIN; ALTER TABLE stock DROP CONSTRAINT stock_pkey; ALTER TABLE stock ADD PRIMARY KEY (n); COMMIT";
    another_key(&server, &postgresql_rows("COLLATE \"C\""), alter);
}

#[test]
fn a_table_of_postgresql_whose_key_has_another_order_meanwhile_comes_whole() {
    let server = postgres::Server::start();
    // Large letters stand before small ones, and beside them then: of what is told in the log that changes nothing.
    let alter = "ALTER TABLE stock ALTER number TYPE text COLLATE \"und-x-icu\"";
    another_key(&server, &postgresql_rows("COLLATE \"C\""), alter);
}

#[test]
fn a_table_of_mariadb_whose_key_is_of_another_type_meanwhile_comes_whole() {
    let server = mariadb::Server::start();
    let fill = "CREATE TABLE wms.stock (number varchar(20) COLLATE utf8mb4_bin PRIMARY KEY, n bigint NOT NULL, quantity bigint, note mediumtext) ENGINE = InnoDB; \
                INSERT INTO wms.stock SELECT CONCAT(IF(seq % 2, 'S', 's'), seq), 1000000 - seq, 0, REPEAT('n', 1000) FROM wms.seq_1_to_60000";
    let alter = "LOCK TABLES wms.stock WRITE; ALTER TABLE wms.stock DROP PRIMARY KEY, ADD PRIMARY KEY (n); UNLOCK TABLES";
    another_key(&server, fill, alter);
}

#[test]
fn a_table_of_mariadb_whose_key_has_another_order_meanwhile_comes_whole() {
    let server = mariadb::Server::start();
    let fill = "CREATE TABLE wms.stock (number varchar(20) COLLATE utf8mb4_bin PRIMARY KEY, n bigint NOT NULL, quantity bigint, note mediumtext) ENGINE = InnoDB; \
                INSERT INTO wms.stock SELECT CONCAT(IF(seq % 2, 'S', 's'), seq), 1000000 - seq, 0, REPEAT('n', 1000) FROM wms.seq_1_to_60000";
    let alter = "LOCK TABLES wms.stock WRITE; ALTER TABLE wms.stock MODIFY number varchar(20) COLLATE utf8mb4_general_ci; UNLOCK TABLES";
    another_key(&server, fill, alter);
}

#[test]
fn a_key_of_postgresql_that_is_kept_apart_is_told_where_another_column_changes() {
    let server = postgres::Server::start();
    // A part of the key is as large as an index takes, and not compressed: the row keeps it in another file, and its changes don't repeat it.
    server.sql(
        "CREATE TABLE stock (number text, n bigint, quantity bigint, note text, apart text DEFAULT 'a', PRIMARY KEY (apart, number)); ALTER TABLE stock OWNER TO dray; \
         ALTER TABLE stock ALTER apart SET STORAGE EXTERNAL; \
         INSERT INTO stock SELECT 'S' || n, 0, 0, NULL, (SELECT string_agg(md5(n || ' ' || i), '') FROM generate_series(1, 72) i) FROM generate_series(1, 300) n",
    );
    let is_apart = "SELECT pg_relation_size(reltoastrelid) > 300 * 2000 FROM pg_class WHERE oid = 'stock'::regclass";
    assert_eq!(server.sql(is_apart), "t");
    let folder = folder("again-apart");
    let (site, erp) = begin(&folder, flow(&server, &["stock"]));
    wait("the log is read", || crate::postgres::is_streaming(&server));
    server.sql("UPDATE stock SET quantity = 1, n = 1");
    assert!(erp.wait(PATIENCE, |events| events == 300), "they are told");
    for event in site.log_records().expect("the log") {
        let fields = &event["data"]["fields"];
        let apart = fields["apart"]
            .as_str()
            .unwrap_or_else(|| panic!("{event}"));
        assert_eq!(apart.len(), 72 * 32);
        assert_eq!(fields["before.apart"], fields["apart"]);
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = server.client();
        let stop = &stop;
        scope.spawn(move || {
            let mut n = 1;
            while !stop.load(Ordering::SeqCst) {
                n += 1;
                let changed = client(&format!("UPDATE stock SET quantity = {n}, n = {n} WHERE abs(hashtext(number)) % 10 = {n} % 10"));
                changed.expect("it writes");
            }
        });
        stands(&site, "public.stock");
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| is_done(&site)));
        stop.store(true, Ordering::SeqCst);
        done.expect("it is done");
    });
    last(&server, &erp, "stock", "last");
    is_what_the_table_has(&server, &site, 0);
}
