//! Takes a call's body in: within its limits, and a little at a time, so that others are served meanwhile.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use hyper::header::{CONTENT_ENCODING, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use tokio::time::timeout;
use tracing::debug;

use super::{LimitsConfig, Trouble};
use crate::content::{Collector, Content, Room};
use crate::unpacking::{Unpacking, is_misread};

/// Bytes of a body that are unpacked at once.
const PIECE_BYTES: usize = 1024;
/// What is read of a body that is not taken, and for how long.
const LEFT_BYTES_MAX: usize = 128 * 1024 * 1024;
const LEFT_WITHIN: Duration = Duration::from_secs(2);

/// What comes behind a request's head.
pub(super) trait Incoming: Body<Data = Bytes, Error: Error + 'static> + Unpin {}

impl<B: Body<Data = Bytes, Error: Error + 'static> + Unpin> Incoming for B {}

/// How much of a body is taken, and where it waits.
pub(super) struct Intake {
    bytes_max: u64,
    within: Duration,
    folder: Arc<PathBuf>,
    /// For what waits in files.
    room: Arc<Room>,
}

impl Intake {
    pub(super) fn new(limits: &LimitsConfig, folder: Arc<PathBuf>) -> Self {
        Self {
            bytes_max: limits.message_bytes_max.as_u64(),
            within: limits.body_within,
            folder,
            room: Room::new(limits.waiting_bytes_max.as_u64()),
        }
    }

    /// All of it, unpacked.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(super) async fn take(
        &self,
        parts: &Parts,
        body: &mut impl Incoming,
    ) -> Result<Content, Trouble> {
        let taken = timeout(self.within, self.collect(parts, body)).await;
        taken.unwrap_or(Err(Trouble::Slow))
    }

    async fn collect(&self, parts: &Parts, body: &mut impl Incoming) -> Result<Content, Trouble> {
        if body.size_hint().lower() > self.bytes_max {
            return Err(Trouble::TooLarge);
        }
        let coding = parts.headers.get(CONTENT_ENCODING);
        let collector = Collector::new(self.bytes_max, Arc::clone(&self.folder));
        let unpacking = Unpacking::new(
            coding.map(HeaderValue::as_bytes),
            collector.within(&self.room),
        );
        let mut unpacking = unpacking.ok_or(Trouble::Packing)?;
        let mut packed = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| cut(&error))?.into_data() else {
                continue;
            };
            packed += data.len() as u64;
            if packed > self.bytes_max {
                return Err(Trouble::TooLarge);
            }
            push(&mut unpacking, &data).await?;
        }
        unpacking.finish().map_err(|error| trouble(&error))
    }
}

async fn push(unpacking: &mut Unpacking, data: &[u8]) -> Result<(), Trouble> {
    if !unpacking.is_packed() {
        return unpacking.push(data).map_err(|error| trouble(&error));
    }
    // A little may become much: others are served in between.
    let mut pieces = data.chunks(PIECE_BYTES).peekable();
    while let Some(piece) = pieces.next() {
        unpacking.push(piece).map_err(|error| trouble(&error))?;
        if pieces.peek().is_some() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Reads on for a moment, and keeps nothing: a caller who still sends would find the connection broken, and not the answer. Who asked
/// before sending has not sent.
pub(super) async fn pass_over(parts: &Parts, body: &mut impl Incoming) {
    if parts.headers.contains_key(EXPECT) {
        return;
    }
    let mut bytes = 0;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > LEFT_BYTES_MAX {
                return;
            }
        }
    };
    let _ = timeout(LEFT_WITHIN, read).await;
}

/// Why no more of a body comes.
fn cut(error: &(dyn Error + 'static)) -> Trouble {
    use io::ErrorKind::{InvalidData, InvalidInput};
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| matches!(io.kind(), InvalidData | InvalidInput)) {
            return Trouble::Framing;
        }
        cause = error.source();
    }
    Trouble::Broken
}

/// What went wrong while bytes were unpacked and kept.
fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Trouble::TooLarge,
        _ if is_misread(error) => Trouble::Packing,
        _ => {
            debug!(%error, "a call could not be kept while it waits");
            Trouble::Busy
        }
    }
}
