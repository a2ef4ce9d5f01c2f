//! Answers to SOAP calls that did not go well, and what the operator is told of them.

use dray_adapter::CallOutcome;

use super::{Reply, Trouble};
use crate::envelope::{Blame, Version};
use crate::fault::Fault;
use crate::security::Denied;

/// A fault as an answer; it has its own HTTP status where none is given.
pub(super) fn faulted(version: Version, fault: &Fault, status: Option<u16>) -> Reply {
    let later = fault.blame == Blame::Receiver;
    Reply {
        status: status.unwrap_or_else(|| fault.status(version)),
        content_type: version.content_type(),
        body: fault.written(version),
        later,
        challenge: None,
        outcome: if later {
            CallOutcome::Later
        } else {
            CallOutcome::Refused
        },
        reason: fault.text.clone(),
    }
}

/// A word to who does not call by SOAP.
pub(super) fn plain(status: u16, text: &str) -> Reply {
    Reply {
        status,
        content_type: "text/plain; charset=utf-8",
        body: format!("{text}\n"),
        later: false,
        challenge: None,
        outcome: CallOutcome::Refused,
        reason: text.into(),
    }
}

/// The caller learns no more than that he is not let in.
pub(super) fn denied(version: Version, why: Denied) -> Reply {
    let (fault, outcome) = match why {
        Denied::Crowded => (
            Fault::receiver("too many calls for now"),
            CallOutcome::Later,
        ),
        _ => (
            Fault::sender("the caller is not known, or the message is too old"),
            CallOutcome::Denied,
        ),
    };
    Reply {
        outcome,
        reason: why.sentence().into(),
        ..faulted(version, &fault, None)
    }
}

/// There is no room now.
pub(super) fn later() -> Fault {
    Fault::receiver("the message can't be stored now; please send it again later")
}

/// The answer where nobody could read.
pub(super) fn troubled(version: Version, trouble: Trouble) -> Reply {
    let (fault, status) = match trouble {
        Trouble::TooLarge => (
            Fault::sender("the message is larger than is taken"),
            Some(413),
        ),
        Trouble::Packing => (
            Fault::sender("the message is not packed as it says; gzip is taken, or none"),
            Some(415),
        ),
        Trouble::Slow => (
            Fault::receiver("the message did not come in time"),
            Some(408),
        ),
        Trouble::Framing => (
            Fault::sender("the message's chunks are not as HTTP has them"),
            Some(400),
        ),
        Trouble::Broken => (
            Fault::receiver("the connection ended before the whole message came"),
            Some(408),
        ),
        Trouble::Busy => (later(), None),
    };
    let reply = faulted(version, &fault, status);
    match trouble {
        Trouble::Slow | Trouble::Broken => Reply {
            outcome: CallOutcome::Broken,
            ..reply
        },
        _ => reply,
    }
}
