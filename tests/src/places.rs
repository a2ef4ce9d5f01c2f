//! Which part of a site stands where.

use std::path::{Path, PathBuf};

/// Where a site's parts keep what they must not lose.
#[derive(Debug, Clone)]
pub struct Places {
    /// The agent's `data_dir`.
    pub agent: PathBuf,
    /// Holds a folder a flow, where its files are dropped.
    pub drops: PathBuf,
    /// The collector's `data_dir`.
    pub collector: PathBuf,
}

impl Places {
    /// All in one folder.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            agent: folder.join("agent"),
            drops: folder.join("drops"),
            collector: folder.join("collector"),
        }
    }
}
