//! Another certificate for an agent that has one.
//!
//! The key is the one that it enrolled with: the list of agents goes by it, and so the old certificate
//! and the new one are both good, whichever of them the agent ends up with when something fails in
//! between. A connection that outlived its certificate may renew: it was let in with it, and revoking
//! ends it.

use std::sync::Arc;

use dray_proto::v1::RenewReply;
use tonic::Status;

use crate::audit;
use crate::core::{Shared, ask, now_s};
use crate::identity::{AuthorityError, PeerIdentity, refresh};

/// Signs the agent's key anew. Who may is checked before.
pub(crate) async fn renew(
    shared: &Arc<Shared>,
    peer: &PeerIdentity,
    csr: &[u8],
) -> Result<RenewReply, Status> {
    let PeerIdentity {
        site,
        agent,
        key_sha256,
    } = peer.clone();
    let issued = shared
        .authority
        .sign_agent(csr, &site, &agent, shared.certificate_days, now_s())
        .map_err(|error| match error {
            AuthorityError::Request(_) => Status::invalid_argument(error.to_string()),
            _ => Status::internal(error.to_string()),
        })?;
    if issued.key_sha256 != key_sha256 {
        return Err(Status::invalid_argument(
            "the certificate signing request is refused: it is for another key than the one that this agent enrolled with; with a new key it enrols anew",
        ));
    }
    let (of, ends_s) = (agent.clone(), issued.ends_s);
    // The list may have changed since it was read: the store has the last word.
    let known = ask(&shared.store, move |store| {
        store.renew_agent(&of, &key_sha256, ends_s)
    });
    if !known.await.map_err(failed)? {
        return Err(Status::permission_denied(format!(
            "agent {agent} is revoked; \"dray-collector invite\" lets it enrol anew"
        )));
    }
    refresh(shared).await.map_err(failed)?;
    tracing::info!(site, agent, ends_s, "an agent's certificate is renewed");
    audit::note(shared, &agent, "renew", &site, "").await;
    Ok(RenewReply {
        certificate_pem: issued.certificate_pem,
        ca_pem: shared.authority.certificate_pem().to_owned(),
    })
}

fn failed(error: dray_store::StoreError) -> Status {
    Status::unavailable(error.to_string())
}
