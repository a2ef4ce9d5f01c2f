//! `dray-agent enroll`: a one-use token becomes a key and a certificate.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use dray_proto::token::Token;
use dray_uplink::{EnrolError, Identity};

use crate::config::Config;
use crate::failure::Failure;
use crate::{out, render};

/// Runs the command.
///
/// # Errors
/// [`Failure`]: the token is none, the collector can't be reached or refuses, the site differs.
pub fn command(config: &Config, token: &str, again: bool) -> Result<(), Failure> {
    let folder = config.identity_dir();
    if !again && let Some(known) = valid(&folder) {
        return Err(Failure::Failed(format!(
            "this is agent {} of site \"{}\" already, until {}; the token is not used. Enrolled once more it would be another agent, and the \
             collector would refuse it the flows of this one until \"dray-collector sites move FLOW --to AGENT\". If that is what you want: \
             dray-agent enroll --again TOKEN",
            known.agent,
            known.site,
            render::time(known.ends_s.saturating_mul(1_000_000)),
        )));
    }
    let token: Token = token
        .parse()
        .map_err(|error| Failure::Failed(format!("{error}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("no runtime: {error}")))?;
    let identity = runtime
        .block_on(dray_uplink::enrol(&config.collector, &token, &folder))
        .map_err(|error| match error {
            EnrolError::Link(sentence) => Failure::Unreachable(sentence),
            EnrolError::Refused(sentence) => Failure::Failed(sentence),
            EnrolError::Identity(error) => {
                Failure::Failed(format!("{error}; data_dir must belong to the agent's user"))
            }
        })?;
    check_site(config, &identity)?;
    let enrolled = format!(
        "Enrolled: agent {} of site \"{}\", certificate until {}.\nNext: dray-agent run --config {}\n",
        identity.agent,
        identity.site,
        render::time(identity.ends_s.saturating_mul(1_000_000)),
        config.file.display()
    );
    out::put(&enrolled);
    Ok(())
}

/// The identity that is there, if a collector would take it still.
fn valid(folder: &Path) -> Option<Identity> {
    let identity = Identity::load(folder).ok().flatten()?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    (u64::try_from(identity.ends_s).ok()? > now_s).then_some(identity)
}

/// The token was made for another site: the identity is kept, so the setting can follow it.
fn check_site(config: &Config, identity: &Identity) -> Result<(), Failure> {
    if identity.site == config.site {
        return Ok(());
    }
    Err(Failure::Config(format!(
        "the token was for site \"{}\", but {} says site = \"{}\". It is used up, and this is agent {} of that site now: correct the setting; or forget \
         that agent (dray-collector sites revoke {}) and enroll with --again and a token from \"dray-collector invite {}\"",
        identity.site,
        config.file.display(),
        config.site,
        identity.agent,
        identity.agent,
        config.site
    )))
}
