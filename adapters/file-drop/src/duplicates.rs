//! Business documents that were there before, in a file with other content. Pure but for the marks that it is asked about.
//!
//! What names a document (an interchange's parties and number, a DOCNUM, columns of a record) is kept as a mark of the
//! buffer, with the last batch of the file in which it came: for 7 days, and 2,000,000 a flow together with the files' own.
//! Within one file a name may stand many times: an order has many lines.

mod config;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};

use dray_adapter::Mark;
use dray_formats::{Identity, IdentityKind};

pub use config::{By, DuplicatesConfig, Named, Then};
pub(crate) use keys::{Dropping, Keys, Watching, Without};

use crate::report::{Facts, shown};

/// Names of one file that are watched; of more it is said that they are not. They go in one append, 25 bytes each.
pub(crate) const KEYS_MAX: usize = 10_000;
/// Files whose marks may not be appended yet: more are not begun.
const FILES_MAX: usize = 16;
/// Names in a sentence.
const SHOWN_MAX: usize = 5;

/// What names a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) hash: [u8; 16],
    /// As a person reads it.
    pub(crate) shown: String,
}

impl Key {
    fn mark(&self) -> Mark {
        Mark([&b"document\0"[..], &self.hash].concat())
    }
}

/// Watches over a flow's documents.
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    config: Option<DuplicatesConfig>,
    /// Of the files that were polled last: their marks may not be appended yet.
    recent: VecDeque<HashSet<[u8; 16]>>,
}

/// What becomes of a file by its documents.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Weighed {
    pub(crate) then: Outcome,
    /// How many of its documents were there before.
    pub(crate) known: u64,
    /// What its report says of them.
    pub(crate) said: String,
    /// To be remembered.
    pub(crate) new: Vec<Key>,
}

/// What becomes of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is sent.
    #[default]
    Sent,
    /// It is sent without the records of these.
    Without(HashSet<[u8; 16]>),
    /// All of it was there before.
    Dropped,
    /// Part of it was, which can't be left out by itself.
    SetAside,
}

impl Duplicates {
    pub(crate) fn new(config: Option<DuplicatesConfig>) -> Self {
        Self {
            config,
            recent: VecDeque::new(),
        }
    }

    /// What collects the names in a first pass; `None` where they stand in no columns.
    pub(crate) fn keys(&self) -> Option<Keys> {
        match &self.config.as_ref()?.by {
            By::Columns(columns) => Some(Keys::new(columns)),
            By::Named(_) => None,
        }
    }

    /// Decides about a file. `is_known`: whether a mark was appended.
    pub(crate) fn weigh(&self, facts: &Facts, is_known: impl Fn(&Mark) -> bool) -> Weighed {
        let Some(config) = &self.config else {
            return Weighed::default();
        };
        let (keys, in_all, unnamed) = match (&config.by, &facts.keys) {
            (By::Named(named), _) => {
                let account = &facts.account;
                let keys = of_identities(*named, &account.identities);
                (keys, account.identities_in_all, 0)
            }
            (By::Columns(_), Some(keys)) => (keys.list().to_vec(), keys.in_all(), keys.unnamed()),
            (By::Columns(_), None) => (Vec::new(), 0, 0),
        };
        let is_recent = |key: &Key| self.recent.iter().any(|recent| recent.contains(&key.hash));
        let (known, new): (Vec<Key>, Vec<Key>) = keys
            .into_iter()
            .partition(|key| is_recent(key) || is_known(&key.mark()));
        let is_whole = new.is_empty() && unnamed == 0 && in_all == known.len() as u64;
        let then = match (config.then, &config.by) {
            (Then::Flag | Then::Pass, _) => Outcome::Sent,
            (Then::Drop, _) if known.is_empty() => Outcome::Sent,
            (Then::Drop, _) if is_whole => Outcome::Dropped,
            (Then::Drop, By::Columns(_)) => {
                Outcome::Without(known.iter().map(|key| key.hash).collect())
            }
            (Then::Drop, By::Named(_)) => Outcome::SetAside,
        };
        let mut said = Vec::new();
        if !known.is_empty() && config.then != Then::Pass {
            said.push(sentence(config, &then, &known, in_all));
        }
        let watched = (known.len() + new.len()) as u64;
        if in_all > watched {
            said.push(format!(
                "only {watched} of its {in_all} documents are watched"
            ));
        }
        if watched == 0 && unnamed > 0 {
            said.push(
                "none of its records has the columns that duplicates names, so that none is watched"
                    .into(),
            );
        }
        Weighed {
            then,
            known: known.len() as u64,
            said: said.join("; "),
            new,
        }
    }

    /// These go with the last batch of a file.
    pub(crate) fn marks(&mut self, new: &[Key]) -> Vec<Mark> {
        if new.is_empty() {
            return Vec::new();
        }
        self.recent
            .push_back(new.iter().map(|key| key.hash).collect());
        let over = self.recent.len().saturating_sub(FILES_MAX);
        self.recent.drain(..over);
        new.iter().map(Key::mark).collect()
    }
}

fn of_identities(named: Named, identities: &[Identity]) -> Vec<Key> {
    let wanted = match named {
        Named::Interchange => IdentityKind::Interchange,
        Named::Documents => IdentityKind::Document,
    };
    let mut keys: Vec<Key> = Vec::new();
    let mut seen = HashSet::new();
    for one in identities.iter().filter(|one| one.kind == wanted) {
        let hash = keys::hash(&[one.parties.as_bytes(), one.number.as_bytes()]);
        if seen.insert(hash) && keys.len() < KEYS_MAX {
            keys.push(Key {
                hash,
                shown: shown(one),
            });
        }
    }
    keys
}

fn sentence(config: &DuplicatesConfig, then: &Outcome, known: &[Key], in_all: u64) -> String {
    let names: Vec<&str> = known
        .iter()
        .take(SHOWN_MAX)
        .map(|key| key.shown.as_str())
        .collect();
    let more = match known.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = match config.by {
        By::Named(Named::Interchange) => "interchanges",
        By::Named(Named::Documents) | By::Columns(_) => "documents",
    };
    let count = match known.len() as u64 {
        count if count == in_all => format!("its {what} were"),
        count => format!("{count} of its {in_all} {what} were"),
    };
    let then = match then {
        Outcome::Sent => "; it is sent",
        Outcome::Without(_) => "; their records are left out",
        Outcome::Dropped => "; it is not sent",
        Outcome::SetAside => {
            "; write by = [...] with the columns that name a document, so that those that are there again can be left out by themselves"
        }
    };
    format!("{count} there before: {}{more}{then}", names.join(", "))
}
