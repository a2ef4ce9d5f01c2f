//! A part of the log is gone: what the flow's policy makes of it.
//!
//! The slot is brought to where the flow can begin anew. The report, and the place behind the gap, are then one append. If the agent ends before
//! that, its position is the old one still, the slot stands further on, and the same is found again: the gap is told once, and never not.

use dray_adapter::{GapCourse, GapReason, GapReport};
use pgwire_replication::Lsn;

use super::DATABASE;
use super::answer::query;
use super::config::PostgresConfig;
use super::look::Found;
use super::place::Place;
use super::progress::Load;
use super::session::{Names, connect, make, publish};
use super::slot::Gap;
use super::sql;
use crate::reader::Trouble;

/// Where the flow begins behind a gap, and what is said of it.
///
/// # Errors
/// The flow is to stop at gaps, or the slot can't be made.
pub(super) async fn bridge(
    config: &PostgresConfig,
    names: &Names,
    before: Option<Place>,
    found: &Found,
    gap: Gap,
) -> Result<(Place, GapReport), Trouble> {
    let is_loading = match &before {
        None => config.first_load,
        Some(before) => before.load().is_some(),
    };
    let Gap {
        reason,
        sentence,
        read_through,
    } = gap;
    let course = config.on_gap.course(is_loading, &sentence)?;
    let facts = &found.facts;
    let begins = match &facts.slot {
        Some(slot) if slot.is_lost() => make_anew(config, names, &sentence).await?,
        Some(slot) => slot.confirmed,
        None => {
            if !found.is_published {
                publish(config, names).await?;
            }
            make(config, names).await?
        }
    };
    // What a slot that is behind tells once more was read before.
    let was_read = before
        .as_ref()
        .map_or(read_through, |before| read_through.min(before.end));
    let begins = begins.max(was_read);
    let mut place = facts.begins(&names.slot, begins);
    place.set_load((course == GapCourse::LoadsAgain).then(Load::default));
    let mut from = String::new();
    if let Some(before) = before {
        from = before.end.to_string();
        place.fork = match reason {
            // Another one may be a copy that was made anew.
            GapReason::ServerWentBack | GapReason::OtherServer => {
                before.next_fork(facts.timeline, begins)
            }
            _ => before.fork.clone(),
        };
        place.schemas = before.schemas;
        place.again = before.again;
        if place.load().is_some() {
            // All of them come.
            place.again.clear();
        }
    }
    let report = GapReport {
        database: DATABASE,
        reason,
        from,
        to: begins.to_string(),
        sentence,
        course,
    };
    Ok((place, report))
}

/// A slot whose log is gone keeps nothing any more: it is of no use but to be made again.
async fn make_anew(config: &PostgresConfig, names: &Names, sentence: &str) -> Result<Lsn, Trouble> {
    let drop = sql::drop_slot(&names.slot);
    if !config.create {
        return Err(Trouble::Person(format!(
            "{sentence}; let the DBA run: {drop}; {}; and restart the agent",
            sql::make_slot(&names.slot, config.failover)
        )));
    }
    let mut client = connect(config, names, Lsn::ZERO).await?;
    query(config, &mut client, &drop).await?;
    make(config, names).await
}
