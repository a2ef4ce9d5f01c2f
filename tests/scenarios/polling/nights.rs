//! The night in which an hour comes twice, in each server: what its clock says is told by a table.

use dray_tests::site::{FlowSpec, Site};

use super::AS_IT_IS;
use super::databases::{By, Database};
use super::fields;
use crate::{folder, wait};

/// Minutes behind 2026-10-24T23:00:00Z, what clocks in Berlin show then, and how many rows are read by then.
const NIGHT: [(i64, &str, usize); 6] = [
    (0, "2026-10-25 01:00:00", 1),
    (59, "2026-10-25 01:59:00", 2),
    (60, "2026-10-25 02:00:00", 2),
    (90, "2026-10-25 02:30:00", 2),
    (150, "2026-10-25 02:30:00", 2),
    (180, "2026-10-25 03:00:00", 6),
];

const BEGIN_US: i64 = 1_792_882_800_000_000;

#[test]
fn in_the_night_in_which_an_hour_comes_twice_each_row_of_a_server_comes_once() {
    for database in [Database::postgres(), Database::maria()] {
        let (kind, grant) = match &database {
            Database::Maria(_) => ("datetime(6)", "SELECT 1"),
            _ => ("timestamp", "GRANT SELECT ON night, clock TO dray"),
        };
        database.run(&format!(
            "CREATE TABLE night (id integer PRIMARY KEY, changed_at {kind})"
        ));
        database.run("CREATE TABLE clock (us bigint)");
        database.run(&format!("INSERT INTO clock VALUES ({BEGIN_US})"));
        database.run(grant);
        let mode = "mode = \"timestamp\"\nclock = \"SELECT us FROM clock\"\nchanged = { column = \"changed_at\", lag = \"5s\", zone = \"Europe/Berlin\" }";
        let flows = [By::ItsOwnDriver, By::Odbc].map(|by| FlowSpec {
            name: format!("{by:?}").to_lowercase(),
            source: database.reads(by, "night", mode),
            format: String::new(),
            mapping: AS_IT_IS.into(),
            timeliness: "normal",
        });
        let folder = folder("night");
        let site = Site::start(folder.path(), &flows, "").expect("a site");
        for (id, (minutes, local, read)) in (1..).zip(NIGHT) {
            database.run(&format!("INSERT INTO night VALUES ({id}, '{local}')"));
            let now_us = BEGIN_US + minutes * 60_000_000 + 10_000_000;
            database.run(&format!("UPDATE clock SET us = {now_us}"));
            wait(local, || fields(&site).len() >= 2 * read);
            assert_eq!(fields(&site).len(), 2 * read, "{local}");
        }
        let mut ids: Vec<_> = fields(&site)
            .iter()
            .map(|one| one["id"].as_str().unwrap_or_default().to_owned())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids.join(" "), "1 1 2 2 3 3 4 4 5 5 6 6");
    }
}
