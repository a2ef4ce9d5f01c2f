//! One `[[target]]` table of the collector's configuration.

mod account;
mod auth;
mod breaker;
mod check;
mod doubts;
pub mod file;
mod kind;
pub mod nats;
pub mod odata;
mod remembered;
pub mod sftp;
mod shadow;
pub mod soap;
pub mod sql;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use crate::calls::CallsConfig;
use crate::calls::rule::RuleConfig;
use crate::catalogue::Catalogue;
use crate::demands::DemandConfig;
use crate::references::{HoldsConfig, Lesson, ReferenceConfig};
use crate::share::Share;

pub use crate::catalogue::Timeliness;
pub use account::{AccountConfig, Rate};
pub(crate) use auth::header_name;
pub use auth::{
    Algorithm, AssertionConfig, AssertionRole, Auth, CsrfConfig, HmacConfig, LoginConfig,
    OAuth1Config, OAuth2Config, PasswordAs, SendSecret, SessionConfig, WsseConfig,
};
pub use breaker::BreakerConfig;
pub use kind::Kind;
pub use remembered::KEPT_NAMES_MAX;
pub use shadow::ShadowConfig;

/// Events in a request, at most.
pub const BATCH_MAX: usize = 10_000;
/// Bytes in a request, at most: what a collector of 300 MiB can hold several of.
pub const BATCH_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Requests in flight to one target, at most.
pub const CONCURRENCY_MAX: usize = 64;
/// How long a request may take, at most.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// One `[[target]]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// 1 to 63 of `a-z0-9-_`; its cursors and exceptions stand under this name.
    pub name: String,
    /// What lies beneath this table: see [`crate::presets`]. Here it is laid under already.
    #[serde(default)]
    pub preset: String,
    /// What it is.
    #[serde(default)]
    pub kind: Kind,
    /// Where events go: `http://` or `https://`; for kinds that send HTTP requests.
    #[serde(default)]
    pub url: String,
    /// A database.
    pub sql: Option<sql::SqlConfig>,
    /// A folder.
    pub file: Option<file::FileConfig>,
    /// A stream.
    pub nats: Option<nats::NatsConfig>,
    /// An OData service.
    pub odata: Option<odata::OdataConfig>,
    /// What makes requests SOAP.
    pub soap: Option<soap::SoapConfig>,
    /// Which flows: `site/flow`, `site/*`, `*/flow`, `*`. None: all.
    #[serde(default)]
    pub flows: Vec<String>,
    /// Which bodies, e.g. `shipment`. None: all but what agents say of themselves: `dead_letter`, `file_report`, `schema_change`, `source_gap` and `heartbeat`.
    #[serde(default)]
    pub bodies: Vec<String>,
    /// Where a target without a cursor begins.
    #[serde(default)]
    pub start: Start,
    /// Events a request at most, up to [`BATCH_MAX`]; 1: a single object, else a JSON array.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Bytes a request at most; one larger event has a request to itself.
    #[serde(default = "default_batch_bytes")]
    pub batch_bytes: ByteSize,
    /// Requests in flight, up to [`CONCURRENCY_MAX`].
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// How long a request may take, its answer's body included, up to [`TIMEOUT_MAX`].
    #[serde(default = "default_timeout", with = "humantime_serde")]
    pub timeout: Duration,
    /// The header that carries the event's id where `batch = 1`; empty: none.
    #[serde(default = "default_id_header")]
    pub id_header: String,
    /// What a refused event does to its key.
    #[serde(default)]
    pub on_reject: OnReject,
    /// A minijinja template of one event's JSON; empty: the compiled field plan.
    #[serde(default)]
    pub template: String,
    /// Values of this target that templates use as `vars.NAME`.
    #[serde(default)]
    pub vars: toml::Table,
    /// Fields that dead letters do not show: names (`iban`) and JSON pointers (`/data/line/price`); see [`crate::mask`].
    #[serde(default)]
    pub mask: Vec<String>,
    /// What answers mean where the status code lies; the first that holds, before HTTP's own words.
    #[serde(default, rename = "rule")]
    pub rules: Vec<RuleConfig>,
    /// A delivery as a conversation of several calls; none: one POST.
    #[serde(default)]
    pub calls: CallsConfig,
    /// What must be at the target before an event that names it.
    #[serde(default, rename = "reference")]
    pub references: Vec<ReferenceConfig>,
    /// What it tells other targets of what it gets: [`crate::references::link`].
    #[serde(skip)]
    pub lessons: Vec<Lesson>,
    /// How long an event waits for that.
    #[serde(default)]
    pub holds: HoldsConfig,
    /// What the target demands: looked at before an event is sent.
    #[serde(default, rename = "demand")]
    pub demands: Vec<DemandConfig>,
    /// A PEM file with CAs to trust beside the system's; empty: none.
    #[serde(default)]
    pub ca_file: PathBuf,
    /// A PEM file with the certificate that says who is calling, and those between it and its CA; empty: none.
    #[serde(default)]
    pub cert_file: PathBuf,
    /// Its key, PEM.
    #[serde(default)]
    pub key_file: PathBuf,
    /// The account at the ERP whose limits it shares with others; empty: it has none.
    #[serde(default)]
    pub account: String,
    /// How soon its events are wanted, where an account has less room than requests.
    #[serde(default)]
    pub timeliness: Timeliness,
    /// How to say who is calling; none: as its account does.
    #[serde(default)]
    pub auth: Auth,
    /// Requests need a token against cross-site request forgery, and cookies.
    #[serde(default)]
    pub csrf: Option<CsrfConfig>,
    /// How long to wait after an answer that says "later".
    #[serde(default)]
    pub retry: Retry,
    /// When it is only tried now and then.
    #[serde(default)]
    pub breaker: BreakerConfig,
    /// What is compared of flows in the phase *shadow*.
    #[serde(default)]
    pub shadow: ShadowConfig,
    /// What is agreed about flows: stands outside of the table, and is put here by whoever reads the whole file.
    #[serde(skip)]
    pub catalogue: Arc<Catalogue>,
    /// What it may hold in memory, the same way.
    #[serde(skip)]
    pub share: Share,
}

