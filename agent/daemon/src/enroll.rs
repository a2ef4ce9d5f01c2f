//! `dray-agent enroll`: a one-use token becomes a key and a certificate.

use dray_proto::token::Token;
use dray_uplink::{EnrolError, Identity};

use crate::config::Config;
use crate::failure::Failure;
use crate::render;

/// Runs the command.
///
/// # Errors
/// [`Failure`]: the token is none, the collector can't be reached or refuses, the site differs.
pub fn command(config: &Config, token: &str) -> Result<(), Failure> {
    let token: Token = token
        .parse()
        .map_err(|error| Failure::Failed(format!("{error}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("no runtime: {error}")))?;
    let folder = config.identity_dir();
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
    println!(
        "Enrolled: agent {} of site \"{}\", certificate until {}.\nNext: dray-agent run --config {}",
        identity.agent,
        identity.site,
        render::time(identity.ends_s.saturating_mul(1_000_000)),
        config.file.display()
    );
    Ok(())
}

/// The token was made for another site: the identity is kept, so the setting can follow it.
fn check_site(config: &Config, identity: &Identity) -> Result<(), Failure> {
    if identity.site == config.site {
        return Ok(());
    }
    Err(Failure::Config(format!(
        "the token was for site \"{}\", but {} says site = \"{}\"; correct the setting, or enroll with a token from \"dray-collector invite {}\"",
        identity.site,
        config.file.display(),
        config.site,
        config.site
    )))
}
