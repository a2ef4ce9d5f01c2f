//! Reports of flows in shadow.

use std::sync::Arc;

use dray_delivery::shadow::Detail;
use dray_proto::FlowName;
use dray_proto::v1::{FieldDifference, ShadowEntry, ShadowReply, ShadowRequest, ShadowTally};
use dray_store::{ShadowQuery, ShadowRow};
use tonic::Status;

use super::{failed, flow_name};
use crate::core::{Shared, ask};

/// Rows of an answer: at some 20 KiB each, 20 MB.
const ROWS_MAX: usize = 1_000;

/// Rows and tallies.
pub(super) async fn report(
    shared: &Arc<Shared>,
    request: ShadowRequest,
) -> Result<ShadowReply, Status> {
    let flow = match request.flow.as_str() {
        "" => None,
        name => Some(flow_name(name)?),
    };
    known(shared, &request.target).await?;
    let query = ShadowQuery {
        target: request.target,
        flow,
        verdicts: request.verdicts,
        after: request.after,
        limit: (request.limit as usize).min(ROWS_MAX),
    };
    let (rows, tallies) = ask(&shared.store, move |store| {
        let mut tallies = store.shadow_counts(&query.target)?;
        tallies.retain(|tally| query.flow.as_ref().is_none_or(|flow| *flow == tally.flow));
        Ok((store.shadow_rows(&query)?, tallies))
    })
    .await
    .map_err(failed)?;
    let tallies = tallies.into_iter().map(|tally| ShadowTally {
        flow: tally.flow.to_string(),
        what: tally.what,
        is_field: tally.is_field,
        count: tally.count,
    });
    Ok(ShadowReply {
        entries: rows.into_iter().map(entry).collect(),
        tallies: tallies.collect(),
    })
}

/// Begins anew.
pub(super) async fn clear(
    shared: &Arc<Shared>,
    request: ShadowRequest,
) -> Result<ShadowReply, Status> {
    if !request.flow.is_empty() || !request.verdicts.is_empty() {
        return Err(Status::invalid_argument(
            "a report is cleared whole: leave out --flow and --verdict",
        ));
    }
    known(shared, &request.target).await?;
    let cleared = ask(&shared.store, move |store| {
        store.clear_shadow(&request.target)
    });
    cleared.await.map_err(failed)?;
    Ok(ShadowReply::default())
}

async fn known(shared: &Arc<Shared>, target: &str) -> Result<(), Status> {
    if shared.targets.is_known(target) {
        return Ok(());
    }
    Err(Status::not_found(format!(
        "there is no target {target}; \"dray-collector status\" lists them"
    )))
}

fn entry((flow, row): (FlowName, ShadowRow)) -> ShadowEntry {
    let detail: Detail = serde_json::from_str(&row.detail).unwrap_or_default();
    let differences = detail.differences.into_iter().map(|found| FieldDifference {
        field: found.field,
        ours: found.ours,
        theirs: found.theirs,
    });
    ShadowEntry {
        id: row.id,
        flow: flow.to_string(),
        offset: row.offset.0,
        key: row.key,
        verdict: row.verdict,
        at_us: row.at_us,
        request: row.request,
        differences: differences.collect(),
        more: u32::try_from(detail.more).unwrap_or(u32::MAX),
        reason: detail.reason,
    }
}
