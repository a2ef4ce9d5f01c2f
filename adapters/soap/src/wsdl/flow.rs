//! A flow to edit, from what a description says.

use std::fmt::Write as _;

use dray_formats::suggest::quoted;

use super::description::{Description, LeftOut, Operation, Port, Service, version};
use super::fields::{Field, Table};
use super::{REASONS_TOLD, ask, receive, unfilled};

/// Sentences before a flow, at most: a person reads them.
const DOUBTS_MAX: usize = 100;

/// Which way a flow goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// dray asks the service: `soap-poll`.
    Ask,
    /// dray stands in for the service and is called: `soap-receive`.
    Receive,
}

/// What of a description a flow is wanted for.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// See [`Way`].
    pub way: Way,
    /// The WSDL as the configuration shall name it: an absolute path.
    pub wsdl: &'a str,
    /// Where the templates are, as an absolute path.
    pub templates: &'a str,
    /// A port by its name; the first that has the operations, where nothing is said.
    pub port: Option<&'a str>,
    /// Operations by name. None named: all of the port to receive, or the only one to ask.
    pub operations: &'a [&'a str],
}

impl Choice<'_> {
    /// A template as the configuration names it.
    pub(super) fn template(&self, name: &str) -> String {
        format!("{}/{name}", self.templates.trim_end_matches('/'))
    }
}

/// What a choice leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen<'d> {
    pub(super) service: &'d Service,
    pub(super) port: &'d Port,
}

/// The parts of a flow.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) about: String,
    /// From `[flow.source]` on.
    pub(super) source: String,
    pub(super) mappings: String,
    /// What a person has to look at.
    pub(super) doubts: Vec<String>,
    /// What must be looked at: said first, and where it is run.
    pub(super) warnings: Vec<String>,
    /// See [`Proposal::templates`].
    pub(super) templates: Vec<(String, String)>,
}

impl Parts {
    /// Takes a template under a name of its own.
    pub(super) fn template(&mut self, stem: &str, text: String) -> String {
        let is_free = |name: &String| self.templates.iter().all(|(known, _)| known != name);
        let mut names = (1..).map(|number| match number {
            1 => format!("{stem}.xml"),
            number => format!("{stem}-{number}.xml"),
        });
        let name = names
            .find(is_free)
            .expect("there are more numbers than templates");
        self.templates.push((name.clone(), text));
        name
    }
}

/// What is proposed.
#[derive(Debug)]
pub struct Proposal {
    /// The text of a flow, with what to look at as comments before it.
    pub flow: String,
    /// What the flow names: each file's name and its text.
    pub templates: Vec<(String, String)>,
    /// What a person must know before it runs; they stand among the comments too.
    pub warnings: Vec<String>,
}

/// A flow, and the templates that it names.
///
/// # Errors
/// A sentence, with what there is, where the choice leads to nothing.
pub fn propose(description: &Description, choice: &Choice<'_>) -> Result<Proposal, String> {
    let (chosen, operations) = chosen(description, choice)?;
    let mut parts = match choice.way {
        Way::Ask => ask::parts(description, choice, &chosen, &operations)?,
        Way::Receive => receive::parts(description, choice, &chosen, &operations)?,
    };
    let left_out = description.left_out.iter();
    parts
        .doubts
        .extend(left_out.map(|one| format!("Left out: {one}.")));
    let mut out = String::new();
    comment(
        &mut out,
        "",
        &format!("Proposed for {}: {}", choice.wsdl, parts.about),
    );
    comment(&mut out, "", "To look at before it runs:");
    let templates = parts.templates.iter();
    let unfilled = templates.filter_map(|(name, text)| {
        let file = choice.template(name);
        unfilled::sentence(&file, text)
    });
    let unfilled: Vec<String> = unfilled.collect();
    let first = parts.warnings.iter().chain(&unfilled);
    let doubts: Vec<&String> = first.chain(&parts.doubts).collect();
    for doubt in doubts.iter().take(DOUBTS_MAX) {
        comment(&mut out, "- ", doubt);
    }
    if let Some(more @ 1..) = doubts.len().checked_sub(DOUBTS_MAX) {
        comment(&mut out, "- ", &format!("And {more} more of the kind."));
    }
    let (name, source, mappings) = (quoted(&parts.name), &parts.source, &parts.mappings);
    // Writing to a string never fails.
    let _ = write!(out, "\n[[flow]]\nname = {name}\n\n{source}\n{mappings}");
    Ok(Proposal {
        flow: out,
        templates: parts.templates,
        warnings: parts.warnings,
    })
}

