//! An endpoint that is called without a connection, with the flow's side played between two polls of the answer.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use dray_adapter::{Batch, Mark, MarkState, Polled, Seen, Source as _};
use hyper::Request;
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::runtime::{self, Runtime};
use tokio::sync::Notify;

use super::Receiver;
use super::serve::response;
use crate::fuzzing::Cuts;

/// An endpoint, and what was stored of its calls.
pub struct Endpoint {
    receiver: Receiver,
    runtime: Runtime,
    stored: Arc<Stored>,
}

/// What became of a call.
#[derive(Debug)]
pub struct Called {
    /// Of HTTP.
    pub status: u16,
    /// Empty where there is none.
    pub content_type: String,
    /// Whether the caller is to come again.
    pub later: bool,
    /// The answer.
    pub body: String,
    /// What was appended.
    pub batches: Vec<Batch>,
}

impl Endpoint {
    /// It listens nowhere.
    ///
    /// # Errors
    /// There is no runtime.
    pub fn new(receiver: Receiver) -> io::Result<Self> {
        Ok(Self {
            receiver,
            runtime: runtime::Builder::new_current_thread()
                .enable_time()
                .build()?,
            stored: Arc::default(),
        })
    }

    /// Nothing was ever stored.
    pub fn forget(&mut self) {
        self.stored = Arc::default();
    }

    /// Calls it; `None`: HTTP has no such request.
    ///
    /// # Panics
    /// The flow's side fails.
    pub fn call(
        &mut self,
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
        cuts: Cuts,
    ) -> Option<Called> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = Bytes::copy_from_slice(body);
        let request = request.body(Pieces { bytes, cuts }).ok()?;
        let come = Arc::new(Notify::new());
        let waker = Arc::clone(&come);
        let wake = Arc::new(move || waker.notify_one());
        let stored: Arc<dyn Seen> = Arc::clone(&self.stored) as Arc<dyn Seen>;
        self.receiver.start_over(None, stored, wake);
        let desk = self.receiver.desk();
        let mut batches = Vec::new();
        let (receiver, stored) = (&mut self.receiver, &self.stored);
        let (reply, ends) = self.runtime.block_on(async {
            let mut answer = pin!(desk.answer(request, std::net::Ipv4Addr::LOCALHOST.into()));
            loop {
                tokio::select! {
                    answered = &mut answer => return answered,
                    () = come.notified() => append(receiver, stored, &mut batches),
                }
            }
        });
        let body = reply.body.clone();
        let response = response((reply, ends));
        let header = |name| response.headers().get(name);
        let content_type = header(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Some(Called {
            status: response.status().as_u16(),
            content_type: content_type.unwrap_or_default().to_owned(),
            later: header(RETRY_AFTER).is_some(),
            body,
            batches,
        })
    }
}

/// What the agent does: appends all that is there, and says so.
fn append(receiver: &mut Receiver, stored: &Stored, batches: &mut Vec<Batch>) {
    while let Polled::Batch(batch) = receiver.poll().expect("an endpoint's poll does not fail") {
        stored.add(&batch.marks);
        let committed = receiver.commit(&batch.position);
        committed.expect("an endpoint's commit does not fail");
        batches.push(*batch);
    }
}

#[derive(Debug, Default)]
struct Stored(Mutex<HashSet<Mark>>);

impl Stored {
    fn add(&self, marks: &[Mark]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(marks.iter().cloned());
    }
}

impl Seen for Stored {
    fn seen(&self, mark: &Mark) -> MarkState {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.contains(mark) {
            true => MarkState::Done,
            false => MarkState::New,
        }
    }
}

/// A body that comes in pieces.
struct Pieces {
    bytes: Bytes,
    cuts: Cuts,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.cuts.next_length().min(self.bytes.len());
        Poll::Ready(Some(Ok(Frame::data(self.bytes.split_to(length)))))
    }
}
