//! PostgreSQL: its write-ahead log, by logical replication.

mod assembly;
mod catalogue;
pub mod config;
mod gap;
mod kinds;
mod load;
mod log;
mod message;
mod place;
mod preflight;
mod session;
mod slot;
mod snapshot;
mod sql;
mod table;
mod texts;

pub use config::PostgresConfig;

/// What reports call this kind of database.
const DATABASE: &str = "postgres";
