//! No ack leaves before the sync that it rests on: shown by failing the sync, and by its trace.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dray_tests::daemon::Daemon;
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::{PATIENCE, folder, target_table};

/// strace attached to a running daemon.
struct Trace {
    child: Child,
}

impl Trace {
    /// Attaches and waits until it is.
    fn attach(daemon: &Daemon, arguments: &[&str]) -> Self {
        let mut child = Command::new("strace")
            .args(["-f", "-p", &daemon.pid().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace; \"make tools\" installs it");
        let mut said = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        let attached = said.any(|line| line.is_ok_and(|line| line.contains("attached")));
        assert!(attached, "strace did not attach: may this user trace?");
        std::thread::spawn(move || said.for_each(drop));
        Self { child }
    }

    fn detach(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("our own child");
        self.child.wait().expect("our own child");
    }
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.path().is_file())
            .count()
    })
}

fn running(name: &str) -> (tempfile::TempDir, Target, Site) {
    let folder = folder(name);
    let erp = Target::start(false).expect("a target");
    let site = Site::start(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &erp.url(), ""),
    )
    .expect("a site");
    let drops = site.drops("movements");
    drop_file(&drops, "0.txt", movements(0, 10, 10).as_bytes()).expect("a drop");
    assert!(
        erp.wait(PATIENCE, |events| events >= 10),
        "the chain does not run"
    );
    wait_for(|| files_in(&drops.join("archive")) == 1);
    (folder, erp, site)
}

/// Waits for something that only the file system tells.
#[expect(
    clippy::disallowed_methods,
    reason = "a folder of another process has no event to wait for"
)]
fn wait_for(reached: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !reached() {
        assert!(std::time::Instant::now() < end, "it never came to that");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

const FAIL_SYNCS: &str = "inject=fdatasync,fsync,sync_file_range:error=EIO";

#[test]
fn a_file_is_not_archived_when_the_agents_sync_fails() {
    let (_folder, erp, mut site) = running("agent-eio");
    let drops = site.drops("movements");
    let trace = Trace::attach(
        site.agent.as_ref().expect("it runs"),
        &["-o", "/dev/null", "-e", FAIL_SYNCS],
    );
    drop_file(&drops, "1.txt", movements(10, 10, 10).as_bytes()).expect("a drop");
    site.agent
        .as_ref()
        .expect("it runs")
        .wait_log("stopped")
        .expect("the buffer says that it stopped");
    assert_eq!(files_in(&drops), 1, "the file stays where it was dropped");
    assert_eq!(files_in(&drops.join("archive/pending")), 0);
    trace.detach();
    site.agent
        .as_mut()
        .expect("it runs")
        .kill()
        .expect("a kill");
    site.start_agent().expect("an agent");
    assert!(
        erp.wait(PATIENCE, |events| events >= 20),
        "after the restart it is sent"
    );
    wait_for(|| files_in(&drops.join("archive")) == 2);
    assert_eq!(
        site.log_arrivals().expect("the log").len(),
        20,
        "and stands in the log once"
    );
}

#[test]
fn nothing_is_acked_when_the_collectors_sync_fails() {
    let (_folder, erp, mut site) = running("collector-eio");
    let drops = site.drops("movements");
    let trace = Trace::attach(
        site.collector.as_ref().expect("it runs"),
        &["-o", "/dev/null", "-e", FAIL_SYNCS],
    );
    drop_file(&drops, "1.txt", movements(10, 10, 10).as_bytes()).expect("a drop");
    site.agent
        .as_ref()
        .expect("it runs")
        .wait_log("cannot write")
        .expect("the refusal reaches the agent");
    assert_eq!(
        files_in(&drops.join("archive/pending")),
        1,
        "appended at the site, not acked"
    );
    assert_eq!(files_in(&drops.join("archive")), 1);
    assert_eq!(erp.events(), 10, "and nobody was given what is not on disk");
    trace.detach();
    site.collector
        .as_mut()
        .expect("it runs")
        .kill()
        .expect("a kill");
    site.start_collector().expect("a collector");
    assert!(
        erp.wait(PATIENCE, |events| events >= 20),
        "after the restart it goes on"
    );
    wait_for(|| files_in(&drops.join("archive")) == 2);
    assert_eq!(
        site.log_arrivals().expect("the log").len(),
        20,
        "and stands in the log once"
    );
}

/// One line of `strace -ttt -y`: seconds, and the call.
fn calls(trace: &Path) -> Vec<(f64, String)> {
    let text = std::fs::read_to_string(trace).expect("a trace");
    let call = |line: &str| {
        let (_, rest) = line.split_once(' ')?;
        let (time, call) = rest.trim_start().split_once(' ')?;
        Some((time.parse().ok()?, call.to_owned()))
    };
    text.lines().filter_map(call).collect()
}

#[test]
fn the_trace_shows_the_sync_before_the_archive_move_and_before_the_ack() {
    let (folder, erp, site) = running("trace");
    let drops = site.drops("movements");
    let watch = "trace=fdatasync,fsync,pwrite64,write,rename,renameat,renameat2";
    let traced = ["agent", "collector"].map(|name| folder.path().join(format!("{name}.strace")));
    let daemons = [
        site.agent.as_ref().expect("it runs"),
        site.collector.as_ref().expect("it runs"),
    ];
    let traces: Vec<Trace> = daemons
        .iter()
        .zip(&traced)
        .map(|(daemon, to)| {
            Trace::attach(
                daemon,
                &["-ttt", "-y", "-o", to.to_str().expect("UTF-8"), "-e", watch],
            )
        })
        .collect();
    drop_file(&drops, "traced.txt", movements(10, 10, 10).as_bytes()).expect("a drop");
    assert!(
        erp.wait(PATIENCE, |events| events >= 20),
        "the chain does not run"
    );
    wait_for(|| files_in(&drops.join("archive")) == 2);
    traces.into_iter().for_each(Trace::detach);

    let [agent, collector] = traced.map(|trace| calls(&trace));
    let is_move = |call: &str, to: &str| {
        call.starts_with("rename") && call.contains("traced.txt") && call.contains(to)
    };
    let is_sync = |call: &str| {
        (call.starts_with("fdatasync")
            || call.starts_with("fsync")
            || call.contains("sync resumed"))
            && call.ends_with("= 0")
    };
    let pending = agent
        .iter()
        .find(|(_, call)| is_move(call, "archive/pending/traced.txt"))
        .expect("the move once appended")
        .0;
    let archived = agent
        .iter()
        .find(|(time, call)| *time > pending && is_move(call, "archive/traced.txt"))
        .expect("the move at the ack")
        .0;
    let written = agent
        .iter()
        .find(|(_, call)| {
            call.contains("/buffer/") && (call.starts_with("pwrite64") || call.starts_with("write"))
        })
        .expect("the append's write")
        .0;
    assert!(
        agent
            .iter()
            .any(|(time, call)| *time > written && *time < pending && is_sync(call)),
        "the agent moved the file without a sync after its write"
    );
    let logged = collector
        .iter()
        .find(|(_, call)| {
            call.contains("/log/") && (call.starts_with("pwrite64") || call.starts_with("write"))
        })
        .expect("the log's write")
        .0;
    assert!(
        collector
            .iter()
            .any(|(time, call)| *time > logged && *time < archived && is_sync(call)),
        "the collector acked without a sync after its write"
    );
}
