//! The number of the protocol between agent and collector, and what is said where it differs.

use std::cmp::Ordering;

/// What this build speaks. It is raised when an older peer could misread a newer one; fields that older peers may
/// pass over raise nothing.
pub const PROTOCOL: u32 = 1;

/// Why these two can't talk, for a person; `None` where they can.
#[must_use]
pub fn mismatch(agent: u32, collector: u32) -> Option<String> {
    let older = match agent.cmp(&collector) {
        Ordering::Equal => return None,
        Ordering::Less => "agent",
        Ordering::Greater => "collector",
    };
    Some(format!(
        "the agent speaks protocol {agent} and the collector protocol {collector}: update the {older}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_side_is_to_be_updated() {
        let check = |agent, collector, expected: Option<&str>| {
            assert_eq!(mismatch(agent, collector).as_deref(), expected);
        };
        check(1, 1, None);
        check(
            1,
            2,
            Some("the agent speaks protocol 1 and the collector protocol 2: update the agent"),
        );
        check(
            3,
            1,
            Some("the agent speaks protocol 3 and the collector protocol 1: update the collector"),
        );
    }
}
