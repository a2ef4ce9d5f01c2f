//! `kind = "webhook"`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dray_adapter::Shape;
use dray_formats::FormatConfig;
use hyper::header::HeaderName;
use serde::Deserialize;

use crate::files::{self, Named};
use crate::receive::config::{
    AccountConfig, Faults, caller_files, listened, one_or_several, path_faults,
};
use crate::receive::source::BadRecords;
use crate::receive::{LimitsConfig, TlsConfig};

/// Kinds of calls of an endpoint, at most.
const HOOKS_MAX: usize = 100;
/// Columns of a key, at most.
const KEY_COLUMNS_MAX: usize = 8;

/// An endpoint that others call by HTTP alone.
///
/// ```toml
/// kind = "webhook"
/// listen = "0.0.0.0:8443"
/// path = "/shop"
/// signature = { header = "X-Shop-Hmac-Sha256", secret_file = "/etc/dray/shop.secret", encoding = "base64" }
/// [[hook]]
/// name = "order"
/// when = { header = "X-Shop-Topic", value = "orders/create" }
/// id_header = "X-Shop-Webhook-Id"
/// format = { kind = "json", record = "/line_items", fields = { ORDER = "../name", SKU = "sku", QTY = "quantity" } }
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// "webhook".
    pub kind: String,
    /// Address and port.
    #[serde(deserialize_with = "listened")]
    pub listen: SocketAddr,
    /// The path that is called; default `/`.
    #[serde(default = "root_path")]
    pub path: String,
    /// What may come.
    #[serde(rename = "hook")]
    pub hooks: Vec<HookConfig>,
    /// What becomes of a call some of whose records can't be read.
    #[serde(default)]
    pub bad_records: BadRecords,
    /// The status of an answer once the call is stored; some callers want one of their own.
    #[serde(default = "ok")]
    pub status: u16,
    /// By which calls are signed.
    pub signature: Option<SignatureConfig>,
    /// A secret that stands in a header.
    pub api_key: Option<ApiKeyConfig>,
    /// A user and password by HTTP.
    pub basic: Option<AccountConfig>,
    /// TLS; without it calls come in clear text.
    pub tls: Option<TlsConfig>,
    /// How much is taken.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// One kind of call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    /// The type of its records, for `record_type` of a mapping.
    pub name: String,
    /// By which it is told from others; the first that fits is taken.
    pub when: Option<When>,
    /// How its body becomes records.
    pub format: FormatConfig,
    /// A header that is the same for all tries of one call.
    pub id_header: Option<String>,
    /// Columns of the first record that tell one call from another.
    #[serde(default, deserialize_with = "one_or_several")]
    pub key: Vec<String>,
    /// Whether calls of the same content are one.
    #[serde(default)]
    pub same_content_is_one: bool,
    /// Whether a call without a record is taken.
    #[serde(default)]
    pub may_be_empty: bool,
}

/// A header that has a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Its name.
    pub header: String,
    /// What it says.
    pub value: String,
}

/// HMAC-SHA-256 over the body.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureConfig {
    /// The header with the signature.
    pub header: String,
    /// A file whose first line is the secret.
    pub secret_file: PathBuf,
    /// How it is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands before it, e.g. `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// A header with the time, in seconds since 1970, which is signed with the body: time, a dot, body.
    pub time_header: Option<String>,
    /// How far that time may be from ours.
    #[serde(default = "five_minutes", with = "humantime_serde")]
    pub skew: Duration,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Two letters a byte.
    #[default]
    Hex,
    /// Base64.
    Base64,
}

/// A secret in a header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyConfig {
    /// Its name, e.g. `X-Api-Key`, or `Authorization`.
    pub header: String,
    /// A file whose first line is the key.
    pub key_file: PathBuf,
    /// What stands before it, e.g. `Bearer `.
    #[serde(default)]
    pub prefix: String,
}

fn root_path() -> String {
    "/".into()
}

