//! `mode = "cdc"`: the changes that SQL Server's capture job wrote, from the last one on through the newest.
//!
//! The job writes a transaction's changes and its LSN in one transaction of its own, so that all through the newest LSN are there. How far is kept for is
//! asked before a page and again behind it: what is cleaned up between the two would be missing from the page, which is then not taken.

use std::time::Duration;

use dray_adapter::{GapCourse, GapReason};
use tokio::time::Instant;
use tracing::{info, warn};

use super::super::dialect::Select;
use super::super::page::Page;
use super::super::place::At;
use super::super::poller::Poller;
use super::changes::{Columns, Key, captured};
use super::gap::Gap;
use super::instance::{Instance, Wanted};
use super::job::silent;
use super::load::{Like, Loader, Loading};
use super::lsn::Lsn;
use super::parts::{By, Part, parts};
use super::stand::{Limits, Row, Stand, Window};
use super::statements::{LSN, OPERATION, SEQVAL, Statements};
use crate::reader::Trouble;

/// How often is looked whether the capture job works, and whether the table has another instance.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// What SQL Server says where changes are asked for that it does not keep (its error 313).
const NOT_KEPT: &str = "insufficient number of arguments";

/// Reads until nobody listens.
pub(in super::super) async fn run(poller: &mut Poller<'_>, at: Option<At>) -> Result<(), Trouble> {
    let stand = match at {
        Some(At::Cdc(stand)) => Some(stand),
        _ => None,
    };
    let wanted = Wanted::of(poller.config);
    let instance = wanted.find(&mut poller.session).await?;
    let limits = limits(poller).await?;
    let mut cdc = Cdc {
        stand: match &stand {
            Some(stand) => stand.clone(),
            None => Stand::begin(&limits, poller.config.first_load),
        },
        limits,
        instance,
        loading: None,
        columns: None,
        by: By::Function,
        looked: None,
        told: (false, 0),
    };
    for remark in cdc.instance.remarks(&wanted) {
        warn!("{remark}");
    }
    if poller.is_unknown() {
        warn!("{}", wanted.unknown());
    }
    // Nobody but us remembers where the flow began.
    if stand.is_none() && !poller.looked_now(&cdc.at()).await {
        return Ok(());
    }
    info!(behind = cdc.stand.scope(), "captured changes are read");
    loop {
        let is_heard = match cdc.stand.window(&cdc.limits) {
            _ if poller.was.is_some() => cdc.bridge(poller).await?,
            Window::Gone | Window::Back => cdc.bridge(poller).await?,
            _ if cdc.stand.load.is_some() => cdc.load(poller).await?,
            Window::Empty => cdc.idle(poller).await?,
            Window::Open(to) => cdc.read(poller, to).await?,
        };
        if !is_heard {
            return Ok(());
        }
    }
}

async fn limits(poller: &mut Poller<'_>) -> Result<Limits, Trouble> {
    let wanted = Wanted::of(poller.config);
    let sql = Statements(poller.dialect).limits(wanted.capture);
    let page = poller.told(&sql).await?;
    let lsn = |at| match page.rows() {
        0 => None,
        _ => page.get(0, at).and_then(Lsn::read),
    };
    let oldest = lsn(1).filter(|oldest| *oldest != Lsn::NONE);
    let oldest = oldest.ok_or_else(|| {
        Trouble::Passing(format!(
            "the capture instance {} is gone, or may not be read any more",
            wanted.capture
        ))
    })?;
    Ok(Limits {
        newest: lsn(0).filter(|newest| *newest != Lsn::NONE),
        oldest,
    })
}

struct Cdc {
    stand: Stand,
    limits: Limits,
    instance: Instance,
    /// While the table is read.
    loading: Option<Loading>,
    /// Of a page of changes, and where that was asked for.
    columns: Option<Columns>,
    by: By,
    looked: Option<Instant>,
    /// That the job is silent, and of how many instances.
    told: (bool, usize),
}

impl Cdc {
    fn at(&self) -> At {
        At::Cdc(self.stand.clone())
    }

