//! What is sent about one entity, and what follows from each answer: pure.
//!
//! ```text
//! upsert            write
//! create            post ─ refused → look ─ there → is it ours? → done, or a conflict
//!                   in doubt: look first
//! create-or-patch   look ─ absent → post ─ refused → look again
//!                        └ there  → change ─ 412, 404 → look again
//! patch             change, or look → change
//! if_match = "read" looks for the ETag first; an upsert of what is absent says If-None-Match: *
//! ```

use serde_json::Value;

use super::found::Looking;
use super::key::Keys;
use super::same::differing;
use crate::answer::Answer;
use crate::config::odata::{IfMatch, IfThere, OdataConfig, Version, Write};
use crate::outcome::Outcome;

/// Times that an entity is looked at within one delivery: so often may others change it between the look and the write.
pub(super) const LOOKS_MAX: u32 = 4;

/// How a target writes.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    version: Version,
    write: Write,
    if_match: IfMatch,
    if_there: IfThere,
    keys: Keys,
}

/// One entity as the event makes it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// The entity set, as the template made it.
    pub(super) entity: String,
    /// As the template made it.
    pub(super) body: String,
    pub(super) value: Value,
}

/// The way of one document.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) document: Document,
    step: Step,
    looks: u32,
    /// What a write was told that may have been refused as the entity is there.
    refused: Option<Outcome>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A GET of this path.
    Look(String),
    /// A request that changes something.
    Write(Act),
    /// It is over.
    Over(Outcome),
}

/// A request that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// POST to the entity set.
    Create,
    /// To an address, by the target's method; makes what is not there. `only_new`: `If-None-Match: *`.
    Upsert { path: String, only_new: bool },
    /// To an address; `if_match`: the header's value.
    Change {
        path: String,
        if_match: Option<String>,
    },
}

/// What an answer means: the outcome, and whether a rule of the target said so, which is the last word.
#[derive(Debug, Clone)]
pub(super) struct Meaning {
    pub(super) outcome: Outcome,
    pub(super) is_ruled: bool,
}

impl Manner {
    pub(super) fn new(config: &OdataConfig) -> Self {
        Self {
            version: config.version,
            write: config.write,
            if_match: config.if_match,
            if_there: config.if_there,
            keys: Keys::new(config),
        }
    }

    /// Begins. `in_doubt`: an earlier try may have had its effect.
    pub(super) fn walk(&self, document: Document, in_doubt: bool) -> Walk {
        let looks = match self.write {
            Write::Create => in_doubt,
            Write::CreateOrPatch => true,
            Write::Upsert => self.if_match == IfMatch::Read,
            Write::Patch => self.if_match == IfMatch::Read || self.keys.finds(),
        };
        let mut walk = Walk {
            document,
            step: Step::Over(Outcome::Done),
            looks: 0,
            refused: None,
        };
        if looks {
            self.look(&mut walk);
            return walk;
        }
        walk.step = match self.unlooked(&walk.document) {
            Ok(act) => Step::Write(act),
            Err(reason) => Step::Over(Outcome::Poison(reason)),
        };
        walk
    }

    /// What is written where nothing was looked at; of what would be, as if it were not there.
    ///
    /// # Errors
    /// A sentence: the document has no address.
    fn unlooked(&self, document: &Document) -> Result<Act, String> {
        let Document { entity, value, .. } = document;
        let path = || match self.keys.finds() {
            true => self.keys.search(entity, value),
            false => self.keys.address(entity, value),
        };
        Ok(match self.write {
            Write::Create | Write::CreateOrPatch => Act::Create,
            Write::Upsert => Act::Upsert {
                path: path()?,
                only_new: false,
            },
            Write::Patch => Act::Change {
                path: path()?,
                if_match: (self.if_match == IfMatch::Any).then(|| "*".to_owned()),
            },
        })
    }

    /// The entity is looked at, once more if it may be.
    fn look(&self, walk: &mut Walk) {
        walk.looks += 1;
        if walk.looks > LOOKS_MAX {
            let changed = format!(
                "the entity was changed or made by others {LOOKS_MAX} times between the look and the write"
            );
            let outcome = walk.refused.take().unwrap_or(Outcome::Conflict(changed));
            walk.step = Step::Over(outcome);
            return;
        }
        let Document { entity, value, .. } = &walk.document;
        let path = match self.keys.finds() {
            true => self.keys.search(entity, value),
            false => self.keys.address(entity, value),
        };
        walk.step = match path {
            Ok(path) => Step::Look(path),
            Err(reason) => Step::Over(Outcome::Poison(reason)),
        };
    }

