//! X12 and EDIFACT files are answered: to a folder, once they are appended, before they move, whatever dies in between.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dray_adapter::SourceError;
use dray_adapter::conformance::{self, Agent, PolledOnce};
use dray_file_drop::{FileDropConfig, Finding};

use crate::answered::{Answered, interchange, message, we_can_read};
use crate::support::{acking, age, work};

#[test]
fn an_interchange_is_acknowledged_when_it_is_appended_and_not_before() {
    let folder = Answered::new("x12", "format.records = [\"940.line\"]\n");
    folder.drops.put("a.txt", interchange(905, &[true, false]));
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_685_400);
    let file = fs::File::options()
        .append(true)
        .open(folder.drops.at("a.txt"));
    file.expect("the file")
        .set_modified(modified)
        .expect("a time");
    let mut agent = Agent::open(folder.agent_source());
    while agent.poll() != PolledOnce::Batch {}
    assert!(folder.names().is_empty(), "it is polled");
    agent.append();
    assert!(folder.names().is_empty(), "nobody said that it is appended");
    agent.commit();
    let answers = folder.answers();
    assert_eq!(folder.names(), ["997_000000905.x12"]);
    assert_eq!(
        answers[0].1,
        "ISA*00*          *00*          *ZZ*RECEIVER       *ZZ*SENDER         *261126*0930*U*00401*900000905*0*P*>~\n\
         GS*FA*B*A*20261126*0930*900000905*X*004010~\nST*997*0001~\nAK1*OW*7~\nAK2*940*0000~\nAK5*A~\n\
         AK2*940*0001~\nAK3*W05*4**3~\nAK5*R*5~\nAK9*P*2*2*1~\nSE*9*0001~\nGE*1*900000905~\nIEA*1*900000905~\n"
    );
    we_can_read("x12", &answers[0].1);
    assert_eq!(folder.drops.files("archive/pending"), ["a.txt"]);
}

#[test]
fn messages_are_acknowledged_by_contrl() {
    let folder = Answered::new("edifact", "");
    folder.drops.put("a.txt", message("R9", true));
    folder.drops.put("b.txt", message("R10", false));
    let mut agent = Agent::open(folder.agent_source());
    work(&mut agent, 3);
    let answers = folder.answers();
    assert_eq!(folder.names(), ["CONTRL_R10.edi", "CONTRL_R9.edi"]);
    assert!(
        answers[0].1.contains("UCM+M1+ORDERS:D:96A:UN+4+"),
        "{}",
        answers[0].1
    );
    assert!(
        answers[1].1.contains("UCM+M1+ORDERS:D:96A:UN+7'"),
        "{}",
        answers[1].1
    );
    for (_, text) in &answers {
        we_can_read("edifact", text);
    }
}

#[test]
fn a_file_that_is_set_aside_is_rejected_as_far_as_it_can_be_read() {
    let folder = Answered::new("x12", "bad_lines_max = 0\n");
    let cut = interchange(1, &[true]).replace("SE*5*", "SE*6*");
    folder.drops.put("a.txt", interchange(7, &[true]) + &cut);
    // Too many bad documents, in the first interchange of two.
    folder.drops.put(
        "b.txt",
        interchange(8, &[false, true]) + &interchange(9, &[true]),
    );
    folder.drops.put("c.txt", "no EDI at all");
    let mut agent = Agent::open(folder.agent_source());
    assert_eq!(
        work(&mut agent, 3),
        ["a.txt:0! source", "b.txt:0! source", "c.txt:0! source"]
    );
    assert_eq!(folder.drops.files("failed"), ["a.txt", "b.txt", "c.txt"]);
    assert_eq!(
        folder.names(),
        [
            "997_000000001.x12",
            "997_000000007.x12",
            "997_000000008.x12",
            "997_000000009.x12"
        ]
    );
    for (name, text) in folder.answers() {
        assert!(text.contains("\nAK9*R*"), "{name}: {text}");
        assert!(!text.contains("AK5*A"), "{name}: {text}");
        we_can_read("x12", &text);
    }
}

