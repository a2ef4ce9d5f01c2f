//! Both daemons die again and again, each time at another edge, before they have recovered from the last time.

use std::time::Duration;

use rand::RngExt as _;

use crate::dying::{Dies, Dying, Found};
use crate::edges::edges;
use crate::soak;

/// The latest passing at which one dies.
const PASSING_MAX: u64 = 3;
/// How long an edge may not be passed, as not every edge is in every state, before the daemon is just killed.
const DIES_WITHIN: Duration = Duration::from_millis(2_500);

#[test]
fn nothing_is_lost_doubled_or_out_of_order_when_both_daemons_die_again_and_again_at_their_edges() {
    let deaths = if soak() { 200 } else { 10 };
    let known = [Dies::Agent, Dies::Collector].map(|dies| (dies, edges(dies)));
    let mut random = rand::rng();
    let mut site = Dying::new(None, "");
    let (mut at_edges, mut dead, mut story) = (0, None, Vec::new());
    for _ in 0..deaths {
        let (dies, edges) = &known[random.random_range(0..known.len())];
        let edge = &edges[random.random_range(0..edges.len())];
        let at = format!("{edge}:{}", random.random_range(1..=PASSING_MAX));
        if let Some(dead) = dead.take().filter(|dead| dead != dies) {
            let started = site.start_again(dead);
            started.unwrap_or_else(|found| panic!("{found} after {story:#?}"));
        }
        site.stop(*dies);
        site.start_to_die(*dies, &at);
        for _ in 0..random.random_range(1..5) {
            site.drop_next();
        }
        match site.wait_death_within(*dies, DIES_WITHIN) {
            Ok(()) => (at_edges, dead) = (at_edges + 1, Some(*dies)),
            Err(Found::NotPassed) => {}
            Err(found) => panic!("{found} after {story:#?} and {at}"),
        }
        story.push(at);
    }
    for dies in [Dies::Agent, Dies::Collector] {
        site.stop(dies);
    }
    for dies in [Dies::Collector, Dies::Agent] {
        let started = site.start_again(dies);
        started.unwrap_or_else(|found| panic!("{found} after {story:#?}"));
    }
    let judged = site.judge();
    judged.unwrap_or_else(|found| panic!("{found} after {story:#?}"));
    println!("{deaths} deaths, {at_edges} of them at an edge: clean");
}
