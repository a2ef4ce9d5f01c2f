//! SQLite: a file, on a thread that may block.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Error, ErrorCode, OpenFlags, params_from_iter};

use super::session::Text;
use crate::outcome::Outcome;

/// How long a lock of somebody else is waited for; then the delivery is tried again later.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Debug)]
pub(super) struct Sqlite(Arc<Mutex<Connection>>);

impl Sqlite {
    pub(super) async fn open(file: &Path, wait: Duration) -> Result<Self, Outcome> {
        let file = file.to_owned();
        let opened = blocking(move || {
            // Whoever has no database yet has a typing error in the path more often.
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&file, flags)?;
            connection.busy_timeout(wait.min(BUSY_MAX))?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(Self(Arc::new(Mutex::new(connection))))
        });
        opened.await
    }

    pub(super) async fn plain(&mut self, sql: &'static str) -> Result<(), Outcome> {
        let connection = Arc::clone(&self.0);
        blocking(move || lock(&connection).execute_batch(sql)).await
    }

    pub(super) async fn run(&mut self, sql: String, texts: Vec<Text>) -> Result<u64, Outcome> {
        let connection = Arc::clone(&self.0);
        let run = move || {
            let connection = lock(&connection);
            let touched = connection
                .prepare_cached(&sql)?
                .execute(params_from_iter(texts))?;
            Ok(touched as u64)
        };
        blocking(run).await
    }

    pub(super) async fn ask(
        &mut self,
        sql: String,
        texts: Vec<Text>,
    ) -> Result<Vec<Vec<Text>>, Outcome> {
        let connection = Arc::clone(&self.0);
        let ask = move || {
            let connection = lock(&connection);
            let mut statement = connection.prepare_cached(&sql)?;
            let columns = statement.column_count();
            let rows = statement.query_map(params_from_iter(texts), |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })?;
            rows.collect()
        };
        blocking(ask).await
    }
}

fn lock(connection: &Mutex<Connection>) -> std::sync::MutexGuard<'_, Connection> {
    // A panic inside SQLite's bindings leaves an open transaction, which is rolled back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Outcome> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(outcome),
        Err(error) => Err(Outcome::Transient(error.to_string())),
    }
}

fn outcome(error: Error) -> Outcome {
    let said = format!("SQLite says: {error}");
    let Error::SqliteFailure(failure, _) = &error else {
        return match error {
            Error::SqlInputError { .. } => Outcome::Misconfigured(said),
            _ => Outcome::Rejected(said),
        };
    };
    match failure.code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::SchemaChanged
        | ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::OutOfMemory
        | ErrorCode::OperationAborted
        | ErrorCode::OperationInterrupted => Outcome::Transient(said),
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => Outcome::Rejected(said),
        ErrorCode::TooBig => Outcome::TooLarge(said),
        _ => Outcome::Misconfigured(said),
    }
}
