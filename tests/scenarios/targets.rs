//! Targets that are dead, slow, wrong or picky.

use std::time::{Duration, Instant};

use dray_tests::drops::{drop_file, movements};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::{Manner, Target};
use dray_tests::verdict::judge;

use crate::{PATIENCE, folder, soak, target_table};

fn numbers(from: u64, to: u64) -> impl Iterator<Item = String> {
    (from..to).map(|n| format!("MV{n:010}"))
}

#[test]
fn a_dead_target_does_not_delay_another() {
    let lines = if soak() { 500_000 } else { 20_000 };
    let took = |dead: bool| {
        let folder = folder("dead-target");
        let erp = Target::start(false).expect("a target");
        let mut targets = target_table("erp", &erp.url(), "");
        if dead {
            targets += &target_table("gone", "http://127.0.0.1:9/events", "");
        }
        let site = Site::start(folder.path(), &[FlowSpec::movements("movements")], &targets)
            .expect("a site");
        let began = Instant::now();
        let text = movements(0, lines, 5_000);
        drop_file(&site.drops("movements"), "all.txt", text.as_bytes()).expect("a drop");
        assert!(
            erp.wait(PATIENCE, |events| events >= lines),
            "{} of {lines} arrived",
            erp.events()
        );
        let took = began.elapsed();
        assert!(judge(numbers(0, lines), &erp.arrivals()).clean());
        took
    };
    let rounds = if soak() { 5 } else { 1 };
    let mut ratios: Vec<f64> = (0..rounds)
        .map(|_| took(true).as_secs_f64() / took(false).as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!(
        "beside a dead target it took {median:.3} of the time without one (median of {rounds})"
    );
    if soak() {
        assert!(
            median < 1.05,
            "a dead target delays another by {:.1} %",
            (median - 1.0) * 100.0
        );
    }
}

#[test]
fn one_rejected_key_holds_only_its_own_lane_until_it_is_retried() {
    let folder = folder("rejected-key");
    let erp = Target::start(false).expect("a target");
    let site = Site::start(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &erp.url(), ""),
    )
    .expect("a site");
    let bad = "SKU-0000007";
    erp.behave(Manner::RejectKey(bad.into()));
    // 5,000 lines over 100 keys: 50 of them belong to the rejected one.
    drop_file(
        &site.drops("movements"),
        "a.txt",
        movements(0, 5_000, 100).as_bytes(),
    )
    .expect("a drop");
    assert!(
        erp.wait(PATIENCE, |events| events >= 4_950),
        "{} of 4,950 arrived",
        erp.events()
    );
    let dead = wait_list(&site, 50);
    assert!(dead.contains("dead") && dead.contains("held"), "{dead}");
    assert!(erp.arrivals().iter().all(|arrival| arrival.key != bad));
    // Mended at the ERP: the dead one is retried and what waited behind it follows, in order.
    erp.behave(Manner::Accept);
    let id = dead
        .lines()
        .find(|line| line.contains(" dead "))
        .and_then(|line| line.split_whitespace().next())
        .expect("a line a dead letter, its id first");
    site.collector_command(&["dead-letters", "retry", id])
        .expect("a retry");
    assert!(
        erp.wait(PATIENCE, |events| events >= 5_000),
        "{} of 5,000 arrived",
        erp.events()
    );
    let verdict = judge(numbers(0, 5_000), &erp.arrivals());
    assert!(verdict.clean(), "{verdict}");
    wait_list(&site, 0);
}

/// `dead-letters list`, once it has so many lines with the flow's name.
fn wait_list(site: &Site, entries: usize) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let output = site
            .collector_command(&["dead-letters", "list"])
            .expect("a list");
        let list = String::from_utf8(output.stdout).expect("UTF-8");
        if list
            .lines()
            .filter(|line| line.contains("north/movements"))
            .count()
            == entries
        {
            return list;
        }
        assert!(
            Instant::now() < end,
            "{entries} entries were expected:\n{list}"
        );
    }
}

#[test]
fn a_target_that_misbehaves_gets_everything_once_it_behaves() {
    for manner in [
        Manner::Unavailable,
        Manner::Hang,
        Manner::SlowBody,
        Manner::Garbage,
        Manner::Reset,
    ] {
        let folder = folder("manners");
        let erp = Target::start(false).expect("a target");
        erp.behave(manner.clone());
        let quick = "timeout = \"1s\"\n[target.retry]\nfirst = \"50ms\"\nmax = \"200ms\"\n";
        let site = Site::start(
            folder.path(),
            &[FlowSpec::movements("movements")],
            &target_table("erp", &erp.url(), quick),
        )
        .expect("a site");
        drop_file(
            &site.drops("movements"),
            "a.txt",
            movements(0, 2_000, 100).as_bytes(),
        )
        .expect("a drop");
        assert!(
            erp.wait_requests(PATIENCE, 2),
            "{manner:?}: it is not tried again"
        );
        erp.behave(Manner::Accept);
        assert!(
            erp.wait(PATIENCE, |events| events >= 2_000),
            "{manner:?}: {} of 2,000 arrived",
            erp.events()
        );
        let verdict = judge(numbers(0, 2_000), &erp.arrivals());
        assert!(verdict.clean(), "{manner:?}: {verdict}");
    }
}

#[test]
fn a_target_that_redirects_is_paused_with_a_sentence_and_resumes() {
    let folder = folder("redirect");
    let erp = Target::start(false).expect("a target");
    erp.behave(Manner::Redirect);
    let site = Site::start(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &erp.url(), ""),
    )
    .expect("a site");
    drop_file(
        &site.drops("movements"),
        "a.txt",
        movements(0, 100, 10).as_bytes(),
    )
    .expect("a drop");
    let end = Instant::now() + PATIENCE;
    loop {
        let output = site.collector_command(&["status"]).expect("status");
        let status = String::from_utf8(output.stdout).expect("UTF-8");
        if status.contains("paused") {
            assert!(
                status.contains("302") || status.contains("redirect"),
                "{status}"
            );
            break;
        }
        assert!(Instant::now() < end, "{status}");
    }
    erp.behave(Manner::Accept);
    site.collector_command(&["target", "resume", "erp"])
        .expect("a resume");
    assert!(
        erp.wait(PATIENCE, |events| events >= 100),
        "{} of 100 arrived",
        erp.events()
    );
}

#[test]
fn a_target_that_comes_back_gets_its_first_event_at_once() {
    let folder = folder("comes-back");
    let address = {
        let probe = Target::start(false).expect("a target");
        probe.address()
    };
    let site = Site::start(
        folder.path(),
        &[FlowSpec::movements("movements")],
        &target_table("erp", &format!("http://{address}/events"), ""),
    )
    .expect("a site");
    drop_file(
        &site.drops("movements"),
        "a.txt",
        movements(0, 3_000, 100).as_bytes(),
    )
    .expect("a drop");
    site.collector
        .as_ref()
        .expect("it runs")
        .wait_log("refuse")
        .expect("the refusal is logged");
    let began = Instant::now();
    let erp = Target::start_at(address, false).expect("the same address");
    assert!(erp.wait(PATIENCE, |events| events > 0));
    println!(
        "first event {:?} after the target was back",
        began.elapsed()
    );
    assert!(erp.wait(PATIENCE, |events| events >= 3_000));
    assert!(judge(numbers(0, 3_000), &erp.arrivals()).clean());
    assert!(began.elapsed() < Duration::from_secs(60));
}
