//! Power cuts: a disk dies at a random moment under load, and comes back with what was synced.

use std::path::Path;
use std::time::Duration;

use dray_tests::daemon::Daemon;
use dray_tests::disk::{Disk, Kind};
use dray_tests::frozen::Frozen;
use dray_tests::load::Load;
use dray_tests::places::Places;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use rand::RngExt as _;

use crate::{PATIENCE, arrives_whole, folder, soak, target_table};

/// Sparse, and no smaller than XFS wants it.
pub(crate) const DISK_MIB: u64 = 1024;
pub(crate) const KEYS: u64 = 70;
/// Events between two cuts, at most, and a little more.
const EVENTS_MAX: u64 = 3_000;
const MORE_MS_MAX: u64 = 300;

/// Whose disk is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    /// Its data and the folders where files are dropped.
    Agent,
    Collector,
}

pub(crate) fn cuts() -> u64 {
    if soak() { 50 } else { 5 }
}

/// A site with one side on the disk; nothing is started.
pub(crate) fn lay_out(folder: &Path, disk: &Disk, side: Side, erp: &Target) -> Site {
    let (on, off) = (Places::in_folder(disk.path()), Places::in_folder(folder));
    let places = match side {
        Side::Agent => Places {
            collector: off.collector,
            ..on
        },
        Side::Collector => Places {
            collector: on.collector,
            ..off
        },
    };
    let mut flow = FlowSpec::movements("movements");
    // Files are renamed into the folder: one that is there at a start is complete.
    flow.source += "quiet = \"10ms\"\n";
    let targets = target_table("erp", &erp.url(), "");
    Site::lay_out_at(folder, places, &[flow], &targets).expect("a site")
}

pub(crate) fn kill(daemon: &mut Option<Daemon>) {
    if let Some(mut daemon) = daemon.take() {
        daemon.kill().expect("a kill");
    }
}

/// Cuts the disk, kills who stands on it, and starts it again.
pub(crate) fn cut(site: &mut Site, disk: &Disk, side: Side) {
    let (config, daemon) = match side {
        Side::Agent => (site.agent_config(), &mut site.agent),
        Side::Collector => (site.collector_config(), &mut site.collector),
    };
    let frozen = Frozen::all_of(&config).expect("it stops");
    disk.cut().expect("a cut");
    drop(frozen);
    kill(daemon);
    disk.remount().expect("the disk comes back");
    match side {
        Side::Agent => site.start_agent().expect("an agent"),
        Side::Collector => {
            site.start_collector().expect("a collector");
            // One that stays up waits longer after each cut; a killed one comes back at once.
            if rand::rng().random_bool(0.5) {
                kill(&mut site.agent);
                site.start_agent().expect("an agent");
            }
        }
    }
}

fn cuts_under_load(side: Side, kind: Kind) {
    let folder = folder("power");
    let disk = Disk::new(folder.path(), kind, DISK_MIB).expect("a disk");
    let erp = Target::start(false).expect("a target");
    let mut site = lay_out(folder.path(), &disk, side, &erp)
        .begin()
        .expect("a site");
    let load = Load::new(site.drops("movements"), KEYS);
    load.during(&erp, || {
        for number in 0..cuts() {
            let reached = erp.events() + rand::rng().random_range(1..EVENTS_MAX);
            assert!(
                erp.wait(PATIENCE, |events| events >= reached),
                "stuck before cut {number}"
            );
            let more = rand::rng().random_range(0..MORE_MS_MAX);
            std::thread::park_timeout(Duration::from_millis(more));
            cut(&mut site, &disk, side);
        }
    });
    let what = format!("{} cuts of the {side:?}'s {kind:?}", cuts());
    arrives_whole(&site, &erp, load.sent(), &what);
}

#[test]
fn nothing_is_lost_when_the_power_of_an_agent_on_ext4_is_cut() {
    cuts_under_load(Side::Agent, Kind::Ext4);
}

#[test]
fn nothing_is_lost_when_the_power_of_an_agent_on_xfs_is_cut() {
    cuts_under_load(Side::Agent, Kind::Xfs);
}

#[test]
fn nothing_is_lost_when_the_power_of_a_collector_on_ext4_is_cut() {
    cuts_under_load(Side::Collector, Kind::Ext4);
}

#[test]
fn nothing_is_lost_when_the_power_of_a_collector_on_xfs_is_cut() {
    cuts_under_load(Side::Collector, Kind::Xfs);
}
