//! What stands in an answer in which no record is found: a path that is wrong looks like a service that has nothing to tell.

use std::io;

use dray_formats::xml::{Node, Walk};

use super::SoapPollConfig;
use crate::content::Content;
use crate::reading::Fault;

/// Elements of an answer whose names are shown, at most.
const NAMES_MAX: usize = 10;
/// How deep the Body stands, what is in its root element, and what is in that.
const BODY: usize = 2;
const BELOW_ROOT: usize = 4;
const BELOW_THAT: usize = 5;

/// No record was found in an answer.
pub(super) fn sentence(config: &SoapPollConfig, below: &[String]) -> String {
    let looked_for = match &config.record {
        Some(record) => format!("record = \"{record}\""),
        None => format!("root = \"{}\"", config.root),
    };
    let stands = match below {
        [] => "nothing stands below the root".to_owned(),
        names => format!("below the root stand: {}", names.join(", ")),
    };
    format!("no record stands at {looked_for}; {stands}; look at the names in it and at namespaces")
}

/// Whether something stands there that might be a record: an element that holds others.
pub(super) fn is_doubtful(below: &[String]) -> bool {
    below.iter().any(|name| name.contains('/'))
}

/// What stands below an answer's root element and in that, each name once.
pub(super) fn below_root(content: &mut Content) -> io::Result<Vec<String>> {
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
    content.rewind()?;
    Ok(names)
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
            let below = below_root(&mut content).expect("memory");
            assert_eq!(below.join(", "), expected, "{body}");
            assert_eq!(is_doubtful(&below), expected.contains('/'));
        }
    }
}
