//! Services, ports and bindings. WSDL 1.1, sections 2.5 to 2.7, 3.3 to 3.8.

use std::collections::HashMap;

use super::OPERATIONS_MAX;
use super::description::{LeftOut, Operation, Port, Service, Style};
use super::documents::{At, Documents};
use super::messages::message;
use super::qname::QName;
use super::tree::Vocabulary;
use crate::envelope::Version;

/// What says that messages travel by HTTP.
const HTTP: [&str; 2] = [
    "http://schemas.xmlsoap.org/soap/http",
    "http://www.w3.org/2003/05/soap/bindings/HTTP",
];

/// Operations of a port type that have one name, at most.
const OVERLOADS_MAX: usize = 16;

/// The parts of all documents, by name.
#[derive(Debug)]
pub(super) struct Ports<'a> {
    pub(super) documents: &'a Documents,
    named: HashMap<(&'static str, QName), At>,
    /// Of port types, by their names.
    operations: HashMap<(At, &'a str), Vec<At>>,
    /// Bound operations that were looked at, of all ports.
    pub(super) count: usize,
    pub(super) left_out: Vec<LeftOut>,
}

/// A binding of SOAP.
struct Binding {
    at: At,
    version: Version,
    style: Style,
    port_type: At,
}

impl<'a> Ports<'a> {
    pub(super) fn of(documents: &'a Documents) -> Self {
        let mut named = HashMap::new();
        let mut operations: HashMap<(At, &'a str), Vec<At>> = HashMap::new();
        for (document, one) in documents.all.iter().enumerate() {
            let root = At { document, node: 0 };
            let target = one.tree.nodes[0]
                .attribute("targetNamespace")
                .unwrap_or_default();
            let target = target.into();
            for kind in ["message", "portType", "binding"] {
                for at in documents.children(root, Vocabulary::Wsdl, kind) {
                    if let Some(name) = documents.node(at).attribute("name") {
                        named.entry((kind, QName::new(&target, name))).or_insert(at);
                    }
                }
            }
            for port_type in documents.children(root, Vocabulary::Wsdl, "portType") {
                for at in documents.children(port_type, Vocabulary::Wsdl, "operation") {
                    let name = documents.node(at).attribute("name").unwrap_or_default();
                    let same = operations.entry((port_type, name)).or_default();
                    if same.len() < OVERLOADS_MAX {
                        same.push(at);
                    }
                }
            }
        }
        Self {
            documents,
            named,
            operations,
            count: 0,
            left_out: Vec::new(),
        }
    }

    /// All services, with the ports that have operations.
    pub(super) fn services(&mut self) -> Vec<Service> {
        let documents = self.documents;
        let mut services = Vec::new();
        for document in 0..documents.all.len() {
            let root = At { document, node: 0 };
            for at in documents.children(root, Vocabulary::Wsdl, "service") {
                let name = self.name(at);
                let ports: Vec<Port> = documents
                    .children(at, Vocabulary::Wsdl, "port")
                    .filter_map(|port| self.port(port, &name))
                    .collect();
                if !ports.is_empty() {
                    services.push(Service { name, ports });
                }
            }
        }
        services
    }

    /// What an attribute names, among the parts of that kind.
    pub(super) fn find(&self, from: At, attribute: &str, kind: &'static str) -> Result<At, String> {
        let node = self.documents.node(from);
        let written = node.attribute(attribute).unwrap_or_default();
        let Some(name) = node.reference(attribute) else {
            return Err(match written.split_once(':') {
                Some((prefix, _)) => format!(
                    "it names the {kind} {}, and no xmlns:{} explains the prefix",
                    written.escape_debug(),
                    prefix.escape_debug()
                ),
                None => format!("it names no {kind}"),
            });
        };
        let found = self.named.get(&(kind, name.clone())).copied();
        found.ok_or_else(|| {
            format!("the {kind} {name} stands in none of the documents: import the one that has it")
        })
    }

    fn name(&self, at: At) -> String {
        let name = self.documents.node(at).attribute("name");
        name.unwrap_or_default().to_owned()
    }

    fn leave_out(&mut self, what: String, why: String) {
        self.left_out.push(LeftOut { what, why });
    }

    fn port(&mut self, at: At, service: &str) -> Option<Port> {
        let name = self.name(at);
        let bound = self
            .find(at, "binding", "binding")
            .and_then(|binding| self.binding(binding));
        let binding = match bound {
            Ok(binding) => binding,
            Err(why) => {
                self.leave_out(format!("port {name} of service {service}"), why);
                return None;
            }
        };
        let documents = self.documents;
        let address = documents
            .all_children(at)
            .map(|child| documents.node(child))
            .find(|node| node.is_soap("address"))
            .and_then(|node| node.attribute("location"));
        let mut operations = Vec::new();
        for bound in documents.children(binding.at, Vocabulary::Wsdl, "operation") {
            self.count += 1;
            if self.count > OPERATIONS_MAX {
                break;
            }
            match self.operation(&binding, bound) {
                Ok(operation) => operations.push(operation),
                Err(why) => {
                    let operation = self.name(bound);
                    self.leave_out(format!("operation {operation} of port {name}"), why);
                }
            }
        }
        if operations.is_empty() {
            return None;
        }
        Some(Port {
            name,
            version: binding.version,
            address: address.unwrap_or_default().to_owned(),
            operations,
        })
    }

    fn binding(&self, at: At) -> Result<Binding, String> {
        let children = self.documents.all_children(at);
        let soap = children
            .map(|child| self.documents.node(child))
            .find(|node| node.is_soap("binding"));
        let soap = soap.ok_or("its binding is not one of SOAP")?;
        let transport = soap.attribute("transport").unwrap_or(HTTP[0]);
        if !HTTP.contains(&transport.trim_end_matches('/')) {
            return Err(format!(
                "its messages travel by \"{}\", and only HTTP is spoken",
                transport.escape_debug()
            ));
        }
        Ok(Binding {
            at,
            version: match soap.vocabulary {
                Vocabulary::Soap12 => Version::V12,
                _ => Version::V11,
            },
            style: style(soap.attribute("style")).unwrap_or(Style::Document),
            port_type: self.find(at, "type", "portType")?,
        })
    }

    fn operation(&self, binding: &Binding, bound: At) -> Result<Operation, String> {
        let documents = self.documents;
        let name = self.name(bound);
        if name.is_empty() {
            return Err("it has no name that XML allows".into());
        }
        let meant = self.meant(binding.port_type, bound, &name)?;
        let soap = documents
            .all_children(bound)
            .map(|child| documents.node(child))
            .find(|node| node.is_soap("operation"));
        let style = soap
            .and_then(|node| style(node.attribute("style")))
            .unwrap_or(binding.style);
        let ways: Vec<At> = documents
            .all_children(meant)
            .filter(|child| matches!(documents.node(*child).name.as_str(), "input" | "output"))
            .collect();
        let is_input = |at: &At| documents.node(*at).name == "input";
        let (input, output) = match ways[..] {
            [input] if is_input(&input) => (input, None),
            [input, output] if is_input(&input) && !is_input(&output) => (input, Some(output)),
            [] => return Err("it has neither input nor output".into()),
            _ => return Err("its output comes first: the service calls, and is not called".into()),
        };
        let bound_to = |way| documents.children(bound, Vocabulary::Wsdl, way).next();
        let input = message(self, style, &name, input, (bound, bound_to("input")))?;
        let output = match output {
            Some(output) => {
                let answer = format!("{name}Response");
                Some(message(
                    self,
                    style,
                    &answer,
                    output,
                    (bound, bound_to("output")),
                )?)
            }
            None => None,
        };
        let called_after = input.root.as_ref().is_some_and(|root| root.name == name);
        Ok(Operation {
            is_wrapped: style == Style::Rpc || called_after,
            action: soap
                .and_then(|node| node.attribute("soapAction"))
                .unwrap_or_default()
                .to_owned(),
            name,
            style,
            input,
            output,
        })
    }

    /// The operation of a port type that a bound one is. Several may have one name: then their inputs' names tell.
    fn meant(&self, port_type: At, bound: At, name: &str) -> Result<At, String> {
        let documents = self.documents;
        let input = |operation: At| {
            let input = documents
                .children(operation, Vocabulary::Wsdl, "input")
                .next();
            input.and_then(|at| documents.node(at).attribute("name"))
        };
        let of_name = self
            .operations
            .get(&(port_type, name))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let same = of_name
            .iter()
            .find(|at| input(**at).is_some() && input(**at) == input(bound));
        let found = same.or(of_name.first()).copied();
        found.ok_or_else(|| {
            format!(
                "its port type has no operation {name}: binding and port type don't fit together"
            )
        })
    }
}

fn style(written: Option<&str>) -> Option<Style> {
    match written? {
        "rpc" => Some(Style::Rpc),
        "document" => Some(Style::Document),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
