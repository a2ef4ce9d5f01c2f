//! Files of an SFTP server come as if they had been dropped here.

use std::fs;

use dray_adapter::SourceError;
use dray_adapter::conformance::{Agent, shown};
use dray_file_drop::Finding;

use crate::server::{Server, set_time};
use crate::support::{Drops, table, until, work};

/// What the source says of itself when it is polled now.
pub(crate) fn said(agent: &mut Agent) -> String {
    match agent.source().poll() {
        Err(SourceError::Retry { reason, .. }) => reason,
        _ => String::new(),
    }
}

/// Polls until the source says all these words.
pub(crate) fn says(agent: &mut Agent, words: &[&str]) -> String {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let said = said(agent);
        if words.iter().all(|word| said.contains(word)) {
            return said;
        }
        assert!(
            std::time::Instant::now() < end,
            "{words:?} are not said: {said}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn files_come_in_the_flows_order_and_are_deleted_there() {
    let server = Server::start();
    for number in [10, 9, 100, 1] {
        server.put(&format!("s{number}.txt"), table(&[&format!("{number}|1")]));
    }
    server.put("other.csv", "not of the pattern");
    let drops = Drops::new(&format!("order = \"number\"\n{}", server.table("")));
    let mut agent = Agent::open(drops.source());
    assert_eq!(
        work(&mut agent, 4),
        [
            "s1.txt:2: 1|1",
            "s9.txt:2: 9|1",
            "s10.txt:2: 10|1",
            "s100.txt:2: 100|1"
        ]
    );
    until(&mut agent, || server.files() == ["other.csv"]);
    assert_eq!(drops.files("archive").len(), 4);
    assert_eq!(server.sent().len(), 1, "one connection");
    server.put("s101.txt", table(&["101|1"]));
    assert_eq!(
        work(&mut agent, 5).pop().expect("a record"),
        "s101.txt:2: 101|1"
    );
    assert_eq!(server.sent().len(), 1, "still");
}

#[test]
fn files_are_moved_there_and_never_over_another() {
    let server = Server::start();
    let done = server.at("done");
    fs::create_dir(&done).expect("a folder");
    server.own(&done);
    fs::write(done.join("a.txt"), "an older one").expect("a file");
    server.put("a.txt", table(&["A|1"]));
    let after = format!("after = \"move:{}\"\n", done.display());
    let drops = Drops::new(&server.table(&after));
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
    until(&mut agent, || server.files().is_empty());
    assert_eq!(
        fs::read_to_string(done.join("a.txt")).expect("it"),
        "an older one"
    );
    let moved = crate::server::names(&done);
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert_eq!(
        fs::read_to_string(done.join(&moved[0])).expect("it"),
        table(&["A|1"])
    );
}

#[test]
fn a_folder_to_move_to_that_is_not_there_is_told_and_nothing_comes_twice() {
    let server = Server::start();
    let done = server.at("done");
    server.put("a.txt", table(&["A|1"]));
    server.put("b.txt", table(&["B|1"]));
    let after = format!("after = \"move:{}\"\n", done.display());
    let drops = Drops::new(&server.table(&after));
    let mut agent = Agent::open(drops.source());
    until_appended(&mut agent, 2);
    says(&mut agent, &["a.txt", "make that folder", "1 more"]);
    let before = server.sent()[0];
    until(&mut agent, || server.sent()[0] > before + 2_000);
    fs::create_dir(&done).expect("a folder");
    server.own(&done);
    until(&mut agent, || server.files().is_empty());
    agent.nothing_more("each came once");
    assert_eq!(drops.files("archive/repeated"), [""; 0]);
}

#[test]
fn files_that_stay_there_are_taken_once_also_after_a_restart() {
    let server = Server::start();
    server.put_at("a.txt", table(&["A|1"]), 1_700_000_000);
    let drops = Drops::new(&server.table("after = \"keep\"\n"));
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
    agent.reopen(drops.source());
    server.put_at("b.txt", table(&["B|1"]), 1_700_000_000);
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "b.txt:2: B|1"]);
    // The same size and another time: another file.
    server.put_at("a.txt", table(&["C|1"]), 1_700_000_001);
    assert_eq!(work(&mut agent, 3)[2], "a.txt:2: C|1");
    assert_eq!(server.files(), ["a.txt", "b.txt"]);
    assert_eq!(drops.files("archive/repeated"), [""; 0]);
}

