//! Exceptions of events, and of what cannot be read.

use dray_proto::event::put_place;
use dray_proto::{EventId, FlowName, Sequence, v1};
use dray_store::{Exception, ExceptionState};
use prost::Message;
use sha2::{Digest, Sha256};

use super::Engine;
use crate::reader::Lost;
use crate::window::{Loaded, Meta};

/// How much of what cannot be read a dead letter keeps.
const RAW_BYTES_MAX: usize = 64 * 1024;

impl Engine {
    pub(super) fn exception(
        &self,
        loaded: &Loaded,
        meta: &Meta,
        state: ExceptionState,
        reason: String,
        detail: String,
    ) -> Exception {
        let place = &loaded.place.flow;
        let mut event = loaded.event(meta).to_vec();
        let sequence = Sequence(loaded.first_sequence.0 + u64::from(meta.ordinal));
        put_place(
            &mut event,
            place,
            loaded.epoch,
            sequence,
            loaded.offset(meta),
        );
        Exception {
            id: 0,
            target: self.config.name.clone(),
            flow: place.clone(),
            offset: loaded.offset(meta),
            key: loaded.key(meta).to_owned(),
            state,
            reason,
            at_us: jiff::Timestamp::now().as_microsecond(),
            event: event.into(),
            detail,
        }
    }

    /// What cannot be read becomes one dead letter for all its offsets, and the flow goes on.
    pub(super) fn lose(&mut self, lost: Lost) {
        let flow = &mut self.flows[lost.flow];
        flow.read_to = flow.read_to.max(lost.last.0);
        if flow.finished.contains(lost.first) {
            return;
        }
        tracing::error!(flow = %flow.name(), offset = lost.first.0, "a block cannot be read");
        let offsets = format!("offsets {} to {}: ", lost.first, lost.last);
        let exception = Exception {
            id: 0,
            target: self.config.name.clone(),
            flow: flow.name().clone(),
            offset: lost.first,
            key: String::new(),
            state: ExceptionState::Dead,
            reason: offsets + &lost.reason,
            at_us: jiff::Timestamp::now().as_microsecond(),
            event: letter(flow.name(), &lost).into(),
            detail: String::new(),
        };
        flow.finished.finish_range(lost.first, lost.last);
        self.mark(lost.flow);
        let key = self.keys.id(&exception.flow, "");
        self.keys.unread();
        self.pending.add(key, exception);
    }
}

/// An event whose body is a dead letter, with the bytes that could not be read.
fn letter(flow: &FlowName, lost: &Lost) -> Vec<u8> {
    let mut scope = [0; 10];
    scope[..8].copy_from_slice(&lost.epoch.to_be_bytes());
    let cut = lost.raw.len() > RAW_BYTES_MAX;
    let body = v1::DeadLetter {
        stage: v1::DeadLetterStage::Decode as i32,
        reason: lost.reason.clone(),
        raw: lost.raw[..lost.raw.len().min(RAW_BYTES_MAX)].to_vec(),
        raw_bytes: lost.raw.len() as u64,
        raw_sha256: if cut {
            Sha256::digest(&lost.raw).to_vec()
        } else {
            Vec::new()
        },
        ..v1::DeadLetter::default()
    };
    let event = v1::Event {
        id: EventId::new(scope, lost.sequence.0, 0).as_bytes().to_vec(),
        captured_at: Some(prost_types::Timestamp {
            seconds: lost.captured_us.div_euclid(1_000_000),
            nanos: lost.captured_us.rem_euclid(1_000_000) as i32 * 1_000,
        }),
        body: Some(v1::event::Body::DeadLetter(body)),
        ..v1::Event::default()
    };
    let mut bytes = event.encode_to_vec();
    put_place(&mut bytes, flow, lost.epoch, lost.sequence, lost.first);
    bytes
}
