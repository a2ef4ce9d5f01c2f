//! A list of codes, written out or in a file of a code a line.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Codes of a list, at most.
pub const CODES_MAX: usize = 1_000_000;
/// Bytes of a code, at most: as a key.
pub const CODE_BYTES_MAX: usize = 1_024;
/// Bytes of a file, at most.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// So many codes are named in a sentence.
const TOLD_MAX: usize = 8;

/// See the module.
#[derive(Debug, Clone)]
pub struct Codes {
    codes: HashSet<Box<str>>,
    /// Where they stand, for sentences; empty: in the configuration.
    file: String,
    told: String,
}

impl Codes {
    /// Of the configuration itself.
    #[must_use]
    pub fn listed(codes: &[String]) -> Self {
        let named: Vec<_> = codes.iter().take(TOLD_MAX).map(String::as_str).collect();
        let more = if codes.len() > TOLD_MAX { ", ..." } else { "" };
        Self {
            told: format!("{}{more}", named.join(", ")),
            codes: codes.iter().map(|code| code.as_str().into()).collect(),
            file: String::new(),
        }
    }

    /// Of a file's text: a code a line, white space around it dropped; empty lines and those that begin with `#` are none.
    ///
    /// # Errors
    /// A sentence with the file and the line.
    pub fn read(file: &Path, text: &str) -> Result<Self, String> {
        let mut codes = HashSet::new();
        for (line, number) in text.lines().zip(1_usize..) {
            let code = line.trim();
            if code.is_empty() || code.starts_with('#') {
                continue;
            }
            let wrong =
                |reason: String| Err(format!("{}, line {number}: {reason}", file.display()));
            if code.len() > CODE_BYTES_MAX {
                return wrong(format!("a code has at most {CODE_BYTES_MAX} bytes"));
            }
            if codes.len() >= CODES_MAX {
                return wrong(format!("a list has at most {CODES_MAX} codes"));
            }
            codes.insert(code.into());
        }
        if codes.is_empty() {
            return Err(format!(
                "{}: there is no code in it; write one a line",
                file.display()
            ));
        }
        Ok(Self {
            told: format!("the {} codes of {}", codes.len(), file.display()),
            codes,
            file: file.display().to_string(),
        })
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.codes.contains(code)
    }

    /// In a sentence, behind "is not among".
    #[must_use]
    pub fn told(&self) -> &str {
        &self.told
    }

    /// The setting that names them.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        if self.file.is_empty() {
            "one_of"
        } else {
            "one_of_file"
        }
    }
}

/// Reads a list's file.
///
/// # Errors
/// A sentence.
pub fn text_of(file: &Path) -> Result<String, String> {
    let wrong = |reason: String| format!("{}: {reason}", file.display());
    let bytes = fs::metadata(file)
        .map_err(|error| {
            wrong(format!(
                "{error}; the collector's user must be able to read it"
            ))
        })?
        .len();
    if bytes > FILE_BYTES_MAX {
        return Err(wrong(format!(
            "it has {bytes} bytes, at most {FILE_BYTES_MAX} are read"
        )));
    }
    fs::read_to_string(file).map_err(|error| wrong(format!("{error}; write it in UTF-8")))
}
