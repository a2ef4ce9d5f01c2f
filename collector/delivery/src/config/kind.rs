//! What a target is, beside an HTTP server.

use serde::Deserialize;

use super::{Auth, TargetConfig};

/// Which connector: each but `http` has a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Requests to `url`.
    #[default]
    Http,
    /// Rows of a table: `[target.sql]`.
    Sql,
    /// Files in a folder: `[target.file]`.
    File,
    /// Messages of a JetStream stream: `[target.nats]`.
    Nats,
    /// Entities of an OData service: `url` and `[target.odata]`.
    Odata,
    /// SOAP to `url`: `[target.soap]`.
    Soap,
    /// A signed POST an event to `url`.
    Webhook,
}

impl Kind {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sql => "sql",
            Self::File => "file",
            Self::Nats => "nats",
            Self::Odata => "odata",
            Self::Soap => "soap",
            Self::Webhook => "webhook",
        }
    }

    /// Whether it is HTTP: it has `url`, `auth`, `rule` and what belongs to them.
    #[must_use]
    pub fn has_url(self) -> bool {
        matches!(self, Self::Http | Self::Odata | Self::Soap | Self::Webhook)
    }

    /// Whether its requests are made by templates: it has `template` and `calls`.
    #[must_use]
    pub fn is_web(self) -> bool {
        matches!(self, Self::Http | Self::Soap | Self::Webhook)
    }
}

impl TargetConfig {
    /// Host and port, where the target is a server.
    #[must_use]
    pub fn server(&self) -> Option<(String, u16)> {
        match self.kind {
            Kind::Http | Kind::Odata | Kind::Soap | Kind::Webhook => {
                let uri: http::Uri = self.url.parse().ok()?;
                let default = if uri.scheme_str() == Some("https") {
                    443
                } else {
                    80
                };
                let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
                Some((host.to_owned(), uri.port_u16().unwrap_or(default)))
            }
            Kind::Sql => self.sql.as_ref()?.server(),
            Kind::File => {
                let sftp = self.file.as_ref()?.sftp.as_ref()?;
                Some((sftp.host.clone(), sftp.port))
            }
            Kind::Nats => self.nats.as_ref()?.servers().into_iter().next(),
        }
    }

    /// Secrets' files beside those of [`Auth`]: the setting and the path.
    #[must_use]
    pub fn secret_files(&self) -> Vec<(&'static str, &std::path::Path)> {
        let sql = self.sql.as_ref().map(|sql| &sql.password_file);
        let nats = self.nats.as_ref();
        let sftp = self.file.as_ref().and_then(|file| file.sftp.as_ref());
        [
            ("sql.password_file", sql),
            ("nats.password_file", nats.map(|nats| &nats.password_file)),
            ("nats.token_file", nats.map(|nats| &nats.token_file)),
            (
                "file.sftp.password_file",
                sftp.map(|sftp| &sftp.password_file),
            ),
            ("file.sftp.key_file", sftp.map(|sftp| &sftp.key_file)),
        ]
        .into_iter()
        .filter_map(|(setting, path)| Some((setting, path?.as_path())))
        .filter(|(_, path)| !path.as_os_str().is_empty())
        .collect()
    }

    /// The table of another kind, and what only `http` has.
    pub(super) fn check_kind(&self, wrong: &mut Vec<String>) {
        for (kind, is_there) in [
            (Kind::Sql, self.sql.is_some()),
            (Kind::File, self.file.is_some()),
            (Kind::Nats, self.nats.is_some()),
            (Kind::Odata, self.odata.is_some()),
            (Kind::Soap, self.soap.is_some()),
        ] {
            let name = kind.name();
            if is_there && self.kind != kind {
                wrong.push(format!(
                    "{name}: the table [target.{name}] belongs to kind = \"{name}\"; this target's is \"{}\"",
                    self.kind.name()
                ));
            }
            if !is_there && self.kind == kind {
                wrong.push(format!(
                    "{name}: kind = \"{name}\" needs a table [target.{name}]"
                ));
            }
        }
        if self.kind.is_web() {
            return;
        }
        let name = self.kind.name();
        for (setting, is_set) in [
            ("calls", !self.calls.call.is_empty()),
            ("template", !self.template.is_empty()),
        ] {
            if is_set {
                wrong.push(format!(
                    "{setting}: kind = \"{name}\" has none; what it needs stands in [target.{name}]"
                ));
            }
        }
        if self.kind.has_url() {
            return;
        }
        for (setting, is_set) in [
            ("url", !self.url.is_empty()),
            ("rule", !self.rules.is_empty()),
            ("auth", self.auth != Auth::None),
        ] {
            if is_set {
                wrong.push(format!(
                    "{setting}: kind = \"{name}\" has none; what it needs stands in [target.{name}]"
                ));
            }
        }
    }
}
