//! Secrets, each in the first line of a file of its own.

use std::path::Path;

pub(crate) use dray_adapter::secret::read;

use crate::security::Account;

/// A user whose password stands in the file that `setting` names.
///
/// # Errors
/// As [`read`].
pub(crate) fn account(setting: &str, user: &str, file: &Path) -> Result<Account, String> {
    Ok(Account {
        user: user.to_owned(),
        password: read(setting, file)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        for (text, expected) in [
            ("s3cret", Some("s3cret")),
            ("s3cret\r\nwritten in May\n", Some("s3cret")),
            (" s3cret \n", Some(" s3cret ")),
            ("", None),
            ("\ns3cret\n", None),
            (&format!("s3cret\n{}", " ".repeat(65_536)), None),
        ] {
            std::fs::write(&file, text).expect("a file");
            let found = read("basic.password_file", &file);
            assert_eq!(found.as_deref().ok(), expected, "{text:?}");
            let named = format!("basic.password_file {}", file.display());
            assert!(found.err().is_none_or(|reason| reason.starts_with(&named)));
        }
    }
}
