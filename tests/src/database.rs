//! What the private servers of databases have in common.

use std::ops::Range;

use crate::site::FlowSpec;

/// Tells a server something; what it answers, or says instead.
pub type Client = Box<dyn Fn(&str) -> Result<String, String> + Send>;

/// A private server.
pub trait Database {
    /// The schema of its tables.
    fn schema(&self) -> &'static str;

    /// kill -9, and a start.
    fn crash(&mut self);

    /// Somebody who talks to it, also from another thread.
    fn client(&self) -> Client;

    /// Movements of these numbers, in one transaction.
    fn insert(&self, numbers: Range<u64>);

    /// A flow that reads them.
    fn flow(&self) -> FlowSpec;

    /// A flow's source that reads a table.
    fn source(&self, table: &str) -> String;
}
