//! Disks that are lost, and machines that are restored from an older state: nothing is silently missing, nothing doubled, and
//! each is told in words.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use dray_tests::verdict::{Verdict, judge};

use crate::{PATIENCE, folder, numbers, target_table, wait};

/// Lines of each file, and its items.
const LINES: u64 = 1_000;
const ITEMS: u64 = 70;

/// A site whose files are dropped one by one, each the next thousand movements.
struct Story {
    folder: tempfile::TempDir,
    site: Site,
    erp: Target,
    files: u64,
}

impl Story {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        let erp = Target::start(false).expect("a target");
        let site = Site::start(
            folder.path(),
            &[FlowSpec::movements("movements")],
            &target_table("erp", &erp.url(), ""),
        )
        .expect("a site");
        Self {
            folder,
            site,
            erp,
            files: 0,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Drops the next file; its name.
    fn drop_next(&mut self) -> String {
        let name = format!("{:04}.txt", self.files);
        let text = movements(self.files * LINES, LINES, ITEMS);
        drop_file(&self.site.drops("movements"), &name, text.as_bytes()).expect("a drop");
        self.files += 1;
        name
    }

    /// Drops the next file and waits until it is acked and delivered.
    fn carry_next(&mut self) {
        let name = self.drop_next();
        self.wait_archived(&name);
        self.wait_delivered();
    }

    fn wait_archived(&self, name: &str) {
        wait(&format!("{name} is acked"), || {
            self.at("drops/movements/archive").join(name).exists()
        });
    }

    fn wait_pending(&self, name: &str) {
        wait(&format!("{name} is appended"), || {
            self.at("drops/movements/archive/pending")
                .join(name)
                .exists()
        });
    }

    fn wait_delivered(&self) {
        let all = self.files * LINES;
        let arrived = self.erp.wait(PATIENCE, |events| events >= all);
        assert!(arrived, "{} of {all} arrived", self.erp.events());
    }

    fn stop_agent(&mut self) {
        let mut agent = self.site.agent.take().expect("it runs");
        agent.kill().expect("a kill");
    }

    /// From now on each file has a generation of its own, which is deleted once a later one is acked.
    fn make_generations_small(&mut self) {
        let small = ("DRAY_GENERATION_BYTES".into(), "1000".into());
        self.site.environment.push(small);
        self.stop_agent();
        self.site.start_agent().expect("an agent");
    }

    fn stop_collector(&mut self) {
        let mut collector = self.site.collector.take().expect("it runs");
        collector.terminate().expect("it ends");
    }

    /// Puts what stands at `path` away as it is now.
    fn snapshot(&self, path: &str) {
        let kept = self.at("snapshots").join(path);
        fs::create_dir_all(kept.parent().expect("a parent")).expect("a folder");
        copy(&self.at(path), &kept);
    }

    /// Puts the snapshot in place of what stands there now.
    fn restore(&self, path: &str) {
        fs::remove_dir_all(self.at(path)).expect("it is there");
        copy(&self.at("snapshots").join(path), &self.at(path));
    }

    fn in_log(&self) -> Verdict {
        let sent = (0..self.files * LINES).map(|n| format!("MV{n:010}"));
        let arrivals = self.site.log_arrivals().expect("the log");
        // Dead letters are events too, of no movement.
        let movements = arrivals.iter().filter(|arrival| !arrival.number.is_empty());
        judge(sent, movements)
    }

    /// Each movement stands once in the log, and reached the target in order.
    fn assert_whole(&self) {
        self.wait_delivered();
        let sent = (0..self.files * LINES).map(|n| format!("MV{n:010}"));
        let arrivals = self.erp.arrivals();
        let arrivals = arrivals.iter().filter(|arrival| !arrival.number.is_empty());
        let verdict = judge(sent, arrivals);
        assert!(verdict.clean(), "at the target: {verdict}");
        let verdict = self.in_log();
        assert!(
            verdict.clean() && verdict.repeats == 0,
            "in the log: {verdict}"
        );
    }

    /// So many movements, of which it was told, are not in the log; all others are, once and in order.
    fn assert_lost(&self, told: u64) {
        let verdict = self.in_log();
        assert_eq!(
            (
                verdict.lost,
                verdict.doubled,
                verdict.out_of_order,
                verdict.repeats
            ),
            (told, 0, 0, 0),
            "only what was told is missing: {verdict}"
        );
    }

    fn agent_said(&self, words: &str) {
        let agent = self.site.agent.as_ref().expect("it runs");
        agent.wait_log(words).expect("it is told");
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success());
}

#[test]
fn an_agent_that_lost_its_buffer_reads_pending_files_again_and_goes_on() {
    let mut story = Story::new("lost-buffer");
    story.carry_next();
    story.carry_next();
    story.stop_collector();
    let pending = story.drop_next();
    story.wait_pending(&pending);
    story.stop_agent();
    fs::remove_dir_all(story.at("agent/buffer")).expect("it is there");
    story.drop_next();
    story.site.start_collector().expect("a collector");
    story.site.start_agent().expect("an agent");
    story.agent_said("goes on where the collector says that this flow stood");
    story.assert_whole();
}

#[test]
fn generations_deleted_by_hand_are_told_and_read_again() {
    let mut story = Story::new("deleted-generation");
    story.carry_next();
    story.stop_collector();
    let pending = story.drop_next();
    story.wait_pending(&pending);
    story.stop_agent();
    let buffer = story.at("agent/buffer");
    for entry in fs::read_dir(&buffer).expect("it is there") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if path.is_dir() && name.starts_with("g-") {
            fs::remove_dir_all(&path).expect("a folder");
        }
    }
    story.site.start_collector().expect("a collector");
    story.site.start_agent().expect("an agent");
    story.agent_said("the buffer's generations are gone");
    story.carry_next();
    story.assert_whole();
}

