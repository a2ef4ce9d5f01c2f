//! A flow that is called.

use std::fmt::Write as _;

use dray_formats::suggest::quoted;

use super::description::{Description, Operation};
use super::element::{Element, repeating};
use super::fields::table;
use super::flow::{Choice, Chosen, Parts, comment, fields};
use super::key;
use super::prefixes::Prefixes;
use super::qname::QName;
use super::template::response_template;
use super::words::{hyphened, is_read};

/// Where it is listened until somebody says better.
const LISTEN: &str = "0.0.0.0:8080";
/// Operations of a flow, at most.
const OPERATIONS_MAX: usize = 100;
/// Bytes of a flow's operations, after which none is added: a person reads them.
const TABLES_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn parts(
    description: &Description,
    choice: &Choice<'_>,
    chosen: &Chosen<'_>,
    operations: &[&Operation],
) -> Result<Parts, String> {
    let path = path(&chosen.port.address);
    let mut parts = Parts {
        name: match hyphened(&chosen.service.name) {
            name if name.is_empty() => "soap".into(),
            name => name,
        },
        about: format!(
            "what calls service {}, port {}, calls dray instead.",
            chosen.service.name, chosen.port.name
        ),
        ..Parts::default()
    };
    parts.doubts.push(format!(
        "The address is all of this machine's, {LISTEN}, and the path is {path}: the caller is told http://THIS-MACHINE:8080{path}."
    ));
    let mut prefixes = Prefixes::default();
    let mut tables = String::new();
    let mut roots: Vec<(QName, &str)> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for operation in operations {
        if tables.len() > TABLES_BYTES_MAX {
            parts.doubts.push(format!(
                "{} is left out: the flow is longer than {TABLES_BYTES_MAX} bytes without it. Name the operations that are meant.",
                operation.name
            ));
            continue;
        }
        if names.len() == OPERATIONS_MAX || names.contains(&operation.name.as_str()) {
            parts.doubts.push(format!(
                "{} is left out: each operation has a name of its own, and {OPERATIONS_MAX} are possible.",
                operation.name
            ));
            continue;
        }
        let Some(root) = description.body(&operation.input) else {
            parts.doubts.push(format!(
                "{} is left out: its body is empty, and there is no record in it.",
                operation.name
            ));
            continue;
        };
        match roots.iter().find(|(known, _)| *known == root.name) {
            Some((known, taken)) => parts.warnings.push(format!(
                "{left} is left out: its body's element {known} is that of {taken}, which is taken, and by it they are told apart. To take {left}, name the operations that are meant, {left} among them and {taken} not.",
                left = operation.name
            )),
            None => {
                roots.push((root.name.clone(), &operation.name));
                names.push(&operation.name);
                tables += &one(description, choice, operation, &root, &mut prefixes, &mut parts);
            }
        }
    }
    if roots.is_empty() {
        return Err(format!(
            "no operation of port {} has a body with something in it",
            chosen.port.name
        ));
    }
    parts.warnings.extend(reading(choice, operations, &names));
    parts.source = format!(
        "[flow.source]\nkind = \"soap-receive\"\nlisten = {}\npath = {}\nwsdl = {}\n{}{tables}",
        quoted(LISTEN),
        quoted(&path),
        quoted(choice.wsdl),
        prefixes.setting()
    );
    Ok(parts)
}

/// That operations are taken which only read, and how to leave them out. `names`: those that are taken.
fn reading(choice: &Choice<'_>, operations: &[&Operation], names: &[&str]) -> Option<String> {
    let reads = |name: &str| {
        let mut same = operations.iter().filter(|known| known.name == name);
        is_read(name) && same.any(|known| known.output.is_some())
    };
    let (reading, others): (Vec<&str>, Vec<&str>) =
        names.iter().copied().partition(|name| reads(name));
    let (read, them) = match reading.len() {
        0 => return None,
        1 => ("only reads by its name", "it"),
        _ => ("only read by their names", "them"),
    };
    let port = choice.port.map(|name| format!("--port {name} "));
    let way_out = if others.is_empty() {
        "to ask the service instead, leave out --receive, and name one operation".into()
    } else {
        format!(
            "leave {them} out: dray-agent soap-discover --receive {}{} {}",
            port.unwrap_or_default(),
            choice.wsdl,
            others.join(" ")
        )
    };
    Some(format!(
        "{} {read}, and dray has nothing to answer {them} with; {way_out}",
        reading.join(", ")
    ))
}

