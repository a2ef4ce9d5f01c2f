//! Descriptions of services: WSDL 1.1 with SOAP 1.1 and SOAP 1.2.
//!
//! ```text
//! WSDL ──► what it imports ──► services, ports, operations ──► a body's elements ──► what repeats ──► a flow to edit
//!   │      (beside it)         [`Description`]                 [`Element`]          [`repeating`]     [`propose`]
//!   └────► as it is served at ?wsdl: [`served`], [`publish`]
//! ```
//!
//! After the note of 15 March 2001 and WS-I Basic Profile 1.1. Document and rpc, both literal; what is SOAP-encoded, calls back or
//! travels by something else than HTTP is left out with a sentence. Of schemas that is read which says what elements there are, in what order and how often;
//! wildcards, substitution groups, derived types that `xsi:type` may put in, and all rules for values are left out.
//!
//! It promises to fetch nothing: what a document imports is asked of its caller, by a path below the WSDL's own folder. It
//! refuses to know disk, network and clock.

mod ask;
mod content;
#[cfg(test)]
mod corpus;
mod description;
mod documents;
mod element;
mod fields;
mod flow;
mod going_on;
mod key;
mod location;
mod messages;
mod other;
mod ports;
mod prefixes;
mod qname;
mod receive;
#[cfg(test)]
mod samples;
mod schemas;
mod served;
mod template;
mod tree;
pub mod unfilled;
mod words;

pub use description::{Description, Header, LeftOut, Message, Operation, Port, Service, Style};
pub use element::{Attribute, Element, repeating};
pub use flow::{Choice, Proposal, Way, propose};
pub use qname::QName;
pub use served::{Served, link, publish, served};
pub use template::{request_template, response_template};

use documents::Documents;
use ports::Ports;
use schemas::Schemas;

/// Documents that a description is made of, at most.
pub const DOCUMENTS_MAX: usize = 100;
/// Bytes of a document, at most.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of all documents, at most: they are held in memory while they are read.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Elements of all documents, at most.
pub const ELEMENTS_MAX: usize = 200_000;
/// Operations of all ports, at most.
pub const OPERATIONS_MAX: usize = 10_000;
/// Types and groups in one another on the way to an element, at most. One that holds itself ends there.
pub const TYPE_DEPTH_MAX: usize = 32;
/// Elements and attributes that are listed of a body, at most.
pub const SHAPE_ELEMENTS_MAX: usize = 5_000;
/// Reasons that are told where nothing can be used.
const REASONS_TOLD: usize = 3;

/// Gives the bytes of a document by its path from the WSDL's folder: relative, with `/`, never climbing.
pub type Load<'a> = dyn Fn(&str) -> Result<Vec<u8>, String> + 'a;

/// Reads a WSDL and, through `load`, what it imports.
///
/// # Errors
/// A sentence, beginning with the imported document it is about: something is no WSDL or schema, can't be loaded, lies elsewhere than
/// below the WSDL's folder, is over a limit, or there is no operation that can be used.
pub fn read(bytes: &[u8], load: &Load<'_>) -> Result<Description, String> {
    let documents = Documents::gather(bytes, load)?;
    let schemas = Schemas::of(&documents)?;
    let mut ports = Ports::of(&documents);
    let services = ports.services();
    if ports.count > OPERATIONS_MAX {
        return Err(format!(
            "its ports have more than {OPERATIONS_MAX} operations: leave out the services that are not used"
        ));
    }
    let left_out = ports.left_out;
    if services.is_empty() {
        return Err(nothing(&left_out));
    }
    let imported = documents.all.iter().skip(1);
    Ok(Description {
        services,
        left_out,
        documents: imported.map(|document| document.path.clone()).collect(),
        read: documents,
        schemas,
    })
}

fn nothing(left_out: &[LeftOut]) -> String {
    if left_out.is_empty() {
        return "no service stands in it that has a port with an operation: name the WSDL that has the service".into();
    }
    let told: Vec<String> = left_out
        .iter()
        .take(REASONS_TOLD)
        .map(ToString::to_string)
        .collect();
    let more = match left_out.len().saturating_sub(REASONS_TOLD) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("no operation can be used: {}{more}", told.join("; "))
}
