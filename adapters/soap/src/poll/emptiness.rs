//! What stands in an answer in which no record is found: a path that is wrong looks like a service that has nothing to tell.

use std::io;

use dray_formats::xml::{Node, Walk};

use super::SoapPollConfig;
use crate::content::Content;
use crate::reading::Fault;

/// Elements of an answer whose names are shown, at most.
const NAMES_MAX: usize = 10;
/// How deep the Body stands, its root element, what is in that, and what is in that again.
const BODY: usize = 2;
const ROOT: usize = 3;
const BELOW_ROOT: usize = 4;
const BELOW_THAT: usize = 5;

/// What an answer without a record holds.
#[derive(Debug, Default)]
pub(super) struct Emptiness {
    /// What stands below its root element and in that, each name once.
    below: Vec<String>,
    /// Whether something stands where records should, or deeper, and might be one: an element that holds others.
    pub(super) is_doubtful: bool,
}

impl Emptiness {
    /// Looks at an answer, which is at its beginning before and afterwards.
    pub(super) fn of(config: &SoapPollConfig, content: &mut Content) -> io::Result<Self> {
        let record_depth = record_depth(config.record.as_deref());
        let mut walk = Walk::new([].into()).passing_unknown();
        let (mut found, mut outer, mut in_body) = (Self::default(), String::new(), false);
        let read = content.read::<Fault>(&mut |window, end| {
            let decoded = walk.decode(window, end, &mut |node, _| {
                let Node::Start(start) = node else {
                    return Ok(());
                };
                let (_, name) = start.name();
                match start.depth() {
                    BODY => in_body = name == "Body",
                    depth if in_body => {
                        found.is_doubtful |= depth > record_depth;
                        found.note(depth, name, &mut outer);
                    }
                    _ => {}
                }
                Ok(())
            })?;
            Ok((decoded.bytes, decoded.done))
        });
        // Anything else was found when it was read before.
        if let Err(Fault::Disk(error)) = read {
            return Err(error);
        }
        content.rewind()?;
        Ok(found)
    }

    fn note(&mut self, depth: usize, name: &str, outer: &mut String) {
        let path = match depth {
            BELOW_ROOT => {
                name.clone_into(outer);
                outer.clone()
            }
            BELOW_THAT => {
                self.below.retain(|known| known != outer);
                format!("{outer}/{name}")
            }
            _ => return,
        };
        if self.below.len() < NAMES_MAX && !self.below.contains(&path) {
            self.below.push(path);
        }
    }

    /// That no record was found in it, and what was.
    pub(super) fn sentence(&self, config: &SoapPollConfig) -> String {
        let looked_for = match &config.record {
            Some(record) => format!("record = \"{record}\""),
            None => format!("root = \"{}\"", config.root),
        };
        let stands = match &*self.below {
            [] => "nothing stands below the root".to_owned(),
            names => format!("below the root stand: {}", names.join(", ")),
        };
        format!(
            "no record stands at {looked_for}; {stands}; look at the names in it and at namespaces"
        )
    }
}

/// How deep records stand; the least, where they may stand anywhere.
fn record_depth(record: Option<&str>) -> usize {
    match record {
        None => ROOT,
        Some(anywhere) if anywhere.starts_with("//") => BELOW_ROOT,
        Some(path) => ROOT + path.split('/').filter(|step| !step.is_empty()).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(record: &str, body: &str) -> (String, bool) {
        let text = format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Header><a><b><c/></b></a></s:Header><s:Body><R>{body}</R></s:Body></s:Envelope>"
        );
        let config = format!(
            "kind = 'soap-poll'\nurl = 'http://a/'\nrequest = '/r.xml'\nroot = 'R'\nrecord = '{record}'\nfields = {{ ID = 'Id' }}"
        );
        let config: SoapPollConfig = toml::from_str(&config).expect("a configuration");
        let mut content = Content::Memory(text.into());
        let found = Emptiness::of(&config, &mut content).expect("memory");
        (found.below.join(", "), found.is_doubtful)
    }

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
            assert_eq!(of("L", body).0, expected, "{body}");
        }
    }

    #[test]
    fn what_might_be_a_record_is_told_from_what_stands_around_where_there_is_none() {
        let leaves = "<n/>".repeat(20);
        let behind = format!("{leaves}<Movment><Id>1</Id></Movment>");
        for (record, body, is_doubtful) in [
            ("Movement", "", false),
            ("Movement", "<Next>7</Next><Count>0</Count>", false),
            ("Movement", "<Movment><Id>1</Id></Movment>", true),
            ("Movement", behind.as_str(), true),
            (
                "Movement",
                "<List><Movement><Id>1</Id></Movement></List>",
                true,
            ),
            // As .NET answers, and as the example of the documentation does.
            ("List/Movement", "<List><NextPage/></List>", false),
            (
                "Result/List/Movement",
                "<Result><Status>0</Status><List/></Result>",
                false,
            ),
            (
                "List/Movement",
                "<List><Movment><Id>1</Id></Movment></List>",
                true,
            ),
            (
                "List/Movement",
                "<Lst><Movement><Id>1</Id></Movement></Lst>",
                true,
            ),
            ("//Movement", "<List/>", false),
            ("//Movement", "<List><Movment/></List>", true),
        ] {
            assert_eq!(of(record, body).1, is_doubtful, "{record}: {body}");
        }
    }
}
