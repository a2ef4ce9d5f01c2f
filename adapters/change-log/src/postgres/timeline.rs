//! What became of the log that was read: whether the server's is its continuation, and up to where. Pure.
//!
//! A server that takes over begins a *timeline* of its own at the end of what it had of the log. Its history file names the timelines before,
//! each with the place where it was left:
//! ```text
//! 1    0/174C490    no recovery target specified
//! 2    0/3000148    before 2026-11-27 08:15:00+00
//! ```
//! What was read behind that place the server does not have, and other things stand there.

use pgwire_replication::Lsn;

use super::place::Place;

/// A timeline that was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) timeline: u32,
    /// Where.
    pub(super) at: Lsn,
}

/// Reads a history file (PostgreSQL, `timeline.c`): three columns, lines of `#` and empty ones are passed over.
///
/// # Errors
/// A sentence: it is none.
pub(super) fn read_history(text: &str) -> Result<Vec<Left>, String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let left = lines.map(|line| {
        let mut words = line.split_whitespace();
        let timeline = words.next().and_then(|word| word.parse().ok());
        let at = words.next().and_then(|word| Lsn::parse(word).ok());
        match (timeline, at) {
            (Some(timeline), Some(at)) => Ok(Left { timeline, at }),
            _ => Err(format!(
                "the server's timeline history has a line \"{line}\", which is not understood"
            )),
        }
    });
    left.collect()
}

/// How the server's log goes on from what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All of it is the same up to here, and the flow goes on there: its own place, or an earlier one behind which nothing was told.
    On(Lsn),
    /// Changes were told that the server does not have.
    Back {
        /// Up to here it is the same; `None`: that is not known.
        until: Option<Lsn>,
    },
}

/// Holds a place against the server's timeline, the history of that, and where its log ends.
pub(super) fn way(place: &Place, timeline: u32, history: &[Left], end: Lsn) -> Way {
    let left = history.iter().find(|left| left.timeline == place.timeline);
    let until = match left {
        None if place.timeline == timeline => {
            // A disk that was set back: what was written since may stand anywhere.
            return match place.told_through() <= end && place.end <= end {
                true => Way::On(place.end),
                false => Way::Back { until: None },
            };
        }
        None => return Way::Back { until: None },
        Some(left) => left.at,
    };
    match place.told_through() <= until {
        true => Way::On(place.end.min(until)),
        false => Way::Back { until: Some(until) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::place::Within;

    #[test]
    fn a_history_is_read_as_the_server_writes_it() {
        let text = "# a note\n1\t0/174C490\tno recovery target specified\n\n2\t1/0\tbefore 2026-11-27 08:15:00+00\n";
        let left = |timeline, at| Left {
            timeline,
            at: Lsn(at),
        };
        assert_eq!(
            read_history(text),
            Ok(vec![left(1, 0x174_C490), left(2, 1 << 32)])
        );
        assert_eq!(read_history(""), Ok(Vec::new()));
        for text in ["x\t0/1\t", "1", "1\t17\t"] {
            let told = read_history(text).expect_err(text);
            assert!(told.contains("not understood"), "{told}");
        }
    }

    #[test]
    fn a_flow_goes_on_where_all_that_it_told_is_the_servers_too() {
        let at = |timeline, end| Place::at("73", timeline, "s", Lsn(end));
        let looked = |timeline, told, end| {
            let mut place = at(timeline, told);
            place.move_to(Lsn(end), false);
            place
        };
        let within = |commit| {
            let mut place = at(1, 20);
            place.within = Some(Within {
                commit: Lsn(commit),
                rows: 7,
            });
            place
        };
        let history = read_history("1\t0/32\t\n2\t0/64\t").expect("a history");
        let (first, second) = (50, 100);
        let back = |until| Way::Back { until };
        for (place, timeline, end, expected) in [
            (at(3, 120), 3, 120, Way::On(Lsn(120))),
            (at(3, 120), 3, 119, back(None)),
            // Nobody knows where the server was set back to.
            (looked(3, 110, 120), 3, 119, back(None)),
            (at(1, 50), 3, 500, Way::On(Lsn(50))),
            (at(1, 51), 3, 500, back(Some(Lsn(first)))),
            (looked(1, 50, 70), 3, 500, Way::On(Lsn(first))),
            (within(49), 3, 500, Way::On(Lsn(20))),
            (within(50), 3, 500, back(Some(Lsn(first)))),
            (at(2, 90), 3, 500, Way::On(Lsn(90))),
            (at(2, 101), 3, 500, back(Some(Lsn(second)))),
            // The server before came back, or one that took over elsewhere.
            (at(4, 90), 3, 500, back(None)),
        ] {
            assert_eq!(
                way(&place, timeline, &history, Lsn(end)),
                expected,
                "{place:?}"
            );
        }
        assert_eq!(way(&at(2, 5), 1, &[], Lsn(500)), back(None));
    }
}
