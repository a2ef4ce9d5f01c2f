//! `[flow.source]` with `kind = "file-drop"`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use dray_formats::packed::{Compression, Packed, Packing};
use dray_formats::{Format, FormatConfig};
use globset::Glob;
use serde::Deserialize;

use crate::acknowledge::AcknowledgeConfig;
use crate::control::Control;
use crate::duplicates::DuplicatesConfig;
use crate::matcher::Matcher;
use crate::scan::takes;
use crate::sequence::{SequenceConfig, Watch};
use crate::sftp::SftpConfig;
use crate::signs::{self, DoneConfig, LockConfig, TrailerConfig};
use crate::template::Template;
use crate::trailer::Trailer;

/// The settings; [`Self::faults`] says what is wrong with them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDropConfig {
    /// "file-drop".
    pub kind: String,
    /// The watched folder.
    pub folder: PathBuf,
    /// A glob on the file's name; default all.
    #[serde(default = "all")]
    pub pattern: String,
    /// When a file is complete.
    #[serde(default)]
    pub ready: ReadyWhen,
    /// How long size and time must stand still where no close can be seen.
    #[serde(default = "two_seconds", with = "humantime_serde")]
    pub quiet: Duration,
    /// A companion that says that a file is complete.
    pub done: Option<DoneConfig>,
    /// A lock under which files are not taken.
    pub lock: Option<LockConfig>,
    /// The last line without which a file is not complete.
    pub trailer: Option<TrailerConfig>,
    /// In which order files of one scan are taken.
    #[serde(default)]
    pub order: Order,
    /// What becomes of content that was there before.
    #[serde(default)]
    pub repeat: Repeat,
    /// Bad lines that a file may have beside good ones; with more it is set aside whole.
    #[serde(default = "hundred")]
    pub bad_lines_max: u64,
    /// How often the folder is scanned.
    #[serde(default = "one_second", with = "humantime_serde")]
    pub scan_every: Duration,
    /// How long acked files stay in the archive.
    #[serde(default = "thirty")]
    pub archive_days: u32,
    /// How files are packed.
    #[serde(default)]
    pub compression: Compression,
    /// A file's bytes once unpacked, at most; a larger one is set aside.
    #[serde(default = "inflated_bytes_max")]
    pub inflated_bytes_max: ByteSize,
    /// What becomes of a file once it is appended.
    #[serde(default)]
    pub after: After,
    /// With `after = "keep"`: whether a file that nobody touched keeps its inode.
    #[serde(default)]
    pub inodes: Inodes,
    /// Whether an event says of each file how it ended.
    #[serde(default = "yes")]
    pub report: bool,
    /// Numbers that should follow one another.
    #[serde(default)]
    pub sequence: Option<SequenceConfig>,
    /// Business documents that may come again in other files.
    #[serde(default)]
    pub duplicates: Option<DuplicatesConfig>,
    /// Where X12 and EDIFACT files are acknowledged; nowhere unless said.
    pub acknowledge: Option<AcknowledgeConfig>,
    /// A server from which files come to the folder.
    pub sftp: Option<SftpConfig>,
    /// How a file's bytes become records.
    pub format: FormatConfig,
}

/// When a file is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadyWhen {
    /// When it was closed or renamed into the folder; where that can't be seen, when it was quiet.
    #[default]
    Close,
    /// When size and time stood still for the quiet time.
    Quiet,
    /// When its name is there: it is written under another one, or in another folder, and renamed.
    Rename,
}

/// In which order files of one scan are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// By name.
    #[default]
    Name,
    /// By modification time, then name.
    Mtime,
    /// By the first number in the name, then name.
    Number,
}

/// What becomes of content that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeat {
    /// It is reported and set aside.
    #[default]
    Report,
    /// It is sent again, under ids of its own.
    Send,
}

fn yes() -> bool {
    true
}

/// What becomes of a file once it is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// It moves to `archive`.
    #[default]
    Move,
    /// Nothing in the folder is touched; a ledger in the agent's data folder says what was taken.
    Keep,
}

/// Whether a file that nobody touched keeps its inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inodes {
    /// As long as the share is mounted. One with another inode is hashed again.
    #[default]
    Lasting,
    /// Not even so long (CIFS with `noserverino`, some FUSE): name, size and time tell a file.
    Changing,
}

pub(crate) fn all() -> String {
    "*".into()
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

pub(crate) fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn hundred() -> u64 {
    100
}

fn inflated_bytes_max() -> ByteSize {
    ByteSize::b(Packing::INFLATED_BYTES_MAX)
}

fn thirty() -> u32 {
    30
}

pub(crate) fn folder_fault(folder: &Path) -> Option<String> {
    (!folder.is_absolute()).then(|| {
        format!(
            "\"{}\" is not an absolute path; begin it with \"/\"",
            folder.display()
        )
    })
}

/// What trying the settings found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Fine(String),
    /// Somebody should know.
    Warning(String),
    /// The flow would not run; with the way out.
    Wrong(String),
}

