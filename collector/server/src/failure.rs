//! Why a command or the daemon ends, and with which exit code.

use thiserror::Error;

use crate::config::ConfigError;

/// Why a command or the daemon ends.
#[derive(Debug, Error)]
pub enum Failure {
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the configuration names does not work.
    #[error("{0}")]
    Setup(String),
    /// The collector that a command needs isn't there.
    #[error("{0}")]
    Unreachable(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// As sysexits.h has them: 78 EX_CONFIG, 69 EX_UNAVAILABLE.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Setup(_) => 78,
            Self::Unreachable(_) => 69,
            Self::Failed(_) => 1,
        }
    }
}
