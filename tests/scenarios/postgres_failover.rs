//! Servers that take over from one another: PostgreSQL 18, two of each test.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use dray_tests::line::Line;
use dray_tests::postgres::Server;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::logs::numbers;
use crate::postgres::is_streaming;
use crate::postgres_newest::{gets_the_slot, newest};
use crate::postgres_reports::{Watched, flow, insert};
use crate::postgres_set_back::are_all_others;
use crate::{folder, kill_one, soak, target_table, these_arrive_whole, wait};

/// The same flow by way of a line, which is where the address leads.
fn by_line(flow: FlowSpec, server: &Server, line: &Line) -> FlowSpec {
    let port = |port: u16| format!("port = {port}\n");
    FlowSpec {
        source: flow
            .source
            .replace(&port(server.port()), &port(line.port())),
        ..flow
    }
}

/// Writes movements one after the other to whoever can be written to, until it is told to stop.
struct Writer {
    port: AtomicU64,
    stop: AtomicBool,
    written: AtomicU64,
}

/// Rows of a transaction.
const ROWS: u64 = 7;

impl Writer {
    fn run(&self, ask: impl Fn(u16, &str) -> Result<String, String>) {
        while !self.stop.load(Ordering::Relaxed) {
            let first = self.written.load(Ordering::Relaxed);
            let last = first + ROWS - 1;
            // Whether one that ended with its server was committed nobody was told: it is written again where it was not.
            let sql = format!(
                "INSERT INTO movement SELECT 'MV' || lpad(n::text, 10, '0'), 'SKU-' || n % 97, 'A-01', n % 1000 + 0.5, n FROM generate_series({first}, {last}) n ON CONFLICT DO NOTHING"
            );
            let port = self.port.load(Ordering::Relaxed) as u16;
            if ask(port, &sql).is_ok() {
                self.written.store(first + ROWS, Ordering::Relaxed);
            }
        }
    }

    /// Waits until so many more are written.
    fn goes_on(&self, rows: u64) {
        let before = self.written.load(Ordering::Relaxed);
        wait("the writer goes on", || {
            self.written.load(Ordering::Relaxed) >= before + rows
        });
    }
}

#[test]
fn where_a_standby_takes_over_nothing_is_lost_or_doubled_while_writers_go_on() {
    let rounds = if soak() { 8 } else { 2 };
    let mut primary = Server::start_from(newest());
    let line = Line::start(primary.port()).expect("a line");
    let folder = folder("takes-over");
    let erp = Target::start(false).expect("a target");
    let source = primary.flow().source.replace(
        "[[flow.source.table]]",
        "failover = true\n[[flow.source.table]]",
    );
    let spec = by_line(
        FlowSpec {
            source,
            ..primary.flow()
        },
        &primary,
        &line,
    );
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::start(folder.path(), &[spec], &targets).expect("a site");
    wait("the log is read", || is_streaming(&primary));
    let writer = Writer {
        port: AtomicU64::new(primary.port().into()),
        stop: AtomicBool::new(false),
        written: AtomicU64::new(0),
    };
    // Those that were killed: the flow's password stands in the first one's folder. And a writer may wait for the answer of a follower.
    let mut before = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| writer.run(dray_tests::postgres::ask));
        // Whatever fails here, the writer must not hold up the end.
        let _stops = Stops(&writer.stop);
        for round in 0..rounds {
            let follower = primary.follower();
            // What is answered to the writer, and what is told to the flow, the follower has.
            primary.set("synchronized_standby_slots", "follower");
            primary.set("synchronous_standby_names", "*");
            gets_the_slot(&primary, &follower);
            writer.goes_on(300);
            primary.kill();
            if round % 2 == 1 {
                kill_one(&mut site, 0.7);
            }
            follower.promote();
            line.lead_to(follower.port());
            writer.port.store(follower.port().into(), Ordering::Relaxed);
            writer.goes_on(300);
            before.push(std::mem::replace(&mut primary, follower));
        }
        writer.stop.store(true, Ordering::Relaxed);
    });
    let written = writer.written.load(Ordering::Relaxed);
    assert_eq!(
        primary.sql("SELECT count(*), max(place) + 1 FROM movement"),
        format!("{written}|{written}"),
        "the server itself lost nothing"
    );
    let timeline = primary.sql("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)");
    assert_eq!(timeline, format!("{:08X}", rounds + 1));
    these_arrive_whole(
        &site,
        &erp,
        &numbers(0..written),
        "standbys that take over from killed servers beside a writer",
    );
}

