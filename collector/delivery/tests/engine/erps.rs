//! The presets of ERPs that do not run here, against a stub that answers as they are documented to, with their traps: statuses that
//! lie, pages with a 200, throttling in each one's words, records that somebody else changed, duplicates where a request comes twice, lost replies.

mod manners;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::erp::{Erp, Reply};
use crate::support::{append_block, block_of, exceptions, flow, open, wait};
use dray_delivery::{Target, TargetConfig, TargetHandle, presets};
use dray_proto::event::number;
use dray_proto::schema::{self, Kind};
use dray_proto::{EventId, wire};
use dray_store::Store;
use manners::{Answer, Documents, Manner};
use serde::Deserialize;

/// Events of each test.
const ALL: u64 = 40;

/// An event with these fields, decimals and times as text.
pub(crate) fn event(sequence: u64, key: &str, body: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let body = schema::body(body).expect("a body");
    let mut out = Vec::new();
    let id = EventId::new([7; 10], sequence, 0);
    wire::put_bytes(&mut out, number::ID, id.as_bytes());
    wire::put_text(&mut out, number::KEY, key);
    wire::put_integer(&mut out, number::OPERATION, 1);
    wire::put_timestamp(&mut out, number::CAPTURED_AT, crate::support::CAPTURED_US);
    wire::put_message(&mut out, body.number, |out| put(out, body.message, fields));
    out
}

fn put(out: &mut Vec<u8>, message: &schema::Message, fields: &[(&str, &str)]) {
    let mut inner: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (name, value) in fields {
        match name.split_once('.') {
            Some((outer, rest)) => inner.entry(outer).or_default().push((rest, value)),
            None => {
                let field = message.field(name).expect(name);
                match field.kind {
                    Kind::Decimal => wire::put_decimal(out, field.number, value),
                    _ => wire::put_text(out, field.number, value),
                }
            }
        }
    }
    for (outer, fields) in inner {
        let field = message.field(outer).expect(outer);
        if let Kind::Message(message) = field.kind {
            wire::put_message(out, field.number, |out| put(out, message, &fields));
        }
    }
}

/// A target's table over its preset.
fn config(preset: &str, url: &str, more: &str) -> TargetConfig {
    #[derive(Deserialize)]
    struct Whole {
        target: Vec<TargetConfig>,
    }
    let text = format!(
        "[[target]]\nname = \"erp\"\npreset = {preset:?}\nurl = \"{url}\"\nconcurrency = 1\nretry = {{ first = \"5ms\", max = \"20ms\" }}\n{more}"
    );
    let whole = presets::merged::<Whole>(&text, Path::new(""));
    whole
        .unwrap_or_else(|wrong| panic!("{preset}: {wrong}"))
        .target
        .remove(0)
}

/// Answers in a manner; of thirteen requests one is throttled, one lost on its way there, one lost on its way back, and one
/// met by a page that says nothing of it.
fn play(erp: &Erp, manner: Manner) -> Arc<Mutex<Documents>> {
    let kept = Arc::new(Mutex::new(Documents::default()));
    let playing = Arc::clone(&kept);
    erp.script(move |ask| {
        let mut documents = playing.lock().expect("nobody panics holding it");
        if manners::is_sign_in(ask) {
            return reply(manners::sign_in(ask));
        }
        documents.requests += 1;
        match documents.requests % 13 {
            2 => reply((manner.throttled)()),
            5 => Reply::Reset,
            8 => {
                (manner.answer)(&mut documents, ask);
                Reply::TakeAndReset
            }
            // Nothing was done: something in between shows a page.
            11 => Reply::With(
                200,
                "content-type",
                "text/html".into(),
                "<html>Sign in".into(),
            ),
            _ => reply((manner.answer)(&mut documents, ask)),
        }
    });
    kept
}

fn reply(answer: Answer) -> Reply {
    Reply::Whole(answer.status, answer.headers, answer.body)
}

pub(crate) async fn deliver(
    store: &Arc<dyn Store>,
    events: &[Vec<u8>],
    config: TargetConfig,
) -> TargetHandle {
    let name = flow("north/events");
    let block = block_of(&**store, &name, events);
    append_block(store, &name, block).await;
    Target::start(config, Arc::clone(store)).expect("a good configuration")
}

/// Every event is one document, through all that the stub does; then one that is refused in the ERP's own words.
async fn each_is_there_once(preset: &str, more: &str, manner: Manner, body: &str, fields: Fields) {
    let (store, erp) = (open(), Erp::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "a s3cret of a test").expect("a file");
    let base = format!("http://{}/erp/", erp.address);
    let more = more
        .replace("FILE", file.to_str().expect("UTF-8"))
        .replace("BASE", &base);
    let documents = play(&erp, manner);
    let mut events: Vec<_> = (0..ALL)
        .map(|n| {
            event(
                n + 1,
                &format!("K{n}"),
                body,
                &as_refs(&fields(&format!("N/{n}"))),
            )
        })
        .collect();
    events.push(event(ALL + 1, "BAD", body, &as_refs(&fields("BAD"))));
    let target = deliver(&store, &events, config(preset, &base, &more)).await;
    let metrics = wait(&target, preset, |metrics| {
        metrics.delivered + metrics.dead == ALL + 1 && metrics.waiting == 0
    })
    .await;
    let documents = documents.lock().expect("nobody panics holding it");
    let doubled: Vec<_> = documents
        .made
        .iter()
        .filter(|(_, times)| **times != 1)
        .collect();
    assert!(doubled.is_empty(), "{preset}: {doubled:?}");
    let names: Vec<_> = documents.made.keys().cloned().collect();
    assert_eq!(names.len() as u64, ALL, "{preset}: {names:?}");
    assert_eq!((metrics.delivered, metrics.dead), (ALL, 1), "{preset}");
    let dead = exceptions(&store).remove(0);
    assert_eq!(dead.key, "BAD", "{preset}");
    assert!(
        dead.reason.contains("in the words of the ERP"),
        "{preset}: {}",
        dead.reason
    );
    assert!(documents.requests > ALL, "{preset}: the stub made trouble");
}

