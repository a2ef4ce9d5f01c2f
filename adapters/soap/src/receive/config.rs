//! `kind = "soap-receive"`, and what all endpoints share.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use dray_adapter::Shape;
use dray_formats::Columns;
use dray_formats::xml::{XmlConfig, XmlField, number_of};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::CONNECTIONS_MAX;
use super::source::BadRecords;
use crate::files::{self, Named};
use crate::measure::records_bytes_max;
use crate::pick::Path;

/// Operations of an endpoint, at most.
pub const OPERATIONS_MAX: usize = 100;
/// Paths of a key, at most.
const KEY_PATHS_MAX: usize = 8;

/// An endpoint that a legacy system calls.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoapReceiveConfig {
    /// "soap-receive".
    pub kind: String,
    /// Address and port, e.g. `0.0.0.0:8080`.
    #[serde(deserialize_with = "listened")]
    pub listen: SocketAddr,
    /// The path that is called; default `/`.
    #[serde(default = "root_path")]
    pub path: String,
    /// The description that is served at `?wsdl`.
    pub wsdl: Option<PathBuf>,
    /// How callers reach the endpoint, for that description; default: as they asked for it.
    pub address: Option<String>,
    /// What prefixes in roots and paths stand for.
    #[serde(default)]
    pub namespaces: BTreeMap<String, String>,
    /// What can be called.
    #[serde(rename = "operation")]
    pub operations: Vec<OperationConfig>,
    /// What becomes of a call some of whose records can't be read.
    #[serde(default)]
    pub bad_records: BadRecords,
    /// A user and password by HTTP.
    pub basic: Option<AccountConfig>,
    /// A user and password by WS-Security.
    pub username_token: Option<TokenConfig>,
    /// TLS; without it calls come in clear text.
    pub tls: Option<TlsConfig>,
    /// How much is taken.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// One operation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationConfig {
    /// The type of its records, for `record_type` of a mapping.
    pub name: String,
    /// The body's root element.
    pub root: String,
    /// With which a given SOAPAction must agree.
    pub action: Option<String>,
    /// Which elements below the root are records; without it the root is the record.
    pub record: Option<String>,
    /// The columns, seen from the record.
    pub fields: Columns<XmlField>,
    /// What tells one call from another, seen from the root.
    #[serde(default, deserialize_with = "one_or_several")]
    pub key: Vec<String>,
    /// What tells calls apart where there is no key.
    #[serde(default)]
    pub identity: IdentityBy,
    /// Whether a call without a record is taken.
    #[serde(default)]
    pub may_be_empty: bool,
    /// Whether nothing is answered but that it was taken.
    #[serde(default)]
    pub one_way: bool,
    /// A template of the answer's body.
    pub response: Option<PathBuf>,
}

/// What tells calls apart that have no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityBy {
    /// Its message id, where it has one.
    #[default]
    MessageId,
    /// What it holds: the same twice is one call.
    Content,
}

/// A user and a password.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// Who calls.
    pub user: String,
    /// A file with the password.
    pub password_file: PathBuf,
}

/// A user and a password in a message's header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Who calls.
    pub user: String,
    /// A file with the password.
    pub password_file: PathBuf,
    /// Whether the password itself is taken too, not its digest alone.
    #[serde(default)]
    pub text: bool,
    /// How far the caller's clock may be from ours.
    #[serde(default = "five_minutes", with = "humantime_serde")]
    pub skew: Duration,
}

/// Files in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The endpoint's certificate, and those that lead to its CA.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CA whose certificates callers must have.
    pub client_ca: Option<PathBuf>,
}

/// How much an endpoint takes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Bytes of a call, packed and unpacked; default 64 MiB.
    pub message_bytes_max: ByteSize,
    /// Bytes of a call's records, with what each takes from around it; default 64 MiB, or `message_bytes_max` where that is more.
    pub records_bytes_max: Option<ByteSize>,
    /// Bytes of all calls together that wait in files; default 1 GiB.
    pub waiting_bytes_max: ByteSize,
    /// Connections at once.
    pub connections_max: usize,
    /// How long a call's bytes may take to come.
    #[serde(with = "humantime_serde")]
    pub body_within: Duration,
    /// How long a caller waits for the append before he is told to come again.
    #[serde(with = "humantime_serde")]
    pub answer_within: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes_max: ByteSize::mib(64),
            records_bytes_max: None,
            waiting_bytes_max: ByteSize::gib(1),
            connections_max: CONNECTIONS_MAX,
            body_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(30),
        }
    }
}

/// An address and a port. A name is not looked up: it may mean several addresses, and others tomorrow.
pub(crate) fn listened<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let written = String::deserialize(deserializer)?;
    written.parse().map_err(|_| {
        D::Error::custom(format!(
            "\"{written}\" is no IP address with a port: write \"127.0.0.1:8080\" to be called from this machine alone (localhost), \"0.0.0.0:8080\" at all its addresses, or one of those, with the port that is meant"
        ))
    })
}

