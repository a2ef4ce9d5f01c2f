//! The `[flow.source.format]` table of a file that a copybook describes.

use std::path::PathBuf;

use serde::Deserialize;

use super::characters::CobolEncoding;
use crate::RECORD_BYTES_MAX;
use crate::typed::{self, CountConfig, Definition, Texts, TotalConfig};

/// Bytes before or behind a file's records, at most.
const AROUND_BYTES_MAX: usize = 64 * 1024;

/// How a file's bytes become records.
///
/// ```toml
/// kind = "copybook"
/// copybook = "/etc/dray/STOCK.cpy"
/// encoding = "cp273"
/// framing = "rdw"
///
/// [[record]]
/// name = "HDR"
/// layout = "HDR-REC"
/// when = { field = "REC-TYPE", is = ["01"] }
///
/// [[record]]
/// name = "LINE"
/// layout = "DTL-REC"
/// when = { field = "REC-TYPE", is = ["02"] }
/// parent = "HDR"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopybookConfig {
    /// The copybook's file.
    pub copybook: PathBuf,
    /// How characters are kept, EBCDIC 037 unless said.
    #[serde(default)]
    pub encoding: CobolEncoding,
    /// How records are told from each other. Unless said: all have the same length, if the copybook's have.
    pub framing: Option<Framing>,
    /// The length of all records, with [`Framing::Fixed`]; that of the longest one unless said.
    pub record_bytes: Option<usize>,
    /// With [`Framing::Rdw`]: how its lengths are written.
    pub rdw: Option<RdwConfig>,
    /// Bytes before the first record that are passed over.
    #[serde(default)]
    pub header_bytes: usize,
    /// Bytes behind the last record that are passed over.
    #[serde(default)]
    pub trailer_bytes: usize,
    /// What becomes of a last record that is cut.
    #[serde(default)]
    pub tail: Tail,
    /// Which blanks around a text are left out.
    #[serde(default)]
    pub trim: Trim,
    /// What a number of blanks or of zero bytes (LOW-VALUES) alone is.
    #[serde(default)]
    pub blank_numbers: BlankNumbers,
    /// How COMP-5 is kept.
    #[serde(default)]
    pub comp_5: Order,
    /// The types of records; one for the whole copybook unless said.
    #[serde(default)]
    pub record: Vec<RecordConfig>,
}

/// How records are told from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// All have the same length (RECFM F, FB).
    Fixed,
    /// One behind the other, each as long as its layout and its counts say.
    Layout,
    /// A record descriptor word with the length stands before each (RECFM V, VB).
    Rdw,
    /// Each is a line of text.
    Lines,
}

/// How the lengths before records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RdwConfig {
    /// The order of a length's bytes.
    pub order: Order,
    /// Whether it counts its own four bytes, as z/OS does.
    pub counts_itself: bool,
    /// Whether records stand in blocks with a length of their own (BDW).
    pub blocks: bool,
}

impl Default for RdwConfig {
    fn default() -> Self {
        Self {
            order: Order::Big,
            counts_itself: true,
            blocks: false,
        }
    }
}

/// The order of a number's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The first byte weighs most, as on a mainframe.
    #[default]
    Big,
    /// The last byte does, as on a PC.
    Little,
}

/// What becomes of a last record that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tail {
    /// The whole file is refused: who knows what else is missing.
    #[default]
    Refuse,
    /// It is a bad record.
    Reject,
}

/// Which blanks around a text are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trim {
    /// Those behind it, with zero bytes among them.
    #[default]
    End,
    /// Those before it too.
    Both,
    /// None.
    None,
}

/// What a number of blanks or of zero bytes alone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlankNumbers {
    /// No value.
    #[default]
    Null,
    /// No number: the record is a bad one.
    Reject,
}

