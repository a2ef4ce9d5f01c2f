//! Whether the log goes on where the flow stands. Pure: what the server says of its slot, held against a position.

use dray_adapter::GapReason;
use pgwire_replication::Lsn;

use super::facts::{Facts, taken_over, went_back};
use super::place::Place;
use super::timeline::{Way, way};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// There is neither a position nor a slot: one is made.
    Make,
    /// There is a slot and no position: the flow begins where the slot does.
    Begin(Lsn),
    /// The flow goes on, here: at its place, or before it where nothing was told since.
    GoOn(Lsn),
    /// A part of the log is gone that the flow has not read, or one that it has read.
    Gap(Gap),
    /// A person must look.
    Wrong(String),
}

/// What is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) reason: GapReason,
    /// In words.
    pub(super) sentence: String,
    /// What the log says before it the flow has.
    pub(super) read_through: Lsn,
}

/// Holds a position against what the server says. `name`: the slot's, `database`: the one that is configured.
pub(super) fn course(name: &str, database: &str, place: Option<&Place>, facts: &Facts) -> Course {
    if let Some(slot) = &facts.slot {
        if slot.plugin != "pgoutput" {
            return Course::Wrong(format!(
                "the replication slot {name} is of the plugin {}, and pgoutput is needed; name another slot",
                slot.plugin
            ));
        }
        if slot.database != database {
            return Course::Wrong(format!(
                "the replication slot {name} is of the database {}, not of {database}; name another slot",
                slot.database
            ));
        }
    }
    let gap = |reason, read_through, sentence| {
        Course::Gap(Gap {
            reason,
            sentence,
            read_through,
        })
    };
    let Some(place) = place else {
        return match &facts.slot {
            None => Course::Make,
            Some(slot) if slot.is_lost() => gap(
                GapReason::LogDropped,
                Lsn::ZERO,
                format!(
                    "the server dropped the log that the replication slot {name} was to keep: {}",
                    slot.lost_by()
                ),
            ),
            Some(slot) => Course::Begin(slot.confirmed),
        };
    };
    if place.system != facts.system {
        return gap(
            GapReason::OtherServer,
            Lsn::ZERO,
            format!(
                "the server is another one than before (system {} instead of {})",
                facts.system, place.system
            ),
        );
    }
    let at = match way(place, facts.timeline, &facts.history, facts.end) {
        Way::On(at) => at,
        Way::Back { until } => {
            let sentence = went_back(place, facts, until);
            return gap(
                GapReason::ServerWentBack,
                until.unwrap_or(Lsn::ZERO),
                sentence,
            );
        }
    };
    match &facts.slot {
        None => gap(
            GapReason::SlotGone,
            at,
            format!(
                "the replication slot {name} is gone, and with it what changed after {at}{}",
                taken_over(place, facts)
            ),
        ),
        Some(slot) if slot.is_lost() => gap(
            GapReason::LogDropped,
            at,
            format!(
                "the server dropped the log after {at} that the replication slot {name} was to keep: {}",
                slot.lost_by()
            ),
        ),
        Some(slot) if slot.confirmed > at => gap(
            GapReason::SlotRemade,
            at,
            format!(
                "the replication slot {name} stands at {}, and the flow at {at}: it was made anew, or another reader used it{}",
                slot.confirmed,
                taken_over(place, facts)
            ),
        ),
        Some(_) => Course::GoOn(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::facts::Slot;
    use crate::postgres::timeline::Left;

    #[test]
    fn a_flow_goes_on_only_where_the_log_does() {
        let slot = |confirmed, status: &str| {
            Some(Slot {
                plugin: "pgoutput".into(),
                database: "wms".into(),
                confirmed: Lsn(confirmed),
                wal_status: status.into(),
                lost_by: String::new(),
                failover: false,
            })
        };
        let other = |change: fn(&mut Slot)| {
            let mut slot = slot(7, "reserved");
            slot.iter_mut().for_each(change);
            slot
        };
        let lost = |by: &str| {
            let mut slot = slot(7, "lost");
            slot.iter_mut().for_each(|slot| slot.lost_by = by.into());
            slot
        };
        let at = |end| Some(Place::at("73", 1, "s", Lsn(end)));
        for (place, slot, expected) in [
            (None, None, "Make"),
            (None, slot(7, "reserved"), "Begin(Lsn(7))"),
            (None, slot(7, "lost"), "the server dropped the log that"),
            (
                at(9),
                None,
                "the replication slot s is gone, and with it what changed after 0/9",
            ),
            (at(9), slot(7, ""), "GoOn(Lsn(9))"),
            (at(9), slot(9, "extended"), "GoOn(Lsn(9))"),
            (
                at(9),
                slot(10, "reserved"),
                "stands at 0/A, and the flow at 0/9: it was made anew",
            ),
            (at(9), slot(7, "lost"), "max_slot_wal_keep_size"),
            (
                at(9),
                lost("wal_removed"),
                "0/9 that the replication slot s was to keep: max_slot_wal_keep_size",
            ),
            (at(9), lost("idle_timeout"), "idle_replication_slot_timeout"),
            (at(9), lost("rows_removed"), "hot_standby_feedback"),
            (
                None,
                lost("wal_level_insufficient"),
                "wal_level was no longer logical",
            ),
            (
                None,
                other(|slot| slot.plugin = "wal2json".into()),
                "the plugin wal2json",
            ),
            (
                at(9),
                other(|slot| slot.database = "erp".into()),
                "the database erp, not of wms",
            ),
        ] {
            let facts = Facts {
                system: "73".into(),
                timeline: 1,
                history: Vec::new(),
                end: Lsn(20),
                slot,
            };
            let found = course("s", "wms", place.as_ref(), &facts);
            let found = match found {
                Course::Gap(gap) => gap.sentence,
                Course::Wrong(said) => said,
                other => format!("{other:?}"),
            };
            assert!(found.contains(expected), "{found}");
        }
        for slot in [None, slot(7, "reserved"), slot(7, "lost")] {
            let facts = Facts {
                system: "74".into(),
                timeline: 1,
                history: Vec::new(),
                end: Lsn(20),
                slot,
            };
            let found = course("s", "wms", at(9).as_ref(), &facts);
            assert!(
                matches!(&found, Course::Gap(gap) if gap.reason == GapReason::OtherServer && gap.sentence.contains("system 74 instead of 73")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_server_that_took_over_is_gone_on_with_where_it_has_all_that_was_told() {
        let slot = |confirmed| {
            Some(Slot {
                plugin: "pgoutput".into(),
                database: "wms".into(),
                confirmed: Lsn(confirmed),
                wal_status: "reserved".into(),
                lost_by: String::new(),
                failover: true,
            })
        };
        let looked = |told, end| {
            let mut place = Place::at("73", 1, "s", Lsn(told));
            place.move_to(Lsn(end), false);
            place
        };
        use GapReason::{ServerWentBack, SlotGone, SlotRemade};
        for (place, timeline, slot, expected) in [
            (looked(9, 10), 2, slot(7), Ok(10)),
            // The rest of what was looked through was not for us; the slot must not be told of it.
            (looked(9, 30), 2, slot(7), Ok(16)),
            (
                looked(17, 30),
                2,
                slot(7),
                Err((ServerWentBack, 16, "after 0/10, up to 0/11")),
            ),
            (
                looked(17, 30),
                2,
                None,
                Err((ServerWentBack, 16, "took over (timeline 2 instead of 1)")),
            ),
            (
                looked(9, 10),
                2,
                None,
                Err((SlotGone, 10, "failover = true")),
            ),
            (
                looked(9, 10),
                2,
                slot(12),
                Err((SlotRemade, 10, "failover = true")),
            ),
            // Used on the new server before the flow came.
            (
                looked(9, 30),
                2,
                slot(18),
                Err((SlotRemade, 16, "stands at 0/12, and the flow at 0/10")),
            ),
            (looked(9, 10), 3, slot(7), Ok(10)),
            (
                looked(9, 21),
                1,
                slot(7),
                Err((
                    ServerWentBack,
                    0,
                    "ends at 0/14, and the flow has read it up to 0/15",
                )),
            ),
        ] {
            let history = match timeline {
                1 => Vec::new(),
                _ => vec![
                    Left {
                        timeline: 1,
                        at: Lsn(16),
                    },
                    Left {
                        timeline: 2,
                        at: Lsn(18),
                    },
                ],
            };
            let facts = Facts {
                system: "73".into(),
                timeline,
                history,
                end: Lsn(20),
                slot,
            };
            let found = course("s", "wms", Some(&place), &facts);
            match (found, expected) {
                (Course::GoOn(at), Ok(expected)) => assert_eq!(at, Lsn(expected)),
                (Course::Gap(gap), Err((reason, through, words))) => {
                    assert_eq!((gap.reason, gap.read_through), (reason, Lsn(through)));
                    assert!(gap.sentence.contains(words), "{}", gap.sentence);
                }
                (found, expected) => panic!("{found:?}, and not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_second_standby_that_gave_its_timeline_the_same_number_is_a_gap() {
        let left = |at| Left {
            timeline: 1,
            at: Lsn(at),
        };
        let facts = |at| Facts {
            system: "73".into(),
            timeline: 2,
            history: vec![left(at)],
            end: Lsn(90),
            slot: None,
        };
        let place = facts(16).begins("s", Lsn(30));
        assert!(facts(16).is_line_of(&place) && !facts(18).is_line_of(&place));
        match course("s", "wms", Some(&place), &facts(18)) {
            Course::Gap(gap) => {
                assert_eq!(
                    (gap.reason, gap.read_through),
                    (GapReason::ServerWentBack, Lsn(16))
                );
                let words =
                    "another timeline 2 than the one that was read: both are the same up to 0/10";
                assert!(gap.sentence.contains(words), "{}", gap.sentence);
            }
            found => panic!("{found:?}"),
        }
    }
}
