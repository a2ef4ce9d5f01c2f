//! What becomes of a flow whose tables its publication tells of otherwise, or not at all.

use dray_tests::postgres::Server;

use crate::postgres_reports::{Watched, flow, insert};
use crate::{PATIENCE, wait};

/// Two tables change their names in one transaction, as tools do that alter large tables.
const SWAP: &str = "BEGIN; CREATE TABLE movement_new (LIKE movement INCLUDING ALL); INSERT INTO movement_new SELECT * FROM movement; \
    ALTER TABLE movement RENAME TO movement_old; ALTER TABLE movement_new RENAME TO movement; GRANT SELECT ON movement TO dray; COMMIT";

#[test]
fn a_table_that_left_the_publication_and_came_back_is_a_gap() {
    let server = Server::start();
    let mut watched = Watched::start("left", flow(&server, "on_gap = \"go-on\"", ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    server.sql("ALTER PUBLICATION dray_movements DROP TABLE movement");
    insert(&server, "B");
    server.sql("ALTER PUBLICATION dray_movements ADD TABLE movement");
    insert(&server, "C");
    watched.row("C");
    wait("it is noticed", || {
        watched.told().contains(&"gap not_told went_on".to_owned())
    });
    insert(&server, "D");
    watched.row("D");
    let told = watched.told();
    let gaps = told.iter().filter(|one| one.starts_with("gap"));
    assert_eq!(gaps.count(), 1, "{told:?}");
}

#[test]
fn a_table_that_is_made_anew_or_swapped_is_never_gone_on_with_in_silence() {
    for (name, changes) in [
        (
            "anew",
            "CREATE TABLE kept AS TABLE movement; DROP TABLE movement; CREATE TABLE movement (LIKE kept); ALTER TABLE movement ADD PRIMARY KEY (number); GRANT SELECT ON movement TO dray",
        ),
        ("swapped", SWAP),
    ] {
        let server = Server::start();
        let mut watched = Watched::start(name, flow(&server, "on_gap = \"load-again\"", ""));
        watched.reads();
        insert(&server, "A");
        watched.row("A");
        server.sql(changes);
        insert(&server, "B");
        let lacks = watched.agent().wait_log("lacks public.movement");
        lacks.expect("it is said within a minute");
        server.sql(
            "ALTER PUBLICATION dray_movements ADD TABLE movement; GRANT SELECT ON movement TO dray",
        );
        watched.stop();
        watched.start_again();
        watched.row("B");
        let told = watched.told();
        assert!(
            told.contains(&"gap not_told loads_again".to_owned()),
            "{name}: {told:?}"
        );
    }
}

#[test]
fn rows_of_a_table_that_is_called_otherwise_for_a_while_come() {
    let server = Server::start();
    let mut watched = Watched::start("called", flow(&server, "", ""));
    watched.reads();
    insert(&server, "A");
    watched.row("A");
    server.sql("ALTER TABLE movement RENAME TO other");
    server.sql("INSERT INTO other (number, sku) VALUES ('B', 'X')");
    server.sql("ALTER TABLE other RENAME TO movement");
    server.sql("BEGIN; ALTER TABLE movement RENAME TO other; INSERT INTO other (number, sku) VALUES ('C', 'X'); ALTER TABLE other RENAME TO movement; COMMIT");
    insert(&server, "D");
    assert!(
        watched.rows.wait(PATIENCE, |events| events == 4),
        "all of them"
    );
    let told = watched.told();
    for row in ["A", "B", "C", "D"] {
        assert!(told.contains(&format!("create {row}")), "{told:?}");
    }
}
