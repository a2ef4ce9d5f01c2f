use ::http::HeaderMap;
use jiff::Timestamp;
use serde_json::json;

use super::*;

fn manner(more: &str) -> Manner {
    let config = toml::from_str(&format!("entity = \"E\"\nbody = \"{{}}\"\n{more}"));
    Manner::new(&config.expect("it parses"))
}

fn document() -> Document {
    let value = json!({"sku": "A", "qty": "2.00"});
    Document {
        entity: "Items".into(),
        body: value.to_string(),
        value,
    }
}

/// A walk through answers (status, body) to its end; what it did, as `GET path`, `POST`, `PUT path if-match`.
fn walk(more: &str, in_doubt: bool, answers: &[(u16, &str)]) -> (Vec<String>, Option<Outcome>) {
    let manner = manner(more);
    let mut walk = manner.walk(document(), in_doubt);
    let mut did = Vec::new();
    let mut answers = answers.iter();
    loop {
        let step = walk.step().clone();
        did.push(match &step {
            Step::Over(outcome) => {
                assert!(answers.next().is_none(), "{more}: {did:?}");
                return (did, Some(outcome.clone()));
            }
            Step::Look(path) => format!("GET {path}"),
            Step::Write(Act::Create) => "POST".to_owned(),
            Step::Write(Act::Upsert { path, only_new }) => format!("UPSERT {path} {only_new}"),
            Step::Write(Act::Change { path, if_match }) => {
                format!("CHANGE {path} {}", if_match.as_deref().unwrap_or("-"))
            }
        });
        let Some((status, body)) = answers.next() else {
            return (did, None);
        };
        let mut headers = HeaderMap::new();
        if body.starts_with('{') && !body.contains("etag") {
            headers.insert("etag", "W/\"h\"".parse().expect("a value"));
        }
        let answer = Answer::new(*status, &headers, body.as_bytes());
        let meaning = Meaning {
            outcome: Outcome::of(&answer, Timestamp::UNIX_EPOCH),
            is_ruled: false,
        };
        match step {
            Step::Look(_) => manner.saw(&mut walk, Some(&answer), meaning),
            _ => manner.wrote(&mut walk, Some(*status), meaning),
        }
    }
}

fn check(more: &str, in_doubt: bool, answers: &[(u16, &str)], expected: &[&str], end: &str) {
    let (did, outcome) = walk(more, in_doubt, answers);
    assert_eq!(did, expected, "{more} {answers:?}");
    let outcome = outcome
        .map(|outcome| format!("{outcome:?}"))
        .unwrap_or_default();
    assert!(outcome.starts_with(end), "{more} {answers:?}: {outcome}");
}

const OURS: &str = r#"{"sku":"A","qty":2}"#;
const OTHERS: &str = r#"{"sku":"A","qty":3}"#;
const GET: &str = "GET Items('A')";

#[test]
fn an_upsert_is_one_request() {
    let key = "key = [\"sku\"]";
    let one = ["UPSERT Items('A') false"];
    check(key, true, &[(204, "")], &one, "Done");
    check(key, false, &[(400, "no")], &one, "Rejected");
    check(key, false, &[(500, "")], &one, "Transient");
    check(key, false, &[(404, "")], &one, "Misconfigured");
    check(key, false, &[(428, "")], &one, "Misconfigured");
    check(key, false, &[(413, "")], &one, "Rejected");
    check("key = [\"lot\"]", false, &[], &[], "Poison");
}

