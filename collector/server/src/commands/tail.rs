//! `tail`: the log's events, a line each.

use std::io::Write as _;

use dray_proto::shown;
use dray_proto::v1::feed_client::FeedClient;
use dray_proto::v1::subscribe::Start;
use dray_proto::v1::{Event, FromReader, Subscribe, from_reader};
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::Code;

use super::client::{channel, said};
use super::out::unless_nobody_reads;
use crate::cli::TailArgs;
use crate::config::Config;
use crate::core::now_us;
use crate::failure::Failure;
use crate::feed::{micros, timestamp};
use crate::json;

/// The largest message: a block whose one event is of the largest size, with its place.
const MESSAGE_BYTES_MAX: usize = 33 * 1024 * 1024;

pub(super) async fn run(config: &Config, arguments: TailArgs) -> Result<(), Failure> {
    let mut feed = FeedClient::new(channel(&config.admin_socket()).await?)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let whole = arguments.json;
    let subscribe = FromReader {
        message: Some(from_reader::Message::Subscribe(subscribe(arguments))),
    };
    // Nothing is acked, but the stream stays open as long as we listen.
    let requests = tokio_stream::once(subscribe).chain(tokio_stream::pending());
    let mut messages = feed.subscribe(requests).await.map_err(said)?.into_inner();
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let mut is_empty = true;
    loop {
        let message = match messages.message().await {
            Ok(Some(message)) => message,
            Ok(None) => {
                if is_empty {
                    eprintln!(
                        "The log has nothing of that; \"dray-collector status\" shows the flows that it has."
                    );
                }
                return Ok(());
            }
            Err(status) if status.code() == Code::Cancelled => return Ok(()),
            Err(status) => return Err(said(status)),
        };
        is_empty &= message.event.is_empty();
        let written = message
            .event
            .iter()
            .try_for_each(|event| write(&mut out, event, whole))
            .and_then(|()| out.flush());
        if let Err(error) = written {
            return unless_nobody_reads(error);
        }
    }
}

fn subscribe(arguments: TailArgs) -> Subscribe {
    let since = arguments.since.map(|ago| {
        let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
        Start::CapturedFrom(timestamp(now_us().saturating_sub(ago)))
    });
    Subscribe {
        consumer: String::new(),
        flows: arguments.flows,
        bodies: arguments.bodies,
        start: since.or(arguments.new.then_some(Start::Newest(true))),
        stop_at_end: !arguments.follow,
    }
}

fn write(out: &mut impl std::io::Write, event: &Event, whole: bool) -> std::io::Result<()> {
    let json = json::of_event(
        &event.encode_to_vec(),
        &event.site,
        &event.flow,
        event.offset,
    );
    if whole {
        return writeln!(out, "{}", shown::json(&json));
    }
    let captured = event.captured_at.as_ref().map_or(0, micros);
    let time = jiff::Timestamp::from_microsecond(captured)
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string());
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
    let text = |name: &str| shown::line(parsed[name].as_str().unwrap_or("?"));
    writeln!(
        out,
        "{}  {}/{} {:>7}  {:<18} {:<8} {}  {}",
        time.unwrap_or_default(),
        shown::line(&event.site),
        shown::line(&event.flow),
        event.offset,
        text("type"),
        text("operation"),
        shown::line(&event.key),
        shown::json(&parsed["data"].to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_no_line_of_its_own_and_moves_no_cursor() {
        let event = Event {
            site: "north".into(),
            flow: "items".into(),
            key: "K1\n99  dead\u{1b}[2K".into(),
            ..Event::default()
        };
        for whole in [false, true] {
            let mut out = Vec::new();
            write(&mut out, &event, whole).expect("memory takes it");
            let said = String::from_utf8(out).expect("text");
            assert_eq!(said.matches('\n').count(), 1, "{said:?}");
            assert!(!said.contains('\u{1b}'), "{said:?}");
        }
    }
}
