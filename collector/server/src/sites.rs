//! What an operator does with agents: cutting one off, and giving a flow to another.

use std::sync::Arc;

use dray_proto::FlowName;
use dray_store::StoreError;
use tonic::Status;

use crate::core::{Shared, ask};
use crate::identity::refresh;

/// The agent may not connect any more. The answer is a sentence.
pub(crate) async fn revoke(shared: &Arc<Shared>, agent: String) -> Result<String, Status> {
    let of = agent.clone();
    let known = ask(&shared.store, move |store| store.revoke_agent(&of));
    if !known.await.map_err(failed)? {
        return Err(unknown(&agent));
    }
    tracing::warn!(agent, "an agent is revoked");
    refresh(shared).await.map_err(failed)?;
    Ok(format!(
        "Agent {agent} is revoked: it is cut off and can't come back. Its site enrols again with a token of \"dray-collector invite\"; \
         the new agent gets its flows by \"dray-collector sites move FLOW --to AGENT\"."
    ))
}

/// The agent writes the flow from now on. The answer is a sentence.
pub(crate) async fn move_flow(
    shared: &Arc<Shared>,
    flow: FlowName,
    agent: String,
) -> Result<String, Status> {
    let agents = ask(&shared.store, |store| store.agents()).await;
    let agents = agents.map_err(failed)?;
    let Some(known) = agents.iter().find(|known| known.agent == agent) else {
        return Err(unknown(&agent));
    };
    if known.site != flow.site() {
        return Err(Status::failed_precondition(format!(
            "agent {agent} is of site {}, and {flow} is not: an agent writes only its own site's flows",
            known.site
        )));
    }
    if known.revoked {
        return Err(Status::failed_precondition(format!(
            "agent {agent} is revoked: choose one that may connect; \"dray-collector sites\" lists them"
        )));
    }
    let before = shared.store.held(&flow).agent;
    if before == agent {
        return Ok(format!("Flow {flow} is written by agent {agent} already."));
    }
    match shared.store.move_flow(&flow, &agent).await {
        Some(Ok(true)) => {}
        Some(Ok(false)) => {
            return Err(Status::not_found(format!(
                "nobody has written flow {flow} yet: the first agent of its site that does owns it"
            )));
        }
        Some(Err(error)) => return Err(Status::unavailable(error.to_string())),
        None => {
            return Err(Status::unavailable(
                "the store has ended; restart the collector",
            ));
        }
    }
    // Both begin again: the one is refused, the other finds that it may go on.
    shared.uplinks.clear(&before);
    shared.uplinks.clear(&agent);
    tracing::warn!(%flow, from = before, to = agent, "a flow was moved to another agent");
    Ok(format!(
        "Flow {flow} is written by agent {agent} from now on. Agent {before}, which wrote it until now, is refused; it gets it back by: \
         dray-collector sites move {flow} --to {before}"
    ))
}

fn unknown(agent: &str) -> Status {
    Status::not_found(format!(
        "there is no agent {agent}; \"dray-collector sites\" lists them"
    ))
}

fn failed(error: StoreError) -> Status {
    Status::unavailable(error.to_string())
}
