//! `kind = "soap-poll"`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use dray_adapter::Shape;
use dray_formats::Columns;
use dray_formats::xml::{XmlConfig, XmlField};
use serde::Deserialize;

use crate::envelope::Version;
use crate::measure::records_bytes_max;
use crate::receive::config::{AccountConfig, one_or_several};

/// A service that is asked on a schedule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoapPollConfig {
    /// "soap-poll".
    pub kind: String,
    /// Where the service is: http or https.
    pub url: String,
    /// Which SOAP; default 1.1.
    #[serde(default)]
    pub soap: SoapVersion,
    /// The operation's SOAPAction; default: none.
    #[serde(default)]
    pub action: String,
    /// The time from one cycle's beginning to the next one's; default 60 s.
    #[serde(default = "one_minute", with = "humantime_serde")]
    pub every: Duration,
    /// A template of the request's body.
    pub request: PathBuf,
    /// The root element of the answer's body.
    pub root: String,
    /// Which elements below the root are records; without it the root is the record.
    pub record: Option<String>,
    /// What prefixes in root and paths stand for.
    #[serde(default)]
    pub namespaces: BTreeMap<String, String>,
    /// The columns, seen from the record.
    pub fields: Columns<XmlField>,
    /// The columns that tell one record from another.
    #[serde(default, deserialize_with = "one_or_several")]
    pub key: Vec<String>,
    /// How only what is new is asked for.
    pub watermark: Option<WatermarkConfig>,
    /// How an answer of several pages is asked for.
    pub pages: Option<PagesConfig>,
    /// Whether an answer without a record is fine.
    #[serde(default)]
    pub empty: Empty,
    /// How long one answer may take, from the connection to its last byte; default 30 s.
    #[serde(default = "half_a_minute", with = "humantime_serde")]
    pub timeout: Duration,
    /// Whether requests say wsa:Action, wsa:MessageID and wsa:To.
    #[serde(default)]
    pub addressing: bool,
    /// Whether headers of an answer that must be understood, and are not, are passed over.
    #[serde(default)]
    pub ignore_must_understand: bool,
    /// A user and password by WS-Security.
    pub username_token: Option<PollTokenConfig>,
    /// A user and password by HTTP.
    pub basic: Option<AccountConfig>,
    /// A token by HTTP.
    pub bearer: Option<BearerConfig>,
    /// Whom to trust, and who we are.
    #[serde(default)]
    pub tls: PollTlsConfig,
    /// How much is taken.
    #[serde(default)]
    pub limits: PollLimitsConfig,
}

/// Which SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum SoapVersion {
    /// 1.1.
    #[default]
    #[serde(rename = "1.1")]
    V11,
    /// 1.2.
    #[serde(rename = "1.2")]
    V12,
}

impl From<SoapVersion> for Version {
    fn from(version: SoapVersion) -> Self {
        match version {
            SoapVersion::V11 => Self::V11,
            SoapVersion::V12 => Self::V12,
        }
    }
}

/// What an answer without a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Empty {
    /// There is nothing new.
    #[default]
    None,
    /// Something is wrong with the service.
    Error,
}

/// How only what is new is asked for. One of `column`, `path` and `by_time` says where the next watermark comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatermarkConfig {
    /// The largest value of this column.
    pub column: Option<String>,
    /// A value of the answer, seen from its root.
    pub path: Option<String>,
    /// The end of the window that was asked for.
    #[serde(default)]
    pub by_time: bool,
    /// The first watermark.
    pub start: Option<String>,
    /// What watermarks are; default: what `start` looks like.
    #[serde(rename = "type")]
    pub kind: Option<WatermarkType>,
    /// So much that was asked for is asked for again.
    #[serde(default, with = "humantime_serde")]
    pub overlap: Duration,
    /// A window ends so long before now; default 10 s.
    #[serde(default = "ten_seconds", with = "humantime_serde")]
    pub lag: Duration,
    /// The zone of times without an offset, and of those that are asked with; default UTC.
    pub zone: Option<String>,
    /// How times are written in requests, e.g. `%Y-%m-%dT%H:%M:%S`; default as the service wrote them, or RFC 3339.
    pub format: Option<String>,
}

/// What watermarks are, and so how they grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatermarkType {
    /// Points in time.
    Time,
    /// Whole numbers.
    Number,
    /// Anything: the last one counts.
    Opaque,
}

/// How an answer of several pages is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesConfig {
    /// What names the next page.
    pub by: PagesBy,
    /// Of a token: where it is in the answer, seen from its root. The last page has none, or an empty one.
    pub path: Option<String>,
    /// Of numbers: the first page's; default 1.
    #[serde(default = "one")]
    pub first: u64,
    /// Records of a page. By number, a page with fewer is the last one; without it, one with none.
    pub size: Option<u64>,
    /// Pages of a cycle, at most; default 10,000.
    #[serde(default = "ten_thousand")]
    pub pages_max: u64,
}

/// What names a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PagesBy {
    /// A value of the page before.
    Token,
    /// Its number.
    Number,
}

/// A user and a password in a request's header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollTokenConfig {
    /// Who asks.
    pub user: String,
    /// A file with the password.
    pub password_file: PathBuf,
    /// Whether the password itself is sent, not its digest.
    #[serde(default)]
    pub text: bool,
    /// How long a request holds by its wsu:Timestamp; without it there is none.
    #[serde(default, with = "humantime_serde::option")]
    pub timestamp: Option<Duration>,
}

/// A token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BearerConfig {
    /// A file with the token. It is read before each request.
    pub token_file: PathBuf,
}

/// Files in PEM.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollTlsConfig {
    /// The CA that the service's certificate comes from, besides those of the system.
    pub ca: Option<PathBuf>,
    /// Our certificate, and those that lead to its CA.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// How much is taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PollLimitsConfig {
    /// Bytes of an answer, packed and unpacked; default 64 MiB.
    pub message_bytes_max: ByteSize,
    /// Bytes of an answer's records, with what each takes from around it; default 64 MiB, or `message_bytes_max` where that is more.
    pub records_bytes_max: Option<ByteSize>,
}

impl Default for PollLimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes_max: ByteSize::mib(64),
            records_bytes_max: None,
        }
    }
}

impl PollLimitsConfig {
    pub(super) fn records_bytes_max(&self) -> ByteSize {
        records_bytes_max(self.records_bytes_max, self.message_bytes_max)
    }
}

fn one() -> u64 {
    1
}

fn ten_thousand() -> u64 {
    10_000
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

impl SoapPollConfig {
    /// What its records are like.
    #[must_use]
    pub fn shapes(&self) -> Vec<Shape> {
        vec![Shape {
            record_type: String::new(),
            columns: self.fields.names(),
        }]
    }

    /// The path that finds a column.
    #[must_use]
    pub fn path_of(&self, column: &str) -> Option<&str> {
        let found = self.fields.get(column);
        found.map(|field| field.path.as_str())
    }

    /// The URIs of the prefixes, by whose numbers names are told apart.
    pub(super) fn uris(&self) -> Vec<String> {
        self.namespaces.values().cloned().collect()
    }

    /// Where records are in an answer.
    pub(super) fn xml(&self) -> XmlConfig {
        let below = self.record.iter().map(|record| format!("/{record}"));
        XmlConfig {
            record: format!("/Envelope/Body/{}{}", self.root, below.collect::<String>()),
            namespaces: self.namespaces.clone(),
            fields: self.fields.clone(),
            trim: true,
            encoding: None,
        }
    }

    /// The place of a column among the cells.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.fields.0.iter().position(|(known, _)| known == name)
    }
}
