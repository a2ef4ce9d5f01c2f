//! What all modes do: they ask, hand over what they found, and wait.

use std::time::Duration;

use dray_adapter::{IdScope, Report};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::collation::Collations;
use super::config::{Mode, SqlConfig};
use super::dialect::{Dialect, Select};
use super::identity::Identity;
use super::pace::Pace;
use super::page::{Column, Page};
use super::place::{At, Place};
use super::records::{Made, Picked, Table};
use super::session::Session;
use super::{rights, sqlserver};
use crate::reader::{Ready, Talk, Told, Trouble, now_us, scope_of_said};

/// Rows of what a database says of itself.
const TOLD_ROWS_MAX: usize = 16;

/// How often it is kept how far was looked.
const LOOKED_EVERY: Duration = Duration::from_secs(10);
/// The same where there is nothing but the time.
const IDLE_EVERY: Duration = Duration::from_secs(600);

/// A session with what is known of its table.
pub(super) struct Poller<'t> {
    pub(super) config: &'t SqlConfig,
    pub(super) session: Session,
    pub(super) dialect: Dialect,
    /// What is asked.
    pub(super) from: String,
    /// A statement with its columns.
    like: String,
    flow: &'t str,
    /// What tells the database from a restored one.
    identity: Identity,
    /// It may be another one from one question to the next.
    identity_may_change: bool,
    /// That it was restored since the place was written, in a sentence: for modes that go on behind a gap.
    pub(super) was: Option<String>,
    collations: Collations,
    table: Option<Table>,
    /// The columns, as the first answer had them: all that was looked up by their places holds for these alone.
    known: Option<Vec<Column>>,
    talk: &'t Talk<Place>,
    pub(super) confirmed: watch::Receiver<Option<Place>>,
    pace: &'t Pace,
    looked: Instant,
}

impl<'t> Poller<'t> {
    pub(super) async fn open(
        flow: &'t str,
        config: &'t SqlConfig,
        pace: &'t Pace,
        place: Option<Place>,
        talk: &'t Talk<Place>,
        confirmed: watch::Receiver<Option<Place>>,
    ) -> Result<Self, Trouble> {
        if let Some(place) = &place {
            place.is_of(config).map_err(Trouble::Person)?;
        }
        let mut session = Session::open(config).await?;
        let dialect = session.dialect();
        if let Some(said) = sqlserver::untested(dialect, config.mode) {
            warn!("{said}");
        }
        let from = config.from(dialect);
        // Before the identity: what takes over between the two is looked at once too often.
        let identity_may_change = Identity::may_change(&mut session, config).await?;
        let mut identity = Identity::of(&mut session, config).await?;
        let mut was = None;
        if let Some(place) = &place {
            let before = place.identity();
            match identity.is_of(&before, config.accepted_timeline) {
                Err(_) if config.mode.is_told() => was = Some(identity.restored(&before)),
                is_of => is_of.map_err(Trouble::Person)?,
            }
            identity = identity.or(&before);
        }
        Ok(Self {
            config,
            like: rights::like(dialect, &from),
            from,
            collations: Collations::of(&mut session, config).await?,
            session,
            dialect,
            flow,
            identity,
            identity_may_change,
            was,
            table: None,
            known: None,
            talk,
            confirmed,
            pace,
            looked: Instant::now(),
        })
    }

    /// Whether nothing would tell that the database was restored.
    pub(super) fn is_unknown(&self) -> bool {
        self.identity.is_unknown()
    }

    /// The column's name, as SQL.
    pub(super) fn name(&self, column: &str) -> String {
        self.dialect.name(column)
    }

    /// A value of the column, as SQL.
    pub(super) fn value(&self, page: &Page, at: usize, text: &str) -> Result<String, Trouble> {
        let column = &page.columns[at];
        if let Some(value) = self.collations.value(column, text) {
            return Ok(value);
        }
        let value = self.session.value(column, text);
        value.map_err(|said| Trouble::Person(format!("the column {}: {said}", column.name)))
    }

    /// Another session, where the one before was given up: of the same database.
    async fn anew(&mut self) -> Result<(), Trouble> {
        if !self.session.anew(self.config).await? {
            return Ok(());
        }
        self.identity_may_change = Identity::may_change(&mut self.session, self.config).await?;
        self.is_same().await
    }

