//! What was set aside is read again after a fix.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use dray_adapter::conformance::{Agent, Entry};
use dray_file_drop::Wanted;

use crate::support::{Drops, table, until, work};

const KEEP: &str = "after = \"keep\"\n";
const STRICT: &str = "bad_lines_max = 0\n";

fn files(names: &[&str]) -> Wanted {
    Wanted {
        files: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Wanted::default()
    }
}

fn records(file: &str, records: &[&str]) -> Wanted {
    Wanted {
        records: records.iter().map(|name| (*name).to_owned()).collect(),
        ..files(&[file])
    }
}

fn ask(drops: &Drops, settings: &str, wanted: &Wanted) -> Result<Vec<String>, String> {
    let config = drops.config_with(settings);
    config.redrive("north/stock", &drops.own(), wanted)
}

fn listed(drops: &Drops, settings: &str) -> Vec<String> {
    let there = drops.config_with(settings).redrivable(&drops.own());
    let there = there.expect("a list").into_iter();
    there.map(|file| file.name).collect()
}

fn requests(drops: &Drops) -> usize {
    fs::read_dir(drops.own().join("redrive")).map_or(0, Iterator::count)
}

/// The entry whose id would be made of this line of a file that is read without a fault.
fn undisturbed(name: &str, text: &str) -> Vec<Entry> {
    let drops = Drops::new("");
    drops.put(name, text);
    let mut agent = Agent::open(drops.source());
    let lines = text.lines().count() - 1;
    agent.finish(lines, crate::support::acking());
    agent.log
}

#[test]
fn a_name_that_is_no_text_is_not_said_to_be_read_again() {
    let drops = Drops::new(STRICT);
    let name = OsStr::from_bytes(b"bad\xFF.txt");
    fs::write(drops.path.join(name), table(&["x"])).expect("a file");
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    let all = Wanted {
        all: true,
        ..Wanted::default()
    };
    let said = ask(&drops, STRICT, &all).expect_err("it is not found under the name that is shown");
    assert!(said.contains("no UTF-8"), "{said}");
    assert_eq!(requests(&drops), 0);
    let failed = drops.path.join("failed");
    fs::rename(failed.join(name), failed.join("good.txt")).expect("a rename");
    assert_eq!(
        ask(&drops, STRICT, &all),
        Ok(vec!["good.txt is read again".to_owned()])
    );
}

#[test]
fn redrive_reads_files_that_were_set_aside_in_the_order_of_their_names_with_the_ids_of_their_content()
 {
    for keep in ["", KEEP] {
        let strict = [keep, STRICT].concat();
        let drops = Drops::new(&strict);
        let text = |name: &str| table(&[&format!("{name}|1"), "x|"]);
        let broken = |name: &str| text(name).replace("x|", "x");
        drops.put("b.txt", broken("b"));
        drops.put("a.txt", broken("a"));
        let mut agent = Agent::open(drops.source());
        assert_eq!(work(&mut agent, 2), ["a.txt:0! source", "b.txt:0! source"]);
        assert_eq!(listed(&drops, &strict), ["a.txt", "b.txt"]);
        agent.kill();
        // The fix: short lines are dead letters one by one.
        let all = Wanted {
            all: true,
            ..Wanted::default()
        };
        ask(&drops, keep, &all).expect("a request");
        agent.reopen(drops.source_with(keep));
        let told = work(&mut agent, 6);
        assert_eq!(
            told[2..],
            [
                "a.txt:2: a|1",
                "a.txt:3! decode",
                "b.txt:2: b|1",
                "b.txt:3! decode"
            ],
            "keep {keep}"
        );
        assert_eq!(
            agent.log[2].id,
            undisturbed("a.txt", &broken("a"))[0].id,
            "its id is that of its content"
        );
        until(&mut agent, || requests(&drops) == 0);
        assert!(listed(&drops, keep).is_empty());
        agent.reopen(drops.source_with(keep));
        agent.nothing_more("each was read again once");
    }
}

