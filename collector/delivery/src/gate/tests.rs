use super::*;

fn gate() -> (Gate, Instant) {
    let retry = Retry {
        first: Duration::from_millis(500),
        max: Duration::from_secs(3),
    };
    (Gate::new(&retry, &BreakerConfig::default()), Instant::now())
}

#[test]
fn requests_that_fail_together_are_one_failure() {
    let (mut gate, now) = gate();
    let eras: Vec<_> = (0..4).map(|_| gate.sent()).collect();
    for era in &eras {
        gate.failed(*era, now, 1.0, "500");
    }
    assert_eq!(gate.deadline(), Some(now + Duration::from_millis(500)));
    gate.answered(eras[0]);
    assert!(!gate.is_open(), "an older answer doesn't end the wait");
}

#[test]
fn waits_double_up_to_the_bound_and_begin_anew_after_a_success() {
    let (mut gate, mut now) = gate();
    for expected in [500, 1_000, 2_000, 3_000, 3_000] {
        let era = gate.sent();
        gate.failed(era, now, 1.0, "500");
        assert_eq!(gate.deadline(), Some(now + Duration::from_millis(expected)));
        now += Duration::from_millis(expected - 1);
        gate.tick(now);
        assert!(!gate.is_open());
        now += Duration::from_millis(1);
        gate.tick(now);
        assert!(gate.is_open());
    }
    let era = gate.sent();
    assert!(!gate.is_open(), "one at a time until it answers");
    gate.answered(era);
    assert!(gate.is_open());
    let era = gate.sent();
    gate.failed(era, now, 0.5, "500");
    assert_eq!(gate.deadline(), Some(now + Duration::from_millis(250)));
}

#[test]
fn a_throttle_waits_as_asked_and_uses_no_attempt() {
    let (mut gate, now) = gate();
    let era = gate.sent();
    gate.throttled(now, Duration::from_secs(7), "429");
    gate.throttled(now, Duration::from_secs(5), "429");
    assert_eq!(gate.deadline(), Some(now + Duration::from_secs(7)));
    gate.failed(era, now, 1.0, "500");
    assert_eq!(gate.deadline(), Some(now + Duration::from_secs(7)));
    gate.tick(now + Duration::from_secs(7));
    let era = gate.sent();
    gate.failed(era, now, 1.0, "500");
    assert_eq!(gate.deadline(), Some(now + Duration::from_millis(500)));
}

#[test]
fn a_refusal_waits_for_a_knock_that_opens() {
    let (mut gate, now) = gate();
    let era = gate.sent();
    assert!(gate.refused(era, now, "nobody listens"));
    assert!(
        !gate.refused(era, now, "nobody listens"),
        "one knocks, not four"
    );
    assert_eq!(gate.shown(), Shown::Waiting("nobody listens".into()));
    gate.reached(false, now, 1.0);
    assert!(gate.is_open());
    let era = gate.sent();
    assert!(!gate.refused(era, now, "TLS"), "it is open already");
    gate.reached(true, now, 1.0);
    assert_eq!(gate.deadline(), Some(now + Duration::from_millis(500)));
}

#[test]
fn a_pause_lasts_until_it_is_resumed() {
    let (mut gate, now) = gate();
    let era = gate.sent();
    gate.pause("404");
    gate.answered(era);
    gate.failed(era, now, 1.0, "500");
    gate.throttled(now, Duration::ZERO, "429");
    gate.tick(now + Duration::from_secs(100));
    assert_eq!(gate.shown(), Shown::Paused("404".into()));
    gate.resume();
    assert!(gate.is_open());
    let era = gate.sent();
    gate.unsent(era);
    assert!(
        gate.is_open(),
        "nothing left, so the trial is still to come"
    );
}

fn fail(gate: &mut Gate, now: Instant) -> (bool, Duration) {
    let era = gate.sent();
    let opened = gate.failed(era, now, 1.0, "500");
    let deadline = gate.deadline().expect("a wait");
    gate.tick(deadline);
    (opened, deadline - now)
}

