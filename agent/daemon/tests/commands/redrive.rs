//! The command that has something read again, without a running agent.

use std::path::{Path, PathBuf};
use std::process::Command;

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shown = folder.path().display();
        let text = format!(
            "site = \"north\"\ndata_dir = \"{shown}/agent\"\ncollector = \"127.0.0.1:1\"\nmetrics = \"off\"\n\
             [[flow]]\nname = \"stock\"\n[flow.source]\nkind = \"file-drop\"\nfolder = \"{shown}/drops\"\npattern = \"*.txt\"\n{source}\
             [flow.source.format]\nkind = \"csv\"\n[[flow.mapping]]\nbody = \"generic\"\nrecord_type = \"task\"\nkey = \"A\"\nall_columns = true\n"
        );
        std::fs::write(folder.path().join("agent.toml"), text).expect("a file");
        for name in ["drops/failed", "drops/archive", "agent"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("a folder");
        }
        Self { folder }
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).expect("a file");
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn redrive(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_dray-agent"))
            .arg("redrive")
            .args(arguments)
            .arg("--config")
            .arg(self.at("agent.toml"))
            .output()
            .expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    }

    fn requests(&self) -> Vec<String> {
        let folder = self.at("agent/sources/stock/redrive");
        let read = |path: &Path| std::fs::read_to_string(path).expect("a request");
        std::fs::read_dir(folder).map_or_else(
            |_| Vec::new(),
            |entries| entries.flatten().map(|entry| read(&entry.path())).collect(),
        )
    }
}

fn check((code, said): (Option<i32>, String), expected: i32, words: &[&str]) {
    assert_eq!(code, Some(expected), "{said}");
    for word in words {
        assert!(said.contains(word), "\"{word}\" is missing in\n{said}");
    }
}

#[test]
fn redrive_lists_what_is_set_aside_and_asks_for_it() {
    let site = Site::new("");
    check(site.redrive(&["stock"]), 0, &["Nothing of flow \"stock\""]);
    site.put("drops/failed/b.txt", "A,A\n");
    site.put("drops/failed/a.txt", "A,A\n");
    site.put("drops/failed/theirs.csv", "A,A\n");
    let (code, said) = site.redrive(&["north/stock"]);
    assert!(said.starts_with("a.txt  4 B\nb.txt  4 B\n"), "{said}");
    assert!(!said.contains("theirs"), "it is another flow's: {said}");
    check((code, said), 0, &["dray-agent redrive stock FILE", "--all"]);
    let said = site.redrive(&["stock", "b.txt"]);
    check(said, 0, &["b.txt is read again", "No agent runs"]);
    assert_eq!(site.requests(), ["dray redrive 1\nfile\tb.txt$\n"]);
    check(
        site.redrive(&["stock", "--all"]),
        0,
        &["a.txt is read", "b.txt is read"],
    );
    assert!(site.at("drops/failed/b.txt").exists(), "the agent moves it");
}

#[test]
fn redrive_asks_for_records_by_what_their_dead_letters_say() {
    let site = Site::new("");
    site.put("drops/archive/a.txt", "A,B\n1,2\nx\n3,4\n");
    let said = site.redrive(&["stock", "a.txt", "--record", "3", "#2"]);
    check(said, 0, &["2 records of a.txt are read again"]);
    let requests = site.requests();
    assert!(
        requests[0].ends_with("record\t1\nrecord\t2\n"),
        "{requests:?}"
    );
}

#[test]
fn redrive_refuses_in_words_and_leaves_nothing() {
    let site = Site::new("");
    site.put("drops/archive/a.txt", "A,B\n1,2\n");
    for (arguments, words) in [
        (&["stok", "a.txt"][..], "there is no flow \"stok\""),
        (&["stock", "a.txt"], "a.txt is not in"),
        (
            &["stock", "a.txt", "--record", "9"],
            "no record of a.txt begins on line 9",
        ),
        (&["stock", "--record", "9"], "name it"),
        (&["stock", "--all"], "there is nothing in"),
    ] {
        check(site.redrive(arguments), 1, &[words]);
    }
    assert!(site.requests().is_empty());
    assert!(!site.at("agent/sources").exists(), "nothing was made");
}

#[test]
fn redrive_lists_why_kept_files_failed() {
    let site = Site::new("after = \"keep\"\n");
    check(site.redrive(&["stock"]), 0, &["Nothing of flow"]);
    site.put("drops/a.txt", "A,A\n");
    let zeros = "0".repeat(64);
    let ledger = format!(
        "dray ledger 1\nfailed\t{zeros}\t4\t0\t5\t6\t7\t8\t0\ta.txt$\tthe%20header%20has%20\"A\"%20twice$\n"
    );
    std::fs::create_dir_all(site.at("agent/sources/stock")).expect("a folder");
    site.put("agent/sources/stock/ledger", &ledger);
    check(
        site.redrive(&["stock"]),
        0,
        &["a.txt", "the header has \"A\" twice"],
    );
    check(
        site.redrive(&["stock", "a.txt"]),
        0,
        &["a.txt is read again"],
    );
    assert_eq!(site.requests().len(), 1);
}

#[test]
fn a_flow_of_a_database_says_what_can_be_done() {
    let site = Site::new("");
    let config = std::fs::read_to_string(site.at("agent.toml")).expect("a file");
    let (head, rest) = config.split_once("kind = \"file-drop\"").expect("a source");
    let (_, mapping) = rest.split_once("[[flow.mapping]]").expect("a mapping");
    for (source, words) in [
        (
            "kind = \"postgres\"\nhost = \"127.0.0.1\"\ndatabase = \"wms\"\nuser = \"dray\"\n[[flow.source.table]]\nname = \"public.stock\"\n",
            "load-again FLOW TABLE",
        ),
        (
            "kind = \"sql\"\ndriver = \"sqlite\"\nfile = \"/srv/wms.db\"\ntable = \"stock\"\nmode = \"delete-after-read\"\nid = \"id\"\n",
            "put it into the queue again",
        ),
    ] {
        site.put(
            "agent.toml",
            &format!("{head}{source}[[flow.mapping]]{mapping}"),
        );
        check(site.redrive(&["stock"]), 1, &[words]);
        check(site.redrive(&["stock", "--all"]), 1, &[words]);
    }
}
