//! Who did what, and what was refused to whom: kept in the store, shown by `dray-collector audit`.
//!
//! What an agent is refused is noted once a minute for each agent and flow, and so is a user of the machine whom the local
//! socket keeps out: a flood fills nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dray_store::AuditEntry;
use tonic::{Request, Status};

use crate::core::{Shared, ask, now_us};
use crate::incoming::Origin;

/// How long a refusal stands for those like it.
const REPEAT_US: i64 = 60_000_000;
/// Refusals that are remembered, at most; beyond that all are forgotten, and noted again.
const REMEMBERED_MAX: usize = 10_000;

/// When each refusal was noted last, by agent and flow.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<(String, String), i64>>);

impl Refusals {
    /// Whether this one is to be noted.
    fn is_news(&self, agent: &str, flow: &str, now_us: i64) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= REMEMBERED_MAX {
            noted.clear();
        }
        let last = noted.entry((agent.to_owned(), flow.to_owned()));
        let last = last.or_insert(i64::MIN);
        let news = now_us.saturating_sub(*last) >= REPEAT_US;
        if news {
            *last = now_us;
        }
        news
    }
}

/// Who asked over the local socket.
pub(crate) fn actor<T>(request: &Request<T>) -> String {
    let origin = request.extensions().get::<Origin>();
    match origin.and_then(|origin| origin.uid) {
        Some(uid) => format!("uid {uid}"),
        None => "unknown".into(),
    }
}

/// The same, of what only a person may do whom the kernel vouches for.
pub(crate) fn person<T>(request: &Request<T>) -> Result<String, Status> {
    let origin = request.extensions().get::<Origin>();
    match origin.and_then(|origin| origin.uid) {
        Some(uid) => Ok(format!("uid {uid}")),
        None => Err(Status::permission_denied(
            "nobody can tell who asks: use the commands on the collector's machine",
        )),
    }
}

/// Keeps an entry. What cannot be kept is logged, and hinders nobody.
pub(crate) async fn note(
    shared: &Arc<Shared>,
    actor: impl Into<String>,
    action: &str,
    subject: impl Into<String>,
    detail: impl Into<String>,
) {
    let entry = AuditEntry {
        id: 0,
        at_us: now_us(),
        actor: actor.into(),
        action: action.into(),
        subject: subject.into(),
        detail: detail.into(),
        hash: Vec::new(),
    };
    let kept = ask(&shared.store, move |store| store.audit(&entry)).await;
    if let Err(error) = kept {
        tracing::error!(%error, action, "the audit trail cannot be written");
    }
}

/// Something was refused to an agent, or the local socket to a user.
pub(crate) async fn refused(shared: &Arc<Shared>, agent: &str, flow: &str, reason: &str) {
    if shared.refusals.is_news(agent, flow, now_us()) {
        note(shared, agent, "refused", flow, reason).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_noted_once_a_minute_for_each_agent_and_flow() {
        let refusals = Refusals::default();
        assert!(refusals.is_news("a-1", "stock", 0));
        assert!(!refusals.is_news("a-1", "stock", REPEAT_US - 1));
        assert!(refusals.is_news("a-1", "orders", 1));
        assert!(refusals.is_news("a-2", "stock", 1));
        assert!(refusals.is_news("a-1", "stock", REPEAT_US));
    }
}