/// A type of records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordConfig {
    /// What it is called. Needed where there are several.
    #[serde(default)]
    pub name: String,
    /// The copybook's record of level 01, or one of the items that redefine each other; the one called like this type unless said.
    pub layout: Option<String>,
    /// Which records are of this type; all that are of no type before, unless said.
    pub when: Option<WhenConfig>,
    /// An item that occurs many times, of which each occurrence becomes a record.
    pub each: Option<String>,
    /// The type of record that it belongs to, and whose cells it carries as `NAME.FIELD`.
    pub parent: Option<String>,
    /// Whether its records are handed out; all but trailers unless said.
    pub emit: Option<bool>,
    /// Whether it is passed over wherever it stands, and counts nowhere.
    #[serde(default)]
    pub skip: bool,
    /// Whether it ends its parent; or, without one, the file.
    #[serde(default)]
    pub trailer: bool,
    /// Whether there must be one in each parent; or, without one, in the file.
    #[serde(default)]
    pub required: bool,
    /// Fields that say how many records there are.
    #[serde(default)]
    pub counts: Vec<CountConfig>,
    /// Fields that say what others add up to.
    #[serde(default)]
    pub totals: Vec<TotalConfig>,
}

/// Which records are of a type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhenConfig {
    /// A field of its layout.
    pub field: String,
    /// What it says, or a list of which it says one.
    pub is: Texts,
}

impl CopybookConfig {
    /// Settings for a copybook's file; all others as they are unless said.
    #[must_use]
    pub fn new(copybook: impl Into<PathBuf>) -> Self {
        Self {
            copybook: copybook.into(),
            encoding: CobolEncoding::default(),
            framing: None,
            record_bytes: None,
            rdw: None,
            header_bytes: 0,
            trailer_bytes: 0,
            tail: Tail::default(),
            trim: Trim::default(),
            blank_numbers: BlankNumbers::default(),
            comp_5: Order::default(),
            record: Vec::new(),
        }
    }

    /// What is wrong with it by itself: the setting, and a sentence with the way out. What the copybook says is not looked at.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault =
            |setting: &str, sentence: String| faults.push((setting.to_owned(), sentence));
        if !self.copybook.is_absolute() {
            fault(
                "copybook",
                format!(
                    "\"{}\" is not an absolute path; begin it with \"/\"",
                    self.copybook.display()
                ),
            );
        }
        match (self.record_bytes, self.framing) {
            (Some(_), Some(Framing::Layout | Framing::Rdw | Framing::Lines)) => {
                fault(
                    "record_bytes",
                    "only records of framing = \"fixed\" all have one length; leave it out".into(),
                );
            }
            (Some(bytes), _) if bytes == 0 || bytes > RECORD_BYTES_MAX => {
                fault(
                    "record_bytes",
                    format!("a record has 1 to {RECORD_BYTES_MAX} bytes"),
                );
            }
            _ => {}
        }
        if self.rdw.is_some() && self.framing != Some(Framing::Rdw) {
            fault(
                "rdw",
                "it says how lengths before records are written; write framing = \"rdw\" too"
                    .into(),
            );
        }
        if self.framing == Some(Framing::Lines) && self.encoding.is_ebcdic() {
            fault("framing", "lines are text in ASCII; say its encoding, e.g. encoding = \"windows-1252\", or another framing".into());
        }
        for (setting, bytes) in [
            ("header_bytes", self.header_bytes),
            ("trailer_bytes", self.trailer_bytes),
        ] {
            if bytes > AROUND_BYTES_MAX {
                fault(
                    setting,
                    format!("at most {AROUND_BYTES_MAX} bytes can be passed over"),
                );
            }
        }
        self.record_faults(&mut faults);
        faults
    }

    fn record_faults(&self, faults: &mut Vec<(String, String)>) {
        let none = vec![Vec::new(); self.record.len()];
        faults.extend(typed::faults(&self.definitions(&none), false));
        for (at, record) in self.record.iter().enumerate() {
            let mut fault = |setting: &str, sentence: String| {
                faults.push((format!("record.{at}.{setting}"), sentence))
            };
            match &record.when {
                Some(when) if when.is.0.is_empty() => fault(
                    "when.is",
                    "say which values it has, e.g. is = [\"01\"]".into(),
                ),
                None if at + 1 < self.record.len() => fault(
                    "when",
                    format!(
                        "all records would be of type {}, and none of those behind it; say when, or put it last",
                        record.name
                    ),
                ),
                _ => {}
            }
            let parent = self
                .record
                .iter()
                .find(|one| record.parent.as_ref() == Some(&one.name));
            if let Some(parent) = parent.filter(|parent| parent.each.is_some()) {
                fault(
                    "parent",
                    format!(
                        "{} makes many records of one; only one can be a parent",
                        parent.name
                    ),
                );
            }
        }
        if !self.record.is_empty() && !self.record.iter().any(RecordConfig::handed_out) {
            faults.push((
                "record.0.emit".into(),
                "no type is handed out; leave emit = false out of one".into(),
            ));
        }
    }

    /// The types as all formats see them. `columns`: those of each type.
    pub(super) fn definitions<'a>(&'a self, columns: &'a [Vec<String>]) -> Vec<Definition<'a>> {
        let types = self.record.iter().zip(columns);
        types
            .map(|(record, columns)| Definition {
                name: &record.name,
                columns,
                parent: record.parent.as_deref(),
                emit: record.handed_out(),
                skip: record.skip,
                trailer: record.trailer,
                required: record.required,
                counts: &record.counts,
                totals: &record.totals,
            })
            .collect()
    }
}

