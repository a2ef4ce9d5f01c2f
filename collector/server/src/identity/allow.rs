//! The live allow-list: which agents may connect, kept in memory and read again every two seconds,
//! so that a revoked agent's stream is cut within five.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use dray_store::{Agent, StoreError};
use tokio::sync::{Notify, watch};

use super::PeerIdentity;
use crate::core::{Shared, ask};

/// How often the store is asked.
const REFRESH: Duration = Duration::from_secs(2);
/// How long a note that an agent was seen waits for others, so that a fleet that reconnects costs one
/// reading of the list, not one each.
const GATHER: Duration = Duration::from_millis(100);
/// What is kept of an agent's version.
const VERSION_CHARS_MAX: usize = 64;

/// The agents that were enrolled, by id.
#[derive(Debug)]
pub struct AllowList {
    agents: ArcSwap<HashMap<String, Agent>>,
    /// Readings of the store that have begun.
    begun: AtomicU64,
    /// The reading that is in force.
    newest: Mutex<Reading>,
    changes: watch::Sender<()>,
    /// Agents that were here since the last refresh, at most one entry for each that is known.
    seen: Mutex<HashMap<String, Seen>>,
    noted: Notify,
}

/// A reading of the store's list: the later it began, the larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Reading(u64);

#[derive(Debug)]
struct Seen {
    at_s: i64,
    version: Option<String>,
}

impl Default for AllowList {
    fn default() -> Self {
        Self {
            agents: ArcSwap::default(),
            begun: AtomicU64::default(),
            newest: Mutex::default(),
            changes: watch::Sender::new(()),
            seen: Mutex::default(),
            noted: Notify::new(),
        }
    }
}

impl AllowList {
    /// The store is about to be read.
    #[must_use]
    pub(crate) fn begin(&self) -> Reading {
        Reading(self.begun.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Takes the store's list over; streams are woken if it changed who may connect.
    ///
    /// A reading that another one overtook changes nothing: the other began later, so it knows all that this one knows, and perhaps
    /// that an agent was revoked since.
    pub(crate) fn replace(&self, reading: Reading, agents: Vec<Agent>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if reading < *newest {
            return;
        }
        *newest = reading;
        let rights = |agent: &Agent| (agent.site.clone(), agent.key_sha256.clone(), agent.revoked);
        let fresh: HashMap<String, Agent> = agents
            .into_iter()
            .map(|agent| (agent.agent.clone(), agent))
            .collect();
        let old = self.agents.swap(Arc::new(fresh.clone()));
        let same = old.len() == fresh.len()
            && fresh
                .iter()
                .all(|(id, agent)| old.get(id).is_some_and(|old| rights(old) == rights(agent)));
        if !same {
            self.changes.send_replace(());
        }
    }

    /// Whether this certificate may connect now, or a sentence why not.
    ///
    /// # Errors
    /// The sentence.
    pub fn check(&self, peer: &PeerIdentity) -> Result<(), String> {
        const WAY_OUT: &str = "\"dray-collector invite\" lets it enrol anew";
        let agents = self.agents.load();
        match agents.get(&peer.agent) {
            Some(agent) if agent.revoked => {
                Err(format!("agent {} is revoked; {WAY_OUT}", peer.agent))
            }
            Some(agent) if agent.site != peer.site || agent.key_sha256 != peer.key_sha256 => {
                Err(format!(
                    "agent {} has enrolled with another key since; {WAY_OUT}",
                    peer.agent
                ))
            }
            Some(_) => Ok(()),
            None => Err(format!(
                "agent {} is not known to this collector; {WAY_OUT}",
                peer.agent
            )),
        }
    }

    /// Notes that an agent is here, and perhaps its version; written with the next refresh.
    pub fn saw(&self, agent: &str, version: Option<String>, at_s: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let note = seen.entry(agent.to_owned()).or_insert(Seen {
            at_s,
            version: None,
        });
        note.at_s = at_s;
        if let Some(version) = version {
            note.version = Some(version.chars().take(VERSION_CHARS_MAX).collect());
            self.noted.notify_one();
        }
    }

    /// Changes when somebody's right to connect does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

/// Reads the store's list, and writes down who was seen.
///
/// # Errors
/// [`StoreError`]; who was seen is then forgotten, and seen again soon.
pub(crate) async fn refresh(shared: &Shared) -> Result<(), StoreError> {
    let seen = std::mem::take(
        &mut *shared
            .allow
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    let reading = shared.allow.begin();
    let agents = ask(&shared.store, move |store| {
        for (agent, seen) in seen {
            store.saw_agent(&agent, seen.at_s, seen.version.as_deref())?;
        }
        store.agents()
    });
    shared.allow.replace(reading, agents.await?);
    Ok(())
}

/// Keeps the list fresh until the daemon stops.
pub(crate) async fn keep_fresh(shared: Arc<Shared>) {
    let mut stopping = shared.stopping();
    loop {
        tokio::select! {
            () = tokio::time::sleep(REFRESH) => {}
            () = shared.allow.noted.notified() => tokio::time::sleep(GATHER).await,
            () = stopping.wait() => return,
        }
        if let Err(error) = refresh(&shared).await {
            tracing::warn!(%error, "the list of agents could not be read; the last one stays in force");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(revoked: bool, key: &str) -> Agent {
        Agent {
            agent: "a-1".into(),
            site: "north".into(),
            key_sha256: key.into(),
            certificate_ends_s: 0,
            revoked,
            last_seen_s: 0,
            version: String::new(),
        }
    }

    #[test]
    fn only_an_enrolled_agent_with_its_own_key_may_connect() {
        let list = AllowList::default();
        let mut changes = list.changes();
        let peer = PeerIdentity {
            site: "north".into(),
            agent: "a-1".into(),
            key_sha256: "k".into(),
        };
        assert!(
            list.check(&peer)
                .expect_err("unknown")
                .contains("not known")
        );
        list.replace(list.begin(), vec![agent(false, "k")]);
        assert!(changes.has_changed().expect("the list lives"));
        assert_eq!(list.check(&peer), Ok(()));
        changes.mark_unchanged();
        list.replace(
            list.begin(),
            vec![Agent {
                last_seen_s: 9,
                ..agent(false, "k")
            }],
        );
        assert!(
            !changes.has_changed().expect("the list lives"),
            "being seen changes no right"
        );
        list.replace(list.begin(), vec![agent(false, "another")]);
        assert!(
            list.check(&peer)
                .expect_err("another key")
                .contains("another key")
        );
        list.replace(list.begin(), vec![agent(true, "k")]);
        assert!(list.check(&peer).expect_err("revoked").contains("revoked"));
    }
    #[test]
    fn a_reading_that_ends_after_a_later_one_brings_nobody_back() {
        let list = AllowList::default();
        let peer = PeerIdentity {
            site: "north".into(),
            agent: "a-1".into(),
            key_sha256: "k".into(),
        };
        let (earlier, later) = (list.begin(), list.begin());
        list.replace(later, vec![agent(true, "k")]);
        let mut changes = list.changes();
        changes.mark_unchanged();
        list.replace(earlier, vec![agent(false, "k")]);
        assert!(list.check(&peer).expect_err("revoked").contains("revoked"));
        assert!(!changes.has_changed().expect("the list lives"));
        list.replace(list.begin(), vec![agent(false, "k")]);
        assert_eq!(list.check(&peer), Ok(()), "the next one holds");
    }
}
