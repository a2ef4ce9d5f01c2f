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

use crate::again::Again;
use crate::bell::Bell;
use crate::board::{Board, VERSION};
use crate::config::{Config, Timeliness};
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

/// Whom the uplink tells.
pub struct Links {
    /// What is shown.
    pub board: Arc<Board>,
    /// In the order of the board's flows, as far as they have a source.
    pub bells: Vec<Arc<Bell>>,
    /// Hears that everything is to be opened again.
    pub again: Again,
}

/// Starts sending; ends when `stopped` says so.
#[must_use]
pub fn start(
    config: &Config,
    identity: Identity,
    buffer: Arc<dyn Buffer>,
    links: Links,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let Links {
        board,
        bells,
        again,
    } = links;
    let weight = |name: &str| {
        let known = config.flows.iter().find(|flow| flow.name.flow() == name);
        known
            .map_or(Timeliness::default(), |flow| flow.timeliness)
            .weight()
    };
    let flows = board
        .flows
        .iter()
        .map(|flow| FlowConfig {
            name: flow.name.flow().into(),
            weight: weight(flow.name.flow()),
        })
        .collect();
    let settings = UplinkConfig {
        collector: config.collector.clone(),
        identity,
        flows,
        version: VERSION.into(),
        past: config.data_dir.join("past"),
    };
    let bells = board
        .flows
        .iter()
        .map(|flow| flow.name.flow().to_owned())
        .zip(bells)
        .collect();
    let telling = Telling {
        board,
        again,
        buffer: Arc::clone(&buffer),
        bells,
    };
    tokio::spawn(Uplink::new(settings, buffer, Arc::new(telling)).run(stopped))
}

/// Tells the flows' threads and the board what the uplink hears. Blocks nobody: every lock behind
/// it is held for a few statements.
struct Telling {
    board: Arc<Board>,
    again: Again,
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

    fn buffer_reopens(&self, why: &str) {
        self.again.ask(why);
    }

    fn certificate(&self, state: CertificateState) {
        self.board.set_certificate(state);
    }
}
