//! Stores as earlier builds wrote them, kept as SQL in `tests/golden/`: today's code opens them and finds all.
//!
//! A change of the tables adds a folder there and keeps the others: `DRAY_GOLDEN_TO=FOLDER cargo test -p dray-store golden`
//! writes a store of today, and `sqlite3 FILE .dump` makes SQL of it.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dray_proto::{Offset, Sequence};
use dray_store::conformance::{blocks, flow};
use dray_store::{
    Agent, AuditEntry, Cursor, Exception, ExceptionQuery, ExceptionState, Kept, Reference,
    Remember, Remembers as _, Replay, ReplayProgress, ReplayState, SqliteStore, Step, Store,
    StoreError, Wait,
};
use rusqlite::Connection;

use crate::open;

const COUNTS: [u32; 3] = [10, 3, 70];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn cursor() -> Cursor {
    Cursor {
        through: Offset(13),
        above: [2, 3, 9].into_iter().collect(),
    }
}

fn dead() -> Exception {
    Exception {
        id: 1,
        target: "erp".into(),
        flow: flow("movements"),
        offset: Offset(14),
        key: "4711".into(),
        state: ExceptionState::Dead,
        reason: "the item is unknown".into(),
        at_us: 1_700_000_000_000_000,
        event: Bytes::from_static(b"event"),
        detail: String::new(),
    }
}

fn agent() -> Agent {
    Agent {
        agent: "a-1".into(),
        site: "north".into(),
        key_sha256: "ab".repeat(32),
        certificate_ends_s: 1_800_000_000,
        revoked: false,
        last_seen_s: 1_700_000_000,
        version: "0.1.0".into(),
    }
}

fn audited() -> AuditEntry {
    AuditEntry {
        id: 1,
        at_us: 1_700_000_000_000_000,
        actor: "uid 991".into(),
        action: "move".into(),
        subject: "north/movements".into(),
        detail: "to a-1".into(),
        hash: Vec::new(),
    }
}

/// From format 3 on.
fn remembered() -> Remember {
    let item = |name: &str| Reference {
        of: "item".into(),
        name: name.into(),
    };
    Remember {
        target: "erp".into(),
        learn: vec![item("SKU-1")],
        wait: vec![Wait {
            flow: flow("movements"),
            offset: Offset(14),
            reference: Some(item("SKU-2")),
            due_us: 2_000_000_000_000_000,
            alarm_us: 1_700_000_000_000_000,
            unless_known: true,
        }],
        keep: vec![Kept {
            flow: flow("movements"),
            key: "4711".into(),
            name: "document_id".into(),
            value: "D-1".into(),
        }],
        ..Remember::default()
    }
}

/// Writes one of everything.
fn write(store: &SqliteStore) {
    for name in ["movements", "orders"] {
        let made = blocks(7, 1, 0, &COUNTS);
        let appended = store.append("a-1", &flow(name), made).wait();
        appended.expect("it lives").expect("it fits");
    }
    let step = Step {
        consumer: "target:erp".into(),
        cursors: vec![(flow("movements"), cursor())],
        add: vec![dead()],
        remember: remembered(),
        ..Step::default()
    };
    store.step(step).wait().expect("it lives").expect("it fits");
    store.set("paused:erp", Some("by uid 991")).expect("set");
    store.add_token("cd", "north", 1_800_000_000).expect("kept");
    let enrolled = store.enrol("cd", 1_700_000_000, agent());
    enrolled.expect("enrolled").expect("the token is good");
    let renewed = store.renew_agent("a-1", &agent().key_sha256, agent().certificate_ends_s);
    assert!(renewed.expect("renewed"));
    let seen = store.saw_agent("a-1", agent().last_seen_s, Some("0.1.0"));
    seen.expect("seen");
    store.add_token("ef", "south", 1_800_000_000).expect("kept");
    store.audit(&audited()).expect("kept");
}

fn planned() -> Replay {
    Replay {
        id: 1,
        target: "erp".into(),
        by: "uid 1001".into(),
        at_us: 1_700_000_000_000_000,
        expires_us: 1_700_086_400_000_000,
        state: ReplayState::Planned,
        plan: "{}".into(),
        selection: Bytes::from_static(b"selection"),
        hash: vec![7; 32],
        approved_by: String::new(),
        approved_us: 0,
        ended_us: 0,
        progress: ReplayProgress::default(),
    }
}

/// What only stores of today have.
fn write_newest(store: &SqliteStore) {
    write(store);
    let added = store.add_replay(&planned(), &audited());
    assert_eq!(added.expect("kept"), 1);
}

