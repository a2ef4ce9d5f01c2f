//! Secrets: read from files, shown to nobody.

use std::fmt;
use std::path::Path;

use crate::connectors::trust;

/// A secret; prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Secret {
    /// A file's content without the line break at its end. Blocks.
    ///
    /// # Errors
    /// A sentence that begins with the setting.
    pub(super) fn read(setting: &str, path: &Path) -> Result<Self, String> {
        trust::read_password(setting, path).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret("hunter2!".into());
        assert_eq!(format!("{secret:?}"), "***");
    }
}
