//! Each daemon dies at each of its edges (see dray-edges), and nothing is lost, doubled or out of order.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use dray_tests::daemon::program;
use rand::RngExt as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::dying::{Dies, Dying, Found};
use crate::restored::copy;
use crate::{soak, wait};

/// How often each edge is tried with `DRAY_SOAK=1`, and the latest passing that is tried.
const SOAK_ROUNDS: u64 = 3;
const SOAK_PASSING_MAX: u64 = 5;

#[test]
fn nothing_is_lost_doubled_or_out_of_order_when_the_agent_dies_at_any_edge() {
    die_at_each(Dies::Agent);
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_when_the_collector_dies_at_any_edge() {
    die_at_each(Dies::Collector);
}

#[test]
fn an_edge_that_no_daemon_knows_is_refused_with_all_that_it_knows() {
    for (dies, expected) in [
        (Dies::Agent, "buffer.before_sync"),
        (Dies::Collector, "store.before_log_commit"),
    ] {
        let known = edges(dies);
        assert!(known.iter().any(|edge| edge == expected), "{known:?}");
    }
}

/// The edges of a daemon: it tells them when it is given another one.
pub(crate) fn edges(dies: Dies) -> Vec<String> {
    let mut command = Command::new(program(dies.program()).expect("it is built"));
    let output = command.arg("run").env("DRAY_KILL_AT", "nowhere").output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it goes on: {said}");
    let names = said.trim().split_once("its edges are: ");
    let (_, names) = names.unwrap_or_else(|| {
        panic!("the daemons must be built with their failpoints (make build does): {said}")
    });
    names.split(", ").map(str::to_owned).collect()
}

fn die_at_each(dies: Dies) {
    let mut faults = Vec::new();
    let elsewhere = |edge: &String| is_of_a_pickup(edge) || is_of_a_call(edge);
    for edge in edges(dies).into_iter().filter(|edge| !elsewhere(edge)) {
        for _ in 0..if soak() { SOAK_ROUNDS } else { 1 } {
            let began = Instant::now();
            let (at, found) = die_once(dies, &edge);
            let seconds = began.elapsed().as_secs_f32();
            let verdict = found.map_or_else(|found| found.to_string(), |()| "clean".into());
            println!("{at:35} {seconds:4.1} s  {verdict}");
            if verdict != "clean" {
                faults.push(format!("{at}: {verdict}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// In a site of its own: which passing it was, and what was found.
fn die_once(dies: Dies, edge: &str) -> (String, Result<(), Found>) {
    let passing = if soak() && !is_rare(edge) {
        rand::rng().random_range(1..=SOAK_PASSING_MAX)
    } else {
        1
    };
    let at = format!("{edge}:{passing}");
    let found = match edge {
        "buffer.before_epoch" | "buffer.after_epoch" => die_in_new_epoch(&at),
        "file_drop.between_moves" => die_between_moves(&at),
        "file_drop.before_ledger" | "file_drop.after_ledger" => Dying::keeping().die_at(dies, &at),
        "file_drop.before_acknowledgement"
        | "file_drop.before_acknowledgement_name"
        | "file_drop.before_acknowledgement_sync" => Dying::answering().die_at(dies, &at),
        "file_drop.between_redrives"
        | "file_drop.before_redrive_sync"
        | "file_drop.before_request_removal" => die_while_redriving(&at),
        "file_drop.between_archive_moves" => die_between_acked(&at),
        "store.before_file_removal" | "store.between_file_removals" => die_while_trimming(&at),
        _ => Dying::new(None, "").die_at(dies, &at),
    };
    (at, found)
}

/// Edges that need an SSH server: the file drop's own tests have one, and die there.
fn is_of_a_pickup(edge: &str) -> bool {
    edge.starts_with("file_drop.sftp_")
}

/// Edges that need a caller who tries again: `soap` has some, and the agent dies there.
fn is_of_a_call(edge: &str) -> bool {
    edge.starts_with("soap.")
}

/// Edges that are passed once in a story.
fn is_rare(edge: &str) -> bool {
    edge.ends_with("_epoch")
        || edge.contains("redrive")
        || edge == "file_drop.between_moves"
        || edge.contains("_removal")
}

/// The agent's disk is restored from an older state, so a new epoch begins.
fn die_in_new_epoch(at: &str) -> Result<(), Found> {
    let mut site = Dying::new(None, "");
    site.stop(Dies::Agent);
    copy(&site.at("agent"), &site.at("older"));
    site.start_again(Dies::Agent)?;
    site.carry_next();
    site.stop(Dies::Agent);
    fs::remove_dir_all(site.at("agent")).expect("it is there");
    copy(&site.at("older"), &site.at("agent"));
    site.start_to_die(Dies::Agent, at);
    site.wait_death(Dies::Agent)?;
    site.start_again(Dies::Agent)?;
    site.judge()
}

/// Two files are appended and could not move, so that the next start moves both.
fn die_between_moves(at: &str) -> Result<(), Found> {
    let mut site = Dying::new(None, "");
    let archive = site.site.drops("movements").join("archive");
    let away = site.at("away");
    fs::rename(&archive, &away).expect("it goes away");
    fs::write(&archive, "in the way").expect("a file");
    let before = site.erp.events();
    // It sees both at once, so that one batch has them: behind a file that can't move it reads nothing.
    let agent = site.site.agent.as_ref().expect("it runs").pid();
    let agent = i32::try_from(agent)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    kill_process(agent, Signal::STOP).expect("it stands still");
    site.drop_next();
    site.drop_next();
    kill_process(agent, Signal::CONT).expect("it goes on");
    let arrived = site
        .erp
        .wait(Duration::from_secs(20), |events| events >= before + 600);
    assert!(arrived, "both are appended and sent");
    site.stop(Dies::Agent);
    fs::remove_file(&archive).expect("the file");
    fs::rename(&away, &archive).expect("it comes back");
    site.start_to_die(Dies::Agent, at);
    site.wait_death(Dies::Agent)?;
    site.start_again(Dies::Agent)?;
    site.judge()
}

/// Two files that were set aside go back, as an operator asked.
fn die_while_redriving(at: &str) -> Result<(), Found> {
    let mut site = Dying::new(None, "");
    site.set_aside_next();
    site.set_aside_next();
    site.stop(Dies::Agent);
    let asked = site
        .site
        .agent_command(&["redrive", "movements", "--all"])
        .expect("it is asked for");
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(said.contains("it is done when it is started"), "{said}");
    site.start_to_die(Dies::Agent, at);
    site.wait_death(Dies::Agent)?;
    site.start_again(Dies::Agent)?;
    site.judge()
}

/// Many files are appended while the collector is away, and one ack is for all.
fn die_between_acked(at: &str) -> Result<(), Found> {
    let mut site = Dying::new(None, "");
    site.stop(Dies::Collector);
    for _ in 0..SOAK_PASSING_MAX + 2 {
        site.drop_next();
    }
    let pending = site.site.drops("movements").join("archive/pending");
    wait("all are appended", || {
        fs::read_dir(&pending).is_ok_and(|files| files.count() as u64 == SOAK_PASSING_MAX + 2)
    });
    site.stop(Dies::Agent);
    site.start_to_die(Dies::Agent, at);
    site.start_again(Dies::Collector)?;
    site.wait_death(Dies::Agent)?;
    site.start_again(Dies::Agent)?;
    site.judge()
}

/// Files of the log go at the next start, as nobody needs them any more.
fn die_while_trimming(at: &str) -> Result<(), Found> {
    let mut site = Dying::new(None, "\n[log]\nkeep = \"1ms\"\n");
    for _ in 0..4 {
        site.carry_next();
    }
    site.die_at(Dies::Collector, at)
}
