//! `replay plan|edit|list|show|approve|pause|resume|cancel`.

use dray_proto::shown::{line, lines};
use dray_proto::v1::replay_act_request::Act;
use dray_proto::v1::{
    PlanReplayRequest, ReplayActRequest, ReplayChange, ReplayEntry, ReplaysRequest,
};

use super::client::{connect, said};
use super::out::say;
use super::show::{table, time_us};
use crate::cli::{How, PlanArgs, Replay};
use crate::config::Config;
use crate::failure::Failure;

pub(super) async fn run(config: &Config, command: Replay) -> Result<(), Failure> {
    match command {
        Replay::Plan(arguments) => plan(config, filter(arguments)).await,
        Replay::Edit(arguments) => {
            let change = |(field, value)| ReplayChange { field, value };
            let request = PlanReplayRequest {
                edit: arguments.id,
                changes: arguments.changes.into_iter().map(change).collect(),
                ..how(&arguments.how)
            };
            plan(config, request).await
        }
        Replay::List { target, limit } => list(config, target.unwrap_or_default(), limit).await,
        Replay::Show { id } => {
            let request = ReplaysRequest {
                id,
                ..ReplaysRequest::default()
            };
            let answer = connect(config).await?.replays(request).await;
            let replays = answer.map_err(said)?.into_inner().replays;
            replays.iter().for_each(show);
            Ok(())
        }
        Replay::Approve { id, hash } => act(config, Act::Approve, id, hash).await,
        Replay::Pause { id } => act(config, Act::Pause, id, String::new()).await,
        Replay::Resume { id } => act(config, Act::Resume, id, String::new()).await,
        Replay::Cancel { id } => act(config, Act::Cancel, id, String::new()).await,
    }
}

fn how(how: &How) -> PlanReplayRequest {
    PlanReplayRequest {
        older: how.older,
        rate: how.rate,
        // What is shorter than a second is none.
        expires_s: how.expires.as_secs().max(1),
        ..PlanReplayRequest::default()
    }
}

fn filter(arguments: PlanArgs) -> PlanReplayRequest {
    let micros = |time: Option<jiff::Timestamp>| time.map_or(0, jiff::Timestamp::as_microsecond);
    PlanReplayRequest {
        target: arguments.target,
        flows: arguments.flows,
        bodies: arguments.bodies,
        keys: arguments.keys,
        from_offset: arguments.from,
        to_offset: arguments.to,
        since_us: micros(arguments.since),
        until_us: micros(arguments.until),
        dead_letters: arguments.dead_letters,
        ..how(&arguments.how)
    }
}

async fn plan(config: &Config, request: PlanReplayRequest) -> Result<(), Failure> {
    let answer = connect(config).await?.plan_replay(request).await;
    let planned = answer.map_err(said)?.into_inner();
    show(&planned);
    say!(
        "\nNothing is sent yet. Somebody else approves it until {}:\n  dray-collector replay approve {} {}",
        time_us(planned.expires_us),
        planned.id,
        &planned.hash[..planned.hash.len().min(16)]
    );
    Ok(())
}

async fn act(config: &Config, act: Act, id: u64, hash: String) -> Result<(), Failure> {
    let request = ReplayActRequest {
        act: act as i32,
        id,
        hash,
    };
    let answer = connect(config).await?.replay_act(request).await;
    say!("{}", lines(&answer.map_err(said)?.into_inner().said));
    Ok(())
}

async fn list(config: &Config, target: String, limit: u32) -> Result<(), Failure> {
    let request = ReplaysRequest {
        target,
        limit,
        ..ReplaysRequest::default()
    };
    let answer = connect(config).await?.replays(request).await;
    let replays = answer.map_err(said)?.into_inner().replays;
    if replays.is_empty() {
        say!("No replays.");
        return Ok(());
    }
    let row = |one: &ReplayEntry| {
        vec![
            one.id.to_string(),
            one.state.clone(),
            one.target.clone(),
            one.events.to_string(),
            settled(one).to_string(),
            one.planned_by.clone(),
            time_us(one.at_us),
            one.approved_by.clone(),
        ]
    };
    let rows: Vec<_> = replays.iter().map(row).collect();
    let head = [
        "ID",
        "STATE",
        "TARGET",
        "EVENTS",
        "SETTLED",
        "PLANNED BY",
        "AT",
        "APPROVED BY",
    ];
    say!("{}", table(&head, &rows));
    Ok(())
}

