//! Power cuts in the first seconds of a buffer and of a store: what was said by then holds.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use dray_tests::disk::{Disk, Kind};
use dray_tests::frozen::Frozen;
use dray_tests::load::Load;
use dray_tests::site::Site;
use dray_tests::target::Target;
use rand::RngExt as _;

use crate::power::{DISK_MIB, KEYS, Side, cut, cuts, kill, lay_out};
use crate::{all_arrive, arrives_whole, folder};

/// How young it is when it is cut, at most, in seconds.
const YOUNG_S_MAX: f64 = 2.0;

/// Sooner is likelier: most of what is new is made at once.
fn grow_up() {
    let part: f64 = rand::rng().random();
    std::thread::park_timeout(Duration::from_secs_f64(part.powi(3) * YOUNG_S_MAX));
}

fn young_buffers(kind: Kind) {
    let folder = folder("young-buffer");
    let disk = Disk::new(folder.path(), kind, DISK_MIB).expect("a disk");
    let erp = Target::start(false).expect("a target");
    let mut site = lay_out(folder.path(), &disk, Side::Agent, &erp);
    site.start_collector().expect("a collector");
    site.enrol().expect("an identity");
    let load = Load::new(site.drops("movements"), KEYS);
    for _ in 0..cuts() {
        lose_buffer(&mut site, &disk);
        load.during(&erp, || {
            site.start_agent().expect("an agent");
            grow_up();
            cut(&mut site, &disk, Side::Agent);
        });
        all_arrive(&erp, load.sent());
    }
    let what = format!("{} cuts of young buffers on {kind:?}", cuts());
    arrives_whole(&site, &erp, load.sent(), &what);
}

/// The identity stays, the buffer goes; that it went is not what is cut.
fn lose_buffer(site: &mut Site, disk: &Disk) {
    kill(&mut site.agent);
    let buffer = disk.path().join("agent/buffer");
    if buffer.exists() {
        fs::remove_dir_all(buffer).expect("it goes");
    }
    rustix::fs::syncfs(File::open(disk.path()).expect("the disk")).expect("a sync");
}

#[test]
fn nothing_is_lost_when_the_power_of_a_buffer_on_ext4_is_cut_in_its_first_seconds() {
    young_buffers(Kind::Ext4);
}

#[test]
fn nothing_is_lost_when_the_power_of_a_buffer_on_xfs_is_cut_in_its_first_seconds() {
    young_buffers(Kind::Xfs);
}

/// How far a new site came before the cut.
#[derive(Debug, Default)]
struct Said {
    /// `invite` printed it.
    token: Option<String>,
    /// `enroll` succeeded.
    enrolled: bool,
}

/// Starts a new site as far as the cut lets it.
fn begin(site: &mut Site) -> Said {
    let mut said = Said::default();
    if site.start_collector().is_err() {
        return said;
    }
    let Ok(token) = site.invite() else {
        return said;
    };
    said.enrolled = site.agent_command(&["enroll", &token]).is_ok();
    said.token = Some(token);
    if said.enrolled {
        site.start_agent().expect("an agent");
    }
    said
}

/// What a new site's commands said holds; what they did not say is done again.
fn go_on(site: &Site, said: Said) {
    if said.enrolled {
        return;
    }
    let Some(token) = said.token else {
        let token = site.invite().expect("a token");
        site.agent_command(&["enroll", "--again", &token])
            .expect("an identity");
        return;
    };
    // It may have got its identity before it could say so.
    if let Err(error) = site.agent_command(&["enroll", "--again", &token]) {
        // Cut between the use of the token and the answer.
        let sites = site.collector_command(&["sites"]).expect("a list");
        let sites = String::from_utf8_lossy(&sites.stdout).into_owned();
        assert!(
            sites.contains("north"),
            "the token was printed, and nobody used it: {error}; {sites}"
        );
        let token = site.invite().expect("a token");
        site.agent_command(&["enroll", "--again", &token])
            .expect("an identity");
    }
}

/// What the target got and what the agent archived is in the log.
fn check_log(site: &Site, erp: &Target) {
    let log = site.log_arrivals().expect("the log");
    let log: HashSet<&str> = log.iter().map(|event| event.number.as_str()).collect();
    let seen = erp.arrivals().into_iter().map(|arrival| arrival.number);
    let archived = archived(&site.drops("movements").join("archive"));
    for number in seen.chain(archived) {
        assert!(log.contains(number.as_str()), "{number} is not in the log");
    }
}

/// The movements in a folder's files.
fn archived(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let files = entries.flatten().filter(|entry| entry.path().is_file());
    files
        .flat_map(|file| {
            let text = fs::read_to_string(file.path()).expect("a file of ours");
            let number = |line: &str| line.split('|').next().map(str::to_owned);
            text.lines().skip(1).filter_map(number).collect::<Vec<_>>()
        })
        .collect()
}

fn young_store(kind: Kind) {
    let folder = folder("young-store");
    let disk = Disk::new(folder.path(), kind, DISK_MIB).expect("a disk");
    let erp = Target::start(false).expect("a target");
    let mut site = lay_out(folder.path(), &disk, Side::Collector, &erp);
    let config = site.collector_config();
    let load = Load::new(site.drops("movements"), KEYS);
    let came = load.during(&erp, || {
        let said = std::thread::scope(|scope| {
            scope.spawn(|| {
                grow_up();
                let frozen = Frozen::all_of(&config).expect("they stop");
                disk.cut().expect("a cut");
                drop(frozen);
            });
            begin(&mut site)
        });
        let came = format!("{said:?}, {} events", erp.events());
        kill(&mut site.collector);
        kill(&mut site.agent);
        disk.remount().expect("the disk comes back");
        site.start_collector().expect("a collector");
        check_log(&site, &erp);
        go_on(&site, said);
        site.start_agent().expect("an agent");
        came
    });
    println!("cut at {came}");
    let what = format!("a cut of a young store on {kind:?}");
    arrives_whole(&site, &erp, load.sent(), &what);
}

#[test]
fn what_was_said_holds_when_the_power_of_a_store_on_ext4_is_cut_in_its_first_seconds() {
    (0..cuts()).for_each(|_| young_store(Kind::Ext4));
}

#[test]
fn what_was_said_holds_when_the_power_of_a_store_on_xfs_is_cut_in_its_first_seconds() {
    (0..cuts()).for_each(|_| young_store(Kind::Xfs));
}
