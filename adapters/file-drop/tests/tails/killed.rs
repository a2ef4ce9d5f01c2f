//! Killed at any step of a life in which a file grows, is rotated, copied and begun again.

use dray_adapter::conformance::Agent;

use crate::support::{Logs, acking, cells, ids_differ};

/// What is done to the log, in order; after each the agent makes so many steps.
fn deeds(logs: &Logs, deed: usize) -> bool {
    match deed {
        0 => logs.create("app.log", "1\n2\n3"),
        1 => logs.append("app.log", "\n4\n"),
        2 => logs.rename("app.log", "app.log.1"),
        3 => logs.create("app.log", "5\n6\n"),
        4 => logs.append("app.log", "7\n8"),
        5 => logs.append("app.log", "\n9\n"),
        6 => {
            logs.rename("app.log.1", "app.log.2");
            logs.copy("app.log", "app.log.1");
        }
        7 => {
            logs.append("app.log", "");
            logs.truncate("app.log");
        }
        8 => logs.append("app.log", "10\n11\n"),
        9 => logs.append("app.log", "12\n"),
        _ => return false,
    }
    true
}

const LINES: usize = 12;

/// Dies at the given steps without a word; whether there were so many.
fn live(kills: &[usize]) -> bool {
    let logs = Logs::new("");
    let mut agent = logs.agent();
    let (mut deed, mut step) = (0, 0);
    let mut dies = |agent: &mut Agent| {
        step += 1;
        if kills.contains(&step) {
            agent.reopen(logs.source());
        }
        step
    };
    while deeds(&logs, deed) {
        deed += 1;
        for _ in 0..3 {
            agent.poll();
            dies(&mut agent);
        }
        agent.append();
        dies(&mut agent);
        agent.commit();
        dies(&mut agent);
    }
    agent.finish(LINES, acking());
    let expected: Vec<String> = (1..=LINES).map(|line| line.to_string()).collect();
    assert_eq!(cells(&agent), expected, "killed at {kills:?}");
    ids_differ(&agent);
    kills.iter().all(|kill| *kill <= step)
}

#[test]
fn killed_at_any_step_every_line_is_read_once_and_in_order() {
    for first in 1.. {
        if !live(&[first]) {
            assert!(first > 40, "a life has many steps");
            break;
        }
        live(&[first, first + 1, first + 7]);
    }
}
