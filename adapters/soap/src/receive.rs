//! The endpoint that others call.
//!
//! ```text
//! connection ─▶ admit ─▶ body (memory or an unlinked file) ─▶ read the envelope ─▶ Exchange ─▶ the flow's thread: decode ─▶ append
//!      ◀──────────────────────────── answer, only after the append ◀──────────────────────────────────┘
//! ```
//! One thread of its own serves the connections; what calls hold is decoded in the flow's thread, as for any source. `Dialect` is what
//! differs between a SOAP call and a webhook: who may call, which operation is meant, and how an answer is written.
//!
//! Nothing of a call is handed out before all of it was read. It is told from others by a key, a message id or its content; with none of them
//! a retry after a lost answer comes a second time.
//!
//! Limits: [`CONNECTIONS_MAX`] connections, 256 calls that wait, each with 64 KiB in memory; what
//! is longer waits in a file without a name. How long callers are waited for says [`Patience`].

mod body;
pub(crate) mod check;
pub mod config;
mod crowd;
mod description;
mod desk;
pub(crate) mod exchange;
mod found;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod make;
mod marks;
mod noted;
mod patience;
pub(crate) mod preview;
mod replies;
pub(crate) mod serve;
mod soap;
pub(crate) mod source;
pub(crate) mod tls;

use std::sync::Arc;

use dray_adapter::CallOutcome;
use hyper::http::request::Parts;

pub use config::{LimitsConfig, SoapReceiveConfig, TlsConfig};
pub use patience::Patience;
pub use source::Receiver;

use crate::content::Content;
use exchange::Answer;

/// Connections at once, unless another number is configured; who comes next waits, and behind him others in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 256;

/// Bytes of what tells a call from others, at most: it stands in each event of the call.
pub const ID_BYTES_MAX: usize = 512;

/// What tells a call from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The same for all tries of one call.
    pub(crate) id: String,
    /// Of its content: two calls under one id must not differ.
    pub(crate) content: [u8; 32],
}

/// A call that was read.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The number of its operation.
    pub(crate) operation: usize,
    /// `None`: nothing tells it from others.
    pub(crate) identity: Option<Identity>,
    /// What its answer is written in; other dialects don't look.
    pub(crate) version: crate::envelope::Version,
    pub(crate) message_id: Option<String>,
}

impl Call {
    /// Why its id can't be taken.
    fn too_long(&self) -> Option<String> {
        let id = self.identity.as_ref().map(|identity| &identity.id);
        let is_long = |id: &String| id.len() > ID_BYTES_MAX;
        let is_too_long = id.into_iter().chain(&self.message_id).any(is_long);
        is_too_long.then(|| {
            format!("its key or id is longer than {ID_BYTES_MAX} bytes, with the operation's name")
        })
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// The caller is to come again.
    pub(crate) later: bool,
    /// How the caller is to say who he is.
    pub(crate) challenge: Option<&'static str>,
    /// What is counted.
    pub(crate) outcome: CallOutcome,
    /// For the operator, who may learn more than the caller; empty where all went well.
    pub(crate) reason: String,
}

/// Why a call is answered before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// More bytes than are taken.
    TooLarge,
    /// It is compressed in a way that is not read, or not as it says.
    Packing,
    /// Its bytes did not come in time.
    Slow,
    /// The connection ended before all of them came.
    Broken,
    /// They are not framed as HTTP has it.
    Framing,
    /// There is no room now.
    Busy,
}

/// What differs between kinds of calls.
pub(crate) trait Dialect: Send + Sync + 'static {
    /// The answer to a request that is no call.
    fn page(&self, request: &Parts) -> Option<Reply>;
    /// Looks at a call before its body is taken.
    fn admit(&self, request: &Parts) -> Result<(), Reply>;
    /// Reads a call. Long: it may look at every byte.
    fn read(&self, request: &Parts, content: &mut Content, now_us: i64) -> Result<Call, Reply>;
    /// The answer once the flow has decided.
    fn reply(&self, call: &Call, answer: &Answer) -> Reply;
    /// The answer where nobody could read.
    fn trouble(&self, request: &Parts, trouble: Trouble) -> Reply;
}

/// A dialect and what decodes its operations' records.
pub(crate) struct Spoken {
    pub(crate) dialect: Arc<dyn Dialect>,
    /// By the operation's number.
    pub(crate) formats: Vec<dray_formats::Format>,
    /// Whether a call without records is taken, by the operation's number.
    pub(crate) may_be_empty: Vec<bool>,
}
