//! A disk that is full to the last byte: the flow waits and says so, and goes on once there is room.

use std::fs;
use std::time::Duration;

use dray_tests::disk::{Disk, Kind};
use dray_tests::drops::{drop_file, movements};
use dray_tests::load::Load;
use dray_tests::places::Places;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::power::{KEYS, kill};
use crate::{PATIENCE, arrives_whole, folder, target_table, wait};

/// The buffer leaves 64 MiB of a disk free, and sets 16 MiB aside where there is plenty.
const AGENT_MIB: u64 = 128;
const COLLECTOR_MIB: u64 = 64;
/// Events that arrive before the disk is filled.
const BEFORE: u64 = 2_000;
/// How soon it goes on once there is room.
const SOON: Duration = Duration::from_secs(10);

/// The site's parts of one side stand on a small disk.
struct Narrow {
    site: Site,
    erp: Target,
    load: Load,
    disk: Disk,
    _folder: tempfile::TempDir,
}

impl Narrow {
    fn new(name: &str, mib: u64, on: impl FnOnce(Places, Places) -> Places) -> Self {
        Self::with(name, mib, "", on)
    }

    /// `settings`: more lines of `[flow.source]`.
    fn with(
        name: &str,
        mib: u64,
        settings: &str,
        on: impl FnOnce(Places, Places) -> Places,
    ) -> Self {
        let folder = folder(name);
        let disk = Disk::new(folder.path(), Kind::Ext4, mib).expect("a disk");
        let erp = Target::start(false).expect("a target");
        let places = on(
            Places::in_folder(folder.path()),
            Places::in_folder(disk.path()),
        );
        let mut flow = FlowSpec::movements("movements");
        flow.source += "quiet = \"10ms\"\n";
        flow.source += settings;
        let targets = target_table("erp", &erp.url(), "");
        let site = Site::lay_out_at(folder.path(), places, &[flow], &targets)
            .and_then(Site::begin)
            .expect("a site");
        Self {
            load: Load::new(site.drops("movements"), KEYS),
            site,
            erp,
            disk,
            _folder: folder,
        }
    }

    /// Does `meanwhile` with the disk full while events flow; they must go on soon after it, and
    /// nothing be lost.
    fn full(mut self, what: &str, meanwhile: impl FnOnce(&mut Site, &Disk)) {
        let Self {
            site,
            erp,
            load,
            disk,
            ..
        } = &mut self;
        load.during(erp, || {
            assert!(
                erp.wait(PATIENCE, |events| events >= BEFORE),
                "nothing flows"
            );
            disk.fill().expect("it fills");
            meanwhile(site, disk);
            let stood = erp.events();
            disk.make_room().expect("there is room");
            assert!(
                erp.wait(SOON, |events| events > stood),
                "{what}: it does not go on within {SOON:?}"
            );
        });
        arrives_whole(site, erp, load.sent(), what);
    }
}

/// Of the disk under a backlog: room for it, the reserve and the ballast.
const BACKLOG_MIB: u64 = 256;
/// Files of the backlog, and lines of each: several generations.
const BACKLOG_FILES: u64 = 6;
const BACKLOG_LINES: u64 = 10_000;

/// A site whose agent holds a backlog in several sealed generations, while its collector is away.
fn with_a_backlog(name: &str) -> Narrow {
    let places = |off: Places, on: Places| Places {
        agent: on.agent,
        ..off
    };
    let mut narrow = Narrow::new(name, BACKLOG_MIB, places);
    let Narrow { site, erp, .. } = &mut narrow;
    let drops = site.drops("movements");
    let drop_next = |file: u64| {
        let text = movements(file * BACKLOG_LINES, BACKLOG_LINES, KEYS);
        drop_file(&drops, &format!("{file:04}.txt"), text.as_bytes()).expect("a drop");
    };
    // An agent with a new buffer would ask the collector first.
    drop_next(0);
    assert!(erp.wait(PATIENCE, |events| events >= BACKLOG_LINES));
    kill(&mut site.collector);
    kill(&mut site.agent);
    let small = ("DRAY_GENERATION_BYTES".into(), "100000".into());
    site.environment.push(small);
    site.start_agent().expect("an agent");
    (1..BACKLOG_FILES).for_each(drop_next);
    let last = drops.join(format!("archive/pending/{:04}.txt", BACKLOG_FILES - 1));
    wait("all of it is appended", || last.exists());
    // What was just appended is in memory, too.
    kill(&mut site.agent);
    site.start_agent().expect("an agent");
    let agent = site.agent.as_ref().expect("it runs");
    agent.wait_log("\"started\"").expect("it says so");
    narrow
}

impl Narrow {
    /// All of the backlog arrives, and nothing of it was put aside.
    fn backlog_arrives(&self, what: &str) {
        arrives_whole(&self.site, &self.erp, BACKLOG_FILES * BACKLOG_LINES, what);
        let aside = self.disk.path().join("agent/buffer/quarantine");
        assert!(!aside.exists(), "healthy parts were put aside");
    }
}

