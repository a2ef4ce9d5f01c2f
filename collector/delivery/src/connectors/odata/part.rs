//! One request of a delivery, alone or as a part of a $batch, and its answer.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::answer::Answer;

/// A request below the service's root.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// `Items('A1')`, encoded.
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// It was said of a changeset of several: whose fault it is, nobody knows.
    pub(super) of_all: bool,
}

impl Part {
    pub(super) fn answer(&self) -> Answer<'_> {
        Answer::new(self.status, &self.headers, &self.body)
    }
}