struct Stops<'s>(&'s AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A server with a follower, whose flow has read a row.
struct Followed {
    primary: Server,
    follower: Server,
    line: Line,
    watched: Watched,
}

impl Followed {
    fn start(name: &str, settings: &str) -> Self {
        let mut primary = Server::start_from(newest());
        primary.sql("CREATE TABLE neighbour (n bigint)");
        let follower = primary.follower();
        let line = Line::start(primary.port()).expect("a line");
        let flow = by_line(flow(&primary, settings, ""), &primary, &line);
        let mut watched = Watched::start(name, flow);
        watched.reads();
        insert(&primary, "A");
        watched.row("A");
        Self {
            primary,
            follower,
            line,
            watched,
        }
    }

    /// The primary is killed, and the follower takes over.
    fn fails_over(&mut self) {
        self.primary.kill();
        self.follower.promote();
        self.line.lead_to(self.follower.port());
    }

    /// What was committed at the primary is at the follower.
    fn follows(&self) {
        let at = self.primary.sql("SELECT pg_current_wal_lsn()");
        wait("it follows", || {
            let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{at}'");
            self.follower.sql(&sql) == "t"
        });
    }

    /// From now on the follower gets nothing; it goes on as a standby without its server.
    fn is_cut_off(&mut self) {
        gets_the_slot(&self.primary, &self.follower);
        self.follows();
        self.follower.set("primary_conninfo", "");
        wait("it is cut off", || {
            self.follower
                .sql("SELECT count(*) FROM pg_stat_wal_receiver")
                == "0"
        });
    }
}

#[test]
fn a_server_that_took_over_without_the_slot_is_a_gap_and_never_gone_on_with_in_silence() {
    for (reason, by_hand) in [
        ("slot_gone", ""),
        (
            "slot_remade",
            "SELECT pg_create_logical_replication_slot('dray_movements', 'pgoutput')",
        ),
    ] {
        let mut all = Followed::start("without", "");
        let agent = all.watched.agent();
        agent.terminate().expect("it ends");
        insert(&all.primary, "B");
        all.follows();
        all.fails_over();
        if !by_hand.is_empty() {
            insert(&all.follower, "missed");
            all.follower.sql(by_hand);
        }
        all.watched.start_again();
        let told = all.watched.agent().wait_log("the flow stopped");
        let told = told.expect("it stops");
        assert!(
            told.contains("another server took over") && told.contains("failover = true"),
            "{told}"
        );
        all.watched.stop();
        all.watched.write(
            "[[flow.source.table]]",
            "on_gap = \"go-on\"\n[[flow.source.table]]",
        );
        all.watched.start_again();
        all.watched.reads();
        insert(&all.follower, "C");
        all.watched.row("C");
        let gap = format!("gap {reason} went_on");
        assert_eq!(
            all.watched.told(),
            ["first ", "create A", &gap, "create C"],
            "{reason}"
        );
    }
}