#[test]
fn redrive_that_is_killed_before_its_request_goes_is_done_once() {
    for keep in ["", KEEP] {
        let strict = [keep, STRICT].concat();
        let drops = Drops::new(&strict);
        drops.put("a.txt", table(&["A|1", "x"]));
        let mut agent = Agent::open(drops.source());
        work(&mut agent, 1);
        agent.kill();
        ask(&drops, keep, &files(&["a.txt"])).expect("a request");
        let request = fs::read_dir(drops.own().join("redrive")).expect("requests");
        let request = request.flatten().next().expect("a request").path();
        let text = fs::read(&request).expect("the request");
        agent.reopen(drops.source_with(keep));
        assert_eq!(
            work(&mut agent, 3)[1..],
            ["a.txt:2: A|1", "a.txt:3! decode"]
        );
        agent.kill();
        fs::write(&request, text).expect("its removal did not last");
        agent.reopen(drops.source_with(keep));
        agent.nothing_more("it was read again before");
        assert_eq!(requests(&drops), 0, "keep {keep}");
    }
}

#[test]
fn redrive_never_puts_a_file_in_the_place_of_another() {
    let drops = Drops::new(&[STRICT, "ready = \"quiet\"\nquiet = \"1h\"\n"].concat());
    drops.put("a.txt", table(&["A|1", "x"]));
    crate::support::age(&drops.at("a.txt"), std::time::Duration::from_secs(9_000));
    let mut agent = Agent::open(drops.source());
    work(&mut agent, 1);
    drops.put("a.txt", table(&["B|1"]));
    ask(&drops, "", &files(&["a.txt"])).expect("a request");
    until(&mut agent, || requests(&drops) == 0);
    assert_eq!(drops.files("failed"), ["a.txt"], "it stays");
    let waits = fs::read_to_string(drops.at("a.txt")).expect("the other one");
    assert!(waits.contains("B|1"));
}

/// A file with two bad lines, read and archived; then the fix.
fn dead_letters(keep: &str) -> (Drops, Agent) {
    let drops = Drops::new(keep);
    drops.put("a.txt", table(&["A|1", "x", "B|2", "y", "C|3"]));
    let mut agent = Agent::open(drops.source());
    assert_eq!(
        work(&mut agent, 5),
        [
            "a.txt:2: A|1",
            "a.txt:3! decode",
            "a.txt:4: B|2",
            "a.txt:5! decode",
            "a.txt:6: C|3"
        ]
    );
    (drops, agent)
}

const RAGGED: &str = "format.delimiter = \"|\"\nformat.ragged = \"pad\"\n";

#[test]
fn redrive_of_records_sends_only_those_with_the_ids_that_they_had() {
    for keep in ["", KEEP] {
        let (drops, mut agent) = dead_letters(keep);
        let fixed = [keep, RAGGED].concat();
        agent.kill();
        ask(&drops, &fixed, &records("a.txt", &["3", "#3"])).expect("a request");
        agent.reopen(drops.source_with(&fixed));
        let told = work(&mut agent, 7);
        assert!(
            told[5].starts_with("a.txt:3: x") && told[6].starts_with("a.txt:5: y"),
            "{told:?}"
        );
        assert_eq!(agent.log[5].id, agent.log[1].id, "line 3");
        assert_eq!(agent.log[6].id, agent.log[3].id, "line 5");
        until(&mut agent, || requests(&drops) == 0);
        agent.reopen(drops.source_with(&fixed));
        agent.nothing_more("they went out once");
    }
}

#[test]
fn a_redriven_record_that_fails_again_is_a_dead_letter_again() {
    let (drops, mut agent) = dead_letters("");
    let id = agent.log[1].id;
    let ordinal = id.1.to_be_bytes();
    let id = [&id.0[..], &ordinal[3..], &[255]].concat();
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    ask(&drops, "", &records("a.txt", &[&id])).expect("a request");
    let told = work(&mut agent, 6);
    assert_eq!(told[5], "a.txt:3! decode");
    assert_eq!(agent.log[5].id, agent.log[1].id);
    let other = format!("00{}", &id[2..]);
    let said = ask(&drops, "", &records("a.txt", &[&other])).expect_err("of another file");
    assert!(said.contains("is not of"), "{said}");
}

#[test]
fn redriven_records_go_out_once_wherever_the_agent_is_killed() {
    for appended in [false, true] {
        let (drops, mut agent) = dead_letters("");
        ask(&drops, "", &records("a.txt", &["3-5"])).expect("a request");
        agent.reopen(drops.source());
        while agent.poll() != dray_adapter::conformance::PolledOnce::Batch {}
        if appended {
            agent.append();
        }
        agent.reopen(drops.source());
        let told = work(&mut agent, 8);
        assert_eq!(
            told[5..],
            ["a.txt:3! decode", "a.txt:4: B|2", "a.txt:5! decode"],
            "appended {appended}"
        );
        until(&mut agent, || requests(&drops) == 0);
    }
}

