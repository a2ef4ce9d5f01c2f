//! What `preview` says of saved calls and answers.

use std::path::PathBuf;
use std::process::{Command, Output};

const HEAD: &str = "site = \"north\"\ndata_dir = \"/nowhere\"\ncollector = \"localhost:1\"\n";

const SOAP: &str = r#"
[[flow]]
name = "wms"
[flow.source]
kind = "soap-receive"
listen = "127.0.0.1:0"
wsdl = "/nowhere/wms.wsdl"
namespaces = { w = "urn:example:wms" }
basic = { user = "wms", password_file = "/nowhere/password" }
MORE
[[flow.source.operation]]
name = "PutMovements"
root = "w:PutMovements"
action = "urn:put"
record = "w:Movement"
key = "w:BatchNo"
response = "/nowhere/answer.xml"
fields = { ID = "w:Id", QTY = "w:Quantity", BATCH = "../w:BatchNo" }
[[flow.mapping]]
body = "generic"
key = "BATCH"
all_columns = true
"#;

const HOOKS: &str = r#"
[[flow]]
name = "shop"
[flow.source]
kind = "webhook"
listen = "127.0.0.1:0"
signature = { header = "X-Hmac", secret_file = "/nowhere/secret" }
MORE
[[flow.source.hook]]
name = "order"
when = { header = "X-Topic", value = "orders" }
key = "EVENT"
format = { kind = "json", record = "/lines", fields = { EVENT = "../event", SKU = "sku", QTY = "qty" } }
[[flow.source.hook]]
name = "note"
id_header = "X-Id"
format = { kind = "json", record = "", fields = { TEXT = "text" } }
may_be_empty = true
[[flow.mapping]]
body = "generic"
key = { default = "-" }
all_columns = true
"#;