fn settled(one: &ReplayEntry) -> u64 {
    one.delivered + one.accepted + one.refused + one.overtaken + one.held + one.gone
}

fn show(one: &ReplayEntry) {
    say!("replay   {} ({})", one.id, one.state);
    say!(
        "target   {}, {} events a second at most",
        one.target,
        one.rate
    );
    say!("planned  by {}, {}", one.planned_by, time_us(one.at_us));
    match one.approved_by.as_str() {
        "" => say!("expires  {}", time_us(one.expires_us)),
        by => say!("approved by {by}, {}", time_us(one.approved_us)),
    }
    if one.ended_us > 0 {
        say!("ended    {}", time_us(one.ended_us));
    }
    say!("hash     {}", one.hash);
    let what = if one.dead_letters {
        "dead letters"
    } else {
        "events"
    };
    say!("sends    {} {what} of {} keys", one.events, one.keys);
    if one.unsent > 0 {
        say!(
            "         {} of them for the first time: never sent, as they passed by while their flow was off, in shadow or rolled back",
            one.unsent
        );
    }
    let rows: Vec<_> = one
        .flows
        .iter()
        .map(|flow| {
            let numbers = [flow.first, flow.last, flow.events].map(|number| number.to_string());
            [vec![flow.flow.clone()], numbers.to_vec()].concat()
        })
        .collect();
    say!("\n{}", table(&["FLOW", "FIRST", "LAST", "EVENTS"], &rows));
    show_newer(one);
    for (count, why) in [
        (one.waiting, "are not delivered yet, and will be"),
        (one.exceptions, "are dead letters, or wait behind one"),
        (one.lost, "cannot be read, or are gone from the log"),
    ] {
        if count > 0 {
            say!("left out: {count} that {why}");
        }
    }
    if one.edits > 0 {
        let changes: Vec<_> = one.changes.iter().map(|change| line(change)).collect();
        say!(
            "\ndead letter {} is sent with {}",
            one.edits,
            changes.join(", ")
        );
        for (title, json) in [("before", &one.before_json), ("after", &one.after_json)] {
            let json: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
            let pretty = serde_json::to_string_pretty(&json["data"]).unwrap_or_default();
            say!("{title}: {}", lines(&pretty));
        }
    }
    if !one.approved_by.is_empty() {
        show_progress(one);
    }
}

fn show_newer(one: &ReplayEntry) {
    if one.newer == 0 {
        return;
    }
    let (count, keys) = (one.newer, one.newer_keys);
    if one.older {
        say!(
            "\nWARNING: {count} of them, of {keys} keys, are older than what was delivered since, and put the target back:"
        );
    } else {
        say!(
            "\nleft out: {count} of {keys} keys that are older than what was delivered since (--older sends them all the same):"
        );
    }
    let rows: Vec<_> = one
        .newer_shown
        .iter()
        .map(|newer| {
            let offset = newer.offset.to_string();
            let delivered = match newer.unsent {
                true => format!("{} (by the old way)", newer.delivered),
                false => newer.delivered.to_string(),
            };
            vec![newer.flow.clone(), newer.key.clone(), offset, delivered]
        })
        .collect();
    if !rows.is_empty() {
        say!(
            "{}",
            table(&["FLOW", "KEY", "OFFSET", "DELIVERED SINCE"], &rows)
        );
    }
    if keys > rows.len() as u64 && !rows.is_empty() {
        say!("... {} of {keys} keys", rows.len());
    }
}

fn show_progress(one: &ReplayEntry) {
    say!("\nsettled  {} of {}", settled(one), one.events);
    for (count, what) in [
        (one.delivered, "delivered"),
        (one.accepted, "taken on: see dead-letters list"),
        (one.refused, "refused"),
        (
            one.overtaken,
            "passed over: something newer was delivered since",
        ),
        (one.held, "passed over: their key waits behind something"),
        (one.gone, "gone"),
    ] {
        if count > 0 {
            say!("  {count} {what}");
        }
    }
    let rows: Vec<_> = one
        .notes
        .iter()
        .map(|note| {
            let reason: String = note.reason.chars().take(200).collect();
            let reason = reason.replace(['\n', '\r'], " ");
            vec![
                note.flow.clone(),
                note.offset.to_string(),
                note.key.clone(),
                reason,
            ]
        })
        .collect();
    if !rows.is_empty() {
        say!("\n{}", table(&["FLOW", "OFFSET", "KEY", "WHY"], &rows));
    }
}