fn root_path() -> String {
    "/".into()
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

/// `"path"` or `["path", "path"]`.
pub(crate) fn one_or_several<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a path, or a list of paths")]
    enum Written {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::One(path) => vec![path],
        Written::Several(paths) => paths,
    })
}

/// A fault's setting and sentence.
pub(crate) type Faults = Vec<(String, String)>;

impl LimitsConfig {
    pub(crate) fn records_bytes_max(&self) -> ByteSize {
        records_bytes_max(self.records_bytes_max, self.message_bytes_max)
    }

    pub(crate) fn faults(&self) -> Faults {
        let mut faults = Vec::new();
        let mut fault = |setting: &str, sentence: &str| {
            faults.push((format!("limits.{setting}"), sentence.to_owned()));
        };
        if self.message_bytes_max < ByteSize::kib(1) {
            fault("message_bytes_max", "it is at least 1KiB");
        }
        if self.records_bytes_max() < ByteSize::mib(2) {
            fault("records_bytes_max", "it is at least 2MiB, as a batch is");
        }
        if self.waiting_bytes_max < self.message_bytes_max {
            fault(
                "waiting_bytes_max",
                "it is at least limits.message_bytes_max",
            );
        }
        if !(1..=10_000).contains(&self.connections_max) {
            fault("connections_max", "it is between 1 and 10000");
        }
        for (setting, time) in [
            ("body_within", self.body_within),
            ("answer_within", self.answer_within),
        ] {
            if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&time) {
                fault(setting, "it is between 1s and 10m");
            }
        }
        faults
    }
}

impl SoapReceiveConfig {
    /// What is wrong with it by itself: the setting's path, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Faults {
        let mut faults = path_faults(&self.path);
        faults.extend(self.limits.faults());
        faults.extend(files::faults(&self.files()));
        if self.operations.is_empty() || self.operations.len() > OPERATIONS_MAX {
            let sentence = format!(
                "there are {} operations, between 1 and {OPERATIONS_MAX} are possible: write a [[flow.source.operation]] for each",
                self.operations.len()
            );
            faults.push(("operation".into(), sentence));
        }
        let (mut names, mut roots) = (HashSet::new(), HashSet::new());
        for (number, operation) in self.operations.iter().enumerate() {
            let mut fault = |setting: &str, sentence: String| {
                faults.push((format!("operation.{number}.{setting}"), sentence));
            };
            for (setting, known, value) in [
                ("name", &mut names, &operation.name),
                ("root", &mut roots, &operation.root),
            ] {
                if value.trim().is_empty() {
                    fault(setting, "it is empty".into());
                } else if !known.insert(value.clone()) {
                    fault(setting, format!("another operation has \"{value}\" too"));
                }
            }
            for (setting, sentence) in operation.faults(self) {
                fault(&setting, sentence);
            }
        }
        faults
    }

    /// The files that it names.
    pub(super) fn files(&self) -> Named<'_> {
        let token = self.username_token.as_ref();
        let mut named = files::named([
            ("wsdl", self.wsdl.as_ref()),
            (
                "username_token.password_file",
                token.map(|one| &one.password_file),
            ),
        ]);
        named.extend(caller_files(self.basic.as_ref(), self.tls.as_ref()));
        let responses = self.operations.iter().enumerate();
        named.extend(responses.filter_map(|(number, operation)| {
            let setting = format!("operation.{number}.response");
            Some((setting, operation.response.as_ref()?))
        }));
        named
    }

    /// What records of each operation are like.
    #[must_use]
    pub fn shapes(&self) -> Vec<Shape> {
        let shape = |operation: &OperationConfig| Shape {
            record_type: operation.name.clone(),
            columns: operation.fields.names(),
        };
        self.operations.iter().map(shape).collect()
    }

    /// The path that finds a column of an operation's records.
    #[must_use]
    pub fn path_of(&self, operation: &str, column: &str) -> Option<&str> {
        let mut operations = self.operations.iter();
        let found = operations.find(|one| one.name == operation)?;
        found
            .fields
            .get(column)
            .map(|field: &XmlField| field.path.as_str())
    }

    /// The URIs of the prefixes, by whose numbers names are told apart.
    pub(crate) fn uris(&self) -> Vec<String> {
        self.namespaces.values().cloned().collect()
    }

    /// A path from a body's root.
    pub(crate) fn path(&self, text: &str) -> Result<Path, String> {
        Path::new(text, &self.namespaces)
    }
}

impl OperationConfig {
    fn faults(&self, source: &SoapReceiveConfig) -> Faults {
        let mut faults = body_faults(&self.xml(source), &self.root, self.record.as_deref());
        faults.retain(|(setting, _)| setting != "namespaces");
        if self.key.len() > KEY_PATHS_MAX {
            let sentence = format!("at most {KEY_PATHS_MAX} paths make a key");
            faults.push(("key".into(), sentence));
        }
        let keys = self.key.iter().filter_map(|path| source.path(path).err());
        faults.extend(keys.map(|sentence| ("key".into(), sentence)));
        if self.one_way && self.response.is_some() {
            let sentence = "a one-way operation answers nothing; leave response or one_way out";
            faults.push(("response".into(), sentence.into()));
        }
        faults
    }

