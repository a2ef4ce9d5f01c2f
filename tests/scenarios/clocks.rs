//! Clocks that jump, and certificates whose time or place is wrong.

use std::fs;
use std::path::Path;

use dray_tests::clock::Clock;
use dray_tests::daemon::Daemon;
use dray_tests::load::Load;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;

use crate::{PATIENCE, arrives_whole, folder, soak, target_table};

const KEYS: u64 = 700;

/// A site whose two processes have a clock each.
fn start(folder: &Path, erp: &Target) -> (Site, [Clock; 2]) {
    let clocks = ["agent", "collector"].map(|whose| {
        let file = folder.join(format!("{whose}.clock"));
        Clock::new(file).expect("a clock")
    });
    let flows = [FlowSpec::movements("movements")];
    let targets = target_table("erp", &erp.url(), "");
    let mut site = Site::lay_out(folder, &flows, &targets).expect("a site");
    site.environment = clocks[1].environment();
    site.start_collector().expect("a collector");
    site.enrol().expect("enrolled");
    site.environment = clocks[0].environment();
    site.start_agent().expect("an agent");
    (site, clocks)
}

#[test]
fn clocks_that_jump_a_day_either_way_lose_and_double_nothing() {
    let rounds: u64 = if soak() { 20 } else { 2 };
    let folder = folder("clocks");
    let erp = Target::start(false).expect("a target");
    let (site, clocks) = start(folder.path(), &erp);
    let load = Load::new(site.drops("movements"), KEYS);
    load.during(&erp, || {
        for _ in 0..rounds {
            for days in [1, -1, 0] {
                for clock in &clocks {
                    clock.set_days(days).expect("it is set");
                    let before = erp.events();
                    let goes_on = erp.wait(PATIENCE, |events| events >= before + 2_000);
                    assert!(goes_on, "stuck at {before} events, {days} days off");
                }
            }
        }
    });
    arrives_whole(&site, &erp, load.sent(), "jumping clocks");
    // Restarted with a clock that is behind everything that was kept.
    let mut site = site;
    clocks[0].set_days(-1).expect("it is set");
    site.agent.as_mut().expect("it runs").kill().expect("dead");
    site.start_agent().expect("an agent");
    let before = erp.events();
    load.during(&erp, || {
        assert!(erp.wait(PATIENCE, |events| events >= before + 2_000));
    });
    arrives_whole(&site, &erp, load.sent(), "a clock behind its buffer");
}

fn told(daemon: Option<&Daemon>, words: &str) {
    let line = daemon.expect("it runs").wait_log(words);
    println!("{}", line.expect("it is told"));
}

#[test]
fn a_certificate_that_has_ended_is_told_in_one_sentence_on_both_sides() {
    let folder = folder("ended");
    let erp = Target::start(false).expect("a target");
    let (mut site, clocks) = start(folder.path(), &erp);
    told(site.agent.as_ref(), "\"connected\"");
    // The agent is cut off for longer than its certificate is good for.
    site.collector = None;
    for clock in &clocks {
        clock.set_days(91).expect("it is set");
    }
    site.environment = clocks[1].environment();
    site.start_collector().expect("a collector");
    told(
        site.agent.as_ref(),
        "this agent's certificate has ended: enrol anew with a new token",
    );
    told(
        site.collector.as_ref(),
        "its certificate has ended: enrol it anew",
    );
    // Started with it, it does not even dial.
    site.environment = clocks[0].environment();
    site.agent = None;
    site.start_agent().expect("an agent");
    told(site.agent.as_ref(), "and run \"dray-agent enroll TOKEN");
}

#[test]
fn a_certificate_of_another_collector_is_told_in_one_sentence_on_both_sides() {
    let folder = folder("elsewhere");
    let flows = [FlowSpec::movements("movements")];
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let [mut here, elsewhere] = ["here", "elsewhere"].map(|name| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        Site::start(&folder, &flows, &targets).expect("a site")
    });
    // The agent of here dials the collector of elsewhere.
    here.agent = None;
    let config = fs::read_to_string(here.agent_config()).expect("readable");
    let dialled = |site: &Site| format!("collector = \"127.0.0.1:{}\"", site.port);
    let config = config.replace(&dialled(&here), &dialled(&elsewhere));
    fs::write(here.agent_config(), config).expect("written");
    here.start_agent().expect("an agent");
    told(
        here.agent.as_ref(),
        "not from the CA that this agent trusts",
    );
    told(elsewhere.collector.as_ref(), "trusts another CA");
    // It trusts that collector, which does not know its certificate.
    here.agent = None;
    let identity = "agent/identity/identity.pem";
    let read =
        |site: &str| fs::read_to_string(folder.path().join(site).join(identity)).expect("readable");
    let (own, theirs) = (read("here"), read("elsewhere"));
    let authority = |text: &str| {
        let at = text.rfind("-----BEGIN CERTIFICATE").expect("a CA");
        (text[..at].to_owned(), text[at..].to_owned())
    };
    let mixed = authority(&own).0 + &authority(&theirs).1;
    fs::write(folder.path().join("here").join(identity), mixed).expect("written");
    here.start_agent().expect("an agent");
    told(
        here.agent.as_ref(),
        "it does not accept this agent's certificate",
    );
    told(
        elsewhere.collector.as_ref(),
        "its certificate is not of this collector's CA",
    );
}
