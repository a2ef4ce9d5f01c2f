//! Scenarios: real processes, killed and cut off, and then nothing lost, doubled or out of order.
//!
//! `DRAY_SOAK=1` makes the counts long; without it they fit into a build.

mod again;
mod arrows;
mod audit;
mod cap_items;
mod changes;
mod clocks;
mod commands;
mod crowd;
mod damage;
mod deaths;
mod dying;
mod edges;
mod families;
mod full;
mod holding;
mod kills;
mod large;
mod logs;
mod mariadb;
mod mariadb_refused;
mod mariadb_reports;
mod modes;
mod network;
mod newcomer;
mod odata;
mod odata_faults;
mod odd_positions;
mod odd_values;
mod phases;
mod pins;
mod planted;
mod polling;
mod postgres;
mod postgres_failover;
mod postgres_gaps;
mod postgres_kept;
mod postgres_newest;
mod postgres_published;
mod postgres_reports;
mod postgres_rows;
mod postgres_set_back;
mod postgres_stopped;
mod power;
mod replaying;
mod restored;
mod signing_in;
mod soap;
mod soap_items;
mod soap_secured;
mod syncs;
mod targets;
mod trace;
mod tryton;
mod whole;
mod young;

use std::path::Path;
use std::time::{Duration, Instant};

use dray_tests::site::Site;
use dray_tests::target::Target;
use dray_tests::verdict::{Verdict, judge};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// How long a scenario waits for what should take seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the long counts were asked for.
fn soak() -> bool {
    std::env::var_os("DRAY_SOAK").is_some()
}

/// Waits for something that only the file system tells.
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// kill -9 of the agent, in so many of all cases, or else of the collector; it is started again.
fn kill_one(site: &mut Site, agents: f64) {
    if rand::random_bool(agents) {
        let agent = site.agent.as_mut().expect("it runs");
        agent.kill().expect("a kill");
        site.start_agent().expect("an agent");
    } else {
        let collector = site.collector.as_mut().expect("it runs");
        collector.kill().expect("a kill");
        site.start_collector().expect("a collector");
    }
}

/// A target's table for a collector's configuration.
fn target_table(name: &str, url: &str, more: &str) -> String {
    format!(
        "\n[[target]]\nname = \"{name}\"\nurl = \"{url}\"\nbatch = 200\nconcurrency = 4\n{more}\n"
    )
}

/// A certificate for `localhost` with its key (`server.pem`, `key.pem`), that of the authority that signed it (`ca.pem`), and one of another
/// (`other.pem`).
fn certificates(folder: &Path) {
    let authority = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        CertifiedIssuer::self_signed(parameters, key).expect("a certificate")
    };
    let (signer, other) = (authority("signer"), authority("other"));
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = parameters.signed_by(&key, &signer).expect("it is signed");
    for (name, pem) in [
        ("ca.pem", signer.pem()),
        ("other.pem", other.pem()),
        ("server.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), pem).expect("a file");
    }
}

/// The agent never held more than 128 MiB.
fn is_small(site: &Site) {
    let agent = site.agent.as_ref().expect("it runs");
    let peak_mib = agent.usage().expect("it runs").peak_bytes >> 20;
    assert!(peak_mib <= 128, "it held {peak_mib} MiB");
}

/// A folder of its own; `DRAY_KEEP` keeps it.
fn folder(name: &str) -> tempfile::TempDir {
    let mut folder = tempfile::Builder::new()
        .prefix(&format!("dray-{name}-"))
        .tempdir()
        .expect("a temporary folder");
    folder.disable_cleanup(std::env::var_os("DRAY_KEEP").is_some());
    folder
}

/// The numbers of the first so many movements.
fn numbers(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("MV{n:010}"))
}

/// Waits until all that was sent has arrived, and judges it.
fn all_arrive(erp: &Target, sent: u64) -> Verdict {
    let numbers: Vec<String> = numbers(sent).collect();
    all_of_these_arrive(erp, &numbers)
}

fn all_of_these_arrive(erp: &Target, numbers: &[String]) -> Verdict {
    let mut wanted = numbers.len() as u64;
    loop {
        let in_time = erp.wait(PATIENCE, |events| events >= wanted);
        // Counted before the arrivals are looked at: what comes in between must not be waited for.
        let events = erp.events();
        let verdict = judge(numbers.iter().cloned(), &erp.arrivals());
        assert!(in_time, "{events} events came, and no more: {verdict}");
        if verdict.lost == 0 {
            return verdict;
        }
        wanted = events + 1;
    }
}

/// Waits until movements 0 to `sent` have arrived, and judges the target and the log: once each and in order.
fn arrives_whole(site: &Site, erp: &Target, sent: u64, after: &str) {
    let numbers: Vec<String> = numbers(sent).collect();
    these_arrive_whole(site, erp, &numbers, after);
}

/// The same for movements of these numbers.
fn these_arrive_whole(site: &Site, erp: &Target, numbers: &[String], after: &str) {
    let verdict = all_of_these_arrive(erp, numbers);
    println!("{after}, target: {verdict}");
    let in_log = judge(
        numbers.iter().cloned(),
        &site.log_arrivals().expect("the log"),
    );
    println!("{after}, log: {in_log}");
    assert!(
        in_log.clean() && in_log.repeats == 0,
        "in the log: {in_log}"
    );
    assert!(verdict.clean(), "at the target: {verdict}");
}
