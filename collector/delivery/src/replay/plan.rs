//! What a plan says, what an approval is bound to, and when there is none.

use dray_store::{Replay, ReplayState};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::filter::Filter;

/// Of a hash that is typed, at least so many digits: nobody hits upon these.
pub const DIGITS_MIN: usize = 12;

/// What was asked, and what was found when it was planned. In the store it is JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// What was asked for.
    pub filter: Filter,
    /// Also what is overtaken.
    pub older: bool,
    /// Events a second.
    pub rate: u32,
    /// Of the log that the offsets are of.
    pub incarnation: u64,
    /// How many events it sends.
    pub events: u64,
    /// How many of these the target never got: they passed by while their flow was off, in shadow or rolled back.
    pub unsent: u64,
    /// Of how many keys.
    pub keys: u64,
    /// Of each flow.
    pub flows: Vec<PlannedFlow>,
    /// Events that fit and that a later document of their key overtook; with `older` they are among `events`, else left out.
    pub newer: u64,
    /// Of how many keys those are.
    pub newer_keys: u64,
    /// Some of those keys.
    pub newer_shown: Vec<Newer>,
    /// Events that fit and that the target gets by itself: left out.
    pub waiting: u64,
    /// Events that fit and are dead letters or wait behind one: left out.
    pub exceptions: u64,
    /// Offsets that cannot be read, among those that were looked at.
    pub lost: u64,
    /// SHA-256 over the events' bytes, hex.
    pub content: String,
    /// Which dead letter is sent otherwise than it was; 0: none.
    pub edits: u64,
    /// What was changed in it, e.g. `line.quantity = 5`.
    pub changes: Vec<String>,
}

/// A flow of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlannedFlow {
    /// Its name.
    pub flow: String,
    /// The first offset that is sent.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// How many are sent.
    pub events: u64,
}

/// A key of which the target got a later document than the plan's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Newer {
    /// The flow.
    pub flow: String,
    /// The key.
    pub key: String,
    /// The newest event of it that fits.
    pub offset: u64,
    /// The newest event of it that was delivered.
    pub delivered: u64,
    /// That one was not delivered but left to the old way.
    pub unsent: bool,
}

impl Plan {
    /// Of a replay's text; what cannot be read is nothing.
    #[must_use]
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// As it stands in the store.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What an approval is bound to: SHA-256 over the target, the plan with the digest of its events' bytes, and the exact
/// selection, each with its length before it.
#[must_use]
pub fn hash(target: &str, plan: &str, selection: &[u8]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for part in [
        b"dray replay 1",
        target.as_bytes(),
        plan.as_bytes(),
        selection,
    ] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_vec()
}

/// Why `by` cannot approve a replay now, who saw `seen` of its hash (hex, at least [`DIGITS_MIN`] digits), in a sentence;
/// `None`: nothing is against it.
#[must_use]
pub fn why_not(replay: &Replay, by: &str, seen: &str, now_us: i64) -> Option<String> {
    let id = replay.id;
    let state = match replay.state {
        ReplayState::Planned => None,
        ReplayState::Approved | ReplayState::Paused => Some("was approved already"),
        ReplayState::Done => Some("has run already"),
        ReplayState::Cancelled => Some("was cancelled"),
        ReplayState::Void => Some("is void"),
    };
    if let Some(state) = state {
        return Some(format!("replay {id} {state}; plan a new one"));
    }
    if by == replay.by {
        return Some(format!(
            "replay {id} was planned by you ({by}); somebody else must approve it"
        ));
    }
    if now_us >= replay.expires_us {
        return Some(format!(
            "replay {id} expired; plan it anew and look at what it would send now"
        ));
    }
    if seen.len() < DIGITS_MIN {
        return Some(format!(
            "name at least the first {DIGITS_MIN} digits of the hash that \"dray-collector replay show {id}\" shows: what you saw is what you approve"
        ));
    }
    if !hex::encode(&replay.hash).starts_with(&seen.to_ascii_lowercase()) {
        return Some(format!(
            "replay {id} has another hash than {seen}: look at it again (dray-collector replay show {id})"
        ));
    }
    (hash(&replay.target, &replay.plan, &replay.selection) != replay.hash).then(|| {
        format!("replay {id} is not what was planned: somebody changed its selection in the store. Cancel it and plan anew")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use dray_store::ReplayProgress;

    fn planned() -> Replay {
        let (plan, selection) = (Plan::default().text(), Bytes::from_static(b"selection"));
        Replay {
            id: 7,
            target: "erp".into(),
            by: "uid 1001".into(),
            at_us: 1,
            expires_us: 100,
            state: ReplayState::Planned,
            hash: hash("erp", &plan, &selection),
            plan,
            selection,
            approved_by: String::new(),
            approved_us: 0,
            ended_us: 0,
            progress: ReplayProgress::default(),
        }
    }

    fn seen(replay: &Replay) -> String {
        hex::encode(&replay.hash)[..DIGITS_MIN].to_owned()
    }

    #[test]
    fn somebody_else_approves_what_was_shown_and_in_time() {
        let replay = planned();
        assert_eq!(why_not(&replay, "uid 1002", &seen(&replay), 99), None);
        let whole = hex::encode(&replay.hash).to_uppercase();
        assert_eq!(why_not(&replay, "uid 1002", &whole, 99), None);
    }

    #[test]
    fn whatever_is_against_an_approval_is_said() {
        let replay = planned();
        let seen = seen(&replay);
        let refused = |replay: &Replay, by: &str, seen: &str, now_us: i64, said: &str| {
            let why = why_not(replay, by, seen, now_us).unwrap_or_default();
            assert!(why.contains(said), "{said}: {why}");
        };
        refused(&replay, "uid 1001", &seen, 99, "somebody else must");
        refused(&replay, "uid 1002", &seen, 100, "expired");
        refused(
            &replay,
            "uid 1002",
            &seen[..11],
            99,
            "at least the first 12",
        );
        refused(&replay, "uid 1002", "000000000000", 99, "another hash");
        for (state, said) in [
            (ReplayState::Approved, "approved already"),
            (ReplayState::Paused, "approved already"),
            (ReplayState::Done, "has run"),
            (ReplayState::Cancelled, "cancelled"),
            (ReplayState::Void, "void"),
        ] {
            let replay = Replay { state, ..planned() };
            refused(&replay, "uid 1002", &seen, 99, said);
        }
        for changed in [
            Replay {
                selection: Bytes::from_static(b"selections"),
                ..planned()
            },
            Replay {
                target: "lake".into(),
                ..planned()
            },
            Replay {
                plan: Plan {
                    older: true,
                    ..Plan::default()
                }
                .text(),
                ..planned()
            },
        ] {
            refused(&changed, "uid 1002", &seen, 99, "not what was planned");
        }
    }

    #[test]
    fn a_plan_comes_back_as_it_was() {
        let plan = Plan {
            events: 3,
            newer_shown: vec![Newer {
                key: "A".into(),
                ..Newer::default()
            }],
            ..Plan::default()
        };
        assert_eq!(Plan::read(&plan.text()), plan);
        assert_eq!(Plan::read("{"), Plan::default());
    }
}
