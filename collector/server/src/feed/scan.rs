//! From blocks of the log to the events that a reader asked for.

use std::time::Duration;

use dray_delivery::select::Pattern;
use dray_proto::v1::{self, DeadLetterStage, Event, Subscribe, event::Body};
use dray_proto::{EventId, FlowName, Offset, Sequence, block, event, schema};
use dray_store::{LogBlock, Store, StoreError};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

/// Patterns in one subscription.
const PATTERNS_MAX: usize = 1_000;
/// What is shown of a block that does not open.
const RAW_BYTES_MAX: usize = 64 * 1024;

/// Which flows and bodies.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    flows: Vec<Pattern>,
    bodies: Vec<u32>,
}

impl Choice {
    /// Reads a subscription's; the error is a sentence.
    pub(super) fn of(subscribe: &Subscribe) -> Result<Self, String> {
        if subscribe.flows.len() > PATTERNS_MAX {
            return Err(format!(
                "{} flow patterns; a subscription may have {PATTERNS_MAX}",
                subscribe.flows.len()
            ));
        }
        let pattern = |text: &String| {
            Pattern::parse(text)
                .ok_or_else(|| format!("\"{text}\" is no flow: write \"north/shipments\", \"north/*\" or \"*/shipments\""))
        };
        let body = |name: &String| {
            schema::body(name).map(|body| body.number).ok_or_else(|| {
                let known: Vec<&str> = schema::BODIES.iter().map(|body| body.name).collect();
                format!("\"{name}\" is no body: there are {}", known.join(", "))
            })
        };
        Ok(Self {
            flows: subscribe
                .flows
                .iter()
                .map(pattern)
                .collect::<Result<_, _>>()?,
            bodies: subscribe
                .bodies
                .iter()
                .map(body)
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn takes_flow(&self, flow: &FlowName) -> bool {
        self.flows.is_empty() || self.flows.iter().any(|pattern| pattern.takes(flow))
    }

    fn takes_body(&self, number: Option<u32>) -> bool {
        self.bodies.is_empty() || number.is_some_and(|number| self.bodies.contains(&number))
    }
}

/// What a block held for this reader.
#[derive(Debug)]
pub(super) struct Scanned {
    /// In order, each with its place.
    pub(super) events: Vec<Event>,
    /// The block's last offset.
    pub(super) through: u64,
}

/// The block's events from `from` on that are chosen. A block that does not open is one dead letter.
pub(super) fn scan(
    flow: &FlowName,
    log: &LogBlock,
    from: u64,
    choice: &Choice,
    memory: &mut Vec<u8>,
) -> Scanned {
    let count = log
        .block
        .header
        .as_ref()
        .map_or(1, |header| header.count.max(1));
    let through = log.first_offset.0 + u64::from(count) - 1;
    let events = events(flow, log, from, choice, memory).unwrap_or_else(|reason| {
        tracing::error!(%flow, offset = %log.first_offset, reason, "a block of the log does not open");
        let number = schema::body("dead_letter").map(|body| body.number);
        if choice.takes_body(number) { vec![damaged(flow, log, reason)] } else { Vec::new() }
    });
    Scanned { events, through }
}

fn events(
    flow: &FlowName,
    log: &LogBlock,
    from: u64,
    choice: &Choice,
    memory: &mut Vec<u8>,
) -> Result<Vec<Event>, String> {
    let header = log.block.header.as_ref().ok_or("it has no header")?;
    if let Some(lost) = log.lost() {
        return Err(lost);
    }
    let payload = &log.block.payload;
    block::check_crc(payload, header.crc32c)
        .and_then(|()| block::open(payload, header.codec, header.decoded_bytes, memory))
        .map_err(|error| error.to_string())?;
    let ranges = block::split(memory, header.count).map_err(|error| error.to_string())?;
    let mut events = Vec::new();
    for (index, range) in ranges.into_iter().enumerate() {
        let offset = log.first_offset.0 + index as u64;
        if offset < from {
            continue;
        }
        let bytes = &memory[range.start as usize..range.end as usize];
        let view = event::View::of(bytes).map_err(|error| format!("event {index}: {error}"))?;
        if !choice.takes_body(view.body.map(|(body, _)| body.number)) {
            continue;
        }
        let mut event = Event::decode(bytes).map_err(|error| format!("event {index}: {error}"))?;
        event.site = flow.site().to_owned();
        event.flow = flow.flow().to_owned();
        event.epoch = header.epoch;
        event.sequence = header.first_sequence + index as u64;
        event.offset = offset;
        events.push(event);
    }
    Ok(events)
}

fn damaged(flow: &FlowName, log: &LogBlock, reason: String) -> Event {
    let header = log.block.header.clone().unwrap_or_default();
    let (sequence, payload) = (Sequence(header.first_sequence), &log.block.payload);
    let mut hash = Sha256::new();
    hash.update(flow.as_str());
    hash.update(header.epoch.to_be_bytes());
    hash.update(sequence.0.to_be_bytes());
    let mut scope = [0; 10];
    scope.copy_from_slice(&hash.finalize()[..10]);
    Event {
        id: EventId::new(scope, 0, 0).as_bytes().to_vec(),
        key: flow.to_string(),
        captured_at: Some(timestamp(header.first_captured_us)),
        site: flow.site().to_owned(),
        flow: flow.flow().to_owned(),
        epoch: header.epoch,
        sequence: sequence.0,
        offset: log.first_offset.0,
        body: Some(Body::DeadLetter(v1::DeadLetter {
            stage: DeadLetterStage::Decode as i32,
            reason: format!(
                "the block of {} events from here on does not open: {reason}",
                header.count
            ),
            raw: payload[..payload.len().min(RAW_BYTES_MAX)].to_vec(),
            raw_bytes: payload.len() as u64,
            raw_sha256: Sha256::digest(payload).to_vec(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// Microseconds since 1970-01-01T00:00:00Z as protobuf has it.
pub(crate) fn timestamp(micros: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: (micros.rem_euclid(1_000_000) * 1_000) as i32,
    }
}

/// The same backwards; what lies beyond `i64` saturates.
pub(crate) fn micros(time: &prost_types::Timestamp) -> i64 {
    let nanos = Duration::from_nanos(time.nanos.max(0) as u64);
    time.seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos.as_micros() as i64)
}

/// The first offset captured at or after `from_us`; one past the newest where there is none.
///
/// Halves the log block by block. Where an agent's clock was set back, the first such place that
/// halving finds is taken.
pub(super) fn seek(store: &dyn Store, flow: &FlowName, from_us: i64) -> Result<u64, StoreError> {
    let held = store.held(flow);
    let (mut low, mut high) = (held.oldest_offset.0.max(1), held.newest_offset.0 + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(log) = store.read(flow, Offset(middle), 1)?.into_iter().next() else {
            break;
        };
        let Some(header) = &log.block.header else {
            break;
        };
        if header.last_captured_us < from_us {
            low = log.first_offset.0 + u64::from(header.count.max(1));
        } else if log.first_offset.0 > low || header.first_captured_us >= from_us {
            high = log.first_offset.0.max(low);
        } else {
            return Ok(within(&log, from_us).max(low));
        }
    }
    match store.read(flow, Offset(low), 1)?.first() {
        Some(log) if low <= held.newest_offset.0 => Ok(within(log, from_us).max(low)),
        _ => Ok(low),
    }
}

fn within(log: &LogBlock, from_us: i64) -> u64 {
    let mut memory = Vec::new();
    let Some(header) = &log.block.header else {
        return log.first_offset.0;
    };
    let opened = block::open(
        &log.block.payload,
        header.codec,
        header.decoded_bytes,
        &mut memory,
    );
    let Ok(ranges) = opened.and_then(|()| block::split(&memory, header.count)) else {
        return log.first_offset.0;
    };
    let index = ranges.iter().position(|range| {
        let bytes = &memory[range.start as usize..range.end as usize];
        event::View::of(bytes).is_ok_and(|view| view.captured_us >= from_us)
    });
    log.first_offset.0 + index.unwrap_or(0) as u64
}
