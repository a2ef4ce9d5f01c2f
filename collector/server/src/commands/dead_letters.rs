//! `dead-letters list|show|retry|approve|discard`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dray_proto::shown::{line, lines};
use dray_proto::v1::dead_letter_act_request::Act;
use dray_proto::v1::{DeadLetterActRequest, DeadLettersRequest};
use serde_json::Value;

use super::client::{connect, said};
use super::out::say;
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
        DeadLetters::Retry {
            ids,
            target,
            flow,
            older,
        } => DeadLetterActRequest {
            act: Act::Retry as i32,
            ids,
            target: target.unwrap_or_default(),
            flow: flow.unwrap_or_default(),
            older,
            ..DeadLetterActRequest::default()
        },
        DeadLetters::Approve {
            ids,
            target,
            flow,
            state,
        } => DeadLetterActRequest {
            act: Act::Approve as i32,
            ids,
            target: target.unwrap_or_default(),
            flow: flow.unwrap_or_default(),
            state: state.unwrap_or_default(),
            ..DeadLetterActRequest::default()
        },
        DeadLetters::Discard { ids, target, flow } => DeadLetterActRequest {
            act: Act::Discard as i32,
            ids,
            target: target.unwrap_or_default(),
            flow: flow.unwrap_or_default(),
            ..DeadLetterActRequest::default()
        },
    };
    let retry = act.act != Act::Discard as i32;
    let reply = connect(config)
        .await?
        .dead_letter_act(act)
        .await
        .map_err(said)?
        .into_inner();
    match (reply.done, retry) {
        (0, _) => say!("There was nothing to do."),
        (done, true) => say!(
            "{done} will be delivered again; \"dray-collector dead-letters list\" shows what comes of it."
        ),
        (done, false) => say!("{done} discarded."),
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
    say!(
        "id       {}\nstate    {}\ntarget   {target}",
        entry.id,
        entry.state
    );
    say!(
        "place    {} offset {}\nkey      {}",
        entry.flow,
        entry.offset,
        line(&entry.key)
    );
    say!(
        "since    {}\nbehind   {} event(s) of the same key wait",
        show::time_us(entry.at_us),
        entry.held_behind
    );
    let event: Value = serde_json::from_str(&entry.event_json).unwrap_or_default();
    let pretty = serde_json::to_string_pretty(&event).unwrap_or(entry.event_json);
    if entry.attempts > 0 {
        say!("tries    {}", entry.attempts);
    }
    if !entry.class.is_empty() {
        say!("class    {}", entry.class);
    }
    for (title, words) in [("owner", &entry.owner), ("runbook", &entry.runbook)] {
        if !words.is_empty() {
            say!("{title:<8} {}", line(words));
        }
    }
    let mut kept: Vec<_> = entry.kept.iter().collect();
    kept.sort();
    for (name, value) in kept {
        say!("kept     {name} = {}", line(value));
    }
    say!("reason   {}\n\n{}", line(&entry.reason), lines(&pretty));
    if !entry.edited_json.is_empty() {
        let edited: Value = serde_json::from_str(&entry.edited_json).unwrap_or_default();
        let edited = serde_json::to_string_pretty(&edited).unwrap_or_default();
        say!("\nas it was edited, and is sent:\n{}", lines(&edited));
    }
    for (title, text) in [
        ("the last request", &entry.request),
        ("its answer", &entry.answer),
    ] {
        if !text.is_empty() {
            say!("\n{title}:\n{}", lines(text));
        }
    }
    if let Some(bytes) = raw(&event) {
        say!(
            "\nits bytes, from the quote to the quote:\n\"{}\"",
            readable(&bytes)
        );
    }
    Ok(())
}

/// What an agent could not read, where it is such a dead letter.
fn raw(event: &Value) -> Option<Vec<u8>> {
    let raw = event["data"]["raw"]
        .as_str()
        .filter(|raw| !raw.is_empty())?;
    STANDARD.decode(raw).ok()
}

/// Text as it is, and what is none, or moves the cursor, escaped.
fn readable(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out += &lines(chunk.valid());
        let _ = write!(out, "{}", chunk.invalid().escape_ascii());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_and_move_no_cursor() {
        for (bytes, expected) in [
            (&b"SKU-1|x\r\nSKU-2"[..], "SKU-1|x\\r\nSKU-2"),
            ("Grüße\t1".as_bytes(), "Grüße\\t1"),
            (b"\x1b[2J\xFFa", "\\u{1b}[2J\\xffa"),
        ] {
            assert_eq!(readable(bytes), expected);
        }
        let event = serde_json::json!({ "data": { "raw": "U0tVLTE=" } });
        assert_eq!(raw(&event).as_deref(), Some(&b"SKU-1"[..]));
        assert_eq!(raw(&serde_json::json!({ "data": {} })), None);
    }
}
