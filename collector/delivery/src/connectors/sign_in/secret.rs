//! Secrets: read from files, shown to nobody.

use std::fmt;
use std::path::Path;

use crate::connectors::trust;

/// Shorter ones are not looked for in what a target says: they stand in any text.
const MASKED_BYTES_MIN: usize = 4;

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

/// The same without any of the secrets in it.
pub(super) fn masked(mut said: String, secrets: &[&Secret]) -> String {
    for Secret(secret) in secrets {
        if secret.len() >= MASKED_BYTES_MIN {
            said = said.replace(secret, "***");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_neither_printed_nor_quoted() {
        let secret = Secret("hunter2!".into());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(
            masked("bad password hunter2! for x".into(), &[&secret]),
            "bad password *** for x"
        );
        assert_eq!(masked("a b".into(), &[&Secret("a".into())]), "a b");
    }
}
