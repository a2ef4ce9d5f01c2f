//! The way to a target, with who is calling: credentials, tokens, and the one more try where they had ended.

use ::http::{StatusCode, Uri};
use std::sync::Arc;
use std::time::Duration;

use super::http::{Ask, Reply, Wire};
use super::sign_in::{Csrf, SignIn};
use super::{Exchange, KEPT_BYTES_MAX};
use crate::account::Account;
use crate::config::{Auth, TargetConfig};
use crate::outcome::Outcome;

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    sign_in: Arc<SignIn>,
    csrf: Option<Csrf>,
}

impl Connection {
    /// Reads secrets and CAs; connects to nothing. Blocks on small files.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn new(
        config: &TargetConfig,
        account: Option<Arc<Account>>,
    ) -> Result<Self, String> {
        let shared = account.as_ref().and_then(|account| account.sign_in());
        let sign_in = match shared.filter(|_| config.auth == Auth::None) {
            Some(shared) => shared,
            None => Arc::new(SignIn::new(&config.auth, &config.vars)?),
        };
        let wire = Wire::new(config, account, &sign_in)?;
        if let Some(csrf) = config.csrf.as_ref().filter(|csrf| !csrf.url.is_empty()) {
            wire.resolve(&csrf.url)
                .map_err(|reason| format!("csrf.url: {reason}"))?;
        }
        Ok(Self {
            wire,
            sign_in,
            csrf: config.csrf.as_ref().map(Csrf::new),
        })
    }

    /// Sends a request and reads the answer. Where that is 401 or 407, credentials are renewed and it is sent again, once.
    /// Where a rule says that another answer means *auth*, see [`Self::again`].
    ///
    /// # Errors
    /// The outcome where no whole answer came.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Reply, Outcome> {
        let reply = self.once(ask).await?;
        if matches!(reply.status, 401 | 407)
            && let Some(reply) = self.again(ask, &reply).await?
        {
            return Ok(reply);
        }
        Ok(reply)
    }

    /// Sends a request again whose answer means that the target does not know us, in other credentials: one sign-in for all
    /// requests in flight. `None` where it was sent again already, or there are no others.
    ///
    /// # Errors
    /// As [`Self::ask`], or why nobody could sign in.
    pub(crate) async fn again(&self, ask: &Ask, reply: &Reply) -> Result<Option<Reply>, Outcome> {
        let Some(worn) = &reply.worn else {
            return Ok(None);
        };
        if self.sign_in.renew(&self.wire, worn).await?.is_none() {
            return Ok(None);
        }
        let mut reply = self.once(ask).await?;
        reply.worn = None;
        Ok(Some(reply))
    }

    /// Sends it; again where its token had ended, as nothing was done then.
    async fn once(&self, ask: &Ask) -> Result<Reply, Outcome> {
        let (wire, sign_in) = (&self.wire, &self.sign_in);
        let token = match &self.csrf {
            Some(csrf) => csrf.current(&ask.method, wire, sign_in).await?,
            None => None,
        };
        let worn = sign_in.current(wire).await?;
        let carried = token.as_ref().map(|token| &*token.value);
        let mut reply = wire.ask_as(ask, &worn.value, carried).await?;
        if let (Some(csrf), Some(token)) = (&self.csrf, &token) {
            let answer = (reply.status, &reply.headers);
            if let Some(token) = csrf.renew(token, answer, wire, sign_in).await? {
                reply = wire.ask_as(ask, &worn.value, Some(&token.value)).await?;
            }
        }
        reply.worn = Some(worn);
        Ok(reply)
    }

    /// See [`Wire::resolve`].
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn resolve(&self, relative: &str) -> Result<Uri, String> {
        self.wire.resolve(relative)
    }

    /// Whether anybody listens.
    pub(crate) async fn knock(&self, wait: Duration) -> bool {
        self.wire.knock(wait).await
    }

    /// What a dead letter keeps of a request and its answer.
    pub(crate) fn exchange(&self, ask: &Ask, reply: &Reply) -> Exchange {
        let kept = |head: String, body: &[u8]| {
            let body = String::from_utf8_lossy(&body[..body.len().min(KEPT_BYTES_MAX)]);
            let mut whole = format!("{head}\n{body}");
            whole.truncate(whole.floor_char_boundary(KEPT_BYTES_MAX));
            whole.trim_end().to_owned()
        };
        let status = StatusCode::from_u16(reply.status).ok();
        let phrase = status
            .and_then(|status| status.canonical_reason())
            .unwrap_or("");
        let url = ask.url.as_ref().unwrap_or(&self.wire.url);
        Exchange {
            request: kept(format!("{} {url}", ask.method), &ask.body),
            answer: kept(format!("{} {phrase}", reply.status), &reply.body),
        }
    }
}