/// The port, and its operations that are meant; all of them where none is named.
fn chosen<'d>(
    description: &'d Description,
    choice: &Choice<'_>,
) -> Result<(Chosen<'d>, Vec<&'d Operation>), String> {
    let has = |port: &Port, name: &str| {
        port.operations
            .iter()
            .any(|operation| operation.name == name)
    };
    let is_meant = |port: &Port| {
        choice.port.is_none_or(|name| port.name == name)
            && choice.operations.iter().all(|name| has(port, name))
    };
    let found = description.ports().find(|(_, port)| is_meant(port));
    let Some((service, port)) = found else {
        return Err(format!(
            "no port has what is asked for. {}There are:\n{}",
            why_not(description, choice),
            listed(description)
        ));
    };
    let wanted = port.operations.iter();
    let wanted = wanted.filter(|operation| {
        choice.operations.is_empty() || choice.operations.contains(&operation.name.as_str())
    });
    Ok((Chosen { service, port }, wanted.collect()))
}

/// Why what is asked for was left out, where the WSDL has it.
fn why_not(description: &Description, choice: &Choice<'_>) -> String {
    let left_out = description.left_out.iter();
    left_out
        .filter(|one| is_about(one, choice))
        .take(REASONS_TOLD)
        .map(|one| format!("Left out: {one}. "))
        .collect()
}

/// `operation NAME of port NAME` or `port NAME of service NAME`: no name has a space in it.
fn is_about(one: &LeftOut, choice: &Choice<'_>) -> bool {
    let words: Vec<&str> = one.what.split(' ').collect();
    match words[..] {
        ["operation", name, "of", "port", port] => {
            choice.port.is_none_or(|wanted| wanted == port)
                && (choice.operations.is_empty() || choice.operations.contains(&name))
        }
        ["port", port, ..] => choice.port == Some(port),
        _ => false,
    }
}

/// All ports and their operations, a port a line.
pub(super) fn listed(description: &Description) -> String {
    let mut out = String::new();
    for (service, port) in description.ports() {
        let names: Vec<&str> = port
            .operations
            .iter()
            .map(|operation| operation.name.as_str())
            .collect();
        // Writing to a string never fails.
        let _ = writeln!(
            out,
            "  port {} of service {} (SOAP {}): {}",
            port.name,
            service.name,
            version(port.version),
            names.join(", ")
        );
    }
    out.trim_end().to_owned()
}

/// A table of fields as it stands below its head.
pub(super) fn fields(table: &Table) -> String {
    let mut out = String::new();
    if table.fields.is_empty() {
        out.push_str("TEXT = \".\"\n");
    }
    for Field {
        column,
        path,
        is_joined,
        ..
    } in &table.fields
    {
        let is_bare = column
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let column = if is_bare {
            column.clone()
        } else {
            quoted(column)
        };
        let path = quoted(path);
        // Writing to a string never fails.
        let _ = match is_joined {
            true => writeln!(out, "{column} = {{ path = {path}, join = \",\" }}"),
            false => writeln!(out, "{column} = {path}"),
        };
    }
    out
}

/// Lines of a comment; what would end one or hide in it is not let through.
pub(super) fn comment(out: &mut String, mark: &str, text: &str) {
    const WIDTH: usize = 110;
    let mut line = format!("# {mark}");
    for word in text.split(|letter: char| letter == ' ' || letter.is_control()) {
        if line.chars().count() + word.chars().count() > WIDTH
            && line.trim_end().len() > mark.len() + 1
        {
            out.push_str(line.trim_end());
            line = if mark.is_empty() {
                "\n# ".into()
            } else {
                "\n#   ".into()
            };
        }
        line.push_str(word);
        line.push(' ');
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests;
