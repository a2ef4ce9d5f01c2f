//! `check`: can the endpoint be served, and what should somebody know about it?

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use jiff::Timestamp;

use super::config::IdentityBy;
use super::{SoapReceiveConfig, TlsConfig};
use crate::Finding;
use crate::files::{self, Named};
use crate::pem;
use crate::wsdl::unfilled;

impl SoapReceiveConfig {
    /// Tries what it names and leaves nothing behind.
    #[must_use]
    pub fn check(&self, flow: &str) -> Vec<Finding> {
        let mut findings = made(&self.files(), || self.make(flow).map(drop));
        findings.extend(ending(self.tls.as_ref()));
        findings.push(listens(self.listen));
        let responses = self
            .operations
            .iter()
            .filter_map(|one| one.response.as_ref());
        findings.extend(responses.filter_map(|file| {
            let template = fs::read_to_string(file).unwrap_or_default();
            let shown = format!("response {}", file.display());
            unfilled::sentence(&shown, &template).map(Finding::Warning)
        }));
        findings.extend(self.operations.iter().filter_map(|operation| {
            if !operation.key.is_empty() || operation.identity == IdentityBy::Content {
                return None;
            }
            Some(Finding::Warning(format!(
                "operation {} has no key: a call that is made again after a lost answer comes twice, unless it carries a wsa:MessageID that stays the same; name what tells calls apart, e.g. key = \"BatchNo\", or write identity = \"content\"",
                operation.name
            )))
        }));
        let is_local = self.listen.ip().is_loopback();
        let has_secret =
            self.basic.is_some() || self.username_token.as_ref().is_some_and(|token| token.text);
        if self.tls.is_none() && !is_local && has_secret {
            findings.push(Finding::Warning(
                "passwords come in clear text: whoever listens on the network reads them; add tls = { certificate = \"...\", key = \"...\" }".into(),
            ));
        }
        let knows_callers = self.basic.is_some()
            || self.username_token.is_some()
            || self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if !knows_callers && !is_local {
            findings.push(Finding::Warning(format!(
                "anyone who reaches {} can call: add basic, username_token or a client_ca, or listen at an address that only the system reaches",
                self.listen
            )));
        }
        findings
    }
}

/// Whether an endpoint can be made, and all files that it lacks.
pub(crate) fn made(files: &Named<'_>, make: impl FnOnce() -> Result<(), String>) -> Vec<Finding> {
    let missing = files::missing(files);
    if !missing.is_empty() {
        return missing.into_iter().map(Finding::Wrong).collect();
    }
    vec![match make() {
        Ok(()) => Finding::Fine("the files that the endpoint names can be read".into()),
        Err(reason) => Finding::Wrong(reason),
    }]
}

/// How long the endpoint's certificate is good, where that is worth a word.
pub(crate) fn ending(tls: Option<&TlsConfig>) -> Option<Finding> {
    let tls = tls?;
    let put = "put a new one there, which is taken without a restart";
    pem::ending("tls.certificate", &tls.certificate, Timestamp::now(), put)
}

/// Whether somebody can listen there.
pub(crate) fn listens(listen: SocketAddr) -> Finding {
    match TcpListener::bind(listen) {
        Ok(_) => Finding::Fine(format!("{listen} can be listened at")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::Warning(format!(
            "{listen} is in use: by this agent, if it runs; otherwise another program has it"
        )),
        Err(error) => Finding::Wrong(format!(
            "{listen} can't be listened at: {error}; write an address of this machine, or 0.0.0.0 for all, and a port that is free"
        )),
    }
}
