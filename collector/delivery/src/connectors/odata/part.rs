//! One request of a delivery, alone or as a part of a $batch, and its answer.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::answer::Answer;

/// Headers of an answer within a $batch, at most: as many as of one that comes by itself. What is more is left out.
pub(super) const HEADERS_MAX: usize = 100;

/// How much of an answer's body within a $batch is kept: entities are far smaller, and each is read several times.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;

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
    /// Of what a $batch has of it.
    pub(super) fn new(status: u16, headers: HeaderMap, body: &[u8]) -> Self {
        Self {
            status,
            headers,
            body: body[..body.len().min(BODY_BYTES_MAX)].to_vec(),
            of_all: false,
        }
    }

    pub(super) fn answer(&self) -> Answer<'_> {
        Answer::new(self.status, &self.headers, &self.body)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ::http::header::ACCEPT;

    /// A request of a test.
    pub(in super::super) fn request(method: Method, path: &str, body: Option<&str>) -> Request {
        Request {
            method,
            path: path.into(),
            headers: vec![(ACCEPT, HeaderValue::from_static("application/json"))],
            body: body.map(str::to_owned),
        }
    }
}
