//! Secrets, each in the first line of a file of its own.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::security::Account;

/// Bytes of a secret's file, at most.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The secret in the file that `setting` names.
///
/// # Errors
/// A sentence that names both.
pub(crate) fn read(setting: &str, file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| format!("{setting} {} can't be read: {error}", file.display()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "{setting} {}: its first line is the secret, and it is empty or too long",
            file.display()
        ));
    }
    Ok(line.to_owned())
}

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
