//! What the system calls of a site must show: nothing is promised before the sync that the promise rests on.

use std::collections::HashSet;
use std::path::Path;

use dray_tests::drops::{drop_file, movements, now_us};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::trace::{Call, Trace, calls};
use crate::{PATIENCE, folder, target_table};

/// Files that are traced, each carried before the next is dropped.
const FILES: u64 = 4;
const LINES: u64 = 300;
/// Generations and log files that are begun while it is traced.
const SMALL_FILES: [(&str, &str); 2] = [
    ("DRAY_GENERATION_BYTES", "16384"),
    ("DRAY_LOG_FILE_BYTES", "200000"),
];

/// Carries a few files under strace; what the calls show to be wrong. `plant`: the bug that both daemons have.
pub(crate) fn audit(plant: Option<&str>) -> Vec<String> {
    let folder = folder("audit");
    let erp = Target::start(false).expect("a target");
    let flows = [FlowSpec::movements("movements")];
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::lay_out(folder.path(), &flows, &targets).expect("a folder");
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let planted = plant.map(|plant| ("DRAY_PLANT", plant));
    site.environment = SMALL_FILES.into_iter().chain(planted).map(owned).collect();
    site.start_collector().expect("a collector");
    site.enrol().expect("an identity");
    site.start_agent().expect("an agent");
    carry(&site, &erp, 0);
    let daemons = [&site.agent, &site.collector];
    let written = ["agent", "collector"].map(|name| folder.path().join(format!("{name}.strace")));
    let attached = daemons.iter().zip(&written);
    let traces: Vec<Trace> = attached
        .map(|(daemon, to)| Trace::watch(daemon.as_ref().expect("it runs"), to))
        .collect();
    let began: Vec<f64> = (1..=FILES)
        .map(|file| {
            let began = now_us() as f64 / 1e6;
            carry(&site, &erp, file);
            began
        })
        .collect();
    traces.into_iter().for_each(Trace::detach);
    let [agent, collector] = written.map(|trace| calls(&trace));
    let mut faults = Vec::new();
    faults.extend(moves_rest_on_syncs(&began, &agent));
    faults.extend(acks_rest_on_syncs(&began, &agent, &collector));
    faults.extend(generations_last(&agent));
    faults.extend(log_files_last(&agent, &collector));
    faults
}

fn carry(site: &Site, erp: &Target, file: u64) {
    let drops = site.drops("movements");
    let text = movements(file * LINES, LINES, 10);
    drop_file(&drops, &name(file), text.as_bytes()).expect("a drop");
    let all = (file + 1) * LINES;
    assert!(
        erp.wait(PATIENCE, |events| events >= all),
        "the chain does not run"
    );
    crate::wait("the file is archived", || {
        drops.join("archive").join(name(file)).is_file()
    });
}

fn name(file: u64) -> String {
    format!("{file:04}.txt")
}

/// When each traced file was moved to one of these folders for the first time.
fn moves<'a>(agent: &'a [Call], folders: &[&str]) -> Vec<&'a Call> {
    let mut names = HashSet::new();
    let into = |call: &&Call| {
        let to = call.renamed_to().map(Path::new);
        to.is_some_and(|to| {
            let is_in = |folder: &&str| to.parent().is_some_and(|parent| parent.ends_with(folder));
            folders.iter().any(is_in)
                && to.extension().is_some_and(|extension| extension == "txt")
                && to
                    .file_name()
                    .is_some_and(|name| names.insert(name.to_owned()))
        })
    };
    agent.iter().filter(into).collect()
}

/// Between a file's drop and what is promised of it, such a file is written and, after its last write, synced.
fn synced_before(
    began: &[f64],
    promises: &[&Call],
    calls: &[Call],
    what: &str,
    is_it: impl Fn(&str) -> bool,
) -> Vec<String> {
    if promises.len() != began.len() {
        return vec![format!(
            "{what}: {} of {} files were seen",
            promises.len(),
            began.len()
        )];
    }
    let fault = |(began, promise): (&f64, &&Call)| {
        let within = |call: &&Call| call.began > *began && call.ended < promise.began;
        let of = |call: &&Call| call.is_write() && is_it(call.path());
        let Some(written) = calls.iter().filter(within).rfind(of) else {
            return Some(format!("{what} before it was written"));
        };
        let is_synced = |call: &Call| {
            call.is_sync() && call.path() == written.path() && call.began >= written.ended
        };
        let synced = calls.iter().filter(within).any(is_synced);
        (!synced).then(|| format!("{what} without a sync of {}", written.path()))
    };
    began.iter().zip(promises).filter_map(fault).collect()
}