    /// Changes are gone.
    async fn bridge(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let (capture, needed) = (Wanted::of(poller.config).capture, self.stand.next());
        let Limits { newest, oldest } = self.limits;
        let (reason, sentence) = match (poller.was.take(), needed < oldest) {
            (Some(was), _) => (GapReason::OtherServer, was),
            (None, true) => (
                GapReason::LogDropped,
                format!(
                    "changes of {capture} are needed from {needed} on, and the server keeps them from {oldest} on: its cleanup job removed them, or the instance was made anew. How long they are kept: EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 10080; (minutes)"
                ),
            ),
            (None, false) => (
                GapReason::OtherServer,
                format!(
                    "the newest change of the database is {}, and {} was read already: the database was restored, or is another one",
                    newest.unwrap_or(Lsn::NONE),
                    self.stand.lsn
                ),
            ),
        };
        let gap = Gap {
            reason,
            from: self.stand.lsn.to_string(),
            to: oldest.to_string(),
            sentence,
        };
        let course = gap.course(poller, self.stand.load.is_some())?;
        let begun = Stand::begin(&self.limits, course == GapCourse::LoadsAgain);
        let lsn = match (course, reason) {
            (GapCourse::WentOn, GapReason::LogDropped) => oldest.previous(),
            _ => begun.lsn,
        };
        self.stand = Stand { lsn, ..begun };
        self.turn(poller);
        warn!(on = %self.stand.lsn, "changes are missing, and the flow goes on behind them");
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
                let key = self.instance.order(poller.config)?;
                let loader = Loader::new(poller, &self.instance.columns, key).await?;
                let table = captured(poller.config, &loader.described, &self.instance.computed);
                Loading {
                    table: table.map_err(Trouble::Person)?,
                    loader,
                    like: Like::Captured,
                }
            }
        };
        let load = self.stand.load.take().unwrap_or_default();
        let position = self.stand.lsn.to_string();
        let stand = self.stand.clone();
        let at = |load| {
            At::Cdc(Stand {
                load,
                ..stand.clone()
            })
        };
        let (is_heard, left) = loading.next(poller, &load, &position, at).await?;
        match left {
            Some(_) => self.loading = Some(loading),
            None => self.turn(poller),
        }
        self.stand.load = left;
        self.limits = limits(poller).await?;
        Ok(is_heard)
    }

    async fn idle(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        self.look_around(poller).await?;
        let is_heard = poller.looked(&self.at(), false).await;
        poller.wait().await;
        self.limits = limits(poller).await?;
        Ok(is_heard)
    }

    /// A page of changes.
    async fn read(&mut self, poller: &mut Poller<'_>, to: Lsn) -> Result<bool, Trouble> {
        let by = match self.instance.has_commands {
            true => By::Table,
            false => By::Function,
        };
        let mut parts = parts(poller.dialect, &self.stand, to, by)
            .into_iter()
            .peekable();
        let (part, asked) = loop {
            let Some(part) = parts.next() else {
                return Ok(true);
            };
            if part.by != self.by {
                self.turn(poller);
                self.by = part.by;
            }
            let asked = ask(poller, &part, "", usize::MAX).await;
            let is_empty = asked.as_ref().is_ok_and(|page| page.rows() == 0);
            if !is_empty || parts.peek().is_none() {
                break (part, asked);
            }
        };
        self.limits = limits(poller).await?;
        let is_kept = self.stand.window(&self.limits) != Window::Gone;
        let page = match asked {
            Err(Trouble::Passing(said)) if said.contains(NOT_KEPT) && !is_kept => return Ok(true),
            asked => asked?,
        };
        if !is_kept {
            return Ok(true);
        }
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => Columns::of(poller.config, &page, &self.instance.computed)
                .map_err(Trouble::Person)?,
        };
        let is_last = part.ends && part.to == to && !page.is_cut;
        let is_heard = self.hand_over(poller, &columns, &page, &part).await?;
        self.columns = Some(columns);
        if is_heard && is_last {
            self.look_around(poller).await?;
            poller.wait().await;
            self.limits = limits(poller).await?;
        }
        Ok(is_heard)
    }

    async fn hand_over(
        &mut self,
        poller: &mut Poller<'_>,
        columns: &Columns,
        page: &Page,
        part: &Part,
    ) -> Result<bool, Trouble> {
        let rows = columns.whole(page).map_err(Trouble::Person)?;
        let (mut changes, half) = columns.changes(page, rows).map_err(Trouble::Person)?;
        let mate;
        if let Some(before) = half {
            mate = self.mate(poller, page, part).await?;
            let joined = columns.joined(before, &mate);
            changes.push(joined.map_err(Trouble::Passing)?);
        }
        let scope = self.stand.scope();
        let row = self.stand.row.as_ref();
        let (made, read) = columns.put(&changes, row.map(|row| (self.stand.lsn, row.read)));
        let is_through = part.ends && !page.is_cut;
        match (is_through, changes.last().map(|change| change.key)) {
            (
                false,
                Some(Key {
                    lsn,
                    command,
                    seqval,
                    operation,
                }),
            ) => {
                self.stand.lsn = lsn;
                self.stand.row = Some(Row {
                    command,
                    seqval,
                    operation,
                    read,
                });
            }
            _ => {
                self.stand.lsn = part.to;
                self.stand.row = None;
            }
        }
        match changes.is_empty() {
            true => Ok(poller.looked(&self.at(), false).await),
            false => {
                poller
                    .send(made, &[b"cdc", scope.as_bytes()], self.at())
                    .await
            }
        }
    }

    /// The row of an update as it is, where a page ended behind the row as it was.
    async fn mate(
        &self,
        poller: &mut Poller<'_>,
        page: &Page,
        part: &Part,
    ) -> Result<Page, Trouble> {
        let (dialect, row) = (poller.dialect, page.rows() - 1);
        let at = |name| {
            let at = page.place("change data capture", name);
            at.map_err(Trouble::Person)
        };
        let lsn = page.get(row, at(LSN)?).and_then(Lsn::read);
        let lsn = lsn.unwrap_or(part.to);
        let seqval_at = at(SEQVAL)?;
        let seqval_is = page.get(row, seqval_at).unwrap_or_default();
        let seqval_is = poller.value(page, seqval_at, seqval_is)?;
        let seqval = dialect.name(SEQVAL);
        let operation = dialect.name(OPERATION);
        let part = Part {
            from: lsn,
            to: lsn,
            ..part.clone()
        };
        let filter = format!("{seqval} = {seqval_is} AND {operation} = 4");
        ask(poller, &part, &filter, 1).await
    }

    /// Whether the capture job works, and whether the table has another instance.
    async fn look_around(&mut self, poller: &mut Poller<'_>) -> Result<(), Trouble> {
        if self
            .looked
            .is_some_and(|looked| looked.elapsed() < LOOK_EVERY)
        {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let page = poller.told(&Statements(poller.dialect).silence()).await?;
        let said = silent(page.only());
        if let (Some(said), false) = (&said, self.told.0) {
            warn!("{said}");
        }
        self.told.0 = said.is_some();
        let wanted = Wanted::of(poller.config);
        self.instance = wanted.find(&mut poller.session).await?;
        let others = self.instance.others.len();
        if others > self.told.1
            && let Some(said) = self.instance.warning(&wanted)
        {
            warn!("{said}");
        }
        self.told.1 = others;
        Ok(())
    }
}

/// Rows of a part. `filter`: what holds for them besides.
async fn ask(
    poller: &mut Poller<'_>,
    part: &Part,
    filter: &str,
    rows: usize,
) -> Result<Page, Trouble> {
    let capture = Wanted::of(poller.config).capture;
    let (from, all, order) = part.asked(poller.dialect, capture);
    let filters = [&*all, filter];
    let filters: Vec<_> = { filters }
        .into_iter()
        .filter(|one| !one.is_empty())
        .collect();
    let wanted = Select {
        columns: "*",
        from: &from,
        filter: &filters.join(" AND "),
        order: &order,
        rows: Some(rows),
    };
    poller.page(&wanted, "").await
}
