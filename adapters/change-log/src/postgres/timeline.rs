//! What became of the log that was read: whether the server's is its continuation, and up to where. Pure.
//!
//! A server that takes over begins a *timeline* of its own at the end of what it had of the log. Its history file names the timelines before,
//! each with the place where it was left:
//! ```text
//! 1    0/174C490    no recovery target specified
//! 2    0/3000148    before 2026-11-27 08:15:00+00
//! ```
//! What was read behind that place the server does not have, and other things stand there.
//!
//! The number of a timeline does not tell it from others: of two servers that take over from the same one, each without the other, both give
//! theirs the next number. So timelines are told apart by the way that led to them, too. Two that were begun at the very same place, by two
//! servers with one number, are not told apart: nothing that the server says differs.

use pgwire_replication::Lsn;
use serde::{Deserialize, Serialize};

use super::lsn::written;
use super::place::Place;

/// Of a history so much is kept in a place, the newest: a server takes over some ten times in its life.
const KEPT_MAX: usize = 64;

/// A timeline that was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, At)", into = "(u32, At)")]
pub(super) struct Left {
    pub(super) timeline: u32,
    /// Where.
    pub(super) at: Lsn,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct At(#[serde(with = "written")] Lsn);

impl From<(u32, At)> for Left {
    fn from((timeline, At(at)): (u32, At)) -> Self {
        Self { timeline, at }
    }
}

impl From<Left> for (u32, At) {
    fn from(left: Left) -> Self {
        (left.timeline, At(left.at))
    }
}

/// What a place keeps of a history.
pub(super) fn kept(history: &[Left]) -> Vec<Left> {
    history[history.len().saturating_sub(KEPT_MAX)..].to_vec()
}

/// Whether a server on the place's timeline came there as it was when the place was read; `true` where that is not known.
pub(super) fn came_so(place: &Place, history: &[Left]) -> bool {
    place.came.is_empty() || place.came == kept(history)
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

/// What is said of a server without that file.
pub(super) fn lost(server: &str, timeline: u32) -> String {
    format!(
        "the server {server} is on timeline {timeline}, and its file pg_wal/{timeline:08X}.history is gone: without it nobody knows whether its log goes on from what the flow has read. \
         Let the DBA copy that file there, from the archive of the log (archive_command) or from pg_wal of another server of the cluster, and restart the agent; \
         if there is none, give the flow another name, which reads all rows anew"
    )
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
    let until = match shared(place, timeline, history) {
        Shared::All => {
            // A disk that was set back: what was written since may stand anywhere.
            return match place.told_through() <= end && place.end <= end {
                true => Way::On(place.end),
                false => Way::Back { until: None },
            };
        }
        // Nor is it known what stands there where the server's log ends before.
        Shared::Until(until) if until <= end => until,
        Shared::Until(_) | Shared::Unknown => return Way::Back { until: None },
    };
    match place.told_through() <= until {
        true => Way::On(place.end.min(until)),
        false => Way::Back { until: Some(until) },
    }
}

/// What two logs have in common.
enum Shared {
    All,
    Until(Lsn),
    Unknown,
}

fn shared(place: &Place, timeline: u32, history: &[Left]) -> Shared {
    let Some(first) = place.came.first() else {
        // On the first one, or of an agent that kept the number alone.
        let left = history.iter().find(|left| left.timeline == place.timeline);
        return match left {
            None if place.timeline == timeline => Shared::All,
            None => Shared::Unknown,
            Some(left) => Shared::Until(left.at),
        };
    };
    // Whoever is on a timeline left it nowhere.
    let way = |came: &[Left], now: u32| {
        let came = came.iter().map(|left| (left.timeline, Some(left.at)));
        came.chain([(now, None)]).collect::<Vec<_>>()
    };
    let (read, had) = (way(&place.came, place.timeline), way(history, timeline));
    // What was before those that are kept is the same where the first of these is.
    let from = had.iter().position(|(number, _)| *number == first.timeline);
    let Some(from) = from else {
        return Shared::Unknown;
    };
    let mut until = None;
    for ((read, left), (had, other)) in read.iter().zip(&had[from..]) {
        if read != had {
            break;
        }
        match (*left, *other) {
            (None, None) => return Shared::All,
            (Some(left), Some(other)) if left == other => until = Some(left),
            (Some(left), Some(other)) => return Shared::Until(left.min(other)),
            (Some(at), None) | (None, Some(at)) => return Shared::Until(at),
        }
    }
    until.map_or(Shared::Unknown, Shared::Until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::progress::Within;

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
        let said = lost("wms-db:5432", 26);
        assert!(
            said.contains("wms-db:5432 is on") && said.contains("0000001A.history is gone"),
            "{said}"
        );
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

    #[test]
    fn timelines_of_one_number_are_told_apart_by_where_they_began() {
        let history = |text: &str| read_history(text).expect("a history");
        let place = |came: &str, timeline, end| {
            let mut place = Place::at("73", timeline, "s", Lsn(end));
            place.came = history(came);
            place
        };
        let back = |until| Way::Back { until };
        // The servers' own files: both took over from timeline 1, the second one with more of it.
        let first = "1\t0/3000148\tno recovery target specified\n";
        let second = "1\t0/30002A0\tno recovery target specified\n";
        let (fork, end) = (0x300_0148, Lsn(0x400_0000));
        for (place, had, timeline, expected) in [
            (
                place(first, 2, 0x300_0200),
                first,
                2,
                Way::On(Lsn(0x300_0200)),
            ),
            (
                place(first, 2, 0x300_0200),
                second,
                2,
                back(Some(Lsn(fork))),
            ),
            (
                place(second, 2, 0x300_0200),
                first,
                2,
                back(Some(Lsn(fork))),
            ),
            (place(first, 2, fork), second, 2, Way::On(Lsn(fork))),
            (place(first, 2, 0x500_0000), first, 2, back(None)),
            // And both were taken over from.
            (
                place(first, 2, 0x300_0200),
                "1\t0/30002A0\t\n2\t0/3500000\t\n",
                3,
                back(Some(Lsn(fork))),
            ),
            (
                place(first, 2, 0x300_0200),
                "1\t0/3000148\t\n2\t0/3500000\t\n",
                3,
                Way::On(Lsn(0x300_0200)),
            ),
            (
                place("1\t0/3000148\t\n2\t0/3100000\t\n", 3, 0x310_0001),
                "1\t0/3000148\t\n2\t0/3500000\t\n",
                3,
                back(Some(Lsn(0x310_0000))),
            ),
            // The server before came back: it has what was told up to where it was taken over from.
            (place(first, 2, fork), "", 1, Way::On(Lsn(fork))),
            (place(first, 2, fork + 1), "", 1, back(Some(Lsn(fork)))),
            (place("1\t0/5000000\t", 2, fork), "", 1, back(None)),
            // One server left out a number.
            (place(first, 2, fork + 1), first, 3, back(Some(Lsn(fork)))),
            // Its history is of another database.
            (place(first, 2, 5), "7\t0/1\t", 8, back(None)),
        ] {
            let found = way(&place, timeline, &history(had), end);
            assert_eq!(found, expected, "{place:?} {had}");
        }
        let old = Place::at("73", 2, "s", Lsn(0x300_0200));
        assert_eq!(way(&old, 2, &history(first), end), Way::On(old.end));
        assert!(came_so(&old, &history(first)));
        assert!(!came_so(&place(first, 2, 7), &history(second)));
    }

    #[test]
    fn a_long_history_is_kept_in_part_and_compared_all_the_same() {
        let text: Vec<_> = (1..200).map(|n| format!("{n}\t0/{n:X}\t\n")).collect();
        let history = read_history(&text.concat()).expect("a history");
        let mut place = Place::at("73", 200, "s", Lsn(300));
        place.came = kept(&history);
        assert_eq!((place.came.len(), place.came[0].timeline), (64, 136));
        assert!(came_so(&place, &history));
        assert_eq!(way(&place, 200, &history, Lsn(400)), Way::On(Lsn(300)));
        place.came[63].at = Lsn(190);
        let back = Way::Back {
            until: Some(Lsn(190)),
        };
        assert_eq!(way(&place, 200, &history, Lsn(400)), back);
    }
}
