//! Delivery by SOAP to a service of another library, which loses answers: see `tests/peers/soap/take_spyne.py`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dray_tests::drops::drop_file;
use dray_tests::site::{FlowSpec, Site};

use crate::soap::programs;
use crate::{folder, soak, wait};

const PASSWORD: &str = "p<w & s3cret";
/// The puts that a fault comes of, or no answer, before or after they had their effect.
const FAULTS: &str = "2:lost,4:Server,6:reset,9:lost,12:lost,13:Server,21:reset,22:lost";

/// The ERP. It is killed with its value.
struct Erp(Child);

impl Drop for Erp {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(version: &str, file: &Path) -> (Erp, u16) {
    let mut command = Command::new(programs().join("take_spyne"));
    command.arg("0").arg(file).env("SOAP_VERSION", version);
    command
        .env("SOAP_USER", "dray")
        .env("SOAP_PASSWORD", PASSWORD);
    let child = command
        .env("FAULTS", FAULTS)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.expect("it starts");
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("it was asked for");
    BufReader::new(out).read_line(&mut line).expect("a line");
    let port = line.trim().strip_prefix("listening ");
    let port = port.and_then(|port| port.parse().ok());
    (Erp(child), port.unwrap_or_else(|| panic!("it says {line}")))
}

fn target(version: &str, password: &str, port: u16, folder: &Path) -> String {
    fs::write(folder.join("password"), PASSWORD).expect("a file");
    format!(
        r#"
[[target]]
name = "erp"
kind = "soap"
url = "http://127.0.0.1:{port}/"
bodies = ["item"]
[target.retry]
first = "50ms"
max = "500ms"
[target.auth]
kind = "wsse"
user = "dray"
password_file = {:?}
password = "{password}"
[target.soap]
version = "{version}"
[target.calls]
first = "put"
verify = "find"
verify_after = "1s"
[target.calls.call.put]
action = "PutItem"
body = '<PutItem xmlns="urn:example:erp"><Code>{{{{ data.item_number }}}}</Code><Name>{{{{ data.description }}}}</Name></PutItem>'
[target.calls.call.find]
action = "FindItem"
body = '<FindItem xmlns="urn:example:erp"><Code>{{{{ data.item_number }}}}</Code></FindItem>'
rule = [
    {{ when = [{{ at = "xpath://*[local-name()='FindItemResult']", equals = "0" }}], go = "put" }},
    {{ when = [{{ at = "xpath://*[local-name()='FindItemResult']" }}], outcome = "done" }},
]
"#,
        folder.join("password")
    )
}

fn each_item_is_put_once(version: &str, password: &str) {
    let (folder, all) = (folder("soap-items"), if soak() { 2_000 } else { 60 });
    let file = folder.path().join("items");
    let (_erp, port) = start(version, &file);
    let flow = FlowSpec {
        mapping: "[[flow.mapping]]\nbody = \"item\"\nkey = \"SKU\"\n[flow.mapping.fields]\nitem_number = \"SKU\"\ndescription = \"NAME\"\n".into(),
        ..FlowSpec::movements("items")
    };
    let site = Site::start(
        folder.path(),
        &[flow],
        &target(version, password, port, folder.path()),
    );
    let mut site = site.expect("a site");
    let lines: String = (0..all)
        .map(|n| format!("SKU{n}|<Größe> & {n}\n"))
        .collect();
    let text = format!("SKU|NAME\n{lines}BAD1|refused\n");
    drop_file(&site.drops("items"), "1.txt", text.as_bytes()).expect("a drop");
    let put = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut found = BTreeMap::<_, u64>::new();
        for line in text.lines() {
            *found.entry(line.to_owned()).or_default() += 1;
        }
        found
    };
    wait("some are put", || put().len() as u64 > all / 3);
    let collector = site.collector.as_mut().expect("it runs");
    collector.kill().expect("a kill");
    site.start_collector().expect("a collector");
    wait("all are put", || put().len() as u64 == all);
    let listed = |site: &Site| {
        let listed = site
            .collector_command(&["dead-letters", "list"])
            .expect("a list");
        String::from_utf8_lossy(&listed.stdout).into_owned()
    };
    wait("the bad one is told", || listed(&site).contains("BAD1"));
    let expected: BTreeMap<_, _> = (0..all)
        .map(|n| (format!("SKU{n} <Größe> & {n}"), 1))
        .collect();
    assert_eq!(put(), expected);
    let listed = listed(&site);
    assert!(listed.contains("BAD1 is no code"), "{listed}");
    assert!(!listed.contains("SKU"), "{listed}");
    let log = fs::read_to_string(folder.path().join("collector.log")).expect("its log");
    assert!(!log.contains("s3cret"), "no secret in the log");
}

#[test]
fn spyne_gets_each_item_once_by_soap_11_with_a_password_as_text() {
    each_item_is_put_once("1.1", "text");
}

#[test]
fn spyne_gets_each_item_once_by_soap_12_with_a_password_as_digest() {
    each_item_is_put_once("1.2", "digest");
}
