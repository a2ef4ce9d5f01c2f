//! Makes an endpoint of its configuration, and looks at it beforehand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dray_adapter::Batch;
use dray_formats::{Format, FormatConfig};

use super::config::{ApiKeyConfig, HookConfig, SignatureConfig, WebhookConfig};
use super::dialect::{Hook, Webhook};
use super::signature::Signature;
use crate::Finding;
use crate::fresh::Fresh;
use crate::reading::Fault;
use crate::receive::check::{ending, listens, made};
use crate::receive::make::{Places, basic, read};
use crate::receive::preview::{Sample, refused};
use crate::receive::serve::Settings;
use crate::receive::{Patience, Receiver, Spoken, tls};
use crate::secret;

fn signature(config: &SignatureConfig) -> Result<Fresh<Signature>, String> {
    let config = config.clone();
    Fresh::new([config.secret_file.clone()], move || {
        let secret = secret::read("signature.secret_file", &config.secret_file)?;
        Signature::new(&config, &secret)
    })
}

/// A header, and what it must say.
fn api_key(config: &ApiKeyConfig) -> Result<Fresh<(String, String)>, String> {
    let config = config.clone();
    Fresh::new([config.key_file.clone()], move || {
        let key = secret::read("api_key.key_file", &config.key_file)?;
        Ok((config.header.clone(), format!("{}{key}", config.prefix)))
    })
}

fn places(hook: &HookConfig) -> Places {
    let record = match &hook.format {
        FormatConfig::Xml(xml) => format!("format.record = '{}'", xml.record),
        FormatConfig::Json(json) => format!("format.record = '{}'", json.record),
        _ => "format".into(),
    };
    let id = hook.id_header.as_ref();
    let id = id.map_or_else(
        || format!("key = '{}'", hook.key.join("', '")),
        |header| format!("id_header = '{header}'"),
    );
    let of = &hook.name;
    Places {
        record: format!("{record} of hook {of}"),
        id: format!("{id} of hook {of}"),
    }
}

/// What hooks made of a saved body, up to the first that takes it.
struct Tried<'a> {
    /// By whom it was taken, and its records.
    taken: Option<(&'a HookConfig, Vec<Batch>)>,
    /// A sentence of each before.
    refusals: Vec<String>,
}

impl WebhookConfig {
    /// The source, not opened.
    ///
    /// # Errors
    /// A sentence: a file that it names can't be read, or holds something else.
    pub fn make(&self, flow: &str) -> Result<Receiver, String> {
        let settings = Settings {
            listen: self.listen,
            limits: self.limits.clone(),
            tls: self.tls.as_ref().map(tls::acceptors).transpose()?,
            folder: Arc::new(PathBuf::from(".")),
            patience: Patience::default(),
        };
        Ok(Receiver::new(
            flow,
            self.spoken()?,
            self.bad_records,
            settings,
        ))
    }

    fn spoken(&self) -> Result<Spoken, String> {
        let formats = self.formats()?;
        let hooks = self.hooks.iter().zip(&formats);
        let dialect = Webhook {
            path: self.path.clone(),
            status: self.status,
            hooks: hooks
                .map(|(config, format)| Hook {
                    config: config.clone(),
                    format: format.clone(),
                    places: places(config),
                })
                .collect(),
            signature: self.signature.as_ref().map(signature).transpose()?,
            api_key: self.api_key.as_ref().map(api_key).transpose()?,
            basic: self.basic.as_ref().map(basic).transpose()?,
        };
        Ok(Spoken {
            dialect: Arc::new(dialect),
            formats,
            may_be_empty: self.hooks.iter().map(|hook| hook.may_be_empty).collect(),
        })
    }

    fn formats(&self) -> Result<Vec<Format>, String> {
        let hooks = self.hooks.iter();
        hooks
            .map(|hook| Ok(Format::new(&hook.format, &read)?.of_type(&hook.name)))
            .collect()
    }

    /// Tries what it names and leaves nothing behind.
    #[must_use]
    pub fn check(&self, flow: &str) -> Vec<Finding> {
        let mut findings = made(&self.files(), || self.make(flow).map(drop));
        findings.extend(ending(self.tls.as_ref()));
        findings.push(listens(self.listen));
        let unknown = self.hooks.iter().filter(|hook| !hook.knows_repeats());
        findings.extend(unknown.map(|hook| {
            Finding::Warning(format!(
                "hook {}: a call that is made again after a lost answer comes twice; write id_header = \"...\" where the caller sends an id, key = \"COLUMN\" where the body has one, or same_content_is_one = true",
                hook.name
            ))
        }));
        let secret = self.basic.is_some() || self.api_key.is_some();
        if secret && self.tls.is_none() && !self.listen.ip().is_loopback() {
            findings.push(Finding::Warning(
                "passwords come in clear text: whoever listens on the network reads them; add tls = { certificate = \"...\", key = \"...\" }".into(),
            ));
        }
        let certified = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if !secret && !certified && self.signature.is_none() && !self.listen.ip().is_loopback() {
            findings.push(Finding::Warning(format!(
                "anyone who reaches {} can call: add signature, api_key, basic or a client_ca",
                self.listen
            )));
        }
        findings
    }

    /// Reads a saved body's first records, at least `records_max` of them if there are. Of several hooks the first that takes it, as
    /// no header by which they are told apart is saved with it.
    ///
    /// # Errors
    /// A sentence: the file can't be read, or the endpoint would refuse the call, and why.
    pub fn preview(
        &self,
        flow: &str,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        let tried = self.tried(flow, file, records_max)?;
        match tried.taken {
            Some((_, batches)) => Ok(batches),
            None => Err(refused(&tried.refusals.join("; "))),
        }
    }

    /// What should be known of a saved body besides its records: a hook that takes a call without a record hides why the one refuses it
    /// that is meant.
    #[must_use]
    pub fn doubts(&self, flow: &str, file: &Path) -> Vec<String> {
        let Ok(Tried {
            taken: Some((hook, _)),
            refusals,
        }) = self.tried(flow, file, 1)
        else {
            return Vec::new();
        };
        if refusals.is_empty() {
            return Vec::new();
        }
        vec![format!(
            "hook {} takes it, as those before would refuse it: {}",
            hook.name,
            refusals.join("; ")
        )]
    }

    fn tried(&self, flow: &str, file: &Path, records_max: usize) -> Result<Tried<'_>, String> {
        let sample = Sample {
            flow,
            file,
            limits: &self.limits,
            bad_records: self.bad_records,
        };
        let mut refusals = Vec::new();
        for hook in &self.hooks {
            match sample.batches(&self.of_a_file(hook).spoken()?, records_max) {
                Ok(batches) => {
                    return Ok(Tried {
                        taken: Some((hook, batches)),
                        refusals,
                    });
                }
                Err(Fault::Call(reason)) => refusals.push(format!("hook {}: {reason}", hook.name)),
                Err(Fault::Disk(error)) => return Err(sample.unreadable(&error)),
            }
        }
        Ok(Tried {
            taken: None,
            refusals,
        })
    }

    /// As one hook reads a saved body: without what headers say.
    fn of_a_file(&self, hook: &HookConfig) -> Self {
        Self {
            signature: None,
            api_key: None,
            basic: None,
            hooks: vec![HookConfig {
                when: None,
                id_header: None,
                ..hook.clone()
            }],
            ..self.clone()
        }
    }
}
