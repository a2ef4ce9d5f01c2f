//! Replays, by two people of one machine: who somebody is, the kernel says. The numbers are those of the collector's note.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use dray_tests::daemon::program;
use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::{Manner, Target};
use dray_tests::verdict::Arrival;
use rusqlite::{Connection, OpenFlags};

use crate::{PATIENCE, folder, target_table, wait};

/// Nobody's on any machine that runs tests.
const PLANNER: u32 = 61_001;
const APPROVER: u32 = 61_002;
const STRANGER: u32 = 61_003;

/// A site whose collector has two operators.
struct Office {
    site: Site,
    erp: Target,
    folder: tempfile::TempDir,
}

impl Office {
    fn open(name: &str, more: &str) -> Self {
        assert!(
            rustix::process::getuid().is_root(),
            "this test asks as other users: run it as root"
        );
        let folder = folder(name);
        let erp = Target::start(true).expect("a target");
        let flows = [FlowSpec::movements("movements")];
        let site = Site::lay_out(
            folder.path(),
            &flows,
            &target_table("erp", &erp.url(), more),
        )
        .expect("a folder");
        // They may enter, and see neither the data nor anything else.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).expect("it is ours");
        let run = folder.path().join("run");
        fs::create_dir(&run).expect("a folder");
        fs::set_permissions(&run, Permissions::from_mode(0o755)).expect("it is ours");
        let config = fs::read_to_string(site.collector_config()).expect("a file");
        let socket = run.join("admin.sock");
        let head = format!(
            "operators = [{PLANNER}, {APPROVER}]\nadmin_socket = \"{}\"\n",
            socket.display()
        );
        fs::write(site.collector_config(), head + &config).expect("a file");
        fs::set_permissions(site.collector_config(), Permissions::from_mode(0o644))
            .expect("it is ours");
        let site = site.begin().expect("a site");
        Self { site, erp, folder }
    }

    /// Drops movements and waits until the target has so many arrivals, and the collector's disk says so: what it may plan
    /// is what stands there.
    fn carry(&self, name: &str, text: &str, arrivals: u64) {
        drop_file(&self.site.drops("movements"), name, text.as_bytes()).expect("a drop");
        self.arrive(arrivals);
        wait("it is on disk", || self.delivered_through() >= arrivals);
    }

