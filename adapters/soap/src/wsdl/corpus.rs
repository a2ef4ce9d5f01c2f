//! Others' descriptions: those of Apache CXF, node-soap and zeep where they lie beside the project, and those of our own peers.

use std::path::{Path, PathBuf};

use super::samples::operation;
use super::{Choice, Description, Way, propose, publish, read, request_template};

const ADDRESS: &str = "http://dray.example/wms";

/// What a description says, looked up by hand in each: so many operations of all ports and so many left out, or why it is refused.
/// Of our own that nothing is left out.
#[derive(Debug, Clone, Copy)]
enum Says {
    Operations(usize, usize),
    Refused(&'static str),
    All,
}
use Says::{All, Operations, Refused};

/// By the beginnings of their paths; the first that fits.
const CORPUS: &[(&str, Says)] = &[
    ("cxf/hello_world_wssec", Operations(3, 0)),
    ("cxf/mtom_xop", Operations(2, 0)),
    (
        "node-soap/wsdl/builtin_types",
        Refused("its body has 44 parts"),
    ),
    (
        "node-soap/wsdl/multi-service",
        Refused("sayBye of port Bye_Port: its body is SOAP-encoded"),
    ),
    (
        "node-soap/wsdl/perf/order",
        Refused("it imports ns1.xsd, which can't be read"),
    ),
    ("node-soap/wsdl/recursive", Operations(1, 1)),
    ("node-soap/wsdl/rpcexample", Refused("and 10 more")),
    ("node-soap/wsdl/strict/stockquote", Operations(3, 0)),
    (
        "node-soap/wsdl/ws-policy",
        Refused("it imports Common.xsd, Name.xsd, which can't be read"),
    ),
    ("python-zeep/claim", Refused("SOAP-encoded")),
    ("python-zeep/soap.wsdl", Operations(2, 0)),
    ("python-zeep/soap_header", Operations(1, 0)),
    // Both versions of SOAP.
    (
        "node-soap/request-response-samples/addPets__",
        Operations(2, 0),
    ),
    (
        "node-soap/request-response-samples/GetNodes__",
        Operations(2, 0),
    ),
    (
        "node-soap/request-response-samples/GetSubscription__",
        Operations(2, 0),
    ),
    // Its elements are in no namespace of WSDL.
    (
        "node-soap/request-response-samples/attachments__",
        Refused("of a namespace that is not known"),
    ),
    (
        "node-soap/request-response-samples/getAttachments__",
        Refused("SOAP-encoded"),
    ),
    (
        "node-soap/request-response-samples/NoParams__",
        Refused("SOAP-encoded"),
    ),
    (
        "node-soap/request-response-samples/getAvailability__should_not_fail_without_children/imported",
        Refused("no xmlns:auth explains the prefix"),
    ),
    (
        "node-soap/request-response-samples/getAvailability__should_not_fail_without_children/soap",
        Operations(1, 1),
    ),
    (
        "node-soap/request-response-samples/RetrieveFareQuoteDateRange__should_handle_child_namespaces/childs",
        Refused("it is a schema (XSD), which says how messages look"),
    ),
    (
        "node-soap/request-response-samples/RetrieveFareQuoteDateRange__should_handle_child_namespaces/soap",
        Operations(1, 0),
    ),
    (
        "node-soap/request-response-samples/login__",
        Refused("climbs out of the WSDL's folder"),
    ),
    (
        "node-soap/request-response-samples/Dummy__",
        Operations(1, 0),
    ),
    (
        "node-soap/request-response-samples/UpdateProfile__",
        Operations(1, 0),
    ),
    (
        "node-soap/request-response-samples/RequestHeaders__",
        Operations(1, 0),
    ),
    (
        "node-soap/request-response-samples/GetItemInformation__",
        Operations(1, 0),
    ),
    (
        "node-soap/request-response-samples/OneWay__",
        Operations(1, 0),
    ),
    (
        "node-soap/request-response-samples/createData__",
        Operations(1, 0),
    ),
    (
        "node-soap/request-response-samples/fooOp__",
        Operations(1, 0),
    ),
];

const PEERS: &[(&str, Says)] = &[
    ("wms-rpc.wsdl", Operations(1, 0)),
    ("wms.wsdl", Operations(4, 0)),
    ("", All),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "wsdl") {
            found.push(path);
        }
    }
}

