//! PostgreSQL: its write-ahead log, by logical replication.

mod again;
mod answer;
mod assembly;
mod catalogue;
mod coming;
pub mod config;
mod facts;
mod gap;
mod kept;
mod kinds;
mod known;
mod load;
mod load_session;
mod log;
mod look;
mod lsn;
mod message;
mod message_bytes;
mod place;
mod plain;
mod preflight;
mod progress;
mod published;
mod session;
mod sight;
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
