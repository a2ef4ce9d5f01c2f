//! Reads an answer whole: what it is, whose fault where it is none, and what it says besides its records.

use jiff::Timestamp;

use super::config::Empty;
use super::emptiness::Emptiness;
use super::failure::{Cause, Failure, GIST_BYTES_MAX, gist, masked, of_fault, of_status};
use super::page::{disk, read_whole, sentence};
use super::plan::Facts;
use super::service::Service;
use super::survey::Survey;
use crate::content::Content;
use crate::envelope::{Envelope, Reader, namespace};
use crate::reading::Fault;

/// How the sentence on an answer that is none begins, and how it ends. Of a file, others are said.
pub(super) const NO_MESSAGE: &str = "what the service answers is no SOAP message";
pub(super) const LOOK_AT_URL: &str = "look at url, and ask who runs the service";

/// What HTTP says of an answer.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<String>,
    /// The service's clock.
    pub(super) served: Option<Timestamp>,
}

/// A page that can be handed out.
#[derive(Debug)]
pub(super) struct Answer {
    /// At its beginning.
    pub(super) content: Content,
    pub(super) facts: Facts,
    /// Records whose watermark was passed over.
    pub(super) passed_over: u64,
    /// No record stands in it, but something that might be one: what a person should look at.
    pub(super) doubt: Option<String>,
}

/// Reads it. `hidden`: what no sentence may show.
pub(super) fn read(
    service: &Service,
    head: &Head,
    mut content: Content,
    hidden: &[String],
    now: Timestamp,
) -> Result<Answer, Failure> {
    let failed = |reason: String| Failure::new(Cause::Answer, reason);
    let shown =
        beginning(&mut content).map_err(|fault| Failure::new(Cause::Here, sentence(fault)))?;
    let shown = gist(&shown, hidden);
    let by_status = of_status(head.status, head.location.as_deref(), &shown);
    let by_status = by_status.map(|failure| failure.retry_after(head.retry_after.as_deref()));
    let envelope = match envelope(service, &mut content) {
        Ok(envelope) => envelope,
        Err(Fault::Disk(error)) => return Err(Failure::new(Cause::Here, disk(&error))),
        Err(Fault::Call(reason)) => {
            let no_message = || {
                failed(format!(
                    "{NO_MESSAGE}: {}; it begins \"{shown}\"; {LOOK_AT_URL}",
                    masked(&reason, hidden)
                ))
            };
            return Err(by_status.unwrap_or_else(no_message));
        }
    };
    if let Some(fault) = &envelope.fault {
        return Err(of_fault(fault, hidden).retry_after(head.retry_after.as_deref()));
    }
    if let Some(failure) = by_status {
        return Err(failure);
    }
    is_expected(service, &envelope, &mut content, hidden).map_err(failed)?;
    let mut facts = Facts {
        value: picked(&envelope, service.watermark),
        token: picked(&envelope, service.token),
        served: head.served,
        ..Facts::default()
    };
    let latest = head.served.map_or(now, |served| served.max(now));
    let survey = survey(service, &mut content, latest).map_err(|fault| match fault {
        Fault::Disk(error) => Failure::new(Cause::Here, disk(&error)),
        Fault::Call(reason) => failed(format!(
            "the answer can't be read: {}; nothing of it is taken",
            masked(&reason, hidden)
        )),
    })?;
    (facts.records, facts.rejects) = (survey.records, survey.rejects);
    facts.content = survey.content();
    let passed_over = survey.passed_over;
    facts.highest = survey.highest;
    let mut doubt = None;
    if facts.records + facts.rejects == 0 {
        let empty = Emptiness::of(&service.config, &mut content)
            .map_err(|error| Failure::new(Cause::Here, disk(&error)))?;
        let said = masked(&empty.sentence(&service.config), hidden);
        if service.config.empty == Empty::Error {
            return Err(failed(format!(
                "the answer holds no record, and empty = \"error\" is configured: {said}, or ask who runs the service"
            )));
        }
        doubt = empty.is_doubtful.then_some(said);
    }
    Ok(Answer {
        content,
        facts,
        passed_over,
        doubt,
    })
}

/// The bytes that a sentence may show.
fn beginning(content: &mut Content) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    read_whole(content, &mut |window, end| {
        let missing = GIST_BYTES_MAX - bytes.len();
        let some = &window[..window.len().min(missing)];
        bytes.extend_from_slice(some);
        let is_done = bytes.len() == GIST_BYTES_MAX || end;
        Ok((some.len(), is_done))
    })?;
    Ok(bytes)
}

fn envelope(service: &Service, content: &mut Content) -> Result<Envelope, Fault> {
    let mut reader = Reader::new(&service.config.uris(), service.wanted.clone());
    read_whole(content, &mut |window, end| Ok(reader.read(window, end)?))?;
    reader.finish().map_err(Fault::Call)
}

/// Whether it is the answer to what was asked.
fn is_expected(
    service: &Service,
    envelope: &Envelope,
    content: &mut Content,
    hidden: &[String],
) -> Result<(), String> {
    if let Some(name) = &envelope.not_understood
        && !service.config.ignore_must_understand
    {
        return Err(format!(
            "the answer's header {} must be understood, and is not known here: ask for answers without it, or write ignore_must_understand = true",
            masked(name, hidden)
        ));
    }
    let wanted = &service.config.root;
    match &envelope.root {
        None => Err(format!(
            "the answer's Body is empty, where {wanted} should be: the service knows this request or its action by another name, or it has failed without saying so"
        )),
        Some((namespace, name)) if !service.is_root(*namespace, name) => Err(format!(
            "the answer's root element is {} of {}, and {wanted}{} is configured: look at root and namespaces; is the action right?",
            masked(name, hidden),
            masked(&namespace::of_body(content), hidden),
            configured_namespace(service)
        )),
        Some(_) => Ok(()),
    }
}

/// That of the configured root, where it has a prefix.
fn configured_namespace(service: &Service) -> String {
    let prefix = service
        .config
        .root
        .split_once(':')
        .map(|(prefix, _)| prefix);
    let uri = prefix.and_then(|prefix| service.config.namespaces.get(prefix));
    uri.map_or_else(String::new, |uri| {
        format!(" of {}", namespace::shown(Some(uri)))
    })
}

fn picked(envelope: &Envelope, at: Option<usize>) -> Option<String> {
    envelope.values.get(at?).cloned().flatten()
}

/// Decodes all records without keeping them.
fn survey<'s>(
    service: &'s Service,
    content: &mut Content,
    latest: Timestamp,
) -> Result<Survey<'s>, Fault> {
    let most = service.config.limits.records_bytes_max();
    let mut survey = Survey::new(service.rule.as_ref(), latest, most.as_u64());
    let mut decoder = service.format.decoder(0);
    read_whole(content, &mut |window, end| {
        let decoded = decoder.decode(window, end, &mut survey)?;
        Ok((decoded.bytes, decoded.done || survey.is_too_much()))
    })?;
    if survey.is_too_much() {
        return Err(Fault::Call(format!(
            "its records are more than {most} (limits.records_bytes_max), with what each takes from around it: ask for less at a time, leave such a column out, or raise it"
        )));
    }
    Ok(survey)
}
