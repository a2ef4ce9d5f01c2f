//! A description, what it imports, and what is made of it. A case is files: each begins behind a line `--- name`, and the first is
//! the WSDL, with or without such a line.

use std::sync::Arc;

use dray_formats::xml::Walk;
use dray_soap::envelope::{Reader, Version};
use dray_soap::fault::enveloped;
use dray_soap::poll::SoapPollConfig;
use dray_soap::receive::SoapReceiveConfig;
use dray_soap::template::Template;
use dray_soap::wsdl::{self, Choice as Wanted, Description, Way, propose};
use minijinja::context;

use super::Choice;

/// Ports of which flows are made, and operations of each; a case has no more on purpose.
const PORTS_MAX: usize = 4;
const OPERATIONS_MAX: usize = 6;

fn files(case: &[u8]) -> Vec<(String, &[u8])> {
    const MARK: &[u8] = b"\n--- ";
    let mut files = Vec::new();
    let (mut name, mut rest) = (String::new(), case);
    if let Some(bare) = case.strip_prefix(&MARK[1..]) {
        (name, rest) = super::first_line(bare);
    }
    loop {
        let Some(end) = rest.windows(MARK.len()).position(|window| window == MARK) else {
            files.push((name, rest));
            return files;
        };
        let (file, behind) = rest.split_at(end);
        files.push((std::mem::take(&mut name), file));
        (name, rest) = super::first_line(&behind[MARK.len()..]);
    }
}

pub(super) fn check(case: &[u8], choice: Choice) {
    let files = files(case);
    let load = |path: &str| {
        let found = files.iter().skip(1).find(|(name, _)| name == path);
        found
            .map(|(_, bytes)| bytes.to_vec())
            .ok_or_else(|| "no such file".to_owned())
    };
    let bytes = files[0].1;
    match wsdl::publish(bytes, &load, "http://wms.test/wms?a=<&>\"'") {
        Err(reason) => assert!(!reason.is_empty(), "it says why"),
        Ok(published) => {
            for (path, bytes) in published {
                let walked = Walk::whole([].into(), &bytes, &mut |_, _| Ok(()));
                walked.unwrap_or_else(|fault| panic!("{path}: {}", fault.0));
            }
        }
    }
    match wsdl::read(bytes, &load) {
        Err(reason) => assert!(!reason.is_empty(), "it says why"),
        Ok(description) => made(&description, choice),
    }
}

fn made(description: &Description, choice: Choice) {
    let way = match choice.variant % 2 {
        0 => Way::Receive,
        _ => Way::Ask,
    };
    for (_, port) in description.ports().take(PORTS_MAX) {
        let operations = port.operations.iter().take(OPERATIONS_MAX);
        let names: Vec<[&str; 1]> = operations.map(|one| [one.name.as_str()]).collect();
        let each = names.iter().map(|name| &name[..]);
        for operations in each.chain([&[][..]]) {
            let wanted = Wanted {
                way,
                wsdl: "/etc/dray/wms.wsdl",
                templates: "/etc/dray",
                port: Some(&port.name),
                operations,
            };
            one(description, &wanted);
        }
    }
}

fn one(description: &Description, wanted: &Wanted<'_>) {
    let proposal = match propose(description, wanted) {
        Ok(proposal) => proposal,
        Err(reason) => return assert!(!reason.is_empty(), "it says why"),
    };
    let text = &proposal.flow;
    let table: toml::Table = toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let source = table["flow"][0]["source"].clone();
    let faults = match wanted.way {
        Way::Receive => source
            .try_into()
            .map(|config: SoapReceiveConfig| config.faults()),
        Way::Ask => source
            .try_into()
            .map(|config: SoapPollConfig| config.faults()),
    };
    assert_eq!(faults, Ok(Vec::new()), "{text}");
    for (file, text) in &proposal.templates {
        let template =
            Template::new(text, true).unwrap_or_else(|error| panic!("{file}: {error}\n{text}"));
        let values = context! { watermark => "<&>", page => 1, page_size => 100, token => "<&>" };
        let made = template.render(values);
        let made = made.unwrap_or_else(|error| panic!("{file}: {error}\n{text}"));
        let message = enveloped(Version::V11, &made);
        let read = Reader::new(&[], Arc::default()).whole(message.as_bytes());
        read.unwrap_or_else(|error| panic!("{file}: {error}\n{message}"));
    }
}
