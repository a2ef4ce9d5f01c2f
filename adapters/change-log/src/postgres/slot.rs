//! Whether the log goes on where the flow stands. Pure: what the server says of its slot, held against a position.

use dray_adapter::GapReason;
use pgwire_replication::Lsn;

use super::place::Place;

/// What the server says of itself and of the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// The cluster.
    pub(super) system: String,
    pub(super) timeline: u32,
    /// `None`: there is no slot of this name.
    pub(super) slot: Option<Slot>,
}

/// A replication slot, as `pg_replication_slots` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) plugin: String,
    pub(super) database: String,
    /// What its reader said it has; the log before it is gone for this slot.
    pub(super) confirmed: Lsn,
    /// `reserved`, `extended`, `unreserved` or `lost`; empty before version 13.
    pub(super) wal_status: String,
}

impl Slot {
    /// The server dropped the log that it was to keep: nothing can be read through it any more.
    pub(super) fn is_lost(&self) -> bool {
        self.wal_status == "lost"
    }
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// There is neither a position nor a slot: one is made.
    Make,
    /// There is a slot and no position: the flow begins where the slot does.
    Begin(Lsn),
    /// The flow goes on at its position.
    GoOn,
    /// A part of the log is gone that the flow has not read: why, and which, in words.
    Gap(GapReason, String),
    /// A person must look.
    Wrong(String),
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
    let Some(place) = place else {
        return match &facts.slot {
            None => Course::Make,
            Some(slot) if slot.is_lost() => Course::Gap(
                GapReason::LogDropped,
                format!("the server dropped the log that the replication slot {name} was to keep"),
            ),
            Some(slot) => Course::Begin(slot.confirmed),
        };
    };
    if place.system != facts.system {
        return Course::Gap(
            GapReason::OtherServer,
            format!(
                "the server is another one than before (system {} instead of {})",
                facts.system, place.system
            ),
        );
    }
    match &facts.slot {
        None => Course::Gap(
            GapReason::SlotGone,
            format!(
                "the replication slot {name} is gone, and with it what changed after {}",
                place.end
            ),
        ),
        Some(slot) if slot.is_lost() => Course::Gap(
            GapReason::LogDropped,
            format!(
                "the server dropped the log after {} that the replication slot {name} was to keep: max_slot_wal_keep_size is smaller than what changed while the flow stood",
                place.end
            ),
        ),
        Some(slot) if slot.confirmed > place.end => Course::Gap(
            GapReason::SlotRemade,
            format!(
                "the replication slot {name} stands at {}, and the flow at {}: it was made anew, or another reader used it",
                slot.confirmed, place.end
            ),
        ),
        Some(_) => Course::GoOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_goes_on_only_where_the_log_does() {
        let slot = |confirmed, status: &str| {
            Some(Slot {
                plugin: "pgoutput".into(),
                database: "wms".into(),
                confirmed: Lsn(confirmed),
                wal_status: status.into(),
            })
        };
        let other = |change: fn(&mut Slot)| {
            let mut slot = slot(7, "reserved");
            slot.iter_mut().for_each(change);
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
            (at(9), slot(7, ""), "GoOn"),
            (at(9), slot(9, "extended"), "GoOn"),
            (
                at(9),
                slot(10, "reserved"),
                "stands at 0/A, and the flow at 0/9: it was made anew",
            ),
            (at(9), slot(7, "lost"), "max_slot_wal_keep_size"),
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
                slot,
            };
            let found = course("s", "wms", place.as_ref(), &facts);
            let found = match found {
                Course::Gap(_, said) | Course::Wrong(said) => said,
                other => format!("{other:?}"),
            };
            assert!(found.contains(expected), "{found}");
        }
        for slot in [None, slot(7, "reserved"), slot(7, "lost")] {
            let facts = Facts {
                system: "74".into(),
                timeline: 1,
                slot,
            };
            let found = course("s", "wms", at(9).as_ref(), &facts);
            assert!(
                matches!(&found, Course::Gap(GapReason::OtherServer, said) if said.contains("system 74 instead of 73")),
                "{found:?}"
            );
        }
    }
}
