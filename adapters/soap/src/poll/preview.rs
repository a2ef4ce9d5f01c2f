//! `preview`: which records a saved answer would become.

use std::path::Path;

use dray_adapter::{Batch, IdScope, Position};
use jiff::Timestamp;

use super::SoapPollConfig;
use super::answer::{Answer, LOOK_AT_URL, NO_MESSAGE};
use super::asker::taken;
use super::config::Empty;
use super::emptiness::Emptiness;
use super::page::{Page, disk};
use super::plan::Plan;
use super::saved;
use super::service::Service;
use super::sieve::{Handed, RECORDS_MAX, Sieve};

impl SoapPollConfig {
    /// Reads an answer's first records, at least `records_max` of them if there are. It is read whole before, as it is when it is asked for.
    /// The file holds the message, the parts of one (MTOM), or either behind the head of HTTP.
    ///
    /// # Errors
    /// A sentence: the file can't be read, is no message, a fault, or another answer; or no record is found in it, as nobody would
    /// look at an answer to see that there is nothing.
    pub fn preview(
        &self,
        flow: &str,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        let now = Timestamp::now();
        let (service, mut answer) = self.saved(file, now)?;
        if answer.facts.records + answer.facts.rejects == 0 {
            let empty = Emptiness::of(self, &mut answer.content).map_err(|error| disk(&error))?;
            let empty = empty.sentence(self);
            return Err(format!("{empty}, or save an answer that holds records"));
        }
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

    /// What should be known of an answer besides its records: nothing in it names a next page.
    #[must_use]
    pub fn doubts(&self, file: &Path) -> Vec<String> {
        let path = self.pages.as_ref().and_then(|pages| pages.path.as_ref());
        let (Some(path), Ok((_, answer))) = (path, self.saved(file, Timestamp::now())) else {
            return Vec::new();
        };
        match answer.facts.token {
            Some(_) => Vec::new(),
            None => vec![format!(
                "no next page stands at pages.path = \"{path}\": it is a last page, or the path finds nothing; look at the names in it, or preview a page that is not the last"
            )],
        }
    }

    fn saved(&self, file: &Path, now: Timestamp) -> Result<(Service, Answer), String> {
        // An answer without a record is told with what stands in it instead.
        let config = Self {
            empty: Empty::None,
            ..self.clone()
        };
        let service = Service::new(&config, std::env::temp_dir())?;
        let (head, content, content_type) = saved::open(file, &service)?;
        let answer = taken(&service, &head, content, &content_type, &[], now);
        let answer = answer.map_err(|failure| of_a_file(&failure.reason))?;
        Ok((service, answer))
    }
}

/// No service answered.
fn of_a_file(reason: &str) -> String {
    reason
        .replacen(NO_MESSAGE, "the file is no SOAP message", 1)
        .replacen(LOOK_AT_URL, "save the service's answer, whole", 1)
}