/// The fields of an event by the number of its document.
type Fields = fn(&str) -> Vec<(&'static str, String)>;

fn as_refs<'a>(fields: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

fn item(number: &str) -> Vec<(&'static str, String)> {
    vec![
        ("item_number", number.to_owned()),
        ("description", format!("it's \"{number}\"")),
    ]
}

fn shipment(number: &str) -> Vec<(&'static str, String)> {
    vec![
        ("shipment_number", number.to_owned()),
        (
            "order_number",
            if number == "BAD" { "none" } else { "SO_1" }.to_owned(),
        ),
        ("line.line_number", "2".to_owned()),
        ("line.quantity", "12.50".to_owned()),
    ]
}

fn movement(number: &str) -> Vec<(&'static str, String)> {
    vec![
        ("movement_number", number.to_owned()),
        ("item_number", "SKU-1".to_owned()),
        ("reason", "PICK".to_owned()),
        ("quantity", "-12.50".to_owned()),
    ]
}

const NETSUITE: &str = "[target.auth]\nrealm = \"1_SB1\"\nconsumer_key = \"c\"\nconsumer_secret_file = \"FILE\"\ntoken = \"t\"\ntoken_secret_file = \"FILE\"\n";
const ENTRA: &str = "[target.auth]\ntoken_url = \"BASElogin/token\"\nclient_id = \"c\"\nclient_secret_file = \"FILE\"\nscope = \"s\"\n";
const BASIC: &str = "[target.auth]\nuser = \"u\"\npassword_file = \"FILE\"\n";
const SOON: &str = "[target.calls]\nverify_after = \"1ms\"\n";

#[tokio::test]
async fn netsuites_items_are_put_by_a_plain_external_id_and_a_400_is_a_limit() {
    each_is_there_once("netsuite/items", NETSUITE, manners::NETSUITE, "item", item).await;
}

#[tokio::test]
async fn netsuites_fulfillments_are_looked_up_where_a_reply_was_lost() {
    let more = format!("{NETSUITE}{SOON}");
    each_is_there_once(
        "netsuite/shipments",
        &more,
        manners::NETSUITE,
        "shipment",
        shipment,
    )
    .await;
}

#[tokio::test]
async fn products_of_dynamics_are_changed_or_created_and_its_429_waits() {
    let more = format!("vars = {{ company = \"usmf\" }}\n{ENTRA}{SOON}");
    each_is_there_once("d365-fo/items", &more, manners::DYNAMICS, "item", item).await;
}

#[tokio::test]
async fn items_of_business_central_that_somebody_changed_are_read_again() {
    let more = format!("{}{SOON}", ENTRA.replace("scope = \"s\"\n", ""));
    each_is_there_once(
        "business-central/items",
        &more,
        manners::BUSINESS_CENTRAL,
        "item",
        item,
    )
    .await;
}

#[tokio::test]
async fn products_of_s4hana_are_written_with_a_token_and_their_etag() {
    let more = format!("{BASIC}{SOON}");
    each_is_there_once("s4hana/items", &more, manners::S4HANA, "item", item).await;
}

#[tokio::test]
async fn material_documents_of_s4hana_are_there_once_though_a_post_that_repeats_makes_another() {
    let more = format!(
        "vars = {{ plant = \"1010\", movement_type = {{ PICK = \"202\", PICK- = \"201\" }}, movement_code = {{ PICK = \"03\" }} }}\n{BASIC}{SOON}"
    );
    each_is_there_once(
        "s4hana/movements",
        &more,
        manners::S4HANA,
        "inventory_movement",
        movement,
    )
    .await;
}

#[tokio::test]
async fn items_of_fusion_are_put_by_upsert_mode() {
    let more = format!("vars = {{ organization = \"V1\", item_class = \"R\" }}\n{BASIC}");
    each_is_there_once("fusion/items", &more, manners::FUSION, "item", item).await;
}

/// Scenario 25.
#[tokio::test]
async fn what_fusion_staged_is_asked_about_and_an_error_of_its_row_is_a_dead_letter() {
    let more = format!(
        "vars = {{ organization = \"V1\", transaction_type = {{ PICK = \"Issue\" }} }}\n{BASIC}{SOON}\
         [[target.calls.call.stage.rule]]\nstatus = [\"201\"]\noutcome = \"accepted\"\ngo = \"staged\"\nafter = \"5ms\"\n\
         [[target.calls.call.staged.rule]]\nstatus = [\"200\"]\nwhen = [{{ at = \"/items/0\" }}, {{ at = \"/items/0/ErrorExplanation\", absent = true }}]\noutcome = \"accepted\"\ngo = \"staged\"\nafter = \"5ms\"\n"
    );
    each_is_there_once(
        "fusion/movements",
        &more,
        manners::FUSION,
        "inventory_movement",
        movement,
    )
    .await;
}

#[tokio::test]
async fn products_of_odoo_are_found_before_they_are_made_and_a_500_may_be_a_refusal() {
    let more = format!("[target.auth]\ntoken_file = \"FILE\"\n{SOON}");
    each_is_there_once("odoo/items", &more, manners::ODOO, "item", item).await;
}
