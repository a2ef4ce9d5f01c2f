//! `check`: can the service be asked, and what should somebody know about it?

use std::fs;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::SoapPollConfig;
use super::client::Client;
use super::config::WatermarkConfig;
use super::secrets::Secrets;
use super::service::Service;
use crate::Finding;
use crate::files;
use crate::pem;
use crate::wsdl::unfilled;

/// How long an address is tried.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// What becomes of a new certificate.
const AFRESH: &str =
    "put a new one there, which is taken without a restart once the service refuses the old one";
/// Clocks that are set twice a year say an hour twice.
const SUMMER_TIME: Duration = Duration::from_secs(3600);

impl SoapPollConfig {
    /// Tries what it names, and asks nothing.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        let missing = files::missing(&self.files());
        let is_there = missing.is_empty();
        let mut findings: Vec<Finding> = missing.into_iter().map(Finding::Wrong).collect();
        if is_there {
            findings.extend(self.tried());
        }
        findings.extend(self.sends_secrets());
        findings.extend(self.doubles());
        findings.extend(
            self.watermark
                .as_ref()
                .and_then(|watermark| self.misses(watermark)),
        );
        findings
    }

    /// What comes of the files that it names, and of the address.
    fn tried(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match Service::new(self, PathBuf::from(".")) {
            Err(reason) => findings.push(Finding::Wrong(reason)),
            Ok(service) => {
                findings.push(Finding::Fine("the request can be made".into()));
                findings.extend(Client::new(&service).err().map(Finding::Wrong));
                let own = self.tls.certificate.as_ref();
                findings.extend(own.and_then(|file| {
                    pem::ending("tls.certificate", file, Timestamp::now(), AFRESH)
                }));
                findings.push(reaches(&service));
            }
        }
        let request = fs::read_to_string(&self.request).unwrap_or_default();
        let file = format!("request {}", self.request.display());
        findings.extend(unfilled::sentence(&file, &request).map(Finding::Warning));
        findings.extend(Secrets::read(self).err().map(Finding::Wrong));
        findings
    }

    fn sends_secrets(&self) -> Option<Finding> {
        let as_text = self.username_token.as_ref().is_some_and(|token| token.text);
        let has_secret = as_text || self.basic.is_some() || self.bearer.is_some();
        let is_clear = self.url.starts_with("http:");
        (has_secret && is_clear).then(|| {
            Finding::Warning("passwords go in clear text: whoever listens on the network reads them; write an https url if the service has one".into())
        })
    }

    /// Without a key nothing tells that a record came before.
    fn doubles(&self) -> Option<Finding> {
        if !self.key.is_empty() {
            return None;
        }
        let overlaps = self
            .watermark
            .as_ref()
            .is_some_and(|watermark| !watermark.overlap.is_zero());
        let sentence = match (overlaps, &self.pages, &self.watermark) {
            (true, ..) => {
                "watermark.overlap asks for records again, and no key is configured: each of them comes again; name the columns that tell one record from another, e.g. key = [\"ID\"]"
            }
            // It happens with each cycle, and what pages do only sometimes.
            (.., Some(_)) => {
                "no key is configured: the newest record comes again with each cycle where the service counts \"since\" inclusively, which most do; name the columns that tell one record from another, e.g. key = [\"ID\"]"
            }
            (_, Some(_), _) => {
                "no key is configured: a record that two pages hold, or a page that changed while the agent was restarted, comes twice; name the columns that tell one record from another, e.g. key = [\"ID\"]"
            }
            _ => {
                "neither watermark nor key is configured: each cycle brings all records of the answer again; name the columns that tell one record from another, e.g. key = [\"ID\"], if that is not meant"
            }
        };
        Some(Finding::Warning(sentence.into()))
    }

    fn misses(&self, watermark: &WatermarkConfig) -> Option<Finding> {
        let is_local = watermark
            .zone
            .as_deref()
            .is_some_and(|zone| !matches!(zone, "UTC" | "Etc/UTC"));
        let is_without_offset = watermark
            .format
            .as_ref()
            .is_none_or(|format| !format.contains("%z") && !format.contains("%:z"));
        (is_local && is_without_offset && watermark.overlap < SUMMER_TIME).then(|| {
            Finding::Warning("where clocks are set back in autumn an hour comes twice, and times without an offset do not tell which: write watermark.overlap = \"1h\" or more, with a key, so that no record of it is missed".into())
        })
    }
}

fn reaches(service: &Service) -> Finding {
    let url = &service.config.url;
    let host = service.url.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let default = if service.url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let port = service.url.port_u16().unwrap_or(default);
    let addresses = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            return Finding::Warning(format!(
                "{host} has no address: {error}; look at url and at the network's name service"
            ));
        }
    };
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(_) => {
                return Finding::Fine(format!("{url} can be connected to; it was asked nothing"));
            }
            Err(error) => last = error.to_string(),
        }
    }
    Finding::Warning(format!(
        "{url} can't be connected to from here: {last}; look whether the service runs, and at url"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_without_a_key_is_told() {
        let watermark = "[watermark]\ncolumn = 'ID'\nstart = '0'\n";
        let pages = "[pages]\nby = 'number'\n";
        for (more, expected) in [
            (
                String::new(),
                Some("brings all records of the answer again"),
            ),
            (pages.to_owned(), Some("a record that two pages hold")),
            (watermark.to_owned(), Some("the newest record comes again")),
            (
                format!("{pages}{watermark}"),
                Some("the newest record comes again"),
            ),
            (
                format!("{watermark}overlap = '5m'\n"),
                Some("watermark.overlap asks for records again"),
            ),
            (format!("key = 'ID'\n{watermark}"), None),
        ] {
            let text = format!(
                "kind = 'soap-poll'\nurl = 'http://wms.local/'\nrequest = '/list.xml'\nroot = 'R'\nfields = {{ ID = 'Id' }}\n{more}"
            );
            let config: SoapPollConfig = toml::from_str(&text).expect(&text);
            let said = match config.doubles() {
                Some(Finding::Warning(sentence)) => Some(sentence),
                _ => None,
            };
            match expected {
                None => assert_eq!(said, None, "{text}"),
                Some(expected) => {
                    assert!(said.is_some_and(|said| said.contains(expected)), "{text}");
                }
            }
        }
    }
}
