//! `preview`: which records a sample message would become, or why the endpoint would refuse it.

use std::fs::File;
use std::path::Path;

use dray_adapter::Batch;
use hyper::Request;
use hyper::http::request::Parts;

use super::config::{LimitsConfig, OperationConfig};
use super::found::Found;
use super::source::BadRecords;
use super::{SoapReceiveConfig, Spoken, Trouble};
use crate::content::Content;
use crate::reading::{Fault, count, sample};

impl SoapReceiveConfig {
    /// Reads a message's first records, at least `records_max` of them if there are.
    ///
    /// # Errors
    /// A sentence: the file can't be read, or the endpoint would refuse the message, and why.
    pub fn preview(
        &self,
        flow: &str,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        Sample {
            flow,
            file,
            limits: &self.limits,
            bad_records: self.bad_records,
        }
        .batches(&self.of_a_file().spoken()?, records_max)
        .map_err(refused)
    }

    /// As it reads a saved message: without what comes with a call, or only answers one.
    fn of_a_file(&self) -> Self {
        let operations = self.operations.iter().cloned();
        Self {
            basic: None,
            username_token: None,
            tls: None,
            wsdl: None,
            operations: operations
                .map(|operation| OperationConfig {
                    response: None,
                    ..operation
                })
                .collect(),
            ..self.clone()
        }
    }
}

pub(crate) fn refused(reason: String) -> String {
    format!("the endpoint would refuse this call: {reason}")
}

/// A saved call, and by which rules it is taken.
pub(crate) struct Sample<'a> {
    pub(crate) flow: &'a str,
    pub(crate) file: &'a Path,
    pub(crate) limits: &'a LimitsConfig,
    pub(crate) bad_records: BadRecords,
}

impl Sample<'_> {
    /// Its first records, as they would be handed out.
    ///
    /// # Errors
    /// Why it would be refused.
    pub(crate) fn batches(
        &self,
        spoken: &Spoken,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        let parts = without_headers();
        let mut content = self.content(spoken, &parts)?;
        let now_us = jiff::Timestamp::now().as_microsecond();
        let call = spoken
            .dialect
            .read(&parts, &mut content, now_us)
            .map_err(|reply| reply.reason)?;
        if let Some(reason) = call.too_long() {
            return Err(reason);
        }
        let format = &spoken.formats[call.operation];
        let bad_max = self.bad_records.allowed();
        let found: Found = count(
            format,
            &mut content,
            bad_max,
            self.limits.records_bytes_max(),
        )
        .map_err(Fault::sentence)?
        .into();
        if let Some(reason) = found.wrong(bad_max, spoken.may_be_empty[call.operation]) {
            return Err(reason);
        }
        let id = call.message_id.unwrap_or_default();
        sample(format, content, self.flow, &id, records_max).map_err(Fault::sentence)
    }

    fn content(&self, spoken: &Spoken, parts: &Parts) -> Result<Content, String> {
        let unreadable =
            |error: std::io::Error| format!("{} can't be read: {error}", self.file.display());
        let file = File::open(self.file).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.len() > self.limits.message_bytes_max.as_u64() {
            return Err(spoken.dialect.trouble(parts, Trouble::TooLarge).reason);
        }
        Ok(Content::Spool(Box::new(file)))
    }
}

fn without_headers() -> Parts {
    Request::new(()).into_parts().0
}
