use super::super::samples::{RPC, WMS, alone, beside, operation, outline, with};
use super::super::{Message, Operation, Style};

fn message(message: &Message) -> String {
    let root = message
        .root
        .as_ref()
        .map_or("-".to_owned(), ToString::to_string);
    let headers = message.headers.iter().map(|header| {
        let element = header
            .element
            .as_ref()
            .map_or("-".to_owned(), ToString::to_string);
        format!(" +{}={element}", header.part)
    });
    root + &headers.collect::<String>()
}

fn told(operation: &Operation) -> String {
    let style = match (operation.style, operation.is_wrapped) {
        (Style::Rpc, _) => "rpc",
        (Style::Document, true) => "wrapped",
        (Style::Document, false) => "bare",
    };
    let output = operation
        .output
        .as_ref()
        .map_or("one-way".to_owned(), message);
    format!(
        "{} [{}] {style} {} -> {output}",
        operation.name,
        operation.action,
        message(&operation.input)
    )
}

/// All ports and operations, a line each.
fn told_all(wsdl: &str) -> Vec<String> {
    let description = alone(wsdl);
    let mut lines = Vec::new();
    for (service, port) in description.ports() {
        lines.push(format!(
            "{}/{} {:?} {}",
            service.name, port.name, port.version, port.address
        ));
        lines.extend(port.operations.iter().map(told));
    }
    lines
}

#[test]
fn ports_and_operations_are_told_as_their_bindings_say() {
    assert_eq!(
        told_all(WMS),
        [
            "WmsEvents/Wms11 V11 http://wms.local:8088/wms/events",
            "PutMovements [urn:example:wms/PutMovements] wrapped {urn:example:wms}PutMovements -> {urn:example:wms}PutMovementsResponse",
            "ReportShipment [urn:example:wms/ReportShipment] wrapped {urn:example:wms}ReportShipment -> one-way",
            "ListMovements [urn:example:wms/ListMovements] wrapped {urn:example:wms}ListMovements -> {urn:example:wms}ListMovementsResponse",
            "WmsEvents/Wms12 V12 http://wms.local/wms12?a=1&b=2",
            "ReportShipment [urn:example:wms/ReportShipment] wrapped {urn:example:wms}ReportShipment -> one-way",
        ]
    );
    assert_eq!(
        told_all(RPC),
        [
            "Orders/OrdersPort V11 http://wms.local",
            "PutOrders [] rpc {urn:call}PutOrders -> {urn:call}PutOrdersResponse",
        ]
    );
}

#[test]
fn the_parts_of_rpc_are_unqualified_and_in_the_call() {
    let description = alone(RPC);
    let operation = operation(&description, "PutOrders");
    let input = description.body(&operation.input).expect("a body");
    assert_eq!(
        outline(&input),
        "{urn:call}PutOrders(TransactionId:string Orders({urn:types}Order*(@site:string {urn:types}OrderNo:int)))"
    );
    let output = operation
        .output
        .as_ref()
        .and_then(|output| description.body(output))
        .expect("an answer");
    assert_eq!(
        outline(&output),
        "{urn:call}PutOrdersResponse(Result:boolean)"
    );
}

const ELEMENTS: &str = "<x:schema targetNamespace='urn:t'><x:element name='In' type='x:int'/><x:element name='Op' type='x:int'/><x:element name='Head'/></x:schema>";

#[test]
fn parts_stand_in_the_body_or_in_headers() {
    let literal = "<s:body use='literal'/>";
    for (parts, bound, expected) in [
        ("<part name='p' element='t:In'/>", literal, "bare {urn:t}In"),
        (
            "<part name='p' element='t:Op'/>",
            literal,
            "wrapped {urn:t}Op",
        ),
        ("<part name='p' element='t:In'/>", "", "bare {urn:t}In"),
        ("", literal, "bare -"),
        (
            "<part name='h' element='t:Head'/><part name='p' element='t:In'/>",
            "<s:header message='t:M' part='h' use='literal'/><s:body use='literal'/>",
            "bare {urn:t}In +h={urn:t}Head",
        ),
        (
            "<part name='h' element='t:Head'/><part name='p' element='t:In'/>",
            "<s:body use='literal' parts='p'/>",
            "bare {urn:t}In",
        ),
        (
            "<part name='p' element='t:In'/><part name='file' type='x:base64Binary'/>",
            "<m:multipartRelated><m:part><s:body use='literal' parts='p'/></m:part><m:part><m:content part='file'/></m:part></m:multipartRelated>",
            "bare {urn:t}In",
        ),
        (
            "<part name='p' element='t:In'/>",
            "<s:header message='t:NoSuch' part='h' use='literal'/><s:body use='literal'/>",
            "bare {urn:t}In",
        ),
    ] {
        let description = alone(&with(ELEMENTS, parts, bound));
        assert_eq!(
            told(operation(&description, "Op")),
            format!("Op [a] {expected} -> one-way"),
            "{parts} {bound}"
        );
    }
}

fn refused(wsdl: &str, expected: &str) {
    let why = beside(wsdl, &[]).expect_err(expected);
    assert!(why.contains(expected), "{why}");
}