    /// That it is the database that was read before.
    async fn is_same(&mut self) -> Result<(), Trouble> {
        let identity = Identity::of(&mut self.session, self.config).await?;
        let is_of = identity.is_of(&self.identity, self.config.accepted_timeline);
        is_of.map_err(|said| match self.config.mode.is_told() {
            // It is opened again, with the place, and goes on behind a gap.
            true => Trouble::Passing(said),
            false => Trouble::Person(said),
        })
    }

    /// Asks, in another session where the one before was given up.
    async fn ask(&mut self, sql: &str, like: &str, rows_max: usize) -> Result<Page, Trouble> {
        self.anew().await?;
        self.session.ask(sql, like, rows_max).await
    }

    /// Changes rows; how many.
    pub(super) async fn change(&mut self, sql: &str) -> Result<u64, Trouble> {
        self.anew().await?;
        self.session.change(sql).await
    }

    /// Rows of the table, `rows_max` at most: fewer where rows are large.
    pub(super) async fn rows(
        &mut self,
        filter: &str,
        order: &str,
        rows_max: usize,
    ) -> Result<Page, Trouble> {
        let (from, like) = (self.from.clone(), self.like.clone());
        let wanted = Select {
            columns: "*",
            from: &from,
            filter,
            order,
            rows: Some(rows_max),
        };
        self.page(&wanted, &like).await
    }

    /// Rows of whatever is asked, as many as `wanted` says at most: fewer where rows are large. `like`: a statement with the same columns.
    pub(super) async fn page(&mut self, wanted: &Select<'_>, like: &str) -> Result<Page, Trouble> {
        let rows = wanted.rows.unwrap_or(usize::MAX).min(self.pace.rows());
        let wanted = Select {
            rows: Some(rows),
            ..*wanted
        };
        let sql = self.dialect.select(&wanted);
        let asked = self.ask(&sql, like, rows).await;
        let mut page = asked.inspect_err(|_| self.pace.failed(rows))?;
        if self.identity_may_change {
            self.anew().await?;
            self.is_same().await?;
        }
        self.same(&page)?;
        page.is_cut |= page.rows() >= rows;
        self.pace.came(page.rows(), page.bytes());
        self.talk.is_well();
        Ok(page)
    }

    /// From here on something else is asked, which has other columns.
    pub(super) fn turn(&mut self) {
        self.known = None;
        self.table = None;
    }

    /// A few rows of what the database says of itself.
    pub(super) async fn told(&mut self, sql: &str) -> Result<Page, Trouble> {
        self.ask(sql, sql, TOLD_ROWS_MAX).await
    }

    /// One value.
    pub(super) async fn one(&mut self, what: &str) -> Result<Option<String>, Trouble> {
        let wanted = Select {
            columns: what,
            from: &self.from,
            filter: "",
            order: "",
            rows: None,
        };
        let sql = self.dialect.select(&wanted);
        let page = self.ask(&sql, &sql, 1).await?;
        Ok(page.only().map(str::to_owned))
    }

    /// One value that stands in no table.
    pub(super) async fn alone(&mut self, what: &str) -> Result<Option<String>, Trouble> {
        let sql = format!("SELECT {what}");
        let page = self.ask(&sql, &sql, 1).await?;
        Ok(page.only().map(str::to_owned))
    }

    /// The table's columns, and no rows.
    pub(super) async fn columns(&mut self) -> Result<Page, Trouble> {
        let page = self.described().await?;
        self.same(&page)?;
        Ok(page)
    }

    /// The same, whatever else is asked meanwhile.
    pub(super) async fn described(&mut self) -> Result<Page, Trouble> {
        self.anew().await?;
        rights::described(&mut self.session, self.config, &self.like).await
    }

    /// That the columns are what they were.
    fn same(&mut self, page: &Page) -> Result<(), Trouble> {
        match &self.known {
            Some(known) if *known != page.columns => Err(Trouble::Passing(
                "the table's columns changed: it is asked anew".into(),
            )),
            Some(_) => Ok(()),
            None => {
                self.known = Some(page.columns.clone());
                Ok(())
            }
        }
    }

    /// The database's own clock: microseconds since 1970.
    pub(super) async fn clock_us(&mut self) -> Result<i64, Trouble> {
        let config = self.config;
        let sql = config.clock.as_deref().or(self.dialect.clock());
        let Some(sql) = sql else {
            return Err(Trouble::Person(
                "the agent does not know how this database tells its clock; write clock = \"SELECT ...\", which gives microseconds since 1970 in UTC".into(),
            ));
        };
        let page = self.ask(sql, sql, 1).await?;
        let said = page.only().unwrap_or_default();
        let us = said.split('.').next().and_then(|whole| whole.parse().ok());
        us.ok_or_else(|| {
            Trouble::Person(format!(
                "the database's clock is \"{said}\": clock must give microseconds since 1970 in UTC"
            ))
        })
    }

