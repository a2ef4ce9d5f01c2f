//! PostgreSQL: its write-ahead log, by logical replication.

mod assembly;
pub mod config;
mod message;
mod place;
mod preflight;
mod reader;
mod session;
mod slot;
mod source;
mod sql;
mod table;
mod texts;

pub use config::PostgresConfig;
pub use source::PostgresLog;
