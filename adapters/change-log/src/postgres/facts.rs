//! What a server says of itself and of the flow's slot, and how that is put in words. Pure.

use pgwire_replication::Lsn;

use super::place::Place;
use super::timeline::{self, Left, came_so};

/// What the server says of itself and of the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// The cluster.
    pub(super) system: String,
    pub(super) timeline: u32,
    /// The timelines before it.
    pub(super) history: Vec<Left>,
    /// Where its log ends.
    pub(super) end: Lsn,
    /// `None`: there is no slot of this name.
    pub(super) slot: Option<Slot>,
}

impl Facts {
    /// A place of its log.
    pub(super) fn begins(&self, slot: &str, end: Lsn) -> Place {
        let mut place = Place::at(&self.system, self.timeline, slot, end);
        place.came = timeline::kept(&self.history);
        place
    }

    /// Whether a place is of the timeline that the server is on.
    pub(super) fn is_line_of(&self, place: &Place) -> bool {
        self.timeline == place.timeline && came_so(place, &self.history)
    }
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
    /// Why it is lost: `wal_removed`, `rows_removed`, `wal_level_insufficient` or `idle_timeout`; empty before version 17.
    pub(super) lost_by: String,
    /// Standbys have it too, since version 17.
    pub(super) failover: bool,
}

impl Slot {
    /// The server dropped the log that it was to keep: nothing can be read through it any more.
    pub(super) fn is_lost(&self) -> bool {
        self.wal_status == "lost"
    }

    /// Why it was dropped, as far as the server says that.
    pub(super) fn lost_by(&self) -> &'static str {
        match self.lost_by.as_str() {
            "idle_timeout" => "idle_replication_slot_timeout is shorter than the flow stood",
            "wal_level_insufficient" => "wal_level was no longer logical for a while",
            "rows_removed" => {
                "the server took over from one whose old rows were cleaned up; let the DBA write hot_standby_feedback = on at standbys"
            }
            _ => "max_slot_wal_keep_size is smaller than what changed while the flow stood",
        }
    }
}

/// What is said where changes were told that the server does not have.
pub(super) fn went_back(place: &Place, facts: &Facts, until: Option<Lsn>) -> String {
    let (read, had) = (place.timeline, facts.timeline);
    let told = place.told_through();
    match until {
        Some(until) if read == had => format!(
            "the server is on another timeline {had} than the one that was read: both are the same up to {until}, and the flow has read up to {told}; two standbys were promoted, each without the other, and the address leads to the second. \
             If that is a mistake, let host and port lead to the first again"
        ),
        Some(until) => format!(
            "the server does not have what the flow has read after {until}, up to {told}: it took over (timeline {had} instead of {read}) without it, or was restored to an earlier time"
        ),
        None if read == had => format!(
            "the server's log ends at {}, and the flow has read it up to {}: the server, or its disk, was set back to an earlier time",
            facts.end,
            told.max(place.end)
        ),
        None => format!(
            "the server is on timeline {had}, which does not come from timeline {read}, of which the flow has read up to {told}: it was restored to an earlier time, or one came back that another had taken over from"
        ),
    }
}

/// What is to be said where another server took over.
pub(super) fn taken_over(place: &Place, facts: &Facts) -> &'static str {
    match facts.is_line_of(place) {
        true => "",
        false => {
            "; another server took over: its standbys have the slot where the flow says failover = true (PostgreSQL 17 and later)"
        }
    }
}
