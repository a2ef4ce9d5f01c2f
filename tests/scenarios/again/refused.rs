//! What can't come again is refused in words.

use super::*;

/// What can't be done is said, and nothing comes of it. `held` and `begun`: keeps the table from being read; `freed`: no more.
fn refused(server: &impl Database, fill: &str, [held, begun, freed]: [&str; 3]) {
    told(server, fill);
    let schema = server.schema();
    let folder = folder("again-refused");
    let mut flow = flow(server, &["stock", "keyless", "hidden"]);
    flow.source += "mask = { number = \"sha256\" }\n";
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let flows = [flow, FlowSpec::movements("files")];
    let site = Site::start(folder.path(), &flows, &targets).expect("a site");
    let stock = format!("{schema}.stock");
    stands(&site, &stock);
    is_done(&site);
    for (flow, table, expected) in [
        ("movements", "other", "the flow does not read"),
        ("movements", "keyless", "has no"),
        ("movements", "hidden", "hide it"),
        ("files", "stock", "a source of this kind can't"),
        ("others", "stock", "there is no flow"),
    ] {
        let (code, said) = ask(&site, flow, &format!("{schema}.{table}"));
        assert!(
            code == Some(1) && said.contains(expected),
            "{flow} {table}: {said}"
        );
    }
    let holds = hold(server, held, begun);
    stands(&site, &stock);
    let (code, said) = ask(&site, "movements", &stock);
    assert!(
        code == Some(1) && said.contains("asked for already"),
        "{said}"
    );
    let status = site.agent_command(&["status"]).expect("status").stdout;
    let status = String::from_utf8_lossy(&status).into_owned();
    let expected = format!("{stock} is loaded again: 0 rows so far");
    assert!(status.contains(&expected), "{status}");
    // The stream is not held up by it.
    last(server, &erp, "keyless", "last");
    let before = erp.events();
    told(server, freed);
    holds.join().expect("it ended");
    is_done(&site);
    assert!(
        erp.wait(PATIENCE, |events| events == before + 9),
        "it comes then"
    );
}

#[test]
fn what_postgresql_can_not_give_again_is_refused_in_words() {
    let server = postgres::Server::start();
    let tables = ["stock", "hidden", "keyless"].map(|table| {
        let key = if table == "keyless" { "" } else { "PRIMARY KEY" };
        format!("CREATE TABLE {table} (number text {key}, n bigint, quantity bigint); ALTER TABLE {table} OWNER TO dray; INSERT INTO {table} SELECT 'S' || n, n, 0 FROM generate_series(1, 9) n;")
    });
    // A transaction that wrote, and may have been told for all that is known.
    let held = "BEGIN; INSERT INTO movement (number, sku) VALUES ('M', 'X'); SELECT pg_sleep(600)";
    let of = "FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND query LIKE 'BEGIN; INSERT INTO movement%'";
    let begun = format!("SELECT COUNT(*) {of}");
    let freed = format!("SELECT pg_terminate_backend(pid) {of}");
    refused(&server, &tables.concat(), [held, &begun, &freed]);
}

#[test]
fn what_mariadb_can_not_give_again_is_refused_in_words() {
    let server = mariadb::Server::start();
    let tables = ["stock", "hidden", "keyless"].map(|table| {
        let key = if table == "keyless" { "" } else { "PRIMARY KEY" };
        format!("CREATE TABLE wms.{table} (number varchar(20) {key}, n bigint, quantity bigint) ENGINE = InnoDB; INSERT INTO wms.{table} SELECT CONCAT('S', seq), seq, 0 FROM wms.seq_1_to_9;")
    });
    let held = "LOCK TABLES wms.stock WRITE; SELECT SLEEP(600)";
    let of = "FROM information_schema.PROCESSLIST WHERE INFO = 'SELECT SLEEP(600)'";
    let begun = format!("SELECT COUNT(*) {of}");
    let freed = format!("SET @kill = (SELECT CONCAT('KILL ', ID) {of}); EXECUTE IMMEDIATE @kill");
    refused(&server, &tables.concat(), [held, &begun, &freed]);
}

#[test]
fn a_table_that_is_being_read_for_the_first_time_is_not_read_again() {
    let server = postgres::Server::start();
    server.insert(0..100);
    let held = "BEGIN; LOCK TABLE movement IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)";
    let of = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let folder = folder("again-first");
    let holds = hold(&server, held, &format!("SELECT COUNT(*) {of}"));
    let (site, erp) = begin(&folder, server.flow());
    wait("it is refused", || {
        let (code, said) = ask(&site, "movements", "public.movement");
        code == Some(1) && said.contains("for the first time")
    });
    server.sql(&format!("SELECT pg_terminate_backend(pid) {of}"));
    holds.join().expect("it ended");
    assert!(erp.wait(PATIENCE, |events| events == 100), "they come");
    stands(&site, "public.movement");
    assert!(erp.wait(PATIENCE, |events| events == 200), "and again");
}

#[test]
fn a_table_whose_partitions_are_told_by_their_own_names_is_refused() {
    let server = postgres::Server::start();
    server.sql(
        "CREATE TABLE parts (number text, day date, n bigint, PRIMARY KEY (day, number)) PARTITION BY RANGE (day); ALTER TABLE parts OWNER TO dray; \
         CREATE TABLE parts_1 PARTITION OF parts DEFAULT; ALTER TABLE parts_1 OWNER TO dray; \
         INSERT INTO parts SELECT 'P' || n, '2026-01-01', n FROM generate_series(1, 9) n",
    );
    let folder = folder("again-parts");
    let (site, erp) = begin(&folder, flow(&server, &["parts"]));
    stands(&site, "public.parts");
    is_done(&site);
    let via_root = |is: bool| {
        server.sql(&format!(
            "ALTER PUBLICATION dray_movements SET (publish_via_partition_root = {is})"
        ))
    };
    via_root(false);
    let (code, said) = ask(&site, "movements", "public.parts");
    assert!(
        code == Some(1) && said.contains("does not tell of public.parts by this name"),
        "{said}"
    );
    via_root(true);
    stands(&site, "public.parts");
    assert!(erp.wait(PATIENCE, |events| events == 18), "it comes then");
}
