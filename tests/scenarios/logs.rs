//! What scenarios of databases have in common.

use std::ops::Range;

use dray_tests::database::Database;
use dray_tests::site::Site;
use dray_tests::target::Target;

use crate::{kill_one, soak, these_arrive_whole, wait};

/// Movements of these numbers, in their order.
pub(crate) fn numbers(range: Range<u64>) -> Vec<String> {
    range.map(|number| format!("MV{number:010}")).collect()
}

/// Rows of a table as they are.
pub(crate) fn as_it_is(record_type: &str) -> String {
    format!(
        "\n[[flow.mapping]]\nbody = \"generic\"\nrecord_type = \"{record_type}\"\nkey = \"number\"\nall_columns = true\n"
    )
}

/// Waits until the agent has appended so many events since it started.
pub(crate) fn reads_some(site: &Site, events: u64) {
    wait("some rows are read", || {
        let page = site.metrics_text(0).unwrap_or_default();
        let all = page
            .lines()
            .filter_map(|line| line.strip_prefix("dray_agent_appended_events_total{"))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
        all.sum::<f64>() >= events as f64
    });
}

/// The rows of a page's table that begins like this, without their backticks.
pub(crate) fn rows_of<'p>(page: &'p str, head: &str) -> Vec<[&'p str; 3]> {
    let (_, table) = page.split_once(head).expect("a table");
    let lines = table.lines().skip(2);
    let rows = lines.map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|line| {
        let mut cells = line.splitn(3, " | ");
        [(); 3].map(|()| {
            let cell = cells.next().expect("three cells");
            // With its spaces.
            cell.split('`').nth(1).unwrap_or(cell)
        })
    })
    .collect()
}

/// Transactions of movements, between which agent, collector and server are killed.
pub(crate) fn arrives_whoever_is_killed(server: &mut impl Database, site: &mut Site, erp: &Target) {
    let (rounds, rows) = if soak() { (60, 2_000) } else { (12, 500) };
    let mut sent = 0;
    for round in 0..rounds {
        server.insert(sent..sent + rows);
        sent += rows;
        match round % 3 {
            2 => server.crash(),
            _ => kill_one(site, 0.7),
        }
    }
    let what = "kills of agent, collector and server";
    these_arrive_whole(site, erp, &numbers(0..sent), what);
}
