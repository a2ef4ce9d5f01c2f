//! What is wrong with a configuration by itself.

use std::time::Duration;

use bytesize::ByteSize;
use hyper::Uri;

use super::SoapPollConfig;
use super::config::{PagesBy, PagesConfig, WatermarkConfig, WatermarkType};
use crate::files::{self, Named};
use crate::receive::config::{Faults, body_faults};

/// Columns of a key, at most.
const KEY_COLUMNS_MAX: usize = 8;
/// Pages of a cycle, at most, whatever is configured.
const PAGES_MAX: u64 = 1_000_000;
const EVERY_MIN: Duration = Duration::from_secs(1);
const EVERY_MAX: Duration = Duration::from_secs(24 * 3600);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// The longest overlap: marks of records live for 7 days.
const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl SoapPollConfig {
    /// What is wrong with it by itself: the setting's path, and a sentence with the way out.
    #[must_use]
    pub fn faults(&self) -> Faults {
        let mut faults = Faults::new();
        faults.extend(url_fault(&self.url).map(|sentence| ("url".to_owned(), sentence)));
        faults.extend(self.xml_faults());
        faults.extend(self.key_faults());
        faults.extend(self.time_faults());
        faults.extend(self.who_faults());
        faults.extend(files::faults(&self.files()));
        if let Some(watermark) = &self.watermark {
            let of_watermark = self.watermark_faults(watermark);
            faults.extend(
                of_watermark
                    .into_iter()
                    .map(|(setting, sentence)| (format!("watermark.{setting}"), sentence)),
            );
        }
        if let Some(pages) = &self.pages {
            let of_pages = self.pages_faults(pages);
            faults.extend(
                of_pages
                    .into_iter()
                    .map(|(setting, sentence)| (format!("pages.{setting}"), sentence)),
            );
        }
        faults
    }

    fn xml_faults(&self) -> Faults {
        if self.root.trim().is_empty() {
            let sentence =
                "write the root element of the answer's body, e.g. \"w:ListMovementsResponse\"";
            return vec![("root".into(), sentence.into())];
        }
        let mut faults = body_faults(&self.xml(), &self.root, self.record.as_deref());
        if self.root.contains('/') {
            let sentence = "it is one name: what stands below it is said by record";
            faults.push(("root".into(), sentence.into()));
        }
        faults
    }

    fn key_faults(&self) -> Faults {
        let mut faults = Faults::new();
        if self.key.len() > KEY_COLUMNS_MAX {
            faults.push((
                "key".into(),
                format!("at most {KEY_COLUMNS_MAX} columns make a key"),
            ));
        }
        let unknown = self.key.iter().filter(|name| self.column(name).is_none());
        faults.extend(unknown.map(|name| ("key".into(), self.no_column(name))));
        faults
    }

    fn no_column(&self, name: &str) -> String {
        format!(
            "\"{name}\" is no column: the columns of fields are {}",
            self.fields.names().join(", ")
        )
    }

    /// The files that it names.
    pub(super) fn files(&self) -> Named<'_> {
        let token = self.username_token.as_ref();
        files::named([
            ("request", Some(&self.request)),
            (
                "basic.password_file",
                self.basic.as_ref().map(|one| &one.password_file),
            ),
            (
                "bearer.token_file",
                self.bearer.as_ref().map(|one| &one.token_file),
            ),
            (
                "username_token.password_file",
                token.map(|one| &one.password_file),
            ),
            ("tls.ca", self.tls.ca.as_ref()),
            ("tls.certificate", self.tls.certificate.as_ref()),
            ("tls.key", self.tls.key.as_ref()),
        ])
    }

    fn time_faults(&self) -> Faults {
        let mut faults = Faults::new();
        if !(EVERY_MIN..=EVERY_MAX).contains(&self.every) {
            faults.push(("every".into(), "it is between 1s and 24h".into()));
        }
        if !(EVERY_MIN..=TIMEOUT_MAX).contains(&self.timeout) {
            faults.push(("timeout".into(), "it is between 1s and 1h".into()));
        }
        if self.limits.message_bytes_max < ByteSize::kib(1) {
            faults.push((
                "limits.message_bytes_max".into(),
                "it is at least 1KiB".into(),
            ));
        }
        if self.limits.records_bytes_max() < ByteSize::mib(2) {
            faults.push((
                "limits.records_bytes_max".into(),
                "it is at least 2MiB, as a batch is".into(),
            ));
        }
        faults
    }

    fn who_faults(&self) -> Faults {
        let mut faults = Faults::new();
        let is_action = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if !self.action.bytes().all(is_action) {
            faults.push((
                "action".into(),
                "it is a URI, without quotes and spaces".into(),
            ));
        }
        if self.addressing && self.action.is_empty() {
            faults.push((
                "addressing".into(),
                "wsa:Action needs an action: write action = \"...\" as the WSDL has it".into(),
            ));
        }
        if self.basic.is_some() && self.bearer.is_some() {
            faults.push((
                "bearer".into(),
                "one of basic and bearer: a request has one Authorization".into(),
            ));
        }
        let tls = &self.tls;
        if tls.certificate.is_some() != tls.key.is_some() {
            faults.push((
                "tls".into(),
                "certificate and key go together: write both, or neither".into(),
            ));
        }
        let has_tls = tls.ca.is_some() || tls.certificate.is_some();
        if has_tls && !self.url.starts_with("https:") {
            faults.push((
                "tls".into(),
                "the url is not https: write https://, or leave tls out".into(),
            ));
        }
        let holds = self
            .username_token
            .as_ref()
            .and_then(|token| token.timestamp);
        if holds.is_some_and(|holds| !(EVERY_MIN..=EVERY_MAX).contains(&holds)) {
            faults.push((
                "username_token.timestamp".into(),
                "it is between 1s and 24h, e.g. \"5m\"".into(),
            ));
        }
        faults
    }

    fn watermark_faults(&self, watermark: &WatermarkConfig) -> Faults {
        let mut faults = Faults::new();
        let mut fault =
            |setting: &str, sentence: String| faults.push((setting.to_owned(), sentence));
        let ways = [
            watermark.column.is_some(),
            watermark.path.is_some(),
            watermark.by_time,
        ];
        if ways.iter().filter(|way| **way).count() != 1 {
            fault("column", "write one of column (the largest value of a column), path (a value of the answer, seen from its root) and by_time = true (the time that was asked up to)".into());
            return faults;
        }
        if watermark.start.is_none() {
            fault("start", "write the first watermark: from where on records are wanted, e.g. \"2026-01-01T00:00:00Z\" or \"0\"".into());
            return faults;
        }
        if let Some(column) = watermark
            .column
            .as_ref()
            .filter(|name| self.column(name).is_none())
        {
            fault("column", self.no_column(column));
            return faults;
        }
        if let Some(Err(sentence)) = watermark.path.as_ref().map(|path| self.path(path)) {
            fault("path", sentence);
        }
        match self.rule() {
            Err(sentence) => fault("format", sentence),
            Ok(Some(rule)) => {
                let is_time = rule.kind() == WatermarkType::Time;
                if !is_time && (watermark.by_time || !watermark.overlap.is_zero()) {
                    fault("type", "by_time and overlap need points in time: write start as one, e.g. \"2026-01-01T00:00:00Z\", or leave them out".into());
                } else if !rule.start.is_empty() && !rule.reads(&rule.start) {
                    fault(
                        "start",
                        "it is not what type says: write one that is".into(),
                    );
                }
            }
            Ok(None) => {}
        }
        if watermark.overlap > OVERLAP_MAX {
            fault(
                "overlap",
                "it is at most 7d: longer ago, nobody remembers what came".into(),
            );
        }
        if watermark.lag > EVERY_MAX {
            fault("lag", "it is at most 24h".into());
        }
        faults
    }

    fn pages_faults(&self, pages: &PagesConfig) -> Faults {
        let mut faults = Faults::new();
        let mut fault =
            |setting: &str, sentence: String| faults.push((setting.to_owned(), sentence));
        match (pages.by, &pages.path) {
            (PagesBy::Token, None) => fault("path", "write where the answer names the next page, seen from its root, e.g. \"w:NextPage\"".into()),
            (PagesBy::Number, Some(_)) => fault("path", "pages by number have no token: leave path out, or write by = \"token\"".into()),
            (PagesBy::Token, Some(path)) => {
                if let Err(sentence) = self.path(path) {
                    fault("path", sentence);
                }
            }
            (PagesBy::Number, None) => {}
        }
        if pages.size == Some(0) {
            fault("size", "a page holds at least 1 record".into());
        }
        if !(1..=PAGES_MAX).contains(&pages.pages_max) {
            fault("pages_max", format!("it is between 1 and {PAGES_MAX}"));
        }
        faults
    }
}

/// Why nothing can be asked at an address, with the way out.
pub(crate) fn url_fault(url: &str) -> Option<String> {
    let hint = "write the service's address, e.g. \"https://wms.local/movements\"";
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => return Some(format!("it is no address ({error}): {hint}")),
    };
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_http || uri.host().is_none_or(str::is_empty) {
        return Some(format!(
            "it begins with http:// or https:// and a host: {hint}"
        ));
    }
    let has_user = uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    has_user.then(|| "a password in it would be shown and logged: write basic = { user = \"...\", password_file = \"...\" }".into())
}
