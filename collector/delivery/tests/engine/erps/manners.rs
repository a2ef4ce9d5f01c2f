//! How each ERP answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::erp::Ask;

/// What every stub says of an event that is called "BAD".
const REFUSED: &str = "refused in the words of the ERP";

/// What an ERP holds.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// How often each document was made.
    pub(super) made: BTreeMap<String, u32>,
    /// Requests so far, without those that sign in.
    pub(super) requests: u64,
    /// Changes so far: by turns somebody else was faster.
    changes: u64,
    /// Staged rows by reference, with how often each was asked about.
    staged: BTreeMap<String, u32>,
    /// The end of a token against cross-site request forgery.
    token: u64,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// An ERP's ways.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) answer: fn(&mut Documents, &Ask) -> Answer,
    /// "Later", as it says it.
    pub(super) throttled: fn() -> Answer,
}

pub(super) const NETSUITE: Manner = Manner {
    answer: netsuite,
    // A RESTlet's and a REST request's limit look alike, and come as 400.
    throttled: || {
        let said = json!({"status": 400, "o:errorDetails": [{"detail": "later", "o:errorCode": "SSS_REQUEST_LIMIT_EXCEEDED"}]});
        with(400, "retry-after", "0", &said)
    },
};
pub(super) const DYNAMICS: Manner = Manner {
    answer: dynamics,
    throttled: || {
        with(
            429,
            "retry-after",
            "0",
            &json!({"error": {"message": "later"}}),
        )
    },
};
pub(super) const BUSINESS_CENTRAL: Manner = Manner {
    answer: business_central,
    throttled: || {
        with(
            429,
            "retry-after",
            "0",
            &json!({"error": {"code": "Application_TooManyRequests"}}),
        )
    },
};
pub(super) const S4HANA: Manner = Manner {
    answer: s4hana,
    throttled: || with(503, "retry-after", "0", &json!({})),
};
pub(super) const FUSION: Manner = Manner {
    answer: fusion,
    throttled: || with(429, "retry-after", "0", &json!({})),
};
pub(super) const ODOO: Manner = Manner {
    answer: odoo,
    throttled: || {
        odoo_says(
            "psycopg2.errors.SerializationFailure",
            "could not serialize access",
        )
    },
};

fn says(status: u16, body: &Value) -> Answer {
    Answer {
        status,
        headers: vec![("content-type", "application/json".into())],
        body: body.to_string(),
    }
}

fn with(status: u16, name: &'static str, value: &str, body: &Value) -> Answer {
    let mut answer = says(status, body);
    answer.headers.push((name, value.to_owned()));
    answer
}

fn empty(status: u16) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: String::new(),
    }
}

pub(super) fn is_sign_in(ask: &Ask) -> bool {
    ask.path.ends_with("/login/token")
        || ask
            .headers
            .get("x-csrf-token")
            .is_some_and(|token| token == "fetch")
}

pub(super) fn sign_in(ask: &Ask) -> Answer {
    if ask.path.ends_with("/login/token") {
        return says(
            200,
            &json!({"access_token": "a-token-of-a-test", "token_type": "Bearer", "expires_in": 3600}),
        );
    }
    with(200, "x-csrf-token", "the-token", &json!({}))
}

/// The text between two others, without percent-encoding.
fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    let value = rest.split_once(after).map_or(rest, |(value, _)| value);
    Some(value.replace("%2F", "/").replace("%27", "'"))
}

