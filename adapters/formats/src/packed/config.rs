//! What a source configures beside the format.

use serde::Deserialize;

/// How a source's files are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all: the bytes are the format's.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// An archive of files.
    Zip,
    /// As the first four bytes of each file say. A workbook is a zip archive by itself and is left one.
    Auto,
}

/// How a source's files are packed, and how large they may get.
///
/// ```toml
/// [flow.source]
/// compression = "gzip"
/// inflated_bytes_max = "8GiB"
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// `compression`.
    pub compression: Compression,
    /// `inflated_bytes_max`: a file's bytes once unpacked, all files of an archive together.
    pub inflated_bytes_max: u64,
}

impl Packing {
    /// Half a minute of inflating; a day's export of a large site is a tenth.
    pub const INFLATED_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

    /// What is wrong with it: the setting, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.inflated_bytes_max == 0 {
            let sentence = "no file would fit; write for example inflated_bytes_max = \"8GiB\"";
            faults.push(("inflated_bytes_max".into(), sentence.into()));
        }
        faults
    }
}

impl Default for Packing {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            inflated_bytes_max: Self::INFLATED_BYTES_MAX,
        }
    }
}
