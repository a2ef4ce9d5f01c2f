//! What `docs/change-tables.md` says is tried as it stands there.

use dray_tests::site::Site;

use super::databases::{By, Database};
use super::{AS_IT_IS, fields, flow, site};
use crate::logs::rows_of;
use crate::{folder, wait};

const PAGE: &str = include_str!("../../../docs/change-tables.md");
const LOGS: &str = include_str!("../../../docs/change-logs.md");

/// The first block of a language behind a heading.
fn block<'p>(heading: &str, language: &str) -> &'p str {
    let (_, behind) = PAGE.split_once(heading).expect("the heading");
    let blocks = behind.split("```");
    let mut found = blocks.filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n'));
    found.next().expect("a block")
}

#[test]
fn the_triggers_of_each_database_note_what_becomes_of_a_row() {
    let home = folder("triggers");
    for (database, heading) in [
        (Database::sqlite(&home), "### SQLite\n"),
        (Database::postgres(), "### PostgreSQL\n"),
        (Database::maria(), "### MariaDB and MySQL\n"),
    ] {
        database.run("CREATE TABLE stock (sku varchar(40) PRIMARY KEY, location varchar(10), quantity numeric(12,3))");
        database.run(block(heading, "sql"));
        let source = format!(
            "{}table = \"stock_change\"\nid = \"change_id\"\nmode = \"overlap\"\nop = {{ column = \"op\", create = [\"I\"], update = [\"U\"], delete = [\"D\"] }}\n",
            database.source(By::ItsOwnDriver)
        );
        let place = folder("triggered");
        let (site, _erp) = site(&source, &AS_IT_IS.replace("\"id\"", "\"sku\""), &place);
        database.run("INSERT INTO stock VALUES ('A', 'X', 1)");
        database.run("UPDATE stock SET quantity = 2 WHERE sku = 'A'");
        database.run("DELETE FROM stock WHERE sku = 'A'");
        wait("three changes", || fields(&site).len() >= 3);
        let told = fields(&site);
        let ops: Vec<_> = told.iter().map(|one| one["_op"].as_str()).collect();
        assert_eq!(
            ops,
            [Some("create"), Some("update"), Some("delete")],
            "{heading}"
        );
        assert!(
            told.iter().all(|one| one["sku"].as_str() == Some("A")),
            "{told:?}"
        );
    }
}

#[test]
fn the_example_is_good() {
    let example: toml::Table = toml::from_str(block("## A flow\n", "toml")).expect("TOML");
    let source = &example["flow"][0]["source"];
    let text = toml::to_string(source).expect("TOML");
    let place = folder("example");
    let (head, nested) = text.split_once("\n[op]").expect("its codes");
    let source = format!("{head}\n[flow.source.op]{nested}");
    let site = Site::lay_out(place.path(), &[flow(&source, AS_IT_IS)], "").expect("a site");
    let told = format!(
        "{:#}",
        site.agent_command(&["check"]).expect_err("no server")
    );
    assert!(
        told.contains("127.0.0.1:5432") || told.contains("password_file"),
        "{told}"
    );
}

#[test]
fn every_type_is_what_the_documentation_says() {
    let home = folder("types");
    let postgres = rows_of(LOGS, "| type | SQL | record |");
    let maria = rows_of(LOGS, "| MariaDB type | SQL | record |");
    let sqlite = rows_of(PAGE, "| SQLite type | SQL | record |");
    assert!(postgres.len() > 50 && maria.len() > 50 && sqlite.len() > 10);
    for (database, rows) in [
        (Database::sqlite(&home), sqlite),
        (Database::postgres(), postgres),
        (Database::maria(), maria),
    ] {
        let mut columns = String::new();
        let mut values = String::new();
        for (at, [kind, sql, _]) in (1..).zip(&rows) {
            columns.push_str(&format!(", v{at} {kind}"));
            let value = match &database {
                Database::Postgres(_) => format!(", '{}'", sql.replace('\'', "''")),
                _ => format!(", {sql}"),
            };
            values.push_str(&value);
        }
        let (before, after) = match &database {
            Database::Sqlite(..) => ("", ""),
            Database::Postgres(_) => (
                "CREATE TYPE stock_state AS ENUM ('free', 'held'); CREATE DOMAIN stock_code AS text; CREATE TYPE stock_place AS (aisle text, bin text)",
                "; GRANT SELECT ON everything TO dray",
            ),
            Database::Maria(_) => ("SET sql_mode = ''", ""),
        };
        let mode = match &database {
            Database::Maria(_) => "SET sql_mode = ''; SET time_zone = '+00:00'; ",
            _ => "",
        };
        if !before.is_empty() {
            database.run(before);
        }
        let charset = if mode.is_empty() {
            ""
        } else {
            " CHARSET utf8mb4"
        };
        database.run(&format!(
            "{mode}CREATE TABLE everything (number integer PRIMARY KEY{columns}){charset}; INSERT INTO everything VALUES (1{values}){after}"
        ));
        let source = format!(
            "{}table = \"everything\"\nid = \"number\"\nmode = \"overlap\"\n",
            database.source(By::ItsOwnDriver)
        );
        let place = folder("typed");
        let (site, _erp) = site(&source, &AS_IT_IS.replace("\"id\"", "\"number\""), &place);
        wait("the row", || fields(&site).len() == 1);
        let found = &fields(&site)[0];
        let mut wrong = Vec::new();
        for (at, [kind, sql, expected]) in (1..).zip(&rows) {
            let value = found[format!("v{at}")].as_str().unwrap_or_default();
            if value != *expected {
                wrong.push(format!("{kind} {sql}: {value}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
