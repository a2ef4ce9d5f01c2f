//! A connection to one of the databases: texts in, texts out, and what goes wrong as an [`Outcome`].

use std::time::{Duration, Instant};

use super::mysql::MySql;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::way::Way;
use crate::config::sql::Server;
use crate::outcome::Outcome;

/// A value of a statement.
pub(super) type Text = Option<String>;

/// See the module. A session that was dropped in the middle of a transaction leaves nothing behind.
#[derive(Debug)]
pub(super) struct Session {
    link: Link,
    /// When it was last used.
    pub(super) used: Instant,
}

#[derive(Debug)]
enum Link {
    Postgres(Box<Postgres>),
    MySql(MySql),
    Sqlite(Sqlite),
}

impl Session {
    /// Connects. `wait`: how long a statement may take.
    pub(super) async fn open(way: &Way, wait: Duration) -> Result<Self, Outcome> {
        let link = match way.config.server {
            Server::Postgres => Link::Postgres(Box::new(Postgres::connect(way, wait).await?)),
            Server::Mariadb | Server::Mysql => Link::MySql(MySql::connect(way, wait).await?),
            Server::Sqlite => Link::Sqlite(Sqlite::open(&way.config.file, wait).await?),
        };
        Ok(Self {
            link,
            used: Instant::now(),
        })
    }

    /// A statement; how many rows it touched.
    pub(super) async fn run(&mut self, sql: &str, texts: Vec<Text>) -> Result<u64, Outcome> {
        match &mut self.link {
            Link::Postgres(link) => link.run(sql, &texts).await,
            Link::MySql(link) => link.run(sql, texts).await,
            Link::Sqlite(link) => link.run(sql.to_owned(), texts).await,
        }
    }

    /// A statement that answers with rows of texts.
    pub(super) async fn ask(
        &mut self,
        sql: &str,
        texts: Vec<Text>,
    ) -> Result<Vec<Vec<Text>>, Outcome> {
        match &mut self.link {
            Link::Postgres(link) => link.ask(sql, &texts).await,
            Link::MySql(link) => link.ask(sql, texts).await,
            Link::Sqlite(link) => link.ask(sql.to_owned(), texts).await,
        }
    }

    /// Opens a transaction.
    pub(super) async fn begin(&mut self) -> Result<(), Outcome> {
        match &mut self.link {
            Link::Postgres(link) => link.plain("BEGIN ISOLATION LEVEL READ COMMITTED").await,
            Link::MySql(link) => link.plain("START TRANSACTION").await,
            Link::Sqlite(link) => link.plain("BEGIN IMMEDIATE").await,
        }
    }

    /// Ends it, with its effect or without.
    pub(super) async fn end(&mut self, sql: &'static str) -> Result<(), Outcome> {
        match &mut self.link {
            Link::Postgres(link) => link.plain(sql).await,
            Link::MySql(link) => link.plain(sql).await,
            Link::Sqlite(link) => link.plain(sql).await,
        }
    }
}
