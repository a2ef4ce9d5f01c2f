//! PostgreSQL: its write-ahead log, by logical replication.

mod again;
mod assembly;
mod catalogue;
pub mod config;
mod gap;
mod kept;
mod kinds;
mod known;
mod load;
mod log;
mod look;
mod message;
mod place;
mod preflight;
mod session;
mod slot;
mod snapshot;
mod sql;
mod table;
mod texts;
mod timeline;

pub use config::PostgresConfig;
pub use preflight::Looked;

/// What reports call this kind of database.
const DATABASE: &str = "postgres";