#[test]
fn what_can_not_be_used_is_refused_with_the_rule() {
    let good = with(
        ELEMENTS,
        "<part name='p' element='t:In'/>",
        "<s:body use='literal'/>",
    );
    for (part, instead, expected) in [
        (
            "use='literal'",
            "use='encoded'",
            "operation Op of port Port: its body is SOAP-encoded",
        ),
        (
            "element='t:In'",
            "type='x:int'",
            "its part p names a type, where the body of a document has an element",
        ),
        (
            "element='t:In'",
            "element='u:In'",
            "its part p names no element whose prefix is explained",
        ),
        (
            "<part name='p' element='t:In'/>",
            "<part name='p' element='t:In'/><part name='q' element='t:Op'/>",
            "its body has 2 parts",
        ),
        (
            "message name='M'",
            "message name='N'",
            "the message {urn:t}M stands in none of the documents",
        ),
        (
            "input message='t:M'",
            "input message='u:M'",
            "no xmlns:u explains the prefix",
        ),
        ("input message='t:M'", "input", "it names no message"),
        (
            "<operation name='Op'><input message='t:M'/></operation>",
            "<operation name='Other'><input message='t:M'/></operation>",
            "its port type has no operation Op",
        ),
        (
            "<operation name='Op'><input message='t:M'/></operation>",
            "<operation name='Op'/>",
            "it has neither input nor output",
        ),
        (
            "<operation name='Op'><input message='t:M'/></operation>",
            "<operation name='Op'><output message='t:M'/></operation>",
            "its output comes first",
        ),
        (
            "<operation name='Op'><input message='t:M'/></operation>",
            "<operation name='Op'><output message='t:M'/><input message='t:M'/></operation>",
            "its output comes first",
        ),
        (
            "<operation name='Op'><s:operation",
            "<operation name='O p'><s:operation",
            "it has no name that XML allows",
        ),
        (
            "<s:binding/>",
            "<s:binding transport='http://schemas.xmlsoap.org/soap/smtp'/>",
            "only HTTP is spoken",
        ),
        (
            "<s:binding/>",
            "",
            "port Port of service S: its binding is not one of SOAP",
        ),
        (
            "binding='t:B'",
            "binding='auth:B'",
            "it names the binding auth:B, and no xmlns:auth explains the prefix",
        ),
        (
            "<service name='S'>",
            "<other name='S'>",
            "name the WSDL that has the service",
        ),
    ] {
        let changed = good
            .replace(part, instead)
            .replace("<other name='S'>", "<types>")
            .replace(
                if part.starts_with("<service") {
                    "</service>"
                } else {
                    "</none>"
                },
                "</types>",
            );
        assert_ne!(changed, good, "{part}");
        refused(&changed, expected);
    }
    refused("<!DOCTYPE d><d/>", "a DOCTYPE stands here");
}

#[test]
fn one_operation_that_can_not_be_used_leaves_the_others() {
    let changed = WMS.replace("<d:message name=\"ListIn\">", "<d:message name=\"Gone\">");
    let description = alone(&changed);
    let names: Vec<&str> = description
        .ports()
        .flat_map(|(_, port)| &port.operations)
        .map(|operation| operation.name.as_str())
        .collect();
    assert_eq!(names, ["PutMovements", "ReportShipment", "ReportShipment"]);
    let left_out: Vec<String> = description
        .left_out
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        left_out,
        [
            "operation ListMovements of port Wms11: the message {urn:example:wms}ListIn stands in none of the documents: import the one that has it",
        ]
    );
}

#[test]
fn operations_of_one_name_are_told_apart_by_their_inputs() {
    let wsdl = with(
        ELEMENTS,
        "<part name='p' element='t:In'/>",
        "<s:body use='literal'/>",
    )
    .replace("<portType name='P'>", "<message name='N'><part name='p' element='t:Head'/></message><portType name='P'><operation name='Op'><input name='other' message='t:N'/></operation>")
    .replace("<input message='t:M'/>", "<input name='mine' message='t:M'/>")
    .replace("<input><s:body", "<input name='mine'><s:body");
    let description = alone(&wsdl);
    assert_eq!(
        told(operation(&description, "Op")),
        "Op [a] bare {urn:t}In -> one-way"
    );
}

#[test]
fn a_description_may_be_spread_over_documents() {
    let at = WMS.find("<d:service").expect("a service");
    let (abstract_part, service) = WMS.split_at(at);
    let head =
        &WMS[WMS.find("<d:definitions").expect("a root")..WMS.find("<d:types").expect("types")];
    let main = format!(
        "{head}<d:import namespace=\"urn:example:wms\" location=\"parts/wms-types.wsdl\"/>{service}"
    );
    let part = format!("{abstract_part}</d:definitions>");
    let description = beside(&main, &[("parts/wms-types.wsdl", &part)]).expect("a description");
    assert_eq!(description.ports().count(), 2);
    assert_eq!(description.documents, ["parts/wms-types.wsdl"]);
}

#[test]
fn a_description_with_too_much_in_it_is_refused() {
    let many = |what: &str, number: usize| {
        (0..number)
            .map(|number| what.replace('#', &number.to_string()))
            .collect::<String>()
    };
    let good = with(
        ELEMENTS,
        "<part name='p' element='t:In'/>",
        "<s:body use='literal'/>",
    );
    let parts = good.replace(
        "<part name='p' element='t:In'/>",
        &many("<part name='p#' element='t:In'/>", 101),
    );
    refused(&parts, "its message has more than 100 parts");
    let one = "<operation name='Op'><s:operation soapAction='a'/><input><s:body use='literal'/></input></operation>";
    let operations = good.replace(one, &one.repeat(101));
    let ports = operations.replace(
        "<port name='Port'",
        &format!(
            "{}<port name='Port'",
            many("<port name='P#' binding='t:B'/>", 100)
        ),
    );
    refused(&ports, "more than 10000 operations");
}

#[test]
fn a_description_that_is_cut_anywhere_is_refused() {
    for at in (0..WMS.trim_end().len()).step_by(13) {
        let cut = &WMS[..at];
        beside(cut, &[]).expect_err(cut);
    }
}