#[test]
fn redrive_refuses_in_words_what_is_not_there() {
    let (drops, _agent) = dead_letters("");
    for (wanted, words) in [
        (files(&["a.txt"]), "failed"),
        (records("a.txt", &["99"]), "no record"),
        (records("a.txt", &["#5"]), "there is no #5"),
        (records("a.txt", &["first"]), "names no record"),
        (records("b.txt", &["3"]), "pruned"),
        (
            Wanted {
                all: true,
                ..Wanted::default()
            },
            "nothing",
        ),
    ] {
        let said = ask(&drops, "", &wanted).expect_err("it is not there");
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(requests(&drops), 0);
}

/// Three documents with a segment a line; of the second one's set no loops are known.
const DOCUMENTS: &str = "\
ISA*00*          *00*          *ZZ*WMS            *ZZ*ERP            *261123*0815*U*00401*000000001*0*P*>~
GS*SW*WMS*ERP*20261123*0815*1*X*004010~
ST*945*0001~
W06*N*DEP1*20261123*SHP1~
LX*1~
W12*SH*10*10**EA**VN*SKU1~
SE*5*0001~
ST*214*0002~
B10*PRO2*SHP2~
AT7*AF~
AT7*D1~
SE*5*0002~
ST*945*0003~
W06*N*DEP3*20261123*SHP3~
LX*1~
W12*SH*30*30**EA**VN*SKU3~
SE*5*0003~
GE*3*1~
IEA*1*000000001~
";

#[test]
fn redrive_of_a_document_sends_its_records_under_ids_that_no_other_record_has() {
    let drops = Drops::new("format.kind = \"x12\"\n");
    drops.put("a.txt", DOCUMENTS);
    let mut agent = Agent::open(drops.source());
    agent.finish(5, crate::support::acking());
    let lines = |entries: &[Entry]| -> Vec<String> {
        let line = |entry: &Entry| entry.shown.split([' ', '!']).next().map(str::to_owned);
        entries.iter().filter_map(line).collect()
    };
    assert_eq!(
        lines(&agent.log),
        ["a.txt:3:", "a.txt:6:", "a.txt:8", "a.txt:13:", "a.txt:16:"]
    );
    agent.kill();
    // The fix says which loops the set has. A document that counted as one record is three now.
    let fixed =
        "format.kind = \"x12\"\nformat.set = [{ set = \"214\", loops = \"B10! status:(AT7)\" }]\n";
    ask(&drops, fixed, &records("a.txt", &["8-12"])).expect("a request");
    agent.reopen(drops.source_with(fixed));
    agent.finish(8, crate::support::acking());
    assert_eq!(
        lines(&agent.log[5..]),
        ["a.txt:8:", "a.txt:10:", "a.txt:11:"]
    );
    let ids: HashSet<_> = agent.log.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), 8, "each has an id of its own");
    // Asked for once more, they have the same ones.
    ask(&drops, fixed, &records("a.txt", &["8-12"])).expect("a request");
    agent.finish(11, crate::support::acking());
    let ids = |entries: &[Entry]| entries.iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert_eq!(ids(&agent.log[8..]), ids(&agent.log[5..8]));
}

#[test]
fn a_companion_comes_back_with_its_file_and_is_mended_before() {
    let settings = "quiet = \"0s\"\ndone = { name = \"{name}.done\", records = 'COUNT=(\\d+)' }\n";
    let drops = Drops::new(settings);
    drops.put("a.txt", table(&["A|1", "B|2"]));
    drops.put("a.txt.done", "COUNT=3");
    let mut agent = Agent::open(drops.source());
    assert_eq!(work(&mut agent, 1), ["a.txt:0! source"]);
    assert_eq!(drops.files("failed"), ["a.txt", "a.txt.done"]);
    fs::write(drops.at("failed/a.txt.done"), "COUNT=2").expect("a companion");
    ask(&drops, settings, &files(&["a.txt"])).expect("a request");
    let told = work(&mut agent, 3);
    assert_eq!(told[1..], ["a.txt:2: A|1", "a.txt:3: B|2"]);
    assert!(drops.files("failed").is_empty() && drops.files("").is_empty());
    assert_eq!(drops.files("archive"), ["a.txt", "a.txt.done"]);
}
