//! `mode = "change-tracking"`: which rows changed since a version, and what they are now.
//!
//! A row that changed several times comes once, as it is when it is read. Where the database allows it, a page and its versions are read in one snapshot;
//! elsewhere a row may come newer than its version, and comes again with that one. Which versions are kept is asked before a page and again
//! behind it: what is cleaned up between the two would be missing from the page, which is then not taken.

use dray_adapter::{GapCourse, GapReason};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::super::dialect::Select;
use super::super::page::Page;
use super::super::place::At;
use super::super::poller::Poller;
use super::gap::Gap;
use super::instance::Wanted;
use super::key::behind;
use super::load::{Like, Load, Loader, Loading};
use super::look;
use super::statements::Statements;
use super::tracked::{Columns, table};
use crate::reader::Trouble;

/// How far the changes are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Standing {
    /// All through this version.
    pub(in super::super) since: i64,
    /// Of those since then all through this one's version and key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    after: Option<(i64, Vec<String>)>,
    /// What the table held before is not read yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    load: Option<Load>,
}

/// What the server keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Versions {
    newest: i64,
    /// Changes since this one, or a later one, are all there.
    oldest: i64,
}

/// Reads until nobody listens.
pub(in super::super) async fn run(poller: &mut Poller<'_>, at: Option<At>) -> Result<(), Trouble> {
    let standing = match at {
        Some(At::ChangeTracking(standing)) => Some(standing),
        _ => None,
    };
    let key = look::tracked(poller.config, &mut poller.session).await?;
    let snapshots = poller
        .told(&Statements(poller.dialect).has_snapshots())
        .await?;
    let versions = versions(poller).await?;
    let mut tracking = Tracking {
        standing: standing.clone().unwrap_or_else(|| Standing {
            since: versions.newest,
            after: None,
            load: poller.config.first_load.then(Load::default),
        }),
        versions,
        key,
        has_snapshots: snapshots.only() == Some("1"),
        loading: None,
        columns: None,
        described: None,
    };
    if poller.is_unknown() {
        warn!("{}", Wanted::of(poller.config).unknown());
    }
    // Nobody but us remembers where the flow began.
    if standing.is_none() && !poller.looked_now(&tracking.at()).await {
        return Ok(());
    }
    info!(
        since = tracking.standing.since,
        snapshots = tracking.has_snapshots,
        "tracked changes are read"
    );
    loop {
        let Standing { since, load, .. } = &tracking.standing;
        let Versions { newest, oldest } = tracking.versions;
        let is_heard = match load {
            _ if poller.was.is_some() || *since < oldest || newest < *since => {
                tracking.bridge(poller).await?
            }
            Some(_) => tracking.load(poller).await?,
            None if newest == *since => tracking.idle(poller).await?,
            None => tracking.read(poller).await?,
        };
        if !is_heard {
            return Ok(());
        }
    }
}

async fn versions(poller: &mut Poller<'_>) -> Result<Versions, Trouble> {
    let table = poller.config.table.as_deref().unwrap_or_default();
    let page = poller
        .told(&Statements(poller.dialect).versions(table))
        .await?;
    let number = |at| match page.rows() {
        0 => None,
        _ => page.get(0, at).and_then(|text| text.parse().ok()),
    };
    match (number(0), number(1)) {
        (Some(newest), Some(oldest)) => Ok(Versions { newest, oldest }),
        _ => Err(look::not_tracked(poller.config)),
    }
}

struct Tracking {
    standing: Standing,
    versions: Versions,
    key: Vec<String>,
    has_snapshots: bool,
    /// While the table is read.
    loading: Option<Loading>,
    /// Of a page of changes.
    columns: Option<Columns>,
    /// The table's columns, which say how values of the key are written.
    described: Option<Page>,
}

impl Tracking {
    fn at(&self) -> At {
        At::ChangeTracking(self.standing.clone())
    }

    /// Changes are gone.
    async fn bridge(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let (since, Versions { newest, oldest }) = (self.standing.since, self.versions);
        let table = poller.config.record_type();
        let (reason, sentence) = match (poller.was.take(), since < oldest) {
            (Some(was), _) => (GapReason::OtherServer, was),
            (None, true) => (
                GapReason::LogDropped,
                format!(
                    "changes of {table} are needed since version {since}, and the server keeps those since {oldest}: its cleanup removed them, or tracking was switched on anew. How long they are kept: ALTER DATABASE ... SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS);"
                ),
            ),
            (None, false) => (
                GapReason::OtherServer,
                format!(
                    "the newest version is {newest}, and {since} was read already: the database was restored, or tracking was switched off in it and on again"
                ),
            ),
        };
        let gap = Gap {
            reason,
            from: since.to_string(),
            to: oldest.to_string(),
            sentence,
        };
        let course = gap.course(poller, self.standing.load.is_some())?;
        self.standing = Standing {
            since: match (course, reason) {
                (GapCourse::WentOn, GapReason::LogDropped) => oldest,
                _ => newest.max(oldest),
            },
            after: None,
            load: (course == GapCourse::LoadsAgain).then(Load::default),
        };
        self.turn(poller);
        warn!(
            since = self.standing.since,
            "changes are missing, and the flow goes on behind them"
        );
        Ok(gap.tell(poller, course, self.at()).await)
    }