fn moves_rest_on_syncs(began: &[f64], agent: &[Call]) -> Vec<String> {
    // Not that of a generation that is made ahead: nothing was ever appended to it.
    let is_database = |path: &str| path.contains("/buffer/g-") && path.ends_with("/db");
    synced_before(
        began,
        // A file that is acked by then skips the first.
        &moves(agent, &["archive/pending", "archive"]),
        agent,
        "a file was moved",
        is_database,
    )
}

/// The agent moves a file to the archive once it hears of the ack.
fn acks_rest_on_syncs(began: &[f64], agent: &[Call], collector: &[Call]) -> Vec<String> {
    let is_log = |path: &str| path.contains("/log/log-") && path.ends_with("-wal");
    synced_before(
        began,
        &moves(agent, &["archive"]),
        collector,
        "a file was acked",
        is_log,
    )
}

/// A new name lasts before anything is promised that rests on it.
fn lasts(made: &Call, calls: &[Call], promises: &[&Call], folder: &str) -> Option<String> {
    let promise = promises.iter().find(|promise| promise.began > made.ended)?;
    let synced = calls.iter().any(|call| {
        call.is_sync()
            && call.path().ends_with(folder)
            && call.began >= made.ended
            && call.ended <= promise.began
    });
    (!synced).then(|| format!("{folder} was not synced after {}", made.text))
}

fn generations_last(agent: &[Call]) -> Vec<String> {
    let promises = moves(agent, &["archive/pending", "archive"]);
    let is_generation = |call: &&Call| {
        let parts = call.renamed_to().and_then(|to| to.rsplit_once('/'));
        parts.is_some_and(|(folder, name)| folder.ends_with("/buffer") && name.starts_with("g-"))
    };
    let made: Vec<&Call> = agent.iter().filter(is_generation).collect();
    if made.is_empty() {
        return vec!["no generation was begun".into()];
    }
    made.iter()
        .filter_map(|made| lasts(made, agent, &promises, "/buffer"))
        .collect()
}

fn log_files_last(agent: &[Call], collector: &[Call]) -> Vec<String> {
    let promises = moves(agent, &["archive"]);
    let made: Vec<&Call> = collector
        .iter()
        .filter(|call| {
            let opened = call.text.split('"').nth(1).unwrap_or_default();
            call.is(&["openat"])
                && opened.contains("/log/log-")
                && opened.ends_with(".db")
                && call.text.contains("O_CREAT")
        })
        .collect();
    if made.is_empty() {
        return vec!["no log file was begun".into()];
    }
    made.iter()
        .filter_map(|made| lasts(made, collector, &promises, "/log"))
        .collect()
}

#[test]
fn a_log_file_whose_folder_is_not_synced_before_the_ack_is_a_fault() {
    let call = |began: f64, text: &str| Call {
        began,
        ended: began + 0.1,
        text: text.to_owned(),
    };
    let made = call(
        1.0,
        "openat(AT_FDCWD, \"/c/log/log-0000000002.db\", O_RDWR|O_CREAT)",
    );
    let acked = [call(
        3.0,
        "rename(\"/d/archive/pending/1.txt\", \"/d/archive/1.txt\")",
    )];
    let check = |synced: &str, at: f64, faults: usize| {
        let collector = [made.clone(), call(at, synced)];
        assert_eq!(
            log_files_last(&acked, &collector).len(),
            faults,
            "{synced} at {at}"
        );
    };
    check("fsync(7</c/log>)", 2.0, 0);
    check("fsync(7</c/log>)", 0.5, 1);
    check("fsync(7</c/log>)", 3.5, 1);
    check("fsync(7</c>)", 2.0, 1);
}
