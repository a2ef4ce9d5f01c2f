use serde::Deserialize;

use super::super::samples::{RPC, WMS, alone, with_schema};
use super::*;
use crate::poll::SoapPollConfig;
use crate::receive::SoapReceiveConfig;

fn choice<'a>(way: Way, operations: &'a [&'a str]) -> Choice<'a> {
    Choice {
        way,
        wsdl: "/etc/dray/wms.wsdl",
        templates: "/etc/dray",
        port: None,
        operations,
    }
}

/// A flow as far as its fields are looked at here.
#[derive(Debug, Deserialize)]
struct Flow {
    source: toml::Table,
}

#[derive(Deserialize)]
struct Whole {
    flow: Vec<Flow>,
}

/// What is proposed, which is read as a configuration without faults.
fn proposed(wsdl: &str, choice: &Choice<'_>) -> Result<String, String> {
    let text = propose(&alone(wsdl), choice)?.flow;
    let whole: Whole = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let source = &whole.flow[0].source;
    match source["kind"].as_str() {
        Some("soap-receive") => {
            let config: SoapReceiveConfig = source.clone().try_into().expect(&text);
            assert_eq!(config.faults(), [], "{text}");
        }
        kind => {
            assert_eq!(kind, Some("soap-poll"), "{text}");
            let config: SoapPollConfig = source.clone().try_into().expect(&text);
            assert_eq!(config.faults(), [], "{text}");
        }
    }
    Ok(text)
}

#[test]
fn a_flow_that_is_called_has_all_operations_of_the_port() {
    let text = proposed(
        WMS,
        &choice(Way::Receive, &["PutMovements", "ReportShipment"]),
    )
    .expect("a flow");
    assert_eq!(text, include_str!("called.toml"));
}

#[test]
fn a_flow_that_asks_has_the_answer_s_records() {
    let text = proposed(WMS, &choice(Way::Ask, &["ListMovements"])).expect("a flow");
    assert_eq!(text, include_str!("asking.toml"));
}

#[test]
fn rpc_parts_carry_no_prefix() {
    let text = proposed(RPC, &choice(Way::Receive, &[])).expect("a flow");
    for line in [
        "root = \"w:PutOrders\"",
        "record = \"Orders/w2:Order\"",
        "namespaces = { w = \"urn:call\", w2 = \"urn:types\" }",
        "key = \"TransactionId\"",
        "response = \"/etc/dray/put-orders-response.xml\"",
        "SITE = \"@site\"",
        "ORDER_NO = \"w2:OrderNo\"",
        "TRANSACTION_ID = \"../../TransactionId\"",
        "path = \"/\"",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}: {text}");
    }
    assert!(!text.contains("\naction"), "{text}");
}

#[test]
fn what_is_chosen_must_be_there_and_say_enough() {
    let port = |port| Choice {
        port: Some(port),
        ..choice(Way::Receive, &[])
    };
    for (choice, expected) in [
        (
            choice(Way::Ask, &[]),
            "name one of PutMovements, ReportShipment, ListMovements",
        ),
        (
            choice(Way::Ask, &["ReportShipment"]),
            "such calls can be received, and not asked",
        ),
        (
            choice(Way::Receive, &["NoSuch"]),
            "port Wms12 of service WmsEvents (SOAP 1.2): ReportShipment",
        ),
        (port("NoSuch"), "no port has what is asked for"),
    ] {
        let why = proposed(WMS, &choice).expect_err(expected);
        assert!(why.contains(expected), "{why}");
    }
    let twelve = Choice {
        way: Way::Receive,
        ..port("Wms12")
    };
    assert!(
        proposed(WMS, &twelve)
            .expect("a flow")
            .contains("path = \"/wms12\"")
    );
    let empty = with_schema("").replace("<part name='p' element='t:In'/>", "");
    let why = proposed(&empty, &choice(Way::Receive, &[])).expect_err("nothing");
    assert!(
        why.contains("no operation of port Port has a body with something in it"),
        "{why}"
    );
}

fn input(inside: &str) -> String {
    with_schema(&format!(
        "<x:schema targetNamespace='urn:t'><x:element name='In'><x:complexType>{inside}</x:complexType></x:element>
         <x:complexType name='Node'><x:sequence><x:element name='Node' type='t:Node'/></x:sequence></x:complexType></x:schema>"
    ))
}

