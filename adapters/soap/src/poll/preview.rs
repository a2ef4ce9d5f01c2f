//! `preview`: which records a saved answer would become.

use std::path::Path;

use dray_adapter::{Batch, IdScope, Position};
use dray_formats::xml::{Node, Walk};
use jiff::Timestamp;

use super::SoapPollConfig;
use super::answer::{Answer, LOOK_AT_URL, NO_MESSAGE};
use super::asker::taken;
use super::config::Empty;
use super::page::Page;
use super::plan::Plan;
use super::saved;
use super::service::Service;
use super::sieve::{Handed, RECORDS_MAX, Sieve};
use crate::content::Content;
use crate::reading::Fault;

/// Elements of an answer whose names are shown, at most.
const NAMES_MAX: usize = 10;
/// How deep the Body stands, what is in its root element, and what is in that.
const BODY: usize = 2;
const BELOW_ROOT: usize = 4;
const BELOW_THAT: usize = 5;

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
            return Err(self.no_record(&below_root(&mut answer.content)));
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

    fn no_record(&self, below: &[String]) -> String {
        let looked_for = match &self.record {
            Some(record) => format!("record = \"{record}\""),
            None => format!("root = \"{}\"", self.root),
        };
        let stands = match below {
            [] => "nothing stands below the root".to_owned(),
            names => format!("below the root stand: {}", names.join(", ")),
        };
        format!(
            "no record stands at {looked_for}; {stands}; look at the names in it and at namespaces, or save an answer that holds records"
        )
    }
}

/// No service answered.
fn of_a_file(reason: &str) -> String {
    reason
        .replacen(NO_MESSAGE, "the file is no SOAP message", 1)
        .replacen(LOOK_AT_URL, "save the service's answer, whole", 1)
}

/// What stands below an answer's root element and in that, each name once.
fn below_root(content: &mut Content) -> Vec<String> {
    let mut walk = Walk::new([].into()).passing_unknown();
    let (mut names, mut outer, mut in_body) = (Vec::<String>::new(), String::new(), false);
    // It was read before: what stops this is that there are enough.
    let _ = content.read::<Fault>(&mut |window, end| {
        let decoded = walk.decode(window, end, &mut |node, _| {
            let Node::Start(start) = node else {
                return Ok(());
            };
            let (_, name) = start.name();
            let path = match start.depth() {
                BODY => {
                    in_body = name == "Body";
                    return Ok(());
                }
                BELOW_ROOT if in_body => {
                    name.clone_into(&mut outer);
                    outer.clone()
                }
                BELOW_THAT if in_body => {
                    names.retain(|known| *known != outer);
                    format!("{outer}/{name}")
                }
                _ => return Ok(()),
            };
            if names.contains(&path) {
                return Ok(());
            }
            if names.len() == NAMES_MAX {
                return Err(String::new());
            }
            names.push(path);
            Ok(())
        })?;
        Ok((decoded.bytes, decoded.done))
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_the_root_are_told_once_and_no_deeper_than_two() {
        let many: String = (0..20).map(|number| format!("<n{number}/>")).collect();
        for (body, expected) in [
            (
                "<w:M xmlns:w='urn:w'><w:Id><w:No/></w:Id></w:M><w:M xmlns:w='urn:w'><w:Id/><Q/></w:M><Next/>",
                "M/Id, M/Q, Next",
            ),
            ("", ""),
            ("text", ""),
            (many.as_str(), "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9"),
        ] {
            let text = format!(
                "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Header><a><b/></a></s:Header><s:Body><R>{body}</R></s:Body></s:Envelope>"
            );
            let mut content = Content::Memory(text.into());
            assert_eq!(below_root(&mut content).join(", "), expected, "{body}");
        }
    }
}
