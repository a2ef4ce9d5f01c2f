//! The network between agent and collector fails under load, in every way but with the processes.

use std::path::Path;
use std::time::{Duration, Instant};

use dray_tests::daemon::{Daemon, program};
use dray_tests::drops::{drop_file, movements};
use dray_tests::line::Line;
use dray_tests::namespace::Namespace;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use rand::RngExt as _;

use crate::{PATIENCE, arrives_whole, folder, soak, target_table};

/// Items of the movements: each is a key.
const KEYS: u64 = 700;
/// How soon a line that carries nothing must be found to be dead.
const FOUND: Duration = Duration::from_secs(30);
/// How soon a collector must end.
const ENDED: Duration = Duration::from_secs(10);
/// What an agent may need at most.
const AGENT_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// A site whose agent dials a [`Line`], and how many movements it was given.
struct Load {
    erp: Target,
    line: Line,
    site: Site,
    dropped: u64,
}

impl Load {
    fn start(folder: &Path) -> Self {
        let erp = Target::start(false).expect("a target");
        let flows = [FlowSpec::movements("movements")];
        let targets = target_table("erp", &erp.url(), "");
        let (site, line) = Site::start_on_a_line(folder, &flows, &targets).expect("a site");
        Self {
            erp,
            line,
            site,
            dropped: 0,
        }
    }

    fn drop_lines(&mut self, lines: u64) {
        let text = movements(self.dropped, lines, KEYS);
        let name = format!("{:09}.txt", self.dropped);
        drop_file(&self.site.drops("movements"), &name, text.as_bytes()).expect("a drop");
        self.dropped += lines;
    }

    fn wait_arrived(&self, events: u64, when: &str) {
        assert!(
            self.erp.wait(PATIENCE, |arrived| arrived >= events),
            "stuck {when}: {} of {events} arrived",
            self.erp.events()
        );
    }

    /// What `dray-agent status` says once it holds `words`, and when it did.
    fn wait_status(&self, words: &str) -> (String, Instant) {
        let end = Instant::now() + PATIENCE;
        loop {
            let output = self.site.agent_command(&["status"]).expect("status");
            let status = String::from_utf8(output.stdout).expect("UTF-8");
            if status.contains(words) {
                return (status, Instant::now());
            }
            assert!(
                Instant::now() < end,
                "\"{words}\" was expected, not:\n{status}"
            );
        }
    }
}

#[test]
fn a_line_that_goes_silent_is_found_and_everything_arrives_once_it_speaks() {
    let folder = folder("silent");
    let mut load = Load::start(folder.path());
    for _ in 0..4 {
        load.drop_lines(2_500);
    }
    load.wait_arrived(2_500, "before the silence");
    load.line.go_silent();
    let silent = Instant::now();
    for _ in 0..4 {
        load.drop_lines(2_500);
    }
    let agent = load.site.agent.as_ref().expect("it runs");
    agent
        .wait_log("the collector is away")
        .expect("it is found");
    let (status, found) = load.wait_status("not connected");
    let took = found.duration_since(silent);
    println!("a silent line was found after {took:.1?}:\n{status}");
    assert!(took < FOUND, "{took:?}");
    load.line.speak();
    arrives_whole(&load.site, &load.erp, load.dropped, "a silent line");
    let back = silent.elapsed() - took;
    println!("everything was there {back:.1?} after the line was back");
    load.wait_status(", connected");
}

/// Half of the faults are resets at a random place, half are cuts after a random number of bytes: some of these in
/// the handshake of the next connection.
#[test]
fn a_line_that_breaks_anywhere_loses_and_doubles_nothing() {
    let faults: u64 = if soak() { 300 } else { 20 };
    let (lines_a_file, files) = (1_000, 2);
    let folder = folder("breaks");
    let mut load = Load::start(folder.path());
    let mut random = rand::rng();
    for fault in 0..faults {
        // Each fault hits a connection of its own; the first of all was for enrolling.
        let cut = random.random_bool(0.5);
        if cut {
            // A handshake has about 5 kB, and what is dropped now at least 50.
            load.line.cut_after(random.random_range(1..30_000));
        }
        for _ in 0..files {
            load.drop_lines(lines_a_file);
        }
        if cut {
            assert!(load.line.wait_cut(PATIENCE), "fault {fault}: no bytes came");
        } else {
            let reached = load.dropped - random.random_range(0..lines_a_file * files);
            load.wait_arrived(reached, &format!("before fault {fault}"));
            let broken = load.line.broken().max(1);
            assert!(load.line.wait_connections(PATIENCE, broken + 1));
            load.line.reset();
        }
    }
    let after = format!(
        "{faults} breaks, {} connections, {} bytes",
        load.line.connections(),
        load.line.passed()
    );
    arrives_whole(&load.site, &load.erp, load.dropped, &after);
}