/// Finds one of everything.
fn check(store: &SqliteStore) {
    for name in ["movements", "orders"] {
        let held = store.held(&flow(name));
        assert_eq!(
            (held.newest_offset, held.agent.as_str()),
            (Offset(83), "a-1")
        );
        let read = store.read(&flow(name), Offset(1), usize::MAX).expect("all");
        let read: Vec<_> = read.into_iter().map(|one| one.block).collect();
        let mut wanted = blocks(7, 1, 0, &COUNTS);
        for (block, read) in wanted.iter_mut().zip(&read) {
            let header = block.header.as_mut().expect("it has one");
            // Site and flow are the log's, as the agent's are not believed.
            header
                .flow
                .clone_from(&read.header.as_ref().expect("it has one").flow);
        }
        assert_eq!(read, wanted);
        // And it goes on.
        let made = blocks(7, 84, held.chain, &[1]);
        let held = store.append("a-1", &flow(name), made).wait();
        let held = held.expect("it lives").expect("it fits");
        assert_eq!(held.next_sequence, Sequence(85));
    }
    let cursors = store.cursors("target:erp").expect("cursors");
    assert_eq!(cursors, [(flow("movements"), cursor())]);
    let query = ExceptionQuery {
        limit: 10,
        ..ExceptionQuery::default()
    };
    assert_eq!(store.exceptions(&query).expect("exceptions"), [dead()]);
    let paused = store.setting("paused:erp").expect("a setting");
    assert_eq!(paused.as_deref(), Some("by uid 991"));
    assert_eq!(store.agents().expect("agents"), [agent()]);
    let site = store.token_site("ef", 1_700_000_000).expect("a token");
    assert_eq!(site.as_deref(), Some("south"));
    let kept = store.audit_entries(10).expect("entries");
    let plain = kept.into_iter().map(|kept| AuditEntry {
        hash: Vec::new(),
        ..kept
    });
    let plain: Vec<_> = plain.collect();
    assert_eq!(plain[0], audited());
    // Only the newest has a replay, and its entry.
    let replays = store.replay(1).expect("an answer");
    assert_eq!(replays.is_some(), plain.len() == 2);
    assert!(replays.is_none_or(|found| found == planned()));
}

/// What a store of format 3 has more.
fn check_remembered(store: &SqliteStore) {
    let known = remembered().learn;
    assert_eq!(store.knows("erp", &known).expect("an answer"), [true]);
    let waits = store
        .waits("erp", 1_800_000_000_000_000)
        .expect("an answer");
    assert_eq!((waits.total, waits.overdue), (1, 1));
    let due = store.due_waits("erp", i64::MAX, 0, 9).expect("an answer");
    assert_eq!(due[0].key, "4711");
    let kept = store.kept("erp", &flow("movements"), "4711");
    assert_eq!(kept.expect("an answer")["document_id"], "D-1");
    assert_eq!(store.remembered("erp").expect("an answer"), (1, 1));
}

/// Not a test by itself: writes what becomes golden, where `DRAY_GOLDEN_TO` says.
#[test]
fn store_to_keep() {
    if let Some(folder) = std::env::var_os("DRAY_GOLDEN_TO") {
        write_newest(&open(Path::new(&folder)));
    }
}

/// The SQL of all tables and indexes.
fn schema(file: &Path) -> Vec<String> {
    let connection = Connection::open(file).expect("a database");
    let mut query = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .expect("a query");
    let rows = query.query_map([], |row| row.get::<_, String>(0));
    let rows = rows.expect("rows").map(|row| row.expect("a text"));
    rows.map(|sql| sql.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Makes the databases that a golden folder's SQL tells of, where a store has them.
fn lay_out(golden: &Path, folder: &Path) {
    fs::create_dir(folder.join("log")).expect("a folder");
    for sql in fs::read_dir(golden).expect("its files").flatten() {
        let name = sql.file_name().into_string().expect("UTF-8");
        let text = fs::read_to_string(sql.path()).expect("UTF-8");
        let made = Connection::open(place(folder, name.strip_suffix(".sql").expect("SQL")));
        let made = made.expect("a database").execute_batch(&text);
        made.expect("it was dumped");
    }
}

fn place(folder: &Path, name: &str) -> PathBuf {
    match name.starts_with("log-") {
        true => folder.join("log").join(name),
        false => folder.join(name),
    }
}

#[test]
fn stores_of_earlier_builds_open_whole_and_go_on() {
    let formats = fs::read_dir(golden()).expect("golden stores").flatten();
    let formats: Vec<PathBuf> = formats.map(|entry| entry.path()).collect();
    assert!(!formats.is_empty());
    for format in formats {
        let folder = tempfile::tempdir().expect("a folder");
        lay_out(&format, folder.path());
        let store = open(folder.path());
        check(&store);
        match store.remembered("erp").expect("an answer") {
            (0, 0) => assert!(["1", "2"].iter().any(|old| format.ends_with(old))),
            _ => check_remembered(&store),
        }
        drop(store);
        let held = open(folder.path()).held(&flow("orders"));
        assert_eq!(held.newest_offset, Offset(84), "what was added is kept");
    }
}

/// Otherwise an older store would be opened by code that nobody tried on one.
#[test]
fn the_tables_of_today_are_kept_as_golden() {
    let (today, kept) = (tempfile::tempdir(), tempfile::tempdir());
    let (today, kept) = (today.expect("a folder"), kept.expect("a folder"));
    write(&open(today.path()));
    let newest = fs::read_dir(golden()).expect("golden stores").flatten();
    lay_out(
        &newest.map(|entry| entry.path()).max().expect("one"),
        kept.path(),
    );
    for name in ["state.db", "log-0000000001.db"] {
        assert_eq!(
            schema(&place(today.path(), name)),
            schema(&place(kept.path(), name)),
            "{name}: the tables changed: keep a store of today in tests/golden too"
        );
    }
}

#[test]
fn a_store_of_a_newer_collector_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    let state = Connection::open(folder.path().join("state.db")).expect("a database");
    state.pragma_update(None, "user_version", 99).expect("set");
    drop(state);
    let opened = SqliteStore::open(dray_store::Options::in_folder(folder.path()));
    let Err(error @ StoreError::Newer { .. }) = opened else {
        panic!("it was opened")
    };
    assert!(
        error.to_string().contains("install the newer one"),
        "{error}"
    );
}
