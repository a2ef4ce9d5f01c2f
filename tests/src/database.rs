//! What the private servers of databases have in common.

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

    /// A flow's source that reads a table.
    fn source(&self, table: &str) -> String;
}
