//! Rows by the time at which they were changed, under a clock that the test sets.

use dray_adapter::conformance::{Agent, Pace, Place as _, shown};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Table, stops};

const BERLIN: &str = "mode = 'timestamp'\nclock = 'SELECT us FROM clock'\nchanged = { column = 'changed_at', lag = '5s', zone = 'Europe/Berlin' }";
const UTC: &str = "mode = 'timestamp'\nclock = 'SELECT us FROM clock'\nchanged = { column = 'changed_at', lag = '5s' }";

fn timed(mode: &'static str, now: &str) -> Table {
    let table = Table::with(mode, "id INTEGER PRIMARY KEY, changed_at TEXT");
    table.sql("CREATE TABLE clock (us INTEGER); INSERT INTO clock VALUES (0)");
    set(&table, at(now));
    table
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn set(table: &Table, now: Timestamp) {
    table.sql(&format!("UPDATE clock SET us = {}", now.as_microsecond()));
}

fn insert(table: &Table, id: usize, time: &str) {
    table.sql(&format!("INSERT INTO stock VALUES ({id}, '{time}')"));
}

/// A row each 20 minutes, with the time of clocks in Berlin. `read`: how many are read, so many rows being there.
fn through_a_night(from: &str, rows: usize, read: impl Fn(usize) -> usize) {
    let berlin = TimeZone::get("Europe/Berlin").expect("the zone");
    let table = timed(BERLIN, from);
    let mut agent = Agent::open(table.source());
    for row in 1..=rows {
        let now = at(from) + SignedDuration::from_mins(20 * (row as i64 - 1));
        let local: DateTime = berlin.to_datetime(now);
        insert(
            &table,
            row,
            &local.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        );
        set(&table, now + SignedDuration::from_secs(10));
        agent.finish(read(row), Pace::default());
        assert_eq!(agent.log.len(), read(row), "{local}");
    }
    let mut ids: Vec<_> = shown(&agent.log)
        .into_iter()
        .map(|row| row.split('|').next().unwrap_or_default().to_owned())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows, "each row once");
}

#[test]
fn in_the_night_in_which_an_hour_comes_twice_each_row_comes_once() {
    // From 1:00 summer time to 3:40 winter time: 2:00 comes twice, and is read when it is over.
    through_a_night("2026-10-24T23:00:00Z", 12, |row| match row {
        1..=3 => row,
        4..=9 => 3,
        _ => row,
    });
}

#[test]
fn in_the_night_that_lacks_an_hour_each_row_comes_at_once() {
    through_a_night("2026-03-29T00:00:00Z", 7, |row| row);
}

#[test]
fn a_clock_may_go_back_by_the_lag_and_by_more_only_where_that_is_accepted() {
    const ACCEPTED: &str = "mode = 'timestamp'\nclock = 'SELECT us FROM clock'\nchanged = { column = 'changed_at', lag = '5s', accept_clock_back = true }";
    for (mode, back_s, goes_on) in [(UTC, 4, true), (UTC, 3_600, false), (ACCEPTED, 3_600, true)] {
        let table = timed(mode, "2026-11-27T08:15:00Z");
        let mut agent = Agent::open(table.source());
        insert(&table, 1, "2026-11-27 08:14:00");
        agent.finish(1, Pace::default());
        let back = at("2026-11-27T08:15:00Z") - SignedDuration::from_secs(back_s);
        set(&table, back);
        if goes_on {
            insert(&table, 2, "2026-11-27 08:14:30");
            set(&table, back + SignedDuration::from_secs(3_600));
            agent.finish(2, Pace::default());
        } else {
            let told = stops(agent.source());
            assert!(told.contains("clock went back by 3600 s"), "{told}");
        }
    }
}

#[test]
fn a_clock_that_goes_on_by_a_day_and_comes_back_stops_the_flow() {
    let table = timed(UTC, "2026-11-27T08:15:00Z");
    let mut agent = Agent::open(table.source());
    set(&table, at("2026-11-28T08:15:00Z"));
    insert(&table, 1, "2026-11-28 08:14:00");
    agent.finish(1, Pace::default());
    set(&table, at("2026-11-27T08:16:00Z"));
    let told = stops(agent.source());
    assert!(told.contains("clock went back by 86340 s"), "{told}");
}

#[test]
fn times_with_a_t_are_read_when_they_are_due_also_where_the_table_was_empty_at_first() {
    let table = timed(UTC, "2026-11-27T08:15:00Z");
    let mut agent = Agent::open(table.source());
    agent.finish(0, Pace::default());
    insert(&table, 1, "2026-11-27T08:14:00Z");
    insert(&table, 2, "2026-11-27T08:15:00Z");
    agent.finish(1, Pace::default());
    assert_eq!(
        shown(&agent.log),
        [":0: 1|2026-11-27T08:14:00Z|read|2026-11-27T08:14:00Z"]
    );
    set(&table, at("2026-11-27T08:15:06Z"));
    agent.finish(2, Pace::default());
}

#[test]
fn a_row_with_a_date_alone_is_read_when_its_day_is_over() {
    let table = timed(UTC, "2026-11-27T23:59:59Z");
    insert(&table, 1, "2026-11-27");
    insert(&table, 2, "2026-11-26");
    let mut agent = Agent::open(table.source());
    agent.finish(1, Pace::default());
    assert_eq!(agent.log.len(), 1);
    set(&table, at("2026-11-28T00:00:05Z"));
    agent.finish(2, Pace::default());
}

#[test]
fn texts_that_are_no_times_or_of_two_forms_stop_the_flow() {
    for (times, expected) in [
        (
            ["2026-11-27 08:14:00", "2026-11-27T08:14:30"],
            "beside times of another form",
        ),
        (["20261127T081400", "20261127T081430"], "which is no time"),
        (["1795767300", "1795767301"], "write unit"),
    ] {
        let table = timed(UTC, "2026-11-27T08:15:00Z");
        insert(&table, 1, times[0]);
        insert(&table, 2, times[1]);
        let mut agent = Agent::open(table.source());
        let told = stops(agent.source());
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn seconds_that_an_expression_gives_are_compared_as_numbers() {
    let mode = "query = 'SELECT id, 1795767300 + seconds AS changed_at FROM late'\nmode = 'timestamp'\nclock = 'SELECT us FROM clock'\nchanged = { column = 'changed_at', lag = '5s', unit = 's' }";
    let table = timed(mode, "2026-11-27T08:15:00Z");
    table.sql(
        "CREATE TABLE late (id INTEGER, seconds INTEGER); INSERT INTO late VALUES (1, 0), (2, 60)",
    );
    let mut agent = Agent::open(table.source());
    set(
        &table,
        Timestamp::from_second(1_795_767_310).expect("a time"),
    );
    agent.finish(1, Pace::default());
    assert_eq!(shown(&agent.log), [":0: 1|1795767300|read|1795767300"]);
    set(
        &table,
        Timestamp::from_second(1_795_767_366).expect("a time"),
    );
    agent.finish(2, Pace::default());
}
