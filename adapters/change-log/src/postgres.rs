//! PostgreSQL: its write-ahead log, by logical replication.

mod assembly;
pub mod config;
mod load;
mod message;
mod place;
mod preflight;
mod reader;
mod session;
mod slot;
mod snapshot;
mod source;
mod sql;
mod table;
mod texts;

pub use config::PostgresConfig;
pub use source::PostgresLog;