/// Each file of a folder says what the table has of it, and each line of the table is about one.
fn check_all(folder: &str, table: &[(&str, Says)]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    files(&root, &mut found);
    let mut used = vec![false; table.len()];
    for path in &found {
        let name = path
            .strip_prefix(&root)
            .unwrap_or(path)
            .display()
            .to_string();
        let line = table
            .iter()
            .position(|(beginning, _)| name.starts_with(beginning));
        let line = line.unwrap_or_else(|| panic!("{name}: what does it say?"));
        used[line] = true;
        check(path, &name, table[line].1);
    }
    for ((beginning, _), used) in table.iter().zip(used) {
        assert!(
            used || found.is_empty() || beginning.is_empty(),
            "{beginning}: there is no such file"
        );
    }
}

fn check(path: &Path, name: &str, says: Says) {
    let folder = path.parent().expect("a folder");
    let bytes = std::fs::read(path).expect("the file");
    let load = |location: &str| {
        std::fs::read(folder.join(location)).map_err(|error| error.kind().to_string())
    };
    match (read(&bytes, &load), says) {
        (Ok(description), Operations(..) | All) => {
            let count: usize = description
                .ports()
                .map(|(_, port)| port.operations.len())
                .sum();
            let expected = match says {
                Operations(operations, left_out) => (operations, left_out),
                All | Refused(_) => (count, 0),
            };
            assert_eq!(
                (count, description.left_out.len()),
                expected,
                "{name}: {:?}",
                description.left_out
            );
            proposals(&description, name);
            let published =
                publish(&bytes, &load, ADDRESS).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(published.len(), description.documents.len() + 1, "{name}");
            let text = String::from_utf8(published[0].1.clone()).expect("UTF-8");
            assert!(text.contains(&format!("\"{ADDRESS}\"")), "{name}");
        }
        (Err(why), Refused(rule)) => assert!(why.contains(rule), "{name}: {why}"),
        (Ok(_), Refused(rule)) => panic!("{name} is read, and should be refused: {rule}"),
        (Err(why), Operations(..) | All) => panic!("{name}: {why}"),
    }
}

/// What is proposed of each operation is TOML, and each request a template.
fn proposals(description: &Description, name: &str) {
    for (_, port) in description.ports() {
        for one in &port.operations {
            let asked = [one.name.as_str()];
            for way in [Way::Ask, Way::Receive] {
                let choice = Choice {
                    way,
                    wsdl: "/etc/dray/wms.wsdl",
                    templates: "/etc/dray",
                    port: Some(&port.name),
                    operations: &asked,
                };
                match propose(description, &choice) {
                    Ok(proposal) => assert!(
                        toml::from_str::<toml::Table>(&proposal.flow).is_ok(),
                        "{name}: {}",
                        proposal.flow
                    ),
                    Err(why) => assert!(one.output.is_none() && way == Way::Ask, "{name}: {why}"),
                }
            }
            let text = request_template(description, operation(description, &one.name));
            crate::template::Template::new(&text, true)
                .unwrap_or_else(|why| panic!("{name}: {why}: {text}"));
        }
    }
}

#[test]
fn the_descriptions_of_other_projects_are_read_or_refused_with_the_rule() {
    check_all("../../../shared/corpora/soap", CORPUS);
}

#[test]
fn the_descriptions_of_our_peers_are_read() {
    check_all("../../tests/peers/soap", PEERS);
}
