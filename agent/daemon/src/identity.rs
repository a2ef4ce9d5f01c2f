//! The agent's certificate, and the sentences about it.

use dray_uplink::Identity;
use thiserror::Error;

use crate::config::Config;
use crate::flow_state::now_us;

/// Why the agent can't show who it is.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// It was never enrolled.
    #[error("{0}")]
    Missing(String),
    /// What it has won't do.
    #[error("{0}")]
    Wrong(String),
}

/// Loads and checks the identity in the data folder.
///
/// # Errors
/// [`IdentityError`], with the way out.
pub fn load(config: &Config) -> Result<Identity, IdentityError> {
    let folder = config.identity_dir();
    let shown = folder.display();
    let enrol = format!(
        "ask the collector's operator for a token (dray-collector invite {}) and run \"dray-agent enroll TOKEN --config {}\"",
        config.site,
        config.file.display()
    );
    let identity = match Identity::load(&folder) {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            return Err(IdentityError::Missing(format!(
                "this agent has no certificate yet; {enrol}"
            )));
        }
        Err(error) => {
            return Err(IdentityError::Wrong(format!(
                "the certificate in {shown} can't be used: {error}; {enrol}"
            )));
        }
    };
    if identity.site != config.site {
        return Err(IdentityError::Wrong(format!(
            "{}: site = \"{}\", but the certificate in {shown} is for site \"{}\"; correct the setting, or {enrol}",
            config.file.display(),
            config.site,
            identity.site
        )));
    }
    if identity.ends_s <= now_us() / 1_000_000 {
        let ended = crate::render::time(identity.ends_s.saturating_mul(1_000_000));
        return Err(IdentityError::Wrong(format!(
            "the certificate in {shown} ended at {ended}; {enrol}"
        )));
    }
    Ok(identity)
}