    fn delivered_through(&self) -> u64 {
        let state = self.folder.path().join("collector/state.db");
        let state = Connection::open_with_flags(state, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let through = state.expect("the state").query_row(
            "SELECT coalesce(max(through), 0) FROM cursor WHERE consumer = 'target:erp'",
            [],
            |row| row.get::<_, i64>(0),
        );
        through.expect("an answer") as u64
    }

    fn arrive(&self, arrivals: u64) {
        let in_time = self.erp.wait(PATIENCE, |events| events >= arrivals);
        assert!(in_time, "{} of {arrivals} arrived", self.erp.events());
    }

    /// `dray-collector ARGUMENTS`, as this user.
    fn ask(&self, uid: u32, arguments: &[&str]) -> Output {
        Command::new(program("dray-collector").expect("a program"))
            .args(arguments)
            .arg("--config")
            .arg(self.site.collector_config())
            .stdin(Stdio::null())
            .uid(uid)
            .gid(uid)
            .output()
            .expect("it starts")
    }

    fn said(&self, uid: u32, arguments: &[&str]) -> String {
        let output = self.ask(uid, arguments);
        let said = text(&output);
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    fn refused(&self, uid: u32, arguments: &[&str], why: &str) {
        let output = self.ask(uid, arguments);
        let said = text(&output);
        assert!(
            !output.status.success(),
            "{arguments:?} was not refused: {said}"
        );
        assert!(
            said.contains(why),
            "{arguments:?}: \"{why}\" is missing: {said}"
        );
    }

    /// Plans as the planner: the replay's id, and the hash that was shown.
    fn plan(&self, arguments: &[&str]) -> (String, String) {
        let all = [&["replay"], arguments].concat();
        let said = self.said(PLANNER, &all);
        let words: Vec<&str> = said.split_whitespace().rev().take(2).collect();
        (words[1].to_owned(), words[0].to_owned())
    }

    fn approve(&self, id: &str, hash: &str) {
        self.said(APPROVER, &["replay", "approve", id, hash]);
    }

    /// `replay show`, once it says this.
    fn shows(&self, id: &str, what: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.said(PLANNER, &["replay", "show", id]);
            if said.contains(what) {
                return said;
            }
            assert!(Instant::now() < end, "\"{what}\" did not come:\n{said}");
        }
    }

    /// Somebody who can write the store puts another selection in a plan's place.
    fn change_selection(&self, id: &str) {
        let path: PathBuf = self.folder.path().join("collector/state.db");
        let state = rusqlite::Connection::open(path).expect("a database");
        let changed = state.execute(
            "UPDATE replay SET selection = (SELECT selection FROM replay WHERE id = 1) WHERE id = ?1",
            [id],
        );
        assert_eq!(changed.expect("it is written"), 1);
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn of_key<'a>(arrivals: &'a [Arrival], key: &str) -> Vec<&'a Arrival> {
    arrivals.iter().filter(|one| one.key == key).collect()
}

#[test]
fn a_replay_without_approval_is_refused_and_so_are_self_approval_another_hash_and_an_expired_plan()
{
    let office = Office::open("approval", "");
    office.carry("a.txt", &movements(0, 100, 10), 100);
    let first = office.erp.arrivals();
    let who = format!("uid {STRANGER}");
    let why = format!("{who} is not in operators");
    office.refused(STRANGER, &["replay", "list"], &why);
    office.refused(STRANGER, &["tail"], &why);
    wait("the audit trail has it", || {
        let audit = office.said(PLANNER, &["audit"]);
        audit
            .lines()
            .any(|line| line.contains(&who) && line.contains("refused"))
    });
    let (id, hash) = office.plan(&["plan", "--target", "erp"]);
    office.refused(
        PLANNER,
        &["replay", "approve", &id, &hash],
        "somebody else must approve",
    );
    office.refused(
        APPROVER,
        &["replay", "approve", &id, "000000000000"],
        "another hash",
    );
    office.refused(APPROVER, &["replay", "resume", &id], "is planned");
    let (late, its_hash) = office.plan(&["plan", "--target", "erp", "--expires", "1s"]);
    office.shows(&late, "(expired)");
    office.refused(
        APPROVER,
        &["replay", "approve", &late, &its_hash],
        "expired",
    );
    office.carry("b.txt", &movements(100, 1, 10), 101);
    assert_eq!(office.erp.events(), 101, "nothing of it was sent");

    office.approve(&id, &hash);
    let shown = office.shows(&id, "(done)");
    assert!(shown.contains("settled  100 of 100"), "{shown}");
    let all = office.erp.arrivals();
    // One key got something newer since: all of it is passed over, and said so.
    let newer = &all[100].key;
    let overtaken = of_key(&first, newer).len();
    assert!(
        shown.contains(&format!("{overtaken} passed over: something newer")),
        "{shown}"
    );
    assert_eq!(all.len(), 101 + 100 - overtaken);
    for arrival in &first {
        let before: Vec<_> = of_key(&first, &arrival.key);
        let again: Vec<_> = of_key(&all[101..], &arrival.key);
        if arrival.key == *newer {
            assert!(again.is_empty());
        } else {
            assert_eq!(before, again, "the same, under the same ids, in order");
        }
    }
    let audit = office.said(PLANNER, &["audit"]);
    for entry in [
        "uid 61001  replay plan",
        "uid 61002  replay approve",
        "collector  replay done",
    ] {
        let is_there = audit.lines().any(|line| {
            line.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(&entry.replace("  ", " "))
        });
        assert!(is_there, "\"{entry}\" is missing:\n{audit}");
    }
}

#[test]
fn a_selection_that_changes_before_or_after_its_approval_is_void() {
    let office = Office::open("void", "");
    office.carry("a.txt", &movements(0, 100, 10), 100);
    office.plan(&["plan", "--target", "erp"]);
    let one = ["plan", "--target", "erp", "--key", "SKU-0000003"];
    let (id, hash) = office.plan(&one);
    office.change_selection(&id);
    office.refused(
        APPROVER,
        &["replay", "approve", &id, &hash],
        "not what was planned",
    );

    let (id, hash) = office.plan(&one);
    office.said(PLANNER, &["target", "pause", "erp"]);
    let mut office = office;
    office
        .site
        .collector
        .as_mut()
        .expect("it runs")
        .kill()
        .expect("a kill");
    office.site.start_collector().expect("a collector");
    // While nothing is sent: what was approved is looked at when it is its turn.
    office.change_after_approval(&id, &hash);
    let shown = office.shows(&id, "(void)");
    office.said(PLANNER, &["target", "resume", "erp"]);
    office.carry("b.txt", &movements(100, 10, 10), 110);
    assert_eq!(office.erp.events(), 110, "nothing of it was sent:\n{shown}");
    office.refused(APPROVER, &["replay", "resume", &id], "is void");
    let audit = office.said(PLANNER, &["audit"]);
    assert!(audit.contains("replay void"), "{audit}");
}

impl Office {
    /// Approved and changed while another one's turn is not over.
    fn change_after_approval(&self, id: &str, hash: &str) {
        let slow = ["plan", "--target", "erp", "--key", "SKU-0000004"];
        let (before, its_hash) = self.plan(&slow);
        self.approve(&before, &its_hash);
        self.approve(id, hash);
        self.change_selection(id);
        self.said(PLANNER, &["replay", "cancel", &before]);
    }
}

#[test]
fn a_replay_goes_on_through_kills_at_its_rate_and_is_cancelled() {
    let mut office = Office::open("replay-kills", "");
    office.carry("a.txt", &movements(0, 2_000, 500), 2_000);
    let first = office.erp.arrivals();
    let (id, hash) = office.plan(&["plan", "--target", "erp", "--rate", "400"]);
    office.approve(&id, &hash);
    let began = Instant::now();
    for arrivals in [2_200, 2_700, 3_200] {
        office.arrive(arrivals);
        office
            .site
            .collector
            .as_mut()
            .expect("it runs")
            .kill()
            .expect("a kill");
        office.site.start_collector().expect("a collector");
    }
    let shown = office.shows(&id, "(done)");
    assert!(
        began.elapsed().as_secs_f64() >= 4.5,
        "2,000 at 400 a second in {:?}",
        began.elapsed()
    );
    assert!(shown.contains("2000 delivered"), "{shown}");
    let again = office.erp.arrivals().split_off(2_000);
    println!("{} arrivals of 2,000 through 3 kills", again.len());
    for key in first.iter().map(|arrival| &arrival.key) {
        // What was in flight at a kill comes twice, under the same id: a target that honours it sees it once.
        let mut came = of_key(&again, key);
        came.dedup();
        assert_eq!(came, of_key(&first, key), "{key}");
    }
    let before = office.erp.events();
    let (id, hash) = office.plan(&["plan", "--target", "erp"]);
    office.approve(&id, &hash);
    office.arrive(before + 10);
    office.said(APPROVER, &["replay", "cancel", &id]);
    let shown = office.shows(&id, "(cancelled)");
    assert!(shown.contains("50 events a second at most"), "{shown}");
    office.carry("b.txt", &movements(2_000, 10, 500), 0);
    office.shows_delivered_within(before);
}

impl Office {
    /// What comes now is live: of a cancelled replay nothing more does.
    fn shows_delivered_within(&self, before: u64) {
        let is_live = |arrival: &Arrival| arrival.number.as_str() >= "MV0000002000";
        let end = Instant::now() + PATIENCE;
        loop {
            let all = self.erp.arrivals();
            let live = all.iter().filter(|arrival| is_live(arrival)).count();
            if live == 10 {
                let replayed = all.len() as u64 - before - 10;
                assert!(replayed < 1_000, "{replayed} came of a cancelled replay");
                return;
            }
            assert!(Instant::now() < end, "{live} of 10 came");
        }
    }
}

#[test]
fn a_replay_older_than_the_newest_is_warned_of_and_blocked() {
    let office = Office::open("older", "");
    office.carry("a.txt", &movements(0, 10, 1), 10);
    let arguments = [
        "plan",
        "--target",
        "erp",
        "--flow",
        "north/movements",
        "--to",
        "3",
    ];
    let refused = [&["replay"], &arguments[..]].concat();
    office.refused(PLANNER, &refused, "--older sends them all the same");
    let (id, hash) = office.plan(&[&arguments[..], &["--older"]].concat());
    let shown = office.shows(&id, "WARNING: 3 of them, of 1 keys");
    assert!(shown.contains("DELIVERED SINCE"), "{shown}");
    office.approve(&id, &hash);
    office.shows(&id, "(done)");
    let again = office.erp.arrivals().split_off(10);
    let numbers: Vec<_> = again
        .iter()
        .map(|arrival| arrival.number.as_str())
        .collect();
    assert_eq!(numbers, ["MV0000000000", "MV0000000001", "MV0000000002"]);
}

#[test]
fn an_edited_dead_letter_is_sent_once_somebody_agreed_and_masked_fields_are_shown_nowhere() {
    let office = Office::open("edit", "mask = [\"lot\"]");
    office.erp.behave(Manner::RejectKey("SKU-0000000".into()));
    drop_file(
        &office.site.drops("movements"),
        "a.txt",
        movements(0, 1, 1).as_bytes(),
    )
    .expect("a drop");
    let end = Instant::now() + PATIENCE;
    let shown = loop {
        let output = office.ask(PLANNER, &["dead-letters", "show", "1"]);
        if output.status.success() {
            break text(&output);
        }
        assert!(Instant::now() < end, "{}", text(&output));
    };
    assert!(
        shown.contains("\"lot\": \"***\"") && !shown.contains("L000000"),
        "{shown}"
    );
    let (id, hash) = office.plan(&["edit", "1", "--set", "quantity=7.5", "--set", "lot=SECRET"]);
    let planned = office.said(APPROVER, &["replay", "show", &id]);
    for word in [
        "before: ",
        "after: ",
        "\"quantity\": \"7.5\"",
        "quantity = 7.5",
    ] {
        assert!(planned.contains(word), "\"{word}\" is missing:\n{planned}");
    }
    office.refused(PLANNER, &["replay", "approve", &id, &hash], "somebody else");
    office.erp.behave(Manner::Accept);
    office.approve(&id, &hash);
    office.arrive(1);
    let document = office.erp.document("MV0000000000").expect("it came");
    assert_eq!(
        (&document["data"]["quantity"], &document["data"]["lot"]),
        (&"7.5".into(), &"SECRET".into())
    );
    // The original stands in the log as it was, under the same id.
    let original = office.site.log_events().expect("the log").remove(0);
    assert_eq!(original["id"], document["id"]);
    assert_ne!(original["data"]["quantity"], document["data"]["quantity"]);
    let everything = office.shows(&id, "(done)") + &office.said(PLANNER, &["audit"]) + &planned;
    let log = office
        .site
        .collector
        .as_ref()
        .expect("it runs")
        .log()
        .join("\n");
    assert!(
        !(everything + &log).contains("SECRET"),
        "a masked value is shown"
    );
}