/// The settings from the key on, and the mapping's key.
fn check(inside: &str, expected: &[&str]) {
    let text = proposed(&input(inside), &choice(Way::Receive, &[])).expect("a flow");
    for line in expected {
        assert!(text.lines().any(|known| known == *line), "{line}: {text}");
    }
}

#[test]
fn columns_have_names_of_their_own() {
    check(
        "<x:sequence><x:element name='Id'/><x:element name='id'/><x:element name='ID-2'/><x:element name='_id'/><x:element name='_'/><x:element name='Größe' type='x:int'/></x:sequence>",
        &[
            "ID = \"Id\"",
            "ID_2 = \"id\"",
            "ID_2_2 = \"ID-2\"",
            "ID_3 = \"_id\"",
            "VALUE = \"_\"",
            "\"GRÖSSE\" = \"Größe\"",
        ],
    );
    let around = "<x:sequence><x:element name='Id' type='x:int'/><x:element name='Line' maxOccurs='2'><x:complexType>
        <x:attribute name='Id' type='x:int' use='required'/></x:complexType></x:element></x:sequence><x:attribute name='site'/>";
    check(
        around,
        &[
            "ID = \"@Id\"",
            "IN_ID = \"../Id\"",
            "SITE = \"../@site\"",
            "record = \"Line\"",
            "key = \"ID\"",
        ],
    );
}

#[test]
fn a_record_without_known_values_is_one_text() {
    check(
        "",
        &[
            "TEXT = \".\"",
            "key = { default = \"-\" }",
            "# - Op: No value is known that is in it: TEXT is all of its text.",
        ],
    );
    check(
        "<x:sequence><x:element name='Code' type='x:int' maxOccurs='unbounded'/></x:sequence>",
        &["record = \"Code\"", "CODE = \".\"", "key = \"CODE\""],
    );
    check(
        "<x:sequence><x:element name='Tree' type='t:Node'/></x:sequence>",
        &[
            "# - Op: What is in Tree/Node is not told by the schema, or holds itself: it is no field.",
        ],
    );
}

#[test]
fn what_repeats_in_a_record_is_joined_or_told() {
    check(
        "<x:sequence><x:element name='Order' maxOccurs='2'><x:complexType><x:sequence><x:element name='Note' maxOccurs='9'/>
         <x:element name='Line' maxOccurs='9'><x:complexType><x:attribute name='no'/></x:complexType></x:element></x:sequence></x:complexType></x:element></x:sequence>",
        &[
            "NOTE = { path = \"Note\", join = \",\" }",
            "# - Op: Within a record Line repeats, and is no field: if each of those is a record, put it behind the path in",
        ],
    );
}

#[test]
fn a_description_writes_no_lines_of_a_configuration() {
    let evil = "urn:t&#10;]]&#10;[flow.evil]&#10;x = &quot;\\";
    let wsdl = with_schema(&format!(
        "<x:schema targetNamespace='{evil}'><x:element name='In' type='x:string'/></x:schema>"
    ))
    .replace(
        "<part name='p' element='t:In'/>",
        &format!("<part name='p' element='e:In' xmlns:e='{evil}'/>"),
    )
    .replace("soapAction='a'", &format!("soapAction='{evil}'"))
    .replace("http://h/p/", &format!("http://h/{evil}"));
    let text = proposed(&wsdl, &choice(Way::Receive, &[])).expect("a flow");
    assert!(
        !text
            .lines()
            .any(|line| line.trim_start().starts_with("[flow.evil")),
        "{text}"
    );
}

#[test]
fn an_address_that_can_not_be_asked_is_replaced_and_said() {
    for address in ["REPLACE_ME", "http://wms/a b", "http://", "http://u:p@wms/"] {
        let wsdl = WMS.replace("http://wms.local:8088/wms/events", address);
        let text = proposed(&wsdl, &choice(Way::Ask, &["ListMovements"])).expect("a flow");
        assert!(
            text.contains("\nurl = \"http://wms.local/service\"\n"),
            "{text}"
        );
        assert!(
            text.contains("# - The WSDL has no address that can be asked"),
            "{text}"
        );
    }
}

