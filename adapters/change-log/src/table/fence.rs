//! `mode = "fence"`: rows by the transaction that wrote them, as far as no transaction is open that could still write one before.
//!
//! It is exact: the database itself says which is the oldest one that is open.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::config::SqlConfig;
use super::dialect::Dialect;
use super::page::Page;
use super::place::At;
use super::poller::{Poller, not_unique};
use super::records::{Picked, ordinal};
use super::value::Kind;
use crate::reader::Trouble;

/// A transaction that is open for longer is told of: all rows behind it wait.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// A row's transaction and its id.
pub(super) type After = (String, String);

/// Reads until nobody listens.
pub(super) async fn run(poller: &mut Poller<'_>, at: Option<At>) -> Result<(), Trouble> {
    let is_first = at.is_none();
    let mut fence = Fence::new(poller, at).await?;
    if !is_first {
        fence.look(poller).await?;
    }
    // Nobody but us remembers where the flow began.
    if is_first && !poller.config.first_load {
        let after = fence.after.clone();
        if !poller.looked_now(&At::Fence { after }).await {
            return Ok(());
        }
    }
    let (transaction, id) = fence.after.clone().unwrap_or_default();
    info!(transaction, id, "the table is read behind this row");
    loop {
        let page = fence.page(poller).await?;
        if page.rows() == 0 {
            fence.look(poller).await?;
            poller.wait().await;
            continue;
        }
        let (scope, picked) = (fence.scope(), fence.pick(poller.config, &page)?);
        let scope = [b"after", scope.0.as_bytes(), scope.1.as_bytes()];
        let after = fence.after.clone();
        let order = fence.order;
        if !poller
            .hand_over(&page, &picked, &scope, order, At::Fence { after })
            .await?
        {
            return Ok(());
        }
        if !page.is_cut {
            poller.wait().await;
        }
    }
}

struct Fence {
    /// The last row that was read.
    after: Option<After>,
    /// The columns' places in a page.
    order: usize,
    id: usize,
    /// The oldest transaction that is open, as SQL.
    oldest: String,
    columns: Page,
    /// What it was, and since when.
    stands: (String, Instant),
    told: bool,
}

impl Fence {
    async fn new(poller: &mut Poller<'_>, at: Option<At>) -> Result<Self, Trouble> {
        let columns = poller.columns().await?;
        let column = poller.config.transaction.clone().unwrap_or_default();
        let order = columns
            .place("transaction", &column)
            .map_err(Trouble::Person)?;
        let id = columns
            .place("id", &poller.config.id)
            .map_err(Trouble::Person)?;
        let kind = columns.columns[order].kind;
        let Some(oldest) = poller.dialect.oldest(kind) else {
            return Err(Trouble::Person(
                "mode = \"fence\" needs a database that says which transaction is the oldest one open: PostgreSQL from version 13 on, or SQL Server with a rowversion column; write mode = \"overlap\""
                    .into(),
            ));
        };
        let mut fence = Self {
            after: None,
            order,
            id,
            oldest: oldest.to_owned(),
            columns,
            stands: (String::new(), Instant::now()),
            told: false,
        };
        fence.after = match at {
            Some(At::Fence { after }) => after,
            _ if poller.config.first_load => None,
            // All that is committed now is below it or was open; what was open comes.
            _ => Some((fence.ask_oldest(poller).await?, String::new())),
        };
        Ok(fence)
    }

    async fn ask_oldest(&self, poller: &mut Poller<'_>) -> Result<String, Trouble> {
        let told = poller.alone(&self.oldest).await?;
        told.ok_or_else(|| {
            Trouble::Passing("the database does not say which transaction is open".into())
        })
    }