#[test]
fn an_agent_restored_from_an_old_snapshot_goes_on_where_the_collector_stands() {
    let mut story = Story::new("old-agent");
    story.carry_next();
    story.stop_agent();
    story.snapshot("agent");
    story.site.start_agent().expect("an agent");
    story.carry_next();
    story.carry_next();
    story.stop_agent();
    story.restore("agent");
    story.drop_next();
    story.site.start_agent().expect("an agent");
    story.agent_said("its disk was restored from an older state");
    story.assert_whole();
    story.carry_next();
    story.assert_whole();
}

#[test]
fn a_machine_restored_with_its_drop_folder_sends_nothing_twice() {
    let mut story = Story::new("old-machine");
    story.carry_next();
    story.stop_collector();
    let in_flight = story.drop_next();
    story.wait_pending(&in_flight);
    story.stop_agent();
    story.snapshot("agent");
    story.snapshot("drops");
    story.site.start_collector().expect("a collector");
    story.site.start_agent().expect("an agent");
    story.carry_next();
    story.stop_agent();
    // What was dropped since is dropped again by the legacy system, which was restored as well.
    story.restore("agent");
    story.restore("drops");
    story.files -= 1;
    story.drop_next();
    story.drop_next();
    story.site.start_agent().expect("an agent");
    story.agent_said("its disk was restored from an older state");
    story.assert_whole();
}

#[test]
fn a_restored_agent_that_wrote_on_before_it_connected_begins_a_new_epoch() {
    let mut story = Story::new("forked");
    story.carry_next();
    story.stop_agent();
    story.snapshot("agent");
    story.site.start_agent().expect("an agent");
    story.carry_next();
    story.stop_agent();
    story.restore("agent");
    story.stop_collector();
    // More than the collector holds, and under the same numbers.
    story.site.start_agent().expect("an agent");
    let first = story.drop_next();
    story.wait_pending(&first);
    let second = story.drop_next();
    story.wait_pending(&second);
    story.site.start_collector().expect("a collector");
    story.agent_said("a new epoch");
    story.assert_whole();
}

