//! Each mode that needs more than an id, on each driver: many flows at one server.

use std::collections::BTreeMap;

use dray_tests::site::{FlowSpec, Site};

use super::databases::{By, Database};
use super::{AS_IT_IS, kill_agent};
use crate::{folder, wait};

/// A flow with a table of its own.
struct Case {
    by: By,
    name: &'static str,
    mode: &'static str,
    /// Whether what is there at first comes.
    first: bool,
}

const MODES: [(&str, &str, bool); 5] = [
    (
        "overlap_later",
        "mode = \"overlap\"\nfirst_load = false",
        false,
    ),
    (
        "timestamp",
        "mode = \"timestamp\"\nchanged = { column = \"changed_at\", lag = \"2s\" }",
        true,
    ),
    (
        "timestamp_later",
        "mode = \"timestamp\"\nfirst_load = false\nchanged = { column = \"changed_at\", lag = \"2s\" }",
        false,
    ),
    (
        "compare",
        "mode = \"full-compare\"\nwithout = [\"changed_at\"]",
        true,
    ),
    ("queue", "mode = \"delete-after-read\"", true),
];

const FENCE: (&str, &str, bool) = (
    "fence_later",
    "mode = \"fence\"\ntransaction = \"written_by\"\nfirst_load = false",
    false,
);

impl Case {
    fn all(database: &Database, by: &[By]) -> Vec<Self> {
        let mut modes = MODES.to_vec();
        if matches!(database, Database::Postgres(_)) {
            modes.push(FENCE);
        }
        let all = |by| {
            modes
                .clone()
                .into_iter()
                .map(move |(name, mode, first)| Self {
                    by,
                    name,
                    mode,
                    first,
                })
        };
        by.iter().flat_map(|by| all(*by)).collect()
    }

    fn table(&self) -> String {
        match self.by {
            By::ItsOwnDriver => self.name.to_owned(),
            By::Odbc => format!("{}_odbc", self.name),
        }
    }

    fn flow_name(&self) -> String {
        self.table().replace('_', "-")
    }

    fn is(&self, what: &str) -> bool {
        self.name.starts_with(what)
    }

    fn flow(&self, database: &Database) -> FlowSpec {
        FlowSpec {
            name: self.flow_name(),
            source: database.reads(self.by, &self.table(), self.mode),
            format: String::new(),
            mapping: AS_IT_IS.into(),
            timeliness: "normal",
        }
    }
}

/// What stands in the log of each flow: operations and ids.
fn told(site: &Site) -> BTreeMap<String, Vec<(String, u64)>> {
    let mut told: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for event in site.log_events().expect("the log") {
        let fields = &event["data"]["fields"];
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        let id = text("id").parse().unwrap_or_else(|_| panic!("{event}"));
        let flow = event["flow"].as_str().unwrap_or_default();
        let (_, flow) = flow.split_once('/').unwrap_or(("", flow));
        told.entry(flow.to_owned())
            .or_default()
            .push((text("_op"), id));
    }
    told
}

const BOTH: [By; 2] = [By::ItsOwnDriver, By::Odbc];

const FIRST: u64 = 2_500;
const PROBE: u64 = FIRST + 1;

fn count(told: &BTreeMap<String, Vec<(String, u64)>>) -> usize {
    told.values().map(Vec::len).sum()
}

/// More rows than a page has; then, while the agent is dead, rows that are new, changed and gone.
fn each_mode_finds_what_it_says(database: &Database, by: &[By]) {
    let cases = Case::all(database, by);
    for case in &cases {
        let table = case.table();
        database.make(&table);
        database.let_write(&table);
        database.insert_into(&table, 1..FIRST + 1);
        database.run(&format!(
            "UPDATE {table} SET changed_at = {}",
            database.ago(3_600)
        ));
    }
    let folder = folder("drivers");
    let place = folder.path().join("site");
    std::fs::create_dir_all(&place).expect("a folder");
    let flows: Vec<_> = cases.iter().map(|case| case.flow(database)).collect();
    let mut site = Site::start(&place, &flows, "").expect("a site");
    let mut expected: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for case in &cases {
        let rows = expected.entry(case.flow_name()).or_default();
        if case.first {
            rows.extend((1..=FIRST).map(|id| ("read".to_owned(), id)));
        }
    }
    wait("what is there comes", || {
        count(&told(&site)) >= count(&expected)
    });
    // Each flow began, also those that read nothing of it; and then stands behind a row.
    wait("all flows begin", || {
        let agent = site.agent.as_ref().expect("it runs");
        let begun = agent.log();
        let begun = begun.iter().filter(|line| line.contains("\"the table is "));
        begun.count() >= cases.len()
    });
    for case in &cases {
        database.insert_into(&case.table(), PROBE..PROBE + 1);
        let op = if case.is("compare") { "create" } else { "read" };
        let rows = expected.entry(case.flow_name()).or_default();
        rows.push((op.to_owned(), PROBE));
    }
    wait("a row comes of each", || {
        count(&told(&site)) >= count(&expected)
    });
    kill_agent(&mut site);
    for case in &cases {
        let table = case.table();
        let rows = expected.entry(case.flow_name()).or_default();
        let new = if case.is("compare") { "create" } else { "read" };
        database.insert_into(&table, PROBE + 1..PROBE + 101);
        rows.extend((PROBE + 1..PROBE + 101).map(|id| (new.to_owned(), id)));
        if case.is("timestamp") || case.is("compare") {
            database.run(&format!(
                "UPDATE {table} SET quantity = quantity + 1, changed_at = {} WHERE id <= 7",
                database.ago(0)
            ));
            let op = if case.is("compare") { "update" } else { "read" };
            rows.extend((1..=7).map(|id| (op.to_owned(), id)));
        }
        if case.is("compare") {
            database.run(&format!(
                "DELETE FROM {table} WHERE id BETWEEN 2001 AND 2005"
            ));
            rows.extend((2_001..=2_005).map(|id| ("delete".to_owned(), id)));
        }
    }
    site.start_agent().expect("an agent");
    wait("what changed comes", || {
        count(&told(&site)) >= count(&expected)
    });
    let mut found = told(&site);
    for (flow, expected) in &mut expected {
        let found = found.remove(flow).unwrap_or_default();
        let mut sorted = found.clone();
        sorted.sort_unstable();
        expected.sort_unstable();
        assert!(
            sorted == *expected,
            "{flow}: {} of {}; the last: {:?}",
            sorted.len(),
            expected.len(),
            found.last()
        );
    }
    for case in cases.iter().filter(|case| case.is("queue")) {
        let left = format!("SELECT COUNT(*) FROM {}", case.table());
        wait("the queue is empty", || database.ask(&left) == "0");
    }
}

#[test]
fn in_a_file_of_sqlite_each_mode_finds_what_it_says_by_its_own_driver_and_by_odbc() {
    // The two never meet in one process: see the documentation.
    for by in BOTH {
        let home = folder("drivers-sqlite");
        each_mode_finds_what_it_says(&Database::sqlite(&home), &[by]);
    }
}

#[test]
fn in_postgresql_each_mode_finds_what_it_says_by_its_own_driver_and_by_odbc() {
    each_mode_finds_what_it_says(&Database::postgres(), &BOTH);
}

#[test]
fn in_mariadb_each_mode_finds_what_it_says_by_its_own_driver_and_by_odbc() {
    each_mode_finds_what_it_says(&Database::maria(), &BOTH);
}
