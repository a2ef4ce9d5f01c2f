//! The answer of a service that was asked. A case is a status and a content type in a line, and the body.

use std::fmt::Write as _;
use std::sync::Arc;

use dray_adapter::Batch;
use dray_soap::envelope::Reader;
use dray_soap::fuzzing::{Asked, Cuts};
use dray_soap::poll::SoapPollConfig;
use tempfile::TempDir;

use super::{Choice, SECRET, configured, first_line, folder, says_nothing_of_the_inside};

const SERVICE: &str = r#"
kind = "soap-poll"
url = "http://127.0.0.1:1/"
action = "urn:example:wms/List"
request = "FOLDER/request.xml"
root = "w:ListResponse"
record = "w:Movement"
namespaces = { w = "urn:example:wms" }
limits = { message_bytes_max = "256KiB" }
"#;

const VARIANTS: [&str; 3] = [
    r#"
key = "ID"
username_token = { user = "dray", password_file = "FOLDER/secret", timestamp = "5m" }
fields = { ID = "w:Id", QTY = "w:Qty", AT = "w:At" }
watermark = { column = "AT", start = "2026-01-01T00:00:00Z", overlap = "5m" }
pages = { by = "token", path = "w:Next" }
"#,
    r#"
soap = "1.2"
addressing = true
basic = { user = "dray", password_file = "FOLDER/secret" }
fields = { ID = "w:Id", SEQ = "w:Seq" }
watermark = { path = "w:High", start = "0" }
pages = { by = "number", size = 2 }
"#,
    r#"
ignore_must_understand = true
empty = "error"
bearer = { token_file = "FOLDER/secret" }
fields = { ID = "w:Id", PDF = "w:Label" }
watermark = { path = "w:Next", start = "a" }
pages = { by = "token", path = "w:Head/@next" }
"#,
];

const REQUEST: &str = "<w:List xmlns:w=\"urn:example:wms\" at=\"{{ watermark }}\"><w:Since>{{ watermark }}</w:Since><w:Page>{{ page }} {{ token }}</w:Page></w:List>";

thread_local! {
    static FOLDER: TempDir = folder(&[("secret", SECRET), ("request.xml", REQUEST)]);
    static SERVICES: Vec<Asked> = VARIANTS.iter().map(|settings| service(settings)).collect();
}

fn service(settings: &str) -> Asked {
    FOLDER.with(|folder| {
        let config: SoapPollConfig = configured(&format!("{SERVICE}{settings}"), folder.path());
        Asked::new(&config, folder.path().join("own")).expect("a good configuration")
    })
}

pub(super) fn check(case: &[u8], choice: Choice) {
    let (line, body) = first_line(case);
    let (status, content_type) = line.split_once(' ').unwrap_or((&line, ""));
    let head = (status.parse().unwrap_or(200), content_type);
    SERVICES.with(|services| {
        let service = &services[choice.variant % services.len()];
        let whole = service.answered(head, body, Cuts::new(None));
        let cut = service.answered(head, body, choice.cuts());
        let shown = |found: &Result<(Vec<Batch>, String), String>| match found {
            Ok((batches, request)) => Ok((told(batches), request.clone())),
            Err(reason) => Err(reason.clone()),
        };
        let (whole, cut) = (shown(&whole), shown(&cut));
        assert_eq!(whole, cut, "cut otherwise it is something else");
        match whole {
            Err(reason) => {
                assert!(!reason.is_empty(), "it says why");
                // A watermark or a page that the service calls so is told as it is.
                let is_said = reason.contains("watermark \"") || reason.contains("names page");
                assert!(is_said || !reason.contains(SECRET), "it is told: {reason}");
                FOLDER.with(|folder| says_nothing_of_the_inside(&reason, case, folder.path()));
            }
            Ok((_, request)) => {
                let read = Reader::new(&[], Arc::default()).whole(request.as_bytes());
                let read = read.unwrap_or_else(|error| panic!("{error}: {request}"));
                assert_eq!(
                    read.root.map(|(_, name)| name),
                    Some("List".into()),
                    "{request}"
                );
            }
        }
    });
}

fn told(batches: &[Batch]) -> String {
    let mut told = String::new();
    for batch in batches {
        let (records, rejects) = (&batch.records, &batch.rejects);
        // Writing to a string never fails.
        let _ = writeln!(
            told,
            "{records:?} {rejects:?} {:?} {}",
            batch.marks, batch.ends_unit
        );
    }
    told
}
