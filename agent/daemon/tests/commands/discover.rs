//! What `soap-discover` proposes, and what it says besides.

use std::path::Path;
use std::process::{Command, Output};

/// A service that lists and puts, document/literal.
const WSDL: &str = r#"<definitions targetNamespace="urn:t" xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:t"
    xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">
  <types><x:schema targetNamespace="urn:t">
    <x:element name="CreateRow"><x:complexType><x:sequence><x:element name="Site" type="x:string"/></x:sequence></x:complexType></x:element>
    <x:element name="CreateRowResponse"><x:complexType><x:sequence><x:element name="Id" type="x:string"/></x:sequence></x:complexType></x:element>
  </x:schema></types>
  <message name="In"><part name="p" element="t:CreateRow"/></message>
  <message name="Out"><part name="p" element="t:CreateRowResponse"/></message>
  <portType name="P"><operation name="CreateRow"><input message="t:In"/><output message="t:Out"/></operation></portType>
  <binding name="B" type="t:P"><s:binding/><operation name="CreateRow"><s:operation soapAction="a"/>
    <input><s:body use="literal"/></input><output><s:body use="literal"/></output></operation></binding>
  <service name="S"><port name="Port" binding="t:B"><s:address location="http://127.0.0.1:1/rows"/></port></service>
</definitions>
"#;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dray-agent"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_left_to_fill_in_is_told_until_somebody_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::write(folder.join("rows.wsdl"), WSDL).expect("a file");
    let discover = || run(folder, &["soap-discover", "rows.wsdl"]);
    let output = discover();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let begin = [
        "./create-row.xml is written: the flow names it",
        "! CreateRow changes something by its name, and would be asked every 60s",
        "! ./create-row.xml still holds ? in line 2: write the value there",
    ];
    assert_eq!(lines.len(), begin.len(), "{said}");
    for (line, begin) in lines.iter().zip(begin) {
        assert!(line.starts_with(begin), "{said}");
    }
    let flow = text(&output.stdout);
    assert!(
        flow.contains("/create-row.xml still holds ? in line 2"),
        "{flow}"
    );

    let head = "site = \"north\"\ndata_dir = \"DIR\"\ncollector = \"127.0.0.1:1\"\n";
    let head = head.replace("DIR", &folder.display().to_string());
    std::fs::write(folder.join("agent.toml"), format!("{head}{flow}")).expect("a file");
    let check = || text(&run(folder, &["check", "--config", "agent.toml"]).stdout);
    let told = "/create-row.xml still holds ? in line 2: write the value there";
    assert!(check().contains(told), "{}", check());

    let request = folder.join("create-row.xml");
    let filled = std::fs::read_to_string(&request).expect("the request");
    std::fs::write(&request, filled.replace('?', "North")).expect("a file");
    assert!(!check().contains("still holds"), "{}", check());
    let said = text(&discover().stderr);
    assert!(
        said.starts_with("./create-row.xml is there already and stays as it is: look"),
        "{said}"
    );
    assert!(!said.contains("still holds"), "{said}");
}

#[test]
fn an_operation_that_only_reads_is_told_to_who_wants_to_be_called() {
    let folder = tempfile::tempdir().expect("a folder");
    let wsdl = WSDL.replace("CreateRow", "ListRows");
    std::fs::write(folder.path().join("rows.wsdl"), wsdl).expect("a file");
    let output = run(folder.path(), &["soap-discover", "--receive", "rows.wsdl"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = "! ListRows only reads by its name, and dray has nothing to answer it with; to ask";
    assert!(said.lines().any(|line| line.starts_with(told)), "{said}");
}

#[test]
fn what_is_no_wsdl_is_said_with_where_one_is() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("page"), "<!DOCTYPE html>").expect("a file");
    for (file, expected) in [
        (
            "page",
            "dray-agent: page: it is a page of HTML, and no WSDL; a service usually gives",
        ),
        (
            "http://wms.local/s?wsdl",
            "dray-agent: http://wms.local/s?wsdl: nothing is fetched: save",
        ),
    ] {
        let output = run(folder.path(), &["soap-discover", file]);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.starts_with(expected), "{said}");
    }
}
