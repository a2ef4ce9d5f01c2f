//! A call that reads what the other side has of an event, and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dray_proto::EventId;
use jiff::Timestamp;

use super::http::{Ask, Connection};
use crate::account::Account;
use crate::calls::{CallConfig, CallsConfig, Program, Turn};
use crate::config::{Kind, TargetConfig};
use crate::outcome::Outcome;
use crate::template::Fields;

/// What the one call is called; `check` names it so.
const NAME: &str = "shadow";

/// See the module.
#[derive(Debug)]
pub(crate) struct Reads {
    connection: Connection,
    program: Program,
}

/// A service's root is a folder, also where it is written without a slash at its end.
fn below_the_root(config: &TargetConfig) -> TargetConfig {
    let url = format!("{}/", config.url.trim_end_matches('/'));
    TargetConfig {
        url,
        ..config.clone()
    }
}

impl Reads {
    /// Reads secrets and CAs, connects to nothing.
    pub(crate) fn new(
        config: &TargetConfig,
        account: Option<Arc<Account>>,
        call: &CallConfig,
    ) -> Result<Self, String> {
        let calls = CallsConfig {
            first: NAME.into(),
            call: BTreeMap::from([(NAME.into(), call.clone())]),
            ..CallsConfig::default()
        };
        let said = |reason: String| reason.replace("calls.call.shadow", "shadow.call");
        let connection = match config.kind {
            Kind::Odata => Connection::new(&below_the_root(config), account)?,
            _ => Connection::new(config, account)?,
        };
        Ok(Self {
            connection,
            program: Program::compile(&calls, &config.rules, &config.vars, &config.bodies, None)
                .map_err(said)?,
        })
    }

    /// The answer's body; `None`: there is no such document.
    pub(crate) async fn read(
        &self,
        id: EventId,
        fields: &Fields,
    ) -> Result<Option<String>, Outcome> {
        let poison = |reason: String| Outcome::Poison(reason);
        let mut talk = self
            .program
            .talk(false, None, false)
            .map_err(|error| poison(error.0))?;
        let request = talk.request(fields).map_err(|error| poison(error.0))?;
        let mut ask = Ask::new(request.method, id);
        ask.headers = request.headers;
        ask.body = request.body.map_or_else(Bytes::new, Bytes::from);
        if let Some(url) = &request.url {
            ask.url = Some(self.connection.resolve(url).map_err(poison)?);
        }
        let mut reply = self.connection.ask(&ask).await?;
        let mut turn = talk.hear(&reply.answer(), Timestamp::now());
        if let Turn::End(Outcome::Auth(_)) = turn
            && let Some(fresh) = self.connection.again(&ask, &reply).await?
        {
            turn = talk.hear(&fresh.answer(), Timestamp::now());
            reply = fresh;
        }
        match turn {
            Turn::End(Outcome::Done) => {
                Ok(Some(String::from_utf8_lossy(reply.body()).into_owned()))
            }
            Turn::End(_) if matches!(reply.answer().status, 404 | 410) => Ok(None),
            Turn::End(outcome) => Err(outcome),
            Turn::Again => Err(Outcome::Misconfigured(
                "shadow.call: its rules may not lead to another call".into(),
            )),
        }
    }
}