#[test]
fn a_collector_restored_from_an_old_backup_stops_the_flow_until_the_gap_is_accepted() {
    let mut story = Story::new("old-collector");
    story.make_generations_small();
    story.carry_next();
    story.stop_collector();
    story.snapshot("collector");
    story.site.start_collector().expect("a collector");
    story.carry_next();
    story.carry_next();
    story.stop_collector();
    story.restore("collector");
    story.site.start_collector().expect("a collector");
    let collector = story.site.collector.as_ref().expect("it runs");
    collector
        .wait_log("a flow is stopped by a gap")
        .expect("it is told");
    story.agent_said("were acked and forgotten here");
    let status = story.site.agent_command(&["status"]);
    let said = match status {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => error.to_string(),
    };
    assert!(said.contains("--accept-gap"), "{said}");
    let held = story.drop_next();
    story.wait_pending(&held);
    let shown = story
        .site
        .collector_command(&["status"])
        .expect("an answer");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    // The third file's generation is the newest, and that one stays.
    assert!(shown.contains("events 1001 to 2000"), "{shown}");

    let resumed = story
        .site
        .collector_command(&["resume", "north/movements", "--accept-gap"])
        .expect("it is accepted");
    let said = String::from_utf8_lossy(&resumed.stdout).into_owned();
    assert!(said.contains("goes on at event 2001"), "{said}");
    story.wait_archived(&held);
    story.wait_delivered();
    story.assert_lost(LINES);
    let told = story.site.log_events().expect("the log");
    let told: Vec<_> = told
        .iter()
        .filter(|event| event["type"] == "dead_letter")
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let reason = told[0]["data"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("events 1001 to 2000"), "{reason}");
}

#[test]
fn a_collector_restored_to_before_its_agents_new_epoch_tells_what_only_it_had() {
    let mut story = Story::new("both-restored");
    story.carry_next();
    story.stop_collector();
    story.stop_agent();
    story.snapshot("collector");
    story.snapshot("agent");
    story.site.start_collector().expect("a collector");
    story.site.start_agent().expect("an agent");
    story.carry_next();
    story.carry_next();
    story.stop_agent();
    story.restore("agent");
    story.site.start_agent().expect("an agent");
    story.agent_said("its disk was restored from an older state");
    story.carry_next();
    story.assert_whole();
    story.stop_collector();
    story.restore("collector");
    story.site.start_collector().expect("a collector");
    story.agent_said("before this agent's epoch began");
    let held = story.drop_next();
    story.wait_pending(&held);
    let said = RefCell::new(Vec::new());
    wait("the gap can be accepted", || {
        let resume = ["resume", "north/movements", "--accept-gap"];
        let resumed = story.site.collector_command(&resume);
        resumed.is_ok_and(|output| {
            *said.borrow_mut() = output.stdout;
            true
        })
    });
    let said = String::from_utf8_lossy(&said.borrow()).into_owned();
    assert!(said.contains("events 1001 to 3000 of epoch"), "{said}");
    story.wait_archived(&held);
    story.wait_delivered();
    story.assert_lost(2 * LINES);
}

#[test]
fn a_collector_restored_from_an_old_backup_gets_what_stands_on_the_agents_disk() {
    let mut story = Story::new("old-collector-young-agent");
    story.carry_next();
    story.stop_collector();
    story.snapshot("collector");
    story.site.start_collector().expect("a collector");
    story.carry_next();
    story.carry_next();
    story.stop_collector();
    story.restore("collector");
    story.site.start_collector().expect("a collector");
    story.agent_said("everything is opened again");
    story.carry_next();
    // The collector does not remember either what it delivered since: two files come once more, under the same ids.
    let arrived = story.erp.wait(PATIENCE, |events| events >= 6 * LINES);
    assert!(arrived, "{} arrived", story.erp.events());
    let mut seen = HashSet::new();
    let firsts = story.erp.arrivals();
    let firsts = firsts
        .iter()
        .filter(|arrival| seen.insert(arrival.id.clone()));
    let verdict = judge(numbers(4 * LINES), firsts);
    assert!(verdict.clean(), "at the target: {verdict}");
    let verdict = story.in_log();
    assert!(
        verdict.clean() && verdict.repeats == 0,
        "in the log: {verdict}"
    );
}

#[test]
fn a_flow_that_is_renamed_sends_what_it_had_accepted_and_says_so() {
    let mut story = Story::new("renamed-flow");
    story.carry_next();
    story.stop_collector();
    let pending = story.drop_next();
    story.wait_pending(&pending);
    story.stop_agent();
    fs::create_dir(story.at("drops/moves")).expect("a folder");
    let config = fs::read_to_string(story.site.agent_config()).expect("it is there");
    let renamed = config
        .replace("name = \"movements\"", "name = \"moves\"")
        .replace("drops/movements", "drops/moves");
    fs::write(story.site.agent_config(), renamed).expect("it is written");
    story.site.start_agent().expect("an agent");
    story.agent_said("a flow is left over");
    let status = story.site.agent_command(&["status"]).expect("a status");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.contains("it is not in the configuration any more"),
        "{status}"
    );
    story.site.start_collector().expect("a collector");
    story.assert_whole();
}