    /// Where its records are in a message.
    pub(crate) fn xml(&self, source: &SoapReceiveConfig) -> XmlConfig {
        let below = self.record.iter().map(|record| format!("/{record}"));
        XmlConfig {
            record: format!("/Envelope/Body/{}{}", self.root, below.collect::<String>()),
            namespaces: source.namespaces.clone(),
            fields: self.fields.clone(),
            trim: true,
            encoding: None,
        }
    }
}

/// What is wrong with where records are in a body, in the words of who wrote it: the path is composed of root and record.
pub(crate) fn body_faults(xml: &XmlConfig, root: &str, record: Option<&str>) -> Faults {
    let mut faults = xml.faults();
    let composed = format!("record = \"{}\"", xml.record);
    // A prefix of the root that nothing explains is not the fault of what stands below.
    let prefix = root.split_once(':').map(|(prefix, _)| prefix);
    let is_explained = prefix.is_none_or(|prefix| number_of(prefix, &xml.namespaces).is_ok());
    let record = record.filter(|_| is_explained);
    for (setting, sentence) in &mut faults {
        if setting != "record" {
            continue;
        }
        let written = match record {
            Some(record) if record.starts_with('/') => {
                *sentence = format!(
                    "record = \"{record}\" begins with a slash: it is seen from the root element, so write it without, e.g. \"w:Movements/w:Movement\""
                );
                continue;
            }
            Some(record) => record,
            None => {
                "root".clone_into(setting);
                root
            }
        };
        *sentence = sentence.replace(&composed, &format!("{setting} = \"{written}\""));
    }
    faults
}

/// The files by which an endpoint and its callers know each other.
pub(crate) fn caller_files<'p>(
    basic: Option<&'p AccountConfig>,
    tls: Option<&'p TlsConfig>,
) -> Named<'p> {
    files::named([
        ("basic.password_file", basic.map(|one| &one.password_file)),
        ("tls.certificate", tls.map(|tls| &tls.certificate)),
        ("tls.key", tls.map(|tls| &tls.key)),
        ("tls.client_ca", tls.and_then(|tls| tls.client_ca.as_ref())),
    ])
}

/// What is wrong with the path of an address.
pub(crate) fn path_faults(path: &str) -> Faults {
    let is_path = path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
    let sentence = "it begins with a slash and has no spaces, ? and #: e.g. \"/wms\"";
    (!is_path)
        .then(|| ("path".to_owned(), sentence.to_owned()))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(listen: &str, operation: &str) -> Result<SoapReceiveConfig, String> {
        let text = format!(
            "kind = \"soap-receive\"\nlisten = \"{listen}\"\nnamespaces = {{ v = \"urn:v\", w = \"urn:w\" }}\n[[operation]]\nname = \"Put\"\nfields = {{ ID = \"Id\" }}\n{operation}"
        );
        toml::from_str(&text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_host_s_name_is_no_address_to_listen_at_and_the_sentence_has_some() {
        let why = read("localhost:8080", "root = \"w:Put\"").expect_err("a name");
        assert!(
            why.starts_with(
                "\"localhost:8080\" is no IP address with a port: write \"127.0.0.1:8080\""
            ),
            "{why}"
        );
        assert!(why.contains("\"0.0.0.0:8080\""), "{why}");
    }

    #[test]
    fn paths_are_told_as_they_are_written() {
        for (operation, setting, expected) in [
            (
                "root = \"w:Put\"\nrecord = \"//w:Row\"",
                "operation.0.record",
                "record = \"//w:Row\" begins with a slash",
            ),
            (
                "root = \"w:Put\"\nrecord = \"w:Rows//w:Row\"",
                "operation.0.record",
                "record = \"w:Rows//w:Row\": ",
            ),
            (
                "root = \"x:Put\"",
                "operation.0.root",
                "root = \"x:Put\": the prefix x is not explained",
            ),
            (
                "root = \"x:Put\"\nrecord = \"w:Row\"",
                "operation.0.root",
                "root = \"x:Put\": the prefix x is not explained",
            ),
            (
                "root = \"w:Put\"\nkey = \"x:Id\"",
                "operation.0.key",
                "the prefix x is not explained",
            ),
        ] {
            let config = read("127.0.0.1:80", operation).expect(operation);
            let faults = config.faults();
            assert_eq!(faults.len(), 1, "{faults:?}");
            let (told, sentence) = &faults[0];
            assert_eq!(told, setting);
            assert!(sentence.starts_with(expected), "{sentence}");
            let lists = sentence.contains("prefix") == sentence.ends_with("; explained are v, w");
            assert!(lists, "{sentence}");
        }
    }
}
