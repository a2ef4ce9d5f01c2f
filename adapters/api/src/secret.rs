//! Secrets, each in the first line of a file of its own.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Bytes of a secret's file, at most.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The secret in the file that `setting` names.
///
/// # Errors
/// A sentence that names both.
pub fn read(setting: &str, file: &Path) -> Result<String, String> {
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