#[test]
fn two_drops_of_one_content_are_what_repeat_says() {
    for (repeat, records) in [("report", 1), ("send", 2)] {
        let server = Server::start();
        let settings = format!("repeat = \"{repeat}\"\n{}", server.table(""));
        let drops = Drops::new(&settings);
        let mut agent = Agent::open(drops.source());
        server.put_at("a.txt", table(&["A|1"]), 1_700_000_000);
        work(&mut agent, 1);
        until(&mut agent, || server.files().is_empty());
        server.put_at("a.txt", table(&["A|1"]), 1_700_000_000);
        until(&mut agent, || server.files().is_empty());
        let told = work(&mut agent, records);
        assert_eq!(told, vec!["a.txt:2: A|1"; records], "{repeat}");
        until(&mut agent, || {
            drops.files("archive/repeated").len() == 2 - records
        });
    }
}

#[test]
fn a_file_waits_for_the_one_of_its_name_that_is_not_read_yet() {
    let server = Server::start();
    let drops = Drops::new(&server.table(""));
    let mut agent = Agent::open(drops.source());
    server.put_at("a.txt", table(&["A|1"]), 1_700_000_000);
    // Nobody polls: it stays where it landed.
    wait(|| server.files().is_empty());
    server.put_at("a.txt", table(&["B|1"]), 1_700_000_001);
    let more = table(&["C|1"]);
    server.put("b.txt", &more);
    wait(|| server.sent()[0] > 0 && drops.has("a.txt"));
    assert_eq!(
        work(&mut agent, 3),
        ["a.txt:2: A|1", "a.txt:2: B|1", "b.txt:2: C|1"]
    );
}

/// Waits without polling.
pub(crate) fn wait(done: impl Fn() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !done() {
        assert!(std::time::Instant::now() < end, "it never is so");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_file_that_is_being_written_is_waited_for_by_those_after_it() {
    let server = Server::start();
    let quiet = "ready = \"quiet\"\nquiet = \"2s\"\n";
    let drops = Drops::new(&server.table(quiet));
    let mut agent = Agent::open(drops.source());
    let slow = server.folder.join("a.txt");
    fs::write(&slow, "SKU|QTY\n").expect("a file");
    server.put_at("b.txt", table(&["B|1"]), 1_700_000_000);
    for number in 0..8 {
        let (mut text, end) = (
            fs::read_to_string(&slow).expect("it"),
            std::time::Instant::now() + std::time::Duration::from_millis(200),
        );
        text.push_str(&format!("A{number}|1\n"));
        fs::write(&slow, text).expect("a line");
        while std::time::Instant::now() < end {
            agent.poll();
        }
        assert!(agent.log.is_empty(), "{:?}", shown(&agent.log));
        assert!(
            server.has("b.txt"),
            "it is not taken before the one before it"
        );
    }
    let told = work(&mut agent, 9);
    assert_eq!((&*told[7], &*told[8]), ("a.txt:9: A7|1", "b.txt:2: B|1"));
}

#[test]
fn unreadable_files_are_told_and_others_go_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start();
    server.put("a.txt", table(&["A|1"]));
    let locked = server.folder.join("a.txt");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("rights");
    server.put("b.txt", table(&["B|1"]));
    let drops = Drops::new(&server.table(""));
    let mut agent = Agent::open(drops.source());
    until_appended(&mut agent, 1);
    says(&mut agent, &["a.txt", "ermission denied", "the right to"]);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o644)).expect("rights");
    assert_eq!(work(&mut agent, 2), ["b.txt:2: B|1", "a.txt:2: A|1"]);
    assert_eq!(said(&mut agent), "");
}

