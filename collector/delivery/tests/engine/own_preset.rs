//! The preset that `docs/delivery.md` shows how to write, as it stands there, at a server that answers as the page says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::erps::{deliver, event};
use crate::support::erp::{Ask, Erp, Reply};
use crate::support::{exceptions, open, wait};
use dray_delivery::{TargetConfig, presets};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Whole {
    target: Vec<TargetConfig>,
}

/// The page's preset, and the target that lies on it.
pub(crate) fn shown() -> (String, String) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/delivery.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, section) = page
        .split_once("\n### A preset of your own\n")
        .expect("its section");
    let mut blocks = section.split("```toml\n").skip(1);
    let mut block = || {
        let rest = blocks.next().expect("a block");
        rest.split("```").next().expect("its content").to_owned()
    };
    (block(), block())
}

/// Writes the page's preset to where the page's target finds it from here.
pub(crate) fn put_beside(folder: &Path) {
    std::fs::create_dir(folder.join("presets")).expect("a folder");
    std::fs::write(folder.join("presets/our-erp.toml"), shown().0).expect("a file");
}

/// The ERP of the page: articles by number; it says in a 200 what it refuses.
fn answer(articles: &mut BTreeMap<String, String>, ask: &Ask) -> Value {
    let body: Value = serde_json::from_slice(&ask.body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or("");
    let path = ask.path.strip_prefix("/api/").expect("beneath the url");
    if let Some(number) = path.strip_prefix("articles?company=7&number=") {
        let found = articles.get(number).map(|_| json!({"id": number}));
        return json!({"articles": found.into_iter().collect::<Vec<_>>()});
    }
    let number = match path.strip_prefix("articles/") {
        Some(id) => id.to_owned(),
        None if body["company"] != 7 => return json!({"error": {"text": "no such company"}}),
        None if articles.contains_key(text("/number")) => {
            return json!({"error": {"text": "it is there"}});
        }
        None => text("/number").to_owned(),
    };
    if text("/name").is_empty() {
        return json!({"error": {"text": "an article has a name"}});
    }
    articles.insert(number, text("/name").to_owned());
    json!({"ok": true})
}

#[tokio::test]
async fn the_preset_that_the_page_shows_creates_changes_and_tells_what_is_refused() {
    let (store, erp) = (open(), Erp::start().await);
    let articles = Arc::new(Mutex::new(BTreeMap::new()));
    let playing = Arc::clone(&articles);
    erp.script(move |ask| {
        assert_eq!(ask.headers["authorization"], "Bearer a s3cret of a test");
        let mut articles = playing.lock().expect("nobody panics holding it");
        let said = answer(&mut articles, ask).to_string();
        match ask.number {
            // The reply to the first article's creation is lost.
            1 => Reply::TakeAndReset,
            _ => Reply::Whole(200, Vec::new(), said),
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    put_beside(folder.path());
    std::fs::write(folder.path().join("token"), "a s3cret of a test").expect("a file");
    let text = shown()
        .1
        .replace(
            "https://erp.example/api/",
            &format!("http://{}/api/", erp.address),
        )
        .replace(
            "/etc/dray/our-erp.token",
            folder.path().join("token").to_str().expect("UTF-8"),
        )
        .replace(
            "[target.vars]",
            "concurrency = 1\nretry = { first = \"5ms\", max = \"20ms\" }\n[target.vars]",
        );
    let config = presets::merged::<Whole>(&text, folder.path())
        .expect("it is merged")
        .target
        .remove(0);
    assert_eq!(config.validate(), [""; 0]);
    let events = [
        ("A-1", "Bolt"),
        ("A-2", "Nut"),
        ("A-1", "Bolt M8"),
        ("A-3", ""),
    ];
    let events: Vec<_> = (1..)
        .zip(events)
        .map(|(sequence, (number, name))| {
            event(
                sequence,
                number,
                "item",
                &[("item_number", number), ("description", name)],
            )
        })
        .collect();
    let target = deliver(&store, &events, config).await;
    let metrics = wait(&target, "all of them", |metrics| {
        metrics.delivered + metrics.dead == 4
    })
    .await;
    assert_eq!((metrics.delivered, metrics.dead), (3, 1));
    let dead = exceptions(&store).remove(0);
    assert_eq!(dead.key, "A-3");
    assert!(
        dead.reason.contains("an article has a name"),
        "{}",
        dead.reason
    );
    let kept: Vec<_> = articles
        .lock()
        .expect("nobody panics holding it")
        .clone()
        .into_iter()
        .collect();
    let expected = [("A-1", "Bolt M8"), ("A-2", "Nut")]
        .map(|(number, name)| (number.to_owned(), name.to_owned()));
    assert_eq!(kept, expected);
}