#[test]
fn a_backlog_is_sent_from_a_full_disk_by_what_was_set_aside() {
    let mut narrow = with_a_backlog("backlog-ballast");
    narrow.disk.fill().expect("it fills");
    narrow.site.start_collector().expect("a collector");
    narrow.backlog_arrives("a backlog on a full disk");
}

#[test]
fn a_backlog_that_a_full_disk_keeps_from_being_read_is_sent_once_there_is_room() {
    let mut narrow = with_a_backlog("backlog-full");
    let Narrow {
        site, erp, disk, ..
    } = &mut narrow;
    fs::remove_file(disk.path().join("agent/buffer/ballast")).expect("it was set aside");
    disk.fill().expect("it fills");
    site.start_collector().expect("a collector");
    let agent = site.agent.as_ref().expect("it runs");
    agent.wait_log("make room").expect("the log says it");
    let stood = erp.events();
    disk.make_room().expect("there is room");
    assert!(
        erp.wait(SOON, |events| events > stood),
        "it does not go on within {SOON:?}"
    );
    narrow.backlog_arrives("a backlog that waited for room");
}

#[test]
fn a_backlog_is_not_lost_to_an_agent_that_has_no_descriptors_left() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let mut narrow = with_a_backlog("backlog-descriptors");
    let agent = narrow.site.agent.as_ref().expect("it runs");
    let pid = Pid::from_raw(agent.pid() as i32);
    let few = Rlimit {
        current: Some(1),
        ..getrlimit(Resource::Nofile)
    };
    let before = prlimit(pid, Resource::Nofile, few).expect("they are few");
    narrow.site.start_collector().expect("a collector");
    let agent = narrow.site.agent.as_ref().expect("it runs");
    agent
        .wait_log("Too many open files")
        .expect("the log says it");
    prlimit(pid, Resource::Nofile, before).expect("they are many");
    narrow.backlog_arrives("a backlog without descriptors");
}

/// The agent's log and its status say that it waits for room. What is acked meanwhile makes some, and that is taken again.
fn agent_says_so(site: &Site, disk: &Disk) {
    let agent = site.agent.as_ref().expect("it runs");
    agent
        .wait_log("\"waiting\",\"reason\":\"the disk of")
        .expect("the log says it");
    wait("the status says it", || {
        disk.fill().expect("it fills");
        let status = site.agent_command(&["status"]).expect("a status");
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        status.contains("waiting") && status.contains("make room")
    });
}

/// The collector's log says that it can't write. Where it is the log of events, the agent hears it,
/// too; a cursor that can't be written stops its target alone.
fn collector_says_so(site: &Site) {
    let collector = site.collector.as_ref().expect("it runs");
    collector.wait_log("disk is full").expect("the log says it");
    let refuses = |line: &String| line.contains("blocks refused");
    if collector.log().iter().any(refuses) {
        let agent = site.agent.as_ref().expect("it runs");
        agent
            .wait_log("look at the disk of")
            .expect("the agent hears it");
    }
}

#[test]
fn an_agent_with_a_full_disk_waits_says_so_and_goes_on() {
    let places = |off: Places, on: Places| Places {
        agent: on.agent,
        ..off
    };
    Narrow::new("agent-full", AGENT_MIB, places).full("an agent's full disk", |site, disk| {
        agent_says_so(site, disk);
    });
}

#[test]
fn an_agent_that_keeps_files_waits_with_a_full_disk_says_so_and_goes_on() {
    let places = |off: Places, on: Places| Places {
        agent: on.agent,
        ..off
    };
    let what = "an agent's full disk, with a ledger on it";
    Narrow::with("agent-full-keep", AGENT_MIB, "after = \"keep\"\n", places).full(
        what,
        |site, disk| {
            agent_says_so(site, disk);
        },
    );
}

#[test]
fn an_agent_that_is_killed_with_a_full_disk_starts_and_waits_for_room() {
    let places = |off: Places, on: Places| Places {
        agent: on.agent,
        ..off
    };
    Narrow::new("agent-killed", AGENT_MIB, places).full(
        "an agent killed when full",
        |site, disk| {
            agent_says_so(site, disk);
            kill(&mut site.agent);
            disk.fill().expect("it fills");
            assert_eq!(disk.free().expect("the disk"), 0);
            site.start_agent().expect("an agent");
            agent_says_so(site, disk);
        },
    );
}

#[test]
fn a_collector_with_a_full_disk_refuses_says_so_and_goes_on() {
    let places = |off: Places, on: Places| Places {
        collector: on.collector,
        ..off
    };
    Narrow::new("collector-full", COLLECTOR_MIB, places).full(
        "a collector's full disk",
        |site, _| {
            collector_says_so(site);
        },
    );
}

#[test]
fn a_collector_that_is_killed_with_a_full_disk_starts_and_refuses() {
    let places = |off: Places, on: Places| Places {
        collector: on.collector,
        ..off
    };
    let what = "a collector killed when full";
    Narrow::new("collector-killed", COLLECTOR_MIB, places).full(what, |site, disk| {
        collector_says_so(site);
        kill(&mut site.collector);
        disk.fill().expect("it fills");
        assert_eq!(disk.free().expect("the disk"), 0);
        site.start_collector().expect("a collector");
        collector_says_so(site);
    });
}
