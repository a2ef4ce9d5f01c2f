//! Shares that go away and are mounted again: real mounts, in a namespace of the test's own.
//!
//! Two memory file systems hold the same files, so that the second mount has another device number and other inodes.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dray_adapter::conformance::{Agent, PolledOnce};
use dray_adapter::{BATCH_RECORDS_MAX, SourceError};

use crate::namespace::{call, in_own_mounts, text};
use crate::support::{Drops, table, until, work};

const KEEP: &str = "after = \"keep\"\n";
const MANY: usize = BATCH_RECORDS_MAX + 10;

/// A share that is mounted on the drop folder.
struct Share<'a> {
    drops: &'a Drops,
    server: PathBuf,
    mounts: u32,
}

impl<'a> Share<'a> {
    fn mount_first(drops: &'a Drops) -> Self {
        let server = drops.path.with_file_name("server");
        fs::create_dir(&server).expect("a folder");
        let mut share = Self {
            drops,
            server,
            mounts: 0,
        };
        share.mount();
        share
    }

    /// Another device each time, with what the server has.
    fn mount(&mut self) {
        call("mount", &["-t", "tmpfs", "share", text(&self.drops.path)]);
        let all = format!("{}/.", text(&self.server));
        call("cp", &["-a", &all, text(&self.drops.path)]);
        self.mounts += 1;
    }

    /// The server keeps what is there.
    fn unmount(&mut self) {
        let all = format!("{}/.", text(&self.drops.path));
        fs::remove_dir_all(&self.server).expect("the server's files");
        fs::create_dir(&self.server).expect("a folder");
        call("cp", &["-a", &all, text(&self.server)]);
        call("umount", &["--lazy", text(&self.drops.path)]);
        assert!(
            fs::read_dir(&self.drops.path).is_ok_and(|mut left| left.next().is_none()),
            "what is under the mount is empty"
        );
    }
}

/// A share with a file of two batches, of which the first is appended.
fn half_read<'a>(drops: &'a Drops) -> (Share<'a>, Agent) {
    let share = Share::mount_first(drops);
    drops.put("m.txt", table(&vec!["M|1"; MANY]));
    let mut agent = Agent::open(drops.source());
    while agent.log.is_empty() {
        agent.poll();
        agent.append();
        agent.commit();
    }
    (share, agent)
}

fn assert_whole(agent: &Agent, notices: usize) {
    let records: Vec<u64> = agent
        .log
        .iter()
        .filter(|entry| !entry.shown.contains('!'))
        .map(|entry| entry.id.1)
        .collect();
    let expected: Vec<u64> = (0..MANY as u64).collect();
    assert!(records == expected, "{} records", records.len());
    assert_eq!(agent.log.len() - records.len(), notices);
}

#[test]
fn scenario_38_a_share_unmounted_mid_read_and_mounted_with_another_device_is_read_on_at_the_record()
{
    let name = "mounts::scenario_38_a_share_unmounted_mid_read_and_mounted_with_another_device_is_read_on_at_the_record";
    in_own_mounts(name, || {
        for settings in ["", KEEP] {
            let drops = Drops::new(settings);
            let (mut share, mut agent) = half_read(&drops);
            agent.kill();
            share.unmount();
            // The agent starts while the share is away: the folder is there, and empty.
            agent.reopen(drops.source());
            match agent.source().poll() {
                Err(SourceError::Retry { reason, .. }) => {
                    assert!(reason.contains("m.txt is not in"), "{reason}");
                }
                other => panic!("a retry was expected: {other:?}"),
            }
            share.mount();
            work(&mut agent, MANY);
            assert_whole(&agent, 0);
            agent.reopen(drops.source());
            agent.nothing_more("it was read once");
        }
    });
}

