//! The agent dies at each edge of the pickup, in a process of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use dray_adapter::conformance::Agent;
use dray_file_drop::{EDGES, FileDrop};

use crate::server::Server;
use crate::support::{Drops, table, work};

/// How the process that dies learns what to do.
const SETTINGS: &str = "DRAY_TEST_SETTINGS";
const KILL_AT: &str = "DRAY_KILL_AT";
/// Passings of an edge at which it dies.
const PASSINGS: u32 = 3;

#[test]
fn nothing_is_lost_or_doubled_when_the_agent_dies_at_any_edge_of_a_pickup() {
    let edges = EDGES
        .iter()
        .filter(|edge| edge.starts_with("file_drop.sftp_"));
    let mut tried = 0;
    for edge in edges {
        for after in ["delete", "keep"] {
            // Nothing goes there.
            if (*edge, after) == ("file_drop.sftp_before_gone", "keep") {
                continue;
            }
            die(edge, after);
            tried += 1;
        }
    }
    assert_eq!(tried, 11);
}

fn die(edge: &str, after: &str) {
    let server = Server::start();
    let mut expected = Vec::new();
    for number in 0..6_000 {
        expected.push(format!("a.txt:{}: A{number}|1", number + 2));
    }
    let lines: Vec<String> = (0..6_000).map(|number| format!("A{number}|1")).collect();
    server.put(
        "a.txt",
        table(&lines.iter().map(String::as_str).collect::<Vec<_>>()),
    );
    for name in ["b", "c", "d", "e", "f", "g"] {
        server.put(&format!("{name}.txt"), table(&[&format!("{name}|1")]));
        expected.push(format!("{name}.txt:2: {name}|1"));
    }
    let settings = server.table(&format!("after = \"{after}\"\n"));
    let drops = Drops::new(&settings);
    let config = drops.at("../settings.toml");
    std::fs::write(&config, drops.text()).expect("a file");
    for passing in 1..=PASSINGS {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child
            .args(["--exact", "pickup_deaths::picks_up_until_it_dies"])
            .env(SETTINGS, &config)
            .env(KILL_AT, format!("{edge}:{passing}"))
            .stdout(Stdio::null());
        let status = child.status().expect("it runs");
        assert_eq!(
            status.signal(),
            Some(9),
            "{edge}:{passing} {after}: {status}"
        );
    }
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, expected.len()), expected, "{edge} {after}");
    crate::support::until(&mut agent, || {
        server.files().is_empty() == (after == "delete")
    });
    agent.nothing_more("each came once");
    assert_eq!(drops.files("archive/repeated"), [""; 0], "{edge} {after}");
    assert_eq!(drops.files("archive").len(), 7, "{edge} {after}");
    assert_eq!(drops.files(""), [""; 0], "{edge} {after}");
}

/// The life of the process that dies. By itself, without settings, there is nothing to pick up.
#[test]
fn picks_up_until_it_dies() {
    let Some(config) = std::env::var_os(SETTINGS) else {
        return;
    };
    dray_edges::arm(&[EDGES]).expect("an edge");
    let text = std::fs::read_to_string(config).expect("the settings");
    let config = toml::from_str(&text).expect("the settings");
    let source = FileDrop::new("north/stock", config).expect("a good configuration");
    let _agent = Agent::open(Box::new(source));
    // Nothing polls: what has landed stays in the folder.
    std::thread::park_timeout(std::time::Duration::from_secs(20));
    panic!("it lives");
}