#[test]
fn an_acknowledgement_is_not_acknowledged() {
    let folder = Answered::new("x12", "format.otherwise = \"segments\"\n");
    folder.drops.put("a.txt", interchange(5, &[true]));
    let mut agent = Agent::open(folder.agent_source());
    agent.finish(1, acking());
    let (_, answer) = folder.answers().remove(0);
    folder.drops.put("b.txt", &answer);
    folder.drops.put("c.txt", answer.replace("GE*1*", "GE*2*"));
    agent.finish(agent.log.len() + 2, acking());
    assert_eq!(folder.names(), ["997_000000005.x12"]);
    assert_eq!(folder.drops.files("failed"), ["c.txt"]);

    let folder = Answered::new("edifact", "");
    let report = "UNB+UNOA:3+S+R+260101:1200+1'UNH+1+CONTRL:D:3:UN'UCI+9+S+R+7'UNT+3+1'UNZ+1+1'";
    folder.drops.put("a.txt", report);
    folder.drops.put("b.txt", &report[..60]);
    let mut agent = Agent::open(folder.agent_source());
    work(&mut agent, 2);
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn a_death_between_append_and_acknowledgement_is_made_up_for() {
    for content in [
        interchange(3, &[true, false]),
        interchange(3, &[true]).replace("SE*5", "SE*6"),
    ] {
        let whole = {
            let folder = Answered::new("x12", "");
            folder.drops.put("a.txt", &content);
            age(&folder.drops.at("a.txt"), Duration::from_secs(10_000_000));
            work(&mut Agent::open(folder.agent_source()), 1);
            folder.answers()
        };
        let folder = Answered::new("x12", "");
        folder.drops.put("a.txt", &content);
        age(&folder.drops.at("a.txt"), Duration::from_secs(10_000_000));
        let mut agent = Agent::open(folder.agent_source());
        while agent.poll() != PolledOnce::Batch {}
        agent.append();
        agent.kill();
        assert!(folder.names().is_empty() && folder.drops.has("a.txt"));
        agent.reopen(folder.agent_source());
        assert_eq!(
            folder.names(),
            ["997_000000003.x12"],
            "it is written at the start"
        );
        assert!(!folder.drops.has("a.txt"), "and then the file moves");
        let same = |answers: &[(String, String)]| {
            // The minute may have changed between both.
            answers
                .iter()
                .map(|(name, text)| {
                    (
                        name.clone(),
                        text[90..].replace(|letter: char| letter.is_ascii_digit(), ""),
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(same(&folder.answers()), same(&whole));
        agent.nothing_more("it was appended before");
    }
}

#[test]
fn a_death_between_acknowledgement_and_move_writes_the_same_again() {
    let folder = Answered::new("x12", "");
    folder.drops.put("a.txt", interchange(3, &[true]));
    let mut agent = Agent::open(folder.agent_source());
    while agent.poll() != PolledOnce::Batch {}
    agent.append();
    let position = agent.position.clone().expect("it is appended");
    // Nothing can move there.
    let pending = folder.drops.at("archive/pending");
    fs::remove_dir(&pending).expect("it is empty");
    fs::write(&pending, "").expect("a file");
    let refused = agent.source().commit(&position);
    assert!(
        matches!(refused, Err(SourceError::Retry { .. })),
        "{refused:?}"
    );
    let written = folder.answers();
    assert_eq!(written.len(), 1, "it is acknowledged, and not moved");
    agent.kill();
    fs::remove_file(&pending).expect("a file");
    agent.reopen(folder.agent_source());
    assert_eq!(folder.answers(), written, "the same is there once");
    agent.kill();
    // Somebody took it along by then.
    agent.reopen(folder.agent_source());
    assert_eq!(folder.drops.files("archive/pending"), ["a.txt"]);
    fs::remove_file(folder.back.join(&written[0].0)).expect("it is taken");
    agent.reopen(folder.agent_source());
    agent.nothing_more("a file that moved was acknowledged");
    assert!(folder.names().is_empty(), "and is not acknowledged again");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told_and_nothing_is_forgotten() {
    let folder = Answered::new("x12", "");
    fs::remove_dir(&folder.back).expect("it is empty");
    for number in 1..=80 {
        folder
            .drops
            .put(&format!("{number:02}.txt"), interchange(number, &[true]));
    }
    let mut agent = Agent::open(folder.agent_source());
    while agent.poll() != PolledOnce::Batch {}
    agent.append();
    let position = agent.position.clone().expect("it is appended");
    for _ in 0..3 {
        let said = agent
            .source()
            .commit(&position)
            .expect_err("it can't be written");
        let words = said.to_string();
        for word in [
            &*folder.back.to_string_lossy(),
            "01.txt",
            "make the folder",
            "acknowledge.folder",
        ] {
            assert!(words.contains(word), "\"{word}\" is missing: {words}");
        }
        assert!(matches!(said, SourceError::Retry { .. }));
        assert!(folder.drops.has("01.txt"), "it waits where it is");
    }
    // Others are read, a few: then they wait as well.
    let mut batches = 1;
    for _ in 0..200 {
        batches += u32::from(agent.poll() == PolledOnce::Batch);
    }
    assert!((2..=64).contains(&batches), "{batches} batches");
    agent.kill();
    fs::create_dir(&folder.back).expect("a folder");
    agent.reopen(folder.agent_source());
    assert_eq!(folder.names(), ["997_000000001.x12"]);
    agent.finish(80, acking());
    assert_eq!(folder.names().len(), 80);
}

#[test]
fn nothing_is_overwritten_by_another_acknowledgement() {
    let folder = Answered::new("x12", "");
    folder.drops.put(
        "a.txt",
        interchange(1, &[true]) + &interchange(1, &[true, true]).replace("SENDER ", "OTHER  "),
    );
    fs::write(folder.back.join("997_000000001.x12"), "somebody else's").expect("a file");
    let mut agent = Agent::open(folder.agent_source());
    work(&mut agent, 6);
    let answers = folder.answers();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(
        answers
            .iter()
            .any(|(name, text)| name == "997_000000001.x12" && text == "somebody else's")
    );
    assert!(answers.iter().any(|(_, text)| text.contains("*ZZ*OTHER ")));
    // The bytes of another sender's interchange of this number, under this name.
    assert!(
        answers
            .iter()
            .all(|(name, _)| name.starts_with("997_000000001") && name.ends_with(".x12"))
    );
}

#[test]
fn each_interchange_of_an_archive_is_acknowledged() {
    let folder = Answered::new("x12", "compression = \"auto\"\n");
    let script = "import zipfile,sys\nz=zipfile.ZipFile(sys.argv[1],'w',zipfile.ZIP_DEFLATED)\nfor n,f in enumerate(sys.argv[2:]): z.writestr(str(n),f)\nz.close()";
    let made = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(folder.drops.at("a.tmp"))
        .args([interchange(1, &[true]), interchange(2, &[false])])
        .status();
    assert!(
        made.expect("python3 makes the archive; install it")
            .success()
    );
    folder.drops.put(
        "a.txt",
        fs::read(folder.drops.at("a.tmp")).expect("it was made"),
    );
    let mut agent = Agent::open(folder.agent_source());
    work(&mut agent, 3);
    assert_eq!(folder.names(), ["997_000000001.x12", "997_000000002.x12"]);
}

#[test]
fn the_setting_is_checked_in_words() {
    let faults = |kind: &str, back: &Path| {
        let folder = Answered::new(kind, "");
        let mut config = folder.config();
        if let Some(acknowledge) = &mut config.acknowledge {
            acknowledge.folder = if back == Path::new(".") {
                folder.drops.at("back")
            } else {
                back.to_owned()
            };
        }
        config.faults()
    };
    for (kind, back, setting, words) in [
        (
            "csv",
            "/back",
            "acknowledge",
            "kind = \"x12\" or \"edifact\"",
        ),
        ("x12", "back", "acknowledge.folder", "not an absolute path"),
        ("edifact", ".", "acknowledge.folder", "outside of it"),
    ] {
        let found = faults(kind, Path::new(back));
        let is_it = |(at, said): &(String, String)| at == setting && said.contains(words);
        assert!(found.iter().any(is_it), "{found:?}");
    }
    let folder = Answered::new("x12", "");
    let said = |config: &FileDropConfig| format!("{:?}", config.check());
    assert!(said(&folder.config()).contains("acknowledgements can be written"));
    assert!(folder.names().is_empty(), "the check leaves nothing");
    fs::remove_dir(&folder.back).expect("it is empty");
    assert!(
        folder.config().check().iter().any(
            |found| matches!(found, Finding::Wrong(said) if said.contains("acknowledge.folder"))
        )
    );
}

#[test]
fn an_acknowledging_folder_conforms() {
    conformance::run(|| Answered::new("x12", "format.records = [\"940.line\"]\n"));
}