#[test]
fn a_create_looks_where_it_may_be_there_and_tells_ours_from_others() {
    let create = "key = [\"sku\"]\nwrite = \"create\"";
    check(create, false, &[(201, "")], &["POST"], "Done");
    // After a lost reply.
    check(create, true, &[(200, OURS)], &[GET], "Done");
    check(
        create,
        true,
        &[(404, ""), (201, "")],
        &[GET, "POST"],
        "Done",
    );
    check(create, true, &[(503, "")], &[GET], "Transient");
    check(
        create,
        true,
        &[(400, "no such set")],
        &[GET],
        "Misconfigured",
    );
    check(create, true, &[(200, "{\"error\":1}")], &[GET], "Unknown");
    check(create, true, &[(200, "<html>")], &[GET], "Unknown");
    // SAP CAP answers a create of what is there with 500, others with 400, 409 or 422.
    for refused in [400, 409, 422, 500] {
        check(
            create,
            false,
            &[(refused, ""), (200, OURS)],
            &["POST", GET],
            "Done",
        );
        check(
            create,
            false,
            &[(refused, ""), (200, OTHERS)],
            &["POST", GET],
            "Conflict(\"an entity of this key is there already, with another qty",
        );
    }
    // It was no duplicate.
    check(
        create,
        false,
        &[(500, ""), (404, "")],
        &["POST", GET],
        "Transient",
    );
    check(
        create,
        false,
        &[(400, ""), (404, "")],
        &["POST", GET],
        "Rejected",
    );
    // Whether it is, the look did not tell: the next one may.
    for (looked, end) in [
        (503, "Transient"),
        (401, "Auth"),
        (403, "Rejected"),
        (400, "Misconfigured"),
    ] {
        check(
            create,
            false,
            &[(409, ""), (looked, "")],
            &["POST", GET],
            end,
        );
    }
    check(create, false, &[(404, "")], &["POST"], "Misconfigured");
    let done = format!("{create}\nif_there = \"done\"");
    check(&done, true, &[(200, OTHERS)], &[GET], "Done");
    let conflict = format!("{create}\nif_there = \"conflict\"");
    check(&conflict, true, &[(200, OURS)], &[GET], "Conflict");
}