#[test]
fn a_breaker_opens_after_failures_in_a_row_and_heals_with_what_is_taken() {
    let (mut gate, now) = gate();
    for _ in 0..4 {
        assert!(!fail(&mut gate, now).0);
    }
    let era = gate.sent();
    assert_eq!(gate.answered(era), None, "nothing was broken");
    let opened: Vec<_> = (0..7).map(|_| fail(&mut gate, now).0).collect();
    assert_eq!(opened, [false, false, false, false, true, false, false]);
    let broken = gate.broken().expect("it is open");
    assert_eq!((broken.cause, broken.probes), (Cause::Failures(5), 2));
    assert_eq!(
        gate.shown(),
        Shown::Waiting("500".into()),
        "also while it is tried"
    );
    let era = gate.sent();
    assert!(!gate.is_open(), "one at a time");
    let healed = gate.taken(era).expect("it was broken");
    assert_eq!(healed.since, now);
    assert_eq!((gate.broken(), gate.shown()), (None, Shown::Running));
    assert_eq!(
        fail(&mut gate, now).1,
        Duration::from_millis(500),
        "as at first"
    );
}

#[test]
fn who_does_not_know_us_is_asked_seldom_and_ever_more_seldom() {
    let retry = Retry {
        first: Duration::from_millis(500),
        max: Duration::from_secs(60),
    };
    let breaker = BreakerConfig {
        probe_max: Duration::from_secs(900),
        ..BreakerConfig::default()
    };
    let (mut gate, now) = (Gate::new(&retry, &breaker), Instant::now());
    let mut waits = Vec::new();
    for n in 0..7 {
        let era = gate.sent();
        assert_eq!(gate.unknown_to(era, now, 1.0, "401"), n == 0);
        let deadline = gate.deadline().expect("a wait");
        waits.push((deadline - now).as_secs());
        gate.tick(deadline);
    }
    assert_eq!(waits, [60, 120, 240, 480, 900, 900, 900]);
    gate.resume();
    let era = gate.sent();
    assert!(gate.taken(era).is_some());
}

#[test]
fn events_refused_in_a_row_open_it_and_only_one_that_is_taken_closes_it() {
    let (mut gate, now) = gate();
    let reject = |gate: &mut Gate| {
        let era = gate.sent();
        gate.answered(era);
        gate.rejected(now, 0.0, "422")
    };
    for _ in 0..99 {
        assert!(!reject(&mut gate));
    }
    let era = gate.sent();
    gate.taken(era);
    let opened: Vec<_> = (0..100).map(|_| reject(&mut gate)).collect();
    assert_eq!(opened.iter().position(|opened| *opened), Some(99));
    assert!(!gate.is_open());
    gate.tick(gate.deadline().expect("a wait"));
    assert!(!reject(&mut gate), "it is open already");
    assert!(!gate.is_open(), "that it answers is not enough");
    gate.tick(gate.deadline().expect("a wait"));
    let era = gate.sent();
    assert!(gate.taken(era).is_some());
    assert!(gate.is_open());
}

#[test]
fn an_operators_pause_ends_a_breaker() {
    let (mut gate, now) = gate();
    let era = gate.sent();
    gate.unknown_to(era, now, 1.0, "401");
    gate.pause("for the night");
    assert_eq!(gate.broken(), None);
    assert_eq!(gate.shown(), Shown::Paused("for the night".into()));
}

#[test]
fn what_is_not_decided_closes_no_breaker_that_refusals_opened_and_any_other() {
    let (mut gate, mut now) = gate();
    for _ in 0..99 {
        gate.rejected(now, 1.0, "422");
    }
    let era = gate.sent();
    assert_eq!(gate.undecided(era, now, 1.0), None);
    assert!(gate.is_open(), "nothing was broken");
    assert!(gate.rejected(now, 1.0, "422"), "it was not taken either");
    for fraction in [0.0, 1.0] {
        now = gate.deadline().expect("a wait");
        gate.tick(now);
        let era = gate.sent();
        assert_eq!(gate.undecided(era, now, fraction), None);
        let wait = Duration::from_secs(3).mul_f64(0.5 + fraction / 2.0);
        assert_eq!(gate.deadline(), Some(now + wait));
        assert_eq!(gate.shown(), Shown::Waiting("422".into()));
        assert_eq!(
            gate.undecided(era, now, fraction),
            None,
            "of an earlier era"
        );
    }
    now = gate.deadline().expect("a wait");
    gate.tick(now);
    let era = gate.sent();
    let healed = gate.taken(era).expect("it is taken");
    assert_eq!((healed.cause, gate.is_open()), (Cause::Rejects(100), true));

    for _ in 0..5 {
        fail(&mut gate, now);
    }
    let era = gate.sent();
    let healed = gate.undecided(era, now, 1.0).expect("it answers");
    assert_eq!((healed.cause, gate.is_open()), (Cause::Failures(5), true));
}