impl RecordConfig {
    fn handed_out(&self) -> bool {
        self.emit.unwrap_or(!self.trailer) && !self.skip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, words: &[&str]) {
        let said = match toml::from_str::<CopybookConfig>(&format!("copybook = \"/a\"\n{toml}")) {
            Ok(config) => {
                let faults = config.faults();
                let said = faults
                    .iter()
                    .map(|(setting, sentence)| format!("{setting}: {sentence}"));
                said.collect::<Vec<_>>().join("\n")
            }
            Err(error) => error.to_string(),
        };
        assert!(!words.is_empty() || said.is_empty(), "{toml}: {said}");
        for word in words {
            assert!(
                said.contains(word),
                "{toml}: \"{word}\" is missing in: {said}"
            );
        }
    }

    #[test]
    fn a_format_is_checked_in_words() {
        check("", &[]);
        check(
            "framing = \"rdw\"\nrdw = { order = \"little\", counts_itself = false, blocks = true }",
            &[],
        );
        check(
            "encoding = \"latin9\"",
            &["unknown variant `latin9`", "`iso-8859-1`", "`cp1047`"],
        );
        check(
            "framing = \"rdw\"\nrecord_bytes = 80",
            &["record_bytes: only records of"],
        );
        check("record_bytes = 0", &["record_bytes: a record has 1 to"]);
        check("rdw = {}", &["rdw: it says", "framing = \"rdw\""]);
        check("framing = \"lines\"", &["framing: lines are text in ASCII"]);
        check("header_bytes = 100000", &["header_bytes: at most"]);
        check(
            "[[record]]\nname = \"A\"\n[[record]]\nname = \"B\"",
            &["record.0.when: all records would be of type A"],
        );
        check(
            "[[record]]\nname = \"A\"\nwhen = { field = \"X\", is = [] }",
            &["record.0.when.is: say which"],
        );
        check(
            "[[record]]\nname = \"A\"\nparent = \"B\"",
            &["record.0.parent: no type of record is called \"B\""],
        );
        check(
            "[[record]]\nname = \"A\"\nparent = \"A\"",
            &["record.0.parent: \"A\" belongs to this type itself"],
        );
        let two = |a: &str, b: &str| {
            format!(
                "[[record]]\nname = \"A\"\nwhen = {{ field = \"X\", is = [\"1\"] }}\n{a}\n[[record]]\nname = \"B\"\n{b}"
            )
        };
        check(
            &two("parent = \"B\"", "parent = \"A\""),
            &["record.0.parent: \"B\" belongs to this type itself"],
        );
        check(
            &two("each = \"L\"", "parent = \"A\""),
            &["record.1.parent: A makes many records"],
        );
        check(
            &two("emit = false", "emit = false"),
            &["record.0.emit: no type is handed out"],
        );
        check(&two("", ""), &[]);
        check(
            "[[record]]\nname = \"A\"\nlayuot = \"B\"",
            &["unknown field `layuot`"],
        );
    }
}