/// Works until so much is appended.
pub(crate) fn until_appended(agent: &mut Agent, entries: usize) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while agent.log.len() < entries {
        assert!(std::time::Instant::now() < end, "{:?}", shown(&agent.log));
        agent.poll();
        agent.append();
        agent.commit();
    }
}

#[test]
fn names_that_lead_elsewhere_and_links_are_passed_over_and_told() {
    let server = Server::start();
    server.put("a\nb.txt", "x");
    let outside = server.at("secret.txt");
    fs::write(&outside, table(&["S|1"])).expect("a file");
    std::os::unix::fs::symlink(&outside, server.folder.join("link.txt")).expect("a link");
    fs::create_dir(server.folder.join("folder.txt")).expect("a folder");
    server.put("z.txt", table(&["Z|1"]));
    let drops = Drops::new(&server.table(""));
    let findings = drops.config().check();
    let warned = findings.iter().any(|finding| {
        matches!(finding, Finding::Warning(said) if said.contains("1 file that fits") && said.contains("2 would be passed over"))
    });
    assert!(warned, "{findings:?}");
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["z.txt:2: Z|1"]);
    until(&mut agent, || server.files() == ["a\nb.txt"]);
}

#[test]
fn a_disk_without_room_is_waited_for() {
    let server = Server::start();
    let large = fs::File::create(server.folder.join("a.txt")).expect("a file");
    large.set_len(1 << 42).expect("a hole");
    server.put("b.txt", table(&["B|1"]));
    let drops = Drops::new(&server.table(""));
    let mut agent = Agent::open(drops.source());
    says(&mut agent, &["a.txt", "512 MiB to spare", "make room"]);
    assert!(server.has("b.txt"), "it waits for the one before it");
    fs::remove_file(server.folder.join("a.txt")).expect("it goes");
    assert_eq!(work(&mut agent, 1), ["b.txt:2: B|1"]);
}

#[test]
fn thousands_of_files_come_over_one_connection() {
    let server = Server::start();
    for number in 0..3_000 {
        let path = server.folder.join(format!("f{number:05}.txt"));
        fs::write(&path, table(&[&format!("{number}|1")])).expect("a file");
        set_time(&path, 1_700_000_000);
    }
    let drops = Drops::new(&server.table(""));
    let began = std::time::Instant::now();
    let mut agent = Agent::open(drops.source());
    let told = work(&mut agent, 3_000);
    println!("3,000 files in {:?}", began.elapsed());
    let expected: Vec<String> = (0..3_000)
        .map(|number| format!("f{number:05}.txt:2: {number}|1"))
        .collect();
    assert_eq!(told, expected);
    until(&mut agent, || server.files().is_empty());
    assert_eq!(server.sent().len(), 1, "one connection");
}

#[test]
fn a_large_file_comes_with_many_reads_under_way() {
    let server = Server::start();
    let megabytes: u32 = if std::env::var_os("DRAY_SOAK").is_some() {
        2_048
    } else {
        64
    };
    let path = server.folder.join("a.part");
    let mut file = fs::File::create(&path).expect("a file");
    let mut piece = vec![0; 1_000_000];
    for number in 0..megabytes {
        piece.fill((number % 251) as u8);
        std::io::Write::write_all(&mut file, &piece).expect("bytes");
    }
    let drops = Drops::new(&server.table(""));
    let began = std::time::Instant::now();
    fs::rename(&path, server.folder.join("a.txt")).expect("a rename");
    let _agent = Agent::open(drops.source());
    let end = began + std::time::Duration::from_secs(300);
    while !drops.has("a.txt") {
        assert!(std::time::Instant::now() < end, "it does not come");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} MB/s", f64::from(megabytes) / seconds);
    let mut landed = fs::File::open(drops.at("a.txt")).expect("it");
    let mut found = vec![0; 1_000_000];
    for number in 0..megabytes {
        std::io::Read::read_exact(&mut landed, &mut found).expect("as many bytes");
        piece.fill((number % 251) as u8);
        assert!(found == piece, "megabyte {number} is another one");
    }
    assert_eq!(
        std::io::Read::read(&mut landed, &mut found).expect("the end"),
        0
    );
}
