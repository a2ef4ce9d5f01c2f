//! How the buffer, the uplink and the flows are tied together.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use dray_buffer::{Buffer, Options, SledBuffer};
use dray_uplink::{
    CertificateState, FlowConfig, Identity, LinkState, Observer, Uplink, UplinkConfig,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bell::Bell;
use crate::board::{Board, VERSION};
use crate::config::Config;
use crate::failure::Failure;

/// Opens the buffer in the data folder.
///
/// # Errors
/// [`Failure::Failed`] with the buffer's sentence.
pub fn open_buffer(config: &Config) -> Result<Arc<dyn Buffer>, Failure> {
    let defaults = Options::in_folder(config.buffer_dir());
    let options = Options {
        bytes_max: config.buffer_bytes_max,
        generation_bytes: dray_edges::bytes(
            dray_edges::Bytes::Generation,
            defaults.generation_bytes,
        ),
        ..defaults
    };
    match SledBuffer::open(options) {
        Ok(buffer) => Ok(Arc::new(buffer)),
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

/// Starts sending; ends when `stopped` says so. `bells`: in the order of the board's flows.
#[must_use]
pub fn start(
    config: &Config,
    identity: Identity,
    buffer: Arc<dyn Buffer>,
    board: &Arc<Board>,
    bells: &[Arc<Bell>],
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let flows = config
        .flows
        .iter()
        .map(|flow| FlowConfig {
            name: flow.name.flow().into(),
            weight: flow.timeliness.weight(),
        })
        .collect();
    let settings = UplinkConfig {
        collector: config.collector.clone(),
        identity,
        flows,
        version: VERSION.into(),
    };
    let bells = board
        .flows
        .iter()
        .map(|flow| flow.name.flow().to_owned())
        .zip(bells.iter().cloned())
        .collect();
    let telling = Telling {
        board: Arc::clone(board),
        buffer: Arc::clone(&buffer),
        bells,
    };
    tokio::spawn(Uplink::new(settings, buffer, Arc::new(telling)).run(stopped))
}

/// Tells the flows' threads and the board what the uplink hears. Blocks nobody: every lock behind
/// it is held for a few statements.
struct Telling {
    board: Arc<Board>,
    buffer: Arc<dyn Buffer>,
    bells: HashMap<String, Arc<Bell>>,
}

impl Observer for Telling {
    fn acked(&self, flow: &str, position: Bytes) {
        if let Some(state) = self.board.flow(flow) {
            state.acked(self.buffer.depth(flow).acked);
        }
        if let Some(bell) = self.bells.get(flow) {
            bell.acked(position);
        }
    }

    fn link(&self, state: LinkState) {
        match state {
            LinkState::Connected => self.board.connected(),
            LinkState::Disconnected(why) => self.board.disconnected(why),
        }
    }

    fn flow_stopped(&self, flow: &str, reason: &str) {
        if let Some(state) = self.board.flow(flow) {
            state.set_refused(reason);
        }
    }

    fn flow_goes_on(&self, flow: &str, position: Bytes) {
        if let Some(state) = self.board.flow(flow) {
            state.set_refused("");
        }
        if let Some(bell) = self.bells.get(flow) {
            bell.held(position);
        }
    }

    fn flow_reopens(&self, flow: &str, position: Option<Bytes>) {
        if let Some(state) = self.board.flow(flow) {
            state.renumbered();
        }
        if let Some(bell) = self.bells.get(flow) {
            bell.reopen(position);
        }
    }
    fn certificate(&self, state: CertificateState) {
        self.board.set_certificate(state);
    }
}
