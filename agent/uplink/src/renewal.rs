//! The certificate is renewed before it ends.
//!
//! The key stays: only the certificate is made anew. A fresh key with each renewal would need a second,
//! pending key at the collector until the first use of it, and an agent that lost the answer at the
//! wrong moment, or a collector that was restored from a backup of before the renewal, would know
//! another key than the other side and lock the agent out: a person would have to travel. With one key
//! the old certificate and the new one are good side by side, whatever fails in between, and nothing
//! needs to be agreed on. A key that may be known to others is what `dray-collector sites revoke` and
//! enrolling anew are for.
//!
//! Limits: a try takes at most 20 s; between two tries lie at least 1 s and at most 1 h.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dray_proto::v1::RenewRequest;
use dray_proto::v1::uplink_client::UplinkClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::identity::Identity;
use crate::tls;

/// How long the collector may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two tries.
const TRY_S_MIN: i64 = 1;
const TRY_S_MAX: i64 = 3600;
/// How long to sleep at once: the clock that certificates go by may be set meanwhile.
const SLEEP_S_MAX: i64 = 3600;

/// How the certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateState {
    /// There is a new one.
    Renewed {
        /// When it ends: seconds since 1970-01-01T00:00:00Z.
        ends_s: i64,
    },
    /// It is due and could not be renewed, and why; it is tried again.
    Failing(String),
}

/// The identity that is shown, and when it is to be renewed.
pub(crate) struct Renewal {
    pub(crate) identity: Identity,
    due_s: i64,
}

impl Renewal {
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            due_s: due_s(&identity),
            identity,
        }
    }

    /// Sleeps until it is due, and tries once over a connection to the collector. May be dropped and
    /// called again: what was written then is read by the next one.
    pub(crate) async fn next(&mut self, collector: &str, channel: &Channel) -> CertificateState {
        loop {
            let left_s = self.due_s - now_s();
            if left_s <= 0 {
                break;
            }
            tokio::time::sleep(Duration::from_secs(left_s.min(SLEEP_S_MAX) as u64)).await;
        }
        // Before the try: a connection that ends in it must not be followed by another try at once.
        self.due_s = self.next_try_s();
        match renew(&self.identity, collector, channel).await {
            Ok(identity) => {
                self.identity = identity;
                // Where the clocks of both sides differ by weeks, it is due again at once.
                self.due_s = due_s(&self.identity).max(self.next_try_s());
                CertificateState::Renewed {
                    ends_s: self.identity.ends_s,
                }
            }
            Err(reason) => CertificateState::Failing(reason),
        }
    }

    fn next_try_s(&self) -> i64 {
        let now_s = now_s();
        now_s + try_s(self.identity.ends_s - now_s)
    }
}

/// Has the key certified anew, and writes the identity in place of the old one.
async fn renew(
    identity: &Identity,
    collector: &str,
    channel: &Channel,
) -> Result<Identity, String> {
    let csr = identity.request().map_err(|error| error.to_string())?;
    let mut client = UplinkClient::new(channel.clone());
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.renew(RenewRequest { csr })).await;
    let reply = match answer {
        Err(_) => return Err(format!("{collector}: it did not answer in 20 s")),
        Ok(Err(status)) if status.code() == Code::Unimplemented => {
            return Err(format!(
                "{collector}: it is too old to renew certificates: update the collector, or enrol anew"
            ));
        }
        Ok(Err(status)) => return Err(tls::status_sentence(collector, &status)),
        Ok(Ok(reply)) => reply.into_inner(),
    };
    let (made, text) = identity.certified(&reply.certificate_pem, &reply.ca_pem)?;
    // What does not work must not take the place of what does.
    tls::with_identity(&made)?;
    if (&made.site, &made.agent) != (&identity.site, &identity.agent) {
        return Err(format!(
            "{collector}: its certificate is for agent {} of site \"{}\", not for this one",
            made.agent, made.site
        ));
    }
    if made.ends_s <= now_s() {
        return Err(format!(
            "{collector}: its certificate has ended already: are both clocks right?"
        ));
    }
    let written = tokio::task::spawn_blocking(move || made.put(&text).map(|()| made)).await;
    written
        .map_err(|panic| panic.to_string())?
        .map_err(|error| error.to_string())
}

/// Two thirds of the certificate's life, and up to a twentieth more: agents that enrolled together must
/// not all come together. What is added hangs on the certificate alone, so that a restart does not
/// throw the dice again.
fn due_s(identity: &Identity) -> i64 {
    let life_s = identity.ends_s.saturating_sub(identity.begins_s).max(0);
    let share = i64::from(identity.dice());
    identity.begins_s + life_s * 2 / 3 + (life_s / 20).saturating_mul(share) / 256
}

/// How long until the next try, with this much life left.
fn try_s(left_s: i64) -> i64 {
    (left_s / 20).clamp(TRY_S_MIN, TRY_S_MAX)
}

/// Seconds since 1970-01-01T00:00:00Z.
fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_closer_as_the_end_does() {
        let day = 24 * 3600;
        for (left_s, expected) in [
            (30 * day, 3600),
            (day / 2, 2160),
            (100, 5),
            (3, 1),
            (-day, 1),
        ] {
            assert_eq!(try_s(left_s), expected, "{left_s} s are left");
        }
    }
}