#[test]
fn a_flow_is_no_longer_than_a_person_reads() {
    let fields: String = (0..500)
        .map(|number| format!("<x:element name='{}{number}'/>", "E".repeat(200)))
        .collect();
    let declared = |number| format!("<x:element name='In{number}' type='t:Many'/>");
    let schema = format!(
        "<x:schema targetNamespace='urn:t'><x:complexType name='Many'><x:sequence>{fields}</x:sequence></x:complexType>{}</x:schema>",
        (0..20).map(declared).collect::<String>()
    );
    let each = |written: &dyn Fn(usize) -> String| (0..20).map(written).collect::<String>();
    let wsdl = with_schema(&schema)
        .replace("<message name='M'><part name='p' element='t:In'/></message>", &each(&|number| {
            format!("<message name='M{number}'><part name='p' element='t:In{number}'/></message>")
        }))
        .replace("<operation name='Op'><input message='t:M'/></operation>", &each(&|number| {
            format!("<operation name='Op{number}'><input message='t:M{number}'/></operation>")
        }))
        .replace("<operation name='Op'><s:operation soapAction='a'/><input><s:body use='literal'/></input></operation>", &each(&|number| {
            format!("<operation name='Op{number}'><input><s:body/></input></operation>")
        }));
    let text = proposed(&wsdl, &choice(Way::Receive, &[])).expect("a flow");
    assert!(text.len() < 2 * 1024 * 1024, "{} bytes", text.len());
    let told = "# - Op19 is left out: the flow is longer than 1048576 bytes without it.";
    assert!(text.contains("name = \"Op0\"") && text.contains(told));
}

#[test]
fn only_so_many_doubts_are_told() {
    let ports: String = (0..300)
        .map(|number| format!("<port name='P{number}' binding='t:None'/>"))
        .collect();
    let wsdl = input("").replace("<port name='Port'", &format!("{ports}<port name='Port'"));
    let text = proposed(&wsdl, &choice(Way::Receive, &[])).expect("a flow");
    assert!(text.contains("# - And 203 more of the kind.\n"), "{text}");
}

#[test]
fn what_goes_on_from_answer_to_answer_is_proposed_as_tables() {
    let without_pages = WMS.replace("name=\"PageToken\"", "name=\"Other\"");
    for (request, expected) in [
        (
            "Since",
            "watermark = { column = \"CHANGED_AT\", start = \"1970-01-01T00:00:00Z\" }",
        ),
        ("Warehouse", ""),
    ] {
        let wsdl = without_pages.replace("name=\"Since\"", &format!("name=\"{request}\""));
        assert_eq!(
            tables_of(&wsdl),
            toml::from_str(expected).expect(expected),
            "{request}"
        );
    }
    let numbered = WMS
        .replace("name=\"NextPageToken\"", "name=\"Note\"")
        .replace(
            "name=\"PageToken\" type=\"x:string\"",
            "name=\"Page\" type=\"x:int\"",
        );
    let numbered = numbered.replace(
        "name=\"Since\" type=\"x:dateTime\"",
        "name=\"LastId\" type=\"x:long\"",
    );
    let expected = "watermark = { column = \"ID\", start = \"0\" }\npages = { by = \"number\", first = 1, size = 100 }";
    assert_eq!(
        tables_of(&numbered),
        toml::from_str(expected).expect(expected)
    );
    // What the answer names is what the next page is asked with, whatever the request calls it.
    for (next, type_name, expected) in [
        (
            "NextPage",
            "int",
            "by = \"token\"\npath = \"w:NextPage\"\nsize = 100",
        ),
        (
            "nextToken",
            "string",
            "by = \"token\"\npath = \"w:nextToken\"\nsize = 100",
        ),
        (
            "HasMore",
            "boolean",
            "by = \"number\"\nfirst = 1\nsize = 100",
        ),
    ] {
        let wsdl = numbered.replace(
            "name=\"Note\" type=\"x:string\"",
            &format!("name=\"{next}\" type=\"x:{type_name}\""),
        );
        let pages = toml::Value::Table(toml::from_str(expected).expect(expected));
        assert_eq!(tables_of(&wsdl)["pages"], pages, "{next}");
        let proposal = propose(&alone(&wsdl), &choice(Way::Ask, &["ListMovements"]));
        let proposal = proposal.expect("a flow");
        let (_, request) = &proposal.templates[0];
        let place = if expected.contains("token") {
            "<w:Page>{{ token or 1 }}</w:Page>"
        } else {
            "<w:Page>{{ page }}</w:Page>"
        };
        assert!(request.contains(place), "{request}");
        let told = proposal
            .flow
            .contains("The answer's HasMore is not looked at");
        assert_eq!(told, next == "HasMore", "{}", proposal.flow);
    }
    let unanswered = WMS.replace("name=\"NextPageToken\"", "name=\"Note\"");
    assert_eq!(
        tables_of(&unanswered)["pages"]["path"].as_str(),
        Some("...")
    );
}

