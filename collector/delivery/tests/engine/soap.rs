//! SOAP and signed webhooks, by the engine.

use std::fs;

use crate::support::erp::{Erp, Reply};
use crate::support::{append, append_as, exceptions, open, start, wait};
use dray_delivery::State;
use dray_delivery::detail::Detail;

const FAULT: &str = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault><faultcode>s:CODE</faultcode>\
                     <faultstring>said so</faultstring></s:Fault></s:Body></s:Envelope>";

fn fault(status: u16, code: &str) -> Reply {
    let body = FAULT.replace("CODE", code);
    Reply::With(status, "content-type", "text/xml".into(), body)
}

/// What a service says that took a message.
fn taken() -> Reply {
    let envelope =
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body/></s:Envelope>";
    Reply::With(200, "content-type", "text/xml".into(), envelope.into())
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).expect("UTF-8")
}

/// Everything between a tag's first opening and its end.
fn within<'a>(body: &'a str, tag: &str) -> &'a str {
    let (_, after) = body.split_once(&format!("<{tag}")).expect(tag);
    let (_, after) = after.split_once('>').expect(tag);
    after.split_once(&format!("</{tag}>")).expect(tag).0
}

#[tokio::test]
async fn an_event_is_a_message_of_its_own_and_faults_decide_what_becomes_of_it() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| {
        let body = text(&ask.body);
        match ask.number {
            0 => fault(500, "Server"),
            _ if body.contains("<Key>b") => fault(500, "Client"),
            _ if body.contains("<Key>c") => fault(500, "Busy"),
            _ => taken(),
        }
    });
    let config = "kind = \"soap\"\nconcurrency = 1\n\
                  rule = [{ status = [\"500\"], when = [{ at = \"xpath://faultcode\", matches = \"Busy\" }], outcome = \"poison\" }]\n\
                  [soap]\naction = \"urn:put/{{ type }}\"\nbody = '<Put xmlns=\"urn:x\"><Key>{{ key }}</Key></Put>'\n";
    let target = start(&store, &erp.url(), config);
    append(&store, "north/items", &["a<&>", "b", "c"]).await;
    wait(&target, "all", |metrics| {
        (metrics.delivered, metrics.dead) == (1, 2)
    })
    .await;
    let asks = erp.kept_asks();
    assert_eq!(asks.len(), 4, "the first came twice");
    for ask in &asks {
        assert_eq!(ask.headers["content-type"], "text/xml; charset=utf-8");
        assert_eq!(ask.headers["soapaction"], "\"urn:put/shipment\"");
    }
    assert_eq!(asks[0].body, asks[1].body);
    assert_eq!(within(&text(&asks[0].body), "Key"), "a&lt;&amp;&gt;");
    let dead = exceptions(&store);
    let reasons: Vec<_> = dead.iter().map(|dead| dead.reason.as_str()).collect();
    assert!(reasons[0].ends_with("Client: said so"), "{reasons:?}");
    let classes = dead.iter().map(|dead| Detail::read(&dead.detail).class);
    let classes: Vec<_> = classes
        .map(|class| class.expect("one").to_string())
        .collect();
    assert_eq!(classes, ["rejected", "poison"]);
}

#[tokio::test]
async fn a_200_that_is_no_envelope_is_nobodys_success() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|ask| match ask.number {
        0 => Reply::With(200, "content-type", "text/html".into(), "<p>Sign in".into()),
        // Deeper than any that means something.
        1 => Reply::With(200, "content-type", "text/xml".into(), "<a>".repeat(20_000)),
        _ => taken(),
    });
    let config = "kind = \"soap\"\n[soap]\nbody = '<b>{{ key }}</b>'\n";
    let target = start(&store, &erp.url(), config);
    append(&store, "north/items", &["a"]).await;
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
    assert_eq!(erp.kept_asks().len(), 3);
    assert!(exceptions(&store).is_empty());
}