impl FileDropConfig {
    /// What is wrong with the settings by themselves: the setting's path and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |setting: &str, reason: String| faults.push((setting.to_owned(), reason));
        if let Some(reason) = folder_fault(&self.folder) {
            fault("folder", reason);
        }
        let pattern = self.matcher().err();
        if let Some(reason) = pattern.or_else(|| signs::takes_nothing(self)) {
            fault("pattern", reason);
        }
        for (setting, reason) in signs::faults(self) {
            fault(&setting, reason);
        }
        if self.scan_every < Duration::from_millis(10) {
            fault("scan_every", "it is at least 10ms".into());
        }
        if let Some(sftp) = &self.sftp {
            for (setting, reason) in sftp.faults() {
                fault(&format!("sftp.{setting}"), reason);
            }
            if self.after == After::Keep {
                let reason = "files from a server come into a folder of the agent's own, where they are moved; leave it out, and see sftp.after";
                fault("after", reason.into());
            }
            if self.done.is_some() || self.lock.is_some() {
                let reason = "what lies beside the files on a server is not looked at; leave done and lock out, and see sftp.ready";
                fault("sftp", reason.into());
            }
        }
        for (setting, reason) in self.packing().faults() {
            fault(&setting, reason);
        }
        let sequence = self.sequence.as_ref();
        for (setting, reason) in sequence.map_or_else(Vec::new, |one| one.faults(&self.format)) {
            fault(&format!("sequence.{setting}"), reason);
        }
        let duplicates = self.duplicates.as_ref();
        for (setting, reason) in duplicates.map_or_else(Vec::new, |one| one.faults(&self.format)) {
            fault(&format!("duplicates.{setting}"), reason);
        }
        if let Some((setting, reason)) = crate::acknowledge::fault(self) {
            fault(setting, reason);
        }
        for (setting, reason) in self.format.faults() {
            fault(&format!("format.{setting}"), reason);
        }
        faults
    }

    /// The pattern, compiled, and the names of what lies beside the files.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn matcher(&self) -> Result<Matcher, String> {
        if self.pattern.contains('/') {
            return Err(format!(
                "\"{}\" is matched with the file's name alone; folders are not searched",
                self.pattern
            ));
        }
        let glob = Glob::new(&self.pattern).map_err(|error| {
            format!(
                "\"{}\": {}; write e.g. \"SHP_*.txt\"",
                self.pattern,
                error.kind()
            )
        })?;
        // A name that is at fault is told of under its own setting.
        let template = |name: Option<&String>| name.and_then(|name| Template::parse(name).ok());
        let done = template(self.done.as_ref().map(|done| &done.name));
        let lock = template(self.lock.as_ref().map(|lock| &lock.name));
        Ok(Matcher::new(&glob, done, lock))
    }

    /// Whether files leave the folder when they are taken.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.after == After::Move
    }

    /// The name of a file that would be taken, where the pattern shows one.
    #[must_use]
    pub fn sample(&self) -> Option<String> {
        Some(signs::sample(&self.pattern)).filter(|name| self.takes(name))
    }

    /// Whether a file of this name would be taken.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.matcher()
            .is_ok_and(|matcher| takes(&matcher, name.as_ref()))
    }

    /// The format, compiled with the texts that it names.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn format(&self) -> Result<Packed, String> {
        let format = Format::new(&self.format, &read_text)?;
        Ok(format.packed(self.packing()))
    }

    /// The watch over numbers, compiled.
    pub(crate) fn watch(&self) -> Result<Option<Watch>, String> {
        let sequence = self.sequence.as_ref();
        sequence.map(SequenceConfig::compile).transpose()
    }

    /// What is asked of companions.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn control(&self) -> Result<Option<Control>, String> {
        let control = self.done.as_ref().map(Control::new);
        let fault = |(setting, reason)| format!("done.{setting}: {reason}");
        control.map_or(Ok(None), |control| control.map_err(fault))
    }

    /// The last line that ends a file.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn trailer(&self) -> Result<Option<Trailer>, String> {
        let trailer = self.trailer.as_ref();
        trailer
            .map(|trailer| Trailer::new(&trailer.pattern))
            .transpose()
    }

    fn packing(&self) -> Packing {
        Packing {
            compression: self.compression,
            inflated_bytes_max: self.inflated_bytes_max.as_u64(),
        }
    }

    /// Tries the folder: is it there, can it be listed, can files be moved within it; and the texts that the format names. Leaves nothing.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        crate::check::check(self)
    }

    /// The same, and whether files wait there that another flow than the one with this full name may have
    /// appended.
    #[must_use]
    pub fn check_as(&self, flow: &str) -> Vec<Finding> {
        let mut findings = self.check();
        findings.extend(crate::check::owner(self, flow));
        findings
    }
}

/// Bytes of a text that a format names, at most: copybooks have some thousand.
const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads a text that a format names. Old ones have comments in code pages: what is not UTF-8 there stands as U+FFFD, and does not matter.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let failed = |error| format!("{} can't be read: {error}", path.display());
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(TEXT_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(failed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