fn ok() -> u16 {
    200
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

impl WebhookConfig {
    /// What is wrong with it by itself: the setting's path, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Faults {
        let mut faults = path_faults(&self.path);
        faults.extend(self.limits.faults());
        faults.extend(files::faults(&self.files()));
        let mut fault =
            |setting: &str, sentence: &str| faults.push((setting.to_owned(), sentence.to_owned()));
        if !(200..=204).contains(&self.status) {
            fault("status", "it is between 200 and 204");
        }
        let headers = [
            (
                "signature.header",
                self.signature.as_ref().map(|one| &one.header),
            ),
            (
                "signature.time_header",
                self.signature
                    .as_ref()
                    .and_then(|one| one.time_header.as_ref()),
            ),
            (
                "api_key.header",
                self.api_key.as_ref().map(|one| &one.header),
            ),
        ];
        for (setting, header) in headers {
            if header.is_some_and(|header| !is_header(header)) {
                fault(setting, NO_HEADER);
            }
        }
        if self.hooks.is_empty() || self.hooks.len() > HOOKS_MAX {
            fault(
                "hook",
                "there are none, or more than 100: write a [[flow.source.hook]] for each kind of call",
            );
        }
        let mut names = HashSet::new();
        for (number, hook) in self.hooks.iter().enumerate() {
            let mut found = hook.faults();
            if hook.name.trim().is_empty() || !names.insert(hook.name.as_str()) {
                found.push((
                    "name".into(),
                    "it is empty, or another hook has it too".into(),
                ));
            }
            if hook.when.is_none() && number + 1 < self.hooks.len() {
                let sentence =
                    "without a condition it takes all calls, and those behind it none; put it last";
                found.push(("when".into(), sentence.into()));
            }
            let found = found.into_iter();
            faults.extend(
                found.map(|(setting, sentence)| (format!("hook.{number}.{setting}"), sentence)),
            );
        }
        faults
    }
}

impl WebhookConfig {
    /// The files that it names.
    pub(super) fn files(&self) -> Named<'_> {
        let mut named = files::named([
            (
                "signature.secret_file",
                self.signature.as_ref().map(|one| &one.secret_file),
            ),
            (
                "api_key.key_file",
                self.api_key.as_ref().map(|one| &one.key_file),
            ),
        ]);
        named.extend(caller_files(self.basic.as_ref(), self.tls.as_ref()));
        named
    }
}

const NO_HEADER: &str = "it is no name of an HTTP header";

fn is_header(name: &str) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok()
}

impl WebhookConfig {
    /// What records of each hook are like; none where only the calls tell the columns of one.
    #[must_use]
    pub fn shapes(&self) -> Vec<Shape> {
        let shape = |hook: &HookConfig| {
            Some(Shape {
                record_type: hook.name.clone(),
                columns: hook.columns()?,
            })
        };
        let shapes: Option<Vec<Shape>> = self.hooks.iter().map(shape).collect();
        shapes.unwrap_or_default()
    }

    /// The path that finds a column of a hook's records.
    #[must_use]
    pub fn path_of(&self, hook: &str, column: &str) -> Option<&str> {
        let found = self.hooks.iter().find(|one| one.name == hook)?;
        found.format.path(column)
    }
}

impl HookConfig {
    fn faults(&self) -> Faults {
        let format = self.format.faults().into_iter();
        let mut faults: Faults = format
            .map(|(setting, sentence)| (format!("format.{setting}"), sentence))
            .collect();
        let mut fault =
            |setting: &str, sentence: &str| faults.push((setting.to_owned(), sentence.to_owned()));
        let headers = [
            ("id_header", self.id_header.as_ref()),
            ("when.header", self.when.as_ref().map(|when| &when.header)),
        ];
        for (setting, header) in headers {
            if header.is_some_and(|header| !is_header(header)) {
                fault(setting, NO_HEADER);
            }
        }
        let ways = [
            self.id_header.is_some(),
            !self.key.is_empty(),
            self.same_content_is_one,
        ];
        if ways.into_iter().filter(|way| *way).count() > 1 {
            fault(
                "key",
                "one of id_header, key and same_content_is_one tells calls apart; leave the others out",
            );
        }
        if !self.key.is_empty() && self.may_be_empty {
            fault(
                "may_be_empty",
                "a call without a record has no key: use id_header or same_content_is_one, or leave this out",
            );
        }
        if self.key.len() > KEY_COLUMNS_MAX {
            fault("key", "at most 8 columns make a key");
        }
        if let Some(columns) = self.columns() {
            for key in self.key.iter().filter(|key| !columns.contains(key)) {
                let sentence = format!(
                    "\"{key}\" is no column of format.fields, which are {}",
                    columns.join(", ")
                );
                fault("key", &sentence);
            }
        }
        faults
    }

    /// The columns, where the configuration alone names them.
    fn columns(&self) -> Option<Vec<String>> {
        match &self.format {
            FormatConfig::Xml(xml) => Some(xml.fields.names()),
            FormatConfig::Json(json) => Some(json.fields.names()),
            FormatConfig::JsonLines(lines) => Some(lines.fields.names()),
            _ => None,
        }
    }

    /// Whether something tells its calls apart.
    pub(crate) fn knows_repeats(&self) -> bool {
        self.id_header.is_some() || !self.key.is_empty() || self.same_content_is_one
    }
}