    /// Whether this change would be allowed: it changes no row.
    pub(super) async fn may_write(&mut self, nothing: &str) -> Result<(), Trouble> {
        self.anew().await?;
        rights::may_write(&mut self.session, self.config, nothing).await
    }

    /// Hands rows over, with the place behind them; whether anybody listens.
    pub(super) async fn hand_over(
        &mut self,
        page: &Page,
        picked: &[Picked],
        scope: &[&[u8]],
        position: usize,
        at: At,
    ) -> Result<bool, Trouble> {
        let table = match self.table.take() {
            Some(table) => table,
            None => Table::new(self.config, page).map_err(Trouble::Person)?,
        };
        let made = self
            .table
            .insert(table)
            .put(self.config, page, picked, position);
        if let (Mode::DeleteAfterRead, Some(reject)) = (self.config.mode, made.rejects.first()) {
            return Err(Trouble::Person(format!(
                "{}: with mode = \"delete-after-read\" the row would be lost; mend it, or leave the column out by without",
                reject.reason
            )));
        }
        self.send(made, scope, at).await
    }

    /// Hands records over, with the place behind them; whether anybody listens.
    pub(super) async fn send(
        &mut self,
        made: Made,
        scope: &[&[u8]],
        at: At,
    ) -> Result<bool, Trouble> {
        let place = self.place(at);
        place.fits().map_err(Trouble::Person)?;
        let name = self.config.record_type().as_bytes();
        let parts: Vec<&[u8]> = [self.flow.as_bytes(), name]
            .into_iter()
            .chain(scope.iter().copied())
            .collect();
        let ready = Ready {
            reports: Vec::new(),
            records: made.records,
            rejects: made.rejects,
            scope: IdScope::of(&parts),
            // Each row has its own: pages are cut elsewhere when they are read again.
            change_position: "".into(),
            place,
            ends: true,
        };
        self.looked = Instant::now();
        Ok(self.talk.tell(Told::Ready(Box::new(ready), now_us())).await)
    }

    fn place(&self, at: At) -> Place {
        Place::new(self.config.record_type(), &self.identity, at)
    }

    /// Keeps how far was looked, though there was nothing, but not too often; whether anybody listens. `is_news`: what was looked for since
    /// would be looked for again after a kill.
    pub(super) async fn looked(&mut self, at: &At, is_news: bool) -> bool {
        self.talk.is_well();
        let every = if is_news { LOOKED_EVERY } else { IDLE_EVERY };
        if self.looked.elapsed() < every {
            return true;
        }
        self.looked_now(at).await
    }

    /// Keeps a place, though there was nothing; whether anybody listens.
    pub(super) async fn looked_now(&mut self, at: &At) -> bool {
        self.looked = Instant::now();
        let place = Box::new(self.place(at.clone()));
        // One that is too long stops the flow with the next row; until then the one before holds.
        if place.fits().is_err() {
            return true;
        }
        self.talk.tell(Told::Looked(place, now_us())).await
    }

    /// Says something alone; whether anybody listens. `parts`: what tells it from all else that is said of the flow.
    pub(super) async fn say(&mut self, parts: &[&str], report: Report, at: At) -> bool {
        self.looked = Instant::now();
        let scope = scope_of_said(self.flow, self.config.record_type(), parts);
        let place = self.place(at);
        self.talk.say(scope, report, &place).await
    }

    /// Waits until it is time to ask again.
    pub(super) async fn wait(&self) {
        sleep(self.config.every()).await;
    }
}

/// What is said where two rows have one id.
pub(super) fn not_unique(config: &SqlConfig, id: &str) -> String {
    format!(
        "two rows have the {} {id}: rows must be told apart by id; name a column that is unique, or mend the query",
        config.id
    )
}

/// A column's value as a whole number.
///
/// # Errors
/// A sentence: it is none.
pub(super) fn whole(page: &Page, row: usize, at: usize) -> Result<i64, Trouble> {
    let text = page.get(row, at);
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        Trouble::Person(format!(
            "a row's {} is {}, which is no whole number of 64 bits: this mode needs one",
            page.columns[at].name,
            text.map_or_else(|| "NULL".to_owned(), |text| format!("\"{text}\""))
        ))
    })
}
