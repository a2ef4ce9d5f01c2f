//! Real ERPs that forget who is calling while events come: nothing lost, nothing twice, and nobody is asked.

use dray_tests::cap::{self, Cap};
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::tryton::{self, Tryton};

use crate::{folder, wait};

/// Movements, and how many of them come before the session ends.
const ALL: u64 = 50;
const BEFORE: u64 = 20;

fn drop_movements(site: &Site, from: u64, to: u64) {
    let text = movements(from, to - from, 10);
    drop_file(
        &site.drops("movements"),
        &format!("{from}.txt"),
        text.as_bytes(),
    )
    .expect("a drop");
}

/// Scenario 16, against Tryton itself: a session is signed in to, ends, and is begun anew once.
#[test]
fn a_session_that_tryton_ended_is_begun_anew_and_each_document_is_there_once() {
    let tryton = Tryton::start();
    let target = format!(
        r#"
[[target]]
name = "erp"
url = "{url}"
batch = 1
concurrency = 4
[target.auth]
kind = "session"
user = "{user}"
password_file = {file:?}
headers = {{ Authorization = "Session {{{{ (user ~ ':' ~ got.uid ~ ':' ~ got.token) | base64 }}}}" }}
[target.auth.login]
url = "/erp/rpc/"
body = '{{"id":1,"method":"common.db.login","params":[{{{{ user | tojson }}}},{{"password":{{{{ password | tojson }}}}}}]}}'
capture = {{ uid = "/result/0", token = "/result/1" }}
[target.calls]
first = "create"
verify = "find"
[target.calls.call.create]
body = '{{"id":2,"method":"model.party.party.create","params":[[{{"name":{{{{ key | tojson }}}},"code":{{{{ data.movement_number | tojson }}}}}}],{{"company":1}}]}}'
rule = [{{ when = [{{ at = "/error" }}], outcome = "rejected", reason = "/error" }}]
[target.calls.call.find]
body = '{{"id":3,"method":"model.party.party.search_count","params":[[["code","=",{{{{ data.movement_number | tojson }}}}]],{{"company":1}}]}}'
rule = [{{ when = [{{ at = "/result", equals = "0" }}], go = "create" }}, {{ when = [{{ at = "/result" }}], outcome = "done" }}]
"#,
        url = tryton.url(),
        user = tryton::LOGIN.0,
        file = tryton.password_file(),
    );
    let folder = folder("tryton-session");
    let site = Site::start(folder.path(), &[FlowSpec::movements("movements")], &target);
    let site = site.expect("a site");
    let database = tryton.database();
    let count = |what: &str| {
        let sql = format!("SELECT count({what}) FROM party_party WHERE code LIKE 'MV%'");
        let found: i64 = database
            .query_row(&sql, [], |row| row.get(0))
            .expect("a count");
        found.unsigned_abs()
    };
    drop_movements(&site, 0, BEFORE);
    wait("the first documents", || count("*") >= BEFORE);
    let ended = database
        .execute("DELETE FROM ir_session", [])
        .expect("sessions");
    assert_eq!(ended, 1, "one login for four requests at once");
    drop_movements(&site, BEFORE, ALL);
    wait("all documents", || count("*") >= ALL);
    wait("all is delivered", || {
        let events = site.collector_command(&["status"]).expect("its status");
        String::from_utf8_lossy(&events.stdout).contains("erp") && count("DISTINCT code") == ALL
    });
    assert_eq!(count("*"), ALL, "a document came twice");
    let sessions: i64 = database
        .query_row("SELECT count(*) FROM ir_session", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(sessions, 1, "one login for all that were refused");
    let dead = site
        .collector_command(&["dead-letters", "list"])
        .expect("a list");
    assert!(!String::from_utf8_lossy(&dead.stdout).contains("north/movements"));
}

/// Scenario 17, against SAP's own service: its token ends, is fetched again, and each request is sent once more.
#[test]
fn a_csrf_token_that_cap_ended_is_fetched_again_and_each_item_is_written_once() {
    let cap = Cap::start();
    cap.lab("csrf", r#"{"on":true}"#);
    let target = format!(
        r#"
[[target]]
name = "erp"
url = "{url}"
batch = 1
concurrency = 4
[target.auth]
kind = "basic"
user = "{user}"
password_file = {file:?}
[target.csrf]
[target.calls]
first = "put"
[target.calls.call.put]
method = "PUT"
url = "Items('{{{{ data.movement_number | odata | urlencode }}}}')"
body = '{{"name":{{{{ key | tojson }}}}}}'
"#,
        url = cap.url(),
        user = cap::LOGIN.0,
        file = cap.password_file(),
    );
    let folder = folder("cap-csrf");
    let site = Site::start(folder.path(), &[FlowSpec::movements("movements")], &target);
    let site = site.expect("a site");
    let of = |statuses: &[u64]| {
        let writes = cap.writes();
        let mut found: Vec<_> = writes
            .iter()
            .filter(|write| {
                write["status"]
                    .as_u64()
                    .is_some_and(|status| statuses.contains(&status))
            })
            .filter_map(|write| write["url"].as_str().map(str::to_owned))
            .collect();
        found.sort();
        found
    };
    drop_movements(&site, 0, BEFORE);
    wait("the first items", || of(&[201]).len() as u64 >= BEFORE);
    assert_eq!(
        of(&[403]).len(),
        0,
        "a token was fetched before the first write"
    );
    cap.lab("csrf", r#"{"on":true}"#);
    drop_movements(&site, BEFORE, ALL);
    wait("all items", || of(&[201]).len() as u64 >= ALL);
    let mut written = of(&[200, 201]);
    assert_eq!(written.len() as u64, ALL);
    written.dedup();
    assert_eq!(written.len() as u64, ALL, "an item was written twice");
    let refused = of(&[403]);
    assert!((1..=4).contains(&refused.len()), "{refused:?}");
    assert_eq!(cap.writes().len(), written.len() + refused.len());
}
