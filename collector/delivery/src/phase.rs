//! Since which offset a flow is in its phase at a target, on disk: read and noted when a flow is found.
//!
//! A phase is the configuration's. What stands here is where it began: an entry of the audit trail, and a setting of
//! the store (`phase:TARGET:FLOW`) that says so until the next change. A flow that was never anything but live has none.
//! What passed by unsent stands beside it ([`passed`]).

use dray_proto::FlowName;
use dray_store::{AuditEntry, Cursor, ExceptionQuery, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::catalogue::Phase;

pub(crate) mod passed;

/// Who changes a phase, in the audit trail.
pub const ACTOR: &str = "configuration";
/// The audit trail's word for it.
pub const ACTION: &str = "phase";
/// Ranges of offsets above the first that are written down, at most.
const RANGES_MAX: usize = 50;
/// Exceptions that are read at once to count them.
const PAGE: usize = 200;

/// Where a phase began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// The phase.
    pub phase: Phase,
    /// The first offset that it is about. In rollback: where the old way goes on.
    pub from: u64,
    /// When: microseconds since 1970-01-01T00:00:00Z.
    pub since_us: i64,
    /// Offsets above `from` that were over before, first and last of each range; at most 50 ranges.
    pub over: Vec<(u64, u64)>,
    /// How many offsets that are.
    pub over_count: u64,
    /// Events of the flow that the target did not take, and that are no part of what follows `from`.
    pub exceptions: u64,
}

impl Standing {
    /// Why, and what somebody else has to do now; empty where that is plain.
    #[must_use]
    pub fn sentence(&self) -> String {
        if self.phase != Phase::Rollback {
            return format!("from offset {}", self.from);
        }
        let mut said = format!("the old way goes on from offset {}", self.from);
        if self.over_count > 0 {
            let ranges: Vec<_> = self
                .over
                .iter()
                .map(|(first, last)| {
                    if first == last {
                        first.to_string()
                    } else {
                        format!("{first}-{last}")
                    }
                })
                .collect();
            let more = if self.over.len() < RANGES_MAX {
                ""
            } else {
                ", ..."
            };
            said += &format!(
                ", without {} that are over already: {}{more}",
                self.over_count,
                ranges.join(", ")
            );
        }
        if self.exceptions > 0 {
            said += &format!(
                ", and with {} before it that the target did not take (dray-collector dead-letters list)",
                self.exceptions
            );
        }
        said
    }
}

/// What the store calls it.
#[must_use]
pub fn setting(target: &str, flow: &FlowName) -> String {
    format!("phase:{target}:{flow}")
}

/// Where a flow's phase began, as it stands on disk; `None`: it was never anything but live.
///
/// # Errors
/// [`StoreError`].
pub fn standing(
    store: &dyn Store,
    target: &str,
    flow: &FlowName,
) -> Result<Option<Standing>, StoreError> {
    let text = store.setting(&setting(target, flow))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The flow is in this phase from now on: where it is another one than before, that is written down. A kill between the
/// trail and the setting writes the same entry twice, never none.
///
/// # Errors
/// [`StoreError`].
pub fn enter(
    store: &dyn Store,
    target: &str,
    flow: &FlowName,
    phase: Phase,
    cursor: &Cursor,
) -> Result<Option<Standing>, StoreError> {
    let before = standing(store, target, flow)?;
    let was = before.as_ref().map_or(Phase::Live, |before| before.phase);
    if was == phase {
        return Ok(before);
    }
    let (over, over_count) = ranges(cursor);
    let now = Standing {
        phase,
        from: cursor.through.0 + 1,
        since_us: jiff::Timestamp::now().as_microsecond(),
        over,
        over_count,
        exceptions: if phase == Phase::Rollback {
            exceptions(store, target, flow)?
        } else {
            0
        },
    };
    let mut detail = format!("{was} → {phase}: {}", now.sentence());
    if let Some(before) = before.filter(|before| before.phase == Phase::Rollback)
        && before.from < now.from
    {
        detail += &format!(
            "; the offsets {} to {} were left to the old way",
            before.from,
            now.from - 1
        );
    }
    tracing::info!(%flow, target, phase = %phase, from = now.from, "a flow is in another phase");
    store.audit(&AuditEntry {
        id: 0,
        at_us: now.since_us,
        actor: ACTOR.into(),
        action: ACTION.into(),
        subject: format!("{flow} at {target}"),
        detail,
        hash: Vec::new(),
    })?;
    let text = serde_json::to_string(&now).unwrap_or_default();
    store.set(&setting(target, flow), Some(&text))?;
    Ok(Some(now))
}

fn ranges(cursor: &Cursor) -> (Vec<(u64, u64)>, u64) {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for above in &cursor.above {
        let offset = cursor.through.0 + u64::from(above);
        let length = ranges.len();
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ if length == RANGES_MAX => break,
            _ => ranges.push((offset, offset)),
        }
    }
    (ranges, cursor.above.len())
}

fn exceptions(store: &dyn Store, target: &str, flow: &FlowName) -> Result<u64, StoreError> {
    let mut query = ExceptionQuery {
        target: Some(target.to_owned()),
        flow: Some(flow.clone()),
        limit: PAGE,
        without_events: true,
        ..ExceptionQuery::default()
    };
    let mut count = 0;
    loop {
        let page = store.exceptions(&query)?;
        count += page.len() as u64;
        match page.last() {
            Some(last) if page.len() == PAGE => query.after = last.id,
            _ => return Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dray_proto::Offset;

    #[test]
    fn a_rollback_says_where_the_old_way_goes_on_and_what_is_over_beyond() {
        let cursor = Cursor {
            through: Offset(100),
            above: [3, 4, 5, 9].into_iter().collect(),
        };
        let (over, over_count) = ranges(&cursor);
        let standing = Standing {
            phase: Phase::Rollback,
            from: 101,
            over,
            over_count,
            exceptions: 2,
            ..Standing::default()
        };
        assert_eq!(
            standing.sentence(),
            "the old way goes on from offset 101, without 4 that are over already: 103-105, 109, and with 2 before it that the target did not take (dray-collector dead-letters list)"
        );
        let text = serde_json::to_string(&standing).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Standing>(&text).expect("JSON"),
            standing
        );
    }

    #[test]
    fn many_ranges_are_cut_and_still_counted() {
        let cursor = Cursor {
            through: Offset(0),
            above: (1..200_u32).map(|n| n * 2).collect(),
        };
        let (over, count) = ranges(&cursor);
        assert_eq!((over.len(), count), (RANGES_MAX, 199));
    }
}
