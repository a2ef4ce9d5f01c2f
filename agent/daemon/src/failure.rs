//! Why a command ended, and with which exit code.

use std::process::ExitCode;

use thiserror::Error;

/// What the caller's script can tell apart (sysexits.h).
#[derive(Debug, Error)]
pub enum Failure {
    /// 78: the configuration or what it names is not right; a sentence with the way out.
    #[error("{0}")]
    Config(String),
    /// 69: the daemon or the collector cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// 1: anything else.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// As the process ends.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Unreachable(_) => 69,
            Self::Config(_) => 78,
        })
    }
}

impl From<crate::config_error::ConfigError> for Failure {
    fn from(error: crate::config_error::ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}
