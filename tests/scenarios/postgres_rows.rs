//! What PostgreSQL's log says of rows: keys, large values, partitions.

use std::collections::BTreeSet;

use dray_tests::postgres::Server;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::logs::as_it_is;
use crate::postgres::is_streaming;
use crate::{PATIENCE, folder, target_table, wait};

#[test]
fn keys_that_change_tables_without_a_key_and_truncation_come_as_they_are() {
    let server = Server::start();
    server.sql("CREATE TABLE plain (number text, sku text); ALTER TABLE plain OWNER TO dray; INSERT INTO plain VALUES ('P1', 'A'), ('P1', 'A')");
    server.insert(0..1);
    let folder = folder("keys");
    let erp = Target::start(false).expect("a target");
    let source =
        server.source("public.movement") + "[[flow.source.table]]\nname = \"public.plain\"\n";
    let flow = FlowSpec {
        source,
        mapping: as_it_is("public.movement") + &as_it_is("public.plain"),
        ..server.flow()
    };
    let targets = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    assert!(erp.wait(PATIENCE, |events| events == 3), "they are loaded");
    server.sql("INSERT INTO plain VALUES ('P2', 'B'); UPDATE movement SET number = 'MV-NEW'; DELETE FROM movement; TRUNCATE movement, plain");
    server.insert(1..2);
    assert!(erp.wait(PATIENCE, |events| events >= 7), "they come");
    let events = site.log_records().expect("the log");
    let told = events.iter().map(|event| {
        let text = |name: &str| {
            event["data"]["fields"][name]
                .as_str()
                .unwrap_or("-")
                .to_owned()
        };
        format!(
            "{} {} {}",
            text("_op"),
            text("number"),
            text("before.number")
        )
    });
    let told: Vec<_> = told.collect();
    println!("{told:#?}");
    for expected in [
        "read MV0000000000 -",
        "read P1 -",
        "create P2 -",
        "update MV-NEW MV0000000000",
        "delete MV-NEW MV-NEW",
        "create MV0000000001 -",
    ] {
        assert!(
            told.iter().any(|told| told == expected),
            "{expected}: {told:#?}"
        );
    }
    let truncations = told.iter().filter(|told| told.starts_with("truncate"));
    assert_eq!(truncations.count(), 2, "{told:#?}");
}

#[test]
fn a_table_in_partitions_comes_under_its_own_name_once_all_may_be_read() {
    let server = Server::start();
    server.sql(
        "CREATE TABLE orders (number text, n bigint) PARTITION BY RANGE (n); CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (1000); \
         CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (1000) TO (2000); ALTER TABLE orders OWNER TO dray; ALTER TABLE orders_1 OWNER TO dray; \
         INSERT INTO orders SELECT 'O' || n, n FROM generate_series(0, 1999) n",
    );
    let folder = folder("parts");
    let erp = Target::start(false).expect("a target");
    let flow = FlowSpec {
        source: server.source("public.orders"),
        mapping: as_it_is("public.orders"),
        ..server.flow()
    };
    let targets = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    let agent = site.agent.as_ref().expect("it runs");
    let told = agent.wait_log("may not read public.orders_2");
    let told = told.expect("it says so");
    assert!(
        told.contains("GRANT SELECT ON \\\"public\\\".\\\"orders_2\\\" TO"),
        "{told}"
    );
    server.sql("GRANT SELECT ON orders_2 TO dray");
    assert!(erp.wait(PATIENCE, |events| events == 2_000), "all are read");
    wait("the log is read", || is_streaming(&server));
    server.sql("INSERT INTO orders VALUES ('P1', 5), ('P2', 1500)");
    assert!(erp.wait(PATIENCE, |events| events == 2_002), "both come");
    let numbers: BTreeSet<String> = erp.arrivals().into_iter().map(|one| one.key).collect();
    assert_eq!(numbers.len(), 2_002);
}

/// So long that it is kept beside its row.
const LARGE: usize = 5_000;

/// What the log is to say of the same changes: the operation, then number, state and note now and before. `=`: it did not say it.
const BY_KEY: [&str; 5] = [
    "create D1 new a5000 ~ ~ ~",
    "update D1 seen = D1 = =",
    "update D1 seen b5000 D1 = =",
    "update D2 seen = D1 = =",
    "delete D2 = = D2 = =",
];
const WHOLE: [&str; 5] = [
    "create D1 new a5000 ~ ~ ~",
    "update D1 seen a5000 D1 new a5000",
    "update D1 seen b5000 D1 seen a5000",
    "update D2 seen b5000 D1 seen b5000",
    "delete D2 seen b5000 D2 seen b5000",
];

#[test]
fn a_large_value_that_was_not_touched_is_unchanged_or_stands_in_the_old_row() {
    let server = Server::start();
    let identities = [
        ("by_key", "DEFAULT", BY_KEY),
        ("by_index", "USING INDEX by_index_place", BY_KEY),
        ("whole", "FULL", WHOLE),
    ];
    let mut source = String::new();
    let mut mapping = String::new();
    for (table, identity, _) in identities {
        server.sql(&format!(
            "CREATE TABLE {table} (number text {}, state text, note text); ALTER TABLE {table} OWNER TO dray; ALTER TABLE {table} ALTER note SET STORAGE EXTERNAL; \
             CREATE UNIQUE INDEX {table}_place ON {table} (number); ALTER TABLE {table} REPLICA IDENTITY {identity}",
            if table == "by_index" { "NOT NULL" } else { "PRIMARY KEY" }
        ));
        match source.is_empty() {
            true => source = server.source(&format!("public.{table}")),
            false => source += &format!("[[flow.source.table]]\nname = \"public.{table}\"\n"),
        }
        mapping += &as_it_is(&format!("public.{table}"));
    }
    let folder = folder("large");
    let erp = Target::start(false).expect("a target");
    let flow = FlowSpec {
        source,
        mapping,
        ..server.flow()
    };
    let targets = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    wait("the log is read", || is_streaming(&server));
    for (table, ..) in identities {
        server.sql(&format!(
            "INSERT INTO {table} VALUES ('D1', 'new', repeat('a', {LARGE})); UPDATE {table} SET state = 'seen'; UPDATE {table} SET note = repeat('b', {LARGE}); \
             UPDATE {table} SET number = 'D2'; DELETE FROM {table}"
        ));
    }
    assert!(erp.wait(PATIENCE, |events| events == 15), "they come");
    let events = site.log_records().expect("the log");
    for (table, identity, expected) in identities {
        let of_table = events.iter().filter(|event| {
            event["provenance"]["record_type"].as_str() == Some(&format!("public.{table}"))
        });
        let told: Vec<_> = of_table
            .map(|event| {
                let data = &event["data"];
                let unchanged: Vec<_> =
                    data["unchanged"].as_array().into_iter().flatten().collect();
                let cell = |name| match data["fields"][name].as_str() {
                    Some(long) if long.len() > 99 => format!("{}{}", &long[..1], long.len()),
                    Some(text) => text.to_owned(),
                    None if unchanged.iter().any(|one| *one == name) => "=".to_owned(),
                    None => "~".to_owned(),
                };
                [
                    "_op",
                    "number",
                    "state",
                    "note",
                    "before.number",
                    "before.state",
                    "before.note",
                ]
                .map(cell)
                .join(" ")
            })
            .collect();
        assert_eq!(told, expected, "{identity}");
    }
}