#[tokio::test]
async fn a_password_is_in_no_dead_letter_and_a_changed_one_counts_at_once() {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    fs::write(&file, "an old s3cret\n").expect("a file");
    let changed = file.clone();
    erp.script(move |ask| {
        let body = text(&ask.body);
        if ask.number == 0 {
            fs::write(&changed, "a new s3cret\n").expect("a file");
            return fault(500, "Client.FailedAuthentication");
        }
        match within(&body, "wsse:Password") {
            // It says the password again, as a careless one does.
            "a new s3cret" => Reply::With(
                500,
                "a",
                "b".into(),
                FAULT
                    .replace("CODE", "Client")
                    .replace("said so", "a new s3cret is good, the key is not"),
            ),
            other => panic!("{other}"),
        }
    });
    let config = format!(
        "kind = \"soap\"\n[soap]\nversion = \"1.2\"\nheader = '<h xmlns=\"urn:h\">{{{{ id }}}}</h>'\nbody = '<b>{{{{ key }}}}</b>'\n\
         [auth]\nkind = \"wsse\"\nuser = \"u\"\npassword_file = {file:?}\n"
    );
    let target = start(&store, &erp.url(), &config);
    append(&store, "north/items", &["a"]).await;
    wait(&target, "it", |metrics| metrics.dead == 1).await;
    let asks = erp.kept_asks();
    assert_eq!(asks.len(), 2);
    let dead = exceptions(&store).remove(0);
    let detail = Detail::read(&dead.detail);
    for kept in [&dead.reason, &detail.request, &detail.answer] {
        assert!(!kept.contains("s3cret"), "{kept}");
    }
    assert!(dead.reason.contains("*** is good"), "{}", dead.reason);
    assert!(
        detail.request.contains("<h xmlns=\"urn:h\">"),
        "{}",
        detail.request
    );
    assert!(
        asks[1].headers["content-type"]
            .to_str()
            .is_ok_and(|kind| kind.starts_with("application/soap+xml"))
    );
}

#[tokio::test]
async fn what_xml_cannot_hold_is_refused_alone() {
    let (store, erp) = (open(), Erp::start().await);
    erp.script(|_| taken());
    let config = "kind = \"soap\"\n[soap]\nbody = '<b>{{ key }}</b>'\n";
    let target = start(&store, &erp.url(), config);
    append(&store, "north/items", &["a\u{1}", "b"]).await;
    wait(&target, "both", |metrics| {
        (metrics.delivered, metrics.dead) == (1, 1)
    })
    .await;
    assert!(exceptions(&store)[0].reason.contains("U+0001"));
    assert_eq!(erp.kept_asks().len(), 1);
}

fn hook(folder: &tempfile::TempDir) -> String {
    let file = folder.path().join("secret");
    fs::write(&file, "whsec_bmV3\n").expect("a file");
    format!("kind = \"webhook\"\n[auth]\nkind = \"hmac\"\nsecret_files = [{file:?}]\n")
}

#[tokio::test]
async fn a_webhook_is_one_signed_event_a_request_and_comes_again_until_it_is_taken() {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    erp.script(|ask| Reply::Status([404, 403, 500, 200, 422][ask.number.min(4)]));
    let config = format!("concurrency = 1\n{}", hook(&folder));
    let target = start(&store, &erp.url(), &config);
    append_as(&store, "north/items", "item", &["a", "b"]).await;
    wait(&target, "both", |metrics| {
        (metrics.delivered, metrics.dead) == (1, 1)
    })
    .await;
    let asks = erp.kept_asks();
    assert_eq!(asks.len(), 5);
    for ask in &asks {
        assert_eq!(ask.events.len(), 1);
        assert_eq!(
            ask.headers["webhook-id"].to_str().ok(),
            ask.events[0]["id"].as_str()
        );
        assert!(ask.headers.contains_key("webhook-signature"));
    }
    assert_eq!(target.status().state, State::Running);
}

#[tokio::test]
async fn a_webhook_that_is_gone_pauses_its_target_and_nothing_is_lost() {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    erp.script(|_| Reply::Status(410));
    let target = start(&store, &erp.url(), &hook(&folder));
    append(&store, "north/items", &["a"]).await;
    let metrics = wait(&target, "the pause", |metrics| {
        metrics.state == State::Paused
    })
    .await;
    assert!(format!("{metrics:?}").contains("wants no more events"));
    assert!(exceptions(&store).is_empty());
    erp.script(|_| Reply::Status(200));
    target.resume().await.expect("it goes on");
    wait(&target, "it", |metrics| metrics.delivered == 1).await;
}
