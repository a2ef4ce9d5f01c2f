//! Files in a folder: whole, each event in one of them, whoever is killed and whoever takes them away meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dray_delivery::{Metrics, State};
use dray_store::ExceptionState::Dead;
use dray_store::Store;
use serde_json::Value;

use crate::servers::sftp::Sftp;
use crate::servers::{finished, movement, movements, put, start_as, wait_for};
use crate::support::memory::Memory;
use crate::support::{exceptions, open, states};

const KEYS: u64 = 37;
const EVENTS: u64 = 400;

fn table(folder: &Path, own: &str, more: &str) -> String {
    format!(
        "kind = \"file\"\n{own}[file]\nfolder = \"{}\"\n{more}\n",
        folder.display()
    )
}

/// What somebody who fetches files has: each file's text by its name. Takes them away.
fn fetch(folder: &Path, fetched: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let text = std::fs::read_to_string(&path).expect("a file");
            assert!(
                fetched.insert(name.clone(), text).is_none(),
                "{name} came twice"
            );
            std::fs::remove_file(&path).expect("a file");
        }
    }
}

/// `there`: where files appear. `crash`: kills their server.
async fn stay_exact(folder: &Path, there: &Path, sftp: &str, rounds: u64, mut crash: impl FnMut()) {
    let memory = Memory::slow();
    let store: Arc<dyn Store> = memory.clone();
    let more =
        "format = \"jsonl\"\nevery = \"30ms\"\nevents_max = 100\ntrailer = '{\"count\":{count}}'";
    let more = table(folder, "batch = 40\nconcurrency = 4\n", more) + sftp;
    let mut target = start_as(&store, "erp", &more);
    let mut fetched = BTreeMap::new();
    for round in 0..rounds {
        let first = round * EVENTS;
        movements(&store, "north/moves", first..first + EVENTS / 2, KEYS).await;
        movements(
            &store,
            "north/moves",
            first + EVENTS / 2..first + EVENTS,
            KEYS,
        )
        .await;
        let some = (round * 7919) % EVENTS;
        let wait = target.wait_for(|metrics| metrics.delivered >= some);
        let _ = tokio::time::timeout(Duration::from_secs(2), wait).await;
        if round % 3 == 0 {
            fetch(there, &mut fetched);
        }
        if round % 8 == 5 {
            crash();
        }
        target.kill().await;
        memory.crash(round % 2 == 0);
        target = start_as(&store, "erp", &more);
    }
    finished(&store, &target, "north/moves", rounds * EVENTS).await;
    target.stop().await;
    fetch(there, &mut fetched);
    // In the order of their names, each key's events come in their order, and none twice.
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut offsets = Vec::new();
    for (name, text) in &fetched {
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{name}: {line}")))
            .collect();
        let (trailer, events) = lines.split_last().expect("a trailer");
        assert_eq!(trailer["count"], events.len(), "{name} is whole");
        for event in events {
            let offset = event["offset"].as_u64().expect("an offset");
            let key = event["key"].as_str().expect("a key").to_owned();
            let before = last.insert(key.clone(), offset);
            assert!(before.is_none_or(|before| before < offset), "{name}: {key}");
            offsets.push(offset);
        }
    }
    let total = offsets.len();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(total, offsets.len(), "none doubled");
    assert_eq!(
        offsets,
        (1..=rounds * EVENTS).collect::<Vec<_>>(),
        "none lost"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_in_one_whole_file_whoever_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    stay_exact(folder.path(), folder.path(), "", 30, || ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_in_one_whole_file_on_a_server_whoever_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Sftp::start();
    let (there, sftp) = (server.folder(), server.table());
    stay_exact(folder.path(), &there, &sftp, 16, || server.crash()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_key_or_without_the_folder_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Sftp::start();
    let store = open();
    put(&store, "north/moves", &[movement(1, "A", 1, "1")]).await;
    let more = table(folder.path(), "", "format = \"jsonl\"") + &server.table();
    let start = more.find("SHA256:").expect("a key");
    let other = more.replace(
        &more[start..start + 50],
        &format!("SHA256:{}", "a".repeat(43)),
    );
    let target = start_as(&store, "erp", &other);
    let paused = |said: &'static str| {
        move |metrics: &Metrics| metrics.state == State::Paused && metrics.detail.contains(said)
    };
    wait_for(&target, "the key", paused("file.sftp.host_key is another")).await;
    target.kill().await;
    let (there, away) = (server.folder(), server.folder().with_extension("away"));
    std::fs::rename(&there, &away).expect("a folder");
    let target = start_as(&store, "erp", &more);
    target.resume().await.expect("it runs");
    wait_for(&target, "the folder", paused("mend file.sftp.folder")).await;
    std::fs::rename(&away, &there).expect("a folder");
    target.resume().await.expect("it runs");
    finished(&store, &target, "north/moves", 1).await;
    assert!(there.join("north-moves-000000000001.jsonl").exists());
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_place_in_a_file_is_refused_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open();
    let more = "format = \"fixed\"\nencoding = \"windows-1252\"\nline_end = \"crlf\"\nheader = \"HDR {flow} {count}\"\n\
        [[file.field]]\nname = \"sku\"\nvalue = \"key\"\nwidth = 6\n[[file.field]]\nname = \"qty\"\nvalue = \"data.quantity\"\nwidth = 8\nalign = \"right\"\n";
    let more = table(folder.path(), "on_reject = \"park\"\n", more);
    let target = start_as(&store, "erp", &more);
    let events = [
        movement(1, "Ä-1", 1, "12.50"),
        movement(2, "Ω-1", 1, "1"),
        movement(3, "TOO-LONG", 1, "1"),
        movement(4, "B-2", 1, "-4"),
    ];
    put(&store, "north/moves", &events).await;
    finished(&store, &target, "north/moves", 4).await;
    assert_eq!(states(&store), [(2, Dead), (3, Dead)]);
    let reasons: Vec<_> = exceptions(&store)
        .into_iter()
        .map(|found| found.reason)
        .collect();
    assert!(
        reasons.iter().any(|reason| reason.contains("windows-1252")),
        "{reasons:?}"
    );
    let file = folder.path().join("north-moves-000000000001.txt");
    let expected = b"HDR moves 2\r\n\xC4-1      12.50\r\nB-2         -4\r\n";
    assert_eq!(std::fs::read(file).expect("a file"), expected);
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_pauses_the_target_and_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let absent = folder.path().join("out");
    let store = open();
    put(&store, "north/moves", &[movement(1, "A", 1, "1")]).await;
    let target = start_as(&store, "erp", &table(&absent, "", "format = \"jsonl\""));
    let paused = wait_for(&target, "a pause", |metrics| metrics.state == State::Paused).await;
    assert!(
        paused.detail.contains("mend file.folder"),
        "{}",
        paused.detail
    );
    std::fs::create_dir(&absent).expect("a folder");
    target.resume().await.expect("it runs");
    finished(&store, &target, "north/moves", 1).await;
    target.stop().await;
}
