//! Blocks from the buffer to the collector, over gRPC with mutual TLS.
//!
//! This crate promises that blocks of a flow are sent in order, each again until it is acked, and that
//! an ack reaches the buffer only when the collector said it; that a dead link is found within 30 s;
//! that what the collector will not take stops its flow with a sentence, and no other; and that the
//! certificate is renewed before it ends.
//!
//! It refuses to know sources, events and files other than the identity's.
//!
//! Limits: see [`window`] and `patience`.

pub mod driver;
mod edges;
pub mod enrol;
pub mod identity;
pub mod past;
mod patience;
mod renewal;
mod tls;
mod whole;
pub mod window;

pub use driver::{Counters, FlowConfig, LinkState, Observer, Uplink, UplinkConfig};
pub use edges::EDGES;
pub use enrol::{EnrolError, enrol};
pub use identity::{Identity, IdentityError};
pub use patience::Patience;
pub use renewal::CertificateState;