    /// From a page of the table to one of changes, or back.
    fn turn(&mut self, poller: &mut Poller<'_>) {
        self.loading = None;
        self.columns = None;
        poller.turn();
    }

    /// A page of what the table held before.
    async fn load(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let loading = match self.loading.take() {
            Some(loading) => loading,
            None => {
                let loader = Loader::new(poller, &[], self.key.clone()).await?;
                let table = table(poller.config, &loader.described, 0);
                Loading {
                    table: table.map_err(Trouble::Person)?,
                    loader,
                    like: Like::Tracked,
                }
            }
        };
        let load = self.standing.load.take().unwrap_or_default();
        let position = self.standing.since.to_string();
        let standing = self.standing.clone();
        let at = |load| {
            At::ChangeTracking(Standing {
                load,
                ..standing.clone()
            })
        };
        let (is_heard, left) = loading.next(poller, &load, &position, at).await?;
        match left {
            Some(_) => self.loading = Some(loading),
            None => self.turn(poller),
        }
        self.standing.load = left;
        self.versions = versions(poller).await?;
        Ok(is_heard)
    }

    async fn idle(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let is_heard = poller.looked(&self.at(), false).await;
        poller.wait().await;
        self.versions = versions(poller).await?;
        Ok(is_heard)
    }

    /// A page of rows that changed.
    async fn read(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        if self.has_snapshots {
            for sql in Statements(poller.dialect).begin_snapshot() {
                poller.change(sql).await?;
            }
            self.versions = versions(poller).await?;
        }
        let to = self.versions.newest;
        let page = self.ask(poller, to).await?;
        if self.has_snapshots {
            poller
                .change(Statements(poller.dialect).end_snapshot())
                .await?;
        }
        self.versions = versions(poller).await?;
        if self.standing.since < self.versions.oldest {
            return Ok(true);
        }
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => Columns::of(poller.config, &page, &self.key).map_err(Trouble::Person)?,
        };
        let made = columns.put(&page).map_err(Trouble::Person)?;
        let scope = self.standing.scope();
        match page.rows() {
            rows if page.is_cut && rows > 0 => {
                let last = columns.at(&page, rows - 1).map_err(Trouble::Person)?;
                self.standing.after = Some(last);
            }
            _ => {
                self.standing.since = to;
                self.standing.after = None;
            }
        }
        self.columns = Some(columns);
        let is_heard = match made.records.is_empty() && made.rejects.is_empty() {
            true => poller.looked(&self.at(), false).await,
            false => {
                let scope = [b"tracked".as_slice(), scope.as_bytes()];
                poller.send(made, &scope, self.at()).await?
            }
        };
        if is_heard && !page.is_cut {
            poller.wait().await;
            self.versions = versions(poller).await?;
        }
        Ok(is_heard)
    }

    async fn ask(&mut self, poller: &mut Poller<'_>, to: i64) -> Result<Page, Trouble> {
        let statements = Statements(poller.dialect);
        let of = poller.config.table.as_deref().unwrap_or_default();
        let (columns, from) = statements.tracked(of, self.standing.since, &self.key);
        let version = "dray_changes.SYS_CHANGE_VERSION";
        let names = self.key.iter();
        let names = names.map(|name| format!("dray_changes.{}", poller.name(name)));
        let names: Vec<_> = names.collect();
        let mut filter = format!("{version} <= {to}");
        if let Some((after, key)) = self.standing.after.clone() {
            let values = self.values(poller, &key).await?;
            let rest = behind(&names, &values);
            filter.push_str(&format!(
                " AND ({version} > {after} OR ({version} = {after} AND {rest}))"
            ));
        }
        let wanted = Select {
            columns: &columns,
            from: &from,
            filter: &filter,
            order: &format!("{version}, {}", names.join(", ")),
            rows: Some(usize::MAX),
        };
        poller.page(&wanted, "").await
    }

    /// The key's values, as SQL: how they are written is what the table's columns are.
    async fn values(
        &mut self,
        poller: &mut Poller<'_>,
        key: &[String],
    ) -> Result<Vec<String>, Trouble> {
        let described = match self.described.take() {
            Some(described) => described,
            None => poller.described().await?,
        };
        let values = self.key.iter().zip(key).map(|(name, text)| {
            let at = described.place("the key", name).map_err(Trouble::Person)?;
            poller.value(&described, at, text)
        });
        let values = values.collect();
        self.described = Some(described);
        values
    }
}

impl Standing {
    /// What names a batch that begins here.
    fn scope(&self) -> String {
        match &self.after {
            Some((version, key)) => format!("{} {version} {}", self.since, key.join("\0")),
            None => self.since.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_stands_is_kept_as_json() {
        let standing = Standing {
            since: 41,
            after: Some((42, vec!["7".to_owned(), "A".to_owned()])),
            load: None,
        };
        let json = serde_json::to_string(&standing).expect("JSON");
        assert_eq!(json, r#"{"since":41,"after":[42,["7","A"]]}"#);
        assert_eq!(serde_json::from_str(&json).ok(), Some(standing));
    }

    #[test]
    fn batches_are_named_by_where_they_begin() {
        let at = |after| Standing {
            since: 41,
            after,
            load: None,
        };
        let key = |key: &str| Some((42, vec![key.to_owned()]));
        let names = [at(None).scope(), at(key("1")).scope(), at(key("2")).scope()];
        assert!(names[0] != names[1] && names[1] != names[2]);
    }
}
