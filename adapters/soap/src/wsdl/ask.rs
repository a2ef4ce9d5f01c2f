//! A flow that asks.

use dray_formats::suggest::quoted;

use super::description::{Description, Operation, version};
use super::element::{Element, repeating};
use super::fields::table;
use super::flow::{Choice, Chosen, Parts, fields};
use super::going_on::{self, tables};
use super::key;
use super::prefixes::Prefixes;
use super::receive::record;
use super::template::request_template;
use super::words::{hyphened, is_next, is_write};
use crate::poll::faults::url_fault;

/// How often it is asked until somebody says better.
const EVERY: &str = "60s";
/// Where the service is until somebody says better.
const ADDRESS: &str = "http://wms.local/service";

pub(super) fn parts(
    description: &Description,
    choice: &Choice<'_>,
    chosen: &Chosen<'_>,
    operations: &[&Operation],
) -> Result<Parts, String> {
    let port = &chosen.port.name;
    let mut answering = operations
        .iter()
        .filter(|operation| operation.output.is_some());
    let operation = match (answering.next(), answering.next()) {
        (Some(operation), None) => operation,
        (Some(_), Some(_)) => {
            let names: Vec<&str> = operations
                .iter()
                .map(|operation| operation.name.as_str())
                .collect();
            return Err(format!(
                "port {port} has several operations, and one is asked: name one of {}",
                names.join(", ")
            ));
        }
        (None, _) => {
            return Err(format!(
                "nothing of what is meant of port {port} gives an answer: such calls can be received, and not asked"
            ));
        }
    };
    let output = operation
        .output
        .as_ref()
        .and_then(|output| description.body(output));
    let answer = output.ok_or_else(|| {
        format!(
            "the answer of {} is empty: there is no record in it",
            operation.name
        )
    })?;
    let name = match hyphened(&operation.name) {
        name if name.is_empty() => "soap".into(),
        name => name,
    };
    let mut parts = Parts {
        about: format!(
            "{} of service {}, port {port}, is asked every {EVERY}.",
            operation.name, chosen.service.name
        ),
        name,
        ..Parts::default()
    };
    if is_write(&operation.name) {
        parts.warnings.push(format!(
            "{} changes something by its name, and would be asked every {EVERY}: name an operation that only reads, or be called by it (--receive).",
            operation.name
        ));
    }
    let stem = parts.name.clone();
    let request = parts.template(&stem, request_template(description, operation));
    let request = choice.template(&request);
    source(
        description,
        chosen,
        operation,
        &answer,
        &request,
        &mut parts,
    );
    Ok(parts)
}

fn source(
    description: &Description,
    chosen: &Chosen<'_>,
    operation: &Operation,
    answer: &Element,
    request: &str,
    parts: &mut Parts,
) {
    let mut prefixes = Prefixes::default();
    let address = chosen.port.address.as_str();
    let is_url = url_fault(address).is_none();
    let url = if is_url { address } else { ADDRESS };
    parts.doubts.push(match is_url {
        true => format!("The address is the WSDL's, {url}: look whether the service stands there."),
        false => {
            format!("The WSDL has no address that can be asked: write the service's for {url}.")
        }
    });
    parts.doubts.push(format!(
        "The request stands in {request}: where it goes elsewhere, request has to say so."
    ));
    let root = prefixes.write(&answer.name);
    let way = repeating(answer).unwrap_or_default();
    let path = record(answer, &way, &mut prefixes);
    let mut table = table(answer, &way, &mut prefixes);
    // Where the next page is says nothing of a record; what is told by a name may be something else.
    table.fields.retain(|field| {
        let is_next = field.is_around && is_next(&field.name, &field.type_name);
        if is_next {
            parts.doubts.push(format!(
                "{path} seems to say what the next page is asked with, and is no field: if it says something of a record, write {column} = {path} under [flow.source.fields].",
                path = quoted(&field.path),
                column = quoted(&field.column),
            ));
        }
        !is_next
    });
    let mut out = String::from("[flow.source]\nkind = \"soap-poll\"\n");
    let mut line = |setting: &str, value: &str| {
        if !value.is_empty() {
            out += &format!("{setting} = {}\n", quoted(value));
        }
    };
    line("url", url);
    line("soap", version(chosen.port.version));
    line("action", &operation.action);
    line("every", EVERY);
    line("request", request);
    line("root", &root);
    line("record", &path);
    let input = description.body(&operation.input);
    let tables = input.map_or_else(String::new, |input| {
        tables(&input, answer, &table, &mut prefixes)
    });
    out += &prefixes.setting();
    out += &key::of_source(&table);
    out += "[flow.source.fields]\n";
    out += &fields(&table);
    out += &tables;
    if !tables.is_empty() {
        parts.doubts.push(format!(
            "{request} has places for what goes on from answer to answer: take the tables behind the fields out of their comments, or write values there."
        ));
    }
    let input = description.body(&operation.input);
    let of_pages = going_on::doubts(input.as_ref(), answer);
    parts.doubts.extend(of_pages);
    parts.source = out;
    parts.doubts.extend(table.doubts.iter().cloned());
    if way.is_empty() {
        parts.doubts.push(
            "Nothing in the answer repeats: it is one record, and each answer is one.".into(),
        );
    }
    let headers: Vec<&str> = operation
        .input
        .headers
        .iter()
        .map(|header| header.part.as_str())
        .collect();
    if !headers.is_empty() {
        parts.doubts.push(format!(
            "The service wants headers, which the request's template has not: {}.",
            headers.join(", ")
        ));
    }
    let (mapped, doubt) = key::of_mapping(&table);
    parts.doubts.push(doubt);
    parts.mappings =
        format!("[[flow.mapping]]\nbody = \"generic\"\nkey = {mapped}\nall_columns = true\n");
}
