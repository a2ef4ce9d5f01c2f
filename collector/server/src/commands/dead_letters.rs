//! `dead-letters list|show|retry|discard`.

use dray_proto::v1::dead_letter_act_request::Act;
use dray_proto::v1::{DeadLetterActRequest, DeadLettersRequest};

use super::client::{connect, said};
use super::show;
use crate::cli::DeadLetters;
use crate::config::Config;
use crate::failure::Failure;

pub(super) async fn run(config: &Config, command: DeadLetters) -> Result<(), Failure> {
    let act = match command {
        DeadLetters::List { target, limit } => {
            return list(config, target.unwrap_or_default(), limit).await;
        }
        DeadLetters::Show { id } => return show_one(config, id).await,
        DeadLetters::Retry { id, target, older } => DeadLetterActRequest {
            act: Act::Retry as i32,
            id: id.unwrap_or(0),
            target: target.unwrap_or_default(),
            older,
        },
        DeadLetters::Discard { id, target } => DeadLetterActRequest {
            act: Act::Discard as i32,
            id: id.unwrap_or(0),
            target: target.unwrap_or_default(),
            older: false,
        },
    };
    let retry = act.act == Act::Retry as i32;
    let reply = connect(config)
        .await?
        .dead_letter_act(act)
        .await
        .map_err(said)?
        .into_inner();
    match (reply.done, retry) {
        (0, _) => println!("There was nothing to do."),
        (done, true) => println!(
            "{done} will be delivered again; \"dray-collector dead-letters list\" shows what comes of it."
        ),
        (done, false) => println!("{done} discarded."),
    }
    Ok(())
}

async fn list(config: &Config, target: String, limit: u32) -> Result<(), Failure> {
    let request = DeadLettersRequest {
        target,
        id: 0,
        limit,
    };
    let reply = connect(config)
        .await?
        .dead_letters(request)
        .await
        .map_err(said)?
        .into_inner();
    show::dead_letters(&reply.entries, reply.total);
    Ok(())
}

async fn show_one(config: &Config, id: u64) -> Result<(), Failure> {
    let request = DeadLettersRequest {
        id,
        ..Default::default()
    };
    let reply = connect(config)
        .await?
        .dead_letters(request)
        .await
        .map_err(said)?
        .into_inner();
    let Some(entry) = reply.entries.into_iter().next() else {
        return Err(Failure::Failed(format!(
            "there is no dead letter {id}; \"dray-collector dead-letters list\" shows those there are"
        )));
    };
    let target = if entry.target.is_empty() {
        "none; an agent sent it".to_owned()
    } else {
        entry.target
    };
    println!(
        "id       {}\nstate    {}\ntarget   {target}",
        entry.id, entry.state
    );
    println!(
        "place    {} offset {}\nkey      {}",
        entry.flow, entry.offset, entry.key
    );
    println!(
        "since    {}\nbehind   {} event(s) of the same key wait",
        show::time_us(entry.at_us),
        entry.held_behind
    );
    println!("reason   {}\n\n{}", entry.reason, pretty(&entry.event_json));
    Ok(())
}

fn pretty(json: &str) -> String {
    let value: Result<serde_json::Value, _> = serde_json::from_str(json);
    value
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| json.to_owned())
}