/// The table of one operation; its mapping and what to look at go to `parts`.
fn one(
    description: &Description,
    choice: &Choice<'_>,
    operation: &Operation,
    root: &Element,
    prefixes: &mut Prefixes,
    parts: &mut Parts,
) -> String {
    let name = &operation.name;
    let mut out = String::from("[[flow.source.operation]]\n");
    let mut line = |setting: &str, value: &str| {
        // Writing to a string never fails.
        let _ = writeln!(out, "{setting} = {}", quoted(value));
    };
    line("name", name);
    line("root", &prefixes.write(&root.name));
    if !operation.action.is_empty() {
        line("action", &operation.action);
    }
    let way = repeating(root).unwrap_or_default();
    if !way.is_empty() {
        line("record", &record(root, &way, prefixes));
    }
    let of = |doubt: String| format!("{name}: {doubt}");
    if let Some(text) = response_template(description, operation) {
        let stem = match hyphened(name) {
            stem if stem.is_empty() => "soap".into(),
            stem => stem,
        };
        let file = choice.template(&parts.template(&format!("{stem}-response"), text));
        line("response", &file);
        parts.doubts.push(of(format!(
            "The answer stands in {file}: where it goes elsewhere, response has to say so."
        )));
    }
    if operation.output.is_none() {
        out.push_str("one_way = true\n");
    }
    if !way.is_empty() && root.along(&way).iter().any(|element| element.min == 0) {
        out.push_str("# may_be_empty = true  # a call without a record is taken, and so is one whose records stand elsewhere\n");
    }
    let (key, doubt) = key::of_message(root, &way, prefixes);
    let doubts = &mut parts.doubts;
    doubts.extend(doubt.map(of));
    let table = table(root, &way, prefixes);
    doubts.extend(table.doubts.iter().cloned().map(of));
    if table.fields.is_empty() {
        doubts.push(of(
            "No value is known that is in it: TEXT is all of its text.".into(),
        ));
    }
    if !parts.mappings.is_empty() {
        parts.mappings.push('\n');
    }
    let (mapped, doubt) = key::of_mapping(&table);
    parts.doubts.push(of(doubt));
    parts.mappings += &format!(
        "[[flow.mapping]]\nbody = \"generic\"\nrecord_type = {}\nkey = {mapped}\nall_columns = true\n",
        quoted(name)
    );
    out.push_str(&key);
    if !operation.input.headers.is_empty() {
        let headers: Vec<&str> = operation
            .input
            .headers
            .iter()
            .map(|header| header.part.as_str())
            .collect();
        comment(
            &mut out,
            "",
            &format!(
                "The WSDL names headers, which become no fields: {}.",
                headers.join(", ")
            ),
        );
    }
    out.push_str("[flow.source.operation.fields]\n");
    out.push_str(&fields(&table));
    out
}

/// The path below the root that a way of children's numbers is.
pub(super) fn record(root: &Element, way: &[usize], prefixes: &mut Prefixes) -> String {
    let elements = root.along(way);
    let steps: Vec<String> = elements
        .iter()
        .skip(1)
        .map(|element| prefixes.write(&element.name))
        .collect();
    steps.join("/")
}

/// The path of a URL; `/` where there is none, or none that a request could have.
fn path(address: &str) -> String {
    let behind = address.split_once("://").map_or("", |(_, behind)| behind);
    let path = behind.find('/').map_or("", |at| &behind[at..]);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_end_matches('/');
    let is_written = path.bytes().all(|byte| byte.is_ascii_graphic());
    if path.is_empty() || !is_written {
        return "/".into();
    }
    path.to_owned()
}
