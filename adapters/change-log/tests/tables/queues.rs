//! Rows that are marked or deleted once they are appended.

use std::time::Instant;

use dray_adapter::conformance::{Agent, Pace, Place as _, PolledOnce, shown};
use dray_adapter::{Polled, SourceError};

use super::{PATIENCE, Table, stands};

const MARK: &str =
    "mode = 'mark-processed'\nprocessed = { column = 'state', unread = '0', done = '1' }";
const DELETE: &str = "mode = 'delete-after-read'";

/// Takes one batch, appends it and says so, so that its rows are marked; what follows is not appended.
fn one_page(agent: &mut Agent) {
    let end = Instant::now() + PATIENCE;
    while agent.poll() != PolledOnce::Batch {
        assert!(Instant::now() < end, "no page");
    }
    agent.append();
    agent.commit();
}

#[test]
fn an_agent_that_is_killed_right_after_it_deleted_rows_takes_others_of_their_ids_for_others() {
    let mut table = Table::new(DELETE);
    let first = table.add().expect("rows");
    let mut agent = Agent::open(table.source());
    one_page(&mut agent);
    table.wait_count("1 = 1", 0);
    agent.kill();
    // Their ids are 1 to 3 again, and nothing but their content tells them apart.
    table.sql("INSERT INTO stock (sku, written) VALUES ('N', 1), ('N', 2), ('N', 3)");
    agent.reopen(table.source());
    agent.finish(2 * first.len(), Pace::default());
    stands(&mut agent, "\\\"open\\\":[]");
    assert_eq!(table.count(), 0);
}

#[test]
fn an_agent_that_is_killed_before_or_after_it_marked_rows_marks_each_once_and_no_other() {
    let table = Table::with(MARK, "id INTEGER PRIMARY KEY, sku TEXT, state TEXT");
    table.sql("INSERT INTO stock VALUES (1, 'A', '0'), (2, 'B', '0'), (3, 'C', '0')");
    let mut agent = Agent::open(table.source());
    one_page(&mut agent);
    table.wait_count("state = '1'", 3);
    agent.kill();
    // As if 3 had not been marked, 1 had been written again, and 2 were another row.
    table.sql("UPDATE stock SET state = '0'; UPDATE stock SET sku = 'A2' WHERE id = 1; DELETE FROM stock WHERE id = 2; INSERT INTO stock VALUES (2, 'N', '0')");
    agent.reopen(table.source());
    agent.finish(5, Pace::default());
    table.wait_count("state = '1'", 3);
    let rows: Vec<_> = shown(&agent.log)[3..].to_vec();
    assert_eq!(rows, [":0: 1|A2|0|read|1", ":0: 2|N|0|read|2"]);
}

#[test]
fn a_row_that_is_written_while_its_page_is_appended_is_not_taken_for_read() {
    for mode in [MARK, DELETE] {
        let table = Table::with(mode, "id INTEGER PRIMARY KEY, sku TEXT, state TEXT");
        table.sql("INSERT INTO stock VALUES (1, 'A', '0'), (2, 'B', '0')");
        let mut agent = Agent::open(table.source());
        let end = Instant::now() + PATIENCE;
        while agent.poll() != PolledOnce::Batch {
            assert!(Instant::now() < end, "no page");
        }
        table.sql("UPDATE stock SET sku = 'A2' WHERE id = 1");
        agent.append();
        agent.commit();
        agent.finish(3, Pace::default());
        let rows: Vec<_> = shown(&agent.log);
        assert_eq!(rows[2], ":0: 1|A2|0|read|1", "{mode}");
        table.wait_count("state = '0'", 0);
    }
}

#[test]
fn ids_of_any_text_are_marked() {
    for declared in ["TEXT", "", "BLOB"] {
        let columns = format!("id {declared} PRIMARY KEY, sku TEXT, state TEXT");
        let table = Table::with(MARK, &columns);
        for id in [
            "a'b", "a\\b", "\\", "''", "\"", "", " x ", "ä€", "--", "7", "\\x00", "%", "?", "\n",
            "{ts '1'}",
        ] {
            let id = id.replace('\'', "''");
            table.sql(&format!("INSERT INTO stock VALUES ('{id}', 'S', '0')"));
        }
        let mut agent = Agent::open(table.source());
        agent.finish(15, Pace::default());
        table.wait_count("state = '1'", 15);
        stands(&mut agent, "\\\"open\\\":[]");
        assert_eq!(agent.log.len(), 15, "each once");
    }
}

#[test]
fn columns_without_a_type_are_compared_as_what_they_hold() {
    for (ids, count) in [("1, 2, -3", 3), ("1.5, 1e300, 0.1", 3), ("x'00ff', x''", 2)] {
        // The state has none either.
        let table = Table::with(MARK, "id, sku TEXT, state");
        let mut agent = Agent::open(table.source());
        agent.finish(0, Pace::default());
        for id in ids.split(", ") {
            table.sql(&format!("INSERT INTO stock VALUES ({id}, 'S', 0)"));
        }
        agent.finish(count, Pace::default());
        table.wait_count("state = 1", count as i64);
        stands(&mut agent, "\\\"open\\\":[]");
        assert_eq!(agent.log.len(), count, "each once: {ids}");
    }
}

#[test]
fn rows_that_the_database_does_not_mark_come_once_and_are_told() {
    let table = Table::with(MARK, "id INTEGER PRIMARY KEY, sku TEXT, state TEXT");
    table.sql("INSERT INTO stock VALUES (1, 'A', '0'), (2, 'B', '0'); CREATE TRIGGER no BEFORE UPDATE ON stock WHEN OLD.id = 2 BEGIN SELECT RAISE(IGNORE); END");
    let mut agent = Agent::open(table.source());
    let end = Instant::now() + PATIENCE;
    let mut told = 0;
    while told < 3 {
        assert!(Instant::now() < end, "it is not told");
        match agent.source().poll() {
            Ok(Polled::Batch(batch)) => {
                assert!(batch.records.len() == 2 || batch.records.is_empty());
                assert_eq!(told, 0, "nothing comes after it was told");
                agent.source().commit(&batch.position).expect("it is told");
            }
            Err(SourceError::Retry { reason, .. }) => {
                assert!(reason.starts_with("the row 2 is still there"), "{reason}");
                told += 1;
            }
            Err(SourceError::Operator { reason }) => panic!("{reason}"),
            Ok(Polled::Idle(_)) => std::thread::yield_now(),
        }
    }
    // Once it can be marked, the flow goes on by itself.
    table.sql("DROP TRIGGER no; INSERT INTO stock VALUES (3, 'C', '0')");
    table.wait_polled(&mut agent, "state = '1'", 3);
}

impl Table {
    /// Polls and commits until so many rows are so.
    fn wait_polled(&self, agent: &mut Agent, filter: &str, count: i64) {
        let end = Instant::now() + PATIENCE;
        while self.count_of(filter) != count {
            assert!(
                Instant::now() < end,
                "{} are {filter}",
                self.count_of(filter)
            );
            if let Ok(Polled::Batch(batch)) = agent.source().poll() {
                agent.source().commit(&batch.position).expect("it is told");
            }
        }
    }
}