    async fn page(&self, poller: &mut Poller<'_>) -> Result<Page, Trouble> {
        let transaction = poller.name(&self.columns.columns[self.order].name);
        let id = poller.name(&poller.config.id);
        let mut filter = format!("{transaction} < {}", self.oldest);
        if let Some((after, last)) = &self.after {
            let after = poller.value(&self.columns, self.order, after)?;
            let rest = match &**last {
                "" => format!("{transaction} >= {after}"),
                last => {
                    let last = poller.value(&self.columns, self.id, last)?;
                    format!(
                        "{transaction} >= {after} AND ({transaction} > {after} OR {id} > {last})"
                    )
                }
            };
            filter = format!("{rest} AND {filter}");
        }
        poller
            .rows(&filter, &format!("{transaction}, {id}"), usize::MAX)
            .await
    }

    /// Where the next batch begins, which names it.
    fn scope(&self) -> After {
        self.after.clone().unwrap_or_default()
    }

    fn pick(&mut self, config: &SqlConfig, page: &Page) -> Result<Vec<Picked>, Trouble> {
        let mut picked = Vec::with_capacity(page.rows());
        for row in 0..page.rows() {
            let cells = (page.get(row, self.order), page.get(row, self.id));
            let (Some(transaction), Some(id)) = cells else {
                return Err(Trouble::Person(format!(
                    "a row's {} is NULL: a row without an id can't be told from others",
                    page.columns[self.id].name
                )));
            };
            picked.push(Picked {
                row,
                ordinal: ordinal(picked.len(), &[id, transaction]),
                op: None,
            });
            let here = Some((transaction.to_owned(), id.to_owned()));
            if self.after == here {
                return Err(Trouble::Person(not_unique(config, id)));
            }
            self.after = here;
        }
        Ok(picked)
    }

    /// Whether the database went back, or stands behind a transaction that stays open.
    async fn look(&mut self, poller: &mut Poller<'_>) -> Result<(), Trouble> {
        let oldest = self.ask_oldest(poller).await?;
        if let Some((after, _)) = &self.after
            && is_before(&oldest, after)
        {
            if let Some(is_standby) = poller.dialect.is_standby()
                && poller.alone(is_standby).await?.as_deref() == Some("standby")
            {
                return Err(Trouble::Passing(format!(
                    "the server is a standby that has not got transaction {after} yet, of which rows were read: the flow waits for it; let host and port lead to the server that is written to if it stays so"
                )));
            }
            return Err(Trouble::Person(format!(
                "the oldest open transaction is {oldest}, and rows of transaction {after} were read already: this is another database, or one that was restored. Give the flow another name, which reads the table from its beginning"
            )));
        }
        if oldest != self.stands.0 {
            self.stands = (oldest, Instant::now());
            self.told = false;
        }
        if self.stands.1.elapsed() > OPEN_MAX && !self.told {
            let transaction = poller.name(&self.columns.columns[self.order].name);
            let waits = format!("{transaction} >= {}", self.oldest);
            if poller.rows(&waits, "", 1).await?.rows() > 0 {
                self.told = true;
                warn!(
                    oldest = self.stands.0,
                    "a transaction stays open, and rows that were written since wait for its end"
                );
            }
        }
        Ok(())
    }
}

/// Numbers of any length, or bytes of one length.
fn is_before(one: &str, other: &str) -> bool {
    (one.len(), one) < (other.len(), other)
}

impl Dialect {
    /// Whether the server follows another one, as SQL whose answer is `standby` then.
    fn is_standby(self) -> Option<&'static str> {
        match self {
            Self::Postgres => {
                Some("CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby' ELSE '' END")
            }
            _ => None,
        }
    }

    /// The oldest transaction that is open, as SQL that is compared with a column of this kind.
    pub(super) fn oldest(self, kind: Kind) -> Option<&'static str> {
        match (self, kind) {
            (Self::Postgres, Kind::Integer) => {
                Some("pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint")
            }
            (Self::Postgres, _) => {
                Some("pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())")
            }
            (Self::SqlServer, _) => Some("MIN_ACTIVE_ROWVERSION()"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_compared_as_numbers() {
        assert!(is_before("999", "1000"));
        assert!(!is_before("1000", "1000"));
        assert!(!is_before("1001", "1000"));
        assert!(is_before("\\x00000000000007d0", "\\x00000000000007d1"));
    }
}
