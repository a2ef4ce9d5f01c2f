//! Lines that break, servers that go, keys and logins that are wrong.

use std::fs;
use std::io::Write as _;

use dray_adapter::conformance::{Agent, shown};
use dray_file_drop::Finding;

use crate::password_server::{Asks, PASSWORD, PasswordServer};
use crate::pickup::{said, says, until_appended};
use crate::server::Server;
use crate::support::{Drops, table, until, work};

/// About 8 MB of lines, none like another.
fn large() -> String {
    let lines: Vec<String> = (0..400_000)
        .map(|number| format!("A{number:010}|{number}"))
        .collect();
    table(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

fn wrong(findings: &[Finding]) -> String {
    let wrong = findings.iter().filter_map(|finding| match finding {
        Finding::Wrong(said) => Some(said.as_str()),
        _ => None,
    });
    wrong.collect::<Vec<_>>().join("; ")
}

#[test]
fn a_connection_cut_in_mid_file_is_gone_on_with_where_it_broke_off() {
    let server = Server::start();
    let content = large();
    server.put("a.txt", &content);
    server.put("b.txt", table(&["B|1"]));
    server.cut_after(Some(4_000_000));
    let drops = Drops::new(&server.table(""));
    let mut agent = Agent::open(drops.source());
    says(&mut agent, &["broke off"]);
    server.cut_after(None);
    let told = work(&mut agent, 400_001);
    assert_eq!(told.last().map(String::as_str), Some("b.txt:2: B|1"));
    assert_eq!(
        fs::read_to_string(drops.at("archive/a.txt")).expect("it"),
        content
    );
    let sent = server.sent();
    let last = *sent.last().expect("a connection");
    assert!(last < content.len() as u64, "it was begun anew: {sent:?}");
}

#[test]
fn a_cut_file_that_changed_meanwhile_is_begun_anew() {
    let server = Server::start();
    server.put_at("a.txt", large(), 1_700_000_000);
    // It would take some fifty connections.
    server.cut_after(Some(100_000));
    let changed = large().replace('A', "B");
    let drops = Drops::new(&server.table(""));
    let mut agent = Agent::open(drops.source());
    says(&mut agent, &["broke off"]);
    server.put_at("a.txt", changed, 1_700_000_001);
    server.cut_after(None);
    let told = work(&mut agent, 400_000);
    assert_eq!(told[0], "a.txt:2: B0000000000|0");
    assert!(
        !drops.files("").iter().any(|name| name.ends_with(".part")),
        "{:?}",
        drops.files("")
    );
}

#[test]
fn a_file_that_grows_while_it_is_downloaded_lands_whole() {
    let server = Server::start();
    server.put("a.txt", large());
    server.put("b.txt", table(&["B|1"]));
    let path = server.folder.join("a.txt");
    server.at_bytes(2_000_000, move || {
        let mut file = fs::File::options()
            .append(true)
            .open(path)
            .expect("the file");
        file.write_all(b"late|1\n").expect("a line");
    });
    let drops = Drops::new(&server.table("quiet = \"100ms\"\n"));
    let mut agent = Agent::open(drops.source());
    let told = work(&mut agent, 400_002);
    assert_eq!(
        told[399_999..],
        [
            "a.txt:400001: A0000399999|399999",
            "a.txt:400002: late|1",
            "b.txt:2: B|1"
        ]
    );
    assert_eq!(drops.files("failed"), [""; 0]);
}

#[test]
fn a_server_with_another_key_lets_nobody_in_and_both_keys_are_told() {
    let server = Server::start();
    server.put("a.txt", table(&["A|1"]));
    let other = "SHA256:0123456789012345678901234567890123456789012";
    let drops = Drops::new(&server.table(&format!("host_key = \"{other}\"\n")));
    let findings = drops.config().check();
    let told = wrong(&findings);
    assert!(
        told.contains(&server.host_key) && told.contains(other),
        "{told}"
    );
    let mut agent = Agent::open(drops.source());
    says(&mut agent, &[&server.host_key, other, "nobody logged in"]);
    assert!(server.has("a.txt"));
    assert!(!server.log().contains("Accepted"), "{}", server.log());
}

#[test]
fn check_shows_the_key_that_it_meets_and_how_to_write_it() {
    let server = Server::start();
    let drops = Drops::new(&server.table("host_key = \"ask\"\n"));
    let told = wrong(&drops.config().check());
    let way_out = format!("host_key = \"{}\"", server.host_key);
    assert!(told.contains(&way_out), "{told}");
    assert!(!server.log().contains("Accepted"), "{}", server.log());
}

#[test]
fn a_pinned_key_is_met_whichever_of_its_keys_a_server_shows_first() {
    for kind in ["rsa", "ecdsa"] {
        let server = Server::start();
        server.put("a.txt", table(&["A|1"]));
        let pinned = server.add_host_key(kind);
        let drops = Drops::new(&server.table(&format!("host_key = \"{pinned}\"\n")));
        let mut agent = Agent::open(drops.source());
        assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"], "{kind}");
    }
}

#[test]
fn keys_of_all_kinds_log_in_also_with_a_passphrase() {
    for (kind, passphrase) in [("rsa", ""), ("ecdsa", ""), ("ed25519", "open sesame")] {
        let server = Server::start();
        server.put("a.txt", table(&["A|1"]));
        let key = server.add_login("mine", kind, passphrase);
        let mut settings = format!("key_file = \"{}\"\n", key.display());
        if !passphrase.is_empty() {
            let drops = Drops::new(&server.table(&settings));
            let told = wrong(&drops.config().check());
            assert!(told.contains("passphrase_file"), "{told}");
            fs::write(server.at("phrase"), format!("{passphrase}\n")).expect("a file");
            settings.push_str(&format!(
                "passphrase_file = \"{}\"\n",
                server.at("phrase").display()
            ));
        }
        let drops = Drops::new(&server.table(&settings));
        let mut agent = Agent::open(drops.source());
        assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"], "{kind}");
    }
}

#[test]
fn a_login_that_is_wrong_is_told_and_tried_seldom() {
    let server = Server::start();
    server.put("a.txt", table(&["A|1"]));
    let password = server.at("password");
    fs::write(&password, "wrong\n").expect("a file");
    let by_password = format!("password_file = \"{}\"\n", password.display());
    fs::write(server.at("authorized"), "").expect("no keys");
    for (settings, words) in [(by_password.as_str(), "password"), ("", "the key of")] {
        let drops = Drops::new(&server.table(settings));
        let told = wrong(&drops.config().check());
        assert!(
            told.contains(words) && told.contains("correct user"),
            "{told}"
        );
        let before = server.sent().len();
        let mut agent = Agent::open(drops.source());
        says(&mut agent, &[words]);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
        while std::time::Instant::now() < end {
            agent.poll();
        }
        assert_eq!(server.sent().len(), before + 1, "servers lock accounts");
    }
    let drops = Drops::new(&server.table("password_file = \"/nowhere\"\n"));
    let told = wrong(&drops.config().check());
    assert!(
        told.contains("/nowhere") && told.contains("the right to read"),
        "{told}"
    );
}

#[test]
fn a_folder_that_is_gone_is_told_and_waited_for() {
    let server = Server::start();
    let drops = Drops::new(&server.table(""));
    let aside = server.at("aside");
    server.put("a.txt", table(&["A|1"]));
    fs::rename(&server.folder, &aside).expect("it goes");
    let told = wrong(&drops.config().check());
    assert!(
        told.contains("can't be listed") && told.contains("make the folder"),
        "{told}"
    );
    let mut agent = Agent::open(drops.source());
    says(&mut agent, &["can't be listed", "make the folder"]);
    fs::rename(aside, &server.folder).expect("it comes back");
    assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"]);
    until(&mut agent, || server.files().is_empty());
    assert_eq!(said(&mut agent), "");
}

#[test]
fn a_server_that_was_restarted_is_found_again() {
    let mut server = Server::start();
    server.put("a.txt", table(&["A|1"]));
    let drops = Drops::new(&server.table(""));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    server.down();
    says(&mut agent, &["can't be reached", "firewalls"]);
    server.put("b.txt", table(&["B|1"]));
    server.up();
    assert_eq!(work(&mut agent, 2), ["a.txt:2: A|1", "b.txt:2: B|1"]);
    until(&mut agent, || server.files().is_empty());
    assert_eq!(said(&mut agent), "");
    // One that hung up while nothing was asked is no trouble.
    server.hang_up();
    server.put("c.txt", table(&["C|1"]));
    work(&mut agent, 3);
}

#[test]
fn a_user_who_may_not_delete_is_told_and_nothing_comes_twice() {
    let server = Server::start_with("-P remove");
    server.put("a.txt", table(&["A|1"]));
    let drops = Drops::new(&server.table(""));
    let mut agent = Agent::open(drops.source());
    until_appended(&mut agent, 1);
    says(
        &mut agent,
        &["a.txt", "can't be deleted", "after = \"keep\""],
    );
    // Downloaded again after a restart, compared, and dropped.
    agent.reopen(drops.source());
    says(&mut agent, &["a.txt", "can't be deleted"]);
    for _ in 0..100 {
        agent.poll();
    }
    assert_eq!(shown(&agent.log), ["a.txt:2: A|1"]);
    assert!(!drops.has("a.txt"));
    assert_eq!(drops.files("archive/repeated"), [""; 0]);
}

#[test]
fn a_password_logs_in_asked_for_plainly_or_by_a_question() {
    for asks in [Asks::Plainly, Asks::ByQuestion] {
        let files = Server::start();
        files.put("a.txt", table(&["A|1"]));
        let key = fs::read_to_string(files.at("host_ed25519")).expect("a key");
        let server = PasswordServer::start(&key, asks);
        let password = files.at("password");
        fs::write(&password, format!("{PASSWORD}\r\n")).expect("a file");
        let settings = format!("password_file = \"{}\"\n", password.display());
        let settings = files.table(&settings).replace(
            &format!("port = {}\n", files.port),
            &format!("port = {}\n", server.port),
        );
        assert_eq!(server.host_key, files.host_key);
        let drops = Drops::new(&settings);
        assert_eq!(wrong(&drops.config().check()), "", "{asks:?}");
        let mut agent = Agent::open(drops.source());
        assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"], "{asks:?}");
        until(&mut agent, || files.files().is_empty());
    }
}