    /// Takes in what a look was told. `answer`: `None` where none came.
    pub(super) fn saw(&self, walk: &mut Walk, answer: Option<&Answer<'_>>, meaning: Meaning) {
        let overruled = meaning.is_ruled && meaning.outcome != Outcome::Done;
        walk.step = match answer.map(|answer| (answer.status, answer)) {
            Some((404 | 410, _)) if !self.keys.finds() => self.absent(walk),
            Some((200..=299, answer)) if !overruled => match self.looking().found(answer) {
                Ok(None) => self.absent(walk),
                Ok(Some(entity)) => self.there(walk, &entity, answer),
                Err(outcome) => Step::Over(outcome),
            },
            // A refusal says nothing of the event: nothing of it was sent.
            Some((_, answer)) if is_refusal(&meaning.outcome) && !meaning.is_ruled => {
                let said = answer.reason(None);
                Step::Over(Outcome::Misconfigured(format!(
                    "the look before the write: {said}"
                )))
            }
            _ => Step::Over(match walk.refused.take() {
                Some(refused) if !may_pass(&meaning.outcome) => refused,
                // What a write was refused for, the next look may tell.
                _ => meaning.outcome,
            }),
        };
    }

    fn looking(&self) -> Looking<'_> {
        Looking {
            keys: &self.keys,
            version: self.version,
        }
    }

    fn absent(&self, walk: &mut Walk) -> Step {
        if let Some(refused) = walk.refused.take() {
            return Step::Over(refused);
        }
        match self.write {
            Write::Create | Write::CreateOrPatch => Step::Write(Act::Create),
            Write::Patch => Step::Over(Outcome::Rejected(
                "there is no such entity, and write = \"patch\" makes none".into(),
            )),
            Write::Upsert => {
                match self
                    .keys
                    .address(&walk.document.entity, &walk.document.value)
                {
                    Ok(path) => Step::Write(Act::Upsert {
                        path,
                        only_new: true,
                    }),
                    Err(reason) => Step::Over(Outcome::Poison(reason)),
                }
            }
        }
    }

    fn there(&self, walk: &mut Walk, entity: &Value, answer: &Answer<'_>) -> Step {
        if self.write == Write::Create {
            return Step::Over(self.is_ours(&walk.document.value, entity));
        }
        walk.refused = None;
        let values = match self.keys.finds() {
            true => entity,
            false => &walk.document.value,
        };
        let path = match self.keys.address(&walk.document.entity, values) {
            Ok(path) => path,
            Err(reason) => return Step::Over(Outcome::Misconfigured(reason)),
        };
        let if_match = match self.if_match {
            IfMatch::None => None,
            IfMatch::Any => Some("*".to_owned()),
            IfMatch::Read => match self.looking().etag(entity, answer) {
                Some(etag) => Some(etag),
                None => {
                    return Step::Over(Outcome::Misconfigured(format!(
                        "odata.if_match: the service shows no ETag of {path}, so it would not hold a change against it; write \"none\""
                    )));
                }
            },
        };
        Step::Write(Act::Change { path, if_match })
    }

    /// What a create's entity that is there means.
    fn is_ours(&self, sent: &Value, found: &Value) -> Outcome {
        let is_there = "an entity of this key is there already";
        match self.if_there {
            IfThere::Done => Outcome::Done,
            IfThere::Conflict => Outcome::Conflict(is_there.into()),
            IfThere::Compare => match differing(sent, found) {
                names if names.is_empty() => Outcome::Done,
                names => Outcome::Conflict(format!(
                    "{is_there}, with another {}: made by somebody else, or changed since",
                    names.join(", ")
                )),
            },
        }
    }

    /// Takes in what a write was told. `status`: `None` where no answer came.
    pub(super) fn wrote(&self, walk: &mut Walk, status: Option<u16>, meaning: Meaning) {
        let Step::Write(act) = walk.step.clone() else {
            return;
        };
        if meaning.is_ruled || meaning.outcome == Outcome::Done {
            walk.step = Step::Over(meaning.outcome);
            return;
        }
        if !self.looks_after(&act, status, &meaning.outcome) {
            walk.step = Step::Over(self.end(walk, status, meaning));
            return;
        }
        if !matches!(act, Act::Change { .. }) {
            walk.refused = Some(meaning.outcome);
        }
        self.look(walk);
    }

    /// What a write comes to that nothing follows: a rule's word, or HTTP's own as they are meant of an entity.
    pub(super) fn end(&self, walk: &Walk, status: Option<u16>, meaning: Meaning) -> Outcome {
        let outcome = meaning.outcome;
        let Step::Write(act) = &walk.step else {
            return outcome;
        };
        if meaning.is_ruled || outcome == Outcome::Done {
            return outcome;
        }
        match (act, status) {
            (Act::Change { if_match, .. }, Some(404 | 410 | 412))
                if self.write == Write::Patch && (status != Some(412) || if_match.is_some()) =>
            {
                Outcome::Rejected(
                    "there is no such entity, and write = \"patch\" makes none".into(),
                )
            }
            (Act::Upsert { .. }, Some(404)) => Outcome::Misconfigured(format!(
                "{}; where the entity set is right, the service makes nothing so: write odata.method = \"PUT\", or odata.write = \"create-or-patch\"",
                said(&outcome)
            )),
            (_, Some(428)) => Outcome::Misconfigured(format!(
                "{}; the service wants to know which state is changed: write odata.if_match = \"read\"",
                said(&outcome)
            )),
            // One event cannot be made smaller.
            (_, Some(413)) => Outcome::Rejected(said(&outcome).to_owned()),
            _ => outcome,
        }
    }

    /// Whether another look may show why a write of a group was refused: then the group is sent again, with what is seen.
    pub(super) fn may_look(&self, walk: &Walk, status: Option<u16>, meaning: &Meaning) -> bool {
        let Step::Write(act) = &walk.step else {
            return false;
        };
        !meaning.is_ruled
            && meaning.outcome != Outcome::Done
            && self.looks_after(act, status, &meaning.outcome)
    }

    fn looks_after(&self, act: &Act, status: Option<u16>, outcome: &Outcome) -> bool {
        match (act, status) {
            (_, None) => false,
            (Act::Create | Act::Upsert { only_new: true, .. }, Some(status)) => {
                let is_throttled = matches!(outcome, Outcome::Throttled(..));
                matches!(status, 400 | 409 | 412 | 422 | 500..=599) && !is_throttled
            }
            (Act::Upsert { .. }, _) => false,
            (Act::Change { if_match, .. }, Some(412)) => {
                if_match.is_some() && (self.if_match == IfMatch::Read || self.write != Write::Patch)
            }
            (Act::Change { .. }, Some(404 | 410)) => self.write != Write::Patch,
            (Act::Change { .. }, _) => false,
        }
    }

    /// Whether a try after a lost reply must look first, and not too soon: a second one would not be refused by its key.
    pub(super) fn verifies(&self) -> bool {
        match self.write {
            Write::Create => true,
            Write::CreateOrPatch => self.keys.finds(),
            Write::Upsert | Write::Patch => false,
        }
    }
}