fn body(ask: &Ask) -> Value {
    serde_json::from_slice(&ask.body).unwrap_or(Value::Null)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Documents {
    fn make(&mut self, name: &str) {
        *self.made.entry(name.to_owned()).or_default() += 1;
    }

    /// Whether somebody else was faster this time.
    fn is_late(&mut self) -> bool {
        self.changes += 1;
        self.changes % 5 == 1
    }
}

fn netsuite(documents: &mut Documents, ask: &Ask) -> Answer {
    let refused = |detail: &str| {
        says(
            400,
            &json!({"title": "Bad Request", "o:errorDetails": [{"detail": detail, "o:errorCode": "USER_ERROR"}]}),
        )
    };
    assert!(
        ask.headers["authorization"]
            .to_str()
            .is_ok_and(|said| said.starts_with("OAuth realm="))
    );
    let id = between(&ask.path, "eid:", "/").unwrap_or_default();
    let plain = |id: &str| {
        id.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !plain(&id) {
        return refused("an external id holds a character that it must not");
    }
    if ask.method == "PUT" {
        if id == "BAD" {
            return refused(REFUSED);
        }
        if documents.made.contains_key(&id) && documents.is_late() {
            return says(
                400,
                &json!({"o:errorDetails": [{"detail": "x", "o:errorCode": "RCRD_HAS_BEEN_CHANGED"}]}),
            );
        }
        // An upsert that repeats is one record.
        documents.made.insert(id, 1);
        return empty(204);
    }
    if ask.method == "GET" {
        let is_there = documents.made.contains_key(&id);
        return says(
            if is_there { 200 } else { 404 },
            &json!({"o:errorDetails": []}),
        );
    }
    let sent = body(ask);
    assert!(
        ask.path.ends_with("/!transform/itemFulfillment"),
        "{}",
        ask.path
    );
    assert_eq!(sent["item"]["items"][0]["quantity"].to_string(), "12.5");
    if id != "SO_5f1" {
        return refused(REFUSED);
    }
    documents.make(&text(&sent["externalId"]));
    empty(204)
}

fn dynamics(documents: &mut Documents, ask: &Ask) -> Answer {
    assert_eq!(ask.headers["authorization"], "Bearer a-token-of-a-test");
    let there = |status| {
        says(
            status,
            &json!({"error": {"message": "No resources were found"}}),
        )
    };
    if let Some(number) = between(&ask.path, "ItemNumber='", "')") {
        assert!(ask.path.contains("dataAreaId='usmf'") && ask.path.contains("cross-company=true"));
        return match documents.made.contains_key(&number) {
            false => there(404),
            true if ask.method == "GET" => says(200, &json!({"ItemNumber": number})),
            true if documents.is_late() => there(412),
            true => empty(204),
        };
    }
    let number = text(&body(ask)["ItemNumber"]);
    if number == "BAD" {
        let inner = json!({"message": REFUSED});
        return says(
            400,
            &json!({"error": {"message": "An error has occurred.", "innererror": inner}}),
        );
    }
    if documents.made.contains_key(&number) {
        // It says so with the status of an outage.
        return says(
            500,
            &json!({"error": {"innererror": {"message": "The record already exists."}}}),
        );
    }
    documents.make(&number);
    says(201, &json!({}))
}

fn business_central(documents: &mut Documents, ask: &Ask) -> Answer {
    let wrong = |status, code: &str, message: &str| {
        says(
            status,
            &json!({"error": {"code": code, "message": message}}),
        )
    };
    if ask.method == "GET" {
        let number = between(&ask.path, "eq%20'", "'&").unwrap_or_default();
        let found = match documents.made.contains_key(&number) {
            true => json!([{"@odata.etag": "W/\"7\"", "id": "5d115c9c"}]),
            false => json!([]),
        };
        return says(200, &json!({"@odata.context": "items", "value": found}));
    }
    if ask.method == "PATCH" {
        assert_eq!(ask.headers["if-match"], "W/\"7\"");
        return match documents.is_late() {
            true => wrong(
                409,
                "Request_EntityChanged",
                "Another user has already changed the record.",
            ),
            false => says(200, &json!({})),
        };
    }
    let number = text(&body(ask)["number"]);
    if number == "BAD" {
        return wrong(400, "Application_DialogException", REFUSED);
    }
    if documents.made.contains_key(&number) {
        return wrong(
            400,
            "Internal_EntityWithSameKeyExists",
            "The record already exists.",
        );
    }
    documents.make(&number);
    says(201, &json!({}))
}

fn s4hana(documents: &mut Documents, ask: &Ask) -> Answer {
    let wrong = |status, message: &str| {
        says(
            status,
            &json!({"error": {"code": "X/1", "message": {"lang": "en", "value": message}}}),
        )
    };
    if ask.method != "GET" {
        documents.token += 1;
        // Tokens end, and say so with the status of a missing right.
        if ask
            .headers
            .get("x-csrf-token")
            .is_none_or(|token| token != "the-token")
            || documents.token.is_multiple_of(7)
        {
            return with(403, "x-csrf-token", "Required", &json!({}));
        }
    }
    let product = between(&ask.path, "A_Product('", "')");
    match (ask.method.as_str(), product) {
        ("GET", Some(number)) => match documents.made.contains_key(&number) {
            true => with(200, "etag", "W/\"7\"", &json!({"d": {"Product": number}})),
            false => wrong(404, "Resource not found"),
        },
        ("PATCH", Some(_)) => match (ask.headers.get("if-match"), documents.is_late()) {
            (None, _) => wrong(428, "Precondition required"),
            (Some(_), true) => wrong(412, "Precondition failed"),
            (Some(_), false) => empty(204),
        },
        ("GET", None) => {
            let number = between(&ask.path, "eq%20'", "'&").unwrap_or_default();
            let found = match documents.made.contains_key(&number) {
                true => json!([{"MaterialDocument": "49"}]),
                false => json!([]),
            };
            says(200, &json!({"d": {"results": found}}))
        }
        _ => {
            let sent = body(ask);
            let (number, is_movement) = match sent["ReferenceDocument"].as_str() {
                Some(reference) => (reference.to_owned(), true),
                None => (text(&sent["Product"]), false),
            };
            if number == "BAD" {
                return wrong(400, REFUSED);
            }
            if documents.is_late() {
                return wrong(400, "Material SKU-1 is locked by user MILLER");
            }
            if is_movement {
                let line = &sent["to_MaterialDocumentItem"]["results"][0];
                // The type says which way it goes: SAP's quantities have no sign.
                assert_eq!(
                    (&line["QuantityInEntryUnit"], &line["GoodsMovementType"]),
                    (&json!("12.50"), &json!("201"))
                );
                assert!(text(&sent["PostingDate"]).starts_with("/Date("));
            } else if documents.made.contains_key(&number) {
                return wrong(400, "Material already exists");
            }
            // A post that repeats is another document.
            documents.make(&number);
            says(201, &json!({"d": {"MaterialDocument": "49"}}))
        }
    }
}

fn fusion(documents: &mut Documents, ask: &Ask) -> Answer {
    let refused = || Answer {
        status: 400,
        headers: vec![("content-type", "text/plain".into())],
        body: REFUSED.into(),
    };
    if ask.method == "GET" {
        let reference = between(&ask.path, "TransactionReference='", "'&").unwrap_or_default();
        if ask.path.contains("inventoryCompletedTransactions") {
            let found = documents.made.contains_key(&reference);
            let items = if found {
                json!([{"TransactionId": 1}])
            } else {
                json!([])
            };
            return says(200, &json!({"items": items, "count": u32::from(found)}));
        }
        let Some(asked) = documents.staged.get_mut(&reference) else {
            return says(200, &json!({"items": [], "count": 0}));
        };
        *asked += 1;
        if reference == "BAD" {
            return says(
                200,
                &json!({"items": [{"ProcessStatus": 3, "ErrorExplanation": REFUSED}], "count": 1}),
            );
        }
        if *asked < 3 {
            return says(200, &json!({"items": [{"ProcessStatus": 1}], "count": 1}));
        }
        // A row that was processed is gone.
        documents.staged.remove(&reference);
        documents.make(&reference);
        return says(200, &json!({"items": [], "count": 0}));
    }
    let sent = body(ask);
    if ask.path.ends_with("itemsV2") {
        assert_eq!(ask.headers["upsert-mode"], "true");
        let number = text(&sent["ItemNumber"]);
        if number == "BAD" {
            return refused();
        }
        documents.made.insert(number, 1);
        return says(201, &json!({}));
    }
    let reference = text(&sent["TransactionReference"]);
    assert_eq!(sent["TransactionTypeName"], "Issue");
    // A row that is staged twice is booked twice.
    match documents.staged.get(&reference) {
        Some(_) => documents.make(&reference),
        None => drop(documents.staged.insert(reference, 0)),
    }
    says(201, &json!({"TransactionInterfaceId": 9}))
}

fn odoo_says(name: &str, message: &str) -> Answer {
    says(
        500,
        &json!({"name": name, "message": message, "arguments": [message], "context": {}, "debug": "Traceback ..."}),
    )
}

fn odoo(documents: &mut Documents, ask: &Ask) -> Answer {
    assert_eq!(ask.headers["authorization"], "Bearer a s3cret of a test");
    let sent = body(ask);
    if ask.path.ends_with("/search_read") {
        let number = text(&sent["domain"][0][2]);
        let found = documents.made.contains_key(&number);
        return says(200, &if found { json!([{"id": 5}]) } else { json!([]) });
    }
    if ask.path.ends_with("/write") {
        return says(200, &json!(true));
    }
    let number = text(&sent["vals_list"][0]["default_code"]);
    if number == "BAD" {
        return odoo_says("odoo.exceptions.ValidationError", REFUSED);
    }
    documents.make(&number);
    says(200, &json!([5]))
}