#[test]
fn what_the_service_names_is_looked_up_by_a_filter() {
    let create = "write = \"create\"\nfind = [\"sku\"]";
    let look = "GET Items?$filter=sku%20eq%20'A'&$top=2";
    let list = |entities: &str| format!("{{\"value\":[{entities}]}}");
    check(create, true, &[(200, &list(""))], &[look, "POST"], "");
    check(create, true, &[(200, &list(OURS))], &[look], "Done");
    check(
        create,
        true,
        &[(200, &list(&format!("{OURS},{OURS}")))],
        &[look],
        "Conflict(\"more than one",
    );
    check(create, true, &[(404, "")], &[look], "Misconfigured");
    let change =
        "write = \"create-or-patch\"\nfind = [\"sku\"]\nkey = [\"id\"]\nif_match = \"read\"";
    let found = list(r#"{"sku":"A","id":7,"@odata.etag":"W/\"1\""}"#);
    check(
        change,
        false,
        &[(200, &found), (204, "")],
        &[look, "CHANGE Items(7) W/\"1\""],
        "Done",
    );
    check(
        change,
        false,
        &[(200, &list(r#"{"sku":"A","id":7}"#))],
        &[look],
        "Misconfigured(\"odata.if_match",
    );
    check(
        change,
        false,
        &[(200, &list(OURS))],
        &[look],
        "Misconfigured(\"odata.key",
    );
    let old = format!("{change}\nversion = 2");
    let found = r#"{"d":{"results":[{"sku":"A","id":7,"__metadata":{"etag":"W/\"2\""}}]}}"#;
    check(
        &old,
        false,
        &[(200, found), (204, "")],
        &[look, "CHANGE Items(7) W/\"2\""],
        "Done",
    );
}

#[test]
fn create_or_patch_finds_its_way_through_what_others_do_meanwhile() {
    let write = "key = [\"sku\"]\nwrite = \"create-or-patch\"\nif_match = \"read\"";
    let change = "CHANGE Items('A') W/\"h\"";
    check(
        write,
        false,
        &[(404, ""), (201, "")],
        &[GET, "POST"],
        "Done",
    );
    check(
        write,
        false,
        &[(200, OTHERS), (204, "")],
        &[GET, change],
        "Done",
    );
    // Made between look and write, then changed, then taken away.
    check(
        write,
        false,
        &[
            (404, ""),
            (500, ""),
            (200, OURS),
            (412, ""),
            (404, ""),
            (201, ""),
        ],
        &[GET, "POST", GET, change, GET, "POST"],
        "Done",
    );
    let mut busy = Vec::new();
    for _ in 0..LOOKS_MAX {
        busy.extend([(200, OURS), (412, "")]);
    }
    let (did, outcome) = walk(write, false, &busy);
    assert_eq!(did.len(), busy.len());
    assert!(matches!(outcome, Some(Outcome::Conflict(said)) if said.contains("4 times")));
    let any = "key = [\"sku\"]\nwrite = \"create-or-patch\"\nif_match = \"any\"";
    check(
        any,
        false,
        &[(200, OURS), (412, ""), (404, ""), (201, "")],
        &[GET, "CHANGE Items('A') *", GET, "POST"],
        "Done",
    );
}

#[test]
fn an_upsert_that_reads_makes_only_what_is_new() {
    let upsert = "key = [\"sku\"]\nif_match = \"read\"\nmethod = \"PUT\"";
    let (new, change) = ("UPSERT Items('A') true", "CHANGE Items('A') W/\"h\"");
    check(upsert, false, &[(404, ""), (201, "")], &[GET, new], "Done");
    check(
        upsert,
        false,
        &[(404, ""), (500, ""), (200, OURS), (204, "")],
        &[GET, new, GET, change],
        "Done",
    );
    check(
        upsert,
        false,
        &[(404, ""), (500, ""), (404, "")],
        &[GET, new, GET],
        "Transient",
    );
    check(
        upsert,
        false,
        &[
            (200, "{\"sku\":\"A\",\"@odata.etag\":\"W/1\"}"),
            (412, ""),
            (200, OURS),
            (204, ""),
        ],
        &[GET, "CHANGE Items('A') W/1", GET, change],
        "Done",
    );
}

#[test]
fn a_patch_makes_nothing() {
    let patch = "key = [\"sku\"]\nwrite = \"patch\"";
    check(
        patch,
        true,
        &[(404, "")],
        &["CHANGE Items('A') -"],
        "Rejected(\"there is no such entity",
    );
    check(patch, true, &[(204, "")], &["CHANGE Items('A') -"], "Done");
    let any = format!("{patch}\nif_match = \"any\"");
    check(
        &any,
        true,
        &[(412, "")],
        &["CHANGE Items('A') *"],
        "Rejected(\"there is no such entity",
    );
    let read = format!("{patch}\nif_match = \"read\"");
    check(
        &read,
        true,
        &[(404, "")],
        &[GET],
        "Rejected(\"there is no such entity",
    );
    // SAP CAP holds no state against an entity that has no ETag, and says nothing: nobody may believe that it does.
    let silent = r#"{"sku":"A","etag":"none"}"#;
    check(
        &read,
        true,
        &[(200, silent)],
        &[GET],
        "Misconfigured(\"odata.if_match",
    );
}

#[test]
fn what_has_no_key_of_ours_is_looked_for_only_once_an_earlier_request_has_ended() {
    for (more, expected) in [
        ("key = [\"sku\"]\nwrite = \"create\"", true),
        (
            "key = [\"id\"]\nfind = [\"sku\"]\nwrite = \"create-or-patch\"",
            true,
        ),
        // A second one is refused by its key.
        ("key = [\"sku\"]\nwrite = \"create-or-patch\"", false),
        ("key = [\"id\"]\nfind = [\"sku\"]\nwrite = \"patch\"", false),
        ("key = [\"sku\"]", false),
    ] {
        assert_eq!(manner(more).verifies(), expected, "{more}");
    }
}

#[test]
fn an_etag_that_no_header_holds_is_none() {
    let read = "key = [\"sku\"]\nif_match = \"read\"";
    for etag in ["W/\\\"ü\\\"", "", "a\\nb"] {
        let entity = format!("{{\"sku\":\"A\",\"@odata.etag\":\"{etag}\"}}");
        let end = "Misconfigured(\"odata.if_match";
        check(read, false, &[(200, &entity)], &[GET], end);
    }
}

#[test]
fn a_rule_has_the_last_word() {
    let manner = manner("key = [\"sku\"]\nwrite = \"create\"");
    let ruled = |outcome| Meaning {
        outcome,
        is_ruled: true,
    };
    let mut walk = manner.walk(document(), false);
    let meaning = ruled(Outcome::Conflict("twice".into()));
    assert!(!manner.may_look(&walk, Some(500), &meaning));
    manner.wrote(&mut walk, Some(500), meaning);
    assert_eq!(*walk.step(), Step::Over(Outcome::Conflict("twice".into())));
    let mut walk = manner.walk(document(), true);
    let headers = HeaderMap::new();
    let answer = Answer::new(200, &headers, b"{\"error\":1}");
    manner.saw(
        &mut walk,
        Some(&answer),
        ruled(Outcome::Transient("later".into())),
    );
    assert_eq!(*walk.step(), Step::Over(Outcome::Transient("later".into())));
}