/// `preview` of what was saved, by a flow; with what more its source says.
fn preview(flow: &str, more: &str, saved: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| -> PathBuf {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a file");
        file
    };
    let (config, saved) = (
        file(
            "agent.toml",
            &format!("{HEAD}{}", flow.replace("MORE", more)),
        ),
        file("saved", saved),
    );
    Command::new(env!("CARGO_BIN_EXE_dray-agent"))
        .arg("preview")
        .arg(saved)
        .arg("--config")
        .arg(config)
        .output()
        .expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn message(body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn movements(batch: &str, movements: &str) -> String {
    message(&format!(
        "<PutMovements xmlns=\"urn:example:wms\"><BatchNo>{batch}</BatchNo>{movements}</PutMovements>"
    ))
}

const ONE: &str = "<Movement><Id>M1</Id><Quantity>1</Quantity></Movement>";
const BAD: &str = "<Movement><Id>&nbsp;</Id></Movement>";

fn check_refused(flow: &str, more: &str, saved: &str, reason: &str) {
    let output = preview(flow, more, saved);
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{saved}\n{shown}{said}");
    let expected = format!("dray-agent: the endpoint would refuse this call: {reason}");
    assert!(said.starts_with(&expected), "{expected}\n{said}");
    assert_eq!(shown, "", "{saved}");
}

fn check_taken(flow: &str, more: &str, saved: &str, count: &str) -> String {
    let output = preview(flow, more, saved);
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{saved}\n{shown}{said}");
    assert!(shown.contains(count), "{count}\n{shown}");
    said
}

#[test]
fn a_call_that_the_endpoint_would_refuse_is_told_with_its_sentence() {
    for (saved, reason) in [
        (
            movements("", ONE),
            "its key is missing or empty: by it, a repeated call is told from a new one; it is looked for at key = 'w:BatchNo' of operation PutMovements",
        ),
        (
            movements("B1", ""),
            "it holds no record: nothing stands at record = 'w:Movement' of operation PutMovements; look at the names in it",
        ),
        (movements("B1", BAD), "line 1: &nbsp; stands for nothing"),
        (
            message("<Other xmlns=\"urn:example:wms\"/>"),
            "no operation here takes Other",
        ),
        (
            movements("B1", ONE).replace("urn:example:wms", "urn:other"),
            "no operation here takes PutMovements of the namespace urn:other: it is configured",
        ),
        (
            movements(&"B".repeat(600), ONE),
            "its key or id is longer than 512 bytes",
        ),
        (message(""), "the Body calls no operation"),
        ("<a/>".into(), "line 1: the root element is a"),
    ] {
        check_refused(SOAP, "", &saved, reason);
    }
    let small = "limits = { message_bytes_max = \"1KiB\", waiting_bytes_max = \"1KiB\" }";
    let large = movements("B1", &ONE.repeat(30));
    let too_large = "it is larger, packed or unpacked, than limits.message_bytes_max: raise it";
    check_refused(SOAP, small, &large, too_large);
    check_taken(SOAP, "", &movements("B1", ONE), "1 record → 1 event");
    let both = movements("B1", &[ONE, BAD].concat());
    let lenient = "bad_records = \"dead-letter\"";
    check_taken(SOAP, lenient, &both, "2 records → 1 event, 1 dead letter");
}

#[test]
fn a_file_that_cannot_be_read_is_no_refusal_by_the_endpoint() {
    for flow in [SOAP, HOOKS] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("agent.toml");
        let written = format!("{HEAD}{}", flow.replace("MORE", ""));
        std::fs::write(&config, written).expect("a file");
        // One that is not there, and a folder.
        for saved in [folder.path().join("saved"), folder.path().to_owned()] {
            let output = Command::new(env!("CARGO_BIN_EXE_dray-agent"))
                .arg("preview")
                .arg(&saved)
                .arg("--config")
                .arg(&config)
                .output()
                .expect("it starts");
            let said = text(&output.stderr);
            let expected = format!("dray-agent: {} can't be read: ", saved.display());
            assert!(said.starts_with(&expected), "{said}");
        }
    }
}

#[test]
fn a_body_that_no_hook_would_take_is_told_with_the_sentence_of_each() {
    check_refused(HOOKS, "", "{\"lines\": [{\"sku\": 1}], ", "hook order: ");
    let without_note = HOOKS.replace("[[flow.source.hook]]\nname = \"note\"", "#[").replace(
        "id_header = \"X-Id\"\nformat = { kind = \"json\", record = \"\", fields = { TEXT = \"text\" } }\nmay_be_empty = true",
        "",
    );
    let key = "{\"lines\": [{\"sku\": 1}]}";
    check_refused(
        &without_note,
        "",
        key,
        "hook order: its id is missing: by it, a repeated call is told from a new one",
    );
    let empty = "{\"event\": \"E1\", \"lines\": []}";
    check_refused(&without_note, "", empty, "hook order: its id is missing");
    let fine = "{\"event\": \"E1\", \"lines\": [{\"sku\": 1, \"qty\": 2}]}";
    check_taken(HOOKS, "", fine, "1 record → 1 event");
    let said = check_taken(HOOKS, "", "{\"text\": \"a\"}", "1 record → 1 event");
    let told = "hook note takes it, as those before would refuse it: hook order: line 1";
    assert!(said.starts_with(told), "{said}");
}

const FILES: &str = r#"
[[flow]]
name = "files"
[flow.source]
kind = "file-drop"
folder = "/nowhere"
pattern = "*.xml"
format = { kind = "xml", record = "/R/Line", fields = { SKU = "Sku", QTY = "Qty/@n" } }
[[flow.mapping]]
body = "generic"
key = "SKU"
all_columns = true
"#;

#[test]
fn a_column_that_no_record_has_is_told_with_its_path() {
    let lacks = "<Movement><Id>M1</Id></Movement>";
    let told = "column QTY of \"PutMovements\" was empty in all 2 records that were read: nothing stands at \"w:Quantity\"; look at the names in it";
    let said = check_taken(SOAP, "", &movements("B1", &lacks.repeat(2)), "2 events");
    assert!(said.starts_with(told), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let one_has_it = movements("B1", &[ONE, lacks].concat());
    assert_eq!(check_taken(SOAP, "", &one_has_it, "2 events"), "");
    let is_empty = movements("B1", "<Movement><Id>M1</Id><Quantity/></Movement>");
    assert_eq!(check_taken(SOAP, "", &is_empty, "1 event"), "");
    let body = "{\"event\": \"E1\", \"lines\": [{\"sku\": 1}]}";
    let said = check_taken(HOOKS, "", body, "1 event");
    let told = "column QTY of \"order\" was empty in the one record that was read: nothing stands at \"qty\"";
    assert!(said.starts_with(told), "{said}");
    let said = check_taken(FILES, "", "<R><Line><Sku>1</Sku></Line></R>", "1 event");
    assert!(said.contains("nothing stands at \"Qty/@n\""), "{said}");
    assert_eq!(check_taken(FILES, "", "<R/>", "0 records"), "");
}

#[test]
fn two_prefixes_may_stand_for_one_namespace() {
    let both = SOAP
        .replace(
            "namespaces = { ",
            "namespaces = { a = \"urn:example:wms\", ",
        )
        .replace("\"w:Movement\"", "\"a:Movement\"");
    let said = check_taken(&both, "", &movements("B1", ONE), "1 record → 1 event");
    assert_eq!(said, "");
}
