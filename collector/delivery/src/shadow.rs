//! Flows in the phase *shadow*: what would be sent is rendered and held against what the other side has.
//!
//! The other side is a call that reads ([`crate::config::ShadowConfig::call`]), or a file of what the old way sent. A row
//! of the report is written in the step that moves the cursor, so each event has one, also through kills.

pub mod compare;
mod ledger;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dray_proto::EventId;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::config::TargetConfig;
use crate::connectors::{Connector, Delivery, Reads};
use crate::outcome::Outcome;
use crate::template::Fields;

use compare::{Difference, Plan, SHOWN_MAX, at, name_at};
use ledger::Ledger;

/// Bytes of a request that a row keeps.
pub const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// What became of an event in shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All compared fields are the same.
    Same,
    /// Some aren't.
    Differs,
    /// The other side has no such document.
    Missing,
    /// A later event of its key was there already, so the other side may show that one's.
    Superseded,
    /// What the other side has can't be read.
    Unread,
    /// It can't be rendered: sent, it would be a dead letter.
    Poison,
    /// Nothing would be sent: the target has it.
    Nothing,
    /// It was rendered; there is nothing to compare with.
    Rendered,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Same,
        Self::Differs,
        Self::Missing,
        Self::Superseded,
        Self::Unread,
        Self::Poison,
        Self::Nothing,
        Self::Rendered,
    ];

    /// A word, as it stands in the report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Missing => "missing",
            Self::Superseded => "superseded",
            Self::Unread => "unread",
            Self::Poison => "poison",
            Self::Nothing => "nothing",
            Self::Rendered => "rendered",
        }
    }
}

/// What a row says besides its verdict; in the store it is JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// At most [`SHOWN_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
    /// Why, where it isn't plain.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One event, looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) verdict: Verdict,
    pub(crate) request: String,
    pub(crate) detail: Detail,
    /// The fields that differ, all of them.
    pub(crate) fields: Vec<String>,
}

impl Seen {
    pub(crate) fn new(verdict: Verdict, request: String, reason: impl Into<String>) -> Self {
        Self {
            verdict,
            request: cut(request),
            detail: Detail {
                reason: reason.into(),
                ..Detail::default()
            },
            fields: Vec::new(),
        }
    }

    fn of_differences(mut differences: Vec<Difference>, request: String) -> Self {
        let fields: Vec<String> = differences
            .iter()
            .map(|found| found.field.clone())
            .collect();
        differences.truncate(SHOWN_MAX);
        let verdict = if fields.is_empty() {
            Verdict::Same
        } else {
            Verdict::Differs
        };
        Self {
            verdict,
            request: cut(request),
            detail: Detail {
                more: fields.len() - differences.len(),
                differences,
                reason: String::new(),
            },
            fields,
        }
    }
}

fn cut(mut request: String) -> String {
    if request.len() > REQUEST_BYTES_MAX {
        request.truncate(request.floor_char_boundary(REQUEST_BYTES_MAX));
        request.push_str("...");
    }
    request
}

/// An event to be looked at.
pub(crate) struct Subject {
    pub(crate) delivery: Delivery,
    /// Its default JSON, for the templates of the reading call.
    pub(crate) plain: Vec<u8>,
    /// A later event of its key waits.
    pub(crate) has_later: bool,
}

/// What a target's events in shadow are held against.
#[derive(Debug)]
pub(crate) struct Shadow {
    plan: Plan,
    against: Against,
    at: String,
    our_key: String,
    /// How long after its capture an event is looked at.
    pub(crate) after: Duration,
}

#[derive(Debug)]
enum Against {
    Nothing,
    Call(Box<Reads>),
    File(Arc<Mutex<Ledger>>),
}

