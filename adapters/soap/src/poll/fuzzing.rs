//! A service that is not there: its answer comes from whoever asks.

use std::path::PathBuf;

use dray_adapter::{Batch, IdScope};
use jiff::Timestamp;

use super::SoapPollConfig;
use super::answer::Head;
use super::asker::taken;
use super::page::Page;
use super::plan::Plan;
use super::secrets::Secrets;
use super::service::Service;
use super::sieve::{Handed, RECORDS_MAX, Sieve};
use crate::fuzzing::Cuts;

/// The time, in all answers: 2026-11-27T00:00:00Z.
const NOW: Timestamp = Timestamp::constant(1_795_737_600, 0);

/// A service that is asked.
pub struct Asked {
    service: Service,
    secrets: Secrets,
}

impl Asked {
    /// # Errors
    /// A sentence, as where a flow is made.
    pub fn new(config: &SoapPollConfig, folder: PathBuf) -> Result<Self, String> {
        Ok(Self {
            service: Service::new(config, folder)?,
            secrets: Secrets::read(config)?,
        })
    }

    /// What the answer to the first request becomes: its batches, and the request that comes next.
    ///
    /// # Errors
    /// The sentence that an operator reads.
    pub fn answered(
        &self,
        (status, content_type): (u16, &str),
        body: &[u8],
        cuts: Cuts,
    ) -> Result<(Vec<Batch>, String), String> {
        let (Self { service, secrets }, now) = (self, NOW);
        let mut plan = Plan::new(service.rule.clone(), service.config.pages.clone(), None)?;
        plan.ask(now)?;
        let head = Head {
            status,
            ..Head::default()
        };
        let content = cuts.content(body);
        let answer = taken(service, &head, content, content_type, &secrets.hidden, now)
            .map_err(|failure| failure.reason)?;
        let turn = plan.answered(&answer.facts)?;
        let scope = IdScope::of(&[b"fuzz"]);
        let read_us = now.as_microsecond();
        let mut page = Page::new(&service.format, answer.content, turn, scope, read_us);
        let (mut batches, mut ended) = (Vec::new(), false);
        let mut handed = Handed::default();
        while !ended {
            let mut sieve = Sieve::new(&service.key, &mut handed, RECORDS_MAX);
            ended = page.fill(&mut sieve, &|| false)?;
            let (gather, marks, next) = sieve.into_parts();
            if ended {
                plan.turn(&page.turn);
            }
            let position = match ended {
                true => plan.position(),
                false => plan.within(&page.turn, next),
            };
            batches.push(page.batch(gather, marks, position, ended));
        }
        let ask = plan.ask(now)?;
        Ok((batches, service.message(&ask, secrets, [7; 16])?))
    }
}
