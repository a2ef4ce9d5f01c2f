//! A session with a database: it asks, and changes what it is told to.

use super::config::{Driver, SqlConfig};
use super::dialect::Dialect;
#[cfg(feature = "odbc")]
use super::odbc;
use super::page::{Column, Page};
use super::{mysql, postgres, sqlite, tds};
use crate::reader::Trouble;

/// What a build without ODBC says.
pub(super) const NO_ODBC: &str = "this agent was built without ODBC; build it with cargo build --release -p dray-agent --features odbc, on a machine with unixodbc-dev";

/// One of the drivers' sessions.
pub(super) enum Session {
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
    Mysql(mysql::Session),
    SqlServer(Box<tds::Session>),
    #[cfg(feature = "odbc")]
    Odbc(odbc::Session),
}

impl Session {
    /// Goes to the database.
    pub(super) async fn open(config: &SqlConfig) -> Result<Self, Trouble> {
        Ok(match config.driver {
            Driver::Sqlite => Self::Sqlite(sqlite::Session::open(config)?),
            Driver::Postgres => Self::Postgres(postgres::Session::open(config).await?),
            Driver::Mysql => Self::Mysql(mysql::Session::open(config).await?),
            Driver::SqlServer => Self::SqlServer(Box::new(tds::Session::open(config).await?)),
            #[cfg(feature = "odbc")]
            Driver::Odbc => Self::Odbc(odbc::Session::open(config).await?),
            #[cfg(not(feature = "odbc"))]
            Driver::Odbc => return Err(Trouble::Person(NO_ODBC.into())),
        })
    }

    /// Another one in its place, where the rest of its answer was not worth reading; whether there is.
    pub(super) async fn anew(&mut self, config: &SqlConfig) -> Result<bool, Trouble> {
        match self {
            Self::Postgres(session) if session.is_given_up => {
                *session = postgres::Session::open(config).await?;
            }
            Self::Mysql(session) if session.is_given_up => {
                let mut next = mysql::Session::open(config).await?;
                next.end(session).await;
                *session = next;
            }
            Self::SqlServer(session) if session.is_given_up() => {
                **session = tds::Session::open(config).await?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whose SQL it speaks.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::Mysql(_) => Dialect::Mysql,
            Self::SqlServer(_) => Dialect::SqlServer,
            #[cfg(feature = "odbc")]
            Self::Odbc(session) => session.dialect,
        }
    }

    /// The answer's first rows, as many as a page holds, `rows_max` at most where the statement itself does not say that. `like`: a
    /// statement with the same columns.
    pub(super) async fn ask(
        &mut self,
        sql: &str,
        like: &str,
        rows_max: usize,
    ) -> Result<Page, Trouble> {
        match self {
            Self::Sqlite(session) => session.ask(sql),
            Self::Postgres(session) => session.ask(sql, like).await,
            Self::Mysql(session) => session.ask(sql).await,
            Self::SqlServer(session) => session.ask(sql, rows_max).await,
            #[cfg(feature = "odbc")]
            Self::Odbc(session) => session.ask(sql, rows_max).await,
        }
    }

    /// A value of a column, as SQL.
    ///
    /// # Errors
    /// A sentence: it is none.
    pub(super) fn value(&self, column: &Column, text: &str) -> Result<String, String> {
        match self {
            Self::Sqlite(session) => session.value(column, text),
            _ => self.dialect().value(column.kind, text),
        }
    }

    /// Changes rows; how many.
    pub(super) async fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        match self {
            Self::Sqlite(session) => session.change(sql),
            Self::Postgres(session) => session.change(sql).await,
            Self::Mysql(session) => session.change(sql).await,
            Self::SqlServer(session) => session.change(sql).await,
            #[cfg(feature = "odbc")]
            Self::Odbc(session) => session.change(sql).await,
        }
    }
}