/// Where a target without a cursor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the oldest event in the log.
    #[default]
    Oldest,
    /// With what comes after the target was first started.
    Newest,
}

/// What a refused event does to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnReject {
    /// Later events of the key wait behind it.
    #[default]
    Hold,
    /// It is set aside and the key goes on.
    Park,
    /// The same; only for bodies where the newest state is all that counts. What something newer of its key waits behind is not sent.
    Latest,
}

/// Exponential backoff with full jitter: a random wait below a bound that doubles.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The first bound.
    #[serde(default = "default_first", with = "humantime_serde")]
    pub first: Duration,
    /// The largest bound.
    #[serde(default = "default_max", with = "humantime_serde")]
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: default_first(),
            max: default_max(),
        }
    }
}

fn default_batch() -> usize {
    200
}

fn default_batch_bytes() -> ByteSize {
    ByteSize::mib(1)
}

fn default_concurrency() -> usize {
    4
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_id_header() -> String {
    "Idempotency-Key".into()
}

fn default_first() -> Duration {
    Duration::from_millis(500)
}

fn default_max() -> Duration {
    Duration::from_secs(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(more: &str) -> Result<TargetConfig, toml::de::Error> {
        toml::from_str(&format!(
            "name = \"erp\"\nurl = \"http://erp.example/api\"\n{more}"
        ))
    }

    #[test]
    fn the_shortest_table_has_the_documented_defaults() {
        let config = parsed("").expect("it is enough");
        assert_eq!(config.validate(), [""; 0]);
        assert_eq!((config.batch, config.concurrency), (200, 4));
        assert_eq!(config.batch_bytes, ByteSize::mib(1));
        assert_eq!(config.on_reject, OnReject::Hold);
        assert_eq!(config.auth, Auth::None);
    }

    #[test]
    fn a_full_table_is_read() {
        let config = parsed(
            "flows = [\"north/shipments\", \"*/stock\"]\nbodies = [\"shipment\"]\nstart = \"newest\"\nbatch = 1\n\
             batch_bytes = \"2MiB\"\nconcurrency = 8\ntimeout = \"5s\"\nid_header = \"X-Id\"\non_reject = \"park\"\n\
             template = '{\"a\": {{ key | tojson }}}'\nca_file = \"\"\n\
             [auth]\nkind = \"basic\"\nuser = \"dray\"\npassword_file = \"/p\"\n[retry]\nfirst = \"1s\"\nmax = \"2m\"",
        )
        .expect("as in the manual");
        assert_eq!(config.validate(), [""; 0]);
        assert_eq!(config.start, Start::Newest);
        assert_eq!(config.retry.max, Duration::from_secs(120));
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence_that_names_the_setting() {
        for (more, said) in [
            ("flows = [\"north\"]", "flows: \"north\""),
            ("bodies = [\"shipmint\"]", "bodies: \"shipmint\""),
            ("batch = 0", "batch: write 1 to"),
            ("batch_bytes = \"1B\"", "batch_bytes: write"),
            ("concurrency = 65", "concurrency: write"),
            ("timeout = \"0s\"", "timeout: write"),
            ("id_header = \"a b\"", "id_header: "),
            (
                "on_reject = \"latest\"",
                "on_reject: \"latest\" is only for",
            ),
            ("template = \"{{\"", "template: "),
            ("template = \"key: {{ key }}\"", "template: "),
            (
                "batch = 1\n[calls]\nfirst = \"a\"\n[calls.call.a]\nurl = \"x?$filter=a eq '{{ key }}'\"",
                "calls.call.a.url: a blank stands in it",
            ),
            (
                "batch = 1\n[calls]\nfirst = \"a\"\n[calls.call.a]\nurl = \"https://other.example/x/{{ key }}\"",
                "calls.call.a.url: \"https://other.example\" is not the target's host",
            ),
            ("mask = [\"/lines/0\"]", "mask: \"/lines/0\""),
            ("[retry]\nfirst = \"2m\"", "retry: first"),
            (
                "[auth]\nkind = \"basic\"\nuser = \"a:b\"\npassword_file = \"/p\"",
                "auth.user: ",
            ),
            ("cert_file = \"/c\"", "cert_file, key_file: write both"),
            (
                "cert_file = \"/c\"\nkey_file = \"/k\"",
                "write an https url",
            ),
            (
                "[auth]\nkind = \"hmac\"\nsecret_files = [\"/s\"]",
                "write batch = 1",
            ),
            (
                "batch = 1\n[auth]\nkind = \"hmac\"\nsecret_files = []",
                "auth.secret_files: write one",
            ),
            (
                "[auth]\nkind = \"oauth1\"\nconsumer_key = \"\"\nconsumer_secret_file = \"/c\"\ntoken = \"t\"\ntoken_secret_file = \"/t\"",
                "write consumer_key",
            ),
            (
                "[auth]\nkind = \"oauth2\"\ntoken_url = \"https://id.example/t\"\nclient_id = \"c\"",
                "write client_secret_file or",
            ),
            (
                "[auth]\nkind = \"oauth2\"\ntoken_url = \"id.example\"\nclient_id = \"c\"\nclient_secret_file = \"/s\"",
                "auth.token_url: ",
            ),
            (
                "[auth]\nkind = \"oauth2\"\ntoken_url = \"https://id.example/t\"\nclient_secret_file = \"/s\"",
                "auth.client_id: ",
            ),
            (
                "[auth]\nkind = \"oauth2\"\ntoken_url = \"https://id.example/t\"\n[auth.assertion]\nuse = \"grant\"\nkey_file = \"/k\"\nalgorithm = \"RS256\"\nissuer = \"i\"",
                "write issuer and subject",
            ),
            (
                "[auth]\nkind = \"session\"\nuser = \"u\"\npassword_file = \"/p\"\nheaders = { A = \"{{ got.token }}\" }\n[auth.login]\nurl = \"/login\"",
                "auth.headers.A: there is no \"got.token\"",
            ),
        ] {
            let wrong = parsed(more).expect("it parses").validate();
            assert_eq!(wrong.len(), 1, "{more}: {wrong:?}");
            assert!(wrong[0].contains(said), "{more}: {wrong:?}");
        }
        for url in [
            "ftp://a/b",
            "erp.example/api",
            "http://u:p@host/",
            "http:///x",
            "",
        ] {
            let mut config = parsed("").expect("it parses");
            config.url = url.into();
            assert_eq!(config.validate().len(), 1, "{url}: {:?}", config.validate());
        }
        assert!(parsed("colour = 1").is_err());
        assert!(parsed("[auth]\nkind = \"bearer\"\ntoken_file = \"/t\"\nuser = \"x\"").is_err());
    }
}
