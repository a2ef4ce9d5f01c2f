//! A table that is asked again and again: a change table that triggers fill, an outbox, or a business table with a number or a time.
//!
//! Promises, of each mode what it can hold: `fence`, `mark-processed` and `delete-after-read` miss nothing; `overlap` misses nothing of
//! transactions that are shorter than a limit; `full-compare` misses what comes and goes between two comparisons; `timestamp` isn't exact; `cdc` and `change-tracking` tell what SQL Server says. Rows come in pages, each with one short statement that locks nothing; a page
//! and the place behind it are appended together, and only then is a row marked or deleted, by its id.
//!
//! Refuses to guess: ids that go back, a clock that goes back, a cell that is cut and a code that nobody explained are told, not passed over.
//!
//! Limits: a page has 2,000 rows or about 1 MiB, and 128 rows at first; a row 16 MiB; a position 32 KiB; 16 threads of ODBC drivers hang.

mod classes;
mod collation;
mod compare;
pub mod config;
mod dialect;
mod faults;
mod fence;
mod form;
#[cfg(feature = "odbc")]
mod hung;
mod identity;
mod kept;
mod kept_files;
mod known;
mod ledger;
mod log;
mod mark;
mod mysql;
#[cfg(feature = "odbc")]
mod odbc;
mod open;
mod overlap;
mod pace;
mod page;
mod place;
mod poller;
mod postgres;
mod preflight;
mod records;
mod rights;
mod session;
mod sqlite;
mod sqlserver;
mod tds;
mod timestamp;
mod value;
mod window;

pub use config::SqlConfig;
