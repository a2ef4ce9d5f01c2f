//! What is wrong with a target's table, in sentences.

use std::net::IpAddr;
use std::time::Duration;

use bytesize::ByteSize;
use dray_proto::{is_name, schema};
use http::Uri;
use http::header::HeaderName;

use super::{
    BATCH_BYTES_MAX, BATCH_MAX, CONCURRENCY_MAX, Kind, OnReject, TIMEOUT_MAX, TargetConfig,
};
use crate::calls::{CallsConfig, Program, Ruling};
use crate::connectors;
use crate::mask::Mask;
use crate::select::Pattern;
use crate::template::Template;

impl TargetConfig {
    /// What is wrong with the table, a sentence each with the setting and the way out; reads no file.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !is_name(&self.name) {
            wrong.push("name: write 1 to 63 of a-z, 0-9, \"-\" and \"_\", beginning with a letter or digit".into());
        }
        self.check_kind(&mut wrong);
        self.check_forms(&mut wrong);
        if self.kind.has_url() {
            wrong.extend(check_url(&self.url));
        }
        if let Some(sql) = &self.sql {
            sql.check(&mut wrong);
        }
        if let Some(file) = &self.file {
            file.check(&mut wrong);
        }
        if let Some(nats) = &self.nats {
            nats.check(&mut wrong);
        }
        if let Some(odata) = &self.odata {
            odata.check(self, &mut wrong);
        }
        self.check_selection(&mut wrong);
        self.check_limits(&mut wrong);
        if !self.id_header.is_empty() && HeaderName::try_from(self.id_header.as_str()).is_err() {
            wrong.push(format!(
                "id_header: {:?} is not the name of a header; \"\" sends none",
                self.id_header
            ));
        }
        if self.on_reject == OnReject::Latest && self.bodies != ["inventory_level"] {
            wrong.push("on_reject: \"latest\" is only for bodies = [\"inventory_level\"], where a later one replaces it; write \"hold\" or \"park\"".into());
        }
        let single = (self.batch == 1 || self.is_single()) && self.calls.call.is_empty();
        self.auth.check(&self.vars, single, &mut wrong);
        let certificate = [&self.cert_file, &self.key_file].map(|file| file.as_os_str().is_empty());
        if certificate[0] != certificate[1] {
            wrong.push("cert_file, key_file: write both, or neither".into());
        }
        if certificate == [false, false] && !self.url.starts_with("https:") {
            wrong.push(
                "cert_file: a certificate is shown over https only; write an https url".into(),
            );
        }
        if !self.template.is_empty()
            && let Err(reason) =
                Template::compile(&self.template, &self.vars, &self.kept_names(), &self.bodies)
        {
            wrong.push(format!("template: {reason}"));
        }
        self.check_calls(&mut wrong);
        wrong.extend(Mask::new(&self.mask).err());
        self.breaker.check(&mut wrong);
        self.shadow.check(&mut wrong);
        if self.shadow.call.is_some() && !matches!(self.kind, Kind::Http | Kind::Odata) {
            wrong.push(
                "shadow.call: only a target of kind \"http\" or \"odata\" can be asked; compare with a file"
                    .into(),
            );
        }
        self.check_remembered(&mut wrong);
        if wrong.is_empty() {
            wrong.extend(connectors::check(self).err());
        }
        let beneath = match self.preset.as_str() {
            "" => String::new(),
            preset => format!(" (beneath it lies preset {preset:?})"),
        };
        wrong
            .iter()
            .map(|sentence| format!("target {:?}: {sentence}{beneath}", self.name))
            .collect()
    }

    fn check_selection(&self, wrong: &mut Vec<String>) {
        for flow in &self.flows {
            if Pattern::parse(flow).is_none() {
                wrong.push(format!(
                    "flows: {flow:?} is none of \"site/flow\", \"site/*\", \"*/flow\" and \"*\""
                ));
            }
        }
        for body in &self.bodies {
            if schema::body(body).is_none() {
                let known: Vec<_> = schema::BODIES.iter().map(|body| body.name).collect();
                wrong.push(format!(
                    "bodies: {body:?} is not a body; there are {}",
                    known.join(", ")
                ));
            }
        }
    }

    fn check_calls(&self, wrong: &mut Vec<String>) {
        // A preset of the user's own may have no calls, and an address that ends as it likes.
        let has_calls = !crate::presets::own::is_path(&self.preset) || !self.calls.call.is_empty();
        let is_open = !self.url.is_empty() && !self.url.ends_with('/');
        if !self.preset.is_empty() && has_calls && is_open {
            wrong.push("url: end it with \"/\": the preset's calls are relative to it".into());
        }
        if self.calls.call.is_empty() && self.kind != Kind::Soap {
            wrong.extend(Ruling::compile(&self.rules).err());
            return;
        }
        if self.batch != 1 && !self.is_single() {
            wrong.push("batch: a conversation is about one event; write batch = 1".into());
        }
        if !self.template.is_empty() && self.kind != Kind::Soap {
            wrong.push("template: with calls, write the body of each call instead".into());
        }
        wrong.extend(self.calls.elsewhere(&self.url));
        // What is missing of the table itself is said already.
        let is_whole = self.kind != Kind::Soap
            || self
                .soap
                .as_ref()
                .is_some_and(|soap| self.calls.call.is_empty() != soap.body.is_empty());
        if is_whole {
            wrong.extend(self.program().err());
        }
    }

    /// Its compiled calls.
    ///
    /// # Errors
    /// A sentence that begins with the setting.
    pub fn program(&self) -> Result<Program, String> {
        let soap = self.soap.as_ref();
        let compiled = |calls: &CallsConfig| {
            Program::compile(calls, &self.rules, &self.vars, &self.bodies, soap)
        };
        match soap.filter(|_| self.calls.call.is_empty()) {
            None => compiled(&self.calls),
            // Nobody wrote the call that it is.
            Some(soap) => {
                compiled(&soap.call()).map_err(|said| said.replace("calls.call.send.", "soap."))
            }
        }
    }

    fn check_limits(&self, wrong: &mut Vec<String>) {
        if !(1..=BATCH_MAX).contains(&self.batch) {
            wrong.push(format!("batch: write 1 to {BATCH_MAX}"));
        }
        if !(1024..=BATCH_BYTES_MAX).contains(&self.batch_bytes.as_u64()) {
            wrong.push(format!(
                "batch_bytes: write \"1KiB\" to \"{}\"",
                ByteSize(BATCH_BYTES_MAX)
            ));
        }
        if !(1..=CONCURRENCY_MAX).contains(&self.concurrency) {
            wrong.push(format!("concurrency: write 1 to {CONCURRENCY_MAX}"));
        }
        if !(Duration::from_millis(1)..=TIMEOUT_MAX).contains(&self.timeout) {
            wrong.push("timeout: write \"1ms\" to \"10m\"".into());
        }
        if self.retry.first.is_zero() || self.retry.first > self.retry.max {
            wrong.push("retry: first must be above zero and at most max".into());
        }
        if self.retry.max > Duration::from_secs(3600) {
            wrong.push("retry.max: write at most \"1h\"".into());
        }
    }
}

/// Whether what is sent to this host stays on this machine, where nobody on the way reads it.
pub(super) fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

pub(super) fn check_url(url: &str) -> Option<String> {
    let Ok(uri) = url.parse::<Uri>() else {
        return Some(format!(
            "url: {url:?} is not an address; write e.g. \"https://erp.example/api/events\""
        ));
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Some(format!(
            "url: {url:?} must begin with \"http://\" or \"https://\" and a host"
        ));
    }
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Some("url: a name or password does not belong here; use [target.auth]".into());
    }
    None
}
