//! What the whole agent knows of itself, for `status` and the metrics page.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dray_adapter::{CallCount, Kept};
use dray_buffer::Buffer;
use dray_proto::v1::{AgentCalls, AgentFlowStatus, AgentKeptLog, AgentStatus};
use dray_uplink::CertificateState;

use crate::flow_state::{FlowState, Health, now_us};
use crate::metrics::{FlowSample, Metrics};

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who this agent is, from its certificate, and whom it talks to.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// E.g. `north`.
    pub site: String,
    /// E.g. `a-7f3c91`.
    pub agent: String,
    /// Host and port.
    pub collector: String,
    /// Seconds since 1970-01-01T00:00:00Z at which the certificate that it started with ends.
    pub certificate_ends_s: i64,
}

/// Everything that is shown.
pub struct Board {
    who: Who,
    buffer: Arc<dyn Buffer>,
    /// In the order of the configuration.
    pub flows: Vec<Arc<FlowState>>,
    /// Counters, and gauges that are set when somebody looks.
    pub metrics: Metrics,
    link: Mutex<Link>,
    certificate: Mutex<Certificate>,
}

#[derive(Debug)]
struct Certificate {
    ends_s: i64,
    /// Why it could not be renewed; empty where nothing is wrong.
    failing: String,
}

#[derive(Debug)]
struct Link {
    connected: bool,
    /// Why not, when not.
    said: String,
}

impl Board {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(
        who: Who,
        buffer: Arc<dyn Buffer>,
        metrics: Metrics,
        flows: Vec<Arc<FlowState>>,
    ) -> Self {
        let link = Mutex::new(Link {
            connected: false,
            said: "not connected yet".into(),
        });
        let certificate = Mutex::new(Certificate {
            ends_s: who.certificate_ends_s,
            failing: String::new(),
        });
        Self {
            who,
            buffer,
            flows,
            metrics,
            link,
            certificate,
        }
    }

    /// The flow with this short name.
    #[must_use]
    pub fn flow(&self, flow: &str) -> Option<&Arc<FlowState>> {
        self.flows.iter().find(|state| state.name.flow() == flow)
    }

    /// The collector is there.
    pub fn connected(&self) {
        self.set_link(true, String::new());
    }

    /// The collector is not there, and why.
    pub fn disconnected(&self, why: String) {
        self.set_link(false, why);
    }

    /// The certificate was renewed, or could not be.
    pub fn set_certificate(&self, state: CertificateState) {
        let mut certificate = self.certificate();
        match state {
            CertificateState::Renewed { ends_s } => {
                *certificate = Certificate {
                    ends_s,
                    failing: String::new(),
                };
            }
            CertificateState::Failing(reason) => certificate.failing = reason,
        }
    }

    fn certificate(&self) -> MutexGuard<'_, Certificate> {
        self.certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set_link(&self, connected: bool, said: String) {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if link.connected != connected {
            let counter = if connected {
                &self.metrics.uplink_connects
            } else {
                &self.metrics.uplink_disconnects
            };
            counter.inc();
        }
        *link = Link { connected, said };
        self.metrics.uplink_connected.set(i64::from(connected));
    }

    /// As `status` tells it. Touches the buffer: call it where a millisecond is allowed.
    #[must_use]
    pub fn status(&self) -> AgentStatus {
        let space = self.buffer.space();
        let (connected, link) = {
            let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
            (link.connected, link.said.clone())
        };
        let (certificate_ends_s, renewal) = {
            let certificate = self.certificate();
            (certificate.ends_s, certificate.failing.clone())
        };
        AgentStatus {
            version: VERSION.into(),
            site: self.who.site.clone(),
            agent: self.who.agent.clone(),
            collector: self.who.collector.clone(),
            connected,
            link,
            certificate_ends_s,
            renewal,
            buffer_bytes: space.bytes,
            buffer_bytes_max: space.bytes_max,
            flows: self.shown().map(|state| self.flow_status(state)).collect(),
        }
    }

    /// All flows but those that are left over and have nothing left.
    fn shown(&self) -> impl Iterator<Item = &Arc<FlowState>> {
        let is_held = |state: &FlowState| {
            let depth = self.buffer.depth(state.name.flow());
            depth.appended > depth.acked
        };
        self.flows
            .iter()
            .filter(move |state| !state.is_left_over() || is_held(state))
    }

    fn flow_status(&self, state: &FlowState) -> AgentFlowStatus {
        let depth = self.buffer.depth(state.name.flow());
        let (health, detail) = state.get();
        AgentFlowStatus {
            flow: state.name.flow().into(),
            state: health.word().into(),
            detail,
            appended: depth.appended.0,
            acked: depth.acked.0,
            dead_letters: state.metrics.dead_letters.get(),
            oldest_unsent_ms: oldest_unsent(depth.oldest_captured_us).as_millis() as u64,
            doing: state.doing().unwrap_or_default(),
            calls: state.calls().map_or_else(Vec::new, |calls| {
                calls.counts().into_iter().map(agent_calls).collect()
            }),
            kept_log: state.kept_log().and_then(|kept| kept.get()).map(agent_kept),
        }
    }

    /// The metrics page, measured now. Touches the buffer likewise.
    ///
    /// # Errors
    /// Never in practice.
    pub fn metrics_page(&self) -> Result<Vec<u8>, prometheus::Error> {
        for state in self.shown() {
            let depth = self.buffer.depth(state.name.flow());
            self.metrics.sample_flow(
                &state.name,
                &FlowSample {
                    oldest_unsent: oldest_unsent(depth.oldest_captured_us),
                    backlog_events: depth.appended.0.saturating_sub(depth.acked.0),
                    backlog_bytes: depth.bytes,
                    health: match state.get().0 {
                        Health::Running => 1.0,
                        Health::Waiting => 0.5,
                        Health::Stopped => 0.0,
                    },
                },
            );
            if let Some(calls) = state.calls() {
                self.metrics.sample_calls(&state.name, &calls.counts());
            }
            if let Some(kept) = state.kept_log() {
                self.metrics.sample_kept(&state.name, kept.get());
            }
        }
        let space = self.buffer.space();
        self.metrics
            .sample_buffer(space.bytes, space.bytes_max, space.waiting.is_some());
        self.metrics.sample_certificate(self.certificate().ends_s);
        self.metrics.text()
    }
}

fn agent_kept(kept: Kept) -> AgentKeptLog {
    AgentKeptLog {
        bytes: kept.bytes,
        left_bytes: kept.left_bytes,
        worry: kept.worry.into(),
    }
}

fn agent_calls(one: CallCount) -> AgentCalls {
    let calls = AgentCalls {
        outcome: one.outcome.word().into(),
        count: one.count,
        ..AgentCalls::default()
    };
    let Some(last) = one.last else {
        return calls;
    };
    AgentCalls {
        last_us: last.at_us,
        last_peer: last.peer.map_or_else(String::new, |peer| peer.to_string()),
        last_reason: last.reason,
        ..calls
    }
}

fn oldest_unsent(captured_us: Option<i64>) -> Duration {
    let since = captured_us.map_or(0, |captured| now_us().saturating_sub(captured));
    Duration::from_micros(since.max(0) as u64)
}
