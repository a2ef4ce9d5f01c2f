//! Counts what becomes of each call, and logs what does not go well: the first of a kind at once, then one line a minute.

use std::net::IpAddr;
use std::sync::Arc;

use dray_adapter::{CallOutcome, Calls, LastCall};
use tracing::{debug, warn};

use super::Reply;

/// Notes a call that did not go well.
pub(super) fn note(calls: &Calls, peer: IpAddr, outcome: CallOutcome, reason: &str) {
    let reason = without_contents(reason);
    let kind = outcome.word();
    debug!(outcome = kind, %peer, reason, "a call did not go well");
    let call = LastCall {
        at_us: jiff::Timestamp::now().as_microsecond(),
        peer: Some(peer),
        reason: reason.clone(),
    };
    if let Some(count) = calls.note(outcome, call) {
        warn!(
            outcome = kind,
            count, %peer, reason, "calls did not go well, the last of them as it says; more of this outcome are told of in a minute"
        );
    }
}

/// Decoders quote what they could not read, and that is nobody's but the caller's.
fn without_contents(reason: &str) -> String {
    match (reason.find('"'), reason.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}\"...\"{}", &reason[..first], &reason[last + 1..])
        }
        _ => reason.to_owned(),
    }
}

/// A call that is under way. Dropped before there is an answer, its connection has ended.
pub(super) struct UnderWay {
    calls: Arc<Calls>,
    peer: IpAddr,
    is_answered: bool,
}

impl UnderWay {
    pub(super) fn new(calls: &Arc<Calls>, peer: IpAddr) -> Self {
        Self {
            calls: Arc::clone(calls),
            peer,
            is_answered: false,
        }
    }

    /// It was a question about the endpoint.
    pub(super) fn forget(mut self) {
        self.is_answered = true;
    }

    pub(super) fn answered(mut self, reply: &Reply) {
        self.is_answered = true;
        match reply.outcome {
            CallOutcome::Stored | CallOutcome::Repeated => self.calls.count(reply.outcome),
            outcome => note(&self.calls, self.peer, outcome, &reply.reason),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_answered {
            let reason =
                "the connection ended before the call was answered; what is stored of it stays";
            note(&self.calls, self.peer, CallOutcome::Broken, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_says_is_not_shown() {
        for (reason, expected) in [
            (
                "line 7: \"4711\" is no number",
                "line 7: \"...\" is no number",
            ),
            ("\"a\"b\" is no number", "\"...\" is no number"),
            ("the \" alone", "the \" alone"),
            ("its key is missing", "its key is missing"),
        ] {
            assert_eq!(without_contents(reason), expected);
        }
    }
}
