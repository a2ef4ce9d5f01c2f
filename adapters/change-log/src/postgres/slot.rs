//! Whether the log goes on where the flow stands. Pure: what the server says of its slot, held against a position.

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

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// There is neither a position nor a slot: one is made.
    Make,
    /// There is a slot and no position: the flow begins where the slot does.
    Begin(Lsn),
    /// The flow goes on at its position.
    GoOn,
    /// A part of the log is gone that the flow has not read: which, in words.
    Gap(String),
    /// A person must look.
    Wrong(String),
}

/// Holds a position against what the server says. `name`: the slot's, `database`: the one that is configured.
pub(super) fn course(name: &str, database: &str, place: Option<&Place>, facts: &Facts) -> Course {
    let Some(slot) = &facts.slot else {
        return match place {
            None => Course::Make,
            Some(place) => Course::Gap(format!(
                "the replication slot {name} is gone, and with it what changed after {}",
                place.end
            )),
        };
    };
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
    let Some(place) = place else {
        return match slot.wal_status.as_str() {
            "lost" => Course::Gap(format!(
                "the server dropped the log that the replication slot {name} was to keep"
            )),
            _ => Course::Begin(slot.confirmed),
        };
    };
    if place.system != facts.system {
        return Course::Gap(format!(
            "the server is another one than before (system {} instead of {})",
            facts.system, place.system
        ));
    }
    if slot.wal_status == "lost" {
        return Course::Gap(format!(
            "the server dropped the log after {} that the replication slot {name} was to keep: max_slot_wal_keep_size is smaller than what changed while the flow stood",
            place.end
        ));
    }
    if slot.confirmed > place.end {
        return Course::Gap(format!(
            "the replication slot {name} stands at {}, and the flow at {}: it was made anew, or another reader used it",
            slot.confirmed, place.end
        ));
    }
    Course::GoOn
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
                Course::Gap(said) | Course::Wrong(said) => said,
                other => format!("{other:?}"),
            };
            assert!(found.contains(expected), "{found}");
        }
        let facts = Facts {
            system: "74".into(),
            timeline: 1,
            slot: slot(7, "reserved"),
        };
        let found = course("s", "wms", at(9).as_ref(), &facts);
        assert!(matches!(found, Course::Gap(said) if said.contains("system 74 instead of 73")));
    }
}