#[test]
fn a_narrow_line_costs_the_agent_no_memory_and_drains_once_it_is_wide() {
    let folder = folder("narrow");
    let mut load = Load::start(folder.path());
    let agent = load.site.agent.as_ref().expect("it runs");
    agent.wait_log("\"connected\"").expect("it connects");
    load.line.limit(Some(20_000));
    let began = Instant::now();
    for _ in 0..8 {
        load.drop_lines(2_500);
    }
    load.wait_status(" 20000 ");
    println!("the agent took all after {:.1?}", began.elapsed());
    // Long enough in a soak for pings to be lost behind what waits in the line.
    let through = if soak() { 18_000 } else { 3_000 };
    load.wait_arrived(through, "on the narrow line");
    println!("{through} were through after {:.1?}", began.elapsed());
    load.line.limit(None);
    arrives_whole(&load.site, &load.erp, load.dropped, "a narrow line");
    let agent = load.site.agent.as_ref().expect("it runs");
    let peak = agent.usage().expect("it runs").peak_bytes;
    println!(
        "drained after {:.1?}; {} connections; the agent's peak: {} KiB",
        began.elapsed(),
        load.line.connections(),
        peak / 1024
    );
    assert!(peak < AGENT_BYTES_MAX, "{peak} bytes");
}

#[test]
fn a_collector_that_is_rolled_under_load_ends_in_time_and_loses_nothing() {
    let rolls: u64 = if soak() { 100 } else { 5 };
    let (lines_a_file, files) = (2_500, 2);
    let folder = folder("rolled");
    let mut load = Load::start(folder.path());
    let mut random = rand::rng();
    let mut longest = Duration::ZERO;
    for roll in 0..rolls {
        for _ in 0..files {
            load.drop_lines(lines_a_file);
        }
        let reached = load.dropped - random.random_range(0..lines_a_file * files);
        load.wait_arrived(reached, &format!("before roll {roll}"));
        let began = Instant::now();
        let collector = load.site.collector.as_mut().expect("it runs");
        assert_eq!(collector.terminate().expect("it ends"), Some(0));
        longest = longest.max(began.elapsed());
        load.site.start_collector().expect("a collector");
    }
    println!("{rolls} rolls: the longest took {longest:.1?} to end");
    assert!(longest < ENDED, "{longest:?}");
    arrives_whole(
        &load.site,
        &load.erp,
        load.dropped,
        &format!("{rolls} rolls"),
    );
}

#[test]
fn a_network_that_loses_a_tenth_of_its_packets_is_slow_and_nothing_else() {
    let lines: u64 = if soak() { 200_000 } else { 20_000 };
    let folder = folder("lossy");
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let namespace = Namespace::make().expect("a namespace");
    let flows = [FlowSpec::movements("movements")];
    let mut site = Site::lay_out(folder.path(), &flows, &targets).expect("a site");
    site.listen_at(namespace.outside()).expect("configurations");
    site.start_collector().expect("a collector");
    site.enrol().expect("enrolled");
    namespace.lose(10).expect("packets are lost");
    let inside = namespace.command(&program("dray-agent").expect("it is built"));
    let agent = Daemon::start_with(inside, "dray-agent", &site.agent_config());
    site.agent = Some(agent.expect("an agent"));
    let began = Instant::now();
    for first in (0..lines).step_by(2_500) {
        let text = movements(first, 2_500.min(lines - first), KEYS);
        let name = format!("{first:09}.txt");
        drop_file(&site.drops("movements"), &name, text.as_bytes()).expect("a drop");
    }
    arrives_whole(&site, &erp, lines, "a tenth of the packets lost");
    let lost = namespace.lost().expect("counts");
    println!(
        "{lines} lines took {:.1?}; {lost} packets were lost",
        began.elapsed()
    );
    assert!(lost > 0, "nothing was lost");
}
