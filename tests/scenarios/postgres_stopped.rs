//! A process of PostgreSQL that sends the log, and is stopped for longer than the server waits for a reader.

use dray_tests::postgres::Server;
use dray_tests::site::Site;
use dray_tests::target::Target;
use rustix::process::{Pid, Signal, kill_process};

use crate::logs::numbers;
use crate::postgres::is_streaming;
use crate::{PATIENCE, folder, target_table, these_arrive_whole, wait};

/// The server gives up a reader that says nothing for so long.
const TIMEOUT_S: u64 = 4;

#[test]
fn a_sender_that_is_stopped_for_long_loses_and_doubles_nothing_and_heartbeats_tell_of_it() {
    let server = Server::start();
    server.set("wal_sender_timeout", &format!("{TIMEOUT_S}s"));
    let mut flow = server.flow();
    flow.source = format!("heartbeat_every = \"1s\"\n{}", flow.source);
    let folder = folder("stopped");
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    wait("the log is read", || is_streaming(&server));
    server.insert(0..1_000);
    assert!(erp.wait(PATIENCE, |events| events == 1_000), "they come");
    let pid = server
        .sql("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'dray_movements'");
    let pid = Pid::from_raw(pid.parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::STOP).expect("it is stopped");
    server.insert(1_000..2_000);
    let clock = || {
        let seconds = server.sql("SELECT extract(epoch FROM now())::bigint");
        seconds.parse::<u64>().expect("seconds")
    };
    let since = clock();
    wait("the server would have given up", || {
        clock() > since + 2 * TIMEOUT_S
    });
    // What is behind grows, and when the server last said something does not.
    wait("a heartbeat says what is behind", || {
        let events = site.log_events().expect("the log");
        events.iter().any(|event| {
            event["type"] == "heartbeat" && event["data"]["behind_bytes"].is_string()
                || event["data"]["behind_bytes"]
                    .as_u64()
                    .is_some_and(|bytes| bytes > 0)
        })
    });
    assert_eq!(erp.events(), 1_000);
    kill_process(pid, Signal::CONT).expect("it goes on");
    server.insert(2_000..3_000);
    these_arrive_whole(&site, &erp, &numbers(0..3_000), "a stopped sender");
}