#[test]
fn a_server_that_took_over_without_what_was_read_is_a_gap_and_what_it_has_comes_all_the_same() {
    for (policy, expected) in [
        ("stop", vec![]),
        ("go-on", vec!["gap server_went_back went_on"]),
        (
            "load-again",
            vec!["gap server_went_back loads_again", "read A"],
        ),
    ] {
        let settings = format!("failover = true\non_gap = \"{policy}\"");
        let mut all = Followed::start("behind", &settings);
        all.is_cut_off();
        insert(&all.primary, "B");
        all.watched.row("B");
        all.fails_over();
        if policy == "stop" {
            let told = all.watched.agent().wait_log("the flow stopped");
            let told = told.expect("it stops");
            assert!(
                told.contains("does not have what the flow has read after")
                    && told.contains("timeline 2 instead of 1")
                    && told.contains("write on_gap = "),
                "{told}"
            );
            assert_eq!(all.watched.told(), ["first ", "create A", "create B"]);
            continue;
        }
        wait("the gap is told, and what comes by it", || {
            let told = all.watched.told();
            expected
                .iter()
                .all(|one| told.iter().any(|told| told == one))
        });
        insert(&all.follower, "C");
        all.watched.row("C");
        let before = ["first ", "create A", "create B"];
        let expected: Vec<_> = before
            .into_iter()
            .chain(expected)
            .chain(["create C"])
            .collect();
        assert_eq!(all.watched.told(), expected, "{policy}");
        are_all_others(&all.watched);
    }
}

#[test]
fn a_server_that_took_over_without_what_was_only_looked_through_is_gone_on_with() {
    let mut all = Followed::start("looked", "failover = true");
    all.is_cut_off();
    let at = all.follower.sql("SELECT pg_last_wal_replay_lsn()");
    wait("the flow has looked further than the follower has", || {
        all.primary.sql("INSERT INTO neighbour VALUES (1)");
        let sql = format!(
            "SELECT confirmed_flush_lsn > '{at}' FROM pg_replication_slots WHERE slot_name = 'dray_movements'"
        );
        all.primary.sql(&sql) == "t"
    });
    all.fails_over();
    let agent = all.watched.agent();
    agent
        .wait_log("another server took over, and has all that was read")
        .expect("it goes on");
    insert(&all.follower, "C");
    all.watched.row("C");
    assert_eq!(all.watched.told(), ["first ", "create A", "create C"]);
    // And what is read there holds for the next start.
    all.watched.agent().kill().expect("a kill");
    insert(&all.follower, "D");
    all.watched.start_again();
    all.watched.row("D");
    let told = all.watched.told();
    assert_eq!(told, ["first ", "create A", "create C", "create D"]);
}

#[test]
fn of_two_that_take_over_from_one_the_second_is_not_gone_on_with_in_silence() {
    let mut all = Followed::start("both", "failover = true");
    all.is_cut_off();
    all.primary
        .sql("INSERT INTO neighbour SELECT n FROM generate_series(1, 10000) n");
    all.fails_over();
    insert(&all.follower, "B");
    all.watched.row("B");
    // The first server comes back as a standby and takes over in its turn: it had more of the log.
    all.follower.kill();
    all.primary.follow();
    all.primary.promote();
    let timeline = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)";
    assert_eq!(all.primary.sql(timeline), "00000002");
    insert(&all.primary, "C");
    all.line.lead_to(all.primary.port());
    let told = all.watched.agent().wait_log("the flow stopped");
    let told = told.expect("it stops");
    assert!(
        told.contains("another timeline 2 than the one that was read"),
        "{told}"
    );
    assert_eq!(all.watched.told(), ["first ", "create A", "create B"]);
}

#[test]
fn a_standby_is_waited_for_until_it_has_taken_over() {
    let mut all = Followed::start("waited", "failover = true");
    gets_the_slot(&all.primary, &all.follower);
    all.follows();
    all.primary.kill();
    all.line.lead_to(all.follower.port());
    all.watched
        .agent()
        .wait_log("is a standby")
        .expect("it waits");
    all.follower.promote();
    insert(&all.follower, "C");
    all.watched.row("C");
    assert_eq!(all.watched.told(), ["first ", "create A", "create C"]);
}
