//! `preview`: which records a saved answer would become.

use std::path::Path;

use dray_adapter::{Batch, IdScope, Position};
use jiff::Timestamp;

use super::SoapPollConfig;
use super::asker::taken;
use super::page::Page;
use super::plan::Plan;
use super::saved;
use super::service::Service;
use super::sieve::{Handed, RECORDS_MAX, Sieve};

impl SoapPollConfig {
    /// Reads an answer's first records, at least `records_max` of them if there are. It is read whole before, as it is when it is asked for.
    /// The file holds the message, the parts of one (MTOM), or either behind the head of HTTP.
    ///
    /// # Errors
    /// A sentence: the file can't be read, is no message, a fault, or another answer.
    pub fn preview(
        &self,
        flow: &str,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        let service = Service::new(self, std::env::temp_dir())?;
        let (head, content, content_type) = saved::open(file, &service)?;
        let now = Timestamp::now();
        let answer = taken(&service, &head, content, &content_type, &[], now)
            .map_err(|failure| failure.reason)?;
        let mut plan = Plan::new(service.rule.clone(), service.config.pages.clone(), None)?;
        plan.ask(now)?;
        let scope = IdScope::of(&[flow.as_bytes(), b"preview"]);
        let turn = plan.answered(&answer.facts)?;
        let mut page = Page::new(
            &service.format,
            answer.content,
            turn,
            scope,
            now.as_microsecond(),
        );
        let (mut batches, mut records, mut ends_unit) = (Vec::new(), 0, false);
        let mut handed = Handed::default();
        while !ends_unit && records < records_max {
            let mut sieve = Sieve::new(&service.key, &mut handed, RECORDS_MAX);
            ends_unit = page.fill(&mut sieve, &|| false)?;
            let (gather, ..) = sieve.into_parts();
            records += gather.records.len();
            batches.push(page.batch(gather, Vec::new(), Position::default(), ends_unit));
        }
        Ok(batches)
    }
}