impl Walk {
    /// One that ends before it begins.
    pub(super) fn over(outcome: Outcome) -> Self {
        Self {
            document: Document {
                entity: String::new(),
                body: String::new(),
                value: Value::Null,
            },
            step: Step::Over(outcome),
            looks: 0,
            refused: None,
        }
    }

    /// Whether its write is one of what must not be there yet.
    pub(super) fn makes_something(&self) -> bool {
        matches!(
            self.step,
            Step::Write(Act::Create | Act::Upsert { only_new: true, .. })
        )
    }

    /// Whether it waits for another look since a write was refused.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.is_some()
    }

    pub(super) fn step(&self) -> &Step {
        &self.step
    }

    /// Nothing more is sent of it.
    pub(super) fn give_up(&mut self, outcome: Outcome) {
        self.step = Step::Over(outcome);
    }
}

fn is_refusal(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Rejected(_)
            | Outcome::Conflict(_)
            | Outcome::Poison(_)
            | Outcome::TooLarge(_)
            | Outcome::Missing(_)
    )
}

/// Whether the same request may be answered otherwise later.
fn may_pass(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Throttled(..)
            | Outcome::Transient(_)
            | Outcome::Unreachable(_)
            | Outcome::Unknown(_)
            | Outcome::Auth(_)
    )
}

/// The sentence of an outcome.
fn said(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done => "",
        Outcome::Accepted(_, said)
        | Outcome::Confirm(_, said)
        | Outcome::Throttled(_, said)
        | Outcome::Transient(said)
        | Outcome::Unreachable(said)
        | Outcome::Unknown(said)
        | Outcome::Conflict(said)
        | Outcome::Auth(said)
        | Outcome::Rejected(said)
        | Outcome::Poison(said)
        | Outcome::TooLarge(said)
        | Outcome::Misconfigured(said) => said,
        Outcome::Missing(missing) => &missing.reason,
    }
}

#[cfg(test)]
mod tests;
