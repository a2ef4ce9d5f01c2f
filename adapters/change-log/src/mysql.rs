//! MariaDB and MySQL: their binary log, as a replica reads it.

mod again;
mod answer;
mod assembly;
mod cells;
mod charset;
pub mod config;
mod event;
mod facts;
mod gtid;
mod kinds;
mod known;
mod lag;
mod load;
mod log;
mod meaning;
mod metadata;
mod place;
mod preflight;
mod reading;
mod session;
mod sight;
mod sql;
mod statement;
mod stream;
mod table;
mod table_map;
mod texts;
mod transaction;

pub use config::MySqlConfig;
pub use preflight::Findings;
pub(crate) use session::tls;

/// What reports call it.
const DATABASE: &str = "mysql";