#[test]
fn a_token_is_taken_before_a_page_and_nothing_is_said_of_numbers() {
    let wsdl = WMS
        .replace(
            "name=\"NextPageToken\" type=\"x:string\"",
            "name=\"HasMore\" type=\"x:boolean\"",
        )
        .replace(
            "name=\"Warehouse\" type=\"x:string\"",
            "name=\"Page\" type=\"x:int\"",
        );
    assert_eq!(tables_of(&wsdl)["pages"]["by"].as_str(), Some("token"));
    let text = proposed(&wsdl, &choice(Way::Ask, &["ListMovements"])).expect("a flow");
    assert!(!text.contains("by number"), "{text}");
}

#[test]
fn a_flow_that_asks_has_a_key_where_each_record_has_an_identity() {
    let id = "<x:element name=\"Id\" type=\"x:string\"/>";
    let optional = id.replace("/>", " minOccurs=\"0\"/>");
    let other = id.replace("\"Id\"", "\"Remark\"");
    for (instead, expected) in [
        (id, "\nkey = \"ID\"\n[flow.source.fields]\n"),
        (
            &optional,
            "\n# key = \"ID\"  # only if each record has it; without a key the newest record may come again",
        ),
        (
            &other,
            "\n# key = \"...\"  # the column that tells one record from another; without a key",
        ),
    ] {
        let wsdl = WMS.replace(id, instead);
        let text = proposed(&wsdl, &choice(Way::Ask, &["ListMovements"])).expect("a flow");
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn an_operation_that_was_left_out_is_told_with_the_message_that_is_missing() {
    let wsdl = WMS.replace("<d:message name=\"ListIn\">", "<d:message name=\"Gone\">");
    let named = choice(Way::Ask, &["ListMovements"]);
    let why = proposed(&wsdl, &named).expect_err("it is left out");
    let told = "Left out: operation ListMovements of port Wms11: the message {urn:example:wms}ListIn stands in none of the documents";
    assert!(why.contains(told), "{why}");
    let why = proposed(&wsdl, &choice(Way::Ask, &["NoSuch"])).expect_err("it is not there");
    assert!(!why.contains("Left out"), "{why}");
}

/// The tables that are proposed as comments, without their marks.
fn tables_of(wsdl: &str) -> toml::Table {
    let text = proposed(wsdl, &choice(Way::Ask, &["ListMovements"])).expect("a flow");
    let (_, behind) = text.split_once("\n[flow.source.fields]\n").expect("fields");
    let lines = behind.lines().filter_map(|line| line.strip_prefix("# "));
    let tables = lines.map(|line| format!("{line}\n")).collect::<String>();
    let tables: toml::Table = toml::from_str(&tables).expect(&tables);
    let more = tables
        .get("flow")
        .and_then(|flow| flow.get("source"))
        .and_then(toml::Value::as_table);
    let more = more.cloned().unwrap_or_default();
    // With them the flow is as good as without, but for what has to be filled in.
    let whole: Whole = toml::from_str(&text).expect(&text);
    let mut source = whole.flow[0].source.clone();
    source.extend(more.clone());
    let config: SoapPollConfig = source.try_into().expect(&text);
    let mut faults = config.faults();
    faults.retain(|(setting, _)| setting != "pages.path" || !text.contains("path = \"...\""));
    assert_eq!(faults, [], "{text}");
    more
}

fn receiving(wsdl: &str, operations: &[&str]) -> Proposal {
    propose(&alone(wsdl), &choice(Way::Receive, operations)).expect("a flow")
}

#[test]
fn of_two_operations_of_one_element_the_one_left_out_is_told_with_the_way_to_take_it() {
    let wsdl = WMS.replace(
        "<d:part name=\"parameters\" element=\"t:ReportShipment\"/>",
        "<d:part name=\"parameters\" element=\"t:PutMovements\"/>",
    );
    let warnings = receiving(&wsdl, &["PutMovements", "ReportShipment"]).warnings;
    assert_eq!(
        warnings,
        [
            "ReportShipment is left out: its body's element {urn:example:wms}PutMovements is that of PutMovements, which is taken, and by it they are told apart. To take ReportShipment, name the operations that are meant, ReportShipment among them and PutMovements not."
        ]
    );
    let other = receiving(&wsdl, &["ReportShipment"]);
    assert_eq!(other.warnings, [""; 0]);
    assert!(other.flow.contains("name = \"ReportShipment\""));
}

#[test]
fn operations_that_only_read_are_told_with_the_way_to_leave_them_out() {
    let told = "ListMovements only reads by its name, and dray has nothing to answer it with; ";
    for (operations, way_out) in [
        (
            &[][..],
            "leave it out: dray-agent soap-discover --receive /etc/dray/wms.wsdl PutMovements ReportShipment",
        ),
        (
            &["ListMovements"],
            "to ask the service instead, leave out --receive, and name one operation",
        ),
    ] {
        let proposal = receiving(WMS, operations);
        assert_eq!(proposal.warnings, [format!("{told}{way_out}")]);
        assert!(
            proposal.flow.contains("\n# - ListMovements only reads"),
            "{}",
            proposal.flow
        );
    }
    let writing = receiving(WMS, &["PutMovements", "ReportShipment"]);
    assert_eq!(writing.warnings, [""; 0]);
}

#[test]
fn values_that_could_not_be_known_are_told_by_file_and_line() {
    let asking = proposed(WMS, &choice(Way::Ask, &["ListMovements"])).expect("a flow");
    let told = "\n# - /etc/dray/list-movements.xml still holds ? in line 3: write the value there";
    assert!(asking.contains(told), "{asking}");
    let called = receiving(RPC, &[]).flow;
    let told = "\n# - /etc/dray/put-orders-response.xml still holds ? in line 2: write";
    assert!(called.contains(told), "{called}");
}

#[test]
fn an_operation_that_writes_by_its_name_is_asked_with_a_warning() {
    let asking = propose(&alone(RPC), &choice(Way::Ask, &["PutOrders"])).expect("a flow");
    let told = "PutOrders changes something by its name, and would be asked every 60s";
    assert!(
        asking.warnings[0].starts_with(told),
        "{:?}",
        asking.warnings
    );
    assert!(
        asking
            .flow
            .contains("\n# - PutOrders changes something by its name")
    );
}

#[test]
fn each_template_has_a_name_of_its_own() {
    let operation = |name: &str| {
        [
            format!(
                "<operation name='{name}'><input message='t:In'/><output message='t:Out'/></operation>"
            ),
            format!(
                "<operation name='{name}'><input><s:body use='literal' namespace='urn:call'/></input><output><s:body use='literal' namespace='urn:call'/></output></operation>"
            ),
        ]
    };
    let long = "PutAllOrdersOfTheWarehouseThatWereChangedSince";
    let names = [
        format!("{long}Monday"),
        format!("{long}Sunday"),
        "put_orders".into(),
    ];
    let [mut meant, mut bound] = [String::new(), String::new()];
    for name in &names {
        let [one, other] = operation(name);
        meant += &one;
        bound += &other;
    }
    let wsdl = RPC
        .replace("</portType>", &format!("{meant}</portType>"))
        .replace("</binding>", &format!("{bound}</binding>"));
    let proposal = receiving(&wsdl, &[]);
    let mut files: Vec<&str> = proposal
        .templates
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(
        files.contains(&"put-orders-response.xml") && files.contains(&"put-orders-response-2.xml")
    );
    for file in &files {
        let named = format!("response = \"/etc/dray/{file}\"\n");
        assert_eq!(proposal.flow.matches(&named).count(), 1, "{file}");
    }
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), 4, "{files:?}");
}

#[test]
fn the_first_record_s_identity_is_offered_as_a_key_where_there_is_no_other() {
    let wsdl = WMS.replace("name=\"BatchNo\"", "name=\"Remark\"");
    let flow = receiving(&wsdl, &["PutMovements"]).flow;
    assert!(
        flow.contains("\n# key = \"w:Movement/w:Id\"  # the first record's: only if"),
        "{flow}"
    );
}