impl Shadow {
    /// Of a validated table; connects to nothing and opens no file but those of secrets.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn build(
        config: &TargetConfig,
        account: Option<Arc<Account>>,
    ) -> Result<Self, String> {
        let shadow = &config.shadow;
        let against = if let Some(call) = &shadow.call {
            Against::Call(Box::new(Reads::new(config, account, call)?))
        } else if shadow.has_file() {
            let ledger = Ledger::new(shadow.file.clone(), shadow.key.clone());
            Against::File(Arc::new(Mutex::new(ledger)))
        } else {
            Against::Nothing
        };
        let our_key = if shadow.our_key.is_empty() {
            &shadow.key
        } else {
            &shadow.our_key
        };
        Ok(Self {
            plan: Plan::new(shadow),
            against,
            at: shadow.at.clone(),
            our_key: our_key.clone(),
            after: shadow.after,
        })
    }

    /// Whether it asks the target.
    pub(crate) fn asks(&self) -> bool {
        matches!(self.against, Against::Call(_))
    }

    /// Renders and compares.
    ///
    /// # Errors
    /// The outcome of a call that reads, where a later try may do better.
    pub(crate) async fn look(
        &self,
        connector: Arc<dyn Connector>,
        subject: Subject,
    ) -> Result<Seen, Outcome> {
        let id = subject.delivery.events.first().map(|event| event.id);
        let kept = subject.delivery.kept.clone();
        let rendered = match connector.render(subject.delivery).await {
            Ok(rendered) => rendered,
            Err(Outcome::Poison(reason)) => {
                return Ok(Seen::new(Verdict::Poison, String::new(), reason));
            }
            Err(outcome) => return or_unread(outcome, String::new()),
        };
        let Some(document) = rendered.document else {
            return Ok(Seen::new(Verdict::Nothing, rendered.request, ""));
        };
        let ours = String::from_utf8_lossy(&document).into_owned();
        let mut unread = String::new();
        let theirs = match &self.against {
            Against::Nothing => return Ok(Seen::new(Verdict::Rendered, rendered.request, "")),
            Against::Call(_) if subject.has_later => {
                return Ok(Seen::new(Verdict::Superseded, rendered.request, ""));
            }
            Against::Call(reads) => match self.ask(reads, id, &subject.plain, &kept).await {
                Ok(theirs) => theirs,
                Err(outcome) => return or_unread(outcome, rendered.request),
            },
            Against::File(ledger) => {
                let Some(name) = name_at(&ours, &self.our_key) else {
                    let reason = format!("our document has no name at {:?}", self.our_key);
                    return Ok(Seen::new(Verdict::Unread, rendered.request, reason));
                };
                let (found, lines) = find(ledger, name).await?;
                unread = lines;
                found
            }
        };
        let theirs = theirs.as_deref().and_then(|text| {
            // What is no JSON shall be told, not be missing.
            at(text, &self.at).or_else(|| {
                serde_json::from_str::<serde::de::IgnoredAny>(text)
                    .is_err()
                    .then_some(text)
            })
        });
        let Some(theirs) = theirs else {
            return Ok(Seen::new(Verdict::Missing, rendered.request, unread));
        };
        Ok(match self.plan.compare(&ours, theirs) {
            Ok(differences) => Seen::of_differences(differences, rendered.request),
            Err(reason) => Seen::new(Verdict::Unread, rendered.request, reason),
        })
    }

    async fn ask(
        &self,
        reads: &Reads,
        id: Option<EventId>,
        plain: &[u8],
        kept: &BTreeMap<String, String>,
    ) -> Result<Option<String>, Outcome> {
        let mut fields = Fields::of(plain).map_err(|poison| Outcome::Poison(poison.0))?;
        fields.keep(kept);
        let id = id.unwrap_or(EventId::new([0xFF; 10], 0, 0));
        reads.read(id, &fields).await
    }
}

/// What may pass is tried again; what won't is said in the report.
fn or_unread(outcome: Outcome, request: String) -> Result<Seen, Outcome> {
    match outcome {
        Outcome::Rejected(reason)
        | Outcome::Conflict(reason)
        | Outcome::Poison(reason)
        | Outcome::TooLarge(reason)
        | Outcome::Misconfigured(reason)
        | Outcome::Accepted(_, reason)
        | Outcome::Confirm(_, reason) => Ok(Seen::new(Verdict::Unread, request, reason)),
        Outcome::Done => Ok(Seen::new(Verdict::Nothing, request, "")),
        passing => Err(passing),
    }
}

/// The document of this name, and what is said of lines that nobody could read.
async fn find(
    ledger: &Arc<Mutex<Ledger>>,
    name: String,
) -> Result<(Option<String>, String), Outcome> {
    let ledger = Arc::clone(ledger);
    let found = tokio::task::spawn_blocking(move || {
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let found = ledger.find(&name)?;
        Ok((found, ledger.unread()))
    });
    found
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(Outcome::Transient)
}