#[test]
fn scenario_38_a_file_given_up_while_its_share_was_away_is_read_on_when_it_is_back() {
    let name =
        "mounts::scenario_38_a_file_given_up_while_its_share_was_away_is_read_on_when_it_is_back";
    in_own_mounts(name, || {
        for settings in ["", KEEP] {
            let drops = Drops::new(settings);
            let (mut share, mut agent) = half_read(&drops);
            agent.kill();
            share.unmount();
            agent.reopen(drops.source());
            let before = agent.log.len();
            let end = Instant::now() + Duration::from_secs(20);
            while agent.log.len() == before {
                assert!(Instant::now() < end, "it is not told that the file is gone");
                agent.poll();
                agent.append();
                agent.commit();
            }
            assert!(agent.log[before].shown.ends_with("! source"));
            agent.reopen(drops.source());
            share.mount();
            work(&mut agent, MANY + 1);
            assert_whole(&agent, 1);
            agent.reopen(drops.source());
            agent.nothing_more("it was read once");
        }
    });
}

#[test]
fn scenario_38_a_share_that_goes_away_while_a_file_is_open_loses_and_doubles_nothing() {
    let name =
        "mounts::scenario_38_a_share_that_goes_away_while_a_file_is_open_loses_and_doubles_nothing";
    in_own_mounts(name, || {
        for settings in ["", KEEP] {
            let drops = Drops::new(settings);
            let (mut share, mut agent) = half_read(&drops);
            share.unmount();
            while agent.log.len() < MANY {
                if agent.poll() == PolledOnce::Batch {
                    agent.append();
                    agent.commit();
                }
            }
            share.mount();
            agent.nothing_more("the file was read to its end before it could move");
            agent.reopen(drops.source());
            agent.nothing_more("and after a restart");
            assert_whole(&agent, 0);
            assert_eq!(share.mounts, 2);
        }
    });
}

#[test]
fn scenario_38_kept_files_of_a_share_mounted_with_another_device_are_no_new_files() {
    let name =
        "mounts::scenario_38_kept_files_of_a_share_mounted_with_another_device_are_no_new_files";
    in_own_mounts(name, || {
        let drops = Drops::new(KEEP);
        let mut share = Share::mount_first(&drops);
        for number in 0..10 {
            drops.put(&format!("{number}.txt"), table(&[&format!("{number}|1")]));
        }
        let mut agent = Agent::open(drops.source());
        work(&mut agent, 10);
        share.unmount();
        agent.nothing_more("the folder is empty");
        share.mount();
        drops.put("new.txt", table(&["new|1"]));
        assert_eq!(work(&mut agent, 11)[10..], ["new.txt:2: new|1"]);
        agent.reopen(drops.source());
        agent.nothing_more("all stand in the ledger");
    });
}

#[test]
fn scenario_37_a_folder_that_cannot_be_watched_is_read_by_scans_alone() {
    let name = "mounts::scenario_37_a_folder_that_cannot_be_watched_is_read_by_scans_alone";
    in_own_mounts(name, || {
        fs::write("/proc/sys/user/max_inotify_instances", "0").expect("a limit of the namespace");
        rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC)
            .expect_err("nothing can be watched");
        for ready in ["close", "quiet", "rename"] {
            let drops = Drops::new(&format!("ready = \"{ready}\"\nquiet = \"400ms\"\n"));
            let mut agent = Agent::open(drops.source());
            agent.nothing_more("the folder is empty");
            drops.put("a.txt", table(&["A|1"]));
            assert_eq!(work(&mut agent, 1), ["a.txt:2: A|1"], "{ready}");
            // Whoever renames has written all of it; else it stands still first.
            if ready != "rename" {
                let began = Instant::now();
                fs::write(drops.at("b.txt"), table(&["B|1"])).expect("a file");
                let told = work(&mut agent, 2);
                assert_eq!(told[1], "b.txt:2: B|1", "{ready}");
                assert!(began.elapsed() >= Duration::from_millis(400), "{ready}");
            }
            until(&mut agent, || drops.files("").is_empty());
        }
    });
}
