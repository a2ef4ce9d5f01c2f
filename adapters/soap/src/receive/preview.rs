//! `preview`: which records a sample message would become, or why the endpoint would refuse it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use dray_adapter::Batch;
use hyper::Request;
use hyper::http::request::Parts;

use super::config::{LimitsConfig, OperationConfig};
use super::desk::for_the_operator;
use super::exchange::Answer;
use super::found::Found;
use super::source::BadRecords;
use super::{Call, SoapReceiveConfig, Spoken, Trouble};
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
        let sample = Sample {
            flow,
            file,
            limits: &self.limits,
            bad_records: self.bad_records,
        };
        let batches = sample.batches(&self.of_a_file().spoken()?, records_max);
        batches.map_err(|fault| match fault {
            Fault::Call(reason) => refused(&reason),
            Fault::Disk(error) => sample.unreadable(&error),
        })
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

pub(crate) fn refused(reason: &str) -> String {
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
    /// Why it would be refused, as the operator is told of a call; or the file can't be read.
    pub(crate) fn batches(&self, spoken: &Spoken, records_max: usize) -> Result<Vec<Batch>, Fault> {
        let mut content = self.content()?;
        let now_us = jiff::Timestamp::now().as_microsecond();
        let dialect = &spoken.dialect;
        let call = dialect
            .read(&without_headers(), &mut content, now_us)
            .map_err(|reply| Fault::Call(reply.reason))?;
        let taken = self.taken(spoken, &call, content, records_max);
        taken.map_err(|fault| match fault {
            Fault::Call(reason) => {
                Fault::Call(dialect.reply(&call, &Answer::Refused(reason)).reason)
            }
            Fault::Disk(error) => Fault::Disk(error),
        })
    }

    fn taken(
        &self,
        spoken: &Spoken,
        call: &Call,
        mut content: Content,
        records_max: usize,
    ) -> Result<Vec<Batch>, Fault> {
        if let Some(reason) = call.too_long() {
            return Err(Fault::Call(reason));
        }
        let format = &spoken.formats[call.operation];
        let bad_max = self.bad_records.allowed();
        let most = self.limits.records_bytes_max();
        let found: Found = count(format, &mut content, bad_max, most)?.into();
        if let Some(reason) = found.wrong(bad_max, spoken.may_be_empty[call.operation]) {
            return Err(Fault::Call(reason));
        }
        let id = call.message_id.as_deref().unwrap_or_default();
        sample(format, content, self.flow, id, records_max)
    }

    /// It is read through before: a disk's trouble is no refusal by the endpoint.
    fn content(&self) -> Result<Content, Fault> {
        let bytes_max = self.limits.message_bytes_max.as_u64();
        let mut file = File::open(self.file)?;
        let past = bytes_max.saturating_add(1);
        if io::copy(&mut file.by_ref().take(past), &mut io::sink())? > bytes_max {
            let reason = for_the_operator(Trouble::TooLarge).unwrap_or_default();
            return Err(Fault::Call(reason.into()));
        }
        file.rewind()?;
        Ok(Content::Spool(Box::new(file)))
    }

    pub(crate) fn unreadable(&self, error: &io::Error) -> String {
        format!("{} can't be read: {error}", self.file.display())
    }
}

fn without_headers() -> Parts {
    Request::new(()).into_parts().0
}
