//! Tokens, and the agents that used one.

use crate::api::{Agent, Store};

pub(super) fn tokens_work_once(store: &impl Store) {
    let agent = Agent {
        agent: "a-1".into(),
        site: "forged".into(),
        key_sha256: "k".into(),
        certificate_ends_s: 9,
        revoked: false,
        last_seen_s: 0,
        version: String::new(),
    };
    store.add_token("hash", "north", 100).expect("done");
    assert_eq!(
        store.token_site("hash", 99).expect("an answer").as_deref(),
        Some("north")
    );
    assert_eq!(
        store.token_site("hash", 100).expect("an answer"),
        None,
        "it ended"
    );
    assert_eq!(
        store.enrol("other", 50, agent.clone()).expect("an answer"),
        None
    );
    let enrolled = store
        .enrol("hash", 50, agent.clone())
        .expect("an answer")
        .expect("a good token");
    assert_eq!(
        enrolled.site, "north",
        "the token's site, whatever was said"
    );
    assert_eq!(
        store.enrol("hash", 50, agent).expect("an answer"),
        None,
        "it was used"
    );
    assert!(store.revoke_agent("a-1").expect("an answer"));
    assert!(!store.revoke_agent("a-2").expect("an answer"));
    store.saw_agent("a-1", 7, Some("0.2")).expect("done");
    store.saw_agent("a-1", 8, None).expect("done");
    store.saw_agent("a-2", 8, None).expect("passed over");
    let revoked = Agent {
        revoked: true,
        last_seen_s: 8,
        version: "0.2".into(),
        ..enrolled
    };
    assert_eq!(store.agents().expect("an answer"), [revoked]);
}

pub(super) fn a_renewal_moves_the_end_and_nothing_else(store: &impl Store) {
    store.add_token("t", "north", 100).expect("kept");
    let agent = Agent {
        agent: "a-1".into(),
        site: "north".into(),
        key_sha256: "k".into(),
        certificate_ends_s: 1_000,
        revoked: false,
        last_seen_s: 0,
        version: String::new(),
    };
    let enrolled = store.enrol("t", 1, agent).expect("an answer");
    let enrolled = enrolled.expect("the token is good");
    for (id, key) in [("a-2", "k"), ("a-1", "another")] {
        let known = store.renew_agent(id, key, 2_000).expect("an answer");
        assert!(!known, "{id} with key {key}");
    }
    assert_eq!(
        store.agents().expect("an answer"),
        std::slice::from_ref(&enrolled)
    );
    assert!(store.renew_agent("a-1", "k", 2_000).expect("an answer"));
    let renewed = Agent {
        certificate_ends_s: 2_000,
        ..enrolled
    };
    assert_eq!(
        store.agents().expect("an answer"),
        std::slice::from_ref(&renewed)
    );
    assert!(store.revoke_agent("a-1").expect("an answer"));
    let refused = store.renew_agent("a-1", "k", 3_000).expect("an answer");
    assert!(!refused, "it is revoked");
    assert_eq!(
        store.agents().expect("an answer")[0].certificate_ends_s,
        2_000
    );
}
