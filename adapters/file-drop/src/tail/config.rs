//! `[flow.source]` with `kind = "file-tail"`.

use std::path::PathBuf;
use std::time::Duration;

use dray_formats::csv::CsvConfig;
use dray_formats::fixed::FixedConfig;
use dray_formats::{Format, FormatConfig};
use serde::Deserialize;

use super::names::Names;
use crate::config::{Finding, all, folder_fault, one_second, read_text};
use crate::signs::sample;

/// The settings; [`Self::faults`] says what is wrong with them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTailConfig {
    /// "file-tail".
    pub kind: String,
    /// The folder in which the files grow. Nothing in it is moved or changed.
    pub folder: PathBuf,
    /// A glob on the file's name; default all.
    #[serde(default = "all")]
    pub pattern: String,
    /// Globs of the names that files get when they are rotated; default what a number or a date behind, or before the
    /// ending of, a name that fits the pattern tells.
    #[serde(default)]
    pub rotated: Vec<String>,
    /// How often the folder is scanned.
    #[serde(default = "one_second", with = "humantime_serde")]
    pub scan_every: Duration,
    /// Where files begin that are there at the very first start.
    #[serde(default)]
    pub begin: Begin,
    /// How lines become records.
    pub format: FormatConfig,
}

/// Where files begin that are there at the very first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Begin {
    /// All of them is sent.
    #[default]
    Start,
    /// What comes from now on is sent. They are read through once, so that lines and quotes are known.
    End,
}

impl FileTailConfig {
    /// What is wrong with the settings by themselves: the setting's path and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |setting: &str, reason: String| faults.push((setting.to_owned(), reason));
        if let Some(reason) = folder_fault(&self.folder) {
            fault("folder", reason);
        }
        if let Err((setting, reason)) = self.names() {
            fault(setting, reason);
        }
        if self.scan_every < Duration::from_millis(10) {
            fault("scan_every", "it is at least 10ms".into());
        }
        for (setting, reason) in self.format.faults() {
            fault(&format!("format.{setting}"), reason);
        }
        if let Some((setting, reason)) = unfit(&self.format) {
            fault(&format!("format.{setting}"), reason);
        }
        faults
    }

    /// The names, compiled.
    ///
    /// # Errors
    /// The setting and a sentence.
    pub(super) fn names(&self) -> Result<Names, (&'static str, String)> {
        Names::new(&self.pattern, &self.rotated)
    }

    /// The format, compiled.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn format(&self) -> Result<Format, String> {
        Format::new(&self.format, &read_text)
    }

    /// The name of a file that would be read, where the pattern shows one.
    #[must_use]
    pub fn sample(&self) -> Option<String> {
        Some(sample(&self.pattern)).filter(|name| self.takes(name))
    }

    /// Whether a file of this name would be read.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.names().is_ok_and(|names| names.takes(name))
    }

    /// Tries the folder: is it there, can it be listed and watched, are there too many files. Leaves nothing.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        super::check::check(self)
    }
}

/// What can't be read of a file that has no end: the setting and a sentence.
fn unfit(format: &FormatConfig) -> Option<(String, String)> {
    match format {
        FormatConfig::Csv(csv) => unfit_csv(csv),
        FormatConfig::Fixed(fixed) => unfit_fixed(fixed),
        FormatConfig::JsonLines(_) => None,
        _ => Some((
            "kind".into(),
            "a file that grows is read line by line: possible are \"csv\", \"fixed\" and \"json-lines\"; for files that are complete write kind = \"file-drop\" in [flow.source]"
                .into(),
        )),
    }
}

fn unfit_csv(csv: &CsvConfig) -> Option<(String, String)> {
    if csv.footer_rows > 0 || !csv.footer.0.is_empty() {
        let setting = if csv.footer_rows > 0 {
            "footer_rows"
        } else {
            "footer"
        };
        return Some((
            setting.into(),
            "a file that grows has no footer; leave it out, or read complete files with kind = \"file-drop\"".into(),
        ));
    }
    let mut types = csv.record.iter();
    types
        .position(|one| one.parent.is_some() || one.trailer || one.required)
        .map(spanning)
}

fn unfit_fixed(fixed: &FixedConfig) -> Option<(String, String)> {
    if fixed.record_bytes.is_some() {
        return Some((
            "record_bytes".into(),
            "a file that grows is read by its line ends; leave it out if there are any, or read complete files with kind = \"file-drop\"".into(),
        ));
    }
    let mut types = fixed.record.iter();
    types
        .position(|one| one.parent.is_some() || one.trailer || one.required)
        .map(spanning)
}

/// Each line stands by itself: a restart goes on in the file's middle, where nobody knows the lines before.
fn spanning(index: usize) -> (String, String) {
    (
        format!("record[{index}]"),
        "parent, trailer and required tie lines of a file together; in a file that grows each line stands by itself: leave them out, or read complete files with kind = \"file-drop\"".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &str, words: &[&str]) {
        let text = format!("kind = \"file-tail\"\nfolder = \"/var/log/wms\"\n{settings}");
        let said = match toml::from_str::<FileTailConfig>(&text) {
            Ok(config) => config.faults().first().map_or_else(
                || "(fine)".into(),
                |(setting, reason)| format!("{setting}: {reason}"),
            ),
            Err(error) => error.to_string(),
        };
        for word in words {
            assert!(
                said.contains(word),
                "{settings}: \"{word}\" is missing in: {said}"
            );
        }
    }

    #[test]
    fn settings_are_checked_in_words() {
        let csv = "format.kind = \"csv\"\n";
        check(csv, &["(fine)"]);
        check(&format!("{csv}pattern = \"a/b\""), &["pattern", "folders"]);
        check(
            &format!("{csv}rotated = [\"app.[\"]"),
            &["rotated", "app.["],
        );
        check(&format!("{csv}scan_every = \"1ms\""), &["at least 10ms"]);
        check(&format!("{csv}begin = \"middle\""), &["`start`", "`end`"]);
        check(&format!("{csv}archive_days = 3"), &["unknown field"]);
    }

    #[test]
    fn formats_that_need_the_whole_file_are_refused_in_words() {
        check(
            "format.kind = \"json-lines\"\nformat.fields = { A = \"/a\" }",
            &["(fine)"],
        );
        check(
            "format.kind = \"json\"\nformat.record = \"/a\"\nformat.fields = { A = \"/a\" }",
            &["format.kind", "file-drop"],
        );
        check("format.kind = \"x12\"", &["format.kind", "\"json-lines\""]);
        check(
            "format.kind = \"csv\"\nformat.footer_rows = 1",
            &["format.footer_rows", "file-drop"],
        );
        check(
            "format.kind = \"csv\"\nformat.footer = \"SUM\"",
            &["format.footer", "file-drop"],
        );
        check(
            "format.kind = \"fixed\"\nformat.record_bytes = 8\nformat.record = [{ field = [{ name = \"A\", width = 8 }] }]",
            &["format.record_bytes", "line ends"],
        );
        check(
            "format.kind = \"fixed\"\nformat.record = [{ name = \"H\", match = [{ at = 1, text = \"H\" }], field = [{ name = \"A\", at = 2, width = 3 }] }, { name = \"D\", parent = \"H\", match = [{ at = 1, text = \"D\" }], field = [{ name = \"B\", at = 2, width = 3 }] }]",
            &["format.record[1]", "stands by itself"],
        );
    }
}
